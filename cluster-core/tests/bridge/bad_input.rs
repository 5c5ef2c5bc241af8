//! A million bad frames at the socket of a live master: it serves on, stays small, and names each bad link.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cluster_core::Addressee;

use crate::cluster::Live;

/// Frames in all.
const FRAMES: u64 = 1_000_000;
/// Links in all, at least.
const LINKS: u64 = 3000;
/// Frames that a link of the talkative kinds sends.
const PER_LINK: u64 = 500;
/// Links at once.
const THREADS: u64 = 8;
/// How long the master may take to close one of them: more than its patience with silence.
const CLOSED: Duration = Duration::from_secs(20);
/// What the master may grow by, in KiB.
const GROWTH: u64 = 16 * 1024;

/// Splitmix64: the same input in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

const DATA: u8 = 0;
const MORE: u8 = 1;
const CONTROL: u8 = 2;

const HELLO: u16 = 1;
const OPERATE: u16 = 10;

fn frame(kind: u16, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes.extend_from_slice(&[1, flags]);
    bytes.extend_from_slice(body);
    bytes
}

/// Frames as an operator must not send them: any but an operation.
fn noise(random: &mut Random, frames: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..frames {
        let length = random.below(40);
        let body = random.bytes(length);
        let kind = match random.below(16) {
            10 => 999,
            kind => kind as u16,
        };
        bytes.extend_from_slice(&frame(
            kind,
            [DATA, CONTROL, MORE][random.below(3) as usize],
            &body,
        ));
    }
    bytes
}

/// A hello of this process: `role` is 1 for a worker, 3 for an operator.
fn hello(role: u8) -> Vec<u8> {
    let mut body = vec![1, 1, b'b', role];
    match role {
        1 => body.extend_from_slice(&[1, 1]),
        _ => body.push(0),
    }
    // The generation, and the pid as a number of four bytes.
    body.extend_from_slice(&[0, 252]);
    body.extend_from_slice(&std::process::id().to_le_bytes());
    frame(HELLO, CONTROL, &body)
}

/// Comes as an operator and is let in.
fn let_in(stream: &mut UnixStream) {
    stream.write_all(&hello(3)).unwrap();
    let mut head = [0; 8];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[4..6], [2, 0], "a welcome");
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let mut welcome = vec![0; length as usize];
    stream.read_exact(&mut welcome).unwrap();
}

/// One bad link, from its first byte to its end; gives back how many frames it has sent.
fn misbehave(socket: &Path, random: &mut Random) -> u64 {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(CLOSED)).unwrap();
    stream.set_write_timeout(Some(CLOSED)).unwrap();
    let (bytes, frames) = match random.below(9) {
        // Before any handshake: noise, a length that is none, half a hello, bytes at random, a lie about who it is.
        0 => (noise(random, PER_LINK), PER_LINK),
        1 => (vec![0xff; 64], 1),
        2 => (hello(3)[..9].to_vec(), 1),
        3 => (random.bytes(5000), 1),
        4 => (hello(1), 1),
        // As an operator: noise, an operation that there is not, one that is too long, a message without its end.
        5 | 6 => {
            let_in(&mut stream);
            (noise(random, PER_LINK), PER_LINK)
        }
        7 => {
            let_in(&mut stream);
            let body = [1, 200 + random.below(50) as u8];
            (
                frame(OPERATE, DATA, &body).repeat(PER_LINK as usize),
                PER_LINK,
            )
        }
        _ => {
            let_in(&mut stream);
            let chunk = frame(OPERATE, MORE, &vec![7; 64 * 1024]);
            let chunks = [1, 17][random.below(2) as usize];
            (chunk.repeat(chunks), chunks as u64)
        }
    };
    let sent = match stream.write_all(&bytes) {
        Ok(()) => frames,
        // It was closed before it had said all: what it had said is not known, and not counted.
        Err(_) => 0,
    };
    // It may be closed already.
    let _ = stream.shutdown(Shutdown::Write);
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(e) => assert_eq!(
            e.kind(),
            std::io::ErrorKind::ConnectionReset,
            "it is not closed"
        ),
    }
    sent
}

#[test]
fn a_million_bad_frames_change_nothing() {
    let live = Live::start(1);
    let workers = live.workers();
    let socket = live.socket();
    let (frames, links) = (AtomicU64::new(0), AtomicU64::new(0));
    let throw = |thread: u64, frames_wanted: u64, links_wanted: u64| {
        let mut random = Random(thread);
        while frames.load(Ordering::Relaxed) < frames_wanted
            || links.load(Ordering::Relaxed) < links_wanted
        {
            links.fetch_add(1, Ordering::Relaxed);
            frames.fetch_add(misbehave(&socket, &mut random), Ordering::Relaxed);
        }
    };
    let throw_all = |frames_wanted, links_wanted| {
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let throw = &throw;
                scope.spawn(move || throw(thread, frames_wanted, links_wanted));
            }
        });
    };
    // What it takes once, it may take.
    throw_all(FRAMES / 20, LINKS / 20);
    let before = live.memory("VmRSS:");
    let begun = Instant::now();
    throw_all(FRAMES, LINKS);
    let took = begun.elapsed();
    let (frames, links) = (frames.into_inner(), links.into_inner());
    let after = live.memory("VmRSS:");
    let most = live.memory("VmHWM:");
    eprintln!(
        "{frames} frames over {links} links in {took:?}; the master: {before} KiB before, {after} after, {most} at most"
    );
    assert!(
        after < before + GROWTH,
        "the master has grown from {before} to {after} KiB"
    );
    assert!(most < before + 2 * GROWTH, "the master has held {most} KiB");

    assert_eq!(live.workers(), workers, "no worker was lost");
    live.emit("Say", "77", Addressee::Workers);
    live.wait_for_line(&["heard 77 from master"]);

    let named = format!("pid={} ", std::process::id());
    let bad = |log: &str| {
        let lines = log
            .lines()
            .filter(|line| line.contains("WARN") && line.contains(&named));
        lines.count() as u64
    };
    live.wait_for("a line for each bad link", || {
        (bad(&live.log()) >= links).then_some(())
    });
    assert_eq!(bad(&live.log()), links);
    live.stop();
}
