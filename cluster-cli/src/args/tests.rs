use std::path::Path;
use std::time::Duration;

use cluster_core::Addressee;

use super::*;

fn parsed(line: &str) -> Parsed {
    parse(
        ["cluster"]
            .into_iter()
            .chain(line.split(' '))
            .map(OsString::from),
    )
}

fn cli(line: &str) -> Cli {
    match parsed(line) {
        Parsed::Run(cli) => *cli,
        other => panic!("{line}: {other:?}"),
    }
}

fn wrong(line: &str) -> String {
    match parsed(line) {
        Parsed::Wrong { error, .. } => error.to_string(),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn options_of_every_verb_stand_before_it_or_after_it() {
    for line in ["--name shop --json status", "status --json --name shop"] {
        let cli = cli(line);
        assert_eq!(cli.common.name.as_deref(), Some("shop"));
        assert!(cli.common.json);
    }
}

#[test]
fn what_is_run() {
    let Verb::Run(run) = cli("run ./hello -- --port 80 --json").verb else {
        panic!("run")
    };
    assert_eq!(run.path.as_deref(), Some(Path::new("./hello")));
    assert_eq!(run.args, ["--port", "80", "--json"]);
    let Verb::Run(run) = cli("run --release --bin hello").verb else {
        panic!("run")
    };
    assert_eq!((run.bin.as_deref(), run.release), (Some("hello"), true));
    wrong("run ./hello --bin hello");
    wrong("run ./hello --release");
    // Flags of the application are not taken for ours.
    wrong("run ./hello --port 80");
}

#[test]
fn what_systemd_is_to_start() {
    let Verb::Systemd(systemd) = cli("systemd --name shop ./shop -- --port 80").verb else {
        panic!("systemd")
    };
    assert_eq!(systemd.path.as_deref(), Some(Path::new("./shop")));
    assert_eq!(systemd.args, ["--port", "80"]);
    cli("systemd");
    wrong("systemd ./shop --port 80");
}

#[test]
fn what_a_verb_takes_is_not_taken_for_the_options_of_all() {
    let ids = |command: &clap::Command| -> Vec<_> {
        command
            .get_arguments()
            .map(|arg| arg.get_id().clone())
            .collect()
    };
    let common = ids(&Cli::command());
    for verb in Cli::command().get_subcommands() {
        let twice: Vec<_> = ids(verb)
            .into_iter()
            .filter(|id| common.contains(id))
            .collect();
        assert!(twice.is_empty(), "{}: {twice:?}", verb.get_name());
    }
}

#[test]
fn whom_an_event_is_told() {
    let line = "emit shop.Reload [1] --to master,worker:7 --to workers --to cache-manager";
    let Verb::Emit(emit) = cli(line).verb else {
        panic!("emit")
    };
    let expected = [
        Addressee::Master,
        Addressee::Worker(7),
        Addressee::Workers,
        Addressee::CacheManager,
    ];
    assert_eq!(emit.to, expected);
    assert!(wrong("emit a 1 --to worker:x").contains("allowed: master, workers"));
    assert!(wrong("emit a 1 --to worker7").contains("allowed"));
}

#[test]
fn the_value_of_an_event_is_json_as_it_was_given() {
    let Verb::Emit(emit) = cli(r#"emit a {"b":1.0}"#).verb else {
        panic!("emit")
    };
    assert_eq!((emit.value.as_str(), emit.to.len()), (r#"{"b":1.0}"#, 0));
    let Verb::Emit(emit) = cli("emit a -1").verb else {
        panic!("emit")
    };
    assert_eq!(emit.value, "-1");
    assert!(wrong("emit a {b}").contains("line 1"));
}

#[test]
fn whose_log_is_shown() {
    let logs = |line| match cli(line).verb {
        Verb::Logs(logs) => logs,
        other => panic!("{other:?}"),
    };
    let usual = logs("logs");
    assert_eq!(
        (usual.process, usual.follow, usual.lines),
        (None, false, 20)
    );
    for (line, process) in [
        ("logs -f -n 7 master", Named::Master),
        ("logs cache-manager --lines=7 --follow", Named::CacheManager),
        ("logs 12 -fn7", Named::Number(12)),
    ] {
        let logs = logs(line);
        assert_eq!(
            (logs.process, logs.follow, logs.lines),
            (Some(process), true, 7)
        );
    }
    assert!(wrong("logs all").contains("allowed: the id or pid of a worker"));
    wrong("logs -n 1000001");
    wrong("logs -n -1");
}

#[test]
fn times_are_bounded() {
    let Verb::MarkUp(answer) = cli("mark-up").verb else {
        panic!("mark-up")
    };
    assert_eq!(answer.within(), Duration::from_secs(5));
    wrong("status --timeout 0");
    wrong("status --timeout 86400001");
    let Verb::Stop(stop) = cli("stop --timeout 0").verb else {
        panic!("stop")
    };
    assert_eq!(stop.timeout, Some(0));
    let Verb::Restart(restart) = cli("restart --wait").verb else {
        panic!("restart")
    };
    assert_eq!((restart.wait, restart.within()), (true, None));
}

#[test]
fn a_cluster_is_named_once() {
    wrong("--name a --runtime-dir /b stop");
    wrong("--name a status b");
    wrong("--runtime-dir /b status b");
    cli("--name a status a");
    cli("--name a --runtime-dir /b run ./hello");
    cli("--name a --runtime-dir /b systemd ./hello");
}

#[test]
fn whether_json_is_wanted_is_seen_in_a_wrong_line_too() {
    let json = |line| matches!(parsed(line), Parsed::Wrong { json: true, .. });
    assert!(json("--json nonsense"));
    assert!(!json("nonsense"));
    assert!(!json("run a b -- --json"));
    wrong("");
}

#[test]
fn help_shows_the_codes_and_every_verb_has_an_example() {
    let Parsed::Print(text) = parsed("--help") else {
        panic!("help")
    };
    assert!(text.contains("7  busy"), "{text}");
    for verb in Cli::command()
        .get_subcommands()
        .filter(|verb| verb.get_name() != "mark-up")
    {
        let help = verb
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(help.contains("Example"), "{}: {help}", verb.get_name());
    }
}
