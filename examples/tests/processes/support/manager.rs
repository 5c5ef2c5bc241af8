//! A service manager, as far as it listens.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt};

/// The longest that a message is waited for.
const LONG: Duration = Duration::from_secs(60);

/// What was said, by whom and when.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) pid: u32,
    pub(crate) text: String,
    pub(crate) at: Instant,
}

impl Said {
    /// The value of a line `KEY=VALUE`.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        let value = |line: &'_ str| line.strip_prefix(key)?.strip_prefix('=').map(str::len);
        self.text
            .lines()
            .find_map(|line| Some(&line[line.len() - value(line)?..]))
    }

    pub(crate) fn says(&self, line: &str) -> bool {
        self.text.lines().any(|said| said == line)
    }
}

/// Hears what is sent to `NOTIFY_SOCKET`.
pub(crate) struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    pub(crate) fn at(path: PathBuf) -> Self {
        let socket = UnixDatagram::bind(&path).expect("a socket");
        Self::of(socket, path)
    }

    /// One that listens already.
    pub(crate) fn of(socket: UnixDatagram, path: PathBuf) -> Self {
        sockopt::set_socket_passcred(&socket, true).expect("the kernel says who sends");
        Manager { socket, path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The next message, if one comes in time.
    pub(crate) fn next(&self, limit: Duration) -> Option<Said> {
        self.socket
            .set_read_timeout(Some(limit.max(Duration::from_millis(1))))
            .expect("a time");
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut ancillary,
            RecvFlags::empty(),
        );
        let length = received.ok()?.bytes;
        let sender = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(who) => Some(who.pid),
            _ => None,
        });
        let pid = sender.expect("the kernel says who sends").as_raw_nonzero();
        Some(Said {
            pid: pid.get().unsigned_abs(),
            text: String::from_utf8_lossy(&bytes[..length]).into_owned(),
            at: Instant::now(),
        })
    }

    /// The messages up to the one that fits, which is the last.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, fits: impl Fn(&Said) -> bool) -> Vec<Said> {
        let deadline = Instant::now() + LONG;
        let mut heard = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next(left) {
                Some(said) => heard.push(said),
                None => panic!("never said: {what}; but {heard:#?}"),
            }
            if heard.last().is_some_and(&fits) {
                return heard;
            }
        }
    }

    /// The message with this line, and those before it.
    #[track_caller]
    pub(crate) fn hear(&self, line: &str) -> Vec<Said> {
        self.until(line, |said| said.says(line))
    }
}
