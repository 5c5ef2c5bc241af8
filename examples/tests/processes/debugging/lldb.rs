//! lldb, by way of lldb-server.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Child;

use cluster_core::{Debugging, Operation};
use serde_json::Value;

use super::session::{LONG, Session, assert_loopback_alone, lldb, servers, text, worker};
use crate::support::{Address, Connection, Load, Setup, Signal, children, signal, within};

#[test]
fn a_handler_is_stopped_at_and_gone_on_from_by_lldb_while_the_others_serve() {
    let cluster = Setup::hello().flag("--debug.server", "lldb-server").start();
    let asked = Operation::Debug(Debugging::Isolate { worker: 1 });
    let isolated = cluster.operate(asked).unwrap();
    let own = Address::parse(isolated["address"].as_str().unwrap());
    let load = Load::on(&cluster.app(), 2, 1);
    let session = Session::begin(&cluster, Some(1));
    let command = session.command();
    assert!(command.starts_with("lldb /"), "{command}");
    assert!(command.contains(" -o \"gdb-remote 127.0.0.1:"), "{command}");
    assert_loopback_alone(&command);
    assert_eq!(worker(&cluster.status(), 1)["debugger"], command.as_str());
    let lldb = lldb(
        &command,
        &[
            "breakpoint set --name hello::rand_number",
            "continue",
            "bt 2",
            "finish",
            "breakpoint list",
            "breakpoint delete --force",
            "detach",
        ],
    );
    // Whoever debugs asks for what is to be looked at; the answer comes when it goes on.
    let answer = within(LONG, "an answer of the worker that is debugged", || {
        Connection::get(&own, "/roll-call").ok()
    });
    assert_eq!(answer.status, 200);
    let said = text(&lldb.wait_with_output().unwrap());
    assert!(said.contains("stop reason = breakpoint 1."), "{said}");
    assert!(said.contains("resolved = 1, hit count = 1"), "{said}");
    let is_caller = |line: &&str| line.contains("frame #1:") && line.contains("roll_call");
    assert!(said.lines().any(|line| is_caller(&line)), "{said}");
    assert!(said.contains("stop reason = step out"), "{said}");
    assert!(said.contains(" detached"), "{said}");
    assert_eq!(
        session.outcome().unwrap()["retires"],
        false,
        "lldb has taken its leave, and it was isolated before"
    );
    assert_eq!(Connection::get(&own, "/").unwrap().body, "hello");
    // lldb dies, and nobody takes its breakpoints out.
    let session = Session::begin(&cluster, Some(1));
    let mut lldb = lldb_at(&session);
    let [(itself, _)] = children(lldb.id()).try_into().unwrap();
    assert!(signal(itself, Signal::KILL));
    lldb.wait().unwrap();
    assert_eq!(session.outcome().unwrap()["retires"], true);
    cluster.until(LONG, "its end", |status| {
        worker(status, 1) == Value::Null && status["serving"] == 2
    });
    load.end().assert_lost_only_to(&[]);
    assert_eq!(servers(&cluster), 0);
    cluster.stop();
}

/// lldb at a worker that runs, with a breakpoint in it.
fn lldb_at(session: &Session) -> Child {
    let set = "breakpoint set --name hello::rand_number";
    let mut lldb = lldb(&session.command(), &[set, "continue"]);
    let mut said = BufReader::new(lldb.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("Breakpoint 1: where")));
    lldb
}

/// The file of a program of this machine.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(name));
    files.find(|file| file.is_file()).expect("it is installed")
}

#[test]
fn where_there_is_no_gdbserver_there_is_lldb_server_of_any_version() {
    let setup = Setup::hello();
    let place = setup.path("bin");
    std::fs::create_dir(&place).unwrap();
    symlink(program("lldb-server"), place.join("lldb-server-14")).unwrap();
    let cluster = setup.env("PATH", &place).start();
    let session = Session::begin(&cluster, Some(1));
    let command = session.command();
    assert!(command.starts_with("lldb-14 /"), "{command}");
    assert_eq!(servers(&cluster), 1);
    // The operator goes away.
    session.leave();
    cluster.until(LONG, "its end", |status| {
        worker(status, 1) == Value::Null && status["serving"] == 2
    });
    assert_eq!(servers(&cluster), 0);
    cluster.stop();
}

#[test]
fn what_the_options_ask_for_and_is_not_there_is_named() {
    let cluster = Setup::hello()
        .env("PATH", "/nowhere")
        .flag("--debug.server", "lldb-server")
        .start();
    let error = Session::begin(&cluster, Some(1)).outcome().unwrap_err();
    assert_eq!(
        error.to_string(),
        "debug.server is lldb-server, and there is none in the master's PATH (on Debian: apt-get install lldb)"
    );
    assert_eq!(cluster.serving().len(), 2);
    cluster.stop();
}
