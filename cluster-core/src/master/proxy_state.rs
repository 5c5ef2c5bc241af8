//! The states of one worker as the master sees it: a pure table from state and event to state and effects.
//!
//! ```text
//! forked → warming → active ⇄ paused, active or paused → isolated → active
//!    └────────┴────────┴────────┴────────────────────────┴──→ retiring → died
//! ```
//!
//! A dismissed worker is asked over its link, after the stop timeout by SIGTERM, and after a grace by SIGKILL.
//! One that does not serve yet has nothing to drain and gets SIGTERM at once.
//!
//! Orders are idempotent: a worker that already does as it is told reports nothing. They take effect in the table
//! when they are given, not when they are answered, so that an order lost with a link is repeated when the link is back.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that happened to a worker, or that is wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// Its first link has passed the handshake.
    Connected,
    /// It reports that its warm-up is done; it accepts nothing yet.
    WarmedUp,
    /// It reports that it accepts connections.
    Listening,
    /// It reports that its start failed.
    StartFailed,
    /// [`Timer::Start`] has run out.
    StartTimeout,
    /// It is to stop accepting and to stay.
    Pause,
    /// It reports that it is paused.
    PauseDone,
    /// It is to accept again.
    Resume,
    /// It reports that it accepts again.
    ResumeDone,
    /// It is to serve at an address of its own alone.
    Isolate,
    /// It is to drain and exit.
    Dismiss,
    /// It reports that it is leaving though nobody here asked it to: a signal from outside.
    Leaving,
    /// [`Timer::Stop`] has run out.
    StopTimeout,
    /// [`Timer::Grace`] has run out.
    GraceOver,
    /// It is to end now, drained or not.
    Kill,
    /// Its link has closed.
    LinkLost,
    /// It has linked again.
    LinkBack,
    /// Its process has ended.
    Exited,
}

/// What the worker is told over its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    /// Stop accepting, finish what you have, stay.
    Pause,
    /// Accept.
    Resume,
    /// Stop accepting, finish what you have, exit.
    Retire,
    /// Stop accepting with the others, and serve at an address of your own.
    Isolate,
}

/// What the worker's process is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Signal {
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
}

/// A timer of the proxy. One that runs out late is harmless: the table ignores it where it means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Timer {
    /// How long a worker may take to listen (`warm-up-timeout`).
    Start,
    /// How long a dismissed worker may drain (`stop-timeout`).
    Stop,
    /// How long a worker may outlive SIGTERM.
    Grace,
}

/// What the rest of the cluster hears of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lifecycle {
    /// It has connected and warms up.
    Warming,
    /// It has warmed up.
    Warmed,
    /// It will never serve.
    WarmUpFailed,
    /// It serves.
    Listening,
    /// It has stopped accepting, and stays.
    Paused,
    /// It serves again.
    Resumed,
    /// It drains, and will exit.
    Retiring,
    /// Its process has ended.
    Died,
}

/// What a step asks of the proxy, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// Tell the worker; where it has no link now, nothing is lost by dropping this.
    Send(Order),
    /// Signal the process.
    Signal(Signal),
    /// Start this timer, in place of any other of the proxy's.
    StartTimer(Timer),
    /// Tell the cluster.
    Announce(Lifecycle),
    /// Note an accident: the worker ends though nobody wanted it to. At most once in the life of a worker.
    Accident,
}

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Its process exists, and has not connected yet.
    Forked,
    /// It has connected, and does not accept yet.
    Warming,
    /// It accepts connections.
    Active,
    /// It has been told not to accept, and keeps its memory and its place.
    Paused,
    /// It serves nobody but whoever debugs it.
    Isolated,
    /// It will exit, by itself or by force.
    Retiring,
    /// Its process has ended.
    Died,
}

impl State {
    /// Neither gone nor going.
    pub(crate) fn is_living(self) -> bool {
        !matches!(self, State::Retiring | State::Died)
    }

    /// Ready to serve: a paused worker is one resume away from it.
    pub(crate) fn is_up(self) -> bool {
        matches!(self, State::Active | State::Paused)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Forked => "forked",
            State::Warming => "warming",
            State::Active => "active",
            State::Paused => "paused",
            State::Isolated => "isolated",
            State::Retiring => "retiring",
            State::Died => "died",
        })
    }
}

/// What a proxy does first, for a worker just forked or adopted in `state`: the timer that belongs to that state.
pub(crate) fn begin(state: State) -> &'static [Effect] {
    match state {
        State::Forked | State::Warming => &[Effect::StartTimer(Timer::Start)],
        State::Retiring => &[Effect::StartTimer(Timer::Stop)],
        State::Active | State::Paused | State::Isolated | State::Died => &[],
    }
}

/// The table.
pub(crate) fn step(state: State, event: Event) -> (State, &'static [Effect]) {
    use Effect::{Accident, Announce, Send};
    use Lifecycle as L;
    use State::{Active, Died, Forked, Isolated, Paused, Retiring, Warming};

    const TERM: Effect = Effect::Signal(Signal::Term);
    const KILL: Effect = Effect::Signal(Signal::Kill);
    const STOP: Effect = Effect::StartTimer(Timer::Stop);
    const GRACE: Effect = Effect::StartTimer(Timer::Grace);

    match (event, state) {
        (Event::Connected, Forked) => (Warming, &[Announce(L::Warming)]),
        (Event::WarmedUp, Warming) => (Warming, &[Announce(L::Warmed)]),
        (Event::Listening, Warming) => (Active, &[Announce(L::Listening)]),
        (Event::StartFailed | Event::StartTimeout, Forked | Warming)
        | (Event::Leaving, Warming) => (
            Retiring,
            &[Announce(L::WarmUpFailed), Accident, TERM, GRACE],
        ),

        (Event::Pause, Active) => (Paused, &[Send(Order::Pause)]),
        (Event::PauseDone, Paused) => (Paused, &[Announce(L::Paused)]),
        (Event::Resume, Paused | Isolated) => (Active, &[Send(Order::Resume)]),
        (Event::ResumeDone, Active) => (Active, &[Announce(L::Resumed)]),
        (Event::Isolate, Active | Paused) => (Isolated, &[Send(Order::Isolate)]),

        (Event::Dismiss, Forked | Warming) => (Retiring, &[Announce(L::Retiring), TERM, GRACE]),
        (Event::Dismiss, Active | Paused | Isolated) => (
            Retiring,
            &[Announce(L::Retiring), Send(Order::Retire), STOP],
        ),
        (Event::Leaving, Active | Paused) => (Retiring, &[Announce(L::Retiring), Accident, STOP]),
        // Whatever becomes of a worker that is being debugged, it is none that was to serve.
        (Event::Leaving, Isolated) => (Retiring, &[Announce(L::Retiring), STOP]),
        (Event::StopTimeout, Retiring) => (Retiring, &[TERM, GRACE]),
        (Event::GraceOver, Retiring) => (Retiring, &[KILL]),
        (Event::Kill, Forked | Warming | Active | Paused | Isolated) => {
            (Retiring, &[Announce(L::Retiring), KILL])
        }
        (Event::Kill, Retiring) => (Retiring, &[KILL]),

        // The order that stands may have been lost with the old link.
        (Event::LinkBack, Active) => (Active, &[Send(Order::Resume)]),
        (Event::LinkBack, Paused) => (Paused, &[Send(Order::Pause)]),
        (Event::LinkBack, Isolated) => (Isolated, &[Send(Order::Isolate)]),
        (Event::LinkBack, Retiring) => (Retiring, &[Send(Order::Retire)]),
        (Event::LinkBack, Forked | Warming) => (state, &[]),
        // A worker serves on without its link: whether it is well is the nanny's question.
        (Event::LinkLost, Forked | Warming | Active | Paused | Isolated | Retiring) => (state, &[]),

        (Event::Exited, Forked | Warming) => (
            Died,
            &[Announce(L::WarmUpFailed), Accident, Announce(L::Died)],
        ),
        (Event::Exited, Active | Paused) => (Died, &[Accident, Announce(L::Died)]),
        (Event::Exited, Isolated | Retiring) => (Died, &[Announce(L::Died)]),

        // Out of place: a report twice, or one that crossed an order on its way, or one before the handshake.
        (Event::Connected, Warming | Active | Paused | Isolated | Retiring)
        | (Event::WarmedUp | Event::Listening, Forked | Active | Paused | Isolated | Retiring)
        | (Event::StartFailed, Active | Paused | Isolated | Retiring)
        | (Event::PauseDone, Forked | Warming | Active | Isolated | Retiring)
        | (Event::ResumeDone, Forked | Warming | Paused | Isolated | Retiring)
        | (Event::Leaving, Forked | Retiring) => (state, &[]),
        // An order that stands already, or that a worker in this state cannot follow.
        (Event::Pause, Forked | Warming | Paused | Isolated | Retiring)
        | (Event::Resume, Forked | Warming | Active | Retiring)
        | (Event::Isolate, Forked | Warming | Isolated | Retiring)
        | (Event::Dismiss, Retiring) => (state, &[]),
        // A timer of a state that is over.
        (Event::StartTimeout, Active | Paused | Isolated | Retiring)
        | (Event::StopTimeout | Event::GraceOver, Forked | Warming | Active | Paused | Isolated) => {
            (state, &[])
        }
        (_, Died) => (Died, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [(&str, State); 7] = [
        ("F", State::Forked),
        ("W", State::Warming),
        ("A", State::Active),
        ("P", State::Paused),
        ("I", State::Isolated),
        ("R", State::Retiring),
        ("D", State::Died),
    ];

    const EVENTS: [(&str, Event); 18] = [
        ("connected", Event::Connected),
        ("warmed_up", Event::WarmedUp),
        ("listening", Event::Listening),
        ("start_failed", Event::StartFailed),
        ("start_timeout", Event::StartTimeout),
        ("pause", Event::Pause),
        ("pause_done", Event::PauseDone),
        ("resume", Event::Resume),
        ("resume_done", Event::ResumeDone),
        ("isolate", Event::Isolate),
        ("dismiss", Event::Dismiss),
        ("leaving", Event::Leaving),
        ("stop_timeout", Event::StopTimeout),
        ("grace_over", Event::GraceOver),
        ("kill", Event::Kill),
        ("link_lost", Event::LinkLost),
        ("link_back", Event::LinkBack),
        ("exited", Event::Exited),
    ];

    /// A row for each event, a column for each state; a cell is the next state and the letters of the effects, or `.`
    /// where the event is ignored.
    ///
    /// Orders: p pause, u resume, i isolate, r retire. Signals: t SIGTERM, k SIGKILL. Timers: s stop, g grace. `!` accident.
    /// Announcements: 1 warming, 2 warmed, 3 warm-up failed, 4 listening, 5 paused, 6 resumed, 7 retiring, 8 died.
    const TABLE: &str = "
                     forked  warming active  paused  isolated retiring died
        connected     W:1     .       .       .       .        .        .
        warmed_up     .       W:2     .       .       .        .        .
        listening     .       A:4     .       .       .        .        .
        start_failed  R:3!tg  R:3!tg  .       .       .        .        .
        start_timeout R:3!tg  R:3!tg  .       .       .        .        .
        pause         .       .       P:p     .       .        .        .
        pause_done    .       .       .       P:5     .        .        .
        resume        .       .       .       A:u     A:u      .        .
        resume_done   .       .       A:6     .       .        .        .
        isolate       .       .       I:i     I:i     .        .        .
        dismiss       R:7tg   R:7tg   R:7rs   R:7rs   R:7rs    .        .
        leaving       .       R:3!tg  R:7!s   R:7!s   R:7s     .        .
        stop_timeout  .       .       .       .       .        R:tg     .
        grace_over    .       .       .       .       .        R:k      .
        kill          R:7k    R:7k    R:7k    R:7k    R:7k     R:k      .
        link_lost     .       .       .       .       .        .        .
        link_back     .       .       A:u     P:p     I:i      R:r      .
        exited        D:3!8   D:3!8   D:!8    D:!8    D:8      D:8      .
    ";

    fn letter(effect: Effect) -> char {
        match effect {
            Effect::Send(Order::Pause) => 'p',
            Effect::Send(Order::Resume) => 'u',
            Effect::Send(Order::Retire) => 'r',
            Effect::Send(Order::Isolate) => 'i',
            Effect::Signal(Signal::Term) => 't',
            Effect::Signal(Signal::Kill) => 'k',
            Effect::StartTimer(Timer::Start) => 'b',
            Effect::StartTimer(Timer::Stop) => 's',
            Effect::StartTimer(Timer::Grace) => 'g',
            Effect::Accident => '!',
            Effect::Announce(Lifecycle::Warming) => '1',
            Effect::Announce(Lifecycle::Warmed) => '2',
            Effect::Announce(Lifecycle::WarmUpFailed) => '3',
            Effect::Announce(Lifecycle::Listening) => '4',
            Effect::Announce(Lifecycle::Paused) => '5',
            Effect::Announce(Lifecycle::Resumed) => '6',
            Effect::Announce(Lifecycle::Retiring) => '7',
            Effect::Announce(Lifecycle::Died) => '8',
        }
    }

    #[test]
    fn the_whole_table() {
        let mut rows = TABLE.lines().filter(|line| !line.trim().is_empty());
        let header: Vec<_> = rows.next().unwrap().split_whitespace().collect();
        assert_eq!(header, STATES.map(|(_, state)| state.to_string()));

        let mut seen = Vec::new();
        for row in rows {
            let mut cells = row.split_whitespace();
            let name = cells.next().unwrap();
            let (_, event) = EVENTS.iter().find(|(n, _)| *n == name).unwrap();
            let cells: Vec<_> = cells.collect();
            assert_eq!(cells.len(), STATES.len(), "{name}");
            for (cell, (own, state)) in cells.into_iter().zip(STATES) {
                let (next, effects) = step(state, *event);
                let (next, _) = STATES.iter().find(|(_, s)| *s == next).unwrap();
                let effects: String = effects.iter().copied().map(letter).collect();
                let got = if effects.is_empty() && *next == own {
                    ".".to_owned()
                } else {
                    format!("{next}:{effects}")
                };
                assert_eq!(got, cell, "{name} in {state}");
            }
            seen.push(name);
        }
        assert_eq!(seen, EVENTS.map(|(name, _)| name));
    }

    #[test]
    fn every_state_but_the_last_has_a_way_out_by_itself_or_by_its_timer() {
        assert_eq!(begin(State::Forked), [Effect::StartTimer(Timer::Start)]);
        assert_eq!(begin(State::Warming), [Effect::StartTimer(Timer::Start)]);
        assert_eq!(begin(State::Retiring), [Effect::StartTimer(Timer::Stop)]);
        for state in [State::Active, State::Paused, State::Isolated, State::Died] {
            assert_eq!(begin(state), []);
        }
    }

    #[test]
    fn names_are_the_same_in_text_and_on_the_wire() {
        for (_, state) in STATES {
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(json, format!("\"{state}\""));
            assert_eq!(serde_json::from_str::<State>(&json).unwrap(), state);
        }
    }
}
