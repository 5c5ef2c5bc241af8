//! What the cluster has open and lying about, before the acts and after them: what has come to be more is a leak.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::census::Sample;
use super::cluster::{pids, sockets, store};
use crate::processes::descriptors;

/// More descriptors of a kind than this are a leak: a process that was started anew may have made a few more, or fewer, by then.
const SLACK: usize = 3;
/// Looks of which the least counts, as some descriptors are open for a moment only.
const LOOKS: usize = 5;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(100);

type Kinds = BTreeMap<String, usize>;

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inventory {
    /// The descriptors of master, cache manager and that worker which has the most, by kind.
    descriptors: BTreeMap<&'static str, Kinds>,
    /// The files in the runtime directory and beside the store.
    files: BTreeSet<String>,
    /// Pid files that are missing, wrong, or of nobody.
    pid_files: Vec<String>,
}

/// Takes stock of a cluster at rest.
pub(crate) fn take(sample: &Sample, folder: &Path) -> Inventory {
    let mut all: Vec<BTreeMap<&'static str, Kinds>> = Vec::new();
    for look in 0..LOOKS {
        if look > 0 {
            thread::sleep(PAUSE);
        }
        let mut now = BTreeMap::from([("master", kinds(&descriptors(sample.master.pid)))]);
        if let Some(cache) = &sample.cache_manager {
            now.insert("cache manager", kinds(&descriptors(cache.pid)));
        }
        let workers = sample
            .workers
            .iter()
            .map(|worker| kinds(&descriptors(worker.pid)));
        let most = workers.max_by_key(|kinds| kinds.values().sum::<usize>());
        now.extend(most.map(|most| ("worker", most)));
        all.push(now);
    }
    Inventory {
        descriptors: least(&all),
        files: files(folder),
        pid_files: wrong_pid_files(sample, &pids(folder)),
    }
}

impl Inventory {
    /// What has come to be more than it was before.
    pub(crate) fn leaks_since(&self, before: &Inventory) -> Vec<String> {
        let mut leaks = Vec::new();
        for (process, kinds) in &self.descriptors {
            for (kind, count) in kinds {
                let earlier = before.descriptors.get(process);
                let earlier = earlier.and_then(|kinds| kinds.get(kind)).copied();
                let earlier = earlier.unwrap_or_default();
                if *count > earlier + SLACK {
                    leaks.push(format!(
                        "the {process} has {count} descriptors of {kind} open, and had {earlier}"
                    ));
                }
            }
        }
        let files = self.files.difference(&before.files);
        leaks.extend(files.map(|file| format!("the file {file} is left")));
        leaks.extend(self.pid_files.iter().cloned());
        leaks
    }
}

/// Of each kind the fewest that were seen.
fn least(all: &[BTreeMap<&'static str, Kinds>]) -> BTreeMap<&'static str, Kinds> {
    let mut least = all.first().cloned().unwrap_or_default();
    for (process, kinds) in &mut least {
        for (kind, count) in kinds.iter_mut() {
            let seen = all.iter().map(|look| {
                let kinds = look.get(process);
                kinds.and_then(|kinds| kinds.get(kind)).copied()
            });
            *count = seen
                .map(Option::unwrap_or_default)
                .min()
                .unwrap_or_default();
        }
    }
    least
}

/// Descriptors by what they lead to, without the number by which each is told from the next.
fn kinds(links: &[String]) -> Kinds {
    let mut kinds = Kinds::new();
    for link in links {
        let kind = match link.split_once(":[") {
            Some((kind @ ("socket" | "pipe"), _)) => kind,
            _ => link,
        };
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    kinds
}

fn files(folder: &Path) -> BTreeSet<String> {
    let names = |directory: &Path| -> Vec<String> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path().display().to_string())
            .collect()
    };
    let all = [names(&sockets(folder)), names(&store(folder))];
    all.into_iter().flatten().collect()
}

fn wrong_pid_files(sample: &Sample, directory: &Path) -> Vec<String> {
    let mut expected = BTreeMap::from([("master.pid".to_owned(), sample.master.pid)]);
    if let Some(cache) = &sample.cache_manager {
        expected.insert("cache-manager.pid".to_owned(), cache.pid);
    }
    let workers = sample.workers.iter();
    expected.extend(workers.map(|worker| (format!("worker.{}.pid", worker.id), worker.pid)));
    let mut wrong = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let says = fs::read_to_string(entry.path()).unwrap_or_default();
        match expected.remove(&name) {
            Some(pid) if says.trim() == pid.to_string() => {}
            Some(pid) => wrong.push(format!("the pid file {name} says {says:?} and not {pid}")),
            None => wrong.push(format!("the pid file {name} is left")),
        }
    }
    let missing = expected.keys();
    wrong.extend(missing.map(|name| format!("the pid file {name} is missing")));
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::census::tests::sample;
    use super::*;

    fn inventory(sockets: usize, files: &[&str]) -> Inventory {
        Inventory {
            descriptors: BTreeMap::from([("master", Kinds::from([("socket".into(), sockets)]))]),
            files: files.iter().map(|&name| name.to_owned()).collect(),
            pid_files: Vec::new(),
        }
    }

    #[test]
    fn what_has_grown_is_a_leak() {
        let before = inventory(5, &["a"]);
        assert_eq!(inventory(5 + SLACK, &["a"]).leaks_since(&before), [""; 0]);
        assert_eq!(inventory(1, &[]).leaks_since(&before), [""; 0]);
        let leaks = inventory(6 + SLACK, &["a", "b"]).leaks_since(&before);
        assert_eq!(leaks.len(), 2, "{leaks:?}");
        assert!(leaks[0].contains("master has 9 descriptors of socket"));
        assert!(leaks[1].contains("the file b"));
    }

    #[test]
    fn the_least_of_several_looks_counts() {
        let look =
            |sockets| BTreeMap::from([("master", kinds(&vec!["socket:[1]".into(); sockets]))]);
        let least = least(&[look(5), look(3), look(4)]);
        assert_eq!(least["master"]["socket"], 3);
    }

    #[test]
    fn kinds_are_told_apart_and_numbers_are_not() {
        let links = [
            "socket:[7]",
            "socket:[8]",
            "anon_inode:[pidfd]",
            "/dev/null",
        ];
        let kinds = kinds(&links.map(str::to_owned));
        let expected = [("/dev/null", 1), ("anon_inode:[pidfd]", 1), ("socket", 2)];
        let expected = expected.map(|(kind, count)| (kind.to_owned(), count));
        assert_eq!(kinds, Kinds::from(expected));
    }

    #[test]
    fn each_process_has_its_pid_file_and_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let sample = sample(1, &["active", "active"]);
        let write = |name: &str, pid: &str| fs::write(directory.path().join(name), pid).unwrap();
        write("master.pid", "10\n");
        write("cache-manager.pid", "20\n");
        write("worker.1.pid", "101\n");
        write("worker.2.pid", "102\n");
        assert_eq!(wrong_pid_files(&sample, directory.path()), [""; 0]);
        write("worker.2.pid", "7\n");
        write("worker.9.pid", "109\n");
        fs::remove_file(directory.path().join("master.pid")).unwrap();
        let mut wrong = wrong_pid_files(&sample, directory.path());
        wrong.sort();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong[0].contains("master.pid is missing"));
        assert!(wrong[1].contains("worker.2.pid says"));
        assert!(wrong[2].contains("worker.9.pid is left"));
    }
}
