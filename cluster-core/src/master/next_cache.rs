//! During an upgrade: the cache manager of the new build, which takes over from the old one.
//!
//! What passes between the two is theirs. The master starts the one, hears that it serves, puts it in the other's place, and waits for
//! the other's end.

use actix::{Actor, Context};
use tracing::{error, info};

use super::Master;
use super::accidents::Accident;
use super::cache_manager::CacheManager;
use super::nanny::Watch;
use super::proxy::{Happening, Patience, Supersede, Want, What, WorkerProxy};
use super::proxy_state::Event;
use crate::id::ProcessId;
use crate::node::UpgradeStep;

impl Master {
    /// Whether this is the process that is not the cache manager, or not any more.
    pub(super) fn is_next_cache(&self, pid: u32) -> bool {
        self.next_cache
            .as_ref()
            .is_some_and(|cache| cache.pid() == pid)
    }

    pub(super) fn start_next_cache(&mut self, ctx: &mut Context<Self>) {
        let options = self.cluster.options();
        let patience = Patience {
            start: options.start_timeout,
            stop: options.stop_timeout,
        };
        let Some(ears) = self.ears.clone() else {
            return;
        };
        match self.spawner.spawn_next_cache() {
            Ok(process) => {
                let pid = process.pid();
                info!(pid, "the next cache manager started");
                let proxy = WorkerProxy::new(ProcessId::CacheManager, process, patience, ears);
                let proxy = proxy.without_the_place();
                self.next_cache = Some(CacheManager::started(pid, proxy.start()));
            }
            Err(e) => self.next_cache_failed(e.to_string(), ctx),
        }
    }

    fn next_cache_failed(&mut self, cause: String, ctx: &mut Context<Self>) {
        error!(%cause, "the next cache manager does not take over");
        if let Some(proxy) = self.next_cache.as_ref().and_then(CacheManager::proxy) {
            // `do_send`: once.
            proxy.do_send(Want(Event::Kill));
        }
        self.next_cache = None;
        let under_way = self.last_upgrade.as_ref().map(|last| last.step);
        if under_way == Some(UpgradeStep::CacheManager) {
            self.put_back(format!("the cache manager: {cause}"));
        }
        // The old one may have ended meanwhile, in the belief that it had handed over.
        if !self.cache.as_ref().is_some_and(CacheManager::has_process) {
            self.restart_cache_later(Accident::Unknown, ctx);
        }
    }

    pub(super) fn told_of_next_cache(&mut self, what: What, ctx: &mut Context<Self>) {
        let Some(cache) = &mut self.next_cache else {
            return;
        };
        match what {
            What::Happened(Happening::Listening { .. }) => self.change_places(ctx),
            What::Happened(Happening::WarmUpFailed { cause, .. }) => {
                self.next_cache_failed(cause, ctx);
            }
            What::Ended if cache.is_superseded() => {
                self.next_cache = None;
                self.last_cache_ended();
                if !self.is_stopping()
                    && !self.cache.as_ref().is_some_and(CacheManager::has_process)
                {
                    self.restart_cache_later(Accident::Unknown, ctx);
                }
            }
            What::Ended => self.next_cache_failed("its process has ended".to_owned(), ctx),
            other => {
                cache.note(other);
                // Where both were adopted, this one may have been linked when it was taken for the one that serves.
                self.route_to_cache();
            }
        }
    }

    /// What is for the cache manager goes to the one that has the place, whichever was linked last.
    pub(super) fn route_to_cache(&self) {
        if let Some(link) = self.cache.as_ref().and_then(CacheManager::link) {
            let hub = &self.cluster.emitter().hub;
            hub.link(ProcessId::CacheManager, link);
        }
    }

    /// The next cache manager serves: it takes the place of the last one, which is dismissed if it has not ended.
    pub(super) fn change_places(&mut self, ctx: &mut Context<Self>) {
        std::mem::swap(&mut self.cache, &mut self.next_cache);
        let waits = self
            .next_cache
            .as_mut()
            .and_then(CacheManager::take_waiting);
        let Some(cache) = &mut self.cache else { return };
        info!(pid = cache.pid(), "the next cache manager serves");
        cache.takes_the_place(waits);
        let pid = cache.pid();
        self.route_to_cache();
        self.pids.write_over(ProcessId::CacheManager, pid);
        self.nanny(Watch::Begin(ProcessId::CacheManager));
        self.cache_handed_over();
        if let Some(last) = &mut self.next_cache {
            last.supersede();
        }
        match self.next_cache.as_ref().and_then(CacheManager::proxy) {
            // `do_send`: once.
            Some(last) => last.do_send(Supersede),
            None => {
                self.next_cache = None;
                self.last_cache_ended();
                self.reconcile(ctx);
            }
        }
    }

    /// Of two that were adopted the one that serves has the place.
    pub(super) fn sort_out_caches(&mut self) {
        let is_active =
            |cache: &Option<CacheManager>| cache.as_ref().is_some_and(CacheManager::is_active);
        let starts =
            |cache: &Option<CacheManager>| cache.as_ref().is_some_and(CacheManager::is_starting);
        if starts(&self.cache) && is_active(&self.next_cache) {
            std::mem::swap(&mut self.cache, &mut self.next_cache);
            let waits = self
                .next_cache
                .as_mut()
                .and_then(CacheManager::take_waiting);
            if let Some(cache) = &mut self.cache {
                cache.takes_the_place(waits);
            }
            if let Some(next) = &self.next_cache {
                next.loses_the_place();
            }
            self.route_to_cache();
        }
    }
}
