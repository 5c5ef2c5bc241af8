// What the program is made of, as a tree that can be searched.

import { ask } from './act.js';
import { at, make } from './dom.js';

const search = make('input', { type: 'search', placeholder: 'Search packages', 'aria-label': 'Search packages' });
const from = make('span', { class: 'dim' });
const tree = make('div', { class: 'tree' });
at('dependencies').append(make('div', { class: 'panel' }, make('h2', {}, 'Dependencies'), make('div', { class: 'bar' }, search, from), tree));

let root;

export async function open() {
  if (root) return;
  try {
    root = await ask('deps');
    from.textContent = `${countOf(root).size} packages, from ${root.from}`;
    render();
  } catch (error) {
    tree.replaceChildren(make('p', {}, error.message));
  }
}

function countOf(node, all = new Set()) {
  all.add(`${node.name} ${node.version}`);
  for (const child of Object.values(node.dependencies ?? {})) countOf(child, all);
  return all;
}

function render() {
  const wanted = search.value.trim().toLowerCase();
  const list = make('ul');
  if (wanted) {
    const hit = branch(root, wanted);
    list.append(hit ?? make('li', {}, 'No package of this name.'));
  } else list.append(item(root, true));
  tree.replaceChildren(list);
}

function line(node, wanted) {
  const name = node.name ?? '';
  const at = wanted ? name.toLowerCase().indexOf(wanted) : -1;
  const shown = at < 0 ? [name] : [name.slice(0, at), make('mark', {}, name.slice(at, at + wanted.length)), name.slice(at + wanted.length)];
  const more = [node.kind, node.repeated ? 'spelled out elsewhere' : undefined, node.source === 'crates.io' ? undefined : node.source].filter(Boolean).join(', ');
  return [make('span', { class: 'mono' }, ...shown), make('span', { class: 'dim' }, node.version), make('span', { class: 'dim' }, more)];
}

/** A package; what it needs is laid out when it is opened. */
function item(node, isOpen) {
  const needs = Object.values(node.dependencies ?? {});
  const element = make('li');
  const twig = make('button', { type: 'button', class: 'twig', 'aria-expanded': 'false', 'aria-label': `What ${node.name} needs` }, '▸');
  element.append(make('div', {}, needs.length ? twig : make('span', { class: 'twig' }), ...line(node)));
  const toggle = () => {
    const opened = element.querySelector(':scope > ul');
    twig.setAttribute('aria-expanded', String(!opened));
    twig.textContent = opened ? '▸' : '▾';
    if (opened) opened.remove();
    else element.append(make('ul', {}, ...needs.map((need) => item(need, false))));
  };
  twig.addEventListener('click', toggle);
  if (isOpen && needs.length) toggle();
  return element;
}

/** The ways to the packages that are searched for, and nothing else. */
function branch(node, wanted) {
  const below = Object.values(node.dependencies ?? {}).map((need) => branch(need, wanted)).filter(Boolean);
  const isHit = (node.name ?? '').toLowerCase().includes(wanted);
  if (!isHit && !below.length) return undefined;
  const element = make('li', {}, make('div', {}, make('span', { class: 'twig' }), ...line(node, wanted)));
  if (below.length) element.append(make('ul', {}, ...below));
  return element;
}

let later;
search.addEventListener('input', () => {
  clearTimeout(later);
  later = setTimeout(() => root && render(), 120);
});
