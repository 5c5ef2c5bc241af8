// What each thread of a process is doing, as text.

import { ask, copier } from './act.js';
import { make } from './dom.js';

const STATES = { R: 'runs', S: 'waits', D: 'waits for a device', T: 'is stopped', t: 'is stopped' };

const take = make('button', { type: 'button', class: 'main', id: 'stacks-take' }, 'Look');
const says = make('span', { class: 'dim', role: 'status' });
const threads = make('div', { class: 'threads' });
let text = '';
const copy = copier(() => text, 'Copy all');
copy.hidden = true;

let process;
let abort;

function open(of) {
  process = of;
  threads.replaceChildren();
  copy.hidden = true;
  says.textContent = 'Every thread is stopped for a moment, well below a second.';
}

function close() {
  abort?.abort();
}

function lineOf(frame, n) {
  const place = frame.file ? ` at ${frame.file}:${frame.line ?? 0}` : '';
  return `${String(n).padStart(4)} ${frame.function}${frame.inlined ? ' (inlined)' : ''}${place}`;
}

take.addEventListener('click', async () => {
  close();
  const mine = new AbortController();
  abort = mine;
  says.textContent = 'Looking; the program’s symbols are read first…';
  take.disabled = true;
  try {
    const seen = await ask(`debug/stacks/${process}`, { signal: mine.signal });
    const all = seen.threads.map((thread) => ({
      title: `Thread ${thread.thread} ${thread.name} ${STATES[thread.state] ?? 'ends'}`,
      text: [thread.error ?? [], ...thread.frames.map(lineOf)].flat().join('\n'),
    }));
    if (mine.signal.aborted) return;
    threads.replaceChildren(...all.map((thread) =>
      make('details', { open: true }, make('summary', {}, thread.title), make('pre', { tabindex: '0', 'aria-label': thread.title }, thread.text))));
    text = all.map((thread) => `${thread.title}\n${thread.text}\n`).join('\n');
    copy.hidden = false;
    says.textContent = `${all.length} ${all.length === 1 ? 'thread' : 'threads'}, stopped for ${(seen.stopped_us / 1000).toFixed(1)} ms in all`;
  } catch (error) {
    if (!mine.signal.aborted) says.textContent = error.message;
  } finally {
    take.disabled = false;
  }
});

export const stacks = { name: 'stacks', label: 'Stacks', element: make('div', { id: 'stacks' }, make('div', { class: 'bar' }, take, copy, says), threads), open, close };
