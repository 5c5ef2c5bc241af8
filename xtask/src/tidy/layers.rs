//! The order of the modules of cluster-core: each imports only from those before it.

use std::collections::HashMap;

use super::scan::PathUse;
use super::source::File;
use super::{Fault, Source};

/// Where the layers are.
const CORE: &str = "cluster-core/src/";

/// The layers: a module may import from itself and from those that stand before it.
const ORDER: &[&str] = &[
    "error",
    "id",
    "durations",
    "sys",
    "build",
    "options",
    "log",
    "panics",
    "look",
    "wire",
    "protocol",
    "bridge",
    "endpoint",
    "emitter",
    "events",
    "status",
    "health",
    "node",
    "worker",
    "master",
    "operator",
    "parent",
    "cluster",
];

/// Imports that the order would allow, and that must not be all the same.
const NEVER: &[(&str, &[&str])] = &[("sys", &["wire", "protocol"])];

/// Layers that import from no crate but these.
const STD_ONLY: &[(&str, &[&str])] = &[(
    "error",
    &[
        "std",
        "core",
        "alloc",
        "thiserror",
        "crate",
        "self",
        "super",
    ],
)];

pub(super) fn check(sources: &[Source<'_>]) -> Vec<Fault> {
    let core: Vec<_> = sources
        .iter()
        .filter(|(file, _)| file.path.starts_with(CORE))
        .collect();
    let modules: Vec<String> = core
        .iter()
        .filter_map(|(file, _)| module(file).into_iter().next())
        .collect();
    let exports = core
        .iter()
        .find(|(file, _)| file.path.len() == CORE.len() + "lib.rs".len() && file.stem() == "lib");
    let exports = exports
        .map(|(_, scan)| exports_of(&scan.paths))
        .unwrap_or_default();
    let mut faults = Vec::new();
    for (file, scan) in core {
        let module = module(file);
        let Some(layer) = module.first() else {
            continue;
        };
        let Some(own) = rank(layer) else {
            faults.push(Fault::new(&file.path, 1, format!("`{layer}` has no place in the order of layers; give it one in xtask/src/tidy/layers.rs")));
            continue;
        };
        for path in &scan.paths {
            if let Some((_, allowed)) = STD_ONLY.iter().find(|(of, _)| of == layer)
                && path.import
                && !allowed.contains(&path.segments[0].as_str())
            {
                faults.push(Fault::new(
                    &file.path,
                    path.line,
                    format!(
                        "`{layer}` imports from no crate but {}",
                        allowed[..4].join(", ")
                    ),
                ));
            }
            let Some(name) = top_level(&module, path) else {
                continue;
            };
            let target = if modules.contains(&name) {
                &name
            } else {
                exports.get(&name).unwrap_or(&name)
            };
            let Some(other) = rank(target) else { continue };
            let never = NEVER
                .iter()
                .any(|(of, what)| of == layer && what.contains(&target.as_str()));
            if other > own || never {
                let message = format!(
                    "`{layer}` must not import from `{target}`; the order of layers is {}",
                    ORDER.join(", ")
                );
                faults.push(Fault::new(&file.path, path.line, message));
            }
        }
    }
    faults
}

fn rank(layer: &str) -> Option<usize> {
    ORDER.iter().position(|name| *name == layer)
}

/// The path of the module that a file of the core is; empty for the root.
fn module(file: &File) -> Vec<String> {
    let inner = file
        .path
        .strip_prefix(CORE)
        .and_then(|path| path.strip_suffix(".rs"))
        .unwrap_or_default();
    if inner == "lib" {
        Vec::new()
    } else {
        inner.split('/').map(str::to_owned).collect()
    }
}

/// The name right below the crate's root that `path` leads to.
fn top_level(module: &[String], path: &PathUse) -> Option<String> {
    match path.segments.first().map(String::as_str) {
        Some("crate") => path.segments.get(1).cloned(),
        Some("super") => {
            let up = path
                .segments
                .iter()
                .take_while(|segment| *segment == "super")
                .count();
            let mut full: Vec<_> = module.iter().chain(&path.inside).collect();
            full.truncate(full.len().checked_sub(up)?);
            full.into_iter().chain(&path.segments[up..]).next().cloned()
        }
        _ => None,
    }
}

/// What the root gives out under a name of its own, and the layer it comes from.
fn exports_of(paths: &[PathUse]) -> HashMap<String, String> {
    let mut exports = HashMap::new();
    for path in paths
        .iter()
        .filter(|path| path.import && path.inside.is_empty())
    {
        let from = path
            .segments
            .iter()
            .find(|segment| *segment != "crate" && *segment != "self");
        let name = path.alias.as_ref().or(path.segments.last());
        if let (Some(from), Some(name)) = (from, name) {
            exports.insert(name.clone(), from.clone());
        }
    }
    exports
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    fn core(extra: &[(&str, &str)]) -> Vec<String> {
        let root = "mod error; mod id; mod wire; mod protocol; mod sys; mod master;\npub use master::Master; pub use id::{WorkerId as Who};\n";
        let mut files = vec![
            ("cluster-core/Cargo.toml", ""),
            ("cluster-core/src/lib.rs", root),
        ];
        for path in ["error", "id", "wire", "protocol", "sys", "master"] {
            if !extra
                .iter()
                .any(|(name, _)| *name == format!("cluster-core/src/{path}.rs"))
            {
                files.push((
                    Box::leak(format!("cluster-core/src/{path}.rs").into_boxed_str()),
                    "",
                ));
            }
        }
        files.extend(extra);
        faults(&files)
    }

    #[test]
    fn a_lower_layer_may_be_imported_and_a_higher_one_not() {
        assert_eq!(
            core(&[(
                "cluster-core/src/master.rs",
                "use crate::{id::X, wire};\nuse super::sys;"
            )]),
            Vec::<String>::new()
        );
        for text in [
            "use crate::{id, master::Master};",
            "fn f() { crate::master::go() }",
            "use super::master;",
            "use crate::Master;",
        ] {
            let found = core(&[("cluster-core/src/wire.rs", text)]);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(
                found[0].starts_with(
                    "cluster-core/src/wire.rs:1: `wire` must not import from `master`"
                )
            );
        }
        assert_eq!(
            core(&[("cluster-core/src/wire.rs", "use crate::Who;")]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn super_is_counted_from_where_it_stands() {
        let inner = "mod tests { use super::*; use super::super::super::protocol; use super::super::frame; }";
        let found = core(&[
            ("cluster-core/src/wire.rs", "mod codec;"),
            ("cluster-core/src/wire/codec.rs", inner),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("`wire` must not import from `protocol`"));
    }

    #[test]
    fn sys_knows_nothing_of_the_wire() {
        assert_eq!(
            core(&[("cluster-core/src/sys.rs", "use crate::protocol::Command;")]).len(),
            1
        );
        assert_eq!(
            core(&[("cluster-core/src/sys.rs", "use crate::id::WorkerId;")]).len(),
            0
        );
    }

    #[test]
    fn errors_stand_on_std_alone() {
        let text = "use std::io;\nuse thiserror::Error;\nuse tokio::sync::oneshot;\nuse crate::id::WorkerId;";
        let found = core(&[("cluster-core/src/error.rs", text)]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0]
                .starts_with("cluster-core/src/error.rs:3: `error` imports from no crate but std")
        );
        assert!(
            found[1].starts_with("cluster-core/src/error.rs:4: `error` must not import from `id`")
        );
    }

    #[test]
    fn a_module_without_a_place_is_a_fault() {
        let found = core(&[
            ("cluster-core/src/lib.rs", "mod extra;"),
            ("cluster-core/src/extra.rs", ""),
        ]);
        assert!(found.iter().any(|fault| fault.starts_with("cluster-core/src/extra.rs:1: `extra` has no place")), "{found:?}");
    }
}
