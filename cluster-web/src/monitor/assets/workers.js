// The first view: the cluster's figures, a row for each worker, who is to be replaced, what has happened.

import { act, menu } from './act.js';
import { at, draw, make, mark, spark, write } from './dom.js';
import { bytes, count, micros, percent, span, time } from './format.js';
import { LOOKS, lookAt, offered } from './process.js';
import { known, now } from './state.js';

const rows = new Map();
/** Rows beyond the wanted number that there is room for: a successor serves before its worker goes. */
const SPARE = 1;
const ROW = 34;
const POINT = { tps: 0, p99: 1, cpu: 2, memory: 3 };

function figure(label) {
  const [text, line] = [make('span'), spark()];
  const cell = make('td', { 'data-label': label }, make('div', { class: 'fig' }, line.svg, text));
  return { cell, text, line };
}

function newRow(id) {
  const row = {
    id: make('a', { href: `#process/${id}`, 'aria-label': `Worker ${id}` }, id),
    pid: make('span'),
    log: make('span', { class: 'tag', hidden: true }, 'log'),
    debug: make('span', { class: 'tag', hidden: true }),
    state: make('span', { class: 'state' }),
    up: make('td', { class: 'c-up', 'data-label': 'Uptime' }),
    tps: figure('Requests/s'),
    p50: make('td', { 'data-label': 'p50' }),
    p99: figure('p99'),
    cpu: figure('CPU'),
    memory: figure('Memory'),
    connections: make('td', { 'data-label': 'Conns' }),
    lag: make('td', { 'data-label': 'Lag' }),
  };
  const button = make('button', { type: 'button', class: 'plain', 'aria-haspopup': 'true', 'aria-label': `Actions of worker ${id}` }, '•••');
  const choose = (chosen) => (LOOKS.includes(chosen) ? lookAt(id, chosen.name) : act(chosen, Number(id)));
  button.addEventListener('click', () => menu(button, [...offered(id), ...LOOKS], choose));
  row.element = make('tr', { 'data-worker': id },
    make('td', { class: 'id' }, row.id, ' ', row.pid, row.debug, row.log),
    make('td', { class: 'c-state' }, row.state),
    row.up, row.tps.cell, row.p50, row.p99.cell, row.cpu.cell, row.memory.cell, row.connections, row.lag,
    make('td', { class: 'c-act' }, button));
  return row;
}

function fill(row, worker) {
  write(row.pid, `pid ${worker.pid} · g${worker.generation}`);
  const state = worker.suspect ? 'silent' : worker.state;
  write(row.state, state);
  mark(row.state, 'data-state', state);
  mark(row.state, 'title', worker.isolated ? `It serves at ${worker.isolated}, and nowhere else` : '');
  row.debug.hidden = !worker.debugger;
  write(row.debug, worker.debugger?.startsWith('lldb') ? 'lldb' : 'gdb');
  mark(row.debug, 'title', worker.debugger ?? '');
  row.log.hidden = !worker.log_filter;
  mark(row.log, 'title', worker.log_filter ? `It logs ${worker.log_filter}` : '');
  write(row.tps.text, count(worker.tps));
  write(row.p50, worker.p50 ? micros(worker.p50) : '–');
  write(row.p99.text, worker.p99 ? micros(worker.p99) : '–');
  write(row.cpu.text, percent(worker.cpu / 1000));
  write(row.memory.text, worker.memory == null ? '–' : bytes(worker.memory * 1024));
  write(row.connections, count(worker.connections));
  write(row.lag, micros(worker.lag));
}

/** Brings the rows up to what is known; of those named alone, where some are. */
export function showWorkers(changed) {
  const { workers, cluster } = known.picture;
  for (const [id, row] of rows) {
    if (!(id in workers)) {
      row.element.remove();
      rows.delete(id);
    }
  }
  for (const id of changed ?? Object.keys(workers)) {
    const worker = workers[id];
    if (!worker) continue;
    let row = rows.get(id);
    if (!row) {
      row = newRow(id);
      rows.set(id, row);
      const after = [...at('rows').children].find((other) => Number(other.dataset.worker) > Number(id));
      at('rows').insertBefore(row.element, after ?? null);
      showUptime(row, worker);
    }
    fill(row, worker);
  }
  const room = Math.max(cluster.wanted + SPARE, rows.size) * ROW;
  at('rows').parentElement.parentElement.style.minHeight = innerWidth > 640 ? `${room + 32}px` : '';
}

export function showPoints() {
  for (const [id, row] of rows) {
    const points = known.points.get(id)?.points ?? [];
    for (const [name, place] of Object.entries(POINT)) {
      draw(row[name].line, points.map((point) => point[place]), known.mostPoints);
    }
  }
  for (const tile of Object.values(tiles)) {
    if (tile.place !== undefined) draw(tile.line, together(tile.place, tile.join), known.mostPoints);
  }
}

/** The points of all workers, those of the same time made one. */
function together(place, join) {
  const all = [];
  for (const { points } of known.points.values()) {
    for (let back = 1; back <= points.length; back += 1) {
      all[back - 1] = join(all[back - 1] ?? 0, points[points.length - back][place]);
    }
  }
  return all.reverse();
}

function showUptime(row, worker) {
  write(row.up, span(now() - worker.started));
}

export function showTimes() {
  for (const [id, row] of rows) {
    const worker = known.picture.workers[id];
    if (worker) showUptime(row, worker);
  }
}

const sum = (a, b) => a + b;
const tiles = {};

function tile(name, label, place, join) {
  const [value, line] = [make('b', {}, '–'), spark()];
  const element = make('div', { class: 'tile' }, make('span', {}, label), value);
  if (place !== undefined) element.append(line.svg);
  tiles[name] = { value, line, place, join };
  at('tiles').append(element);
}
tile('tps', 'Requests per second', POINT.tps, sum);
tile('p99', 'p99, slowest worker', POINT.p99, Math.max);
tile('cpu', 'CPU, in cores', POINT.cpu, sum);
tile('memory', 'Memory of workers', POINT.memory, sum);
tile('connections', 'Connections');
tile('errors', 'Errors of all requests');

export function showTiles() {
  const workers = Object.values(known.picture.workers);
  const total = (key) => workers.reduce((all, worker) => all + (worker[key] ?? 0), 0);
  write(tiles.tps.value, count(total('tps')));
  write(tiles.p99.value, micros(Math.max(0, ...workers.map((worker) => worker.p99 ?? 0))));
  write(tiles.cpu.value, (total('cpu') / 1000).toFixed(2));
  write(tiles.memory.value, bytes(total('memory') * 1024));
  write(tiles.connections.value, count(total('connections')));
  write(tiles.errors.value, percent(total('errors') / Math.max(1, total('requests'))));
}

export function showQueue() {
  const { queue } = known.picture;
  write(at('queue-count'), queue.length ? String(queue.length) : '');
  const items = queue.map((entry) =>
    make('li', {}, make('div', {}, make('b', {}, `Worker ${entry.worker}`), make('span', { class: 'dim', title: entry.reason }, entry.reason)),
      make('span', { class: 'dim' }, span(now() - entry.since))));
  at('queue').replaceChildren(...(items.length ? items : [make('li', { class: 'dim' }, 'Nobody.')]));
}

const slots = [];

/** Each place in the list stays where it is, and says something else: nothing moves under the eyes of who reads. */
export function showEvents() {
  const { events } = known;
  while (slots.length < events.length) {
    const slot = { time: make('time'), what: make('b'), text: make('span', { class: 'dim' }) };
    slot.element = make('li', {}, slot.time, make('div', {}, slot.what, slot.text));
    slots.push(slot);
    at('events').append(slot.element);
  }
  slots.forEach((slot, n) => {
    const event = events[events.length - 1 - n];
    slot.element.hidden = !event;
    if (!event) return;
    slot.element.classList.toggle('bad', event.bad === true);
    write(slot.time, time(event.at));
    const whom = event.worker ? `Worker ${event.worker} ` : '';
    write(slot.what, `${whom}${event.what}`);
    write(slot.text, event.text || (event.pid ? `pid ${event.pid}` : ''));
    mark(slot.text, 'title', event.text ?? '');
  });
}
