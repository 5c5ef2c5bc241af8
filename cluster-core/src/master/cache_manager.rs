//! The cache manager's process: started before the workers, ended after them, restarted like them, never rolled with them.

use std::time::{Duration, Instant};

use actix::{Actor, Addr, AsyncContext, Context};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::Master;
use super::accidents::{Accident, Accidents, Pace};
use super::proxy::{Dismiss, Happening, Patience, Want, What, WorkerProxy};
use super::proxy_state::{Event, State};
use super::start::MasterError;
use crate::id::{Generation, ProcessId};
use crate::node::ProcessState;

/// What was last heard of the cache manager.
pub(super) struct CacheManager {
    proxy: Option<Addr<WorkerProxy>>,
    pid: u32,
    started: Instant,
    state: State,
    build: String,
    linked: bool,
    accidents: Accidents,
    /// It ends though nobody wanted it to: start it again once its process has ended.
    accident: Option<Accident>,
    /// Somebody waits for its first start.
    on_ready: Option<oneshot::Sender<Result<(), MasterError>>>,
}

impl CacheManager {
    pub(super) fn proxy_of(&self, pid: u32) -> Option<Addr<WorkerProxy>> {
        self.proxy.clone().filter(|_| self.pid == pid)
    }

    pub(super) fn is_linked(&self) -> bool {
        self.linked
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
        self.cache = Some(CacheManager {
            proxy: None,
            pid: 0,
            started: Instant::now(),
            state: State::Died,
            build: String::new(),
            linked: false,
            accidents: Accidents::new(Pace::default()),
            accident: None,
            on_ready: Some(on_ready),
        });
        self.spawn_cache(ctx);
        ready
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

    fn restart_cache_later(&mut self, why: Accident, ctx: &mut Context<Self>) {
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

    pub(super) fn told_of_cache(&mut self, what: What, ctx: &mut Context<Self>) {
        let Some(cache) = &mut self.cache else { return };
        match what {
            What::State(state) => cache.state = state,
            What::Linked { build } => {
                cache.linked = true;
                cache.build = build;
            }
            What::Unlinked => cache.linked = false,
            What::Happened(Happening::Listening { addresses }) => {
                info!(
                    pid = cache.pid,
                    addresses = addresses.join(" "),
                    "the cache manager serves"
                );
                cache.accidents.listened();
                if let Some(on_ready) = cache.on_ready.take() {
                    let _ = on_ready.send(Ok(()));
                }
            }
            What::Happened(Happening::WarmUpFailed { cause, .. }) => {
                error!(pid = cache.pid, %cause, "the cache manager did not start");
                cache.failed(cause);
            }
            What::Happened(Happening::Died { exit, .. }) => {
                info!(pid = cache.pid, %exit, "the cache manager has ended");
            }
            What::Happened(_) | What::Beat(_) => {}
            What::Accident(accident) => cache.accident = Some(accident),
            What::Ended => {
                cache.proxy = None;
                cache.linked = false;
                let accident = cache.accident.take();
                self.forget_cache();
                self.pids.remove(ProcessId::CacheManager);
                if let Some(accident) = accident {
                    self.restart_cache_later(accident, ctx);
                }
            }
        }
    }

    /// Dismisses the cache manager, if there is one to dismiss.
    /// Without time to drain, it is killed. False where there is none left.
    pub(super) fn dismiss_cache(&mut self, within: Option<Duration>) -> bool {
        let proxy = self.cache.as_ref().and_then(|cache| cache.proxy.as_ref());
        if let Some(proxy) = proxy {
            match within {
                Some(within) => proxy.do_send(Dismiss { within }),
                None => proxy.do_send(Want(Event::Kill)),
            }
        }
        proxy.is_some()
    }

    /// Who still waits for its first start waits in vain: all has ended.
    pub(super) fn forget_cache(&mut self) {
        if let Some(on_ready) = self.cache.as_mut().and_then(|cache| cache.on_ready.take()) {
            let _ = on_ready.send(Err(MasterError::Stopped));
        }
    }
}

impl CacheManager {
    fn failed(&mut self, cause: String) {
        if let Some(on_ready) = self.on_ready.take() {
            let _ = on_ready.send(Err(MasterError::CacheManager { cause }));
        }
    }
}
