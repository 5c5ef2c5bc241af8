//! The direction between the crates: core, cache, then web and the command line, which do not know each other.

use super::orphans::crate_of;
use super::source::File;
use super::{Fault, Source};

/// Each crate, and what it must not name.
const NEVER: &[(&str, &[&str])] = &[
    (
        "cluster-core",
        &[
            "cluster_cache",
            "cluster_web",
            "cluster_cli",
            "actix_web",
            "actix_http",
        ],
    ),
    ("cluster-cache", &["cluster_web", "cluster_cli"]),
    ("cluster-cli", &["cluster_web"]),
    ("cluster-web", &["cluster_cli"]),
];

pub(super) fn check(files: &[File], sources: &[Source<'_>]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (file, scan) in sources {
        let Some((owner, never)) = rule(files, file) else {
            continue;
        };
        for path in scan
            .paths
            .iter()
            .filter(|path| never.contains(&path.segments[0].as_str()))
        {
            faults.push(Fault::new(
                &file.path,
                path.line,
                format!("{owner} must not name {}", path.segments[0]),
            ));
        }
    }
    for file in files.iter().filter(|file| file.is_manifest()) {
        let Some((owner, never)) = rule(files, file) else {
            continue;
        };
        for (index, line) in file.text.lines().enumerate() {
            let key = line
                .split(['.', '=', ' '])
                .next()
                .unwrap_or_default()
                .replace('-', "_");
            if never.contains(&key.as_str()) {
                faults.push(Fault::new(
                    &file.path,
                    index + 1,
                    format!("{owner} must not depend on {key}"),
                ));
            }
        }
    }
    faults
}

fn rule(files: &[File], file: &File) -> Option<(&'static str, &'static [&'static str])> {
    let owner = crate_of(files, &file.path)?;
    NEVER.iter().find(|(name, _)| *name == owner).copied()
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    #[test]
    fn core_knows_nothing_of_the_web_and_its_nested_crate_may() {
        let found = faults(&[
            (
                "cluster-core/Cargo.toml",
                "[dependencies]\nactix.workspace = true\nactix-web.workspace = true\n",
            ),
            ("cluster-core/src/lib.rs", "use actix_web::App;\n"),
            (
                "cluster-core/tests/all.rs",
                "fn f() { cluster_web::main() }\n",
            ),
            ("cluster-core/macros/Cargo.toml", ""),
            (
                "cluster-core/macros/src/lib.rs",
                "fn f() { cluster_web::main() }\n",
            ),
        ]);
        let expected = [
            "cluster-core/Cargo.toml:3: cluster-core must not depend on actix_web",
            "cluster-core/src/lib.rs:1: cluster-core must not name actix_web",
            "cluster-core/tests/all.rs:1: cluster-core must not name cluster_web",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn web_and_the_command_line_do_not_know_each_other() {
        let found = faults(&[
            ("cluster-web/Cargo.toml", ""),
            (
                "cluster-web/src/lib.rs",
                "use cluster_cache::Cache; use cluster_cli::args;",
            ),
            ("cluster-cli/Cargo.toml", ""),
            (
                "cluster-cli/src/main.rs",
                "use cluster_cache::Cache; use cluster_web::app;",
            ),
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
