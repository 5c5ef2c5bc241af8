//! What every thread of a process is doing at this moment.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tracing::debug;

use super::program::Program;
use super::symbols::Symbols;
use super::task::LookError;
use super::threads;
use crate::sys::ptrace::{Registers, TraceError, Tracer};

/// Of a thread's stack so much is copied, in bytes; what lies deeper is cut off.
const DEPTH: usize = 512 * 1024;
/// Where the stacks of many threads are deep, of each so many frames are kept.
const FEW: usize = 24;
/// From so many frames in all on.
const MANY: usize = 16_384;
/// All threads together are stopped for no longer than this.
const STOPPED: Duration = Duration::from_millis(50);
/// One thread is waited for no longer than this.
const PATIENCE: Duration = Duration::from_millis(10);

/// The stacks of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stacks {
    /// Its pid.
    pub pid: u32,
    /// Its threads; the first is the main one.
    pub threads: Vec<ThreadStack>,
    /// For how long its threads were stopped, one after the other, in microseconds.
    pub stopped_us: u64,
}

/// The stack of one thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ThreadStack {
    /// The thread's number.
    pub thread: i32,
    /// Its name.
    pub name: String,
    /// The letter of its state: `R` runs, `S` sleeps, `D` waits for a device, `T` is stopped.
    pub state: char,
    /// Its frames, the innermost first.
    pub frames: Vec<Frame>,
    /// Why there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A function that is being executed, or that waits for one that it has called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Frame {
    /// Its name, or its address where it has none.
    pub function: String,
    /// The file of its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// It is inlined in the next frame's function.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inlined: bool,
}

/// A thread as it was when it was stopped.
struct Copied {
    thread: i32,
    name: String,
    state: char,
    copy: Result<(Registers, Vec<u8>), TraceError>,
}

/// Looks at the stacks of a process.
pub(super) fn of(pid: u32) -> Result<Stacks, LookError> {
    let mut tracer = Tracer::of(pid).map_err(|source| LookError::closed(pid, source))?;
    let (copied, stopped) = copy(pid, &mut tracer)?;
    let begun = Instant::now();
    let mut program =
        Program::of(pid, tracer.memory()).map_err(|source| LookError::closed(pid, source))?;
    let mut symbols = Symbols::default();
    let threads = copied.into_iter().map(|copied| {
        let (frames, error) = match copied.copy {
            Ok((registers, stack)) => (frames(&mut program, &mut symbols, registers, &stack), None),
            Err(e) => (Vec::new(), Some(e.to_string())),
        };
        ThreadStack {
            thread: copied.thread,
            name: copied.name,
            state: copied.state,
            frames,
            error,
        }
    });
    let mut threads: Vec<ThreadStack> = threads.collect();
    if threads
        .iter()
        .map(|thread| thread.frames.len())
        .sum::<usize>()
        > MANY
    {
        threads
            .iter_mut()
            .for_each(|thread| thread.frames.truncate(FEW));
    }
    let stacks = Stacks {
        pid,
        threads,
        stopped_us: u64::try_from(stopped.as_micros()).unwrap_or(u64::MAX),
    };
    debug!(pid, named_after_ms = begun.elapsed().as_millis(), "stacks");
    Ok(stacks)
}

/// Copies what is needed of each thread: only for this they are stopped.
fn copy(pid: u32, tracer: &mut Tracer) -> Result<(Vec<Copied>, Duration), LookError> {
    let threads = threads::of(pid).map_err(|source| LookError::closed(pid, source))?;
    // Written to beforehand, so that no thread waits for its pages.
    let mut stack = vec![1; DEPTH];
    let mut all = Vec::new();
    let mut stopped = Duration::ZERO;
    for thread in threads {
        let Some((name, state)) = threads::about(pid, thread) else {
            continue;
        };
        let patience = PATIENCE.min(STOPPED.saturating_sub(stopped));
        let begun = Instant::now();
        let read = tracer.read(thread, &mut stack, patience);
        let copy = match read {
            Ok((registers, length, time)) => {
                stopped += time;
                Ok((registers, stack[..length].to_vec()))
            }
            Err(TraceError::Forbidden(source)) => return Err(LookError::forbidden(pid, source)),
            Err(TraceError::Gone) => continue,
            Err(e) => {
                stopped += begun.elapsed();
                Err(e)
            }
        };
        all.push(Copied {
            thread,
            name,
            state,
            copy,
        });
    }
    if all.is_empty() {
        return Err(LookError::Gone { pid });
    }
    Ok((all, stopped))
}

fn frames(
    program: &mut Program,
    symbols: &mut Symbols,
    registers: Registers,
    stack: &[u8],
) -> Vec<Frame> {
    let addresses = program.unwind(registers, stack);
    let mut frames = Vec::new();
    for address in addresses {
        let here = symbols.at(program, address).iter();
        frames.extend(here.map(|symbol| Frame {
            function: symbol.function.clone(),
            file: symbol.file.clone(),
            line: symbol.line,
            inlined: symbol.inlined,
        }));
    }
    frames
}
