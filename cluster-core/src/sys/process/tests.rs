use std::fs;
use std::io::{PipeReader, PipeWriter, Read, pipe};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::{Command, Stdio};

use futures_util::FutureExt;
use rustix::process::{getpid, kill_process};

use super::*;
use crate::sys::rerun;
use crate::sys::signal::Signals;

fn shell(script: &str) -> Spawn<'_> {
    Spawn {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        ..Spawn::default()
    }
}

/// What the shell says to descriptor `$OUT`.
fn said(
    script: &str,
    fds: &[BorrowedFd<'_>],
    change: impl FnOnce(&mut Spawn<'_>),
) -> (Process, String) {
    let (mut reader, writer): (PipeReader, PipeWriter) = pipe().unwrap();
    let out = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let mut spawned = Spawn {
        fds: fds.to_vec(),
        ..shell(script)
    };
    spawned.env.push(("OUT".into(), out.into()));
    spawned.fds.push(writer.as_fd());
    change(&mut spawned);
    let process = spawn(spawned).unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    (process, text)
}

fn state_in_proc(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")
        .map(|(_, fields)| fields[..1].to_string())
}

#[tokio::test]
async fn a_child_is_reaped_and_its_exit_told_as_often_as_asked() {
    let process = spawn(shell("exit 3")).unwrap();
    assert_eq!(process.exited().await, Exit::Code(3));
    assert_eq!(state_in_proc(process.pid()), None, "no zombie is left");
    assert_eq!(process.exited().await, Exit::Code(3));
    assert!(!process.is_alive());
    assert_eq!(
        process.signal(Signal::TERM).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

#[tokio::test]
async fn a_cancelled_wait_loses_nothing() {
    let process = spawn(shell("exec sleep 1000")).unwrap();
    assert_eq!(process.exited().now_or_never(), None);
    assert!(process.is_alive());
    process.signal(Signal::KILL).unwrap();
    let (first, second) = tokio::join!(process.exited(), process.exited());
    assert_eq!((first, second), (Exit::Signal(9), Exit::Signal(9)));
    assert_eq!(state_in_proc(process.pid()), None);
}

#[tokio::test]
async fn who_is_to_end_with_us_ends_with_the_thread_that_has_started_it() {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut what = shell("exec sleep 1000");
        what.ends_with_us = true;
        tell.send(spawn(what).unwrap()).unwrap();
        let _ = ended.recv();
    });
    let process = told.recv().unwrap();
    assert!(process.is_child() && process.is_alive());
    drop(end);
    thread.join().unwrap();
    assert_eq!(process.exited().await, Exit::Signal(9));
    assert!(!process.is_child(), "it was reaped");
    let other = Process::adopt(std::process::id()).unwrap();
    assert!(!other.is_child());
}

#[tokio::test]
async fn a_child_may_speak_by_its_standard_input_and_output_alone() {
    let (ours, its) = std::os::unix::net::UnixStream::pair().unwrap();
    let (mut reader, writer) = pipe().unwrap();
    let mut what = shell("read word; echo got $word; echo aside >&2");
    what.output = Some(writer.into());
    what.stdio = Some(its.into());
    let process = spawn(what).unwrap();
    std::io::Write::write_all(&mut &ours, b"this\n").unwrap();
    let (mut heard, mut aside) = (String::new(), String::new());
    (&ours).read_to_string(&mut heard).unwrap();
    reader.read_to_string(&mut aside).unwrap();
    assert_eq!((heard.as_str(), aside.as_str()), ("got this\n", "aside\n"));
    assert_eq!(process.exited().await, Exit::Code(0));
}

#[tokio::test]
async fn a_stopped_process_is_alive() {
    let process = spawn(shell("exec sleep 1000")).unwrap();
    process.signal(Signal::STOP).unwrap();
    waitid(WaitId::Pid(process.pid), WaitIdOptions::STOPPED).unwrap();
    assert!(process.is_alive());
    assert_eq!(process.exited().now_or_never(), None);
    process.signal(Signal::KILL).unwrap();
    assert_eq!(process.exited().await, Exit::Signal(9));
}

#[tokio::test]
async fn without_a_pidfd_a_child_is_polled() {
    let mut process = spawn(shell("exec sleep 1000")).unwrap();
    process.pidfd = None;
    assert!(process.is_alive());
    process.signal(Signal::TERM).unwrap();
    assert_eq!(process.exited().await, Exit::Signal(15));
    assert_eq!(state_in_proc(process.pid()), None);
}

#[tokio::test]
async fn the_end_of_a_process_that_is_no_child_is_seen_and_nothing_made_up_about_it() {
    // The shell is our child and ends; the sleeper becomes somebody else's.
    let script = "sleep 1000 >/dev/null 2>&1 & echo $!";
    let output = Command::new("/bin/sh")
        .args(["-c", script])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let pid: u32 = String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let process = Process::adopt(pid).unwrap();
    assert!(process.is_alive());
    assert_eq!(process.exited().now_or_never(), None);
    process.signal(Signal::TERM).unwrap();
    assert_eq!(process.exited().await, Exit::Unknown);
    assert!(!process.is_alive());
}

#[test]
fn what_does_not_run_cannot_be_opened() {
    let mut child = Command::new("/bin/true").spawn().unwrap();
    child.wait().unwrap();
    assert_eq!(
        Process::adopt(child.id()).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    assert_eq!(
        Process::adopt(0).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
    assert_eq!(
        Process::adopt(u32::MAX).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
}

#[test]
fn a_program_that_cannot_run_is_an_error() {
    let missing = Spawn {
        program: "/nonexistent/program".into(),
        ..Spawn::default()
    };
    assert_eq!(spawn(missing).unwrap_err().kind(), io::ErrorKind::NotFound);
    let directory = Spawn {
        program: "/".into(),
        ..Spawn::default()
    };
    assert_eq!(
        spawn(directory).unwrap_err().kind(),
        io::ErrorKind::PermissionDenied
    );
    let stderr = std::io::stderr();
    let error = spawn(Spawn {
        fds: vec![stderr.as_fd()],
        ..shell("exit 0")
    })
    .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_child_gets_the_descriptors_named_and_no_others() {
    let (other, _writer) = pipe().unwrap();
    let named = tempfile::tempfile().unwrap();
    let number = named.as_raw_fd();
    // Without a mark, as a library may have left it behind.
    let unmarked = tempfile::tempfile().unwrap();
    rustix::io::fcntl_setfd(&unmarked, rustix::io::FdFlags::empty()).unwrap();
    let (process, listing) = said("exec >$OUT; ls /proc/$$/fd", &[named.as_fd()], |_| ());
    assert_eq!(process.exited().await, Exit::Code(0));
    let listed: Vec<i32> = listing.lines().map(|line| line.parse().unwrap()).collect();
    assert!(listed.contains(&number), "{listed:?}");
    for hidden in [other.as_raw_fd(), unmarked.as_raw_fd()] {
        assert!(!listed.contains(&hidden), "{listed:?}");
    }
    assert_eq!(
        listed.len(),
        5,
        "three standard ones, the named one, the one to answer on: {listed:?}"
    );
    let flags = rustix::io::fcntl_getfd(&named).unwrap();
    assert!(
        flags.contains(rustix::io::FdFlags::CLOEXEC),
        "ours keeps its mark"
    );
}

#[tokio::test]
async fn a_child_starts_with_signals_and_environment_in_order() {
    // SAFETY: blocks a signal for this thread alone, and ignores one whose default action is to be ignored.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGURG);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        libc::signal(libc::SIGWINCH, libc::SIG_IGN);
    }
    let script =
        "(grep -E '^Sig(Blk|Ign)' /proc/self/status; readlink /proc/self/fd/0; echo $COLOUR) >$OUT";
    let (process, text) = said(script, &[], |spawned| {
        spawned.env.push(("COLOUR".into(), "red".into()))
    });
    assert_eq!(process.exited().await, Exit::Code(0));
    let (masks, rest) = text.split_at(text.find('/').unwrap());
    let masks: Vec<u64> = masks
        .lines()
        .map(|line| u64::from_str_radix(line.rsplit('\t').next().unwrap(), 16).unwrap())
        // Signals 32 and 33 are the C library's own, which it lets nobody set.
        .map(|mask| mask & !(0b11 << 31))
        .collect();
    assert_eq!(masks, [0, 0]);
    assert_eq!(rest, "/dev/null\nred\n");
}

/// In a process of its own, to which a service manager has said all that it can say.
#[tokio::test]
async fn what_was_said_to_this_process_is_not_said_to_a_child() {
    let name = "what_was_said_to_this_process_is_not_said_to_a_child";
    let said_to_us = [
        "CLUSTER_BOOT",
        "LISTEN_FDNAMES",
        "LISTEN_FDS",
        "LISTEN_PID",
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
    ];
    if rerun::part().is_none() {
        let mut command = rerun::command(module_path!(), name, "told");
        command.envs(said_to_us.map(|name| (name, "1")));
        assert!(command.env("KEPT", "a b").status().unwrap().success());
        return;
    }
    let heard = |text: &str| -> Vec<String> {
        let known = |line: &&str| said_to_us.iter().any(|name| line.starts_with(name));
        text.lines().filter(known).map(str::to_owned).collect()
    };
    let (process, text) = said("env >$OUT", &[], |_| ());
    assert_eq!(heard(&text), Vec::<String>::new());
    assert!(text.contains("KEPT=a b\n"), "{text}");
    assert_eq!(process.exited().await, Exit::Code(0));

    let (process, text) = said("env >$OUT; echo pid $$ >>$OUT", &[], |spawned| {
        spawned.pid_variable = Some("LISTEN_PID");
        let added = [("LISTEN_FDS", "2"), ("KEPT", "c")];
        spawned
            .env
            .extend(added.map(|(name, value)| (name.into(), value.into())));
    });
    let pid = process.pid();
    let mut heard = heard(&text);
    heard.sort();
    assert_eq!(
        heard,
        ["LISTEN_FDS=2".to_owned(), format!("LISTEN_PID={pid}")]
    );
    assert!(text.ends_with(&format!("pid {pid}\n")), "{text}");
    assert_eq!(text.matches("KEPT=").count(), 1);
    assert!(text.contains("KEPT=c\n"), "{text}");
    assert_eq!(process.exited().await, Exit::Code(0));

    let missing = Spawn {
        program: "no-such-program".into(),
        pid_variable: Some("LISTEN_PID"),
        ..Spawn::default()
    };
    assert_eq!(spawn(missing).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn a_child_leads_a_group_when_asked() {
    let group = |text: &str| text.split_whitespace().nth(4).unwrap().to_string();
    let (leader, stat) = said("cat /proc/$$/stat >$OUT", &[], |spawned| {
        spawned.new_group = true
    });
    assert_eq!(group(&stat), leader.pid().to_string());
    let (member, stat) = said("cat /proc/$$/stat >$OUT", &[], |_| ());
    assert_eq!(
        group(&stat),
        rustix::process::getpgrp().as_raw_nonzero().to_string()
    );
    assert_eq!(
        (leader.exited().await, member.exited().await),
        (Exit::Code(0), Exit::Code(0))
    );
}

/// In a process of its own, since it adopts every orphan below it and reaps whatever it may.
#[tokio::test]
async fn only_strangers_are_reaped_and_the_dropped_are_not_forgotten() {
    let name = "only_strangers_are_reaped_and_the_dropped_are_not_forgotten";
    if rerun::part().is_none() {
        let status = rerun::command(module_path!(), name, "reaper")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let mut deaths = Signals::of(&[Signal::CHILD]).unwrap();
    become_subreaper().unwrap();

    // Ours and one that is known, both dead and not waited for yet, so that they stand in front of the strangers.
    let ours = spawn(shell("exit 5")).unwrap();
    ours.ended().await.unwrap();
    let mut known = Command::new("/bin/sh")
        .args(["-c", "exit 6"])
        .spawn()
        .unwrap();
    Process::open(known.id()).unwrap().ended().await.unwrap();
    let parent = spawn(shell("sh -c 'exit 7' & sh -c 'exit 8' & exit 9")).unwrap();
    let mut reaped = 0;
    while reaped < 2 {
        reaped += reap_strangers(|pid| pid == known.id());
        if reaped < 2 {
            deaths.next().await;
        }
    }
    assert_eq!(reap_strangers(|pid| pid == known.id()), 0);
    assert_eq!(ours.exited().await, Exit::Code(5));
    assert_eq!(parent.exited().await, Exit::Code(9));
    assert_eq!(known.wait().unwrap().code(), Some(6));

    let dropped = spawn(shell("exec sleep 1000")).unwrap();
    let (pid, watch) = (dropped.pid, Process::open(dropped.pid()).unwrap());
    drop(dropped);
    kill_process(pid, Signal::KILL).unwrap();
    watch.ended().await.unwrap();
    assert_eq!(state_in_proc(watch.pid()).as_deref(), Some("Z"));
    assert_eq!(
        spawn(shell("exit 0")).unwrap().exited().await,
        Exit::Code(0)
    );
    assert_eq!(state_in_proc(watch.pid()), None, "the next spawn reaps it");
    assert_eq!(first_dead_child(), None);
}

fn first_dead_child() -> Option<u32> {
    let mine = |stat: &str| {
        stat.rsplit_once(") Z ").is_some_and(|(_, fields)| {
            fields.split(' ').next() == Some(&getpid().as_raw_nonzero().to_string())
        })
    };
    let pids = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.into_iter().find(|pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| mine(&stat))
    })
}

/// Each part is started by a parent that ignores SIGCHLD, as some are.
#[tokio::test]
async fn exit_statuses_are_kept_where_the_parent_ignored_them() {
    let name = "exit_statuses_are_kept_where_the_parent_ignored_them";
    if rerun::part().is_none() {
        let mut command = rerun::command(module_path!(), name, "ignorant");
        use std::os::unix::process::CommandExt;
        let ignore = || {
            // SAFETY: async-signal-safe.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            Ok(())
        };
        // SAFETY: the closure makes one async-signal-safe call.
        unsafe { command.pre_exec(ignore) };
        assert!(command.status().unwrap().success());
        return;
    }
    assert_eq!(
        spawn(shell("exit 3")).unwrap().exited().await,
        Exit::Code(3)
    );
}

#[tokio::test]
async fn many_children_at_once_all_end_as_they_should() {
    let children: Vec<Process> = (0..32)
        .map(|code| spawn(shell(&format!("exit {code}"))).unwrap())
        .collect();
    for (code, child) in (0..).zip(&children) {
        assert_eq!(child.exited().await, Exit::Code(code));
    }
    assert!(
        children
            .iter()
            .all(|child| state_in_proc(child.pid()).is_none())
    );
}
