// Server-sent events by fetch: with the token, where one is needed, and with a say in when to come again.

import { reach } from './act.js';

/** Nothing has been heard for so long: the other end is gone, though the connection is not. */
const SILENCE = 25_000;
const SOONEST = 300;
const LATEST = 3_000;
/** Answers that a further attempt does not change. */
const FINAL = [400, 401, 403, 404];

/**
 * Hears the events of a path (or of what a function says that it is by then) until it is stopped, and connects again and again. `hear(event, data)`
 * is told each; `gone(error)` that the connection is lost, with an error where it is not tried again. Gives back what stops it.
 */
export function listen(path, hear, gone = () => {}) {
  let over = false;
  let abort;
  let pause = SOONEST;
  const loop = async () => {
    while (!over) {
      abort = new AbortController();
      let final;
      try {
        const answer = await reach(typeof path === 'function' ? path() : path, { signal: abort.signal });
        await read(answer.body, abort, (event, data) => {
          pause = SOONEST;
          hear(event, data);
        });
      } catch (error) {
        // What else is wrong with a connection is said by its absence.
        if (FINAL.includes(error.status)) final = error;
      }
      if (over) return;
      gone(final);
      if (final) return;
      await new Promise((done) => setTimeout(done, pause));
      pause = Math.min(LATEST, pause * 1.6);
    }
  };
  loop();
  return () => {
    over = true;
    abort?.abort();
  };
}

/** Hears the events of one answer, to its end. */
export async function read(body, abort, hear) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let watch = 0;
  let rest = '';
  try {
    for (;;) {
      clearTimeout(watch);
      watch = setTimeout(() => abort.abort(), SILENCE);
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) {
        let event = 'message';
        let data = '';
        for (const line of block.split('\n')) {
          if (line.startsWith('event: ')) event = line.slice(7);
          else if (line.startsWith('data: ')) data += line.slice(6);
        }
        if (data) hear(event, JSON.parse(data));
      }
    }
  } finally {
    clearTimeout(watch);
  }
}
