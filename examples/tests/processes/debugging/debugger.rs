//! A debugger at one worker, while the others serve.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use cluster_core::{Debugging, Operation};
use serde_json::Value;

use super::session::{LONG, Session, assert_loopback_alone, gdb, servers, text, worker};
use crate::support::{Address, Connection, Load, Setup, children, within};

/// A breakpoint at a function that a handler of `hello` calls.
const IN_ROLL_CALL: &str = "break hello::rand_number";

/// A breakpoint at the line that is so many below the one that begins so.
fn at(begins: &str, below: usize) -> String {
    let source = include_str!("../../../src/bin/hello.rs");
    let line = source
        .lines()
        .position(|line| line.starts_with(begins))
        .unwrap();
    format!("break hello.rs:{}", line + 1 + below)
}

/// Whether gdb stopped at its first breakpoint; a line may stand for several places in the program, of which it then names one.
fn hit(said: &str) -> bool {
    said.contains("Breakpoint 1, ") || said.contains("hit Breakpoint 1.")
}

#[test]
fn a_handler_is_stopped_at_stepped_and_gone_on_from_while_the_others_serve() {
    let cluster = Setup::hello().start();
    let asked = Operation::Debug(Debugging::Isolate { worker: 1 });
    let isolated = cluster.operate(asked).unwrap();
    let own = Address::parse(isolated["address"].as_str().unwrap());
    let load = Load::on(&cluster.app(), 2, 1);
    let session = Session::begin(&cluster, Some(1));
    let command = session.command();
    assert!(command.contains("target remote 127.0.0.1:"), "{command}");
    assert_eq!(worker(&cluster.status(), 1)["debugger"], command.as_str());
    assert_loopback_alone(&command);
    let gdb = gdb(
        &command,
        &[
            IN_ROLL_CALL,
            "continue",
            "bt 2",
            "next",
            "finish",
            "next",
            "info breakpoints",
            "delete",
            "detach",
        ],
    );
    // Whoever debugs asks for what is to be looked at; the answer comes when it goes on.
    let answer = within(LONG, "an answer of the worker that is debugged", || {
        Connection::get(&own, "/roll-call").ok()
    });
    assert_eq!(answer.status, 200);
    let said = text(&gdb.wait_with_output().unwrap());
    assert!(hit(&said) && said.contains("hello::rand_number"), "{said}");
    assert!(said.contains("breakpoint already hit 1 time"), "{said}");
    let caller = said.lines().find(|line| line.starts_with("#1 "));
    let in_handler = |line: &str| line.contains("roll_call") && line.contains("hello.rs");
    assert!(caller.is_some_and(in_handler), "{said}");
    for line in ["let nanos = ", "let (heard, mut answers)"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let over = session.outcome().unwrap();
    assert_eq!(
        (&over["worker"], &over["retires"]),
        (&1.into(), &false.into()),
        "it was isolated before"
    );
    load.end().assert_lost_only_to(&[]);
    assert_eq!(
        Connection::get(&own, "/").unwrap().body,
        "hello",
        "it serves its own address on"
    );
    assert_eq!(servers(&cluster), 0);
    assert_eq!(worker(&cluster.status(), 1)["debugger"], Value::Null);
    cluster.stop();
}

#[test]
fn a_worker_that_is_isolated_for_a_session_ends_with_it_however_that_ends() {
    let cluster = Setup::hello().start();
    let load = Load::on(&cluster.app(), 2, 1);
    // Nobody connects, and the operator goes away.
    let session = Session::begin(&cluster, Some(1));
    let _ = session.command();
    session.leave();
    cluster.until(LONG, "its end", |status| {
        worker(status, 1) == Value::Null && status["serving"] == 2
    });
    // Somebody is connected, and the operator goes away.
    let session = Session::begin(&cluster, Some(2));
    let gdb = gdb(&session.command(), &[IN_ROLL_CALL, "continue"]);
    within(LONG, "a worker that runs", || {
        let line = cluster
            .log
            .find(0, LONG, |line| line.is("master", "a debugger has come"));
        line.map(drop)
    });
    session.leave();
    let said = text(&gdb.wait_with_output().unwrap());
    cluster.until(LONG, "its end", |status| {
        worker(status, 2) == Value::Null && status["serving"] == 2
    });
    assert!(said.contains("Breakpoint 1 at"), "{said}");
    load.end().assert_lost_only_to(&[]);
    assert_eq!(servers(&cluster), 0);
    cluster.stop();
}

#[test]
fn a_fresh_worker_waits_for_the_debugger_before_its_first_step() {
    let cluster = Setup::hello().start();
    let session = Session::begin(&cluster, None);
    let command = session.command();
    let status = cluster.status();
    let state = worker(&status, 3)["state"].clone();
    assert!(state == "forked" || state == "warming", "{state}");
    assert_eq!(status["serving"], 2);
    let gdb = gdb(
        &command,
        &[
            &at("async fn hello()", 1),
            "continue",
            "bt 1",
            "delete",
            "continue",
        ],
    );
    // It comes to serve, at an address of its own.
    let status = cluster.until(LONG, "a worker that serves alone", |status| {
        worker(status, 3)["isolated"].is_string()
    });
    assert_eq!(status["serving"], 2);
    let own = Address::parse(worker(&status, 3)["isolated"].as_str().unwrap());
    assert_eq!(Connection::get(&own, "/whoami").unwrap().json()["id"], 3);
    // The debugger dies.
    let [(itself, _)] = children(gdb.id()).try_into().unwrap();
    assert!(crate::support::signal(itself, crate::support::Signal::KILL));
    let said = text(&gdb.wait_with_output().unwrap());
    assert!(hit(&said), "{said}");
    assert_eq!(session.outcome().unwrap()["retires"], true);
    cluster.until(LONG, "its end", |status| worker(status, 3) == Value::Null);
    assert_eq!(cluster.serving().len(), 2);
    cluster.stop();
}

#[test]
fn a_cluster_stops_with_a_worker_that_stands_still() {
    let cluster = Setup::hello().start();
    let session = Session::begin(&cluster, Some(2));
    let _ = session.command();
    cluster.stop();
    let _ = session.outcome();
}

fn tells_the_way_out(error: &str) -> bool {
    let ways = ["apt-get install gdbserver", "apt-get install lldb"];
    ways.iter().all(|way| error.contains(way))
}

#[test]
fn without_a_debug_server_the_way_out_is_told() {
    let cluster = Setup::hello().env("PATH", "/nowhere").start();
    let error = Session::begin(&cluster, Some(1)).outcome().unwrap_err();
    assert!(tells_the_way_out(&error.to_string()), "{error}");
    let error = Session::begin(&cluster, None).outcome().unwrap_err();
    assert!(tells_the_way_out(&error.to_string()), "{error}");
    assert_eq!(
        cluster.serving().len(),
        2,
        "nobody was isolated for nothing"
    );
    cluster.stop();
}

#[test]
fn a_page_that_is_closed_ends_the_session_that_it_had_begun() {
    let cluster = Setup::hello().start();
    let port = cluster.monitor().port();
    let mut page = TcpStream::connect(("127.0.0.1", port)).unwrap();
    page.set_read_timeout(Some(LONG)).unwrap();
    page.write_all(b"POST /debug/attach/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut lines = BufReader::new(page).lines();
    assert!(lines.any(|line| line.unwrap() == "event: attached"));
    assert_eq!(servers(&cluster), 1);
    drop(lines);
    cluster.until(LONG, "its end", |status| {
        worker(status, 1) == Value::Null && status["serving"] == 2
    });
    assert_eq!(servers(&cluster), 0);
    cluster.stop();
}
