//! axe-core, which finds what keeps people out of a page: fetched once into the target directory, and checked.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

const PACKAGE: &str = "axe-core@4.14.1";
const ARCHIVE: &str = "axe-core-4.14.1.tgz";
const SHA512: &str = "1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5";

/// Its source, for a page to run.
pub(super) fn source() -> &'static str {
    static SOURCE: OnceLock<String> = OnceLock::new();
    SOURCE.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("axe-core");
        let script = folder.join("package/axe.min.js");
        if !script.is_file() || !is_ours(&folder) {
            fetch(&folder);
        }
        fs::read_to_string(script).expect("it has been fetched")
    })
}

fn fetch(folder: &PathBuf) {
    fs::create_dir_all(folder).expect("the target directory is ours");
    let done = |command: &mut Command| {
        command
            .current_dir(folder)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    assert!(
        done(Command::new("npm").args(["pack", "--silent", PACKAGE])),
        "npm fetches {PACKAGE}"
    );
    assert!(is_ours(folder), "{ARCHIVE} is another than it was");
    assert!(
        done(Command::new("tar").args(["-xzf", ARCHIVE])),
        "{ARCHIVE} is unpacked"
    );
}

fn is_ours(folder: &PathBuf) -> bool {
    let sum = Command::new("sha512sum")
        .arg(ARCHIVE)
        .current_dir(folder)
        .output();
    sum.is_ok_and(|sum| sum.stdout.starts_with(SHA512.as_bytes()))
}
