//! `cluster run` below a service manager, and as process 1.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt};
use rustix::process::Signal;
use serde_json::Value;

use crate::trial::{Trial, exists, signal};

/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn master(state: &Value) -> u32 {
    let pid = state["master"]["pid"].as_u64().expect("a pid");
    u32::try_from(pid).expect("a pid")
}

/// Waits until a master has lived for long enough to be started anew, and kills it; gives back the pid of the next.
fn replace_master(trial: &Trial) -> u32 {
    let state = trial.until("it has lived for long enough", |state| {
        state["master"]["uptime_ms"]
            .as_u64()
            .is_some_and(|ms| ms > 2000)
    });
    let old = master(&state);
    signal(old, Signal::KILL);
    let state = trial.until("a new master runs two workers", |state| {
        state["master"]["pid"] != old && state["serving"] == 2
    });
    master(&state)
}

/// The next message with this line, and the process that has sent it.
fn hear(socket: &UnixDatagram, line: &str) -> (u32, String) {
    let deadline = Instant::now() + PATIENCE;
    let mut heard = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "never said: {line}; but {heard:#?}");
        socket.set_read_timeout(Some(left)).expect("a time");
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let parts = &mut [IoSliceMut::new(&mut bytes)];
        let received = recvmsg(socket, parts, &mut ancillary, RecvFlags::empty());
        let length = received.map_or(0, |received| received.bytes);
        let sender = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(who) => Some(who.pid.as_raw_nonzero().get()),
            _ => None,
        });
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if text.lines().any(|said| said == line) {
            return (
                sender.expect("the kernel says who sends").unsigned_abs(),
                text,
            );
        }
        heard.push(text);
    }
}

#[test]
fn a_service_manager_hears_each_master_from_the_main_process() {
    let around = tempfile::tempdir().unwrap();
    let path = around.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    sockopt::set_socket_passcred(&manager, true).unwrap();
    let mut trial = Trial::run_by(&["env"], Stdio::null(), |command| {
        command
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "1000000")
            .env("XDG_RUNTIME_DIR", around.path());
    });
    let place = around.path().join(format!("cluster/run-{}", trial.pid()));
    let (sender, text) = hear(&manager, "READY=1");
    assert_eq!(sender, trial.pid(), "{text}");
    assert!(place.join("notify").exists());
    hear(&manager, "WATCHDOG=1");
    let new = replace_master(&trial);
    assert_ne!(new, trial.pid());
    assert_eq!(hear(&manager, "READY=1").0, trial.pid());
    signal(trial.pid(), Signal::TERM);
    assert_eq!(hear(&manager, "STOPPING=1").0, trial.pid());
    assert_eq!(trial.ended().code(), Some(0));
    assert!(
        !place.exists(),
        "what the parent listened at is gone with it"
    );
}

#[test]
fn each_master_is_given_the_sockets_that_were_given_to_the_parent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_FDNAMES=web LISTEN_PID=$$ exec \"$@\"";
    let words = ["sh", "-c", script, "sh"];
    let mut trial = Trial::run_by(&words, OwnedFd::from(listener), |_| {});
    let given = format!("a listening socket was given address={address} name=\"web\"");
    assert!(trial.has_logged(&given));
    replace_master(&trial);
    trial.until_logged(&given);
    signal(trial.pid(), Signal::TERM);
    assert_eq!(trial.ended().code(), Some(0));
}

/// The child of a process.
fn child_of(parent: u32) -> Option<u32> {
    let children = format!("/proc/{parent}/task/{parent}/children");
    let children = std::fs::read_to_string(children).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

#[test]
fn as_process_1_it_reaps_strangers_and_forwards_signals() {
    let unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let tried = Command::new(unshare[0])
        .args(&unshare[1..])
        .arg("true")
        .output();
    if !tried.is_ok_and(|output| output.status.success()) {
        println!("namespaces of processes are not permitted here: nothing to see");
        return;
    }
    let around = tempfile::tempdir().unwrap();
    let fifo = around.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    // A stranger that waits at the pipe: its parent ends at once, and it falls to process 1.
    let script = format!("(cat {} &); exec \"$@\"", fifo.display());
    let words = [&unshare[..], &["sh", "-c", &script, "sh"]].concat();
    let mut trial = Trial::run_by(&words, Stdio::null(), |_| {});
    let first = child_of(trial.pid()).unwrap();
    let is_cat = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.contains("(cat)") && stat.contains(&format!(" {first} "))
    };
    let strangers = || {
        pids()
            .into_iter()
            .filter(|pid| is_cat(*pid))
            .collect::<Vec<_>>()
    };
    let found = strangers();
    assert_eq!(found.len(), 1);
    drop(std::fs::OpenOptions::new().write(true).open(&fifo).unwrap());
    let deadline = Instant::now() + PATIENCE;
    while exists(found[0]) {
        assert!(Instant::now() < deadline, "the stranger stays a zombie");
        std::thread::yield_now();
    }

    signal(first, Signal::HUP);
    trial.until("all workers are of the next generation", |state| {
        let new = state["workers"].as_array().unwrap();
        new.iter().all(|worker| worker["generation"] == 2) && state["serving"] == 2
    });
    signal(first, Signal::TERM);
    assert_eq!(trial.ended().code(), Some(0));
    assert!(!trial.runtime_dir().exists());
}

fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("this is Linux").flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}
