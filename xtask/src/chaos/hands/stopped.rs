//! Processes that were stopped, and what they had accepted by then.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::super::clock::{Ms, now};
use super::super::journal::{Journal, Killed};
use crate::processes::{is_running, is_stopped, signal, sockets, started};

/// How long a process may take to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// A process that was stopped, and is to go on at its time.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) pid: u32,
    name: String,
    started: u64,
    until: Instant,
    at: Ms,
    connections: BTreeSet<u16>,
}

impl Stopped {
    /// Stops a process for so long; none where it has ended.
    pub(crate) fn new(pid: u32, name: String, time: Duration, port: u16) -> Option<Self> {
        let started = started(pid)?;
        freeze(pid).then(|| Stopped {
            pid,
            name,
            started,
            until: Instant::now() + time,
            at: now(),
            connections: accepted(pid, port),
        })
    }

    fn has_ended(&self) -> bool {
        !is_running(self.pid) || started(self.pid) != Some(self.started)
    }
}

/// Lets go on whose time has come, and enters those that were killed meanwhile.
pub(crate) fn follow_up(all: &Mutex<Vec<Stopped>>, journal: &Journal) {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|stopped| {
        if stopped.has_ended() {
            journal.say(&format!("{} was killed while it was stopped", stopped.name));
            journal.killed(Killed {
                pid: stopped.pid,
                at: stopped.at,
                connections: stopped.connections.clone(),
            });
            return false;
        }
        let goes_on = Instant::now() >= stopped.until;
        if goes_on {
            signal(stopped.pid, Signal::CONT);
            journal.say(&format!("SIGCONT to {}", stopped.name));
        }
        !goes_on
    });
}

/// Stops a process, and waits until all of its threads have stopped; false where it has ended, or does not stop.
pub(crate) fn freeze(pid: u32) -> bool {
    if !signal(pid, Signal::STOP) {
        return false;
    }
    let until = Instant::now() + PATIENCE;
    while !is_stopped(pid) {
        if !is_running(pid) || Instant::now() >= until {
            signal(pid, Signal::CONT);
            return false;
        }
        thread::yield_now();
    }
    true
}

/// The connections to a port of the loopback that a process has accepted and not closed, by the ports of their clients.
pub(crate) fn accepted(pid: u32, port: u16) -> BTreeSet<u16> {
    let sockets = sockets(pid);
    // Twice: of a table that changes while it is read, a line may be passed by.
    let tables = (0..2).filter_map(|_| fs::read_to_string(format!("/proc/{pid}/net/tcp")).ok());
    tables
        .flat_map(|table| clients(&table, port, &sockets))
        .collect()
}

/// Of `/proc/PID/net/tcp` the ports at the other ends of these sockets, where this end has the port.
fn clients(table: &str, port: u16, sockets: &BTreeSet<u64>) -> Vec<u16> {
    const TIME_WAIT: &str = " 06 ";
    let hex = |address: &str| u16::from_str_radix(address.split_once(':')?.1, 16).ok();
    // Nearly all lines are of connections that are over: those are not taken apart.
    let ours = format!(":{port:04X} ");
    let lines = table
        .lines()
        .filter(|line| line.contains(&ours) && !line.contains(TIME_WAIT));
    let client = |line: &str| {
        // sl local rem st queues timer retransmits uid timeout inode
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, remote, inode) = (fields.get(1)?, fields.get(2)?, fields.get(9)?);
        let ours = hex(local)? == port && sockets.contains(&inode.parse().ok()?);
        // A socket that listens has nobody at its other end.
        hex(remote).filter(|client| ours && *client != 0)
    };
    lines.filter_map(client).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::process::Command;

    use super::*;

    #[test]
    fn what_was_accepted_is_known_and_what_waits_is_not_meant() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let first = TcpStream::connect(address).unwrap();
        let waits = TcpStream::connect(address).unwrap();
        let accepted_one = listener.accept().unwrap();
        let port = |stream: &TcpStream| stream.local_addr().unwrap().port();
        let me = std::process::id();
        assert_eq!(accepted(me, address.port()), [port(&first)].into());
        drop((accepted_one, waits));
    }

    #[test]
    fn a_stopped_process_goes_on_or_is_entered_as_killed() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join("journal")).unwrap();
        let journal = Journal::begin(file);
        let mut children = [0; 2].map(|_| Command::new("sleep").arg("60").spawn().unwrap());
        let hour = Duration::from_secs(3600);
        let times = [Duration::ZERO, hour];
        let stopped = children
            .iter()
            .zip(times)
            .map(|(child, time)| Stopped::new(child.id(), "it".into(), time, 1).unwrap());
        let stopped = Mutex::new(stopped.collect());
        assert!(children.iter().all(|child| is_stopped(child.id())));
        follow_up(&stopped, &journal);
        assert_eq!(stopped.lock().unwrap().len(), 1);
        while is_stopped(children[0].id()) {}
        children[1].kill().unwrap();
        children[1].wait().unwrap();
        follow_up(&stopped, &journal);
        assert!(stopped.lock().unwrap().is_empty());
        let killed = journal.deeds().killed;
        assert_eq!(killed.len(), 1);
        assert_eq!(killed[0].pid, children[1].id());
        children[0].kill().unwrap();
        children[0].wait().unwrap();
    }
}
