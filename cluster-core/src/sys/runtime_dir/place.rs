//! Where a cluster's directory is, and the way into it that trusts nobody else.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::RuntimeDirError;
use crate::sys::process::user_id;
use crate::sys::socket::PATH_LIMIT;

/// The longest of the socket names in a runtime directory.
pub(super) const MASTER_SOCKET: &str = "master.sock";

/// The most bytes in a cluster's name.
const NAME_LIMIT: usize = 64;

/// Attempts to enter a directory that other clusters of the user may be removing.
const ATTEMPTS: usize = 16;

/// What decides where runtime directories are.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) xdg: Option<PathBuf>,
    pub(super) run: PathBuf,
    pub(super) tmp: PathBuf,
    pub(super) user: u32,
}

/// A runtime directory's path, made sure to be short enough.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// Whether somebody asked for this path, so that the directory above it is theirs.
    pub(super) explicit: bool,
    user: u32,
}

/// A runtime directory, open.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) directory: OwnedFd,
    /// Whether it had to be made.
    pub(super) made: bool,
}

impl Surroundings {
    pub(super) fn of_this_process() -> Self {
        let xdg = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        Self {
            xdg: xdg.filter(|path| path.is_absolute()),
            run: "/run".into(),
            tmp: "/tmp".into(),
            user: user_id(),
        }
    }

    /// The directories that this user's clusters may have their own in, the preferred first.
    pub(super) fn bases(&self) -> Vec<PathBuf> {
        let mut bases: Vec<PathBuf> = self.xdg.iter().map(|xdg| xdg.join("cluster")).collect();
        bases.extend([
            self.run.join("cluster"),
            self.tmp.join(format!("cluster-{}", self.user)),
        ]);
        bases
    }

    pub(super) fn place(
        &self,
        explicit: Option<&Path>,
        name: &str,
    ) -> Result<Place, RuntimeDirError> {
        check_name(name)?;
        let path = match explicit {
            Some(path) => std::path::absolute(path)
                .map_err(|_| RuntimeDirError::Missing { path: path.into() })?,
            None => self.base().join(name),
        };
        let length = path.as_os_str().len() + 1 + MASTER_SOCKET.len();
        if length > PATH_LIMIT {
            return Err(RuntimeDirError::TooLong {
                path,
                length,
                limit: PATH_LIMIT,
            });
        }
        Ok(Place {
            path,
            explicit: explicit.is_some(),
            user: self.user,
        })
    }

    /// The first base that can be had, else the last, whose troubles are then told.
    fn base(&self) -> PathBuf {
        if let Some(xdg) = self.xdg.as_ref().filter(|xdg| self.owns(xdg)) {
            return xdg.join("cluster");
        }
        // Made by us, as root, or for us, by the unit that started us.
        let run = self.run.join("cluster");
        if self.owns(&run) || (!run.exists() && self.owns(&self.run)) {
            return run;
        }
        self.tmp.join(format!("cluster-{}", self.user))
    }

    fn owns(&self, path: &Path) -> bool {
        let Ok(stat) = rustix::fs::stat(path) else {
            return false;
        };
        FileType::from_raw_mode(stat.st_mode).is_dir()
            && stat.st_uid == self.user
            && writable(path).is_ok()
    }
}

impl Place {
    /// Opens the directory, after making what is missing of its last two components.
    pub(super) fn enter(&self) -> Result<Entered, RuntimeDirError> {
        for _ in 0..ATTEMPTS {
            if let Some(entered) = self.try_enter()? {
                return Ok(entered);
            }
        }
        Err(RuntimeDirError::Unsteady {
            path: self.path.clone(),
        })
    }

    /// `None` if a directory vanished between two steps, as one does when the last cluster in it stops.
    fn try_enter(&self) -> Result<Option<Entered>, RuntimeDirError> {
        let not_a_directory = || RuntimeDirError::NotADirectory {
            path: self.path.clone(),
        };
        let base = self.path.parent().ok_or_else(not_a_directory)?;
        let name: OsString = self.path.file_name().ok_or_else(not_a_directory)?.into();
        let root = base.parent().unwrap_or(base);
        if matches!(rustix::fs::stat(root), Err(Errno::NOENT)) {
            return Err(RuntimeDirError::Missing { path: root.into() });
        }
        make(base, || rustix::fs::mkdir(base, Mode::RWXU))?;
        let Some(parent) = open(base, || open_directory(CWD, base))? else {
            return Ok(None);
        };
        self.check_base(base, &stat(base, &parent)?)?;

        let Some(made) = (match rustix::fs::mkdirat(&parent, &name, Mode::RWXU) {
            Ok(()) => Some(true),
            Err(Errno::EXIST) => Some(false),
            Err(Errno::NOENT) => None,
            Err(source @ (Errno::ACCESS | Errno::PERM | Errno::ROFS)) => {
                // One that exists is judged by itself below; on a read-only system mkdir does not say which it is.
                let exists = rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
                let not_writable = || RuntimeDirError::NotWritable {
                    path: base.into(),
                    source: source.into(),
                };
                Some(exists.then_some(false).ok_or_else(not_writable)?)
            }
            Err(source) => return Err(RuntimeDirError::io("make", &self.path, source)),
        }) else {
            return Ok(None);
        };
        let Some(directory) = open(&self.path, || open_directory(&parent, &name))? else {
            return Ok(None);
        };
        let found = stat(&self.path, &directory)?;
        self.check_owner(&self.path, &found)?;
        check_mode(&self.path, &found)?;
        match writable(&self.path) {
            Ok(()) => Ok(Some(Entered { directory, made })),
            Err(Errno::NOENT) => Ok(None),
            Err(source) => Err(RuntimeDirError::NotWritable {
                path: self.path.clone(),
                source: source.into(),
            }),
        }
    }

    fn check_base(&self, base: &Path, found: &Stat) -> Result<(), RuntimeDirError> {
        if !self.explicit {
            self.check_owner(base, found)?;
            return check_mode(base, found);
        }
        // Whoever chose the path chose what it lies in; but where everybody may rename what is in it, it is no place.
        let mode = Mode::from_raw_mode(found.st_mode);
        if mode.contains(Mode::WOTH) && !mode.contains(Mode::SVTX) {
            return Err(RuntimeDirError::Mode {
                path: base.into(),
                mode: permissions(found),
            });
        }
        Ok(())
    }

    fn check_owner(&self, path: &Path, found: &Stat) -> Result<(), RuntimeDirError> {
        if found.st_uid == self.user {
            return Ok(());
        }
        Err(RuntimeDirError::Owner {
            path: path.into(),
            owner: found.st_uid,
            user: self.user,
        })
    }
}

fn check_name(name: &str) -> Result<(), RuntimeDirError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let fits = (1..=NAME_LIMIT).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(allowed);
    if fits {
        Ok(())
    } else {
        Err(RuntimeDirError::Name { name: name.into() })
    }
}

/// Others may look (a service manager makes such directories), but not change what is there.
fn check_mode(path: &Path, found: &Stat) -> Result<(), RuntimeDirError> {
    let mode = Mode::from_raw_mode(found.st_mode);
    if mode.intersects(Mode::WGRP | Mode::WOTH) {
        return Err(RuntimeDirError::Mode {
            path: path.into(),
            mode: permissions(found),
        });
    }
    Ok(())
}

#[allow(clippy::unnecessary_cast, reason = "16 bits on some systems")]
fn permissions(found: &Stat) -> u32 {
    Mode::from_raw_mode(found.st_mode).as_raw_mode() as u32
}

fn writable(path: &Path) -> rustix::io::Result<()> {
    rustix::fs::accessat(
        CWD,
        path,
        Access::WRITE_OK | Access::EXEC_OK,
        AtFlags::EACCESS,
    )
}

fn make(
    path: &Path,
    mkdir: impl FnOnce() -> rustix::io::Result<()>,
) -> Result<(), RuntimeDirError> {
    match mkdir() {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        // What exists is judged when it is opened, whatever mkdir says of a place where it may not make anything.
        Err(_) if rustix::fs::lstat(path).is_ok() => Ok(()),
        Err(source @ (Errno::ACCESS | Errno::PERM | Errno::ROFS)) => {
            Err(RuntimeDirError::NotWritable {
                path: path.parent().unwrap_or(path).into(),
                source: source.into(),
            })
        }
        Err(source) => Err(RuntimeDirError::io("make", path, source)),
    }
}

fn open_directory(
    at: impl std::os::fd::AsFd,
    path: impl rustix::path::Arg,
) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A directory that may be passed through, but not listed, is good enough to stand in.
    #[cfg(target_os = "linux")]
    let flags = flags | OFlags::PATH;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

fn open(
    path: &Path,
    open: impl FnOnce() -> rustix::io::Result<OwnedFd>,
) -> Result<Option<OwnedFd>, RuntimeDirError> {
    match open() {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP) => {
            let path = path.to_path_buf();
            let is_link = std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
            Err(if is_link {
                RuntimeDirError::Symlink { path }
            } else {
                RuntimeDirError::NotADirectory { path }
            })
        }
        Err(source) => Err(RuntimeDirError::io("open", path, source)),
    }
}

fn stat(path: &Path, fd: &OwnedFd) -> Result<Stat, RuntimeDirError> {
    rustix::fs::fstat(fd).map_err(|source| RuntimeDirError::io("look at", path, source))
}
