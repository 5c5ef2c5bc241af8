//! The file without a name that carries the boot record.

pub(super) use platform::{is_record, scratch, write};

#[cfg(target_os = "linux")]
mod platform {
    use std::fs::File;
    use std::io::{self, Write};
    use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
    use rustix::io::Errno;

    const NAME: &str = "cluster-boot";
    const SEALS: SealFlags = SealFlags::SEAL
        .union(SealFlags::SHRINK)
        .union(SealFlags::GROW)
        .union(SealFlags::WRITE);

    /// A sealed memfd that holds the bytes.
    pub(in super::super) fn write(bytes: &[u8]) -> io::Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = match memfd_create(NAME, flags | MemfdFlags::NOEXEC_SEAL) {
            // Linux before 6.3 does not know that a memfd can be other than executable.
            Err(Errno::INVAL) => memfd_create(NAME, flags)?,
            made => made?,
        };
        let mut file = File::from(fd);
        file.write_all(bytes)?;
        fcntl_add_seals(&file, SEALS)?;
        Ok(file.into())
    }

    /// A memfd to be written to, up to its length.
    pub(in super::super) fn scratch(length: u64) -> io::Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = memfd_create("cluster-scratch", flags)?;
        rustix::fs::ftruncate(&fd, length)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
        Ok(fd)
    }

    /// Whether it is a memfd of our name that nobody can change any more.
    pub(in super::super) fn is_record(fd: BorrowedFd<'_>) -> bool {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
        link.is_ok_and(|link| link.as_os_str() == format!("/memfd:{NAME} (deleted)").as_str())
            && fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(SEALS))
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::fs::{self, OpenOptions};
    use std::io::{self, Write};
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::os::unix::fs::OpenOptionsExt;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A temporary file, removed before it is filled.
    pub(in super::super) fn write(bytes: &[u8]) -> io::Result<OwnedFd> {
        let mut file = File::from(scratch(0)?);
        file.write_all(bytes)?;
        Ok(file.into())
    }

    /// The same, empty.
    pub(in super::super) fn scratch(length: u64) -> io::Result<OwnedFd> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("cluster-boot-{}-{serial}", std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        fs::remove_file(&path)?;
        file.set_len(length)?;
        Ok(file.into())
    }

    /// Whether it is a file of this user that no directory names: as near as these systems let us look.
    pub(in super::super) fn is_record(fd: BorrowedFd<'_>) -> bool {
        rustix::fs::fstat(fd).is_ok_and(|stat| {
            rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file()
                && stat.st_nlink == 0
                && stat.st_uid == rustix::process::geteuid().as_raw()
        })
    }
}
