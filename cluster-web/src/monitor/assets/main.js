// The page: hears what changes, and has the view that is open show it.

import { showCaches } from './caches.js';
import { showAge, showAway, showCluster } from './cluster.js';
import * as dependencies from './dependencies.js';
import { at } from './dom.js';
import * as process from './process.js';
import { known, takeAll, takeNews } from './state.js';
import * as statuses from './statuses.js';
import { listen } from './stream.js';
import { showEvents, showPoints, showQueue, showTiles, showTimes, showWorkers } from './workers.js';

const VIEWS = ['workers', 'caches', 'statuses', 'dependencies'];
let view;
let place;

function showView() {
  const [wanted, subject, look] = location.hash.slice(1).split('/');
  // What has just been opened is seen from its top; the browser would go to where it was, or past the head.
  if (place !== undefined && place !== `${wanted}/${subject}`) scrollTo(0, 0);
  place = `${wanted}/${subject}`;
  const isProcess = wanted === 'process' && process.isOne(subject);
  view = isProcess || VIEWS.includes(wanted) ? wanted : VIEWS[0];
  for (const name of VIEWS) {
    at(name).hidden = name !== view;
    if (name === view || (isProcess && name === VIEWS[0])) at(`tab-${name}`).setAttribute('aria-current', name === view ? 'page' : 'true');
    else at(`tab-${name}`).removeAttribute('aria-current');
  }
  at('process').hidden = !isProcess;
  if (isProcess) process.open(subject, look);
  else process.close();
  statuses.open(view === 'statuses');
  if (view === 'dependencies') dependencies.open();
  if (known.picture.cluster.name) showAll();
}
addEventListener('hashchange', showView);

function showAll() {
  showCluster();
  if (view === 'workers') {
    showWorkers();
    showTiles();
    showQueue();
    showEvents();
    showPoints();
  } else if (view === 'process') process.show();
  else if (view === 'caches') showCaches();
}

/** Shows what has changed, and nothing else. */
function show(news) {
  const { patch = {} } = news;
  if (patch.cluster) showCluster();
  if (view === 'workers') {
    if (patch.workers || patch.cluster) {
      showWorkers(Object.keys(patch.workers ?? {}));
      showTiles();
    }
    if (patch.queue) showQueue();
    if (news.events) showEvents();
    if (news.points) showPoints();
  } else if (view === 'process') process.show();
  else if (view === 'caches' && patch.caches) showCaches();
}

/** Takes what has come, and keeps account of what that costs: see the measures called `update`. */
function update(take, showIt) {
  const begun = performance.now();
  take();
  showIt();
  performance.measure('update', { start: begun, end: performance.now() });
  if (performance.getEntriesByName('update').length > 500) performance.clearMeasures('update');
}

listen('debug/live', (event, data) => {
  showAway(false);
  if (event === 'all') update(() => takeAll(data), showAll);
  else update(() => takeNews(data), () => show(data));
}, () => showAway(true));

setInterval(() => {
  if (document.hidden) return;
  showAge();
  if (view === 'workers') {
    showTimes();
    if (known.picture.queue.length) showQueue();
  }
}, 1000);
showView();
