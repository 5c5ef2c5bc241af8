//! `tidy`: the rules of the house that a machine can keep.
//!
//! The checks are pure: they see a list of files and give a list of faults, each with its file and line.

mod direction;
mod layers;
mod names;
mod orphans;
mod scan;
mod source;
mod words;

use std::fmt;

use self::source::File;
pub(crate) use self::source::TidyError;
use crate::workspace;

/// A rule that a file breaks, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    path: String,
    line: usize,
    message: String,
}

impl Fault {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Checks the checkout, prints each fault, and tells how many there are.
///
/// # Errors
/// Where a file cannot be read.
pub(crate) fn run() -> Result<usize, TidyError> {
    let files = source::read(&workspace::root())?;
    let faults = check(&files);
    for fault in &faults {
        println!("{fault}");
    }
    println!("tidy: {} files, {} faults", files.len(), faults.len());
    Ok(faults.len())
}

/// Every rule over every file.
fn check(files: &[File]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut sources = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        faults.extend(names::check(file));
        match scan::scan(&file.text) {
            Ok(scan) => sources.push((file, scan)),
            Err(line) => faults.push(Fault::new(
                &file.path,
                line,
                "is not Rust: its tokens cannot be read",
            )),
        }
    }
    for (file, scan) in &sources {
        faults.extend(words::check(file, scan));
    }
    faults.extend(layers::check(&sources));
    faults.extend(direction::check(files, &sources));
    faults.extend(orphans::check(files, &sources));
    faults.sort();
    faults.dedup();
    faults
}

/// A file with what was found in it.
type Source<'a> = (&'a File, scan::Scan);

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults of an in-memory checkout, as printed.
    pub(super) fn faults(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<File> = files
            .iter()
            .map(|(path, text)| File {
                path: (*path).into(),
                text: (*text).into(),
            })
            .collect();
        check(&files).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_tidy_checkout_has_no_fault() {
        let found = faults(&[
            (
                "cluster-core/Cargo.toml",
                "[package]\nname = \"cluster-core\"\n",
            ),
            (
                "cluster-core/src/lib.rs",
                "mod id;\nmod wire;\npub use id::WorkerId;\n",
            ),
            ("cluster-core/src/id.rs", "pub struct WorkerId;\n"),
            (
                "cluster-core/src/wire.rs",
                "mod codec;\nuse crate::id::WorkerId;\n",
            ),
            (
                "cluster-core/src/wire/codec.rs",
                "use bincode::config;\nuse super::super::id;\n",
            ),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn what_is_no_rust_is_named_with_its_line() {
        let found = faults(&[
            ("a/Cargo.toml", ""),
            ("a/src/lib.rs", "fn a() {}\nfn b() { ) }\n"),
        ]);
        assert_eq!(
            found,
            ["a/src/lib.rs:2: is not Rust: its tokens cannot be read"]
        );
    }

    #[test]
    fn the_checkout_is_read_without_what_is_built() {
        let files = source::read(&workspace::root()).unwrap();
        assert!(files.iter().any(|file| file.path == "xtask/src/tidy.rs"));
        assert!(
            files
                .iter()
                .any(|file| file.path == "cluster-core/macros/Cargo.toml")
        );
        assert!(
            files
                .iter()
                .all(|file| file.folders().all(|folder| folder != "target"))
        );
    }
}
