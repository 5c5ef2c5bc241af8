// What a process logs: its filter, and its lines as they come.

import { ask, toast } from './act.js';
import { make, write } from './dom.js';
import { listen } from './stream.js';

/** So many lines are kept in sight. */
const MOST = 1000;
/** What colours a terminal, and other characters that are not to be read. */
// eslint-disable-next-line no-control-regex
const UNREAD = /\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]/g;

const filter = make('input', { id: 'log-filter', class: 'mono', autocomplete: 'off', spellcheck: 'false', maxlength: '4096', placeholder: 'info,my_crate::orders=trace' });
const reset = make('button', { type: 'button', id: 'log-reset' }, 'Reset');
const says = make('span', { class: 'dim', role: 'status' });
const lines = make('div', { class: 'lines scroll mono', tabindex: '0', role: 'group', 'aria-label': 'Log, the last line at the end' });
const form = make('form', { class: 'bar' }, make('label', { for: 'log-filter' }, 'Levels'), filter, make('button', { id: 'log-set', class: 'main' }, 'Set'), reset, says);

let process;
let stop;
let next = 0;

function open(of, picture) {
  process = of;
  next = 0;
  lines.replaceChildren();
  filter.value = picture?.log_filter ?? '';
  write(says, '');
  stop = listen(() => `debug/log/${process}?from=${next}`, hear, (error) => {
    if (error) end(error.message);
  });
}

function close() {
  stop?.();
  stop = undefined;
}

function hear(event, data) {
  if (event === 'end') return end(data.text);
  if (event !== 'lines') return;
  next = data.next;
  const shown = data.lines.slice(-MOST).map((line) => make('div', {}, line.replace(UNREAD, '')));
  if (data.missed) shown.unshift(make('div', { class: 'dim' }, `(${data.missed} lines came faster than they could be read)`));
  add(shown);
}

function end(why) {
  add([make('div', { class: 'dim' }, `(${why})`)]);
  close();
}

/** Who reads the last line goes on reading the last line. */
function add(more) {
  const isAtEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 40;
  lines.append(...more);
  while (lines.childElementCount > MOST) lines.firstElementChild.remove();
  if (isAtEnd) lines.scrollTop = lines.scrollHeight;
}

async function set(wanted) {
  const of = process;
  try {
    const { now, before } = await ask(`debug/log-level/${of}`, { method: 'PUT', body: JSON.stringify({ filter: wanted }) });
    if (wanted === null) filter.value = '';
    toast(`It logs ${now} (before: ${before})`);
  } catch (error) {
    toast(`Log level: ${error.message}`, true);
  }
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  set(filter.value.trim());
});
reset.addEventListener('click', () => set(null));

function show(picture) {
  write(says, picture?.log_filter ? `set to ${picture.log_filter}` : 'as it was started');
}

export const log = { name: 'log', label: 'Log', element: make('div', { id: 'log' }, form, lines), open, close, show };
