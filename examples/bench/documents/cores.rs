//! Which cores a thread, and all that it starts, may run on.

use cluster_web::Result;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// From now on this process, and what it starts, keeps away from the last core, which is given back for who is to have it; nothing where there
/// is only one.
pub(crate) fn spare_last() -> Result<Option<usize>> {
    let mut cores = sched_getaffinity(None)?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|core| cores.is_set(*core));
    let last = last.filter(|_| cores.count() > 1);
    if let Some(last) = last {
        cores.unset(last);
        sched_setaffinity(None, &cores)?;
    }
    Ok(last)
}

/// From now on this thread has this core.
pub(crate) fn take(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}
