//! Where the time of a process goes: its stacks at so many moments of a few seconds, and how often each was met.
//!
//! Only threads that have a processor are looked at. Each look stops one for some ten microseconds; nothing is installed in the
//! process, and no signal interrupts it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::flame;
use super::program::Program;
use super::symbols::Symbols;
use super::task::LookError;
use super::threads;
use crate::sys::ptrace::{TraceError, Tracer};

/// Looks per second: not a divisor of the rhythms that programs have.
pub(crate) const HERTZ: u32 = 99;
/// The longest that a process is looked at, in seconds.
pub(crate) const MOST_SECONDS: u32 = 300;
/// Of a stack so much is copied, in bytes.
const DEPTH: usize = 128 * 1024;
/// A thread is waited for no longer than this.
const PATIENCE: Duration = Duration::from_millis(5);
/// Different stacks that are kept; what comes beyond is counted, and not shown.
const MOST_STACKS: usize = 65_536;

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// The flame graph.
    pub(crate) svg: String,
    /// Stacks that were met.
    pub(crate) samples: u64,
    /// Moments at which it was looked.
    pub(crate) looks: u64,
    /// For how long threads were stopped in all, in microseconds.
    pub(crate) stopped_us: u64,
}

/// Looks at a process for so many seconds.
pub(super) fn of(pid: u32, seconds: u32, title: &str) -> Result<Profile, LookError> {
    let closed = |source| LookError::closed(pid, source);
    let mut tracer = Tracer::of(pid).map_err(closed)?;
    let mut program = Program::of(pid, tracer.memory()).map_err(closed)?;
    let mut stack = vec![1; DEPTH];
    // Innermost first, below the thread's name.
    let mut met: HashMap<(String, Vec<u64>), u64> = HashMap::new();
    let (mut samples, mut looks, mut lost) = (0, 0, 0);
    let mut stopped = Duration::ZERO;
    let (begun, time) = (Instant::now(), Duration::from_secs(seconds.into()));
    let between = Duration::from_secs(1) / HERTZ;
    let mut next = begun;
    while begun.elapsed() < time {
        let Ok(threads) = threads::of(pid) else { break };
        looks += 1;
        for thread in threads {
            let Some((name, state)) = threads::about(pid, thread) else {
                continue;
            };
            if state != 'R' && !tracer.awaits(thread) {
                continue;
            }
            match tracer.read(thread, &mut stack, PATIENCE) {
                Ok((registers, length, time)) => {
                    stopped += time;
                    let addresses = program.unwind(registers, &stack[..length]);
                    let is_full = met.len() >= MOST_STACKS;
                    match met.get_mut(&(name.clone(), addresses.clone())) {
                        Some(count) => *count += 1,
                        None if is_full => lost += 1,
                        None => drop(met.insert((name, addresses), 1)),
                    }
                    samples += 1;
                }
                Err(TraceError::Forbidden(source)) => {
                    return Err(LookError::forbidden(pid, source));
                }
                Err(_) => {}
            }
        }
        next = (next + between).max(Instant::now());
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    if looks == 0 {
        return Err(LookError::Gone { pid });
    }
    let named = name(&program, met, lost);
    let subtitle = format!(
        "{samples} samples in {seconds} s, {HERTZ} looks a second at threads that run; 100 % are {:.2} processors",
        samples as f64 / looks as f64
    );
    Ok(Profile {
        svg: flame::svg(title, &subtitle, &named),
        samples,
        looks,
        stopped_us: u64::try_from(stopped.as_micros()).unwrap_or(u64::MAX),
    })
}

/// The names of all frames, the outermost first.
fn name(
    program: &Program,
    met: HashMap<(String, Vec<u64>), u64>,
    lost: u64,
) -> Vec<(Vec<String>, u64)> {
    let mut symbols = Symbols::default();
    let mut named: Vec<(Vec<String>, u64)> = met
        .into_iter()
        .map(|((thread, addresses), count)| {
            let mut names = Vec::new();
            for address in addresses {
                let here = symbols.at(program, address).iter();
                names.extend(here.map(|symbol| symbol.function.clone()));
            }
            names.push(thread);
            names.reverse();
            (names, count)
        })
        .collect();
    if lost > 0 {
        named.push((vec!["(more stacks than are kept)".to_owned()], lost));
    }
    named
}
