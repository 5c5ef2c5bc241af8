//! Telling how things are: the state for whoever watches it, the roster for every process.

use std::sync::Arc;
use std::time::Instant;

use tracing::debug;

use super::Master;
use super::proxy_state::State;
use super::record::{Record, Remembered};
use crate::emitter::hub::Routes;
use crate::id::ProcessId;
use crate::node::{ClusterState, NodeState, ProcessState, QueueEntry, WorkerState};
use crate::options::{CacheMode, LogTarget};
use crate::protocol::Roster;
use crate::wire::codec;
use crate::wire::message::WireMessage;

impl Master {
    pub(super) fn publish(&mut self) {
        self.keep_record();
        self.publish_state();
        let roster = self.roster();
        let hub = &self.cluster.emitter().hub;
        if *hub.roster() != roster {
            hub.set_roster(roster.clone());
            if let Routes::Master(links) = &hub.routes {
                let processes: Vec<ProcessId> = links.read().keys().copied().collect();
                for process in processes {
                    self.send(process, &roster);
                }
            }
        }
    }

    /// Writes down what the next master has to know, should this one die. A cluster that stops, or has not begun, has nothing to go on from.
    fn keep_record(&mut self) {
        if !self.open || self.is_stopping() {
            return;
        }
        let workers = self.workers.values().map(|worker| Remembered {
            id: worker.view.id,
            state: worker.view.state,
            generation: worker.view.generation,
            slots: worker.slots.clone(),
            build: worker.build.clone(),
        });
        let record = Record {
            wanted: self.wanted.clone(),
            workers_option: self.cluster.options().workers,
            mark: self.mark,
            next_worker: self.next_worker,
            workers: workers.collect(),
            queue: self.queue.kept(),
            upgrade: self.last_upgrade.clone(),
            made_directory: self.made_directory,
            filters: self.filters_set(),
            debugged: self.debugged().collect(),
        };
        self.record.keep(record);
    }

    /// Tells a process that has just linked who else is there.
    pub(super) fn send_roster(&self, process: ProcessId) {
        self.send(process, &self.roster());
    }

    fn send(&self, process: ProcessId, roster: &Roster) {
        let sent = self
            .cluster
            .emitter()
            .hub
            .route(process)
            .and_then(|link| link.push(Roster::HEADER, |out| codec::encode_into(roster, out)));
        if let Err(e) = sent {
            debug!(%process, reason = ?e, "the roster was not sent");
        }
    }

    fn roster(&self) -> Roster {
        let mut roster = Roster::default();
        for (id, worker) in &self.workers {
            if !worker.linked {
                continue;
            }
            match worker.view.state {
                State::Active => roster.active.push((*id, worker.pid)),
                State::Died => {}
                _ => roster.others.push((*id, worker.pid)),
            }
            roster.mixed_builds |= worker.build != self.cluster.build();
        }
        let cache = &self.cluster.options().cache;
        roster.cache_in_master = cache.runs() && cache.mode == CacheMode::Master;
        if let Some(cache) = &self.cache {
            roster.cache_manager = cache.is_linked();
            roster.mixed_builds |= cache.is_linked() && cache.build() != self.cluster.build();
        }
        roster
    }

    fn publish_state(&self) {
        let now = Instant::now();
        let crash_loop = self.accidents.crash_loop(now).map(|kind| kind.to_string());
        let state = if self.leaving || self.wanted.stopping.is_some() {
            NodeState::Stopping
        } else if !self.ready {
            NodeState::Starting
        } else if crash_loop.is_some() {
            NodeState::Degraded
        } else {
            NodeState::Running
        };
        let workers = self.workers.values().map(|worker| WorkerState {
            id: worker.view.id,
            pid: worker.pid,
            state: worker.view.state.to_string(),
            generation: worker.view.generation,
            started: worker.started,
            build: worker.build.clone(),
            suspect: worker.suspect,
            linked: worker.linked,
            beat: worker.beat.clone(),
            isolated: worker.isolated.clone(),
            debugger: self.debug_command(worker.view.id),
            log_filter: self.filter_of(ProcessId::Worker(worker.view.id), worker.pid),
        });
        let death_queue = self.queue.iter().map(|entry| QueueEntry {
            worker: entry.worker,
            reason: entry.reason.to_string(),
            since: entry.since,
        });
        let options = self.cluster.options();
        let enabled = options.cache.runs();
        let before = self.cluster.state();
        let master = ProcessState {
            state: "active".to_owned(),
            log_filter: self.filter_of(ProcessId::Master, std::process::id()),
            ..before.master.clone()
        };
        self.cluster.node.state.send_replace(Arc::new(ClusterState {
            name: before.name.clone(),
            build: before.build.clone(),
            state,
            crash_loop,
            mark: self.mark,
            wanted: self.wanted.count,
            rolling: self.wanted.roll.is_some(),
            master,
            cache_manager: self.cache.as_ref().map(|cache| ProcessState {
                log_filter: self.filter_of(ProcessId::CacheManager, cache.pid()),
                ..cache.state()
            }),
            cache_socket: enabled.then(|| self.cluster.cache_socket()),
            log_dir: (options.log == Some(LogTarget::Files)).then(|| options.log_dir.clone()),
            workers: workers.collect(),
            death_queue: death_queue.collect(),
            upgrade: self.last_upgrade.clone(),
        }));
    }
}
