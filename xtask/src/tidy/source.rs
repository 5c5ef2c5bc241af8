//! Reading the checkout: the only part of tidy that touches the disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders that hold no source of ours.
const SKIPPED: &[&str] = &["target", "corpus", "artifacts", "node_modules"];

/// Why the checkout could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TidyError {
    /// A file or folder could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A Rust file or a Cargo.toml.
#[derive(Debug)]
pub(super) struct File {
    /// From the root of the checkout, with `/` between its parts.
    pub(super) path: String,
    pub(super) text: String,
}

impl File {
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(super) fn is_manifest(&self) -> bool {
        self.path == "Cargo.toml" || self.path.ends_with("/Cargo.toml")
    }

    /// Whether it lies in a folder of tests.
    pub(super) fn is_test(&self) -> bool {
        self.folders().any(|folder| folder == "tests")
    }

    /// The folders it lies in, outermost first.
    pub(super) fn folders(&self) -> impl Iterator<Item = &str> {
        self.path
            .rsplit_once('/')
            .map_or("", |(folders, _)| folders)
            .split('/')
            .filter(|part| !part.is_empty())
    }

    /// Its name without `.rs`.
    pub(super) fn stem(&self) -> &str {
        let name = self
            .path
            .rsplit_once('/')
            .map_or(self.path.as_str(), |(_, name)| name);
        name.strip_suffix(".rs").unwrap_or(name)
    }
}

/// All Rust files and manifests below `root`, sorted by path.
///
/// # Errors
/// Where something cannot be read.
pub(super) fn read(root: &Path) -> Result<Vec<File>, TidyError> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let entry = entry.map_err(at(&folder))?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            let kind = entry.file_type().map_err(at(&path))?;
            if kind.is_dir() && !name.starts_with('.') && !SKIPPED.contains(&name.as_ref()) {
                folders.push(path);
            } else if kind.is_file() && (name.ends_with(".rs") || name == "Cargo.toml") {
                let text = fs::read_to_string(&path).map_err(at(&path))?;
                let path = path
                    .strip_prefix(root)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .into_owned();
                files.push(File { path, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> TidyError {
    let path = path.to_path_buf();
    move |source| TidyError::Read { path, source }
}
