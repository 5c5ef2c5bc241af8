//! How a document is to be.

use std::path::PathBuf;
use std::time::Duration;

/// How a document is to be.
///
/// ```
/// use cluster_cache::DocumentOptions;
/// use std::time::Duration;
///
/// let options = DocumentOptions::default()
///     .dir("/var/lib/shop")
///     .gc_interval(Duration::from_secs(10));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct DocumentOptions {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) gc_interval: Duration,
    pub(crate) wait: Option<Duration>,
}

impl Default for DocumentOptions {
    fn default() -> Self {
        DocumentOptions {
            dir: None,
            gc_interval: Duration::from_secs(120),
            wait: None,
        }
    }
}

impl DocumentOptions {
    /// The directory of the file, made where there is none; the working directory unless set. Processes share a document that use the same
    /// directory and name.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// After how long a change is in the file at the latest; 2 minutes unless set, 10 ms at least. Where processes say different things, the
    /// shortest holds.
    pub fn gc_interval(mut self, interval: Duration) -> Self {
        self.gc_interval = interval;
        self
    }

    /// How long an operation may take that waits for the manager; `--cache.timeout` unless set.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }
}
