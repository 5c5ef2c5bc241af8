//! A start that fails: one clear line, an exit code, and nothing left behind.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::cluster::Cluster;
use super::setup::{self, Setup};

/// How long a start may take to fail.
const LIMIT: Duration = Duration::from_secs(60);

/// How it failed.
pub(crate) struct FailedStart {
    /// The last line, without the word `error`.
    pub(crate) error: String,
    pub(crate) log: String,
    home: TempDir,
}

impl FailedStart {
    #[track_caller]
    pub(crate) fn of(setup: Setup) -> Self {
        let runtime_dir: PathBuf = setup.runtime_dir();
        let was_there = setup::exists(&runtime_dir);
        let mut cluster = Cluster::spawn(setup);
        let status = cluster.exit(LIMIT);
        let ended = cluster.log.has_ended(Duration::from_secs(10));
        let log = cluster.log.text();
        assert!(
            ended && cluster.processes().is_empty(),
            "processes are left:\n{log}"
        );
        assert_eq!(status.code(), Some(1), "{log}");
        assert_eq!(
            setup::exists(&runtime_dir),
            was_there,
            "the runtime directory is left:\n{log}"
        );
        let errors = log
            .lines()
            .filter(|line| line.starts_with("error: "))
            .count();
        assert_eq!(errors, 1, "there is one line for the error:\n{log}");
        let last = log.lines().last().unwrap_or_default();
        let error = last
            .strip_prefix("error: ")
            .unwrap_or_else(|| panic!("the last line is none of an error:\n{log}"));
        FailedStart {
            error: error.to_owned(),
            home: cluster.keep_home(),
            log,
        }
    }

    /// The line holds each of these.
    #[track_caller]
    pub(crate) fn names(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(
                self.error.contains(word),
                "{word:?} is missing in: {}",
                self.error
            );
        }
        self
    }

    /// What the directory that it ran in holds now.
    pub(crate) fn leaves(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.home()).expect("it is there");
        let names = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn home(&self) -> &Path {
        self.home.path()
    }
}
