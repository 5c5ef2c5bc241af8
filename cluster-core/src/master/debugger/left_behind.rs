//! Sessions of a master that is no more: nobody is there who asked for them, and so they have ended with it.
//!
//! ```text
//! the master dies, and with it, by the kernel's hand, its debug servers ─▶ their workers run on ─▶ each comes to the next master, and ends
//! ```

use std::collections::BTreeSet;

use tracing::{info, warn};

use super::super::Master;
use super::super::death_queue::{Entry, Reason};
use crate::id::{ProcessId, WorkerId};
use crate::look;
use crate::sys::process::Process;
use crate::sys::signal::Signal;

impl Master {
    /// Takes note of the workers that the last master had a session with. Who was set apart for one ends as soon as it has come, as what
    /// was done to it is not known; who was only to be set apart serves on.
    pub(in super::super) fn end_left_sessions(&mut self, debugged: BTreeSet<WorkerId>) {
        for id in debugged {
            let Some(worker) = self.workers.get(&id) else {
                continue;
            };
            let pid = worker.pid;
            if self.wanted.isolated.contains(&id) {
                end_server(id, pid);
                warn!(worker = %id, pid, "the debugging of it has ended with the last master: it ends too");
                self.left_debugged.insert(id);
                continue;
            }
            let is_its_isolation =
                |entry: &Entry| entry.worker == id && entry.reason == Reason::Isolate;
            if self.queue.iter().any(is_its_isolation) {
                info!(worker = %id, pid, "it was to be debugged, and serves on, as nobody asks for that any more");
                self.queue.gone(id);
            }
        }
    }

    /// A worker has come that was left behind.
    pub(in super::super) fn left_behind_came(&mut self, process: ProcessId) {
        if let ProcessId::Worker(id) = process
            && self.left_debugged.remove(&id)
        {
            self.give_back(id, true);
        }
    }
}

/// Where the last master was exchanged in place for this one its servers are there still, as children of this process.
fn end_server(id: WorkerId, worker: u32) {
    let tracer = look::tracer(worker).and_then(|tracer| Process::adopt(tracer).ok());
    if let Some(server) = tracer.filter(Process::is_child) {
        info!(worker = %id, server = server.pid(), "ending the debug server of the last master");
        let _ = server.signal(Signal::KILL);
    }
}
