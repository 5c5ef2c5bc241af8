//! Files that no crate reaches by its `mod` lines: nobody builds them.

use std::collections::{HashMap, HashSet};

use super::scan::ModUse;
use super::source::File;
use super::{Fault, Source};

pub(super) fn check(files: &[File], sources: &[Source<'_>]) -> Vec<Fault> {
    let mods: HashMap<&str, &[ModUse]> = sources
        .iter()
        .map(|(file, scan)| (file.path.as_str(), scan.mods.as_slice()))
        .collect();
    let named = named_roots(files);
    // A root and a mod.rs keep their modules beside them, any other file in a folder of its own name.
    let mut open: Vec<(&str, bool)> = Vec::new();
    let mut reached = HashSet::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        if is_root(files, &file.path) || named.contains(&file.path) {
            reached.insert(file.path.as_str());
            open.push((&file.path, true));
        }
    }
    while let Some((path, root)) = open.pop() {
        for module in mods.get(path).copied().unwrap_or_default() {
            for (candidate, beside) in candidates(path, root, module) {
                if let Some((&found, _)) = mods.get_key_value(candidate.as_str())
                    && reached.insert(found)
                {
                    open.push((found, beside));
                }
            }
        }
    }
    let orphans = sources
        .iter()
        .filter(|(file, _)| !reached.contains(file.path.as_str()));
    orphans
        .map(|(file, _)| {
            Fault::new(
                &file.path,
                1,
                "no `mod` line leads here: nobody builds this file",
            )
        })
        .collect()
}

/// The files that `module`, declared in the file at `path`, may be; with each whether it keeps its modules beside it.
fn candidates(path: &str, root: bool, module: &ModUse) -> Vec<(String, bool)> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let own = if root {
        folder.to_owned()
    } else {
        join(folder, name.trim_end_matches(".rs"))
    };
    let inner = module
        .inside
        .iter()
        .fold(own, |folder, part| join(&folder, part));
    match &module.path {
        Some(path) if module.inside.is_empty() => vec![(join(folder, path), true)],
        Some(path) => vec![(join(&inner, path), true)],
        None => vec![
            (join(&inner, &format!("{}.rs", module.name)), false),
            (join(&inner, &format!("{}/mod.rs", module.name)), true),
        ],
    }
}

/// `folder` and `path` as one path without `.` and `..`.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The folder of the innermost crate that `path` lies in.
pub(super) fn crate_of<'a>(files: &'a [File], path: &str) -> Option<&'a str> {
    let manifests = files.iter().filter(|file| file.is_manifest());
    let folders = manifests.map(|file| {
        file.path
            .trim_end_matches("Cargo.toml")
            .trim_end_matches('/')
    });
    folders
        .filter(|folder| folder.is_empty() || path.starts_with(&format!("{folder}/")))
        .max_by_key(|folder| folder.len())
}

/// Whether cargo, or trybuild, takes the file for a root by its place.
fn is_root(files: &[File], path: &str) -> bool {
    let Some(owner) = crate_of(files, path) else {
        return false;
    };
    let inner: Vec<&str> = path[owner.len()..]
        .trim_start_matches('/')
        .split('/')
        .collect();
    matches!(
        inner.as_slice(),
        ["build.rs"]
            | ["src", "lib.rs" | "main.rs"]
            | ["src", "bin", _]
            | ["src", "bin", _, "main.rs"]
            | ["tests" | "benches" | "examples", _]
            | ["tests" | "benches" | "examples", _, "main.rs"]
            | ["tests", "ui", ..]
    )
}

/// The roots that manifests name by `path = "….rs"`.
fn named_roots(files: &[File]) -> HashSet<String> {
    let mut roots = HashSet::new();
    for file in files.iter().filter(|file| file.is_manifest()) {
        let folder = file.path.trim_end_matches("Cargo.toml");
        for line in file.text.lines() {
            if let Some((key, value)) = line.split_once('=')
                && key.trim() == "path"
                && value.trim().trim_matches('"').ends_with(".rs")
            {
                roots.insert(join(folder, value.trim().trim_matches('"')));
            }
        }
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    #[test]
    fn every_way_to_a_file_is_followed() {
        let found = faults(&[
            (
                "a/Cargo.toml",
                "[[bin]]\nname = \"other\"\npath = \"odd/other.rs\"\n",
            ),
            ("a/build.rs", ""),
            (
                "a/src/lib.rs",
                "mod one; #[path = \"../odd/two.rs\"] mod two; mod three { mod four; }",
            ),
            ("a/src/one.rs", "mod deep;"),
            ("a/src/one/deep.rs", ""),
            ("a/src/three/four.rs", ""),
            ("a/src/bin/tool.rs", "mod beside;"),
            ("a/src/bin/beside.rs", ""),
            ("a/odd/two.rs", ""),
            ("a/odd/other.rs", ""),
            ("a/tests/all.rs", ""),
            ("a/tests/ui/no_name.rs", ""),
            ("a/tests/it/main.rs", "mod part;"),
            ("a/tests/it/part.rs", ""),
            ("a/nested/Cargo.toml", ""),
            ("a/nested/src/main.rs", ""),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn what_is_not_reached_is_an_orphan() {
        let found = faults(&[
            ("a/Cargo.toml", ""),
            ("a/src/lib.rs", "// mod lost;\nmod one;"),
            ("a/src/one.rs", ""),
            ("a/src/lost.rs", "mod child;"),
            ("a/src/lost/child.rs", ""),
            ("a/src/one/unnamed.rs", ""),
        ]);
        let lost: Vec<_> = found
            .iter()
            .map(|fault| fault.split(':').next().unwrap())
            .collect();
        assert_eq!(
            lost,
            [
                "a/src/lost.rs",
                "a/src/lost/child.rs",
                "a/src/one/unnamed.rs"
            ]
        );
    }
}
