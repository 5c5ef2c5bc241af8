// Where a process's time goes: a look of some seconds, and the flame graph of it.

import { reach } from './act.js';
import { make } from './dom.js';
import { flame, framesOf } from './flame.js';
import { percent } from './format.js';
import { known } from './state.js';

const [MOST_SECONDS, SECONDS] = [300, 5];
/** So many functions are named beside the picture. */
const NAMED = 12;

const seconds = make('input', { id: 'profile-seconds', type: 'number', min: '1', max: String(MOST_SECONDS), value: String(SECONDS), required: true });
const start = make('button', { class: 'main', id: 'profile-start' }, 'Record');
const cancel = make('button', { type: 'button', hidden: true }, 'Cancel');
const keep = make('a', { id: 'profile-keep', hidden: true }, 'Keep it (SVG)');
const passes = make('progress', { 'aria-label': 'Recorded', hidden: true });
const says = make('span', { class: 'dim', role: 'status' });
const form = make('form', { class: 'bar' }, make('label', { for: 'profile-seconds' }, 'Seconds'), seconds, start, cancel, passes, says, keep);
const seen = make('div', { id: 'profile-seen' });

let process;
let abort;
let url;

function open(of) {
  process = of;
  seen.replaceChildren();
  keep.hidden = true;
  says.textContent = 'It is looked at from outside, and serves meanwhile.';
}

function close() {
  abort?.abort();
  seen.replaceChildren();
}

/** The functions that took the most time by themselves. */
function functions(frames) {
  const own = new Map();
  for (const frame of frames) {
    const inner = frame.calls.reduce((sum, call) => sum + call.count, 0);
    own.set(frame.name, (own.get(frame.name) ?? 0) + frame.count - inner);
  }
  const most = [...own].filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a).slice(0, NAMED);
  return make('table', { class: 'rows functions' },
    make('thead', {}, make('tr', {}, make('th', { scope: 'col' }, 'Function'), make('th', { scope: 'col' }, 'Of its own'))),
    make('tbody', {}, ...most.map(([name, count]) => make('tr', {}, make('td', { class: 'mono', title: name }, name), make('td', {}, percent(count / frames[0].count))))));
}

function show(svg, of) {
  const { frames, about } = framesOf(svg);
  if (url) URL.revokeObjectURL(url);
  url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  keep.href = url;
  keep.download = `${known.picture.cluster.name}-${of}.svg`;
  keep.hidden = false;
  says.textContent = about;
  const drawn = frames[0]?.count ? [flame(frames), make('h2', {}, 'Functions'), functions(frames)] : [make('p', { class: 'none' }, 'No thread of it ran in that time.')];
  seen.replaceChildren(...drawn);
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  abort?.abort();
  const [mine, of, wanted] = [new AbortController(), process, Number(seconds.value)];
  abort = mine;
  seen.replaceChildren();
  keep.hidden = true;
  start.disabled = true;
  cancel.hidden = passes.hidden = false;
  says.textContent = '';
  passes.max = wanted;
  const begun = performance.now();
  const clock = setInterval(() => {
    const passed = (performance.now() - begun) / 1000;
    if (passed < wanted) passes.value = passed;
    else {
      passes.removeAttribute('value');
      says.textContent = 'The names are looked up…';
    }
  }, 200);
  try {
    const svg = await (await reach(`debug/profile/${of}?seconds=${wanted}`, { signal: mine.signal })).text();
    if (!mine.signal.aborted) show(svg, of);
  } catch (error) {
    says.textContent = mine.signal.aborted ? 'Cancelled.' : error.message;
  } finally {
    clearInterval(clock);
    start.disabled = false;
    cancel.hidden = passes.hidden = true;
  }
});
cancel.addEventListener('click', () => abort?.abort());

export const profile = { name: 'profile', label: 'Profile', element: make('div', { id: 'profile' }, form, seen), open, close };
