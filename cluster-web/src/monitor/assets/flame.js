// A flame graph to walk about in. Of the picture that comes only texts, figures and colours are taken, and drawn anew as wide as there is room.

import { make } from './dom.js';
import { count, percent } from './format.js';

const SVG = 'http://www.w3.org/2000/svg';
const [ROW, LETTER] = [17, 6.7];
/** What would be narrower is left out, in pixels. */
const NARROWEST = 0.5;

/** The frames of a picture, from the outermost on, each with its place as a share of the whole; and what is said of them all. */
export function framesOf(text) {
  const picture = new DOMParser().parseFromString(text, 'image/svg+xml');
  const width = Number(picture.documentElement.getAttribute('width')) || 1;
  const about = [...picture.documentElement.children].filter((child) => child.tagName === 'text').at(-1)?.textContent ?? '';
  const frames = [];
  const tops = [];
  const path = [];
  for (const group of picture.querySelectorAll('g')) {
    const [title, rect] = [group.querySelector('title'), group.querySelector('rect')];
    const [, name, samples] = /^(.*): (\d+) samples, [\d.]+ %$/s.exec(title?.textContent ?? '') ?? [];
    if (name === undefined || !rect) continue;
    const top = Number(rect.getAttribute('y'));
    let depth = tops.indexOf(top);
    if (depth < 0) depth = tops.push(top) - 1;
    const colour = rect.getAttribute('fill') ?? '';
    const frame = { name, depth, count: Number(samples), calls: [], colour: /^hsl\(\d+,\d+%,\d+%\)$/.test(colour) ? colour : '#ccc' };
    frame.caller = path[depth - 1];
    frame.from = Number(rect.getAttribute('x')) / width;
    frame.share = frame.count / Math.max(1, frames[0]?.count ?? frame.count);
    frame.caller?.calls.push(frame);
    path[depth] = frame;
    frames.push(frame);
  }
  return { frames, about };
}

function element(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** The end of a path says more than its beginning. */
const shortened = (name, letters) => (name.length <= letters ? name : `…${name.slice(1 - letters)}`);

/** The graph, the outermost frame on top. A click, or Enter, spreads a frame over the whole width; Escape brings back all. */
export function flame(frames) {
  const all = frames[0];
  const svg = element('svg', { class: 'flame', 'aria-hidden': 'true' });
  const caption = make('p', { class: 'mono caption', 'aria-live': 'polite' });
  const field = make('div', {
    class: 'scroll field',
    tabindex: '0',
    role: 'application',
    'aria-label': 'Flame graph: the arrow keys go to the caller, to what it calls, and to its neighbours; Enter spreads a frame, Escape shows all',
  }, svg);
  const [of, boxes] = [new Map(), new Map()];
  let spread = all;
  let chosen = all;

  function draw() {
    of.clear();
    boxes.clear();
    const width = field.clientWidth;
    if (!width) return;
    let deepest = 0;
    const drawn = [];
    for (const frame of frames) {
      const left = ((frame.from - spread.from) / spread.share) * width;
      const right = left + (frame.share / spread.share) * width;
      const [x, end] = [Math.max(0, left), Math.min(width, right)];
      const isAround = frame.depth < spread.depth;
      if (end - x < NARROWEST || (isAround && !surrounds(frame))) continue;
      deepest = Math.max(deepest, frame.depth);
      const box = element('g', { class: isAround ? 'around' : '' });
      const y = frame.depth * ROW;
      box.append(element('title', {}, saying(frame)), element('rect', { x: x.toFixed(1), y, width: Math.max(0.4, end - x - 0.4).toFixed(1), height: ROW - 1, rx: 1, fill: frame.colour }));
      const letters = Math.floor((end - x - 6) / LETTER);
      if (letters >= 3) box.append(element('text', { x: (x + 3).toFixed(1), y: y + 12, fill: '#111' }, shortened(frame.name, letters)));
      of.set(box, frame);
      boxes.set(frame, box);
      drawn.push(box);
    }
    svg.setAttribute('height', (deepest + 1) * ROW);
    svg.setAttribute('width', width);
    svg.replaceChildren(...drawn);
    choose(chosen);
  }

  function surrounds(frame) {
    for (let inner = spread; inner; inner = inner.caller) if (inner === frame) return true;
    return false;
  }

  const saying = (frame) => `${frame.name}: ${count(frame.count)} samples, ${percent(frame.share)}`;

  function choose(frame) {
    boxes.get(chosen)?.classList.remove('chosen');
    chosen = frame;
    boxes.get(chosen)?.classList.add('chosen');
    caption.textContent = saying(frame);
  }

  function spreadOut(frame) {
    spread = chosen = frame;
    draw();
  }

  const under = (event) => of.get(event.target.closest('g'));
  svg.addEventListener('pointerover', (event) => under(event) && choose(under(event)));
  svg.addEventListener('click', (event) => under(event) && spreadOut(under(event)));
  field.addEventListener('keydown', (event) => {
    const beside = (step) => {
      const siblings = (chosen.caller?.calls ?? [all]).filter((frame) => boxes.has(frame));
      return siblings[siblings.indexOf(chosen) + step];
    };
    const widest = () => chosen.calls.filter((frame) => boxes.has(frame)).sort((a, b) => b.count - a.count)[0];
    const goes = { ArrowUp: () => chosen.caller, ArrowDown: widest, ArrowLeft: () => beside(-1), ArrowRight: () => beside(1) }[event.key];
    if (goes) {
      const frame = goes();
      if (frame) choose(frame);
      const y = chosen.depth * ROW;
      field.scrollTop = Math.min(y, Math.max(field.scrollTop, y - field.clientHeight + 2 * ROW));
    } else if (event.key === 'Enter') spreadOut(chosen);
    else if (event.key === 'Escape') spreadOut(all);
    else return;
    event.preventDefault();
  });
  new ResizeObserver(draw).observe(field);
  return make('div', { class: 'graph' }, caption, field);
}
