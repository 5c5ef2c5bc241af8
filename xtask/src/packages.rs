//! System packages: which commands the chores need, and how a Debian machine gets them.

use std::env;
use std::path::Path;
use std::process::Command;

/// A chore that needs commands of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Building and testing.
    Test,
    /// Measuring.
    Bench,
}

/// A command, the Debian package it comes in, and what needs it.
#[derive(Debug)]
pub(crate) struct Package {
    command: &'static str,
    package: &'static str,
    need: Need,
    reason: &'static str,
}

/// The whole table: a further command is one further line.
const PACKAGES: &[Package] = &[
    Package {
        command: "cc",
        package: "gcc libc6-dev",
        need: Need::Test,
        reason: "builds ring, which rustls stands on, and SQLite",
    },
    Package {
        command: "make",
        package: "make",
        need: Need::Test,
        reason: "builds jemalloc, for the feature of that name",
    },
    Package {
        command: "gdb",
        package: "gdb",
        need: Need::Test,
        reason: "debugs a worker of the example hello",
    },
    Package {
        command: "objcopy",
        package: "binutils",
        need: Need::Test,
        reason: "gives a copy of an example the section that cargo-auditable writes",
    },
    Package {
        command: "gdbserver",
        package: "gdbserver",
        need: Need::Test,
        reason: "is what `cluster debug` attaches to a worker",
    },
    Package {
        command: "lldb-server",
        package: "lldb",
        need: Need::Test,
        reason: "is what `cluster debug` attaches where there is no gdbserver, with lldb to come to it",
    },
    Package {
        command: "chromium",
        package: "chromium",
        need: Need::Test,
        reason: "shows the monitor's page",
    },
    Package {
        command: "chromedriver",
        package: "chromium-driver",
        need: Need::Test,
        reason: "drives chromium",
    },
    Package {
        command: "npm",
        package: "npm",
        need: Need::Test,
        reason: "fetches axe-core, which looks for barriers on the page",
    },
    Package {
        command: "wrk",
        package: "wrk",
        need: Need::Bench,
        reason: "loads the http servers",
    },
    Package {
        command: "redis-server",
        package: "redis-server",
        need: Need::Bench,
        reason: "the cache is measured against it",
    },
    Package {
        command: "memcached",
        package: "memcached",
        need: Need::Bench,
        reason: "the cache is measured against it",
    },
];

/// Why the commands are not all there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PackageError {
    /// Missing, and this user may not install.
    #[error("missing: {missing}; as root, run: apt-get update && apt-get install -y {packages}")]
    Missing {
        /// Each command with its reason.
        missing: String,
        /// What to install.
        packages: String,
    },
    /// `apt-get` could not be started.
    #[error("cannot run apt-get to install {packages}")]
    Start {
        /// What was to be installed.
        packages: String,
        /// Why it did not start.
        #[source]
        source: std::io::Error,
    },
    /// `apt-get` ran, and the command is still not there.
    #[error("apt-get ran ({status}), and still missing: {missing}; packages tried: {packages}")]
    StillMissing {
        /// Each command with its reason.
        missing: String,
        /// What was to be installed.
        packages: String,
        /// How apt-get ended.
        status: std::process::ExitStatus,
    },
}

/// Sees to it that every command `need` wants is on the path, through apt-get where this user is root.
///
/// # Errors
/// Names what is missing and the command that installs it.
pub(crate) fn ensure(need: Need) -> Result<(), PackageError> {
    let missing = missing(need, on_path);
    if missing.is_empty() {
        return Ok(());
    }
    let packages = names(&missing);
    if !rustix::process::geteuid().is_root() || !on_path("apt-get") {
        return Err(PackageError::Missing {
            missing: reasons(&missing),
            packages,
        });
    }
    println!("installing {packages}: {}", reasons(&missing));
    // A failed update is no failure by itself: the lists that are there may do.
    apt_get(&["update", "-q"], &packages)?;
    let mut install = vec!["install", "-y", "-q", "--no-install-recommends"];
    install.extend(packages.split(' '));
    let status = apt_get(&install, &packages)?;
    let missing: Vec<_> = missing
        .into_iter()
        .filter(|p| !on_path(p.command))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(PackageError::StillMissing {
            missing: reasons(&missing),
            packages,
            status,
        })
    }
}

fn apt_get(arguments: &[&str], packages: &str) -> Result<std::process::ExitStatus, PackageError> {
    Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .map_err(|source| PackageError::Start {
            packages: packages.to_owned(),
            source,
        })
}

/// Whether `command` is an executable of the path.
pub(crate) fn on_path(command: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| executable(&folder.join(command))))
}

fn executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn missing(need: Need, there: impl Fn(&str) -> bool) -> Vec<&'static Package> {
    PACKAGES
        .iter()
        .filter(|package| package.need == need && !there(package.command))
        .collect()
}

fn names(packages: &[&Package]) -> String {
    packages
        .iter()
        .map(|package| package.package)
        .collect::<Vec<_>>()
        .join(" ")
}

fn reasons(packages: &[&Package]) -> String {
    packages
        .iter()
        .map(|package| format!("{} ({})", package.command, package.reason))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_chore_needs_and_lacks_is_missing() {
        let lacking = missing(Need::Bench, |_| false);
        assert_eq!(names(&lacking), "wrk redis-server memcached");
        assert!(reasons(&lacking).contains("loads the http servers"));
        assert!(missing(Need::Bench, |_| true).is_empty());
        let others = missing(Need::Bench, |command| command == "wrk");
        assert_eq!(names(&others), "redis-server memcached");
        assert!(names(&missing(Need::Test, |_| false)).contains("gcc"));
    }

    #[test]
    fn the_path_is_searched_for_executables() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-command-of-ours"));
    }
}
