// A debugger at one worker: attached for as long as this page wants it.

import { copier, question, reach, toast } from './act.js';
import { make, mark, write } from './dom.js';
import { known } from './state.js';
import { read } from './stream.js';

/** The sessions of this page, by worker; the one that is begun with a fresh worker is called so. */
const sessions = new Map();

const attach = make('button', { type: 'button', class: 'main', id: 'debugger-attach' }, 'Attach');
const end = make('button', { type: 'button', class: 'hurts', id: 'debugger-end' }, 'End');
const says = make('span', { class: 'dim', role: 'status' });
const command = make('pre', { class: 'command', id: 'debugger-command', tabindex: '0', 'aria-label': 'The command that connects a debugger' });
const given = make('div', { hidden: true },
  make('p', { class: 'none' }, 'In a terminal on this machine; the worker stands still until the debugger has it go on:'), command,
  make('div', { class: 'bar' }, copier(() => command.textContent, 'Copy the command')));

let process;

function open(of) {
  process = of;
  show(known.picture.workers[of]);
}

/** This page's session with the process that is in sight. */
function current() {
  const command = known.picture.workers[process]?.debugger;
  return sessions.get(process) ?? [...sessions.values()].find((session) => command && session.command === command);
}

function show(worker) {
  const session = current();
  const text = session ? session.command : worker?.debugger;
  given.hidden = !text;
  write(command, text ?? '');
  attach.hidden = Boolean(session);
  attach.disabled = Boolean(worker?.debugger) || (process !== 'fresh' && !worker);
  end.hidden = !session;
  const fresh = process === 'fresh' && text && Object.keys(known.picture.workers).find((id) => known.picture.workers[id].debugger === text);
  if (session) write(says, fresh ? `It is worker ${fresh}. ${session.says}` : session.says);
  else if (worker?.debugger) write(says, 'A debugger is attached by somebody else.');
  else write(says, ends.get(process) ?? idle(worker));
  mark(says, 'data-debugger', session?.command ? 'attached' : 'none');
}

const idle = (worker) => {
  if (process === 'fresh') return 'A further worker is started, which waits for the debugger before its first step.';
  return worker?.isolated ? 'It is isolated: nobody else waits for it while it stands still.' : 'It is isolated first, so that nobody waits for it while it stands still.';
};

/** How the last session of each ended. */
const ends = new Map();

attach.addEventListener('click', async () => {
  const of = process;
  const isApart = of === 'fresh' || known.picture.workers[of]?.isolated;
  const text = 'A successor is started; when it serves, this worker is isolated and stands still for the debugger. When the debugging is over, it ends.';
  if (!isApart && !(await question(`Debug worker ${of}`, text, { yes: 'Attach' }))) return;
  await begin(of);
});
end.addEventListener('click', () => current()?.abort.abort());

function now() {
  show(known.picture.workers[process]);
}

async function begin(of) {
  const session = { abort: new AbortController(), says: 'Attaching…' };
  sessions.set(of, session);
  ends.delete(of);
  now();
  const whom = of === 'fresh' ? 'Debugging a fresh worker' : `Debugging worker ${of}`;
  const over = (text, bad) => {
    session.over = true;
    ends.set(of, text);
    toast(`${whom}: ${text}`, bad);
  };
  try {
    const answer = await reach(`debug/attach/${of}`, { method: 'POST', signal: session.abort.signal });
    await read(answer.body, session.abort, (event, data) => {
      if (event === 'note') session.says = `${data.text}…`;
      else if (event === 'attached') {
        session.command = data.text;
        session.says = 'Attached. It is over when the debugger leaves, when you end it, or when this page is closed.';
      } else if (event === 'refused') over(data.error, true);
      else if (event === 'end') over(data.retires ? 'over; the worker ends' : 'over; the worker is isolated still');
      now();
    });
    if (!session.over) over('the master does not answer', true);
  } catch (error) {
    if (!session.over) over(session.abort.signal.aborted ? 'ended' : error.message, !session.abort.signal.aborted);
  }
  sessions.delete(of);
  now();
}

export const debuggers = {
  name: 'debugger',
  label: 'Debugger',
  element: make('div', { id: 'debugger' }, make('div', { class: 'bar' }, attach, end, says), given),
  open,
  close() {},
  show,
};
