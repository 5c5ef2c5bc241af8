use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::io::FdFlags;

use super::*;
use crate::sys::rerun;

fn assert_ready_for_use(fd: impl AsFd) {
    assert!(
        rustix::io::fcntl_getfd(&fd)
            .unwrap()
            .contains(FdFlags::CLOEXEC)
    );
    assert!(
        rustix::fs::fcntl_getfl(&fd)
            .unwrap()
            .contains(rustix::fs::OFlags::NONBLOCK)
    );
}

#[test]
fn both_families_share_a_port_and_nobody_else_gets_it() {
    let four = bind_tcp((Ipv4Addr::UNSPECIFIED, 0).into(), 16).unwrap();
    let port = four.local_addr().unwrap().port();
    let six = bind_tcp((Ipv6Addr::UNSPECIFIED, port).into(), 16).unwrap();
    for listener in [&four, &six] {
        assert_ready_for_use(listener);
    }
    for address in [
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        (Ipv6Addr::UNSPECIFIED, port).into(),
    ] {
        let error = bind_tcp(address, 16).unwrap_err();
        assert!(
            matches!(&error, SocketError::Busy { address: Address::Tcp(busy), .. } if *busy == address),
            "{error}"
        );
        assert_eq!(
            error.to_string(),
            format!("{address} is busy: another process listens there")
        );
    }
}

#[test]
fn a_port_is_free_again_while_its_old_connections_linger() {
    let listener = bind_tcp((Ipv4Addr::LOCALHOST, 0).into(), 16).unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    listener.set_nonblocking(false).unwrap();
    let (server, _) = listener.accept().unwrap();
    // The side that closes first is the one that waits.
    drop((server, listener));
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    bind_tcp(address, 16).unwrap();
}

#[test]
fn an_address_of_another_machine_is_named() {
    let address = SocketAddr::from(([192, 0, 2, 1], 0));
    assert!(matches!(
        bind_tcp(address, 1),
        Err(SocketError::Unavailable { .. })
    ));
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let first = bind_unix(&path, 0o600).unwrap();
    assert_ready_for_use(&first);
    assert!(matches!(
        bind_unix(&path, 0o600),
        Err(SocketError::Busy { .. })
    ));

    // Dropped, its file stays behind, as after a kill.
    drop(first);
    assert!(path.exists());
    let second = bind_unix(&path, 0o600).unwrap();
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"?").unwrap();
    assert!(second.accept().is_ok());
}

#[test]
fn one_whose_queue_is_full_is_not_stale() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let fd = stream_socket(AddressFamily::UNIX).unwrap();
    let address = SocketAddrUnix::new(&path).unwrap();
    rustix::net::bind(&fd, &address).unwrap();
    rustix::net::listen(&fd, 0).unwrap();
    let _waiting = UnixStream::connect(&path).unwrap();
    assert!(matches!(
        bind_unix(&path, 0o600),
        Err(SocketError::Busy { .. })
    ));
}

#[test]
fn the_mode_is_as_asked() {
    let dir = tempfile::tempdir().unwrap();
    for mode in [0o600, 0o660, 0o666] {
        let path = dir.path().join(format!("{mode:o}"));
        let _listener = bind_unix(&path, mode).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, mode);
    }
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("letter");
    std::fs::write(&path, "dear").unwrap();
    assert!(matches!(
        bind_unix(&path, 0o600),
        Err(SocketError::NotASocket { .. })
    ));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "dear");
}

#[test]
fn a_path_is_as_long_as_it_can_be_and_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let longest = PATH_LIMIT - dir.path().as_os_str().len() - 1;
    bind_unix(&dir.path().join("x".repeat(longest)), 0o600).unwrap();
    let path: PathBuf = dir.path().join("x".repeat(longest + 1));
    let error = bind_unix(&path, 0o600).unwrap_err();
    assert!(
        matches!(
            error,
            SocketError::TooLong {
                length: 108,
                limit: 107,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains(&path.display().to_string()));
}

#[test]
fn where_one_may_not_write_one_may_not_listen() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let error = rerun::as_nobody(|| bind_unix(&dir.path().join("socket"), 0o600).unwrap_err());
    assert!(matches!(error, SocketError::Permission { .. }), "{error:?}");
}
