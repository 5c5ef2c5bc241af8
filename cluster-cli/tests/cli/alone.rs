//! Without a cluster.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{Run, cluster};

#[test]
fn none_running_is_code_3() {
    let dir = tempfile::tempdir().unwrap();
    for verb in [
        &["status"][..],
        &["stop"],
        &["restart", "--wait"],
        &["scale", "3"],
        &["emit", "a", "1"],
        &["cache", "ls"],
    ] {
        let run = Run::of(cluster().arg("--runtime-dir").arg(dir.path()).args(verb));
        let expected = format!("no cluster is running (looked in {})", dir.path().display());
        assert_eq!(run.complaint(3), expected, "{verb:?}");
        assert_eq!(run.out, "");
    }
}

#[test]
fn the_socket_of_a_dead_master_is_no_cluster() {
    let dir = tempfile::tempdir().unwrap();
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("master.sock")).unwrap());
    std::fs::write(dir.path().join("lock"), "1\n").unwrap();
    let run = Run::of(cluster().arg("--runtime-dir").arg(dir.path()).arg("status"));
    run.complaint(3);
}

#[test]
fn an_error_is_json_where_json_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::of(
        cluster()
            .args(["--json", "--runtime-dir"])
            .arg(dir.path())
            .arg("status"),
    );
    let error: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(error["error"]["code"], 3);
    assert_eq!(error["error"]["message"], run.complaint(3));
    let run = Run::of(cluster().args(["--json", "nonsense"]));
    let error: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((run.code, &error["error"]["code"]), (Some(2), &2.into()));
}

#[test]
fn a_wrong_command_line_is_code_2() {
    for line in [
        "",
        "nonsense",
        "scale",
        "scale many",
        "emit a {",
        "pause x",
        "run a --bin b",
        "status --timeout 0",
    ] {
        let run = Run::of(cluster().args(line.split_whitespace()));
        assert_eq!(run.code, Some(2), "{line}: {}{}", run.out, run.err);
        assert!(
            run.err.contains("Usage: cluster") || run.err.contains("--help"),
            "{line}: {}",
            run.err
        );
    }
}

#[test]
fn another_users_cluster_is_code_5() {
    let dir = tempfile::tempdir().unwrap();
    let hidden = dir.path().join("hidden");
    std::fs::create_dir(&hidden).unwrap();
    std::fs::write(hidden.join("lock"), "1\n").unwrap();
    // As root, what is hidden from others; as anybody else, what is hidden from its owner as well.
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let mut command = if rustix::process::geteuid().is_root() {
        mode(dir.path(), 0o755);
        mode(&hidden, 0o700);
        // Where the test's own file lies, others may not be let in. Copied by another process: a file that this one has
        // open for writing, a child that another test starts at that moment would keep from being run.
        let copy = dir.path().join("cluster");
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_cluster"))
            .arg(&copy)
            .status();
        assert!(copied.unwrap().success());
        let mut command = Command::new(copy);
        command.uid(65534).gid(65534).current_dir(dir.path());
        command
    } else {
        mode(&hidden, 0o000);
        cluster()
    };
    let run = Run::of(command.arg("--runtime-dir").arg(&hidden).arg("status"));
    mode(&hidden, 0o700);
    assert!(
        run.complaint(5).contains("is not permitted to this user"),
        "{}",
        run.err
    );
}

#[test]
fn a_shell_is_told_how_to_complete() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = Run::of(cluster().args(["completions", shell]));
        assert!(run.output().contains("mark-down"), "{shell}");
    }
    assert_eq!(
        Run::of(cluster().args(["completions", "csh"])).code,
        Some(2)
    );
}

#[test]
fn help_is_on_standard_output_and_has_no_colours_there() {
    let run = Run::of(cluster().arg("--help"));
    assert!(run.output().contains("Exit codes:"), "{}", run.out);
    assert!(!run.out.contains('\x1b'));
    assert_eq!(
        Run::of(cluster().arg("--version")).output(),
        format!("cluster {}\n", env!("CARGO_PKG_VERSION"))
    );
}
