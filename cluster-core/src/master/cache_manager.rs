//! The cache manager's process: started before the workers, ended after them, restarted like them, never rolled with them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, AsyncContext, Context};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::Master;
use super::accidents::{Accident, Accidents, Pace};
use super::nanny::Watch;
use super::proxy::{Dismiss, Happening, Patience, Place, ShowStacks, Want, What, WorkerProxy};
use super::proxy_state::{Event, State};
use super::start::MasterError;
use crate::bridge::outbox::Outbox;
use crate::id::{Generation, ProcessId};
use crate::node::ProcessState;
use crate::options::CacheMode;
use crate::sys::process::Process;

/// How long a process that is condemned may take to write the stacks of its threads.
const STACKS: Duration = Duration::from_secs(1);

/// What was last heard of the cache manager.
pub(super) struct CacheManager {
    proxy: Option<Addr<WorkerProxy>>,
    pid: u32,
    started: Instant,
    state: State,
    build: String,
    /// Its link, while it has one.
    link: Option<Arc<Outbox>>,
    accidents: Accidents,
    /// It ends though nobody wanted it to: start it again once its process has ended.
    accident: Option<Accident>,
    /// Somebody waits for its first start.
    on_ready: Option<oneshot::Sender<Result<(), MasterError>>>,
    /// It has been taken over, and has not handed over yet what it has.
    to_adopt: bool,
    /// Another one has its place.
    superseded: bool,
}

impl CacheManager {
    fn new() -> Self {
        CacheManager {
            proxy: None,
            pid: 0,
            started: Instant::now(),
            state: State::Died,
            build: String::new(),
            link: None,
            accidents: Accidents::new(Pace::default()),
            accident: None,
            on_ready: None,
            to_adopt: false,
            superseded: false,
        }
    }

    /// One whose process has just been started.
    pub(super) fn started(pid: u32, proxy: Addr<WorkerProxy>) -> Self {
        CacheManager {
            proxy: Some(proxy),
            pid,
            state: State::Forked,
            ..CacheManager::new()
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn proxy(&self) -> Option<&Addr<WorkerProxy>> {
        self.proxy.as_ref()
    }

    pub(super) fn is_superseded(&self) -> bool {
        self.superseded
    }

    /// Another one has taken its place.
    pub(super) fn supersede(&mut self) {
        self.superseded = true;
    }

    /// Enters what was heard of it, where nothing follows from it.
    pub(super) fn note(&mut self, what: What) {
        match what {
            What::State(state) => self.state = state,
            What::Linked { build, outbox } => {
                self.link = Some(outbox);
                self.build = build;
            }
            What::Unlinked => self.link = None,
            What::Accident(accident) => self.accident = Some(accident),
            What::Happened(_) | What::Beat(_) | What::Isolated(_) | What::Ended => {}
        }
    }

    pub(super) fn has_process(&self) -> bool {
        self.proxy.is_some()
    }

    pub(super) fn to_adopt(&self) -> bool {
        self.to_adopt
    }

    pub(super) fn proxy_of(&self, pid: u32) -> Option<Addr<WorkerProxy>> {
        self.proxy.clone().filter(|_| self.pid == pid)
    }

    pub(super) fn is_linked(&self) -> bool {
        self.link.is_some()
    }

    pub(super) fn link(&self) -> Option<Arc<Outbox>> {
        self.link.clone()
    }

    pub(super) fn is_active(&self) -> bool {
        self.state == State::Active && self.proxy.is_some()
    }

    pub(super) fn is_starting(&self) -> bool {
        matches!(self.state, State::Forked | State::Warming)
    }

    /// Somebody waits for its first start: now for another's.
    pub(super) fn take_waiting(&mut self) -> Option<oneshot::Sender<Result<(), MasterError>>> {
        self.on_ready.take()
    }

    /// It serves in another's place from now on.
    pub(super) fn takes_the_place(
        &mut self,
        waits: Option<oneshot::Sender<Result<(), MasterError>>>,
    ) {
        self.superseded = false;
        self.on_ready = waits;
        self.serves();
        self.tell_of_place(true);
    }

    /// Another one serves after all.
    pub(super) fn loses_the_place(&self) {
        self.tell_of_place(false);
    }

    fn tell_of_place(&self, has: bool) {
        // `do_send`: once for each change.
        if let Some(proxy) = &self.proxy {
            proxy.do_send(Place(has));
        }
    }

    pub(super) fn build(&self) -> &str {
        &self.build
    }

    pub(super) fn state(&self) -> ProcessState {
        ProcessState {
            pid: self.pid,
            state: self.state.to_string(),
            started: self.started,
            build: self.build.clone(),
            log_filter: None,
        }
    }
}

impl Master {
    /// Starts the cache manager for the first time; the receiver is told when it serves, or why it does not.
    pub(super) fn start_cache(
        &mut self,
        ctx: &mut Context<Self>,
    ) -> oneshot::Receiver<Result<(), MasterError>> {
        let (on_ready, ready) = oneshot::channel();
        let cache = self.cache.get_or_insert_with(CacheManager::new);
        cache.on_ready = Some(on_ready);
        // One that was adopted serves already, or its proxy waits for it.
        match cache.state {
            State::Active => cache.serves(),
            _ if cache.has_process() => {}
            _ => self.spawn_cache(ctx),
        }
        ready
    }

    /// It has been silent for too long. There is one at a time: it is killed, once it has had a moment to show what it is doing, and
    /// started anew as after any accident.
    pub(super) fn end_silent_cache(&mut self, ctx: &mut Context<Self>) {
        let Some(cache) = &mut self.cache else { return };
        let Some(proxy) = cache.proxy.clone() else {
            return;
        };
        cache.accident = Some(Accident::Unknown);
        // `do_send`, here and below: once for each that is condemned.
        proxy.do_send(ShowStacks);
        ctx.run_later(STACKS, move |_, _| proxy.do_send(Want(Event::Kill)));
    }

    /// Takes over a cache manager that another master has started; false where there is to be none.
    pub(super) fn adopt_cache(&mut self, process: Process) -> bool {
        let options = self.cluster.options();
        let wanted = options.cache.runs() && options.cache.mode == CacheMode::Standalone;
        let (true, Some(ears)) = (wanted, self.ears.clone()) else {
            return false;
        };
        let patience = Patience {
            start: options.start_timeout,
            stop: options.stop_timeout,
        };
        let pid = process.pid();
        info!(pid, "cache manager adopted");
        self.nanny(Watch::Begin(ProcessId::CacheManager));
        self.pids.write(ProcessId::CacheManager, pid);
        let state = State::Active;
        let proxy = WorkerProxy::adopted(ProcessId::CacheManager, process, state, patience, ears);
        let adopted = CacheManager {
            state,
            to_adopt: true,
            ..CacheManager::started(pid, proxy.start())
        };
        // A second one was taking over from the first when their master died: which is which they say when they arrive.
        match self.cache {
            None => self.cache = Some(adopted),
            Some(_) => {
                adopted.loses_the_place();
                self.next_cache = Some(adopted);
            }
        }
        true
    }

    /// The cache manager that was taken over has linked; gives back its proxy.
    pub(super) fn cache_arrived(
        &mut self,
        pid: u32,
        began: Instant,
        state: State,
    ) -> Option<Addr<WorkerProxy>> {
        let both = [&mut self.cache, &mut self.next_cache];
        let cache = both.into_iter().flatten().find(|cache| cache.pid == pid)?;
        cache.started = began;
        cache.to_adopt = false;
        cache.state = state;
        let proxy = cache.proxy.clone();
        self.sort_out_caches();
        proxy
    }

    fn spawn_cache(&mut self, ctx: &mut Context<Self>) {
        let options = self.cluster.options();
        let patience = Patience {
            start: options.start_timeout,
            stop: options.stop_timeout,
        };
        let (Some(cache), Some(ears)) = (&mut self.cache, self.ears.clone()) else {
            return;
        };
        let process = ProcessId::CacheManager;
        match self.spawner.spawn(process, Generation(1), false) {
            Ok(spawned) => {
                cache.pid = spawned.process.pid();
                cache.started = Instant::now();
                cache.state = State::Forked;
                info!(pid = cache.pid, "cache manager started");
                self.pids.write(process, cache.pid);
                let proxy = WorkerProxy::new(process, spawned.process, patience, ears);
                cache.proxy = Some(proxy.start());
            }
            Err(e) => {
                error!(error = %e, "the cache manager could not be started");
                cache.failed(e.to_string());
                self.restart_cache_later(Accident::StartFailed, ctx);
            }
        }
    }

    pub(super) fn restart_cache_later(&mut self, why: Accident, ctx: &mut Context<Self>) {
        if self.is_stopping() {
            return;
        }
        let Some(cache) = &mut self.cache else { return };
        let now = Instant::now();
        cache.accidents.note(now, why);
        let after = cache.accidents.delay(now);
        warn!(accident = %why, restart_after_ms = after.as_millis(), "the cache manager ended by itself");
        ctx.run_later(after, |this, ctx| {
            let stopping = this.is_stopping();
            if !stopping
                && this
                    .cache
                    .as_ref()
                    .is_some_and(|cache| cache.proxy.is_none())
            {
                this.spawn_cache(ctx);
                this.publish();
            }
        });
    }

    pub(super) fn told_of_cache(&mut self, pid: u32, what: What, ctx: &mut Context<Self>) {
        if self.cache.as_ref().is_none_or(|cache| cache.pid != pid) {
            return;
        }
        if let What::State(state) = what {
            match state {
                State::Active => self.nanny(Watch::Begin(ProcessId::CacheManager)),
                State::Paused | State::Isolated => {}
                // One that was adopted may have been taken for one that serves.
                _ => self.nanny(Watch::End(ProcessId::CacheManager)),
            }
        }
        let Some(cache) = &mut self.cache else { return };
        match what {
            What::Happened(Happening::Listening { addresses }) => {
                info!(
                    pid = cache.pid,
                    addresses = addresses.join(" "),
                    "the cache manager serves"
                );
                cache.accidents.listened();
                cache.serves();
            }
            What::Happened(Happening::WarmUpFailed { cause, .. }) => {
                error!(pid = cache.pid, %cause, "the cache manager did not start");
                cache.failed(cause);
            }
            What::Happened(Happening::Died { exit, .. }) => {
                info!(pid = cache.pid, %exit, "the cache manager has ended");
            }
            What::Ended => {
                cache.proxy = None;
                cache.link = None;
                cache.state = State::Died;
                let accident = cache.accident.take().unwrap_or(Accident::Unknown);
                self.pids.remove(ProcessId::CacheManager);
                let next = self.next_cache.as_ref();
                if self.is_stopping() {
                    self.forget_cache();
                } else if next.is_some_and(|next| next.is_active() && !next.is_superseded()) {
                    self.change_places(ctx);
                } else if next.is_none() {
                    self.restart_cache_later(accident, ctx);
                }
                // Else another one is about to take over, which is what it has ended for.
                self.look_who_is_missing();
            }
            What::Linked { .. } => {
                cache.note(what);
                self.route_to_cache();
                self.go_on_with_upgrade(ctx);
            }
            other => cache.note(other),
        }
    }

    /// Dismisses the cache manager, if there is one to dismiss.
    /// Without time to drain, it is killed. False where there is none left.
    pub(super) fn dismiss_cache(&mut self, within: Option<Duration>) -> bool {
        let both = [&self.cache, &self.next_cache];
        let proxies = both.into_iter().flatten().filter_map(CacheManager::proxy);
        let mut any = false;
        for proxy in proxies {
            any = true;
            match within {
                Some(within) => proxy.do_send(Dismiss { within }),
                None => proxy.do_send(Want(Event::Kill)),
            }
        }
        any
    }

    /// Who still waits for its first start waits in vain: all has ended.
    pub(super) fn forget_cache(&mut self) {
        if let Some(on_ready) = self.cache.as_mut().and_then(|cache| cache.on_ready.take()) {
            let _ = on_ready.send(Err(MasterError::Stopped));
        }
    }
}

impl CacheManager {
    fn serves(&mut self) {
        if let Some(on_ready) = self.on_ready.take() {
            let _ = on_ready.send(Ok(()));
        }
    }

    fn failed(&mut self, cause: String) {
        if let Some(on_ready) = self.on_ready.take() {
            let _ = on_ready.send(Err(MasterError::CacheManager { cause }));
        }
    }
}
