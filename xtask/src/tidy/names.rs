//! How long a file may be, and what it may not be called.

use super::Fault;
use super::source::File;

/// Past this, a file is two things.
const LINES: usize = 500;

/// Names that say nothing of what is inside.
const BANNED: &[&str] = &["util", "utils", "common", "helpers", "misc"];

pub(super) fn check(file: &File) -> Vec<Fault> {
    let mut faults = Vec::new();
    let lines = file.text.lines().count();
    if lines > LINES && !file.is_test() {
        faults.push(Fault::new(
            &file.path,
            LINES + 1,
            format!("has {lines} lines; at most {LINES} are allowed"),
        ));
    }
    if file.stem() == "mod" {
        faults.push(Fault::new(
            &file.path,
            1,
            "is a mod.rs; a module `foo` lives in foo.rs beside foo/",
        ));
    }
    for name in file
        .folders()
        .chain([file.stem()])
        .filter(|name| BANNED.contains(name))
    {
        faults.push(Fault::new(
            &file.path,
            1,
            format!("`{name}` names nothing; name what is inside"),
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    #[test]
    fn long_files_are_faults_outside_tests_only() {
        let (short, long) = ("\n".repeat(500), "\n".repeat(501));
        let found = faults(&[
            ("a/Cargo.toml", ""),
            ("a/src/lib.rs", &long),
            ("a/src/main.rs", &short),
            ("a/tests/all.rs", &long),
        ]);
        assert_eq!(
            found,
            ["a/src/lib.rs:501: has 501 lines; at most 500 are allowed"]
        );
    }

    #[test]
    fn banned_names_are_faults_as_file_and_as_folder() {
        let found = faults(&[
            ("a/Cargo.toml", ""),
            ("a/src/lib.rs", "mod utils;\nmod common;\nmod useful;\n"),
            ("a/src/utils.rs", ""),
            ("a/src/useful.rs", ""),
            ("a/src/common/mod.rs", ""),
        ]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("a/src/common/mod.rs:1: `common`"));
        assert!(found[1].starts_with("a/src/common/mod.rs:1: is a mod.rs"));
        assert!(found[2].starts_with("a/src/utils.rs:1: `utils`"));
    }
}
