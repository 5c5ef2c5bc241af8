//! What a process uses of the machine.

#![allow(unsafe_code)]

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a process used when it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Memory that is resident, in bytes, shared pages included.
    pub rss_bytes: u64,
    /// Processor time since its start, in user and kernel mode, all threads together.
    pub cpu_time: Duration,
    /// Open descriptors.
    pub open_fds: u32,
    /// Threads.
    pub threads: u32,
    /// Memory that is resident and not shared with other processes, in bytes: what its end would give back.
    pub private_bytes: u64,
}

impl Usage {
    /// Looks at this process.
    ///
    /// # Errors
    /// If there is no /proc to look into.
    pub fn sample() -> io::Result<Self> {
        // The clock has nanoseconds; /proc has hundredths.
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
        let cpu_time = Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanoseconds);
        Ok(Self {
            cpu_time,
            ..Self::read(Path::new("/proc/self"))?
        })
    }

    /// Looks at another process; its processor time is known to 10 ms.
    ///
    /// # Errors
    /// `NotFound` if there is no such process, `PermissionDenied` if it belongs to another user.
    pub fn of(pid: u32) -> io::Result<Self> {
        Self::read(Path::new(&format!("/proc/{pid}")))
    }

    fn read(process: &Path) -> io::Result<Self> {
        let mut buffer = [0; 1024];
        let mut stat = File::open(process.join("stat"))?;
        let length = stat.read(&mut buffer)?;
        let usage = parse_stat(&buffer[..length]).ok_or(io::ErrorKind::InvalidData)?;
        let statm = std::fs::read_to_string(process.join("statm"))?;
        Ok(Self {
            open_fds: count_fds(&process.join("fd"))?,
            private_bytes: parse_statm(&statm).ok_or(io::ErrorKind::InvalidData)?,
            ..usage
        })
    }
}

/// This process's share of the memory that is resident, in bytes: pages that several processes share count in parts (PSS).
///
/// The kernel counts page by page: some 20 ms for a gigabyte in small pages, measured on a small virtual machine.
///
/// # Errors
/// If there is no /proc to look into, or it does not say (Linux before 4.14).
pub(crate) fn proportional_bytes() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    kib_of(&text, "Pss:").ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The most memory that was ever resident in this process at once, in bytes.
///
/// # Errors
/// If there is no /proc to look into.
pub(crate) fn peak_rss_bytes() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    kib_of(&text, "VmHWM:").ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The bytes of a line such as `VmHWM:   1234 kB`.
fn kib_of(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = value.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Reads the fields of /proc/PID/stat that count here.
fn parse_stat(stat: &[u8]) -> Option<Usage> {
    let stat = String::from_utf8_lossy(stat);
    // The command's name stands in parentheses and may itself hold any character: count from its end, where field 3 is.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().take(22).collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let ticks = number(14)?.checked_add(number(15)?)?;
    Some(Usage {
        rss_bytes: number(24)?.saturating_mul(system_number(libc::_SC_PAGESIZE, 4096)),
        cpu_time: Duration::from_millis(
            ticks.saturating_mul(1000) / system_number(libc::_SC_CLK_TCK, 100),
        ),
        open_fds: 0,
        threads: u32::try_from(number(20)?).ok()?,
        private_bytes: 0,
    })
}

/// Reads what is resident and not shared from /proc/PID/statm, whose second and third fields are pages resident and pages shared.
fn parse_statm(statm: &str) -> Option<u64> {
    let mut fields = statm.split_ascii_whitespace().skip(1);
    let mut pages = || fields.next()?.parse::<u64>().ok();
    let own = pages()?.saturating_sub(pages()?);
    Some(own.saturating_mul(system_number(libc::_SC_PAGESIZE, 4096)))
}

fn system_number(name: libc::c_int, usual: u64) -> u64 {
    // SAFETY: the call takes a number and gives a number.
    u64::try_from(unsafe { libc::sysconf(name) })
        .ok()
        .filter(|number| *number > 0)
        .unwrap_or(usual)
}

/// The number of entries in a `/proc/PID/fd`.
fn count_fds(directory: &Path) -> io::Result<u32> {
    // Linux from 6.2 on gives the count as the directory's size; before, it is 0.
    match std::fs::metadata(directory)?.len() {
        0 => count_entries(directory),
        count => Ok(u32::try_from(count).unwrap_or(u32::MAX)),
    }
}

#[cfg(target_os = "linux")]
fn count_entries(directory: &Path) -> io::Result<u32> {
    let directory = File::open(directory)?;
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut entries = rustix::fs::RawDir::new(&directory, &mut buffer);
    let mut count = 0_u32;
    while let Some(entry) = entries.next() {
        let name = entry?.file_name().to_bytes().first().copied();
        count += u32::from(name != Some(b'.'));
    }
    Ok(count)
}

#[cfg(not(target_os = "linux"))]
fn count_entries(directory: &Path) -> io::Result<u32> {
    Ok(u32::try_from(std::fs::read_dir(directory)?.count()).unwrap_or(u32::MAX))
}

/// The most bytes of memory that this process's control group (version 2) and those above it allow; `None` without one.
pub(crate) fn memory_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    limit_of(Path::new("/sys/fs/cgroup"), &groups)
}

/// The most bytes of memory that this process can have: what its control group allows, else what the machine has.
pub fn memory_bound() -> Option<u64> {
    memory_limit().or_else(|| {
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        kib_of(&text, "MemTotal:")
    })
}

fn limit_of(root: &Path, groups: &str) -> Option<u64> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // The limit of each group binds all below it.
    let mut limits = Vec::new();
    for group in Path::new(group).ancestors() {
        for name in ["memory.max", "memory.high"] {
            let file: PathBuf = root.join(group).join(name);
            let limit = std::fs::read_to_string(file).ok();
            limits.extend(limit.and_then(|limit| limit.trim().parse::<u64>().ok()));
        }
    }
    limits.into_iter().min()
}
