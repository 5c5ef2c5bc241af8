//! How a cluster is to be started.

use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::cluster::Cluster;
use super::failed_start::FailedStart;
use super::processes;
use super::seccomp::{self, Ptrace};

/// What every test takes unless it says otherwise: ports that the kernel picks, two workers, a short rhythm.
const USUAL: &[(&str, &str)] = &[
    ("--host", "127.0.0.1"),
    ("--port", "0"),
    ("--mon-port", "0"),
    ("--workers", "2"),
    ("--heartbeat-interval", "100"),
];

/// A program, its flags and a directory of its own.
pub(crate) struct Setup {
    program: PathBuf,
    flags: Vec<String>,
    env: Vec<(String, OsString)>,
    usual: bool,
    user: Option<u32>,
    without: Option<Ptrace>,
    given: Vec<(OwnedFd, String)>,
    pub(crate) wrapped: Vec<String>,
    pub(crate) home: TempDir,
    pub(crate) mark: String,
}

impl Setup {
    /// The example `hello`.
    pub(crate) fn hello() -> Self {
        Self::of(env!("CARGO_BIN_EXE_hello"))
    }

    /// The example `chatter`.
    pub(crate) fn chatter() -> Self {
        Self::of(env!("CARGO_BIN_EXE_chatter"))
    }

    /// The example `decay`.
    pub(crate) fn decay() -> Self {
        Self::of(env!("CARGO_BIN_EXE_decay"))
    }

    /// The example `documents`.
    pub(crate) fn documents() -> Self {
        Self::of(env!("CARGO_BIN_EXE_documents"))
    }

    /// The example `jobs`.
    pub(crate) fn jobs() -> Self {
        Self::of(env!("CARGO_BIN_EXE_jobs"))
    }

    /// The example `shop`.
    pub(crate) fn shop() -> Self {
        Self::of(env!("CARGO_BIN_EXE_shop"))
    }

    /// The example `sessions`.
    pub(crate) fn sessions() -> Self {
        Self::of(env!("CARGO_BIN_EXE_sessions"))
    }

    /// The example `vault`.
    pub(crate) fn vault() -> Self {
        Self::of(env!("CARGO_BIN_EXE_vault"))
    }

    fn of(program: &str) -> Self {
        Setup {
            program: program.into(),
            flags: Vec::new(),
            env: Vec::new(),
            usual: true,
            user: None,
            without: None,
            given: Vec::new(),
            wrapped: Vec::new(),
            home: TempDir::new().expect("a directory"),
            mark: processes::new_mark(),
        }
    }

    /// A flag and its value.
    pub(crate) fn flag(mut self, name: &str, value: impl ToString) -> Self {
        self.flags.extend([name.to_owned(), value.to_string()]);
        self
    }

    /// A flag that stands alone.
    pub(crate) fn switch(mut self, name: &str) -> Self {
        self.flags.push(name.to_owned());
        self
    }

    /// A variable.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Nothing but the flags that the test names, not even a runtime directory.
    pub(crate) fn bare(mut self) -> Self {
        self.usual = false;
        self
    }

    /// A file in the directory that the program is started in.
    pub(crate) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.home.path().join(name), text).expect("a file is written");
        self
    }

    /// Runs it as this user, from a copy that this user may run.
    pub(crate) fn user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self.copied()
    }

    /// Runs it, and whatever it starts, without the right to trace others.
    pub(crate) fn without(mut self, ptrace: Ptrace) -> Self {
        self.without = Some(ptrace);
        self
    }

    /// Runs it from a copy of its own, which can be replaced.
    pub(crate) fn copied(mut self) -> Self {
        let copy = self.home.path().join("program");
        place_program(&self.program, &copy);
        self.program = copy;
        self
    }

    /// Runs it from a copy of its own that has one more section.
    pub(crate) fn section(self, name: &str, bytes: &[u8]) -> Self {
        let made = self.copied();
        let (plain, content) = (made.path("plain"), made.path("section"));
        fs::rename(&made.program, &plain).expect("it is ours");
        fs::write(&content, bytes).expect("a file is written");
        let added = Command::new("objcopy")
            .arg("--add-section")
            .arg(format!("{name}={}", content.display()))
            .args([&plain, &made.program])
            .status();
        assert!(
            added.is_ok_and(|status| status.success()),
            "objcopy adds it"
        );
        made
    }

    /// A descriptor that the program finds open, as a service manager gives it: the first as 3, the second as 4.
    pub(crate) fn given(mut self, fd: impl Into<OwnedFd>, name: &str) -> Self {
        assert!(self.given.len() < 2, "there is room for two");
        self.given.push((fd.into(), name.to_owned()));
        self
    }

    /// A command that starts the program, which is its last words.
    pub(crate) fn under(mut self, command: &[&str]) -> Self {
        self.wrapped = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// A path inside the directory of this cluster.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Where the sockets and the lock will be.
    pub(crate) fn runtime_dir(&self) -> PathBuf {
        match self.value("--runtime-dir") {
            Some(path) => path.into(),
            None => self.path("run"),
        }
    }

    fn value(&self, flag: &str) -> Option<&str> {
        let at = self.flags.iter().position(|f| f == flag)?;
        self.flags.get(at + 1).map(String::as_str)
    }

    pub(crate) fn command(&self) -> Command {
        let mut words = self.wrapped.iter().map(OsString::from).collect::<Vec<_>>();
        words.extend(self.hand_over().into_iter().map(OsString::from));
        words.push(self.program.clone().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        if self.usual {
            for (flag, value) in USUAL.iter().filter(|(flag, _)| self.value(flag).is_none()) {
                command.args([flag, value]);
            }
            command.arg("--runtime-dir").arg(self.runtime_dir());
        }
        let given = self.flags.iter().map(String::as_str);
        let mut given = given.peekable();
        while let Some(flag) = given.next() {
            // Said above, once.
            if self.usual && flag == "--runtime-dir" {
                given.next();
                continue;
            }
            command.arg(flag);
        }
        let ours = |name: &OsString| name.to_string_lossy().starts_with("CLUSTER_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        command
            .env_remove("RUST_LOG")
            .env("RUST_BACKTRACE", "0")
            .env(processes::VARIABLE, &self.mark)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        let given = self
            .given
            .iter()
            .map(|(fd, _)| fd.try_clone().expect("a descriptor"));
        let mut given = given.map(Stdio::from);
        if let Some(first) = given.next() {
            command.stdin(first);
        }
        if let Some(second) = given.next() {
            command.stdout(second);
        }
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        if let Some(ptrace) = self.without {
            seccomp::forbid(&mut command, ptrace);
        }
        command
    }

    /// The words before the program that put descriptors in their places: a shell, which has them as its input and output, and keeps its pid when it
    /// becomes the program. `GIVEN_TO` says for whom they are meant, where it is not the program.
    fn hand_over(&self) -> Vec<String> {
        let (count, names) = (
            self.given.len(),
            self.given.iter().map(|(_, name)| name.as_str()),
        );
        if count == 0 {
            return Vec::new();
        }
        let second = if count > 1 { "4<&1" } else { "" };
        let names = names.collect::<Vec<_>>().join(":");
        let script = format!(
            "exec 3<&0 {second} </dev/null >/dev/null
            export LISTEN_FDS={count} LISTEN_FDNAMES={names} LISTEN_PID=${{GIVEN_TO:-$$}}
            exec \"$@\""
        );
        ["sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
    }

    /// Starts it, and waits until all workers serve.
    #[track_caller]
    pub(crate) fn start(self) -> Cluster {
        let cluster = self.spawn();
        cluster.wait_until_ready();
        cluster
    }

    /// Starts it, and waits for nothing.
    pub(crate) fn spawn(self) -> Cluster {
        Cluster::spawn(self)
    }

    /// Starts what cannot start, and waits for its end.
    #[track_caller]
    pub(crate) fn fail(self) -> FailedStart {
        FailedStart::of(self)
    }
}

/// Puts a program at a path, written aside and renamed. Written by a process of its own: one that a test beside this one starts
/// would inherit the file while it is written, and the kernel executes no file that somebody writes to.
pub(crate) fn place_program(from: &Path, to: &Path) {
    let draft = to.with_extension("draft");
    let copied = Command::new("cp").arg(from).arg(&draft).status();
    assert!(
        copied.is_ok_and(|status| status.success()),
        "the program is copied"
    );
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::rename(&draft, to).expect("it is ours");
}

/// Whether anything is at this path, be it a broken link.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
