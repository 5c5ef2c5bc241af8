//! Turns at a listening socket: of all the threads that wait for it, the kernel wakes one per connection, not all.
//!
//! A socket in many epolls wakes every idle thread for each connection; all but one find nothing. `EPOLLEXCLUSIVE` ends
//! that, but the flag can be given only when a descriptor is first put into an epoll, and tokio does that for us, without
//! it. (An epoll of our own inside tokio's does not help: the kernel counts a wake-up as taken only by a thread that waits
//! in that very epoll.) So the entry that tokio made is looked up, where the kernel shows it, in `/proc/self/fdinfo`, and
//! made again: the same descriptor, the same data, plus the flag. Where anything about it is not as expected, the
//! entry stays as tokio made it, and every thread is woken as before.
//!
//! Who is woken is who stands first in line; making the entry again goes to the end of the line. One who is woken and dies
//! before it accepts takes the wake-up with it: who waits must look for itself now and then, with [`Turns::pass`].

#![allow(unsafe_code)]

use std::{
    cell::Cell,
    fs,
    ops::Deref,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use rustix::{
    event::epoll::{EventData, EventFlags, add, delete},
    io::fcntl_dupfd_cloexec,
};

/// A listening socket that is registered with this thread's reactor, and its place in line.
///
/// Dereferences to the socket.
pub struct Turns<S: AsFd> {
    socket: S,
    /// `None` where the entry could not be made exclusive.
    line: Option<Line>,
}

/// The reactor's entry for the socket.
struct Line {
    epoll: OwnedFd,
    data: u64,
    standing: Cell<bool>,
}

impl<S: AsFd> Turns<S> {
    /// Takes a place in line for `socket`, which must be registered with the reactor of this thread: a
    /// `tokio::net::TcpListener` or `UnixListener`.
    pub fn take(socket: S) -> Self {
        let line = Line::find(socket.as_fd()).filter(|line| {
            // The entry as it is goes first, as there can be but one of a descriptor.
            delete(&line.epoll, socket.as_fd()).is_ok()
        });
        if let Some(line) = &line {
            line.standing.set(false);
        }
        let turns = Turns { socket, line };
        turns.step_in();
        turns
    }

    /// Whether one thread is woken per connection, and not all.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.line.is_some()
    }

    /// Lets everyone else come first for the next connection.
    pub fn pass(&self) {
        self.step_out();
        self.step_in();
    }

    /// Waits for nothing until [`step_in`](Self::step_in).
    pub fn step_out(&self) {
        if let Some(line) = &self.line
            && line.standing.get()
        {
            // It can fail only where the entry is gone already.
            let _ = delete(&line.epoll, self.socket.as_fd());
            line.standing.set(false);
        }
    }

    /// Waits again, at the end of the line. A connection that is already there is noticed.
    pub fn step_in(&self) {
        if let Some(line) = &self.line
            && !line.standing.get()
        {
            let flags = EventFlags::IN | EventFlags::ET;
            let data = EventData::new_u64(line.data);
            let socket = self.socket.as_fd();
            let made = add(&line.epoll, socket, data, flags | EventFlags::EXCLUSIVE)
                // An older kernel: as it was.
                .or_else(|_| add(&line.epoll, socket, data, flags));
            line.standing.set(made.is_ok());
        }
    }
}

impl<S: AsFd> Deref for Turns<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.socket
    }
}

impl<S: AsFd> Drop for Turns<S> {
    fn drop(&mut self) {
        // The reactor takes its entry out again, and expects to find one.
        self.step_in();
    }
}

impl Line {
    /// The one entry for `socket` among the epolls of this process.
    fn find(socket: BorrowedFd<'_>) -> Option<Line> {
        let mut found: Option<(RawFd, u64)> = None;
        for entry in fs::read_dir("/proc/self/fd").ok()? {
            let entry = entry.ok()?;
            let is_epoll = fs::read_link(entry.path())
                .is_ok_and(|to| to.as_os_str() == "anon_inode:[eventpoll]");
            if !is_epoll {
                continue;
            }
            let number: RawFd = entry.file_name().to_str()?.parse().ok()?;
            let listing = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
            for data in entries_of(&listing, socket.as_raw_fd()) {
                match found {
                    // A second descriptor of the same epoll; reactors keep one.
                    Some((_, known)) if known == data => {}
                    Some(_) => return None,
                    None => found = Some((number, data)),
                }
            }
        }
        let (number, data) = found?;
        // SAFETY: the descriptor was listed a moment ago and belongs to the reactor that holds the socket's entry; the
        // borrow ends with the duplication. Were it closed meanwhile, another descriptor would be duplicated, which is
        // no epoll, or one without that entry: taking the entry out would fail, and the line not be used.
        let epoll = unsafe { BorrowedFd::borrow_raw(number) };
        let epoll = fcntl_dupfd_cloexec(epoll, 0).ok()?;
        Some(Line {
            epoll,
            data,
            standing: Cell::new(true),
        })
    }
}

/// The data of the entries for `socket` in what the kernel says of an epoll:
/// `tfd:        7 events: 80002019 data:     7f0c5c000e00  pos:0 ino:1a2b sdev:8`.
fn entries_of(listing: &str, socket: RawFd) -> impl Iterator<Item = u64> {
    listing.lines().filter_map(move |line| {
        let mut words = line.split_ascii_whitespace();
        let mut field = |name: &str| {
            words.next().filter(|word| *word == name)?;
            words.next()
        };
        let of: RawFd = field("tfd:")?.parse().ok()?;
        field("events:")?;
        let data = u64::from_str_radix(field("data:")?, 16).ok()?;
        (of == socket).then_some(data)
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// The kernel's own word on the entry of a socket, if there is one.
    fn entry(turns: &Turns<TcpListener>) -> Option<String> {
        let epoll = turns.line.as_ref().unwrap().epoll.as_raw_fd();
        let listing = fs::read_to_string(format!("/proc/self/fdinfo/{epoll}")).unwrap();
        let socket = turns.as_raw_fd().to_string();
        listing
            .lines()
            // The number of a socket can be that of the mount, which is listed too.
            .find(|line| line.split_ascii_whitespace().take(2).eq(["tfd:", &socket]))
            .map(str::to_owned)
    }

    /// Every connection is taken, by a listener that passes its turn after each.
    #[actix_rt::test]
    async fn who_passes_is_still_woken_when_alone() {
        let turns = Turns::take(TcpListener::bind("127.0.0.1:0").await.unwrap());
        assert!(turns.is_exclusive());
        let address = turns.local_addr().unwrap();
        for _ in 0..20 {
            let (client, server) = tokio::join!(TcpStream::connect(address), turns.accept());
            assert_eq!(client.unwrap().local_addr().unwrap(), server.unwrap().1);
            turns.pass();
        }
    }

    /// What comes while out of line is there on the return.
    #[actix_rt::test]
    async fn nothing_is_missed_while_out_of_line() {
        let turns = Turns::take(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = turns.local_addr().unwrap();
        turns.step_out();
        let client = TcpStream::connect(address).await.unwrap();
        turns.step_in();
        let (_, peer) = turns.accept().await.unwrap();
        assert_eq!(client.local_addr().unwrap(), peer);
    }

    #[actix_rt::test]
    async fn the_kernel_has_the_flag_and_the_reactor_its_data() {
        let turns = Turns::take(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let entry_in = entry(&turns).unwrap();
        let flags = entry_in.split_ascii_whitespace().nth(3).unwrap();
        let flags = u32::from_str_radix(flags, 16).unwrap();
        assert_ne!(flags & EventFlags::EXCLUSIVE.bits(), 0, "{entry_in}");
        assert_ne!(flags & EventFlags::ET.bits(), 0, "{entry_in}");
        turns.step_out();
        assert_eq!(entry(&turns), None);
    }

    #[test]
    fn a_socket_no_reactor_knows_stays_as_it_is() {
        let turns = Turns::take(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        assert!(!turns.is_exclusive());
        turns.pass();
    }

    #[test]
    fn the_listing_of_an_epoll_is_read_strictly() {
        let listing = "pos:\t0\nflags:\t02000002\n\
            tfd:        7 events: 80002019 data:     7f0c5c000e00  pos:0 ino:1a2b sdev:8\n\
            tfd:       77 events: 19 data: 1  pos:0 ino:1 sdev:8\n\
            tfd:        7 events: 19 dato: 2\n\
            tfd:        7 events: 19 data: zz\n";
        assert_eq!(
            entries_of(listing, 7).collect::<Vec<_>>(),
            [0x7f0c_5c00_0e00]
        );
        assert_eq!(entries_of(listing, 8).count(), 0);
    }
}
