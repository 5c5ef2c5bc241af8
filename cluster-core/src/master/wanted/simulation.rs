//! A master without processes: the pure parts put together as the actors will, in a world in which anything may
//! happen next, with what must always hold checked after every step.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::accidents::{Accident, Accidents, Pace};
use super::super::death_queue::{DeathQueue, Entry, Outcome, Reason};
use super::super::proxy_state::{self, Effect, Event, Lifecycle, Signal, State, Timer};
use super::Wanted;
use super::command::{Command, command};
use super::reconcile::{Step, next};
use super::view::{View, WorkerView};
use crate::id::{Generation, WorkerId};

mod laws;

/// Something that happens. Numbers choose among the workers there are.
#[derive(Clone, Debug)]
enum Act {
    Command(Command),
    /// A worker gets one step further, be it to serving or to its end.
    Advance(usize),
    /// A worker on its way to serving fails: by its own report, or by not reporting.
    FailStart(usize, Event),
    /// A worker dies, or leaves, though nobody asked it to.
    Accident(usize, Event),
    /// A timer runs out, whether it means anything or not.
    Timer(usize, Event),
    /// A policy or the nanny wants a worker replaced.
    Condemn(usize),
    /// An operator wants a worker isolated, or gives it back.
    Isolate(usize),
    Release(usize),
    /// Milliseconds pass.
    Time(u64),
}

struct Simulated {
    view: WorkerView,
    timer: Option<Timer>,
}

struct Simulation {
    wanted: Wanted,
    queue: DeathQueue,
    accidents: Accidents,
    now: Instant,
    workers: BTreeMap<WorkerId, Simulated>,
    born: u32,
    /// Every push, in order: the independent record of who comes first.
    pushed: Vec<WorkerId>,
    /// The place in `pushed` of the latest whose replacement was begun.
    begun: usize,
    /// Who is being replaced, by whom: from the start of its successor to its end.
    replaced: Option<(WorkerId, WorkerId)>,
    /// The generation below which nobody may be left in the end.
    rolled_to: Generation,
    rolls_done: u32,
    has_listened: bool,
    /// The lowest count wanted since all was well; `None` before that has ever been so.
    floor: Option<u32>,
    /// Nothing has died by itself, so that the floor holds.
    unharmed: bool,
}

impl Simulation {
    fn new(count: u32) -> Self {
        let mut simulation = Self {
            wanted: Wanted::new(count),
            queue: DeathQueue::default(),
            accidents: Accidents::new(Pace::default()),
            now: Instant::now(),
            workers: BTreeMap::new(),
            born: 0,
            pushed: Vec::new(),
            begun: 0,
            replaced: None,
            rolled_to: Generation(1),
            rolls_done: 0,
            has_listened: false,
            floor: None,
            unharmed: true,
        };
        simulation.settle();
        assert_eq!(simulation.workers.len(), count as usize, "all at once");
        simulation
    }

    fn with_view<T>(&mut self, ask: impl FnOnce(&mut Wanted, &View<'_>) -> T) -> T {
        let apart = |view: WorkerView| WorkerView {
            apart: self.wanted.isolated.contains(&view.id),
            ..view
        };
        let workers: Vec<_> = self.workers.values().map(|w| apart(w.view)).collect();
        let view = View {
            workers: &workers,
            queue: &self.queue,
            accidents: &self.accidents,
            now: self.now,
        };
        ask(&mut self.wanted, &view)
    }

    fn count(&self, is: impl Fn(State) -> bool) -> u32 {
        // Those that are isolated count for nothing.
        let counted = |worker: &&Simulated| !self.wanted.isolated.contains(&worker.view.id);
        let workers = self.workers.values().filter(counted);
        workers.map(|worker| u32::from(is(worker.view.state))).sum()
    }

    fn state(&self, worker: WorkerId) -> Option<State> {
        self.workers.get(&worker).map(|worker| worker.view.state)
    }

    fn pick(&self, number: usize) -> Option<WorkerId> {
        let place = number.checked_rem(self.workers.len())?;
        self.workers.keys().nth(place).copied()
    }

    // What the actors will do.

    fn feed(&mut self, id: WorkerId, event: Event) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        let (state, effects) = proxy_state::step(worker.view.state, event);
        worker.view.state = state;
        for effect in effects {
            self.carry_out(id, event, *effect);
        }
    }

    fn carry_out(&mut self, id: WorkerId, event: Event, effect: Effect) {
        match effect {
            Effect::StartTimer(timer) => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.timer = Some(timer);
                }
            }
            Effect::Signal(Signal::Kill) => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.view.killed = true;
                }
            }
            Effect::Accident => {
                self.unharmed = false;
                let kind = match event {
                    Event::StartFailed => Accident::StartFailed,
                    Event::StartTimeout => Accident::StartTimeout,
                    Event::Leaving => Accident::Left,
                    _ => Accident::Signalled(9),
                };
                self.accidents.note(self.now, kind);
            }
            Effect::Announce(Lifecycle::Listening) => {
                self.has_listened = true;
                self.accidents.listened();
            }
            Effect::Announce(Lifecycle::WarmUpFailed) => {
                let ended = self.queue.successor_failed(id);
                self.left_queue(ended);
            }
            Effect::Announce(Lifecycle::Died) => {
                self.workers.remove(&id);
                self.wanted.forget(id);
                let ended = self.queue.gone(id);
                self.left_queue(ended);
                if self.replaced.is_some_and(|(old, _)| old == id) {
                    self.replaced = None;
                }
            }
            Effect::Announce(_) | Effect::Send(_) | Effect::Signal(Signal::Term) => {}
        }
    }

    fn left_queue(&mut self, ended: Option<(Entry, Outcome)>) {
        let Some((entry, Outcome::GaveUp)) = ended else {
            return;
        };
        assert!(
            self.state(entry.worker).is_some_and(State::is_living),
            "gave up, and kept the old one"
        );
        self.replaced = None;
        if self
            .wanted
            .gave_up(&entry.reason, &mut self.queue)
            .is_some()
        {
            self.rolled_to = Generation(1);
        }
    }

    /// Steps until there is nothing to do; says why there is not.
    fn settle(&mut self) -> Step {
        for _ in 0..1000 {
            let step = self.with_view(|wanted, view| next(wanted, view));
            match step {
                Step::Start { as_successor_of } => self.start(as_successor_of),
                Step::Dismiss { worker } => self.dismiss(worker),
                Step::Pause { worker } => {
                    assert_eq!(self.state(worker), Some(State::Active));
                    self.feed(worker, Event::Pause);
                }
                Step::Resume { worker } => {
                    assert_eq!(self.state(worker), Some(State::Paused));
                    self.feed(worker, Event::Resume);
                }
                Step::Isolate { worker } => {
                    let (old, successor) = self.replaced.take().expect("it has a successor");
                    assert!(old == worker && self.state(successor).is_some_and(State::is_up));
                    let left = self.queue.gone(worker);
                    assert!(left.is_some_and(|(entry, _)| entry.reason == Reason::Isolate));
                    self.wanted.isolate(worker);
                    self.feed(worker, Event::Isolate);
                }
                Step::Enqueue { worker, reason } => self.enqueue(worker, reason),
                Step::Kill { worker } => {
                    assert!(self.wanted.stopping.is_some());
                    self.queue.dismissed(worker);
                    self.feed(worker, Event::Kill);
                }
                Step::RollDone => {
                    let roll = self.wanted.roll_done().expect("there was a roll");
                    assert!(
                        self.workers
                            .values()
                            .all(|worker| !worker.view.state.is_living()
                                || self.wanted.isolated.contains(&worker.view.id)
                                || worker.view.generation >= roll.to)
                    );
                    let old = self.replaced.and_then(|(old, _)| self.workers.get(&old));
                    assert!(old.is_none_or(|old| old.view.generation >= roll.to));
                    self.rolls_done += 1;
                }
                Step::Settled | Step::Stopped | Step::Hopeless | Step::Wait { .. } => {
                    if step == Step::Settled {
                        self.floor = Some(self.wanted.count);
                    }
                    self.check();
                    self.check_at_rest();
                    return step;
                }
            }
            self.check();
        }
        panic!("a thousand steps and no end");
    }

    fn start(&mut self, as_successor_of: Option<WorkerId>) {
        assert!(self.wanted.stopping.is_none(), "no births at the end");
        assert!(self.accidents.delay(self.now).is_zero(), "too soon");
        if as_successor_of.is_some() {
            let living = self.count(State::is_living);
            assert!(living >= self.wanted.count, "the dead first");
        }
        self.born += 1;
        let id = WorkerId(self.born);
        let mut worker = Simulated {
            view: WorkerView {
                id,
                state: State::Forked,
                generation: self.wanted.generation,
                killed: false,
                apart: false,
            },
            timer: None,
        };
        for effect in proxy_state::begin(State::Forked) {
            if let Effect::StartTimer(timer) = effect {
                worker.timer = Some(*timer);
            }
        }
        self.workers.insert(id, worker);
        if let Some(old) = as_successor_of {
            assert!(self.state(old).is_some_and(State::is_living));
            if let Some((other, _)) = self.replaced {
                assert_eq!(other, old, "two replaced at a time");
            }
            self.replaced = Some((old, id));
            let place = self.pushed.iter().rposition(|pushed| *pushed == old);
            let place = place.expect("it was pushed");
            assert!(place >= self.begun, "{old} jumped the queue");
            self.begun = place;
            self.queue.started(id);
        }
    }

    fn dismiss(&mut self, worker: WorkerId) {
        let up = self.count(State::is_up);
        let was_up = self.state(worker).is_some_and(State::is_up);
        if was_up && self.wanted.stopping.is_none() {
            let has_successor = self.replaced.is_some_and(|(old, successor)| {
                old == worker && self.state(successor).is_some_and(State::is_up)
            });
            assert!(
                has_successor || up > self.wanted.count,
                "{worker} was needed"
            );
        }
        if self.replaced.is_some_and(|(_, new)| new == worker) {
            self.replaced = None;
        }
        self.queue.dismissed(worker);
        self.feed(worker, Event::Dismiss);
    }

    fn enqueue(&mut self, worker: WorkerId, reason: Reason) {
        if self.queue.push(worker, reason, self.now) {
            self.pushed.push(worker);
        }
    }

    /// What holds at every moment.
    fn check(&self) {
        for entry in self.queue.iter() {
            assert!(self.workers.contains_key(&entry.worker), "a dead one waits");
        }
        if let Some(floor) = self.floor
            && self.unharmed
            && self.wanted.stopping.is_none()
        {
            let up = self.count(State::is_up);
            assert!(up + 1 >= floor, "{up} serve, {floor} are wanted");
        }
    }

    /// What holds when there is nothing to do: nobody is too many but one whose successor is on its way.
    fn check_at_rest(&self) {
        if self.wanted.stopping.is_none() {
            let extra = u32::from(self.queue.being_replaced().is_some());
            assert!(self.count(State::is_living) <= self.wanted.count + extra);
        }
    }

    // What the world does.

    fn act(&mut self, act: &Act) -> Step {
        match act {
            Act::Command(asked) => {
                let before = self.wanted.clone();
                let answer = self.with_view(|wanted, view| command(wanted, *asked, view));
                assert!(answer.is_ok() || self.wanted == before);
                if let Some(roll) = self.wanted.roll {
                    self.rolled_to = roll.to;
                }
                self.floor = self.floor.map(|floor| floor.min(self.wanted.count));
            }
            Act::Advance(number) => {
                if let Some(id) = self.pick(*number) {
                    self.advance(id);
                }
            }
            Act::FailStart(number, event)
            | Act::Accident(number, event)
            | Act::Timer(number, event) => {
                if let Some(id) = self.pick(*number) {
                    self.feed(id, *event);
                }
            }
            Act::Condemn(number) => {
                let id = self.pick(*number);
                let watched = |id: &WorkerId| {
                    let is_living = self.state(*id).is_some_and(State::is_living);
                    is_living && !self.wanted.isolated.contains(id)
                };
                if let Some(id) = id.filter(watched) {
                    self.enqueue(id, Reason::Silent { silent_ms: 1 });
                }
            }
            Act::Isolate(number) => {
                let id = self.pick(*number);
                let up = |id: &WorkerId| self.state(*id).is_some_and(State::is_up);
                if let Some(id) = id.filter(up) {
                    self.enqueue(id, Reason::Isolate);
                }
            }
            Act::Release(number) => {
                let isolated: Vec<_> = self.wanted.isolated.iter().copied().collect();
                if let Some(place) = number.checked_rem(isolated.len())
                    && self.state(isolated[place]) == Some(State::Isolated)
                {
                    self.wanted.isolated.remove(&isolated[place]);
                    self.feed(isolated[place], Event::Resume);
                }
            }
            Act::Time(ms) => self.now += Duration::from_millis(*ms),
        }
        self.settle()
    }

    fn advance(&mut self, id: WorkerId) {
        let event = match self.state(id) {
            Some(State::Forked) => Event::Connected,
            Some(State::Warming) => Event::Listening,
            Some(State::Retiring) => Event::Exited,
            _ => return,
        };
        self.feed(id, event);
    }

    /// Nothing goes wrong any more, and nobody asks for anything: how does it end?
    fn calm(&mut self) -> Step {
        for _ in 0..2000 {
            match self.settle() {
                Step::Wait { until } => {
                    let ids: Vec<_> = self.workers.keys().copied().collect();
                    for id in ids {
                        self.advance(id);
                        self.settle();
                    }
                    self.now = until.unwrap_or(self.now).max(self.now);
                }
                end => return end,
            }
        }
        panic!("it never comes to rest");
    }

    /// Workers that answer to nothing end by their timers alone.
    fn deaf(&mut self) {
        for _ in 0..3 {
            let ids: Vec<_> = self.workers.keys().copied().collect();
            for id in ids {
                let worker = &self.workers[&id];
                let event = match worker.timer {
                    _ if worker.view.killed => Event::Exited,
                    Some(Timer::Start) => Event::StartTimeout,
                    Some(Timer::Stop) => Event::StopTimeout,
                    Some(Timer::Grace) => Event::GraceOver,
                    None => panic!("nothing will ever end {id}"),
                };
                self.feed(id, event);
                self.settle();
            }
        }
    }
}
