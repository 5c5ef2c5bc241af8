//! The manifests of a workspace's own packages: a lock file does not tell what a package needs from what its tests do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Packages of one's own that are looked at.
const MOST: usize = 256;

/// By package: what only its tests need.
#[derive(Debug, Default)]
pub(super) struct Manifests(BTreeMap<String, BTreeSet<String>>);

impl Manifests {
    /// Those of a package and of what it reaches by path. One that cannot be read is left out: then its tests' needs count as its own.
    pub(super) fn read(workspace: &Path, package: &Path) -> Self {
        let mut manifests = Manifests::default();
        let mut folders: Vec<PathBuf> = vec![package.to_owned(), workspace.to_owned()];
        let mut next = 0;
        while let Some(folder) = folders.get(next).cloned().filter(|_| next < MOST) {
            next += 1;
            let Some(manifest) = fs::read_to_string(folder.join("Cargo.toml"))
                .ok()
                .and_then(|text| text.parse().ok())
            else {
                continue;
            };
            for path in paths(&manifest) {
                let path = folder.join(path);
                if let Ok(path) = path.canonicalize()
                    && !folders.contains(&path)
                {
                    folders.push(path);
                }
            }
            manifests.add(&manifest);
        }
        manifests
    }

    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        let mut manifests = Manifests::default();
        manifests.add(&text.parse().unwrap());
        manifests
    }

    fn add(&mut self, manifest: &Table) {
        let name = manifest
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(Value::as_str);
        let Some(name) = name else { return };
        let names = |kinds: &[&str]| -> BTreeSet<String> {
            let tables = tables(manifest).filter(|(kind, _)| kinds.contains(kind));
            tables
                .flat_map(|(_, table)| table.iter())
                .map(|(key, value)| real_name(key, value))
                .collect()
        };
        let mut tests = names(&["dev-dependencies"]);
        for needed in names(&["dependencies", "build-dependencies"]) {
            tests.remove(&needed);
        }
        self.0.insert(name.to_owned(), tests);
    }

    /// Whether only the tests of a package of one's own need another.
    pub(super) fn only_tests(&self, package: &str, needed: &str) -> bool {
        self.0
            .get(package)
            .is_some_and(|tests| tests.contains(needed))
    }
}

const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// The tables of what is needed, those for some platforms too.
fn tables(manifest: &Table) -> impl Iterator<Item = (&'static str, &Table)> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    std::iter::once(manifest).chain(targets).flat_map(|holder| {
        KINDS
            .into_iter()
            .filter_map(move |kind| Some((kind, holder.get(kind)?.as_table()?)))
    })
}

fn real_name(key: &str, value: &Value) -> String {
    value
        .get("package")
        .and_then(Value::as_str)
        .unwrap_or(key)
        .to_owned()
}

fn paths(manifest: &Table) -> Vec<&str> {
    let shared = manifest
        .get("workspace")
        .and_then(|w| w.get("dependencies"))
        .and_then(Value::as_table);
    let all = tables(manifest).map(|(_, table)| table).chain(shared);
    all.flat_map(Table::values)
        .filter_map(|value| value.get("path")?.as_str())
        .collect()
}
