// One process from within: what it logs, what its threads do, where its time goes, and a debugger.

import { act, copier } from './act.js';
import { debuggers } from './debugger.js';
import { at, make, mark, write } from './dom.js';
import { log } from './log.js';
import { profile } from './profile.js';
import { stacks } from './stacks.js';
import { known } from './state.js';

/** What can be looked at, as it stands in the menu of a worker. Each shows one process at a time, and is quiet while it is not in sight. */
export const LOOKS = [log, stacks, profile, debuggers];
const MASTERS = ['master', 'cache-manager'];

/** The process that is in sight: a worker's number, `master`, `cache-manager`, or `fresh` for a worker that is to be started. */
let subject;
let look;
let arrives = false;

export const isOne = (name) => /^\d{1,9}$/.test(name ?? '') || MASTERS.includes(name) || name === 'fresh';

const looksOf = (name) => LOOKS.filter((one) => (name === 'fresh' ? one === debuggers : one !== debuggers || !MASTERS.includes(name)));

/** Goes to a look, ready for its button to be pressed. */
export function lookAt(process, name) {
  arrives = true;
  location.hash = `process/${process}/${name}`;
}

/** The actions that a worker's state allows. */
export function offered(id) {
  const state = known.picture.workers[id]?.state;
  return known.actions.filter((a) => a.scope === 'worker' && (!a.states || a.states.includes(state)));
}

const title = make('h2', { id: 'process-title' });
const about = make('span', { class: 'dim' });
const state = make('span', { class: 'state' });
const address = make('a', { target: '_blank', rel: 'noreferrer', class: 'mono' });
const apart = make('div', { class: 'bar', hidden: true }, make('span', {}, 'It serves nobody but whoever comes to'), address, copier(() => address.textContent));
const deeds = make('div', { class: 'buttons' });
const tabs = make('nav', { 'aria-label': 'Looks' });
at('process').append(
  make('a', { href: '#workers' }, 'All workers'),
  make('div', { class: 'panel looking' }, make('div', { class: 'bar' }, title, state, about, deeds), apart, tabs, ...LOOKS.map((one) => one.element)));
for (const one of LOOKS) one.element.hidden = true;

const links = LOOKS.map((one) => {
  const link = make('a', { id: `look-${one.name}` }, one.label);
  tabs.append(link);
  return { one, link };
});

function named(process) {
  if (process === 'fresh') return 'A fresh worker';
  return { master: 'The master', 'cache-manager': 'The cache manager' }[process] ?? `Worker ${process}`;
}

/** What is known of a process, where it is there. */
function picture(process) {
  const { workers, cluster } = known.picture;
  return process === 'master' ? cluster.master : process === 'cache-manager' ? cluster.cache_manager : workers[process];
}

export function open(process, name) {
  const allowed = looksOf(process);
  const wanted = allowed.find((one) => one.name === name) ?? allowed[0];
  if (subject !== process || look !== wanted) {
    close();
    [subject, look] = [process, wanted];
    look.element.hidden = false;
    look.open(process, picture(process));
  }
  write(title, named(process));
  for (const { one, link } of links) {
    link.hidden = !allowed.includes(one);
    link.href = `#process/${process}/${one.name}`;
    if (one === look) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  show();
  if (arrives) look.element.querySelector('.main')?.focus();
  arrives = false;
}

export function close() {
  if (!look) return;
  look.element.hidden = true;
  look.close();
  mark(state, 'data-state', '');
  [subject, look] = [];
}

/** Brings the view up to what is known. */
export function show() {
  if (!look) return;
  const process = picture(subject);
  const is = subject === 'fresh' ? '' : !process ? 'not there' : process.suspect ? 'silent' : process.state;
  write(state, is);
  mark(state, 'data-state', is);
  state.hidden = !is;
  write(about, process ? `pid ${process.pid}${process.generation === undefined ? '' : ` · generation ${process.generation}`}` : '');
  apart.hidden = !process?.isolated;
  if (process?.isolated) {
    write(address, process.isolated);
    if (/^https?:/.test(process.isolated)) mark(address, 'href', process.isolated);
    else address.removeAttribute('href');
  }
  const actions = process && subject in known.picture.workers ? offered(subject) : [];
  const names = actions.map((action) => action.name).join();
  if (deeds.names !== names) {
    deeds.names = names;
    deeds.replaceChildren(...actions.map((action) =>
      make('button', { type: 'button', 'data-action': action.name, onclick: () => act(action, Number(subject)) }, action.label + (action.confirm ? '…' : ''))));
  }
  look.show?.(process);
}
