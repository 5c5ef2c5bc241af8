//! As much of a master as a cache manager needs: it starts processes of the test's own program as such, lets them in, and hears what
//! they report.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use cluster_cache::{
    BackendError, CacheApplication, Caches, Record, SessionBackend, SessionStore, When,
};
use cluster_core::{Launch, Options, endpoint};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// What must happen happens long before this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long an operation of a client takes at most: the default of `--cache.timeout`.
pub(crate) const WAIT: Duration = Duration::from_secs(3);
const BOOT: &str = "CLUSTER_BOOT";
/// Where a manager's session stores are; unset, where it has none.
const STORES: &str = "HANDOVER_STORES";
/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(2);

/// Not a test of its own, but what the others start.
#[test]
fn a_cache_manager() {
    if std::env::var_os(BOOT).is_none() {
        return;
    }
    let mut application = CacheApplication::default();
    if let Some(home) = std::env::var_os(STORES).map(PathBuf::from) {
        application = application
            .session_store("files", SessionStore::files(home.join("files")))
            .session_store(
                "gated",
                SessionStore::custom(move || Ok(Gated(home.join("gate")))),
            );
    }
    let launch = Launch::new(Options::default(), Box::<CacheApplication>::default())
        .cache_manager(Box::new(application));
    let ended = actix_rt::System::new().block_on(async { launch.listen().await?.wait().await });
    std::process::exit(i32::from(ended.is_err()));
}

/// A session store that is busy, when it is read, until whoever has opened a pipe to write closes it.
struct Gated(PathBuf);

impl SessionBackend for Gated {
    fn get(&mut self, _: &str, _: u64) -> Result<Option<Record>, BackendError> {
        let closed = File::open(&self.0).and_then(io::read_to_string);
        closed.map_err(BackendError::other).map(|_| None)
    }

    fn set(&mut self, _: &str, _: Record, _: When, _: u64) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn destroy(&mut self, _: &str, _: u64) -> Result<bool, BackendError> {
        Ok(false)
    }
}

/// What a cache manager reports.
#[derive(Debug, PartialEq)]
pub(crate) enum Report {
    Listening,
    /// The step of its start that failed, by its place among all of them, and why.
    StartFailed(u32, String),
}

/// The place of taking over among the steps of a start.
pub(crate) const TAKE_OVER: u32 = 4;

pub(crate) struct Master {
    pub(crate) home: TempDir,
    options: Options,
    reported: UnboundedReceiver<(u32, Report)>,
    started: u32,
    has_stores: bool,
}

impl Master {
    /// A master of cache managers that keep what persists in a file, unless the options are changed.
    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        let home = tempfile::Builder::new()
            .prefix("handover")
            .tempdir()
            .unwrap();
        let mut options = Options::default();
        options.cache.persist_path = Some(home.path().join("cache.log"));
        change(&mut options);
        let listener = UnixListener::bind(home.path().join("master.sock")).unwrap();
        let (reports, reported) = unbounded_channel();
        actix_rt::spawn(listen(listener, reports));
        Master {
            home,
            options,
            reported,
            started: 0,
            has_stores: false,
        }
    }

    pub(crate) fn new() -> Self {
        Master::with(|_| {})
    }

    /// What is started from now on has the session stores `files`, in a directory of this name, and `gated`, at whose pipe `gate` its
    /// readers wait.
    pub(crate) fn add_stores(&mut self) {
        self.has_stores = true;
    }

    /// What is started from now on has other options.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Options)) {
        change(&mut self.options);
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.home.path().join("cache.sock")
    }

    pub(crate) fn caches(&self) -> Caches {
        Caches::connect(self.socket(), WAIT)
    }

    /// Starts a cache manager: the first one, or one that is to take over.
    pub(crate) fn spawn(&mut self, takes_over: bool) -> Manager {
        let record = serde_json::json!({
            "process": "cache_manager",
            "generation": 1,
            "master": std::process::id(),
            "runtime_dir": self.home.path(),
            "options": self.options,
            "sockets": [],
            "page": null,
            "slots": [],
            "takes_over": takes_over,
        });
        // What it inherits is open on exec.
        let flags = MemfdFlags::ALLOW_SEALING;
        let mut memory = File::from(memfd_create("cluster-boot", flags).unwrap());
        memory.write_all(record.to_string().as_bytes()).unwrap();
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        fcntl_add_seals(&memory, seals).unwrap();
        self.started += 1;
        let log = self.home.path().join(format!("log-{}", self.started));
        let mut command = Command::new(std::env::current_exe().unwrap());
        if self.has_stores {
            command.env(STORES, self.home.path());
        }
        let child = command
            .args(["--exact", "master::a_cache_manager", "--nocapture"])
            .env(BOOT, memory.as_raw_fd().to_string())
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Manager { child, log }
    }

    /// The next report, and whose it is.
    pub(crate) async fn reported(&mut self) -> (u32, Report) {
        let reported = timeout(PATIENCE, self.reported.recv()).await;
        reported.expect("a process reports").unwrap()
    }

    /// Starts a cache manager, and waits until it serves.
    pub(crate) async fn start(&mut self, takes_over: bool) -> Manager {
        let manager = self.spawn(takes_over);
        let reported = self.reported().await;
        assert_eq!(
            reported,
            (manager.pid(), Report::Listening),
            "{}",
            manager.log()
        );
        manager
    }

    /// Has another one take the place of this one, which has to end by itself.
    pub(crate) async fn hand_over(&mut self, from: Manager) -> Manager {
        let to = self.start(true).await;
        let status = from.ended().await;
        assert!(status.success(), "{status}");
        to
    }
}

/// A cache manager's process; killed when it is dropped.
pub(crate) struct Manager {
    child: Child,
    log: PathBuf,
}

impl Manager {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until its log says something for the nth time; false where the process has ended without it.
    pub(crate) async fn says(&mut self, what: &str, times: usize) -> bool {
        let says = async {
            loop {
                let ended = self.child.try_wait().unwrap().is_some();
                if self.log().matches(what).count() >= times {
                    return true;
                }
                if ended {
                    return false;
                }
                tokio::time::sleep(LOOK).await; // wait: another process writes it, and tells nobody here
            }
        };
        let said = timeout(PATIENCE, says).await;
        said.unwrap_or_else(|_| panic!("it never says {what:?}; its log:\n{}", self.log()))
    }

    /// How its process has ended, as soon as it has.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        let ends = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(LOOK).await; // wait: a process ends, and tells nobody here
            }
        };
        let ended = timeout(PATIENCE, ends).await;
        ended.unwrap_or_else(|_| panic!("it does not end; its log:\n{}", self.log()))
    }

    /// The most memory that it has ever had, in bytes; nothing where it has ended.
    pub(crate) fn peak(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        Some(kib * 1024)
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn listen(listener: UnixListener, reports: UnboundedSender<(u32, Report)>) {
    while let Ok((stream, _)) = listener.accept().await {
        actix_rt::spawn(hear(stream, reports.clone()));
    }
}

pub(crate) const HELLO: u16 = 1;
pub(crate) const WELCOME: u16 = 2;
const REPORT: u16 = 5;
const ROSTER: u16 = 9;
/// What is asked of a cache manager, and what it says.
pub(crate) const QUESTION: u16 = 64;

/// Lets a process in, and hears it until it is gone.
async fn hear(mut stream: UnixStream, reports: UnboundedSender<(u32, Report)>) -> io::Result<()> {
    let pid = stream.peer_cred()?.pid().unwrap_or(0);
    assert_eq!(receive(&mut stream).await?.0, HELLO);
    let (protocol, you) = (1_u16, 2_u32);
    send(
        &mut stream,
        WELCOME,
        &(protocol, "by hand", std::process::id(), you),
    )
    .await?;
    let nobody = Vec::<(u32, u32)>::new();
    send(&mut stream, ROSTER, &(&nobody, &nobody, true, false, false)).await?;
    loop {
        let (kind, body) = receive(&mut stream).await?;
        if kind != REPORT {
            continue;
        }
        let report = match endpoint::read_head::<u32>(&body).unwrap() {
            1 => Report::Listening,
            2 => {
                let (_, step, cause): (u32, _, _) = endpoint::read(&body).unwrap();
                Report::StartFailed(step, cause)
            }
            _ => continue,
        };
        let _ = reports.send((pid.try_into().unwrap(), report));
    }
}

/// Bytes of a frame's header.
const HEAD: usize = 8;

pub(crate) async fn send<T: Serialize>(
    stream: &mut UnixStream,
    kind: u16,
    message: &T,
) -> io::Result<()> {
    // The flag of the handshake's lane.
    let flags = if kind < QUESTION { 2 } else { 0 };
    let mut body = Vec::new();
    cluster_core::__bench::encode(message, &mut body).unwrap();
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    let [low, high] = kind.to_le_bytes();
    let mut bytes = length.to_vec();
    bytes.extend_from_slice(&[low, high, 1, flags]);
    bytes.extend_from_slice(&body);
    stream.write_all(&bytes).await
}

/// The next frame: its kind, and what is in it.
pub(crate) async fn receive(stream: &mut UnixStream) -> io::Result<(u16, Vec<u8>)> {
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await?;
    Ok((u16::from_le_bytes([head[4], head[5]]), body))
}
