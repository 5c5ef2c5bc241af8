//! Starting processes from the program that the master itself runs, with all that they inherit.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

use crate::id::{Generation, ProcessId};
use crate::options::Options;
use crate::sys::inherit::Handover;
use crate::sys::page::{MAX_SLOTS, Page};
use crate::sys::process::{self, Process, Spawn};
use crate::worker::application::Socket;
use crate::worker::boot::{BootRecord, InheritedSocket};

/// What every process is started with.
pub(crate) struct Spawner {
    program: PathBuf,
    args: Vec<OsString>,
    options: Options,
    runtime_dir: PathBuf,
    sockets: Vec<Socket>,
    page: Page,
    /// Which slots of the page are taken.
    taken: Vec<bool>,
}

/// What the allocator of a process is told, where the operator tells it nothing: the cache manager, which looks all over its memory,
/// takes it in large pages. Among a million entries that makes an operation about a tenth faster (`bench cache`).
///
/// Source: the GNU C Library manual, "Memory Allocation Tunables"; another C library does not look at the variable.
fn tuning(who: ProcessId) -> Option<(OsString, OsString)> {
    const TUNABLES: &str = "GLIBC_TUNABLES";
    let untold = who == ProcessId::CacheManager && std::env::var_os(TUNABLES).is_none();
    untold.then(|| (TUNABLES.into(), "glibc.malloc.hugetlb=1".into()))
}

/// A process just started, and its slots of the page.
pub(crate) struct Spawned {
    pub(crate) process: Process,
    pub(crate) slots: Vec<usize>,
}

impl Spawner {
    /// Prepares to start processes: the program is the file that this process was started from, under the name it had then.
    pub(crate) fn new(options: Options, runtime_dir: PathBuf) -> io::Result<Self> {
        Ok(Spawner {
            program: process::exe()?.to_owned(),
            args: std::env::args_os().skip(1).collect(),
            options,
            runtime_dir,
            sockets: Vec::new(),
            page: Page::create(MAX_SLOTS)?,
            taken: vec![false; MAX_SLOTS],
        })
    }

    /// The sockets that workers inherit from now on.
    pub(crate) fn set_sockets(&mut self, sockets: Vec<Socket>) {
        self.sockets = sockets;
    }

    /// Starts a process.
    pub(crate) fn spawn(
        &mut self,
        who: ProcessId,
        generation: Generation,
        paused: bool,
    ) -> io::Result<Spawned> {
        let serves = matches!(who, ProcessId::Worker(_));
        let slots = if serves {
            self.take_slots()
        } else {
            Vec::new()
        };
        let spawned = self.spawn_with(who, generation, paused, serves, &slots);
        if spawned.is_err() {
            self.free(&slots);
        }
        Ok(Spawned {
            process: spawned?,
            slots,
        })
    }

    fn spawn_with(
        &self,
        who: ProcessId,
        generation: Generation,
        paused: bool,
        serves: bool,
        slots: &[usize],
    ) -> io::Result<Process> {
        let sockets: &[Socket] = if serves { &self.sockets } else { &[] };
        let record = BootRecord {
            process: who,
            generation,
            paused,
            master: std::process::id(),
            runtime_dir: self.runtime_dir.clone(),
            options: self.options.clone(),
            sockets: sockets
                .iter()
                .map(|socket| InheritedSocket {
                    fd: socket.fd().as_raw_fd(),
                    unix: match socket {
                        Socket::Tcp(_) => None,
                        Socket::Unix(_, path) => Some(path.clone()),
                    },
                })
                .collect(),
            page: serves.then(|| self.page.fd().as_raw_fd()),
            slots: slots.to_vec(),
        };
        let handover = Handover::new(&serde_json::to_vec(&record)?)?;
        let mut fds: Vec<_> = sockets.iter().map(Socket::fd).collect();
        fds.push(handover.as_fd());
        if serves {
            fds.push(self.page.fd());
        }
        let mut env = vec![handover.variable()];
        env.extend(tuning(who));
        process::spawn(Spawn {
            program: self.program.clone(),
            args: self.args.clone(),
            env,
            fds,
            new_group: true,
            ..Spawn::default()
        })
    }

    /// A slot for each thread; fewer where the page is full, and then the worker accepts without regard for others.
    fn take_slots(&mut self) -> Vec<usize> {
        let free = self
            .taken
            .iter()
            .enumerate()
            .filter(|(_, taken)| !**taken)
            .map(|(n, _)| n);
        let slots: Vec<usize> = free.take(self.options.threads as usize).collect();
        for slot in &slots {
            self.taken[*slot] = true;
        }
        slots
    }

    /// Takes back the slots of a process that has ended, and clears what it left in them.
    pub(crate) fn free(&mut self, slots: &[usize]) {
        for slot in slots {
            self.page.clear(*slot);
            self.taken[*slot] = false;
        }
    }

    /// The file that processes are started from.
    pub(crate) fn program(&self) -> &std::path::Path {
        &self.program
    }
}
