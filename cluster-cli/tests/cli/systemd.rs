//! `cluster systemd`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{Run, cluster};

fn units(args: &[&str]) -> Value {
    let run = Run::of(cluster().args(["--json", "systemd"]).args(args));
    serde_json::from_str(run.output()).expect("it is JSON")
}

fn text<'a>(units: &'a Value, which: &str) -> &'a str {
    units[which]["text"].as_str().expect("a text")
}

/// What systemd itself says of them; none where it is not there.
fn verify(units: &Value) -> Option<String> {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let name = |which: &str| units[which]["file"].as_str().expect("a name");
    let write = |which: &str| {
        let path = dir.path().join(name(which));
        std::fs::write(&path, text(units, which)).expect("a file can be written");
        path
    };
    let files = ["service", "socket"].map(write);
    let mut analyze = Command::new("systemd-analyze");
    match analyze.args(["verify", "--man=no"]).args(files).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() || !said.is_empty());
            // Units of the machine itself are looked at too, and may have their faults.
            let ours = |line: &&str| ["service", "socket"].iter().any(|w| line.contains(name(w)));
            Some(said.lines().filter(ours).collect::<Vec<_>>().join("\n"))
        }
        Err(e) => {
            println!("systemd-analyze cannot be run here ({e}): what it would say is not known");
            None
        }
    }
}

#[test]
fn systemd_takes_them_as_they_are() {
    let program = env!("CARGO_BIN_EXE_cluster");
    for args in [
        &[program][..],
        &["--name", "odd", program],
        &[
            program,
            "--",
            "--name",
            "odd",
            "--port",
            "81",
            "--host",
            "::1",
            "--host",
            "unix:/run/a%b",
        ],
        &[
            program,
            "--",
            "--own",
            "a b;\"$HOME\" 50%",
            "--stop-timeout",
            "5min",
        ],
    ] {
        let units = units(args);
        if let Some(said) = verify(&units) {
            assert_eq!(said, "", "{args:?}\n{units:#}");
        }
    }
}

#[test]
fn they_say_what_the_flags_say() {
    let flags = [
        "--",
        "--port",
        "81",
        "--host",
        "::1",
        "--host",
        "unix:/run/s",
        "--stop-timeout",
        "5min",
    ];
    let units = units(&[&["--name", "shop", "/opt/shop/bin/server"][..], &flags].concat());
    assert_eq!(units["service"]["file"], "shop.service");
    assert_eq!(units["socket"]["file"], "shop.socket");
    let service = text(&units, "service");
    let command =
        "\nExecStart=/opt/shop/bin/server --runtime-dir %t/cluster/shop --name shop --port 81 ";
    for line in [
        command,
        "\nType=notify\nNotifyAccess=main\n",
        "\nRestart=on-failure\n",
        "\nKillMode=process\n",
        "\nWatchdogSec=30\n",
        "\nTimeoutStopSec=330\n",
        "\nRuntimeDirectory=cluster/shop\n",
    ] {
        assert!(service.contains(line), "{line:?}: {service}");
    }
    let socket = text(&units, "socket");
    assert!(
        socket.contains("\nListenStream=[::1]:81\nListenStream=/run/s\n"),
        "{socket}"
    );
}

#[test]
fn without_a_program_there_is_a_place_for_it() {
    let run = Run::of(cluster().args(["systemd", "--name", "shop"]));
    let text = run.output();
    assert!(
        text.starts_with("# /etc/systemd/system/shop.service\n"),
        "{text}"
    );
    assert!(
        text.contains("\n# /etc/systemd/system/shop.socket\n"),
        "{text}"
    );
    assert!(text.contains("\nExecStart=/usr/local/bin/shop "), "{text}");
    assert!(text.contains("\nListenStream=0.0.0.0:8080\n"), "{text}");
}

#[test]
fn a_directory_that_was_chosen_is_not_made_by_systemd() {
    let units = units(&["--runtime-dir", "/srv/run", "/bin/true"]);
    let service = text(&units, "service");
    assert!(service.contains(" --runtime-dir /srv/run\n"), "{service}");
    assert!(!service.contains("RuntimeDirectory="), "{service}");
    assert!(Path::new("/bin/true").exists());
}

#[test]
fn what_a_unit_cannot_say_is_a_wrong_command_line() {
    let zero = Run::of(cluster().args(["systemd", "/bin/true", "--", "--port", "0"]));
    assert!(
        zero.complaint(2)
            .starts_with("--port 0 takes any free port")
    );
    let wrong = Run::of(cluster().args(["systemd", "/bin/true", "--", "--stop-timeout", "soon"]));
    assert!(
        wrong.complaint(2).contains("--stop-timeout"),
        "{}",
        wrong.err
    );
}
