//! Descriptors on their way from one process to another, beside bytes on a Unix stream.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The most descriptors that go at once: the listening sockets of an application, of which a service manager may give 64, and the shared
/// page.
pub(crate) const MOST: usize = 128;

/// Writes bytes, the first of which take the descriptors (at most [`MOST`]) along; gives back how many were taken.
///
/// # Errors
/// `InvalidInput` for more descriptors or no bytes, else what the system said.
///
/// # Cancel safety
/// Nothing is sent when it is dropped.
pub(crate) async fn send(
    stream: &UnixStream,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let fits = fds.is_empty() || beside.push(SendAncillaryMessage::ScmRights(fds));
    if !fits || fds.len() > MOST || bytes.is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let write = || {
        Ok(sendmsg(
            stream.as_fd(),
            &[IoSlice::new(bytes)],
            &mut beside,
            SendFlags::NOSIGNAL,
        )?)
    };
    stream.async_io(Interest::WRITABLE, write).await
}

/// Reads what has come, 0 bytes at the end; descriptors that came with it are closed on exec, and added to `fds`.
///
/// # Errors
/// What the system said.
///
/// # Cancel safety
/// Nothing is read when it is dropped.
pub(crate) async fn receive(
    stream: &UnixStream,
    bytes: &mut [u8],
    fds: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let read = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let into = &mut [IoSliceMut::new(bytes)];
        let came = recvmsg(stream.as_fd(), into, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(sent) = message {
                fds.extend(sent);
            }
        }
        Ok(came.bytes)
    };
    stream.async_io(Interest::READABLE, read).await
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[tokio::test]
    async fn a_file_is_read_by_whoever_got_it() {
        let (here, there) = UnixStream::pair().unwrap();
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        assert_eq!(send(&here, b"abc", &[writer.as_fd()]).await.unwrap(), 3);
        let (mut bytes, mut fds) = ([0; 8], Vec::new());
        assert_eq!(receive(&there, &mut bytes, &mut fds).await.unwrap(), 3);
        assert_eq!(&bytes[..3], b"abc");
        let flags = rustix::io::fcntl_getfd(&fds[0]).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        let mut same = std::fs::File::from(fds.remove(0));
        writer.write_all(b"1").unwrap();
        same.write_all(b"2").unwrap();
        drop((writer, same));
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"12");
        drop(here);
        assert_eq!(receive(&there, &mut bytes, &mut fds).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn too_many_are_not_sent() {
        let (here, _there) = UnixStream::pair().unwrap();
        let fds = vec![here.as_fd(); MOST + 1];
        let error = send(&here, b"abc", &fds).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(send(&here, b"abc", &fds[1..]).await.unwrap(), 3);
    }
}
