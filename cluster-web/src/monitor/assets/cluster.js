// The head of the page: what cluster it is, how it is, and what is done to all of it.

import { act, menu } from './act.js';
import { at, make, mark, write } from './dom.js';
import { span } from './format.js';
import { lookAt } from './process.js';
import { known, now } from './state.js';

const facts = {};
for (const [name, label] of [['serving', 'Serving'], ['verdict', 'Health'], ['master', 'Master'], ['manager', 'Cache'], ['build', 'Build'], ['up', 'Up']]) {
  facts[name] = make('dd', {}, '–');
  at('facts').append(make('div', {}, make('dt', {}, label), facts[name]));
}

const processes = { master: make('a', { href: '#process/master' }), manager: make('a', { href: '#process/cache-manager' }) };
facts.master.replaceChildren(processes.master);

const LOOKS = { running: 'good', starting: 'warn', degraded: 'bad', stopping: 'bad' };

export function showCluster() {
  const { cluster } = known.picture;
  const title = `${cluster.name} · ${cluster.serving} of ${cluster.wanted}`;
  if (document.title !== title) document.title = title;
  write(at('name'), cluster.name);
  const rolling = cluster.rolling ? ', rolling' : '';
  write(at('state'), cluster.crash_loop ? `${cluster.state}: ${cluster.crash_loop}` : cluster.state + rolling);
  mark(at('state'), 'class', `chip ${LOOKS[cluster.state] ?? ''}`);
  write(facts.serving, `${cluster.serving} of ${cluster.wanted}`);
  write(facts.build, cluster.build);
  write(processes.master, `pid ${cluster.master.pid}`);
  if (cluster.cache_manager) write(processes.manager, `pid ${cluster.cache_manager.pid}`);
  const manager = cluster.cache_manager ? processes.manager : 'in the master or none';
  if (facts.manager.firstChild !== manager) facts.manager.replaceChildren(manager);
  write(facts.verdict, cluster.verdict);
  const up = cluster.mark === 'up';
  mark(at('ecv'), 'aria-checked', String(up));
  write(at('ecv-word'), up ? 'Marked up' : 'Marked down');
  at('ecv').disabled = !cluster.marked_here;
  showAge();
}

export function showAge() {
  const { master } = known.picture.cluster;
  if (master) write(facts.up, span(now() - master.started));
}

export function showAway(away) {
  at('away').hidden = !away;
}

const named = (name) => known.actions.find((action) => action.scope === 'cluster' && action.name === name);

at('ecv').addEventListener('click', () => {
  const action = named(known.picture.cluster.mark === 'up' ? 'mark-down' : 'mark-up');
  if (action) act(action);
});
/** A further worker that waits for a debugger: its view says the rest. */
const FRESH = { name: 'fresh', label: 'Debug a fresh worker' };

at('deeds').addEventListener('click', () => {
  const actions = known.actions.filter((action) => action.scope === 'cluster' && !action.name.startsWith('mark-'));
  menu(at('deeds'), [...actions, FRESH], (action) => {
    if (action === FRESH) lookAt('fresh', 'debugger');
    else act(action, undefined, action.takes === 'workers' ? known.picture.cluster.wanted : undefined);
  });
});
