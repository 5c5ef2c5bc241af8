//! Every message, word for word.

use std::error::Error as _;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::super::loader::{config, read_file};
use super::super::{EcvMode, Host, Options, Origin, Sources};
use super::{load, load_with, sources};

/// The message that the sources are refused with.
fn message(file: &str, env: &[(&str, &str)], args: &[&str]) -> String {
    let error = load(file, env, args).expect_err("the sources are to be refused");
    error.to_string()
}

const TIME: &str = "(allowed: 1ms to 1d, a plain number counts ms)";

#[test]
fn flags_are_refused_by_name() {
    for (args, wanted) in [
        (
            &["--workers", "10000"][..],
            "--workers: 10000 is out of range (allowed: 1 to 512)",
        ),
        (
            &["--workers=0"],
            "--workers: 0 is out of range (allowed: 1 to 512)",
        ),
        (
            &["--noWorkers=0"],
            "--noWorkers: 0 is out of range (allowed: 1 to 512)",
        ),
        (
            &["--port=-1"],
            "--port: -1 is out of range (allowed: 0 to 65535)",
        ),
        (
            &["--port=99999999999999999999999999999999999999999999"],
            "--port: 99999999999999999999999999999999999999999999 is out of range (allowed: 0 to 65535)",
        ),
        (
            &["--port=http"],
            "--port: \"http\" is not a number (allowed: 0 to 65535)",
        ),
        (
            &["--port="],
            "--port: \"\" is not a number (allowed: 0 to 65535)",
        ),
        (
            &["--port"],
            "--port: a value is missing (allowed: 0 to 65535)",
        ),
        (
            &["--port", "--workers=1"],
            "--port: a value is missing (allowed: 0 to 65535)",
        ),
        (
            &["--monPort"],
            "--monPort: a value is missing (allowed: 0 to 65535)",
        ),
        (
            &["--prot=1"],
            "--prot: unknown option (did you mean --port?)",
        ),
        (
            &["--prot", "1"],
            "--prot: unknown option (did you mean --port?)",
        ),
        (
            &["--ecv.markup=/x"],
            "--ecv.markup: unknown option (did you mean --ecv.mark-up?)",
        ),
        (
            &["--noworkers=1"],
            "--noworkers: unknown option (did you mean --workers?)",
        ),
        (
            &["--backendms=1"],
            "--backendms: unknown option (allowed: see --help)",
        ),
        (&["-p"], "-p: unknown option (allowed: see --help)"),
        (
            &["serve"],
            "\"serve\": unexpected argument (allowed: --flags, --switch or --switch=false, and after -- what the application takes)",
        ),
        (
            &["--cache.enable", "false"],
            "\"false\": unexpected argument (allowed: --flags, --switch or --switch=false, and after -- what the application takes)",
        ),
        (
            &["--cache.enable=no"],
            "--cache.enable: \"no\" is not a switch (allowed: true or false)",
        ),
        (
            &["--cache.mode=remote"],
            "--cache.mode: \"remote\" is not one of the choices (allowed: standalone or master)",
        ),
        (
            &["--stop-timeout=0"],
            &format!("--stop-timeout: 0 is out of range {TIME}"),
        ),
        (
            &["--stop-timeout=25h"],
            &format!("--stop-timeout: 25h is out of range {TIME}"),
        ),
        (
            &["--stop-timeout=soon"],
            &format!("--stop-timeout: \"soon\" is not a duration {TIME}"),
        ),
        (
            &["--max-age=0"],
            "--max-age: 0 is out of range (allowed: 1s to 36500d, a plain number counts s)",
        ),
        (
            &["--cache.max-bytes=1KiB"],
            "--cache.max-bytes: 1KiB is out of range (allowed: 1MiB to 16TiB, a plain number counts bytes)",
        ),
        (
            &["--cache.max-bytes=lots"],
            "--cache.max-bytes: \"lots\" is not a size (allowed: 1MiB to 16TiB, a plain number counts bytes)",
        ),
        (
            &["--host=localhost"],
            "--host: \"localhost\" is not a host (allowed: 1 to 16 of an IPv4 or IPv6 address or unix:PATH of 1 to 107 bytes)",
        ),
        (
            &["--host=::1", "--host=[::1]"],
            "--host: \"::1\" is given twice (allowed: each once)",
        ),
        (
            &["--mon-host=unix:/x"],
            "--mon-host: \"unix:/x\" is not an address (allowed: an IPv4 or IPv6 address)",
        ),
        (
            &["--mon-token=hunter2"],
            "--mon-token: \"...\" is not a token (allowed: 16 to 256 printable ASCII characters, none of them a space)",
        ),
        (
            &["--mon-name=a b"],
            "--mon-name: \"a b\" is not a host name (allowed: 1 to 253 of a-z A-Z 0-9 . -)",
        ),
        (
            &["--name=../x"],
            "--name: \"../x\" is not a name (allowed: 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter, a digit or _)",
        ),
        (
            &["--pids="],
            "--pids: \"\" is not a path (allowed: a path of 1 to 4096 bytes)",
        ),
        (
            &["--ecv.root=ecv"],
            "--ecv.root: \"ecv\" is not a path of a URL (allowed: / and up to 255 printable ASCII characters, none of them a space or one of ? # { })",
        ),
        (
            &["--ecv.monitor=ftp://x"],
            "--ecv.monitor: \"ftp://x\" is not a URL (allowed: http://HOST... or https://HOST..., up to 2048 printable ASCII characters)",
        ),
        (
            &["--name=a\nb"],
            "--name: \"a\\nb\" is not a name (allowed: 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter, a digit or _)",
        ),
    ] {
        assert_eq!(message("", &[], args), wanted, "{args:?}");
    }
}

#[test]
fn long_values_are_refused_and_not_repeated() {
    let long = "x".repeat(4_097);
    assert_eq!(
        message("", &[("CLUSTER_PIDS", &long)], &[]),
        "CLUSTER_PIDS: a value of 4097 bytes is too long (allowed: up to 4096 bytes)"
    );
    let name = message("", &[("CLUSTER_NAME", &long[..4_000])], &[]);
    assert!(name.starts_with(&format!(
        "CLUSTER_NAME: \"{}...\" is not a name",
        &long[..64]
    )));
    let loader = Options::loader().flag("motto", "What to say", None);
    let error = load_with(&loader, "", &[("CLUSTER_APP_MOTTO", &long)], &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "CLUSTER_APP_MOTTO: a value of 4097 bytes is too long (allowed: up to 4096 bytes)"
    );
    let hosts: Vec<String> = (0..17).map(|n| format!("10.0.0.{n}")).collect();
    assert_eq!(
        message("", &[("CLUSTER_HOST", &hosts.join(","))], &[]),
        "CLUSTER_HOST: 17 values are given (allowed: 1 to 16 of an IPv4 or IPv6 address or unix:PATH of 1 to 107 bytes)"
    );
}

#[test]
fn variables_are_refused_by_name() {
    for (env, wanted) in [
        (
            ("CLUSTER_WORKERS", "many"),
            "CLUSTER_WORKERS: \"many\" is not a number (allowed: 1 to 512)",
        ),
        (
            ("CLUSTER_WORKER", "2"),
            "CLUSTER_WORKER: unknown option (did you mean CLUSTER_WORKERS?)",
        ),
        (
            ("CLUSTER_MONPORT", "2"),
            "CLUSTER_MONPORT: unknown option (did you mean CLUSTER_MON_PORT?)",
        ),
        (
            ("CLUSTER_CONFG", "x"),
            "CLUSTER_CONFG: unknown option (did you mean CLUSTER_CONFIG?)",
        ),
        (
            ("CLUSTER_COLOUR_OF_IT", "x"),
            "CLUSTER_COLOUR_OF_IT: unknown option (allowed: see --help)",
        ),
    ] {
        assert_eq!(message("", &[env], &[]), wanted);
    }
}

#[test]
fn lines_of_the_file_are_refused_by_number() {
    for (file, wanted) in [
        (
            "\nworkers = 0",
            "cluster.toml:2 (workers): 0 is out of range (allowed: 1 to 512)",
        ),
        (
            "[ecv]\n\nmin = -1",
            "cluster.toml:3 (ecv.min): -1 is out of range (allowed: 0 to 512)",
        ),
        (
            "port = '80'",
            "cluster.toml:1 (port): a string is not allowed here (allowed: 0 to 65535)",
        ),
        (
            "port = 1.5",
            "cluster.toml:1 (port): a float is not allowed here (allowed: 0 to 65535)",
        ),
        (
            "log = 1",
            "cluster.toml:1 (log): an integer is not allowed here (allowed: stderr or files)",
        ),
        (
            "cache.enable = 1",
            "cluster.toml:1 (cache.enable): an integer is not allowed here (allowed: true or false)",
        ),
        (
            "[workers]",
            "cluster.toml:1 (workers): a table is not allowed here (allowed: 1 to 512)",
        ),
        (
            "workers = [1]",
            "cluster.toml:1 (workers): an array is not allowed here (allowed: 1 to 512)",
        ),
        (
            "host = []",
            "cluster.toml:1 (host): 0 values are given (allowed: 1 to 16 of an IPv4 or IPv6 address or unix:PATH of 1 to 107 bytes)",
        ),
        (
            "prot = 1",
            "cluster.toml:1 (prot): unknown option (did you mean port?)",
        ),
        (
            "monPort = 1",
            "cluster.toml:1 (monPort): unknown option (did you mean mon-port?)",
        ),
        (
            "[ecv]\nmarkUp = 1",
            "cluster.toml:2 (ecv.markUp): unknown option (did you mean ecv.mark-up?)",
        ),
        (
            "[evc]\nmin = 1",
            "cluster.toml:1 (evc): unknown option (did you mean ecv?)",
        ),
        (
            "ecv = 1",
            "cluster.toml:1 (ecv): unknown option (allowed: see --help)",
        ),
        (
            "[app]\nx = 1",
            "cluster.toml:2 (app.x): unknown option (allowed: see --help)",
        ),
        (
            "'a\u{2028}b' = 1",
            "cluster.toml:1 (a\\u{2028}b): unknown option (allowed: see --help)",
        ),
    ] {
        assert_eq!(message(file, &[], &[]), wanted, "{file:?}");
    }
    let broken = message("port = 1\nworkers = \n", &[], &[]);
    assert!(
        broken.starts_with("cluster.toml:2: ") && broken.ends_with("(allowed: TOML)"),
        "{broken}"
    );
    let twice = message("port = 1\n\nport = 2\n", &[], &[]);
    assert_eq!(twice, "cluster.toml:3: duplicate key (allowed: TOML)");
}

#[test]
fn what_two_keys_owe_each_other_names_both() {
    const PORTS: &str = "(allowed: two different ports, or 0 for any free one)";
    for (file, env, args, wanted) in [
        (
            "mon-port = 9000",
            &[("CLUSTER_PORT", "9000")][..],
            &[][..],
            format!("CLUSTER_PORT and cluster.toml:1 (mon-port) are both 9000 {PORTS}"),
        ),
        ("", &[], &["--port=8081"], format!("--port and default (mon-port) are both 8081 {PORTS}")),
        (
            "",
            &[],
            &["--debug.port=8080"],
            format!("default (port) and --debug.port are both 8080 {PORTS}"),
        ),
        (
            "",
            &[],
            &["--debug.port=5", "--debug.webPort=5"],
            format!("--debug.port and --debug.webPort are both 5 {PORTS}"),
        ),
        (
            "tls.cert = 'c'",
            &[],
            &[],
            "cluster.toml:1 (tls.cert): tls.key is missing (allowed: both or neither)".to_owned(),
        ),
        (
            "",
            &[],
            &["--tls.key=k"],
            "--tls.key: tls.cert is missing (allowed: both or neither)".to_owned(),
        ),
        (
            "",
            &[],
            &["--ecv.mode=monitor"],
            "--ecv.mode: ecv.monitor is missing (allowed: mode control, or monitor with the URL to probe)"
                .to_owned(),
        ),
        (
            "",
            &[],
            &["--ecv.markUp=/ecv"],
            "default (ecv.root) and --ecv.markUp are both \"/ecv\" (allowed: two different paths)".to_owned(),
        ),
    ] {
        assert_eq!(message(file, env, args), wanted);
    }
    load("", &[], &["--port=0", "--mon-port=0", "--debug.port=0"]).expect("0 never equals");
    load("", &[], &["--host=unix:/x", "--port=8081"]).expect("no port is bound on a Unix socket");
}

#[test]
fn what_code_changed_is_said_to_come_from_code() {
    let mut options = load("", &[], &["--port=9000"]).unwrap();
    options.workers = 0;
    let refused = |options: &Options| options.validate().expect_err("to be refused").to_string();
    assert_eq!(
        refused(&options),
        "code (workers): 0 is out of range (allowed: 1 to 512)"
    );
    options.workers = 2;
    options.mon_port = 9000;
    assert_eq!(
        refused(&options),
        "--port and code (mon-port) are both 9000 (allowed: two different ports, or 0 for any free one)"
    );
    options.port = 9001;
    options.validate().unwrap();
    options.stop_timeout = Duration::from_micros(10);
    assert_eq!(
        refused(&options),
        format!("code (stop-timeout): 0 is out of range {TIME}")
    );
    options.stop_timeout = Duration::from_secs(1);
    options.hosts = vec![Host::Unix("/x".repeat(60).into())];
    assert!(refused(&options).starts_with("code (host): \"unix:/x"));
    options.hosts.clear();
    assert!(refused(&options).starts_with("code (host): 0 values are given"));
    options.hosts = Options::default().hosts;
    options.ecv.mode = EcvMode::Monitor;
    assert!(refused(&options).starts_with("code (ecv.mode): ecv.monitor is missing"));
    options.ecv.disabled = true;
    options.validate().unwrap();
}

#[test]
fn what_is_no_utf8_is_refused() {
    let bad = || OsString::from_vec(vec![b'x', 0xff]);
    let with = |sources: Sources| {
        Options::from_sources(sources)
            .expect_err("no UTF-8")
            .to_string()
    };
    let mut env = sources("", &[], &[]);
    env.env.push(("CLUSTER_NAME".into(), bad()));
    assert_eq!(
        with(env),
        "CLUSTER_NAME: the value is not valid UTF-8 (allowed: UTF-8 text)"
    );
    let mut args = sources("", &[], &["--name"]);
    args.args.push(bad());
    assert_eq!(
        with(args),
        "--name: the value is not valid UTF-8 (allowed: UTF-8 text)"
    );
    let mut rest = sources("", &[], &["--"]);
    rest.args.push(bad());
    assert_eq!(
        with(rest),
        "--: the value is not valid UTF-8 (allowed: UTF-8 text)"
    );
}

#[test]
fn flags_of_the_application_are_checked() {
    let message = |name: &str| {
        let loader = Options::loader()
            .flag("motto", "", None)
            .flag(name, "", None);
        load_with(&loader, "", &[], &[])
            .expect_err("to be refused")
            .to_string()
    };
    const TAKEN: &str = "the name is taken (allowed: one that --help does not show)";
    const NAME: &str =
        "not a name (allowed: 1 to 64 of a-z, 0-9 and -, the first of them a letter)";
    for (name, problem) in [
        ("port", TAKEN),
        ("motto", TAKEN),
        ("help", TAKEN),
        ("config", TAKEN),
        ("Backend", NAME),
        ("a.b", NAME),
        ("", NAME),
    ] {
        let wanted = format!("\"{name}\": cannot be a flag of the application: {problem}");
        assert_eq!(message(name), wanted);
    }
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none.toml");
    for (origin, who) in [
        (Origin::Flag("--config".to_owned()), "--config"),
        (Origin::Default, "default (config)"),
    ] {
        let error = read_file(missing.clone(), origin).unwrap_err();
        let path = missing.display();
        let wanted = format!("{who}: \"{path}\" cannot be read (allowed: a file of UTF-8 text)");
        assert_eq!(error.to_string(), wanted);
        assert!(error.source().is_some(), "the system's reason is kept");
    }
    let large = dir.path().join("large.toml");
    std::fs::write(&large, vec![b'#'; (1 << 20) + 1]).unwrap();
    let error = read_file(large.clone(), Origin::Default).unwrap_err();
    let path = large.display();
    let wanted = format!("{path}: the file is too large (allowed: up to 1048576 bytes)");
    assert_eq!(error.to_string(), wanted);
    std::fs::write(&large, "port = 1").unwrap();
    let read = read_file(large.clone(), Origin::Default).unwrap();
    assert_eq!(read, (large, "port = 1".to_owned()));
}

#[test]
fn a_flag_names_the_file_before_a_variable_does() {
    let env = [("CLUSTER_CONFIG".into(), "by-variable".into())];
    let flag = (
        PathBuf::from("by-flag"),
        Origin::Flag("--config".to_owned()),
    );
    let variable = (
        PathBuf::from("by-variable"),
        Origin::Variable("CLUSTER_CONFIG".to_owned()),
    );
    assert_eq!(config(Some("by-flag".into()), &env), Some(flag));
    assert_eq!(config(None, &env), Some(variable));
    assert_eq!(config(None, &[]), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever is thrown at it is taken or refused in one line.
    #[test]
    fn a_message_is_one_line(
        file in "([a-z.]{0,6}|port|\\[ecv\\]|'\\PC{0,3}\\n?')( ?= ?)?(\\PC{0,8}|[0-9]{0,30})\n?\\PC{0,20}",
        name in "CLUSTER_[A-Z_\n]{0,12}",
        value in any::<String>(),
        args in prop::collection::vec("(--)?([a-z.-]{0,8}|port|name|host)=?[^-]{0,12}", 0..3),
    ) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        for sources in [
            sources(&file, &[], &[]),
            sources("", &[(&name, &value), ("CLUSTER_NAME", &value)], &[]),
            sources("", &[], &args),
        ] {
            if let Err(error) = Options::from_sources(sources) {
                let message = error.to_string();
                prop_assert!(!message.contains(char::is_control), "{:?}", message);
                prop_assert!(message.contains("(allowed: ") || message.contains("(did you mean "));
                prop_assert!(message.len() < 600, "{}", message);
            }
        }
    }
}
