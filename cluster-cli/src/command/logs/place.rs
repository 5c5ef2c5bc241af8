//! Which log files are meant: by the running cluster, or where there is none by their directory.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use cluster_core::operator::{FindError, OperatorError};
use cluster_core::{LogName, Operation, ProcessId, WorkerId};
use serde_json::Value;

use crate::args::{Common, Logs, Named};
use crate::command::ask;
use crate::error::CliError;

/// Where a cluster puts its log files if nobody says: below the directory that it was started in.
const USUAL: &str = "log";

/// The files of one cluster.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    cluster: String,
    /// The one process that is meant; all of them without it.
    pub(super) process: Option<ProcessId>,
}

/// Finds out which are meant.
pub(super) async fn find(common: &Common, logs: &Logs) -> Result<Place, CliError> {
    if let Some(directory) = &logs.log_dir {
        return alone(directory, common.name.as_deref(), logs.process);
    }
    match ask(common, Operation::Status, logs.answer.within()).await {
        Ok(state) => of_cluster(&state, logs.process),
        Err(none) if none_runs(&none) => {
            let found = alone(Path::new(USUAL), common.name.as_deref(), logs.process);
            found.map_err(|error| match error {
                CliError::NoLogs { directory } => CliError::NoLogsEither {
                    none: Box::new(none),
                    directory,
                },
                other => other,
            })
        }
        Err(other) => Err(other),
    }
}

fn none_runs(error: &CliError) -> bool {
    matches!(
        error,
        CliError::Find(FindError::None { .. })
            | CliError::Operator(OperatorError::NotRunning { .. })
    )
}

/// Those of a cluster that runs.
fn of_cluster(state: &Value, named: Option<Named>) -> Result<Place, CliError> {
    let cluster = state["name"].as_str().unwrap_or_default().to_owned();
    let directory: Option<PathBuf> =
        serde_json::from_value(state["log_dir"].clone()).map_err(CliError::Answer)?;
    let Some(directory) = directory else {
        return Err(CliError::LogsToStderr { cluster });
    };
    let process = named.map(|named| match named {
        Named::Number(number) => with_pid(state, number, || {
            has_files(&directory, &cluster, number)
        })
        .ok_or_else(|| CliError::NoSuchLog {
            number,
            directory: directory.clone(),
        }),
        Named::Master => Ok(ProcessId::Master),
        Named::CacheManager => Ok(ProcessId::CacheManager),
    });
    Ok(Place {
        process: process.transpose()?,
        directory,
        cluster,
    })
}

/// The process of this number: a worker's id, also that of one that has ended, or else a pid.
fn with_pid(state: &Value, number: u32, has_files: impl Fn() -> bool) -> Option<ProcessId> {
    let workers = || state["workers"].as_array().into_iter().flatten();
    let worker = |value: &Value| {
        let id = u32::try_from(value["id"].as_u64()?).ok()?;
        Some(ProcessId::Worker(WorkerId(id)))
    };
    if workers().any(|worker| worker["id"] == number) || has_files() {
        return Some(ProcessId::Worker(WorkerId(number)));
    }
    let of_pid = workers().find(|worker| worker["pid"] == number);
    of_pid.and_then(worker).or_else(|| {
        let others = [
            ("master", ProcessId::Master),
            ("cache_manager", ProcessId::CacheManager),
        ];
        let other = others.iter().find(|(key, _)| state[key]["pid"] == number);
        other.map(|(_, process)| *process)
    })
}

fn has_files(directory: &Path, cluster: &str, id: u32) -> bool {
    let name = LogName::of(cluster, ProcessId::Worker(WorkerId(id)));
    name.ages().any(|name| name.path(directory).exists())
}

/// Those in a directory, without a cluster to ask.
fn alone(directory: &Path, name: Option<&str>, named: Option<Named>) -> Result<Place, CliError> {
    let files = list(directory)?;
    let clusters: BTreeSet<&str> = files
        .iter()
        .map(|file| file.cluster.as_str())
        .filter(|cluster| name.is_none_or(|name| name == *cluster))
        .collect();
    let cluster = match clusters.iter().collect::<Vec<_>>().as_slice() {
        [one] => (**one).to_owned(),
        [] => {
            return Err(CliError::NoLogs {
                directory: directory.to_owned(),
            });
        }
        several => {
            let several: Vec<&str> = several.iter().map(|name| **name).collect();
            return Err(CliError::SeveralLogs {
                directory: directory.to_owned(),
                clusters: several.join(", "),
            });
        }
    };
    let process = match named {
        None => None,
        Some(Named::Master) => Some(ProcessId::Master),
        Some(Named::CacheManager) => Some(ProcessId::CacheManager),
        Some(Named::Number(number)) if has_files(directory, &cluster, number) => {
            Some(ProcessId::Worker(WorkerId(number)))
        }
        Some(Named::Number(number)) => {
            return Err(CliError::NoSuchLog {
                number,
                directory: directory.to_owned(),
            });
        }
    };
    Ok(Place {
        directory: directory.to_owned(),
        cluster,
        process,
    })
}

/// The log files in a directory; none where there is no such directory.
fn list(directory: &Path) -> Result<Vec<LogName>, CliError> {
    match std::fs::read_dir(directory) {
        Ok(_) => Ok(LogName::all_in(directory)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(CliError::Logs {
            directory: directory.to_owned(),
            source,
        }),
    }
}

impl Place {
    /// The processes that are meant and have files, each by the name of its newest.
    pub(super) fn names(&self) -> Result<Vec<LogName>, CliError> {
        let meant = |name: &LogName| {
            name.cluster == self.cluster && self.process.is_none_or(|one| one == name.process)
        };
        let processes: BTreeSet<ProcessId> = list(&self.directory)?
            .into_iter()
            .filter(meant)
            .map(|name| name.process)
            .collect();
        let name = |process| LogName::of(&self.cluster, process);
        Ok(processes.into_iter().map(name).collect())
    }

    pub(super) fn unreadable(&self, source: io::Error) -> CliError {
        CliError::Logs {
            directory: self.directory.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn directory(files: &[&str]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(home.path().join(file), "").unwrap();
        }
        home
    }

    #[test]
    fn a_cluster_says_where_its_files_are() {
        let home = directory(&["shop.3.log.1"]);
        let state = json!({
            "name": "shop",
            "log_dir": home.path(),
            "master": { "pid": 100 },
            "cache_manager": null,
            "workers": [{ "id": 7, "pid": 107 }, { "id": 8, "pid": 7 }],
        });
        let worker = |id| Some(ProcessId::Worker(WorkerId(id)));
        let of = |named| of_cluster(&state, named).map(|place| place.process);
        for (named, process) in [
            (None, None),
            (Some(Named::Master), Some(ProcessId::Master)),
            (Some(Named::CacheManager), Some(ProcessId::CacheManager)),
            (Some(Named::Number(7)), worker(7)),
            (Some(Named::Number(107)), worker(7)),
            (Some(Named::Number(3)), worker(3)),
            (Some(Named::Number(100)), Some(ProcessId::Master)),
        ] {
            assert_eq!(of(named).unwrap(), process, "{named:?}");
        }
        let error = of(Some(Named::Number(9))).unwrap_err().to_string();
        assert!(
            error.starts_with("no worker has the id or pid 9, "),
            "{error}"
        );
        let mute = json!({ "name": "shop", "log_dir": null });
        let error = of_cluster(&mute, None).unwrap_err();
        assert!(matches!(error, CliError::LogsToStderr { .. }), "{error}");
    }

    #[test]
    fn a_directory_says_whose_files_are_in_it() {
        let home = directory(&["shop.1.log", "shop.master.log", "notes.txt"]);
        let place = alone(home.path(), None, None).unwrap();
        assert_eq!(place.cluster, "shop");
        assert_eq!(place.names().unwrap().len(), 2);
        let place = alone(home.path(), None, Some(Named::Number(1))).unwrap();
        assert_eq!(place.names().unwrap().len(), 1);
        let none = |name, named| alone(home.path(), name, named).unwrap_err();
        assert!(matches!(
            none(None, Some(Named::Number(2))),
            CliError::NoSuchLog { number: 2, .. }
        ));
        assert!(matches!(none(Some("blog"), None), CliError::NoLogs { .. }));
        std::fs::write(home.path().join("blog.1.log"), "").unwrap();
        let error = none(None, None).to_string();
        assert!(error.contains("(blog, shop)"), "{error}");
        assert_eq!(
            alone(home.path(), Some("blog"), None).unwrap().cluster,
            "blog"
        );
        let nowhere = alone(&home.path().join("no"), None, None);
        assert!(matches!(nowhere, Err(CliError::NoLogs { .. })));
    }
}
