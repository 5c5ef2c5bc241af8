//! Attaching a debug server to a worker that is isolated, for as long as its operator is there.
//!
//! ```text
//! isolated, or started for this ─▶ gdbserver attaches: the worker stands still ─▶ the operator is told how to connect
//!    ─▶ the debugger leaves, or its operator does ─▶ gdbserver lets go ─▶ a worker that was isolated for this ends
//! ```

mod dialect;
mod left_behind;
mod messages;
mod relay;
mod server;

use std::fs;
use std::path::PathBuf;

use actix::{ActorFutureExt, Addr, AsyncContext, Context, WrapFuture};
use serde_json::json;
use tokio::sync::oneshot;
use tracing::info;

use super::debugging::Begun;
use super::isolation;
use super::{Master, Waiter};
use crate::id::{ProcessId, WorkerId};
use crate::options::DebugServer;
use crate::protocol::{DebugError, OperationError};
use dialect::Dialect;
use messages::{MayTrace, SetApart, ask};
use server::Server;

/// A worker with a debug server, or that is about to have one. Dropping it ends that.
pub(super) struct Session {
    /// How a debugger is connected, once one can be.
    command: Option<String>,
    /// The worker was isolated, or started, for this alone.
    own: bool,
    _end: oneshot::Sender<()>,
}

/// What is to be done before somebody can debug.
struct Plan {
    id: WorkerId,
    pid: u32,
    port: u16,
    dialect: Dialect,
    /// Where the worker was started for this: it has come to the master. One that serves is isolated first.
    linked: Option<oneshot::Receiver<Result<serde_json::Value, OperationError>>>,
}

impl Master {
    /// How a debugger is connected to this worker.
    pub(super) fn debug_command(&self, id: WorkerId) -> Option<String> {
        self.sessions.get(&id)?.command.clone()
    }

    /// The workers that have one.
    pub(super) fn debugged(&self) -> impl Iterator<Item = WorkerId> {
        let left_behind = self.left_debugged.iter();
        self.sessions.keys().chain(left_behind).copied()
    }

    pub(super) fn attach(
        &mut self,
        worker: Option<u32>,
        waiter: Waiter,
        ctx: &mut Context<Self>,
    ) -> Begun {
        let dialect = match self.find_server() {
            Ok(dialect) => dialect,
            Err(e) => return Err((waiter, e.into())),
        };
        let (id, own) = match self.choose(worker) {
            Ok(found) => found,
            Err(e) => return Err((waiter, e)),
        };
        let linked = worker.is_none().then(|| {
            let (reply, linked) = oneshot::channel();
            let progress = None;
            self.isolations.push((id, Waiter { reply, progress }));
            linked
        });
        let (end, ended) = oneshot::channel();
        let session = Session {
            command: None,
            own,
            _end: end,
        };
        self.sessions.insert(id, session);
        // So that the next master knows of it.
        self.publish();
        let plan = Plan {
            id,
            pid: self.workers.get(&id).map_or(0, |worker| worker.pid),
            port: self.cluster.options().debug.port.unwrap_or(0),
            dialect: dialect.clone(),
            linked,
        };
        let attached = begin(plan, ctx.address(), waiter, ended);
        ctx.spawn(
            attached
                .into_actor(self)
                .map(move |begun, this, ctx| match begun {
                    Ok((server, waiter, ended)) => {
                        this.attached(id, &dialect, server, waiter, ended, ctx);
                    }
                    Err((waiter, e)) => {
                        let _ = waiter.reply.send(Err(e));
                        this.session_over(id, true);
                        this.reconcile(ctx);
                    }
                }),
        );
        Ok(())
    }

    /// The debug server that the options ask for, or any that there is.
    fn find_server(&self) -> Result<Dialect, DebugError> {
        let asked = self.cluster.options().debug.server;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        Dialect::find(asked, &folders).ok_or_else(|| match asked {
            None => DebugError::NoDebugServer,
            Some(server) => {
                let (server, package) = match server {
                    DebugServer::Gdbserver => ("gdbserver", "gdbserver"),
                    DebugServer::LldbServer => ("lldb-server", "lldb"),
                };
                DebugError::NoSuchDebugServer {
                    server: server.to_owned(),
                    package: package.to_owned(),
                }
            }
        })
    }

    /// The worker that is meant, and whether it is isolated for this alone.
    fn choose(&mut self, worker: Option<u32>) -> Result<(WorkerId, bool), OperationError> {
        let Some(number) = worker else {
            return Ok((self.start_for_debugger()?, true));
        };
        let id = self.may_isolate(number)?;
        if self.sessions.contains_key(&id) {
            return Err(OperationError::Busy(format!(
                "the debugging of worker {id}"
            )));
        }
        Ok((id, !self.wanted.isolated.contains(&id)))
    }

    /// Starts a worker beside the others that waits for a debugger.
    fn start_for_debugger(&mut self) -> Result<WorkerId, OperationError> {
        if self.is_stopping() || !self.open {
            return Err(OperationError::Stopping);
        }
        let id = self.take_number();
        let process = ProcessId::Worker(id);
        let generation = self.wanted.generation;
        let spawned = self.spawner.spawn_for_debugger(process, generation);
        let spawned = spawned.map_err(|e| {
            let cause = format!("it cannot be started: {e}");
            DebugError::NotSeen { process, cause }
        })?;
        info!(worker = %id, pid = spawned.process.pid(), %generation, "worker started, to be debugged");
        self.wanted.isolate(id);
        let patience = isolation::patience(self.cluster.options());
        self.enter(id, spawned, false, patience);
        Ok(id)
    }

    fn attached(
        &mut self,
        id: WorkerId,
        dialect: &Dialect,
        server: Server,
        waiter: Waiter,
        ended: oneshot::Receiver<()>,
        ctx: &mut Context<Self>,
    ) {
        let pid = self.workers.get(&id).map_or(0, |worker| worker.pid);
        let command = dialect.command(&program(pid), server.address());
        info!(worker = %id, pid, server = server.pid(), address = %server.address(), "a debug server is attached; the worker stands still until a debugger has it go on");
        waiter.note(1, 1, &command);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.command = Some(command);
        }
        self.publish();
        let over = server.until_over(id, waiter, ended);
        ctx.spawn(
            over.into_actor(self)
                .map(move |(waiter, over, clean), this, ctx| {
                    info!(worker = %id, ?over, clean, "the debugging is over");
                    let retires = this.session_over(id, clean);
                    let outcome = json!({ "worker": id, "pid": pid, "retires": retires });
                    let _ = waiter.reply.send(Ok(outcome));
                    this.reconcile(ctx);
                }),
        );
    }

    /// A worker that was taken out of service for this ends, as what was done to it is not known; and so does one that the server has not
    /// let go in order, which may have breakpoints in it that nobody waits for.
    fn session_over(&mut self, id: WorkerId, clean: bool) -> bool {
        let own = self.sessions.remove(&id).is_some_and(|session| session.own);
        (own || !clean) && self.wanted.isolated.contains(&id) && self.give_back(id, true)
    }
}

/// Asks whether the worker may be traced before anything is done to it; then sets it apart, and attaches the server.
async fn begin(
    plan: Plan,
    master: Addr<Master>,
    mut waiter: Waiter,
    mut ended: oneshot::Receiver<()>,
) -> Result<(Server, Waiter, oneshot::Receiver<()>), (Waiter, OperationError)> {
    let id = plan.id;
    let progress = waiter.progress.clone();
    let attaching = async {
        let serves = plan.linked.is_none();
        if let Some(linked) = plan.linked {
            linked.await.unwrap_or(Err(OperationError::Stopping))?;
        }
        ask(&master, MayTrace(id)).await?;
        if serves {
            ask(&master, SetApart { id, progress }).await?;
        }
        let attached = Server::attach(plan.dialect, plan.pid, plan.port).await;
        attached.map_err(|cause| {
            let process = ProcessId::Worker(id);
            OperationError::from(DebugError::NotSeen { process, cause })
        })
    };
    let attached = tokio::select! {
        attached = attaching => attached,
        _ = &mut ended => Err(OperationError::Stopping),
        () = waiter.reply.closed() => Err(OperationError::Stopping),
    };
    match attached {
        Ok(server) => Ok((server, waiter, ended)),
        Err(e) => Err((waiter, e)),
    }
}

/// The file with the symbols of what a process runs.
fn program(pid: u32) -> PathBuf {
    let link = PathBuf::from(format!("/proc/{pid}/exe"));
    match fs::read_link(&link) {
        Ok(path) if path.exists() => path,
        // It was replaced on disk, and is there under this name still.
        _ => link,
    }
}
