// What is done: asked for where it hurts, and what came of it is shown.

import { at, make } from './dom.js';

const TOKEN = 'cluster-monitor-token';

export function headers(more = {}) {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { ...more, authorization: `Bearer ${token}` } : more;
}

/** An answer, where it is a good one; where the token is missing or wrong, that is asked for first. An error says what the cluster says. */
export async function reach(path, options = {}) {
  const more = options.body === undefined ? {} : { 'content-type': 'application/json' };
  let answer;
  try {
    answer = await fetch(path, { cache: 'no-store', ...options, headers: headers(more) });
  } catch {
    throw new Error('the master does not answer');
  }
  if (answer.ok) return answer;
  if (answer.status === 401) {
    const token = await question('The token of this monitor', 'Whoever acts shows it (--mon-token). It is kept until this tab is closed.', {
      label: 'Token',
      type: 'password',
      yes: 'Go on',
    });
    if (token) {
      sessionStorage.setItem(TOKEN, token);
      return reach(path, options);
    }
  }
  const body = await answer.json().catch(() => ({}));
  const error = new Error(body.error ?? `the answer was ${answer.status}`);
  error.status = answer.status;
  error.force = body.force === true;
  throw error;
}

/** The same of JSON. */
export async function ask(path, options) {
  const answer = await reach(path, options);
  return answer.json().catch(() => ({}));
}

export function toast(text, bad = false) {
  const shown = make('div', { class: bad ? 'toast bad' : 'toast' }, text);
  at('toasts').append(shown);
  setTimeout(() => shown.remove(), bad ? 12_000 : 5_000);
}

/** Asks the operator. Gives back the text typed in, `true` without one, or nothing. */
export function question(title, text, { label, type = 'text', value = '', yes = 'Do it' } = {}) {
  const [dialog, input] = [at('dialog'), at('dialog-input')];
  at('dialog-title').textContent = title;
  at('dialog-text').textContent = text;
  at('dialog-yes').textContent = yes;
  at('dialog-label').hidden = !label;
  at('dialog-label').firstElementChild.textContent = label ?? '';
  Object.assign(input, { type, value });
  dialog.returnValue = '';
  dialog.showModal();
  if (label) input.select();
  return new Promise((done) => {
    dialog.addEventListener('close', () => done(dialog.returnValue === 'yes' ? (label ? input.value : true) : undefined), { once: true });
  });
}
at('dialog-no').addEventListener('click', () => at('dialog').close());

/** Carries out one of the actions that the cluster offers. */
export async function act(action, worker, current) {
  const whom = worker === undefined ? '' : ` worker ${worker}`;
  const title = `${action.label}${whom}`;
  const body = worker === undefined ? {} : { worker };
  if (action.takes) {
    const given = await question(title, action.confirm ?? '', { label: action.takes, type: 'number', value: current ?? '', yes: action.label });
    if (given === undefined) return;
    body[action.takes] = Number(given);
  } else if (action.confirm && !(await question(title, action.confirm, { yes: action.label }))) {
    return;
  }
  await done(title, () => ask(`debug/actions/${action.name}`, { method: 'POST', body: JSON.stringify(body) }), async () => {
    body.force = true;
    await done(title, () => ask(`debug/actions/${action.name}`, { method: 'POST', body: JSON.stringify(body) }));
  });
}

async function done(title, work, insist) {
  try {
    const { outcome } = await work();
    toast(`${title}: ${outcomeOf(outcome)}`);
  } catch (error) {
    if (insist && error.force && (await question(title, `${error.message}.`, { yes: 'All the same' }))) return insist();
    toast(`${title}: ${error.message}`, true);
  }
}

function outcomeOf(outcome) {
  if (outcome?.address) return `done; it serves at ${outcome.address}, and nowhere else`;
  if (outcome?.retires === true) return 'done; it ends';
  if (outcome?.retires === false) return 'done; it serves with the others again';
  return 'done';
}

/** A button that puts a text into the clipboard. */
export function copier(text, label = 'Copy') {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      toast('Copied');
    } catch {
      toast('This browser copies nothing from here: select the text, and copy it by hand', true);
    }
  };
  return make('button', { type: 'button', onclick: copy }, label);
}

/** A menu of actions beside a button. */
export function menu(button, actions, choose) {
  const menu = at('menu');
  const items = actions.map((action) =>
    make('button', {
      type: 'button',
      'data-action': action.name,
      onclick: () => {
        menu.hidePopover();
        button.focus();
        choose(action);
      },
    }, action.label + (action.confirm || action.takes ? '…' : '')),
  );
  menu.replaceChildren(...items);
  menu.showPopover();
  const [spot, size] = [button.getBoundingClientRect(), menu.getBoundingClientRect()];
  menu.style.left = `${Math.max(8, Math.min(spot.left, innerWidth - size.width - 8))}px`;
  menu.style.top = `${spot.bottom + size.height + 8 < innerHeight ? spot.bottom + 4 : Math.max(8, spot.top - size.height - 4)}px`;
  items[0]?.focus();
}
at('menu').addEventListener('keydown', (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const items = [...at('menu').children];
  items[(items.indexOf(document.activeElement) + step + items.length) % items.length]?.focus();
});
