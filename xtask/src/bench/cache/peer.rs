//! The caches under measurement: each a process of its own, at a Unix socket in a directory of this run.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::bench::process::Process;
use crate::bench::{BenchError, Plan};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ours,
    Redis,
    Memcached,
    /// Bare frames over a socket, with a server that keeps nothing.
    Raw,
}

impl Kind {
    /// Ours, and then those that it is measured against.
    pub(super) const ALL: [Kind; 4] = [Kind::Ours, Kind::Redis, Kind::Memcached, Kind::Raw];
}

/// The directory of all sockets, which is gone with it.
pub(super) struct Place(TempDir);

impl Place {
    /// # Errors
    /// Where there can be none.
    pub(super) fn new() -> Result<Self, BenchError> {
        let made = tempfile::Builder::new().prefix("cluster-bench-").tempdir();
        made.map(Place).map_err(|source| BenchError::Write {
            path: std::env::temp_dir(),
            source,
        })
    }
}

/// A running cache; dropping it stops it.
pub(super) struct Peer {
    kind: Kind,
    process: Process,
    /// Where its clients find it: a socket, or the directory of ours.
    address: PathBuf,
    /// Its own, with its socket in it.
    _directory: TempDir,
}

impl Peer {
    /// Starts an empty one, and waits until it listens.
    ///
    /// # Errors
    /// Where it does not start.
    pub(super) fn start(plan: &Plan, place: &Place, kind: Kind) -> Result<Self, BenchError> {
        let directory = TempDir::new_in(place.0.path()).map_err(|source| BenchError::Write {
            path: place.0.path().to_path_buf(),
            source,
        })?;
        let folder = directory.path();
        let (socket, name) = match kind {
            Kind::Ours => (folder.join("cache.sock"), "bench-cache"),
            Kind::Redis => (folder.join("redis.sock"), "redis-server"),
            Kind::Memcached => (folder.join("memcached.sock"), "memcached"),
            Kind::Raw => (folder.join("raw.sock"), "bench-cache-raw"),
        };
        let own = program(plan);
        let program = match kind {
            Kind::Ours => "env".into(),
            Kind::Raw => own.clone(),
            Kind::Redis | Kind::Memcached => name.into(),
        };
        let arguments = arguments(kind, &own, folder, &socket);
        let mut process = Process::start(plan, name, &program, &arguments)?;
        process.ready(plan, &socket.display().to_string(), || {
            UnixStream::connect(&socket).is_ok()
        })?;
        let address = match kind {
            Kind::Ours => folder.to_path_buf(),
            _ => socket,
        };
        Ok(Peer {
            kind,
            process,
            address,
            _directory: directory,
        })
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(super) fn address(&self) -> &Path {
        &self.address
    }

    /// What the clients' program calls it.
    pub(super) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Ours => "ours",
            Kind::Redis => "redis",
            Kind::Memcached => "memcached",
            Kind::Raw => "raw",
        }
    }

    /// What people call it.
    pub(super) fn title(&self) -> &'static str {
        match self.kind {
            Kind::Ours => "ours",
            Kind::Redis => "Redis",
            Kind::Memcached => "memcached",
            Kind::Raw => "bare frames",
        }
    }
}

/// Our own program, which is manager, client and server of bare frames.
pub(super) fn program(plan: &Plan) -> PathBuf {
    plan.target.join("release").join("bench-cache")
}

fn arguments(kind: Kind, own: &Path, folder: &Path, socket: &Path) -> Vec<String> {
    let (own, folder, socket) = (own.display(), folder.display(), socket.display());
    match kind {
        // In large pages, as a master has its cache manager.
        Kind::Ours => vec![
            "GLIBC_TUNABLES=glibc.malloc.hugetlb=1".into(),
            own.to_string(),
            "manager".into(),
            folder.to_string(),
        ],
        Kind::Raw => vec!["raw".into(), socket.to_string()],
        Kind::Redis => {
            // Nothing is kept on disk, and nobody else finds it.
            let line = format!("--port 0 --unixsocket {socket} --dir {folder} --appendonly no");
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            words.extend(["--save".to_owned(), String::new()]);
            words
        }
        Kind::Memcached => {
            let mut words = vec!["-s".to_owned(), socket.to_string()];
            if rustix::process::geteuid().is_root() {
                // It does not run as root unless it is told to.
                words.extend(["-u".to_owned(), "root".to_owned()]);
            }
            words
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_keeps_nothing_and_is_found_at_its_socket_only() {
        let words = arguments(
            Kind::Redis,
            Path::new("/b"),
            Path::new("/x"),
            Path::new("/x/s"),
        );
        let pair = |name: &str| {
            let at = words.iter().position(|word| word == name).unwrap();
            words[at + 1].as_str()
        };
        assert_eq!(pair("--save"), "");
        assert_eq!(pair("--appendonly"), "no");
        assert_eq!(pair("--port"), "0");
        assert_eq!(pair("--unixsocket"), "/x/s");
    }

    #[test]
    fn the_directory_is_gone_with_the_run() {
        let place = Place::new().unwrap();
        let path = place.0.path().to_path_buf();
        assert!(path.is_dir());
        drop(place);
        assert!(!path.exists());
    }
}
