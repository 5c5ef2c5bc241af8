// The caches: figures of each namespace; its keys, the value of one, and changes as they come.

import { ask, question, toast } from './act.js';
import { at, make, write } from './dom.js';
import { bytes, count, percent, span, time } from './format.js';
import { known } from './state.js';
import { listen } from './stream.js';

const COLUMNS = [
  ['Namespace'], ['Entries'], ['Bytes'], ['Hit rate'], ['Hits', 'wide-only'], ['Misses', 'wide-only'], ['Loads', 'wide-only'], ['Loading', 'wide-only'], ['Expired', 'wide-only'], ['Evicted', 'wide-only'],
];
/** The height of a key, and how many are laid out beyond what is seen. */
const KEY = 28;
const BEYOND = 6;
const CHANGES = 50;

const body = make('tbody');
const rows = new Map();
let chosen;
let keys = [];
let key;
let stop;

const search = make('input', { type: 'search', placeholder: 'Search keys', 'aria-label': 'Search keys' });
const found = make('span', { class: 'dim' });
const space = make('div', { class: 'space' });
const list = make('div', { class: 'list scroll', tabindex: '0', role: 'group', 'aria-label': 'Keys' }, space);
const shownKey = make('span', { class: 'mono name' });
const about = make('span', { class: 'dim' });
const value = make('pre', { tabindex: '0', 'aria-label': 'Value' });
const remove = make('button', { type: 'button', class: 'hurts', disabled: true }, 'Delete…');
const watching = make('button', { type: 'button', 'aria-pressed': 'false' }, 'Watch live');
const changes = make('ol', { class: 'changes scroll', tabindex: '0', 'aria-label': 'Changes, the last one first' });
const title = make('span');
const detail = make('div', { class: 'split', hidden: true },
  make('div', { class: 'panel' }, make('h2', {}, 'Keys of ', title), make('div', { class: 'bar' }, search, found), list),
  make('div', { class: 'panel' }, make('h2', {}, 'Value'), make('div', { class: 'bar' }, shownKey, about, remove), value,
    make('h2', {}, 'Changes'), make('div', { class: 'bar' }, watching), changes));

const none = make('p', { class: 'none' }, 'No namespace has been opened.');
at('caches').append(
  make('div', { class: 'panel' }, make('h2', {}, 'Namespaces'), none,
    make('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Table of namespaces' },
      make('table', { class: 'rows' },
        make('thead', {}, make('tr', {}, ...COLUMNS.map(([name, kind]) => make('th', { scope: 'col', class: kind }, name)))), body))),
  detail);

export function showCaches() {
  const { caches } = known.picture;
  none.hidden = Object.keys(caches).length > 0;
  for (const [name, row] of rows) {
    if (!(name in caches)) {
      row.element.remove();
      rows.delete(name);
    }
  }
  for (const [name, stat] of Object.entries(caches)) {
    let row = rows.get(name);
    if (!row) {
      const cells = COLUMNS.slice(1).map(([, kind]) => make('td', { class: kind }));
      const open = make('button', { type: 'button', class: 'plain name', onclick: () => choose(name) }, name);
      row = { cells, element: make('tr', {}, make('td', {}, open), ...cells) };
      rows.set(name, row);
      body.append(row.element);
    }
    const figures = [
      count(stat.entries), bytes(stat.bytes), percent(stat.hits / (stat.hits + stat.misses)), count(stat.hits), count(stat.misses),
      count(stat.loads), count(stat.loading), count(stat.expired), count(stat.evicted),
    ];
    row.cells.forEach((cell, n) => write(cell, figures[n]));
  }
}

const of = (more = {}) => new URLSearchParams({ namespace: chosen, ...more });

async function choose(name) {
  chosen = name;
  for (const [other, row] of rows) row.element.classList.toggle('chosen', other === name);
  title.textContent = name;
  detail.hidden = false;
  search.value = '';
  quiet();
  changes.replaceChildren();
  unchoose();
  await look();
}

function unchoose() {
  key = undefined;
  shownKey.textContent = '';
  about.textContent = 'Choose a key.';
  value.textContent = '';
  remove.disabled = true;
}

/** Asks for the keys that are searched for. */
async function look() {
  const asked = chosen;
  try {
    const answer = await ask(`debug/caches/keys?${of({ contains: search.value })}`);
    if (asked !== chosen) return;
    keys = answer.keys;
    found.textContent = answer.more ? `the first ${count(keys.length)}` : `${count(keys.length)}`;
    list.scrollTop = 0;
    space.style.height = `${keys.length * KEY}px`;
    layOut(true);
  } catch (error) {
    toast(`Keys of ${asked}: ${error.message}`, true);
  }
}

const laid = new Map();

/** Lays out the keys that are in sight, and no others. */
function layOut(anew = false) {
  const first = Math.max(0, Math.floor(list.scrollTop / KEY) - BEYOND);
  const last = Math.min(keys.length, Math.ceil((list.scrollTop + list.clientHeight) / KEY) + BEYOND);
  for (const [n, item] of laid) {
    if (anew || n < first || n >= last) {
      item.remove();
      laid.delete(n);
    }
  }
  for (let n = first; n < last; n += 1) {
    if (laid.has(n)) continue;
    const name = keys[n];
    const item = make('button', { type: 'button', class: 'mono', 'aria-pressed': String(name === key), onclick: () => inspect(name) }, name);
    item.style.top = `${n * KEY}px`;
    laid.set(n, item);
    space.append(item);
  }
}
list.addEventListener('scroll', () => layOut(), { passive: true });

let later;
search.addEventListener('input', () => {
  clearTimeout(later);
  later = setTimeout(look, 200);
});

async function inspect(name) {
  key = name;
  for (const item of laid.values()) item.setAttribute('aria-pressed', String(item.textContent === name));
  shownKey.textContent = name;
  about.textContent = '';
  try {
    const entry = await ask(`debug/caches/entry?${of({ key: name })}`);
    if (key !== name) return;
    const left = entry.left_ms == null ? 'kept for ever' : `${span(entry.left_ms)} left`;
    about.textContent = `${left}${entry.persist ? ', persists' : ''}${entry.cut ? ', cut off' : ''}`;
    value.textContent = entry.value ?? '(it is known that there is none)';
    remove.disabled = false;
  } catch (error) {
    value.textContent = '';
    about.textContent = error.message;
    remove.disabled = true;
  }
}

remove.addEventListener('click', async () => {
  const name = key;
  if (!(await question('Delete from the cache', `${name} is deleted from ${chosen}; whoever needs it loads it again.`, { yes: 'Delete' }))) return;
  try {
    await ask(`debug/caches/entry?${of({ key: name })}`, { method: 'DELETE' });
    toast(`${name}: deleted`);
    keys = keys.filter((other) => other !== name);
    space.style.height = `${keys.length * KEY}px`;
    layOut(true);
    unchoose();
  } catch (error) {
    toast(`${name}: ${error.message}`, true);
  }
});

function quiet() {
  stop?.();
  stop = undefined;
  watching.setAttribute('aria-pressed', 'false');
  watching.textContent = 'Watch live';
}

watching.addEventListener('click', () => {
  if (stop) return quiet();
  watching.setAttribute('aria-pressed', 'true');
  watching.textContent = 'Watching: stop';
  stop = listen(`debug/caches/watch?${of()}`, (_, change) => {
    changes.prepend(make('li', {}, make('span', { class: 'dim' }, time(Date.now())),
      make('span', { class: 'mono' }, `${change.change} ${change.key ?? ''}`), make('span', { class: 'mono dim' }, change.value ?? '')));
    while (changes.childElementCount > CHANGES) changes.lastElementChild.remove();
    if (change.key === key && change.change === 'set') inspect(key);
  }, (error) => {
    if (!error) return;
    quiet();
    toast(`Watching ${chosen}: ${error.message}`, true);
  });
});
