//! Where the log goes if nobody says: to standard error wherever somebody may look at that, else to files.

use std::path::Path;

use crate::options::{LogTarget, Options};
use crate::sys::output;

/// What decides.
#[derive(Clone, Copy, Debug)]
struct Surroundings {
    /// Standard error is closed, or `/dev/null`.
    nowhere: bool,
    /// The process runs in a container, whose log is what its processes say.
    container: bool,
    /// A unit of systemd's, whose log is in the journal.
    systemd: bool,
}

impl Surroundings {
    fn of_this_process() -> Self {
        let is_set = |name: &&str| std::env::var_os(name).is_some();
        let is_there = |path: &&str| Path::new(path).exists();
        Surroundings {
            nowhere: output::stderr_leads_nowhere(),
            container: std::process::id() == 1
                || ["/.dockerenv", "/run/.containerenv"].iter().any(is_there)
                || ["container", "KUBERNETES_SERVICE_HOST"].iter().any(is_set),
            systemd: ["INVOCATION_ID", "JOURNAL_STREAM"].iter().any(is_set),
        }
    }

    fn target(self) -> LogTarget {
        if self.nowhere && !self.container && !self.systemd {
            LogTarget::Files
        } else {
            LogTarget::Stderr
        }
    }
}

/// Decides what the options leave open, in the master, for all processes of the cluster: the target, and where a relative directory is.
pub(crate) fn settle(options: &mut Options) {
    let target = options
        .log
        .get_or_insert_with(|| Surroundings::of_this_process().target());
    if *target == LogTarget::Files
        && let Ok(path) = std::path::absolute(&options.log_dir)
        // Options are handed on as text. What is none is left relative, as where the working directory is gone.
        && path.to_str().is_some()
    {
        options.log_dir = path;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_nobody_can_see_it_standard_error_is_left() {
        for bits in 0..8_u8 {
            let [nowhere, container, systemd] = [1, 2, 4].map(|bit| bits & bit != 0);
            let around = Surroundings {
                nowhere,
                container,
                systemd,
            };
            let expected = match (nowhere, container, systemd) {
                (true, false, false) => LogTarget::Files,
                _ => LogTarget::Stderr,
            };
            assert_eq!(around.target(), expected, "{around:?}");
        }
    }

    #[test]
    fn what_was_said_stands_and_the_path_is_whole() {
        let mut options = Options::default();
        assert_eq!(options.log, None);
        options.log = Some(LogTarget::Files);
        settle(&mut options);
        assert_eq!(options.log, Some(LogTarget::Files));
        assert_eq!(
            options.log_dir,
            std::env::current_dir().unwrap().join("log")
        );
    }
}
