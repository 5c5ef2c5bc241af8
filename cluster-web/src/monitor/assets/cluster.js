// The head of the page: what cluster it is, how it is, and what is done to all of it.

import { act, menu } from './act.js';
import { at, make, mark, write } from './dom.js';
import { span } from './format.js';
import { known, now } from './state.js';

const facts = {};
for (const [name, label] of [['serving', 'Serving'], ['up', 'Up'], ['build', 'Build'], ['master', 'Master'], ['manager', 'Cache'], ['verdict', 'Health']]) {
  facts[name] = make('dd', {}, '–');
  at('facts').append(make('div', {}, make('dt', {}, label), facts[name]));
}

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
  write(facts.master, `pid ${cluster.master.pid}`);
  write(facts.manager, cluster.cache_manager ? `pid ${cluster.cache_manager.pid}` : 'in the master or none');
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
at('deeds').addEventListener('click', () => {
  const actions = known.actions.filter((action) => action.scope === 'cluster' && !action.name.startsWith('mark-'));
  menu(at('deeds'), actions, (action) => act(action, undefined, action.takes === 'workers' ? known.picture.cluster.wanted : undefined));
});
