//! The program of the cargo package here: which one it is, and building it.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

/// Why there is no program to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BuildError {
    #[error("cargo cannot be started")]
    Cargo(#[source] io::Error),
    #[error("no cargo package here to run (give a program, or --bin NAME)")]
    NoPackage,
    #[error("cargo's answer cannot be read")]
    Metadata(#[source] serde_json::Error),
    #[error("{} is a workspace, not a package: say which binary to run with --bin NAME", manifest.display())]
    Workspace { manifest: PathBuf },
    #[error("the package {package} has no binary to run")]
    NoBinary { package: String },
    #[error("the package {package} has several binaries ({}): say which to run with --bin NAME", bins.join(", "))]
    Several { package: String, bins: Vec<String> },
    #[error("cargo could not build it")]
    Failed,
    #[error("cargo built no binary {bin}")]
    NotBuilt { bin: String },
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    default_run: Option<String>,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// A line that cargo writes of what it has built. Other lines have no executable.
#[derive(Debug, Deserialize)]
struct Built {
    executable: Option<PathBuf>,
    target: Option<Target>,
}

/// Builds a binary, and shows cargo's own progress; gives back its file.
pub(super) fn build(bin: Option<&str>, release: bool) -> Result<PathBuf, BuildError> {
    let mut cargo = Command::new(cargo());
    cargo.args(["build", "--message-format=json-render-diagnostics"]);
    let bin = match bin {
        Some(bin) => bin.to_owned(),
        None => {
            let manifest = manifest()?;
            cargo.arg("--manifest-path").arg(&manifest);
            the_one(&metadata(&manifest)?, &manifest)?
        }
    };
    cargo.args(["--bin", &bin]);
    if release {
        cargo.arg("--release");
    }
    let mut child = cargo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(BuildError::Cargo)?;
    let mut executable = None;
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines() {
            let line = line.map_err(BuildError::Cargo)?;
            executable = executable_of(&line, &bin).or(executable);
        }
    }
    if !child.wait().map_err(BuildError::Cargo)?.success() {
        return Err(BuildError::Failed);
    }
    executable.ok_or(BuildError::NotBuilt { bin })
}

fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// What a run of cargo prints; nothing if it fails. Its complaints are of no use here: ours say what to do.
fn ask(args: &[&str], manifest: Option<&Path>) -> Result<Option<Vec<u8>>, BuildError> {
    let mut command = Command::new(cargo());
    command
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    if let Some(manifest) = manifest {
        command.arg("--manifest-path").arg(manifest);
    }
    let output = command.output().map_err(BuildError::Cargo)?;
    Ok(output.status.success().then_some(output.stdout))
}

fn manifest() -> Result<PathBuf, BuildError> {
    let args = ["locate-project", "--message-format=plain"];
    let path = ask(&args, None)?.and_then(|path| String::from_utf8(path).ok());
    path.map(|path| path.trim_end().into())
        .ok_or(BuildError::NoPackage)
}

fn metadata(manifest: &Path) -> Result<Metadata, BuildError> {
    let args = ["metadata", "--no-deps", "--format-version=1"];
    let text = ask(&args, Some(manifest))?.ok_or(BuildError::NoPackage)?;
    serde_json::from_slice(&text).map_err(BuildError::Metadata)
}

/// The binary that `cargo run` would choose.
fn the_one(metadata: &Metadata, manifest: &Path) -> Result<String, BuildError> {
    let mut packages = metadata.packages.iter();
    let package = packages
        .find(|package| package.manifest_path == manifest)
        .ok_or_else(|| BuildError::Workspace {
            manifest: manifest.to_owned(),
        })?;
    if let Some(bin) = &package.default_run {
        return Ok(bin.clone());
    }
    let bins: Vec<_> = package
        .targets
        .iter()
        .filter(|target| target.is_bin())
        .collect();
    let package = package.name.clone();
    match bins.as_slice() {
        [] => Err(BuildError::NoBinary { package }),
        [one] => Ok(one.name.clone()),
        several => {
            let bins = several.iter().map(|target| target.name.clone()).collect();
            Err(BuildError::Several { package, bins })
        }
    }
}

impl Target {
    fn is_bin(&self) -> bool {
        self.kind.iter().any(|kind| kind == "bin")
    }
}

/// The file that a line of cargo's says was built, if it is that binary.
fn executable_of(line: &str, bin: &str) -> Option<PathBuf> {
    // What a build script prints stands among cargo's lines.
    let built: Built = serde_json::from_str(line).ok()?;
    let is_it = built
        .target
        .is_some_and(|target| target.is_bin() && target.name == bin);
    built.executable.filter(|_| is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(default_run: Option<&str>, bins: &[&str]) -> Metadata {
        let target = |name: &str, kind: &str| Target {
            name: name.to_owned(),
            kind: vec![kind.to_owned()],
        };
        let mut targets = vec![target("lib", "lib"), target("trial", "example")];
        targets.extend(bins.iter().map(|bin| target(bin, "bin")));
        Metadata {
            packages: vec![Package {
                name: "p".to_owned(),
                manifest_path: "/p/Cargo.toml".into(),
                default_run: default_run.map(str::to_owned),
                targets,
            }],
        }
    }

    fn chosen(metadata: &Metadata) -> Result<String, String> {
        the_one(metadata, Path::new("/p/Cargo.toml")).map_err(|e| e.to_string())
    }

    #[test]
    fn the_binary_of_a_package() {
        assert_eq!(chosen(&package(None, &["one"])).unwrap(), "one");
        assert_eq!(
            chosen(&package(Some("two"), &["one", "two"])).unwrap(),
            "two"
        );
        assert!(
            chosen(&package(None, &["one", "two"]))
                .unwrap_err()
                .contains("(one, two)")
        );
        assert!(
            chosen(&package(None, &[]))
                .unwrap_err()
                .contains("no binary")
        );
        let workspace = the_one(&package(None, &["one"]), Path::new("/Cargo.toml"));
        assert!(matches!(workspace, Err(BuildError::Workspace { .. })));
    }

    #[test]
    fn the_file_of_the_binary_and_of_nothing_else() {
        let line = |name: &str, kind: &str, file: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"{name}","kind":["{kind}"]}},"executable":{file}}}"#
            )
        };
        let found = |line: &str| executable_of(line, "one");
        assert_eq!(
            found(&line("one", "bin", "\"/t/one\"")),
            Some("/t/one".into())
        );
        assert_eq!(found(&line("one", "example", "\"/t/one\"")), None);
        assert_eq!(found(&line("two", "bin", "\"/t/two\"")), None);
        assert_eq!(found(&line("one", "lib", "null")), None);
        assert_eq!(found(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(found("hello from a build script"), None);
    }
}
