//! Starting processes from the program that the master itself runs, with all that they inherit.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::isolation::LONG;
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
    /// The file that this process itself runs: what lies on disk may be another by now.
    running: File,
    /// Processes are started from what lies on disk, whatever it is.
    on_disk: bool,
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

/// What a process does before it serves with the others.
#[derive(Clone, Copy, Default)]
struct Birth {
    /// It serves nobody until it is told to.
    paused: bool,
    /// It takes over from another.
    takes_over: bool,
    /// It waits for a debugger.
    awaits_debugger: bool,
}

/// A process just started, and its slots of the page.
pub(crate) struct Spawned {
    pub(crate) process: Process,
    pub(crate) slots: Vec<usize>,
}

impl Spawner {
    /// Prepares to start processes: the program is that which this process itself runs, also where its file has been replaced since.
    pub(crate) fn new(options: Options, runtime_dir: PathBuf) -> io::Result<Self> {
        Ok(Spawner {
            program: process::exe()?.to_owned(),
            running: File::open("/proc/self/exe")?,
            on_disk: false,
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

    /// Takes over the page that the workers of another master share.
    ///
    /// # Errors
    ///
    /// As [`Page::from_fd`].
    pub(crate) fn take_page(&mut self, fd: OwnedFd) -> io::Result<()> {
        self.page = Page::from_fd(fd)?;
        self.taken.resize(self.page.slots(), false);
        Ok(())
    }

    /// These slots are a worker's that was adopted.
    pub(crate) fn reserve(&mut self, slots: &[usize]) {
        for slot in slots {
            if let Some(taken) = self.taken.get_mut(*slot) {
                *taken = true;
            }
        }
    }

    /// From now on processes are started from what lies on disk, or again from what this one runs.
    pub(crate) fn start_what_is_on_disk(&mut self, on_disk: bool) {
        self.on_disk = on_disk;
    }

    /// The file to execute: under its own path while the program of this process lies there.
    fn file(&self) -> PathBuf {
        let is_there = || {
            let (there, running) = (self.program.metadata().ok()?, self.running.metadata().ok()?);
            Some((there.dev(), there.ino()) == (running.dev(), running.ino()))
        };
        match self.on_disk || is_there() == Some(true) {
            true => self.program.clone(),
            false => format!("/proc/self/fd/{}", self.running.as_raw_fd()).into(),
        }
    }

    /// Starts a cache manager that is to take over from the one that serves.
    pub(crate) fn spawn_next_cache(&mut self) -> io::Result<Process> {
        let birth = Birth {
            takes_over: true,
            ..Birth::default()
        };
        self.spawn_with(ProcessId::CacheManager, Generation(1), birth, &[])
    }

    /// Starts a process.
    pub(crate) fn spawn(
        &mut self,
        who: ProcessId,
        generation: Generation,
        paused: bool,
    ) -> io::Result<Spawned> {
        let birth = Birth {
            paused,
            ..Birth::default()
        };
        self.spawn_as(who, generation, birth)
    }

    /// Starts a worker that is to be debugged from its first step on.
    pub(crate) fn spawn_for_debugger(
        &mut self,
        who: ProcessId,
        generation: Generation,
    ) -> io::Result<Spawned> {
        let birth = Birth {
            awaits_debugger: true,
            ..Birth::default()
        };
        self.spawn_as(who, generation, birth)
    }

    fn spawn_as(
        &mut self,
        who: ProcessId,
        generation: Generation,
        birth: Birth,
    ) -> io::Result<Spawned> {
        let serves = matches!(who, ProcessId::Worker(_));
        let slots = if serves {
            self.take_slots()
        } else {
            Vec::new()
        };
        let spawned = self.spawn_with(who, generation, birth, &slots);
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
        birth: Birth,
        slots: &[usize],
    ) -> io::Result<Process> {
        let serves = matches!(who, ProcessId::Worker(_));
        let sockets: &[Socket] = if serves { &self.sockets } else { &[] };
        let mut options = self.options.clone();
        if birth.awaits_debugger {
            // Whoever looks at each step of a start needs more time for it than a machine does.
            options.warm_up_timeout = LONG;
        }
        let record = BootRecord {
            process: who,
            generation,
            paused: birth.paused,
            master: std::process::id(),
            runtime_dir: self.runtime_dir.clone(),
            options,
            sockets: sockets.iter().map(InheritedSocket::of).collect(),
            page: serves.then(|| self.page.fd().as_raw_fd()),
            slots: slots.to_vec(),
            takes_over: birth.takes_over,
            awaits_debugger: birth.awaits_debugger,
            lock: None,
            monitor: None,
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
            program: self.file(),
            args: self.args.clone(),
            env,
            fds,
            arg0: Some(self.program.clone().into()),
            new_group: true,
            ..Spawn::default()
        })
    }

    /// This program once more, to do something with other processes; nothing but this variable tells it what.
    pub(crate) fn aside<'a>(
        &self,
        variable: (OsString, OsString),
        fds: Vec<std::os::fd::BorrowedFd<'a>>,
    ) -> Spawn<'a> {
        Spawn {
            program: self.file(),
            args: self.args.clone(),
            env: vec![variable],
            fds,
            arg0: Some(self.program.clone().into()),
            new_group: true,
            ..Spawn::default()
        }
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
            if let Some(taken) = self.taken.get_mut(*slot) {
                *taken = false;
            }
        }
    }

    /// What processes are started with.
    pub(crate) fn args(&self) -> &[OsString] {
        &self.args
    }

    /// The file that processes are started from.
    pub(crate) fn program(&self) -> &std::path::Path {
        &self.program
    }
}
