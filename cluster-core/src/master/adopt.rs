//! Taking over the processes that a master left behind when it died, or when it was exchanged for another build in place.
//!
//! ```text
//! who is present ─▶ proxies, as the record says ─▶ each arrives and hands over what it has ─▶ sockets, page ─▶ open
//! ```
//!
//! All that are present are taken over at once, be they stopped or blocked: whether they are well is the nanny's question.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, Message};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::isolation;
use super::nanny::Watch;
use super::proxy::{Patience, Settle, WorkerProxy};
use super::proxy_state::State;
use super::record::{Record, Remembered};
use super::wanted::command::MOST_WORKERS;
use super::wanted::view::WorkerView;
use super::{Master, Worker};
use crate::bridge::handshake::Bequest;
use crate::health::policy::Tally;
use crate::id::{Generation, ProcessId, WorkerId};
use crate::protocol::Standing;
use crate::sys::process::Process;
use crate::worker::application::Socket;

/// How long all that are present are waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long one that has the sockets is waited for, where none has come by then.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// Take over whoever is present; the answer comes when all have arrived or ended, or their time is over: the sockets that they
/// have handed over.
#[derive(Message)]
#[rtype(result = "oneshot::Receiver<Vec<Socket>>")]
pub(super) struct Gather {
    pub(super) present: Vec<(ProcessId, u32)>,
    pub(super) record: Option<Record>,
}

/// A process has handed over what it has.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Bequeathed {
    pub(super) process: ProcessId,
    pub(super) pid: u32,
    pub(super) generation: Generation,
    pub(super) bequest: Bequest,
}

/// A gathering that is under way.
pub(super) struct Gathering {
    awaited: BTreeSet<ProcessId>,
    begun: Instant,
    sockets: Vec<Socket>,
    done: oneshot::Sender<Vec<Socket>>,
}

impl Handler<Gather> for Master {
    type Result = actix::MessageResult<Gather>;

    fn handle(&mut self, gather: Gather, ctx: &mut Context<Self>) -> Self::Result {
        let Gather { present, record } = gather;
        let (done, gathered) = oneshot::channel();
        if let Some(record) = &record {
            self.wanted.isolated = record.wanted.isolated.clone();
        }
        let remembered = record.as_ref().map(|record| record.workers.clone());
        let mut awaited = BTreeSet::new();
        for (process, pid) in present {
            // One that has ended since is nobody's any more.
            let Ok(adopted) = Process::adopt(pid) else {
                self.pids.write_over(process, pid);
                self.pids.remove(process);
                continue;
            };
            let taken = match process {
                ProcessId::Worker(id) => {
                    let known = remembered.as_ref().map(|all| {
                        let known = all.iter().find(|known| known.id == id);
                        known.cloned().unwrap_or_else(|| Remembered::just_born(id))
                    });
                    self.adopt_worker(id, adopted, known)
                }
                _ => self.adopt_cache(adopted),
            };
            if taken {
                awaited.insert(process);
            }
        }
        if let Some(record) = record {
            self.go_on_from(record);
        }
        let mut workers = self.workers.values();
        if workers.any(|worker| worker.view.state.is_up()) {
            // Workers that another master has started serve: the cluster was ready before this one came.
            self.ready = true;
            self.accidents.listened();
        }
        self.gathering = Some(Gathering {
            awaited,
            begun: Instant::now(),
            sockets: Vec::new(),
            done,
        });
        self.look_who_is_missing();
        for patience in [PATIENCE, LAST_PATIENCE] {
            ctx.run_later(patience, |this, _| this.look_who_is_missing());
        }
        self.publish();
        actix::MessageResult(gathered)
    }
}

impl Handler<Bequeathed> for Master {
    type Result = ();

    fn handle(&mut self, bequeathed: Bequeathed, _: &mut Context<Self>) {
        let Bequeathed {
            process,
            pid,
            generation,
            bequest: (heritage, fds),
        } = bequeathed;
        let state = match heritage.standing {
            Standing::Starting => State::Warming,
            Standing::Serving => State::Active,
            Standing::Paused => State::Paused,
            Standing::Leaving => State::Retiring,
            Standing::Isolated => State::Isolated,
        };
        let began = Instant::now().checked_sub(Duration::from_millis(heritage.uptime_ms));
        let began = began.unwrap_or_else(Instant::now);
        let proxy = match process {
            ProcessId::Worker(id) => self.workers.get_mut(&id).map(|worker| {
                worker.started = began;
                worker.view.generation = generation;
                worker.to_adopt = false;
                // It may have been started while all were paused, and accepts then only when it is told to, which is no harm to others.
                worker.held = heritage.standing == Standing::Starting;
                worker.slots = heritage.slots.iter().map(|slot| *slot as usize).collect();
                self.spawner.reserve(&worker.slots);
                worker.addr.clone()
            }),
            _ => self.cache_arrived(pid, began, state),
        };
        // `do_send`: once for each process that is adopted.
        if let Some(proxy) = proxy {
            proxy.do_send(Settle(state));
        }
        self.left_behind_came(process);
        self.inherit(heritage.sockets, heritage.page, fds);
        if let Some(gathering) = &mut self.gathering {
            gathering.awaited.remove(&process);
        }
        self.look_who_is_missing();
    }
}

impl Master {
    fn adopt_worker(&mut self, id: WorkerId, process: Process, known: Option<Remembered>) -> bool {
        let Some(ears) = self.ears.clone() else {
            return false;
        };
        let options = self.cluster.options();
        let patience = match self.wanted.isolated.contains(&id) {
            true => isolation::patience(options),
            false => Patience::usual(options),
        };
        let pid = process.pid();
        // Nothing was written down of anybody: it has most likely served for long.
        let known = known.unwrap_or(Remembered {
            id,
            state: State::Active,
            generation: Generation(1),
            slots: Vec::new(),
            build: String::new(),
        });
        let state = match known.state {
            State::Died => State::Retiring,
            state => state,
        };
        info!(worker = %id, pid, %state, "adopted");
        self.spawner.reserve(&known.slots);
        self.pids.write(ProcessId::Worker(id), pid);
        if state == State::Active {
            self.nanny(Watch::Begin(ProcessId::Worker(id)));
        }
        let proxy = WorkerProxy::adopted(ProcessId::Worker(id), process, state, patience, ears);
        let worker = Worker {
            view: WorkerView {
                id,
                state,
                generation: known.generation,
                killed: false,
                apart: false,
            },
            addr: proxy.start(),
            pid,
            started: Instant::now(),
            slots: known.slots,
            build: known.build,
            linked: false,
            suspect: false,
            held: false,
            to_adopt: true,
            isolated: None,
            beat: None,
            history: Default::default(),
            tally: Tally::of_one_adopted(),
        };
        self.workers.insert(id, worker);
        self.next_worker = self.next_worker.max(id.0.saturating_add(1));
        true
    }

    /// Operators' decisions, and what was under way. A stop is not among them: whoever starts a cluster wants it to run.
    fn go_on_from(&mut self, record: Record) {
        let options = self.cluster.options();
        let count = match record.workers_option == options.workers {
            true => record.wanted.count.clamp(1, MOST_WORKERS),
            false => options.workers,
        };
        self.mark = record.mark;
        self.last_upgrade = record.upgrade;
        self.made_directory |= record.made_directory;
        self.next_worker = self.next_worker.max(record.next_worker);
        self.take_filters(record.filters);
        self.wanted = super::Wanted {
            count,
            stopping: None,
            ..record.wanted
        };
        self.queue = super::DeathQueue::restored(
            record.queue,
            |worker| self.workers.contains_key(&worker),
            Instant::now(),
        );
        let Master {
            wanted, workers, ..
        } = self;
        wanted
            .paused_workers
            .retain(|worker| workers.contains_key(worker));
        wanted
            .isolated
            .retain(|worker| workers.contains_key(worker));
        self.end_left_sessions(record.debugged);
        info!(workers = count, mark = ?self.mark, generation = %self.wanted.generation, queued = self.queue.iter().count(), "going on from what the last master wrote down");
    }

    /// The first sockets and page that come are those of all.
    fn inherit(&mut self, paths: Vec<Option<String>>, page: bool, mut fds: Vec<OwnedFd>) {
        let Some(gathering) = &mut self.gathering else {
            return;
        };
        if !gathering.sockets.is_empty() || fds.len() != paths.len() + usize::from(page) {
            return;
        }
        let page = page.then(|| fds.pop()).flatten();
        let sockets = paths.into_iter().zip(fds).map(|(path, fd)| match path {
            None => Socket::Tcp(fd.into()),
            Some(path) => Socket::Unix(fd.into(), PathBuf::from(path)),
        });
        gathering.sockets = sockets.collect();
        if let Some(page) = page
            && let Err(e) = self.spawner.take_page(page)
        {
            warn!(error = %e, "the shared page that was handed over is none; connections may spread less evenly");
        }
    }

    /// Ends the gathering where nobody is missing, or the time is over.
    pub(super) fn look_who_is_missing(&mut self) {
        let Master {
            gathering,
            workers,
            cache,
            ..
        } = self;
        let Some(gathered) = gathering else { return };
        gathered.awaited.retain(|process| match process {
            ProcessId::Worker(id) => workers.contains_key(id),
            _ => cache.as_ref().is_some_and(|cache| cache.has_process()),
        });
        let waited = gathered.begun.elapsed();
        let have_sockets = !gathered.sockets.is_empty()
            || !gathered
                .awaited
                .iter()
                .any(|p| matches!(p, ProcessId::Worker(_)));
        let enough = match gathered.awaited.is_empty() {
            true => true,
            false => waited >= LAST_PATIENCE || (waited >= PATIENCE && have_sockets),
        };
        if !enough {
            return;
        }
        if let Some(Gathering {
            awaited,
            sockets,
            done,
            ..
        }) = gathering.take()
        {
            for process in &awaited {
                warn!(%process, "adopted, and has not linked yet");
            }
            info!(
                adopted = workers.len(),
                took_ms = waited.as_millis(),
                "whoever was left behind is adopted"
            );
            let _ = done.send(sockets);
        }
    }

    /// Whether a process has yet to hand over what it has, and the sockets too.
    pub(super) fn to_adopt(&self, process: ProcessId, pid: u32) -> Option<bool> {
        let to_adopt = match process {
            ProcessId::Worker(id) => self.workers.get(&id).is_some_and(|worker| worker.to_adopt),
            _ => [&self.cache, &self.next_cache]
                .into_iter()
                .flatten()
                .any(|cache| cache.pid() == pid && cache.to_adopt()),
        };
        let wants_sockets = self
            .gathering
            .as_ref()
            .is_some_and(|g| g.sockets.is_empty());
        to_adopt.then_some(wants_sockets)
    }
}
