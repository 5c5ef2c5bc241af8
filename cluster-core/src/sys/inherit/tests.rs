use std::io::{Read, Write, pipe};
use std::os::fd::IntoRawFd;
use std::process::Command;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::*;
use crate::sys::process::{Exit, Spawn, spawn};
use crate::sys::rerun;

const NAME: &str = "a_child_takes_what_was_meant_for_it_and_a_grandchild_nothing";
const RECORD: &[u8] = b"who you are";

/// Three processes: the test program, its child, which boots, and a grandchild, to which nothing was given.
#[tokio::test]
async fn a_child_takes_what_was_meant_for_it_and_a_grandchild_nothing() {
    match rerun::part().as_deref() {
        None => parent().await,
        Some("child") => child(),
        Some("grandchild") => grandchild(),
        Some(other) => panic!("no part {other}"),
    }
}

async fn parent() {
    let handover = Handover::new(RECORD).unwrap();
    let (mut reader, writer) = pipe().unwrap();
    let number = (
        OsString::from("NUMBER"),
        OsString::from(writer.as_raw_fd().to_string()),
    );
    let process = spawn(Spawn {
        program: rerun::program(),
        args: rerun::args(module_path!(), NAME),
        env: vec![rerun::variable("child"), handover.variable(), number],
        fds: vec![handover.as_fd(), writer.as_fd()],
        ..Spawn::default()
    })
    .unwrap();
    drop(writer);
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert_eq!(process.exited().await, Exit::Code(0));
    assert_eq!(said, "here");
    assert_eq!(
        take_boot().unwrap(),
        None,
        "a parent that was given none finds none"
    );
}

fn child() {
    let number: RawFd = std::env::var("NUMBER").unwrap().parse().unwrap();
    let boot: RawFd = std::env::var(BOOT_VARIABLE).unwrap().parse().unwrap();
    assert_eq!(take_boot().unwrap().as_deref(), Some(RECORD));
    assert!(!is_open(boot), "closed when taken");
    assert_eq!(take_boot().unwrap(), None, "once only");

    let mut file = File::from(take_fd(number).unwrap());
    assert_eq!(
        take_fd(number).unwrap_err().kind(),
        io::ErrorKind::NotFound,
        "once only"
    );
    file.write_all(b"here").unwrap();

    // The variable is inherited by whatever this process starts, and may then name something else.
    forgeries(boot);
    assert!(command("grandchild").status().unwrap().success());
}

fn grandchild() {
    assert!(
        std::env::var_os(BOOT_VARIABLE).is_some(),
        "it inherits the variable"
    );
    assert_eq!(take_boot().unwrap(), None);
    let own = std::fs::read_dir("/proc/self/fd").unwrap();
    let open: Vec<RawFd> = own
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    let given: Vec<&RawFd> = open
        .iter()
        .filter(|fd| **fd > 2 && is_open(**fd) && inherited(**fd).is_ok())
        .collect();
    assert!(given.is_empty(), "{given:?}");
}

/// What looks like a boot record and is none. Made here, in a process of its own: others must not inherit these.
fn forgeries(boot: RawFd) {
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    let make = |name: &str, length: usize, flags: MemfdFlags| {
        let mut file = File::from(memfd_create(name, MemfdFlags::ALLOW_SEALING | flags).unwrap());
        file.write_all(&vec![b'x'; length]).unwrap();
        file
    };
    let none = MemfdFlags::empty();

    let other_name = make("cluster-bootleg", 3, none);
    fcntl_add_seals(&other_name, seals).unwrap();
    assert_eq!(take_record(other_name.as_raw_fd()).unwrap(), None);

    let changeable = make("cluster-boot", 3, none);
    assert_eq!(take_record(changeable.as_raw_fd()).unwrap(), None);

    let own = make("cluster-boot", 3, MemfdFlags::CLOEXEC);
    fcntl_add_seals(&own, seals).unwrap();
    assert_eq!(
        take_record(own.as_raw_fd()).unwrap(),
        None,
        "made here, on its way to somebody else"
    );

    let plain = tempfile::tempfile().unwrap();
    rustix::io::fcntl_setfd(&plain, FdFlags::empty()).unwrap();
    assert_eq!(take_record(plain.as_raw_fd()).unwrap(), None);

    // Ownership goes over to the call, which closes it.
    let long = make("cluster-boot", BOOT_LIMIT + 1, none);
    fcntl_add_seals(&long, seals).unwrap();
    let long = long.into_raw_fd();
    assert_eq!(
        take_record(long).unwrap_err().kind(),
        io::ErrorKind::InvalidData
    );
    assert!(!is_open(long));

    // And it works at all.
    let good = make("cluster-boot", 3, none);
    fcntl_add_seals(&good, seals).unwrap();
    assert_eq!(
        take_record(good.into_raw_fd()).unwrap().as_deref(),
        Some(b"xxx".as_slice())
    );

    drop((other_name, changeable, own, plain));
    assert!(!is_open(boot) || inherited(boot).is_err());
}

#[test]
fn a_descriptor_of_our_own_is_not_inherited() {
    let file = tempfile::tempfile().unwrap();
    assert_eq!(
        take_fd(file.as_raw_fd()).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    assert_eq!(take_fd(1).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(take_fd(-1).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(
        take_fd(1_000_000).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

#[test]
fn a_record_is_bounded_and_cannot_be_changed() {
    assert_eq!(
        Handover::new(&vec![0; BOOT_LIMIT + 1]).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
    let handover = Handover::new(&vec![7; BOOT_LIMIT]).unwrap();
    let file = File::from(handover.0);
    assert_eq!(
        file.write_at(b"x", 0).unwrap_err().raw_os_error(),
        Some(libc::EPERM)
    );
    assert_eq!(
        file.set_len(0).unwrap_err().raw_os_error(),
        Some(libc::EPERM)
    );
}

fn command(part: &str) -> Command {
    rerun::command(module_path!(), NAME, part)
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: the descriptor is only asked about.
    rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(fd) }).is_ok()
}
