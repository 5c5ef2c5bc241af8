//! Having a process look at another: started for that, and ended with it.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::debugging::Begun;
use super::{Master, Waiter};
use crate::id::{ProcessId, WorkerId};
use crate::look::{
    Errand, HERTZ, LookError, MOST_SECONDS, PermissionSeen, ProfileSeen, StacksSeen, Task, VARIABLE,
};
use crate::protocol::{DebugError, OperationError, Subject};
use crate::sys::process::{self, Process, Spawn};
use crate::sys::signal::Signal;
use crate::sys::{Exit, inherit};

/// Processes that look at others at once: each reads the symbols of the whole program.
const MOST: usize = 4;
/// How much one may say, in bytes.
const SAYS: u64 = 12 * 1024 * 1024;
/// How long one may take beyond the time that it looks: the debug information of a large program is read, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Room for those who look.
pub(super) struct Lookers(Arc<Semaphore>);

impl Default for Lookers {
    fn default() -> Self {
        Lookers(Arc::new(Semaphore::new(MOST)))
    }
}

/// A process that looks at another. Dropped before it has said what it saw, it is ended.
struct Looker {
    process: Process,
    answer: File,
    _place: OwnedSemaphorePermit,
}

impl Drop for Looker {
    fn drop(&mut self) {
        if self.process.try_exited().is_none() {
            // A tracer that dies lets go of whom it has stopped.
            let _ = self.process.signal(Signal::KILL);
        }
    }
}

impl Looker {
    /// What it has seen.
    async fn seen<T: DeserializeOwned>(
        mut self,
        pid: u32,
        within: Duration,
    ) -> Result<T, LookError> {
        let failed = |cause: String| LookError::Failed { pid, cause };
        let ended = tokio::time::timeout(within, self.process.exited()).await;
        let Ok(exit) = ended else {
            let seconds = within.as_secs();
            return Err(failed(format!(
                "who looks at it did not come back within {seconds} s"
            )));
        };
        match exit {
            Exit::Code(0) => {}
            Exit::Signal(libc_sigsys) if libc_sigsys == SIGSYS => {
                return Err(failed(
                    "who looks at it was killed by a seccomp filter, which forbids ptrace; start the container with --cap-add=SYS_PTRACE, or with a profile that allows ptrace".to_owned(),
                ));
            }
            exit => return Err(failed(format!("who looks at it ended with {exit}"))),
        }
        let mut text = Vec::new();
        let read = self
            .answer
            .rewind()
            .and_then(|()| self.answer.by_ref().take(SAYS).read_to_end(&mut text));
        read.map_err(|e| failed(e.to_string()))?;
        let end = text
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(text.len());
        serde_json::from_slice(&text[..end]).map_err(|e| failed(e.to_string()))
    }
}

/// How a process ends that makes a call which a seccomp filter kills for.
const SIGSYS: i32 = 31;

impl Master {
    pub(super) fn look_at_stacks(&mut self, of: Subject, waiter: Waiter) -> Begun {
        let (process, pid, looker) = match self.send_looker(of, |_| Task::Stacks) {
            Ok(sent) => sent,
            Err(e) => return Err((waiter, e)),
        };
        actix_rt::spawn(async move {
            let seen = looker
                .seen::<StacksSeen>(pid, PATIENCE)
                .await
                .and_then(|seen| seen);
            let seen = seen.map(|stacks| {
                let mut value = serde_json::to_value(stacks).unwrap_or(Value::Null);
                value["process"] = json!(process.to_string());
                value
            });
            let _ = waiter.reply.send(seen.map_err(|e| not_seen(process, &e)));
        });
        Ok(())
    }

    pub(super) fn profile(&mut self, of: Subject, seconds: u32, mut waiter: Waiter) -> Begun {
        if !(1..=MOST_SECONDS).contains(&seconds) {
            let error = OperationError::OutOfRange {
                what: "seconds".to_owned(),
                value: seconds.to_string(),
                allowed: format!("1 to {MOST_SECONDS}"),
            };
            return Err((waiter, error));
        }
        let name = self.cluster.options().name.clone();
        let task = |process| Task::Profile {
            seconds,
            title: format!("{name}: {process}"),
        };
        let (process, pid, looker) = match self.send_looker(of, task) {
            Ok(sent) => sent,
            Err(e) => return Err((waiter, e)),
        };
        actix_rt::spawn(async move {
            waiter.note(0, seconds, &format!("looking at {process}"));
            let within = PATIENCE + Duration::from_secs(seconds.into());
            let seen = tokio::select! {
                seen = looker.seen::<ProfileSeen>(pid, within) => seen.and_then(|seen| seen),
                // Nobody is there any more to see it.
                () = waiter.reply.closed() => return,
            };
            let seen = seen.map(|profile| {
                json!({
                    "process": process.to_string(),
                    "pid": pid,
                    "seconds": seconds,
                    "looks_per_second": HERTZ,
                    "looks": profile.looks,
                    "samples": profile.samples,
                    "stopped_us": profile.stopped_us,
                    "svg": profile.svg,
                })
            });
            let _ = waiter.reply.send(seen.map_err(|e| not_seen(process, &e)));
        });
        Ok(())
    }

    /// Tries out whether a worker may be traced.
    pub(super) fn may_trace(
        &mut self,
        id: WorkerId,
    ) -> Result<impl Future<Output = Result<(), OperationError>> + use<>, OperationError> {
        let (process, pid, looker) =
            self.send_looker(Subject::Worker(id.0), |_| Task::Permission)?;
        Ok(async move {
            let tried = looker.seen::<PermissionSeen>(pid, PATIENCE).await;
            let tried = tried.and_then(|tried| tried);
            tried.map_err(|e| not_seen(process, &e))
        })
    }

    fn send_looker(
        &mut self,
        of: Subject,
        task: impl FnOnce(ProcessId) -> Task,
    ) -> Result<(ProcessId, u32, Looker), OperationError> {
        let (process, pid) = self.subject(of)?;
        let place = Arc::clone(&self.lookers.0).try_acquire_owned();
        let place =
            place.map_err(|_| OperationError::Busy(format!("looking at {MOST} processes")))?;
        let looker = self.start_looker(pid, task(process), place);
        let looker = looker.map_err(|e| {
            let cause = format!("nobody can be started to look at it: {e}");
            OperationError::from(DebugError::NotSeen { process, cause })
        })?;
        Ok((process, pid, looker))
    }

    fn start_looker(
        &self,
        pid: u32,
        task: Task,
        place: OwnedSemaphorePermit,
    ) -> io::Result<Looker> {
        let answer: OwnedFd = inherit::scratch(SAYS)?;
        let errand = Errand {
            pid,
            task,
            answer: answer.as_raw_fd(),
        };
        let told = serde_json::to_string(&errand)?;
        let spawn: Spawn<'_> = self
            .spawner
            .aside((VARIABLE.into(), told.into()), vec![answer.as_fd()]);
        let process = process::spawn(spawn)?;
        Ok(Looker {
            process,
            answer: answer.into(),
            _place: place,
        })
    }
}

fn not_seen(process: ProcessId, error: &LookError) -> OperationError {
    let cause = error.to_string();
    DebugError::NotSeen { process, cause }.into()
}
