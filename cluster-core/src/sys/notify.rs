//! Telling a service manager how this process does: the protocol of systemd's `sd_notify`, a datagram to `NOTIFY_SOCKET`.
//!
//! The variables stay in this process's own environment, so that they are still there after an exec in place, which keeps the pid they are meant
//! for; a process that is started gets none of them (`process::spawn`).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixDatagram;

/// Where the service manager listens.
pub(crate) const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
/// After how long a silence, in microseconds, it takes the process for stuck.
pub(crate) const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
/// Which process it watches; whichever it hears from, where it does not say.
pub(crate) const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// The longest message, in bytes; a longer one is not sent.
pub(crate) const MESSAGE_LIMIT: usize = 4096;

/// Why a service manager cannot be told anything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NotifyError {
    /// No address of a kind that is known.
    #[error("{NOTIFY_SOCKET}={} is no address (allowed: an absolute path, or @NAME)", address.display())]
    Address {
        /// What it is.
        address: OsString,
    },
    /// There is no socket to send from.
    #[error("a socket to the service manager cannot be had")]
    Socket(#[source] io::Error),
}

/// A line to the service manager.
#[derive(Debug)]
pub(crate) struct Notifier {
    socket: UnixDatagram,
}

impl Notifier {
    /// The line to whoever started this process and wants to hear from it; none where nobody does.
    ///
    /// # Errors
    /// [`NotifyError`].
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O enabled.
    pub(crate) fn of_this_process() -> Result<Option<Self>, NotifyError> {
        let Some(address) = std::env::var_os(NOTIFY_SOCKET).filter(|a| !a.is_empty()) else {
            return Ok(None);
        };
        let place = place(&address).ok_or(NotifyError::Address { address })?;
        Self::to(&place).map(Some).map_err(NotifyError::Socket)
    }

    /// Connected, so that a wait for room in the other's queue ends when there is some.
    fn to(place: &SocketAddr) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(place)?;
        let socket = UnixDatagram::from_std(socket)?;
        Ok(Self { socket })
    }

    /// Sends `KEY=VALUE` lines as one message; waits while the service manager has no room for it.
    ///
    /// # Errors
    /// `InvalidInput` for more than 4096 bytes, `ConnectionRefused` where nobody listens any more, else what the system said.
    ///
    /// # Cancel safety
    /// Cancel safe: the message is sent whole or not at all.
    pub(crate) async fn tell(&self, lines: &str) -> io::Result<()> {
        if lines.len() > MESSAGE_LIMIT {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.socket.send(lines.as_bytes()).await.map(drop)
    }
}

/// The other end: where a process that this one starts tells how it does. Its file is removed with it.
#[derive(Debug)]
pub(crate) struct Hearer {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Hearer {
    /// Listens at this path, in the place of whatever was left there; whoever may enter its directory may tell.
    ///
    /// # Errors
    /// What the system said.
    ///
    /// # Panics
    /// As [`Notifier::of_this_process`].
    pub(crate) fn bind(path: PathBuf) -> io::Result<Self> {
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path)?;
        Ok(Self { socket, path })
    }

    /// What to give as `NOTIFY_SOCKET`.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The next message; one that is no text, or too long, is passed over.
    ///
    /// # Errors
    /// What the system said.
    ///
    /// # Cancel safety
    /// Cancel safe: no message is lost.
    pub(crate) async fn hear(&self) -> io::Result<String> {
        let mut buffer = [0; MESSAGE_LIMIT + 1];
        loop {
            let length = self.socket.recv(&mut buffer).await?;
            match std::str::from_utf8(&buffer[..length]) {
                Ok(text) if length <= MESSAGE_LIMIT => return Ok(text.to_owned()),
                _ => {}
            }
        }
    }
}

impl Drop for Hearer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The address that a `NOTIFY_SOCKET` names.
fn place(address: &OsStr) -> Option<SocketAddr> {
    match address.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(address).ok(),
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] if !name.is_empty() => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(name).ok()
        }
        _ => None,
    }
}

/// How long this process may be silent before the service manager takes it for stuck; none where it is not watched.
pub(crate) fn watchdog() -> Option<Duration> {
    let value = |name| std::env::var(name).ok();
    patience(
        value(WATCHDOG_USEC).as_deref(),
        value(WATCHDOG_PID).as_deref(),
        std::process::id(),
    )
}

fn patience(micros: Option<&str>, watched: Option<&str>, me: u32) -> Option<Duration> {
    let is_me = watched.is_none_or(|pid| pid.parse() == Ok(me));
    let micros = micros?.parse().ok().filter(|micros| *micros > 0 && is_me)?;
    Some(Duration::from_micros(micros))
}

/// The time by the clock that service managers compare with, in microseconds since some moment before this process began.
pub(crate) fn monotonic_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    number(time.tv_sec) * 1_000_000 + number(time.tv_nsec) / 1000
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram as Listener;

    use super::*;

    #[test]
    fn an_address_is_a_path_or_a_name() {
        assert!(place(OsStr::new("/run/x")).unwrap().as_pathname().is_some());
        for wrong in [
            "",
            "@",
            "run/x",
            "vsock:2:1",
            &format!("/{}", "x".repeat(200)),
        ] {
            assert!(place(OsStr::new(wrong)).is_none(), "{wrong}");
        }
    }

    #[test]
    fn only_who_is_meant_is_watched() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(patience(Some("1000000"), None, 7), second);
        assert_eq!(patience(Some("1000000"), Some("7"), 7), second);
        for (micros, pid) in [
            (Some("1000000"), Some("8")),
            (Some("1000000"), Some("")),
            (Some("0"), None),
            (Some("-1"), None),
            (None, Some("7")),
        ] {
            assert_eq!(patience(micros, pid, 7), None, "{micros:?} {pid:?}");
        }
    }

    #[tokio::test]
    async fn a_message_waits_for_room_and_arrives_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let listener = Listener::bind(&path).unwrap();
        let notifier = Notifier::to(&place(path.as_os_str()).unwrap()).unwrap();
        let telling = tokio::spawn(async move {
            // More than any queue of datagrams holds.
            for n in 0..2000 {
                notifier.tell(&format!("STATUS={n}")).await.unwrap();
            }
            let long = "x".repeat(MESSAGE_LIMIT + 1);
            assert!(notifier.tell(&long).await.is_err());
        });
        let hearing = tokio::task::spawn_blocking(move || {
            let mut buffer = [0; 64];
            for n in 0..2000 {
                let length = listener.recv(&mut buffer).unwrap();
                assert_eq!(&buffer[..length], format!("STATUS={n}").as_bytes());
            }
        });
        telling.await.unwrap();
        hearing.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_message_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        std::fs::write(&path, "left behind").unwrap();
        let hearer = Hearer::bind(path.clone()).unwrap();
        let sender = Listener::unbound().unwrap();
        let long = vec![b'x'; MESSAGE_LIMIT + 1];
        for message in [&long[..], b"\xff", b"READY=1"] {
            sender.send_to(message, hearer.path()).unwrap();
        }
        assert_eq!(hearer.hear().await.unwrap(), "READY=1");
        drop(hearer);
        assert!(!path.exists());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_name_is_reached_and_a_listener_that_is_gone_is_an_error() {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("@cluster-notify-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
        let listener = Listener::bind_addr(&address).unwrap();
        let notifier = Notifier::to(&place(OsStr::new(&name)).unwrap()).unwrap();
        notifier.tell("READY=1").await.unwrap();
        let mut buffer = [0; 64];
        assert_eq!(listener.recv(&mut buffer).unwrap(), 7);
        drop(listener);
        let gone = notifier.tell("READY=1").await.unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::ConnectionRefused);
    }
}
