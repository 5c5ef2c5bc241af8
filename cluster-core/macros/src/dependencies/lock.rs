//! A `Cargo.lock` as a list of the packages that one of them needs: pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use toml::{Table, Value};

use super::manifest::Manifests;

struct Package<'a> {
    name: &'a str,
    version: &'a str,
    source: Option<&'a str>,
    needs: Vec<&'a str>,
}

/// The packages that the one of this name and version needs, itself first, as JSON in the shape of `cargo auditable`.
pub(super) fn packages(
    lock: &Table,
    name: &str,
    version: &str,
    manifests: &Manifests,
) -> Option<String> {
    let all: Vec<Package<'_>> = lock
        .get("package")?
        .as_array()?
        .iter()
        .filter_map(package)
        .collect();
    let root = all
        .iter()
        .position(|p| p.name == name && p.version == version && p.source.is_none())?;
    // In the order in which they are found.
    let (mut order, mut place) = (vec![root], BTreeMap::from([(root, 0)]));
    let mut needs = Vec::new();
    let mut next = 0;
    while let Some(&at) = order.get(next) {
        let package = &all[at];
        let mut places = Vec::new();
        for need in &package.needs {
            let Some(found) = find(&all, need) else {
                continue;
            };
            if package.source.is_none() && manifests.only_tests(package.name, all[found].name) {
                continue;
            }
            let new = order.len();
            places.push(*place.entry(found).or_insert_with(|| {
                order.push(found);
                new
            }));
        }
        needs.push(places);
        next += 1;
    }
    let mut json = String::from(r#"{"packages":["#);
    for (n, (at, places)) in order.iter().zip(needs).enumerate() {
        let Package {
            name,
            version,
            source,
            ..
        } = all[*at];
        let source = match source {
            None => "local",
            Some(source) if source.contains("crates.io-index") => "crates.io",
            Some(source) if source.starts_with("git+") => "git",
            Some(_) => "registry",
        };
        let between = if n == 0 { "" } else { "," };
        let root = if n == 0 { r#","root":true"# } else { "" };
        // Names and versions have no characters that JSON escapes: cargo sees to it. Writing to a string does not fail.
        let _ = write!(
            json,
            r#"{between}{{"name":"{name}","version":"{version}","source":"{source}","dependencies":{places:?}{root}}}"#
        );
    }
    json.push_str("]}");
    Some(json)
}

fn package(value: &Value) -> Option<Package<'_>> {
    let text = |key| value.get(key).and_then(Value::as_str);
    let needs = value.get("dependencies").and_then(Value::as_array);
    Some(Package {
        name: text("name")?,
        version: text("version")?,
        source: text("source"),
        needs: needs
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect(),
    })
}

/// The package that `NAME`, `NAME VERSION` or `NAME VERSION (SOURCE)` means.
fn find(all: &[Package<'_>], need: &str) -> Option<usize> {
    let mut words = need.split(' ');
    let (name, version, source) = (words.next()?, words.next(), words.next());
    let source = source.map(|source| source.trim_matches(['(', ')']));
    all.iter().position(|package| {
        package.name == name
            && version.is_none_or(|version| package.version == version)
            && source.is_none_or(|source| {
                package
                    .source
                    .is_some_and(|theirs| theirs.starts_with(source))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
        version = 4
        [[package]]
        name = "app"
        version = "1.0.0"
        dependencies = ["a", "b 2.0.0", "proptest"]
        [[package]]
        name = "a"
        version = "1.0.0"
        source = "registry+https://github.com/rust-lang/crates.io-index"
        dependencies = ["b 1.0.0"]
        [[package]]
        name = "b"
        version = "1.0.0"
        source = "registry+https://github.com/rust-lang/crates.io-index"
        [[package]]
        name = "b"
        version = "2.0.0"
        source = "git+https://example.org/b#1"
        dependencies = ["a"]
        [[package]]
        name = "proptest"
        version = "1.0.0"
        source = "registry+https://github.com/rust-lang/crates.io-index"
        [[package]]
        name = "stranger"
        version = "1.0.0"
    "#;

    #[test]
    fn what_the_package_needs_is_listed_and_nothing_else() {
        let lock: Table = LOCK.parse().unwrap();
        let manifests = Manifests::of(
            "[package]\nname = \"app\"\n[dev-dependencies]\nproptest = \"1\"\na = \"1\"\n[dependencies]\na = \"1\"",
        );
        let json = packages(&lock, "app", "1.0.0", &manifests).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"packages":[{"name":"app","version":"1.0.0","source":"local","dependencies":[1, 2],"root":true},"#,
                r#"{"name":"a","version":"1.0.0","source":"crates.io","dependencies":[3]},"#,
                r#"{"name":"b","version":"2.0.0","source":"git","dependencies":[1]},"#,
                r#"{"name":"b","version":"1.0.0","source":"crates.io","dependencies":[]}]}"#
            )
        );
        assert_eq!(packages(&lock, "app", "2.0.0", &manifests), None);
    }
}
