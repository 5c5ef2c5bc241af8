// Registered statuses: of every process, made one where that can be, and set where they can be.

import { ask, toast } from './act.js';
import { at, make, write } from './dom.js';
import { known } from './state.js';

const EVERY = 5_000;
const all = make('div');
const search = make('input', { type: 'search', placeholder: 'Search statuses', 'aria-label': 'Search statuses' });
at('statuses').append(make('div', { class: 'panel' }, make('h2', {}, 'Statuses of all processes'), make('div', { class: 'bar' }, search), all));

const shown = new Map();
let timer;

/** While the view is open, the values are asked for again and again. */
export function open(isOpen) {
  clearTimeout(timer);
  if (isOpen) refresh();
}

async function refresh() {
  try {
    const names = await ask('status/');
    for (const [name, status] of shown) {
      if (!names.includes(name)) {
        status.element.remove();
        shown.delete(name);
      }
    }
    await Promise.all(names.map(show));
    filter();
  } catch (error) {
    if (!shown.size) all.replaceChildren(make('p', { class: 'none' }, error.message));
  }
  timer = setTimeout(refresh, EVERY);
}

function filter() {
  for (const [name, { element }] of shown) element.hidden = !name.toLowerCase().includes(search.value.toLowerCase());
}
search.addEventListener('input', filter);

async function show(name) {
  const path = `status/${encodeURIComponent(name)}`;
  const entries = await ask(path);
  const numbers = entries.length > 1 && entries.every((entry) => typeof entry.status === 'number');
  let status = shown.get(name);
  if (!status) {
    status = { sum: make('span', { class: 'dim' }), values: make('div', { class: 'values' }), rows: new Map() };
    status.element = make('div', { class: 'status' }, make('h3', {}, make('span', { class: 'name' }, name), status.sum), status.values);
    if (entries.some((entry) => entry.writable)) status.element.append(editor(name, path));
    if (!shown.size) all.replaceChildren();
    shown.set(name, status);
    const after = [...shown.keys()].sort().find((other) => other > name && shown.get(other).element.parentElement);
    all.insertBefore(status.element, after ? shown.get(after).element : null);
  }
  write(status.sum, numbers ? `${entries.reduce((sum, entry) => sum + entry.status, 0)} together` : entries.length === 1 ? '1 process' : `${entries.length} processes`);
  const pids = new Set(entries.map((entry) => entry.pid));
  for (const [pid, row] of status.rows) {
    if (!pids.has(pid)) {
      row.element.remove();
      status.rows.delete(pid);
    }
  }
  for (const entry of entries) {
    let row = status.rows.get(entry.pid);
    if (!row) {
      row = { value: make('code', { tabindex: '0' }) };
      row.element = make('div', { class: 'value' }, make('span', { class: 'dim' }, processOf(entry.pid)), row.value);
      status.rows.set(entry.pid, row);
      status.values.append(row.element);
    }
    write(row.value, entry.error ?? spaced(entry.status));
  }
}

function processOf(pid) {
  const { cluster, workers } = known.picture;
  const worker = Object.keys(workers).find((id) => workers[id].pid === pid);
  const role = { [cluster.master?.pid]: 'master', [cluster.cache_manager?.pid]: 'cache manager' }[pid];
  const name = worker ? `worker ${worker}` : role;
  return name ? `${name}, pid ${pid}` : `pid ${pid}`;
}

/** JSON that is wrapped between its members, and not within them. */
const spaced = (value) => JSON.stringify(value, null, 1).replace(/\n */g, ' ');

function editor(name, path) {
  const input = make('input', { 'aria-label': `A new value for ${name}, as JSON`, placeholder: 'A new value, as JSON', class: 'mono' });
  return make('form', {
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        JSON.parse(input.value);
      } catch {
        return toast(`${name}: this is no JSON; a text needs quotation marks`, true);
      }
      try {
        const { processes } = await ask(path, { method: 'PUT', body: input.value });
        toast(`${name}: set in ${processes === 1 ? '1 process' : `${processes} processes`}`);
        input.value = '';
        await show(name);
      } catch (error) {
        toast(`${name}: ${error.message}`, true);
      }
    },
  }, input, make('button', {}, 'Set'));
}
