//! Which running cluster is meant.

use std::path::{Path, PathBuf};

use crate::sys::process::user_id;
use crate::sys::{Discovery, Running, RuntimeDir, RuntimeDirError, candidates, discover};

/// Why it is not clear which cluster is meant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// None is running.
    #[error("{} is running (looked in {})", none(name.as_deref()), paths(looked_in))]
    None {
        /// The name that was looked for.
        name: Option<String>,
        /// Where it was looked for.
        looked_in: Vec<PathBuf>,
    },
    /// Several are running.
    #[error(
        "several clusters are running ({}): say which, by name or by runtime directory",
        names(running)
    )]
    Several {
        /// Which ones.
        running: Vec<Running>,
    },
    /// One may be running where this user may not look.
    #[error("{} is not permitted to this user: a cluster that runs there is another user's", path.display())]
    NoPermission {
        /// What may not be looked into.
        path: PathBuf,
    },
    /// The runtime directory that was named cannot be looked at.
    #[error("the runtime directory cannot be looked at")]
    Look(#[source] RuntimeDirError),
}

/// The runtime directory of the one running cluster: that at `runtime_dir` if given, else that of this name, else the
/// only one that this user runs.
///
/// # Errors
///
/// [`FindError`]: none, several, or one that this user may not look at.
pub fn find(name: Option<&str>, runtime_dir: Option<&Path>) -> Result<PathBuf, FindError> {
    if let Some(path) = runtime_dir {
        return match RuntimeDir::is_locked(path) {
            Ok(Some(_)) => Ok(path.to_owned()),
            Ok(None) => Err(FindError::None {
                name: None,
                looked_in: vec![path.to_owned()],
            }),
            Err(RuntimeDirError::Permission { path, .. }) => Err(FindError::NoPermission { path }),
            Err(other) => Err(FindError::Look(other)),
        };
    }
    let bases = candidates(user_id());
    choose(discover(&bases), name, bases)
}

fn choose(
    found: Discovery,
    name: Option<&str>,
    looked_in: Vec<PathBuf>,
) -> Result<PathBuf, FindError> {
    let mut running = found.running;
    running.retain(|cluster| name.is_none_or(|name| cluster.name == name));
    match running.as_slice() {
        [one] => Ok(one.path.clone()),
        [] => {
            // A base that may not be listed can hide any name, a directory in it only its own.
            let hides = |path: &PathBuf| {
                looked_in.contains(path)
                    || name.is_none_or(|name| path.file_name() == Some(name.as_ref()))
            };
            match found.denied.into_iter().find(hides) {
                Some(path) => Err(FindError::NoPermission { path }),
                None => Err(FindError::None {
                    name: name.map(str::to_owned),
                    looked_in,
                }),
            }
        }
        _ => Err(FindError::Several { running }),
    }
}

fn none(name: Option<&str>) -> String {
    name.map_or_else(
        || "no cluster".to_owned(),
        |name| format!("no cluster of the name {name:?}"),
    )
}

fn paths(paths: &[PathBuf]) -> String {
    let shown: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    shown.join(", ")
}

/// Their names, or where two have the same their directories.
fn names(running: &[Running]) -> String {
    let mut names: Vec<_> = running
        .iter()
        .map(|cluster| cluster.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.len() == running.len() {
        names.join(", ")
    } else {
        let all: Vec<_> = running.iter().map(|cluster| cluster.path.clone()).collect();
        paths(&all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "/run/cluster";

    /// What a search has found: clusters that run, by base and name, and what was denied.
    fn found(running: &[(&str, &str)], denied: &[&str]) -> Discovery {
        let mut found = Discovery::default();
        for (base, name) in running {
            found.running.push(Running {
                name: (*name).to_owned(),
                path: Path::new(base).join(name),
                pid: 1,
            });
        }
        found.denied = denied.iter().map(PathBuf::from).collect();
        found
    }

    fn chosen(found: Discovery, name: Option<&str>) -> Result<PathBuf, FindError> {
        choose(found, name, vec![BASE.into()])
    }

    #[test]
    fn the_only_one_is_meant() {
        let path = chosen(found(&[(BASE, "shop")], &["/tmp/x"]), None).unwrap();
        assert_eq!(path, Path::new("/run/cluster/shop"));
    }

    #[test]
    fn a_name_picks_one_of_several() {
        let two = [(BASE, "blog"), (BASE, "shop")];
        let path = chosen(found(&two, &[]), Some("shop")).unwrap();
        assert_eq!(path, Path::new("/run/cluster/shop"));
        let error = chosen(found(&two, &[]), None).unwrap_err();
        assert!(error.to_string().contains("(blog, shop)"), "{error}");
    }

    #[test]
    fn two_of_one_name_are_told_apart_by_their_directories() {
        let two = [(BASE, "shop"), ("/tmp/cluster-1", "shop")];
        let error = chosen(found(&two, &[]), Some("shop")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("/run/cluster/shop, /tmp/cluster-1/shop"),
            "{text}"
        );
    }

    #[test]
    fn what_may_not_be_seen_is_not_said_to_be_absent() {
        let denied = |denied: &str, name| {
            matches!(
                chosen(found(&[], &[denied]), name),
                Err(FindError::NoPermission { .. })
            )
        };
        assert!(denied(BASE, None) && denied(BASE, Some("shop")));
        assert!(denied("/run/cluster/shop", None) && denied("/run/cluster/shop", Some("shop")));
        assert!(!denied("/run/cluster/blog", Some("shop")));
    }

    #[test]
    fn none_says_where_it_was_looked_for() {
        let error = chosen(found(&[(BASE, "blog")], &[]), Some("shop")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no cluster of the name \"shop\" is running (looked in /run/cluster)"
        );
    }

    #[test]
    fn a_directory_that_was_named_is_the_only_one_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let error = find(None, Some(dir.path())).unwrap_err();
        assert!(matches!(error, FindError::None { looked_in, .. } if looked_in == [dir.path()]));
        let made = RuntimeDir::open(Some(&dir.path().join("shop")), "shop").unwrap();
        let _lock = made.lock().unwrap();
        assert_eq!(find(None, Some(made.path())).unwrap(), made.path());
    }
}
