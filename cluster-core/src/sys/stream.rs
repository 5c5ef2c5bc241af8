//! The stream of a link: its task is woken by what arrives, and by room to write only while it waits for that.
//!
//! A tokio stream is woken by both for as long as it lives. As the kernel reports room whenever the peer has read something, that
//! would be a second wake-up for each message.

#![allow(unsafe_code)]

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream as StdStream;

use futures_util::FutureExt;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;

#[derive(Debug)]
pub(crate) struct Stream(AsyncFd<StdStream>);

impl Stream {
    /// Takes a connected stream over.
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        let stream = stream.into_std()?;
        // SAFETY: the stream is open, and the `AsyncFd` owns it, under one number, until it is dropped; nothing else takes it out.
        let watched = unsafe { AsyncFd::register_with_interest(stream, Interest::READABLE)? };
        Ok(Stream(watched))
    }

    /// Waits until something has come, or the end.
    ///
    /// # Cancel safety
    ///
    /// It only watches: dropping it changes nothing.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.0.readable().await.map(drop)
    }

    /// Whether the thread knows already that something has come.
    pub(crate) fn is_readable(&self) -> bool {
        self.0.readable().now_or_never().is_some()
    }

    /// Waits until something has come, and reads it; 0 bytes are the end.
    ///
    /// # Cancel safety
    ///
    /// Nothing is read when it is dropped.
    pub(crate) async fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.get_inner().read(bytes) {
                Ok(n) => {
                    // Fewer bytes than there was room for: there are no more, and another attempt would only be told so.
                    if n > 0 && n < bytes.len() {
                        ready.clear_ready();
                    }
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Writes what the socket takes at once.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.get_ref().write(bytes) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// Waits until the socket takes more.
    ///
    /// # Cancel safety
    ///
    /// It only watches: dropping it changes nothing.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        let same = self.0.get_ref().try_clone()?;
        // SAFETY: the duplicate is open, and the `AsyncFd` owns it, under one number, until it is dropped.
        let room = unsafe { AsyncFd::register_with_interest(same, Interest::WRITABLE)? };
        room.writable().await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    async fn soon<T>(future: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(10), future)
            .await
            .expect("it does not happen")
    }

    #[tokio::test]
    async fn what_comes_in_pieces_is_read_to_its_end() {
        let (here, mut there) = UnixStream::pair().unwrap();
        let here = Stream::new(here).unwrap();
        let mut bytes = [0; 8];
        // The end has come before the first read, which takes less than there is room for.
        there.write_all(b"abc").await.unwrap();
        drop(there);
        assert_eq!(soon(here.read(&mut bytes)).await.unwrap(), 3);
        assert_eq!(soon(here.read(&mut bytes)).await.unwrap(), 0);

        let (here, mut there) = UnixStream::pair().unwrap();
        let here = Stream::new(here).unwrap();
        for _ in 0..1000 {
            there.write_all(b"abc").await.unwrap();
            assert_eq!(soon(here.read(&mut bytes)).await.unwrap(), 3);
        }
        there.write_all(b"twelve bytes").await.unwrap();
        assert_eq!(soon(here.read(&mut bytes)).await.unwrap(), 8);
        assert_eq!(soon(here.read(&mut bytes)).await.unwrap(), 4);
        assert!(
            timeout(Duration::from_millis(20), here.read(&mut bytes))
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_full_socket_says_when_it_has_room() {
        let (here, mut there) = UnixStream::pair().unwrap();
        let here = Stream::new(here).unwrap();
        for _ in 0..3 {
            let mut written = 0;
            while let Ok(n) = here.try_write(&[7; 4096]) {
                written += n;
            }
            assert!(
                timeout(Duration::from_millis(20), here.writable())
                    .await
                    .is_err()
            );
            let mut bytes = vec![0; written];
            let (room, read) = tokio::join!(soon(here.writable()), there.read_exact(&mut bytes));
            room.unwrap();
            read.unwrap();
        }
        drop(there);
        assert_eq!(
            here.try_write(b"x").unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}
