// Elements. Whatever comes from outside is put in as text, and only as text.

/** An element with attributes and children; a child that is no node is text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const at = (id) => document.getElementById(id);

/** Sets a text where it is another one: what stays the same costs nothing. */
export function write(node, text) {
  if (node.shown !== text) {
    node.shown = text;
    node.textContent = text;
  }
}

/** The same for an attribute. */
export function mark(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

const SVG = 'http://www.w3.org/2000/svg';

/** A line of the last ten minutes, without a scale: its form says whether something is as usual. */
export function spark() {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'spark');
  svg.setAttribute('viewBox', '0 0 60 18');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const area = document.createElementNS(SVG, 'polygon');
  const line = document.createElementNS(SVG, 'polyline');
  svg.append(area, line);
  return { svg, area, line };
}

export function draw({ area, line }, values, most) {
  if (values.length < 2) return;
  const top = Math.max(...values, 1e-9);
  // Of a young worker less is shown, so that there is something to see.
  const step = 60 / (Math.min(most, Math.max(12, values.length)) - 1);
  const from = 60 - step * (values.length - 1);
  const points = values.map((v, n) => `${(from + n * step).toFixed(1)},${(17 - (v / top) * 15).toFixed(1)}`).join(' ');
  line.setAttribute('points', points);
  area.setAttribute('points', `${from.toFixed(1)},18 ${points} 60,18`);
}
