//! A debug server: started, attached, and ended.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::super::Waiter;
use super::dialect::Dialect;
use super::relay;
use crate::id::WorkerId;
use crate::look;
use crate::sys::process::{self, Process, Spawn};
use crate::sys::signal::Signal;

/// How long it may take to attach: it stops every thread, and reads the symbols.
const ATTACHES: Duration = Duration::from_secs(30);
/// How long it may take to let go.
const LETS_GO: Duration = Duration::from_secs(3);
/// How often it is looked whether it has attached: the kernel tells that by no event.
const LOOK: Duration = Duration::from_millis(20);
/// What it says before it ends is kept to this, in bytes.
const SAYS: usize = 1024;

/// A process that does not outlive this.
struct Kept(Process);

impl Drop for Kept {
    fn drop(&mut self) {
        if self.0.try_exited().is_none() {
            // A tracer that dies lets go of whom it has stopped.
            let _ = self.0.signal(Signal::KILL);
        }
    }
}

/// A debug server that is attached. Dropping it has the worker run on.
pub(super) struct Server {
    dialect: Dialect,
    process: Kept,
    output: Lines<BufReader<UnixStream>>,
    /// What it says to the debugger, and hears of it.
    speech: UnixStream,
    /// Where the debugger comes to.
    door: TcpListener,
    address: SocketAddr,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Over {
    /// The debugger has left, or the process that was debugged has ended.
    Left,
    /// The debugger has died.
    Lost,
    /// Nobody is there any more who asked for it.
    Unheard,
    /// The cluster stops, or the worker has ended.
    Ended,
}

impl Server {
    pub(super) async fn attach(dialect: Dialect, pid: u32, port: u16) -> Result<Self, String> {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let door = TcpListener::bind(at).await.map_err(|e| {
            format!("nobody can listen at {at} ({e}); --debug.port 0 takes any free port")
        })?;
        let name = dialect.name();
        let mut server = Self::start(dialect, pid, door)
            .map_err(|e| format!("{name} cannot be started: {e}"))?;
        match timeout(ATTACHES, server.until_attached(pid)).await {
            Ok(Ok(())) => Ok(server),
            Ok(Err(said)) => Err(format!("{name} does not attach to process {pid}: {said}")),
            Err(_) => {
                let seconds = ATTACHES.as_secs();
                Err(format!("{name} has not attached within {seconds} s"))
            }
        }
    }

    fn start(dialect: Dialect, pid: u32, door: TcpListener) -> io::Result<Self> {
        let (output, its_output) = pair()?;
        let (speech, its) = pair()?;
        let address = door.local_addr()?;
        let stdio = dialect.speaks_by_stdio().then(|| its.try_clone());
        let process = process::spawn(Spawn {
            program: dialect.program().to_owned(),
            args: dialect.args(pid, its.as_raw_fd()),
            output: Some(its_output.into()),
            stdio: stdio.transpose()?.map(Into::into),
            fds: vec![its.as_fd()],
            new_group: true,
            // Nobody else would end it, and the worker would stand still for ever.
            ends_with_us: true,
            ..Spawn::default()
        })?;
        Ok(Server {
            dialect,
            process: Kept(process),
            output: BufReader::new(output).lines(),
            speech,
            door,
            address,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.0.pid()
    }

    /// Where a debugger is connected to it.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it traces the process; where it ends instead gives back what it says.
    async fn until_attached(&mut self, pid: u32) -> Result<(), String> {
        let mut said = String::new();
        while look::tracer(pid) != Some(self.pid()) {
            tokio::select! {
                line = self.output.next_line() => match line {
                    Ok(Some(line)) if said.len() < SAYS => said = format!("{said} {}", line.trim()),
                    Ok(Some(_)) => {}
                    _ => return Err(said.trim().to_owned()),
                },
                () = sleep(LOOK) => {}
            }
        }
        Ok(())
    }

    /// Waits for the debugger to leave, or for the operator to. Says why it is over, and whether the worker is as it was: no breakpoint
    /// is left in it.
    pub(super) async fn until_over(
        self,
        id: WorkerId,
        mut waiter: Waiter,
        mut ended: oneshot::Receiver<()>,
    ) -> (Waiter, Over, bool) {
        let name = self.dialect.name();
        let Server {
            dialect,
            process,
            mut output,
            mut speech,
            door,
            ..
        } = self;
        let process = &process.0;
        let logged = actix_rt::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                info!(worker = %id, "{name}: {}", line.trim());
            }
        });
        let mut has_come = false;
        let debugging = async {
            let accepted = tokio::select! {
                accepted = door.accept() => accepted,
                // The worker has ended, and its server with it.
                _ = process.exited() => return Over::Left,
            };
            // One comes, and nobody else.
            drop(door);
            let (mut debugger, from) = match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    warn!(worker = %id, error = %e, "the debugger cannot come");
                    return Over::Lost;
                }
            };
            info!(worker = %id, %from, "a debugger has come");
            has_come = true;
            let _ = debugger.set_nodelay(true);
            match relay::between(&mut debugger, &mut speech).await {
                true => Over::Left,
                false => Over::Lost,
            }
        };
        let over = tokio::select! {
            over = debugging => over,
            () = waiter.reply.closed() => Over::Unheard,
            _ = &mut ended => Over::Ended,
        };
        // It hears that the debugger is gone.
        drop(speech);
        let by_itself = timeout(LETS_GO, process.exited()).await.is_ok();
        if !by_itself {
            // While the worker runs gdbserver hears of nothing else.
            let _ = process.signal(Signal::TERM);
            if timeout(LETS_GO, process.exited()).await.is_err() {
                warn!(worker = %id, "the debug server does not end, and is killed");
            }
        }
        let in_order = matches!(over, Over::Left) || dialect.takes_out_breakpoints();
        let clean = !has_come || (by_itself && in_order);
        logged.abort();
        (waiter, over, clean)
    }
}

/// Two ends of a stream: this process's, and the other's.
fn pair() -> io::Result<(UnixStream, StdStream)> {
    let (ours, its) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, its))
}
