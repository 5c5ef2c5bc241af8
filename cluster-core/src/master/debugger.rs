//! Attaching a debug server to a worker that is isolated, for as long as its operator is there.
//!
//! ```text
//! isolated, or started for this ─▶ gdbserver attaches: the worker stands still ─▶ the operator is told how to connect
//!    ─▶ the debugger leaves, or its operator does ─▶ gdbserver lets go ─▶ a worker that was isolated for this ends
//! ```

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{info, warn};

use super::debugging::Begun;
use super::isolation;
use super::{Master, Waiter};
use crate::id::{ProcessId, WorkerId};
use crate::look;
use crate::protocol::{DebugError, OperationError};
use crate::sys::process::{self, Process, Spawn};
use crate::sys::signal::Signal;

/// The debug server; a name in `PATH`.
const SERVER: &str = "gdbserver";
/// How long it may take to attach: it stops every thread, and reads the symbols.
const ATTACHES: Duration = Duration::from_secs(30);
/// What it says when a debugger is gone that has not taken its leave.
const DEBUGGER_DIED: &str = "client connection closed";
/// How long it may take to let go.
const LETS_GO: Duration = Duration::from_secs(3);

/// A worker with a debug server, or that is about to have one. Dropping it ends that.
pub(super) struct Session {
    /// How a debugger is connected, once one can be.
    command: Option<String>,
    /// The worker was isolated, or started, for this alone.
    own: bool,
    _end: oneshot::Sender<()>,
}

/// A debug server that is attached. Dropping it has the worker run on.
struct Server {
    process: Process,
    output: Lines<BufReader<UnixStream>>,
    address: SocketAddr,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug)]
enum Over {
    /// The debugger has left, or the process that was debugged has ended.
    Left,
    /// The debugger has died.
    Lost,
    /// Nobody is there any more who asked for it.
    Unheard,
    /// The cluster stops, or the worker has ended.
    Ended,
}

impl Master {
    /// How a debugger is connected to this worker.
    pub(super) fn debug_command(&self, id: WorkerId) -> Option<String> {
        self.sessions.get(&id)?.command.clone()
    }

    pub(super) fn attach(
        &mut self,
        worker: Option<u32>,
        waiter: Waiter,
        ctx: &mut Context<Self>,
    ) -> Begun {
        let (id, own) = match self.choose(worker) {
            Ok(found) => found,
            Err(e) => return Err((waiter, e)),
        };
        let (tell, isolated) = oneshot::channel();
        if worker.is_some() {
            let isolating = Waiter {
                reply: tell,
                progress: waiter.progress.clone(),
            };
            if let Err((_, e)) = self.isolate(id.0, isolating) {
                return Err((waiter, e));
            }
        } else {
            let _ = tell.send(Ok(json!(null)));
        }
        let (end, ended) = oneshot::channel();
        let session = Session {
            command: None,
            own,
            _end: end,
        };
        self.sessions.insert(id, session);
        let port = self.cluster.options().debug.port.unwrap_or(0);
        let pid = self.workers.get(&id).map_or(0, |worker| worker.pid);
        let attached = begin(id, pid, port, isolated, waiter, ended);
        ctx.spawn(
            attached
                .into_actor(self)
                .map(move |begun, this, ctx| match begun {
                    Ok((server, waiter, ended)) => this.attached(id, server, waiter, ended, ctx),
                    Err((waiter, e)) => {
                        let _ = waiter.reply.send(Err(e));
                        this.session_over(id, true);
                        this.reconcile(ctx);
                    }
                }),
        );
        Ok(())
    }

    /// The worker that is meant, and whether it is isolated for this alone.
    fn choose(&mut self, worker: Option<u32>) -> Result<(WorkerId, bool), OperationError> {
        if !is_installed() {
            return Err(DebugError::NoDebugServer.into());
        }
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
        server: Server,
        waiter: Waiter,
        ended: oneshot::Receiver<()>,
        ctx: &mut Context<Self>,
    ) {
        let pid = self.workers.get(&id).map_or(0, |worker| worker.pid);
        // The libraries are read from this machine, and not by way of the server.
        let command = format!(
            "gdb -q {} -ex \"set sysroot /\" -ex \"target remote {}\"",
            program(pid).display(),
            server.address
        );
        info!(worker = %id, pid, server = server.process.pid(), address = %server.address, "a debug server is attached; the worker stands still until a debugger has it go on");
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

/// Waits until the worker is isolated, and attaches the server.
async fn begin(
    id: WorkerId,
    pid: u32,
    port: u16,
    isolated: oneshot::Receiver<Result<serde_json::Value, OperationError>>,
    mut waiter: Waiter,
    mut ended: oneshot::Receiver<()>,
) -> Result<(Server, Waiter, oneshot::Receiver<()>), (Waiter, OperationError)> {
    let attaching = async {
        isolated.await.unwrap_or(Err(OperationError::Stopping))?;
        Server::attach(pid, port).await.map_err(|cause| {
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

impl Server {
    async fn attach(pid: u32, port: u16) -> Result<Self, String> {
        let failed = |e: io::Error| format!("{SERVER} cannot be started: {e}");
        let (ours, its) = StdStream::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let output = UnixStream::from_std(ours).map_err(failed)?;
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let args = ["--once", "--attach", &at.to_string(), &pid.to_string()];
        let process = process::spawn(Spawn {
            program: SERVER.into(),
            args: args.iter().map(Into::into).collect(),
            output: Some(its.into()),
            new_group: true,
            ..Spawn::default()
        });
        let mut server = Server {
            process: process.map_err(failed)?,
            output: BufReader::new(output).lines(),
            address: at,
        };
        match timeout(ATTACHES, server.port()).await {
            Ok(Ok(port)) => server.address.set_port(port),
            Ok(Err(said)) => return Err(cannot(pid, &said)),
            Err(_) => {
                let seconds = ATTACHES.as_secs();
                return Err(format!("{SERVER} has not attached within {seconds} s"));
            }
        }
        Ok(server)
    }

    /// The port that it listens at; else what it says.
    async fn port(&mut self) -> Result<u16, String> {
        let mut said = String::new();
        while let Ok(Some(line)) = self.output.next_line().await {
            if let Some(port) = line.strip_prefix("Listening on port ") {
                return port.trim().parse().map_err(|_| line);
            }
            if said.len() < 1024 {
                said = format!("{said} {}", line.trim());
            }
        }
        Err(said.trim().to_owned())
    }

    /// Waits for the debugger to leave, or for the operator to.
    async fn until_over(
        mut self,
        id: WorkerId,
        mut waiter: Waiter,
        mut ended: oneshot::Receiver<()>,
    ) -> (Waiter, Over, bool) {
        let mut says = true;
        let over = loop {
            tokio::select! {
                _ = self.process.exited() => break Over::Left,
                line = self.output.next_line(), if says => match line {
                    Ok(Some(line)) => {
                        info!(worker = %id, "{SERVER}: {}", line.trim());
                        // While the worker runs, the server waits for it, and not for another debugger.
                        if line.contains(DEBUGGER_DIED) {
                            break Over::Lost;
                        }
                    }
                    _ => says = false,
                },
                () = waiter.reply.closed() => break Over::Unheard,
                _ = &mut ended => break Over::Ended,
            }
        };
        let clean = match over {
            Over::Left => true,
            Over::Lost => {
                self.end(id).await;
                false
            }
            Over::Unheard | Over::Ended => self.let_go(id).await,
        };
        (waiter, over, clean)
    }

    /// Has the server let the worker run on. Says whether that was in order: it took out its breakpoints, or nobody had set any.
    async fn let_go(&self, id: WorkerId) -> bool {
        let is_connected = self.process.shut_connections() > 0;
        if is_connected && timeout(LETS_GO, self.process.exited()).await.is_ok() {
            return true;
        }
        self.end(id).await;
        !is_connected
    }

    async fn end(&self, id: WorkerId) {
        let _ = self.process.signal(Signal::TERM);
        if timeout(LETS_GO, self.process.exited()).await.is_err() {
            warn!(worker = %id, "the debug server does not end, and is killed");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.try_exited().is_none() {
            let _ = self.process.signal(Signal::KILL);
        }
    }
}

/// Why the server does not attach, and the way out.
fn cannot(pid: u32, said: &str) -> String {
    if said.contains("not permitted")
        || said.contains("is being traced")
        || said.contains("already traced")
    {
        format!(
            "{SERVER} may not attach to process {pid}: {}",
            look::obstacle(pid)
        )
    } else if said.contains("bind") {
        format!("{SERVER} cannot listen at --debug.port ({said}); 0 takes any free one")
    } else {
        format!("{SERVER} does not attach: {said}")
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

fn is_installed() -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(SERVER).is_file())
    })
}
