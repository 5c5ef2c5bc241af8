//! A list of packages as a tree: pure.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The list, as `cargo auditable` writes it; what it has besides is not needed.
#[derive(Debug, Deserialize)]
pub(super) struct Packages {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    source: String,
    /// Only what the program was built with is in it, and not part of it.
    #[serde(default)]
    kind: Kind,
    /// Places in the list.
    #[serde(default)]
    dependencies: Vec<usize>,
    #[serde(default)]
    root: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Runtime,
    Build,
    #[serde(other)]
    Other,
}

/// A tree is no deeper: a chain of packages is not, either.
const DEEPEST: usize = 64;

/// Each dependency of each package is a place in the tree, where it is told by its name, version and source: some hundred bytes, and a list is
/// not to make more of them than can be held. 418 packages have 1166.
const MOST_DEPENDENCIES: usize = 32_768;
const LONGEST_TEXT: usize = 256;

/// Why a list is not made a tree.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misfit {
    #[error("it names no package")]
    Empty,
    #[error("it names {0} dependencies of packages (allowed: up to {MOST_DEPENDENCIES})")]
    Dependencies(usize),
    #[error(
        "the name, version or source of a package has {0} bytes (allowed: up to {LONGEST_TEXT})"
    )]
    Text(usize),
}

impl Packages {
    /// Whether it makes a tree of bounded size.
    pub(super) fn check(&self) -> Result<(), Misfit> {
        if self.packages.is_empty() {
            return Err(Misfit::Empty);
        }
        let all = self.packages.iter();
        let dependencies = all.map(|package| package.dependencies.len()).sum();
        if dependencies > MOST_DEPENDENCIES {
            return Err(Misfit::Dependencies(dependencies));
        }
        let texts = self
            .packages
            .iter()
            .flat_map(|package| [&package.name, &package.version, &package.source]);
        match texts.map(String::len).max() {
            Some(longest) if longest > LONGEST_TEXT => Err(Misfit::Text(longest)),
            _ => Ok(()),
        }
    }

    /// The tree of the package that is the program. One that is needed in several places has its own dependencies where the way to it is
    /// shortest; elsewhere it is marked `repeated`.
    pub(super) fn tree(&self) -> Value {
        let root = self
            .packages
            .iter()
            .position(|package| package.root)
            .unwrap_or_default();
        self.node(root, None, &self.homes(root), 0)
    }

    /// By package: from which other one it is reached first, going from near to far.
    fn homes(&self, root: usize) -> BTreeMap<usize, Option<usize>> {
        let mut homes = BTreeMap::from([(root, None)]);
        let mut next = VecDeque::from([root]);
        while let Some(at) = next.pop_front() {
            let needs = self.packages.get(at).map(|package| &package.dependencies);
            for need in needs
                .into_iter()
                .flatten()
                .filter(|need| **need < self.packages.len())
            {
                if !homes.contains_key(need) {
                    homes.insert(*need, Some(at));
                    next.push_back(*need);
                }
            }
        }
        homes
    }

    fn node(
        &self,
        at: usize,
        from: Option<usize>,
        homes: &BTreeMap<usize, Option<usize>>,
        depth: usize,
    ) -> Value {
        let Some(package) = self.packages.get(at) else {
            return Value::Null;
        };
        let mut node = json!({
            "name": package.name,
            "version": package.version,
            "source": package.source,
        });
        if package.kind == Kind::Build {
            node["kind"] = json!("build");
        }
        if package.dependencies.is_empty() {
            return node;
        }
        if homes.get(&at) != Some(&from) || depth >= DEEPEST {
            node["repeated"] = json!(true);
            return node;
        }
        let mut dependencies = Map::new();
        for need in &package.dependencies {
            let Some(needed) = self.packages.get(*need) else {
                continue;
            };
            let name = match dependencies.contains_key(&needed.name) {
                true => format!("{}@{}", needed.name, needed.version),
                false => needed.name.clone(),
            };
            dependencies.insert(name, self.node(*need, Some(at), homes, depth + 1));
        }
        node["dependencies"] = Value::Object(dependencies);
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_twice_is_spelled_out_once() {
        let packages: Packages = serde_json::from_value(json!({ "packages": [
            { "name": "app", "version": "1.0.0", "source": "local", "root": true, "dependencies": [1, 2, 9] },
            { "name": "a", "version": "2.0.0", "source": "crates.io", "dependencies": [2, 3] },
            { "name": "b", "version": "3.0.0", "source": "crates.io", "dependencies": [1, 4] },
            { "name": "cc", "version": "4.0.0", "source": "crates.io", "kind": "build" },
            { "name": "cc", "version": "5.0.0", "source": "crates.io" },
        ]})).unwrap();
        let tree = packages.tree();
        assert_eq!(
            (&tree["name"], &tree["version"]),
            (&json!("app"), &json!("1.0.0"))
        );
        let a = &tree["dependencies"]["a"];
        assert_eq!(a["dependencies"]["cc"]["kind"], "build");
        assert_eq!(a["dependencies"]["b"]["repeated"], true);
        let b = &tree["dependencies"]["b"];
        assert_eq!(b["dependencies"]["a"]["repeated"], true);
        assert_eq!(b["dependencies"]["cc"]["version"], "5.0.0");
        assert_eq!(
            tree["dependencies"].as_object().unwrap().len(),
            2,
            "what is out of the list is left out"
        );
    }
}
