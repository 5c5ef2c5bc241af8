//! What a process is doing is seen from outside, and where its time goes.

use std::time::{Duration, Instant};

use cluster_core::operator::OperatorError;
use cluster_core::{DebugError, Debugging, Operation, OperationError, Stacks, Subject};
use serde_json::Value;

use crate::support::{Cluster, Connection, Load, Setup, Signal, signal, variables};

fn look(cluster: &Cluster, of: Subject) -> Result<Stacks, OperatorError> {
    let value = cluster.operate(Operation::Debug(Debugging::Stacks { of }))?;
    Ok(serde_json::from_value(value).unwrap())
}

fn names(stacks: &Stacks, thread: usize) -> Vec<&str> {
    let frames = stacks.threads[thread].frames.iter();
    frames.map(|frame| frame.function.as_str()).collect()
}

#[test]
fn stacks_of_a_worker_that_serves_under_load_are_seen_and_nothing_is_lost() {
    let cluster = Setup::hello().start();
    let pid = cluster.serving()[0].pid;
    let load = Load::on(&cluster.app(), 4, 1);
    let mut longest = 0;
    for _ in 0..10 {
        let stacks = look(&cluster, Subject::Worker(pid)).unwrap();
        assert_eq!(stacks.pid, pid);
        longest = longest.max(stacks.stopped_us);
        let main = names(&stacks, 0);
        assert!(
            main.iter().any(|name| name.contains("hello::main")),
            "{stacks:#?}"
        );
        assert!(
            main.last().is_some_and(|name| name.contains("_start")),
            "{main:?}"
        );
    }
    println!("stopped for {longest} µs at most");
    assert!(longest <= 50_000, "stopped for {longest} µs");
    let frames = look(&cluster, Subject::Worker(pid)).unwrap().threads[0]
        .frames
        .clone();
    let line = frames
        .iter()
        .find(|frame| frame.function == "hello::main")
        .unwrap();
    assert!(
        line.file
            .as_ref()
            .is_some_and(|file| file.ends_with("hello.rs"))
            && line.line.is_some(),
        "{line:?}"
    );
    load.end().assert_lost_only_to(&[]);
    // The others too.
    for of in [Subject::Master, Subject::CacheManager] {
        let stacks = look(&cluster, of).unwrap();
        assert!(
            names(&stacks, 0)
                .iter()
                .any(|name| name.contains("hello::main"))
        );
    }
    cluster.stop();
}

#[test]
fn a_worker_that_is_stopped_answers_and_stays_stopped() {
    let cluster = Setup::hello().switch("--nanny.enable=false").start();
    let pid = cluster.serving()[0].pid;
    assert!(signal(pid, Signal::STOP));
    let stacks = look(&cluster, Subject::Worker(pid)).unwrap();
    assert_eq!(stacks.threads[0].state, 'T');
    assert!(
        names(&stacks, 0)
            .iter()
            .any(|name| name.contains("hello::main")),
        "{stacks:#?}"
    );
    assert_eq!(
        look(&cluster, Subject::Worker(pid)).unwrap().threads[0].state,
        'T',
        "it is stopped still"
    );
    assert!(signal(pid, Signal::CONT));
    // It obeys again.
    cluster.until(Duration::from_secs(20), "both serve", |status| {
        status["serving"] == 2
    });
    cluster.stop();
}

#[test]
fn a_process_that_is_not_there_is_named() {
    let cluster = Setup::hello().switch("--cache.enable=false").start();
    let error = look(&cluster, Subject::Worker(7)).unwrap_err();
    assert_eq!(error.to_string(), "no worker has the id or pid 7");
    let error = look(&cluster, Subject::CacheManager).unwrap_err();
    assert_eq!(error.to_string(), "there is no cache manager");
    assert_eq!(cluster.ask("/debug/stacks/worker").status, 404);
    cluster.stop();
}

#[test]
fn who_may_not_trace_is_told_the_way_out() {
    // Somebody traces the worker already: nobody else may.
    let cluster = Setup::hello().start();
    let pid = cluster.serving()[0].pid;
    let mut other = std::process::Command::new("gdb")
        .args([
            "-q",
            "-batch",
            "-p",
            &pid.to_string(),
            "-ex",
            "shell echo attached",
            "-ex",
            "shell sleep 60",
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut said = std::io::BufRead::lines(std::io::BufReader::new(other.stdout.take().unwrap()));
    assert!(said.any(|line| line.unwrap().contains("attached")));
    let error = look(&cluster, Subject::Worker(pid)).unwrap_err();
    match &error {
        OperatorError::Operation(OperationError::Debug(DebugError::NotSeen { .. })) => {}
        other => panic!("{other}"),
    }
    let text = error.to_string();
    assert!(
        text.contains(&format!("process {} is tracing it already", other.id())),
        "{text}"
    );
    other.kill().unwrap();
    other.wait().unwrap();
    look(&cluster, Subject::Worker(pid)).unwrap();
    cluster.stop();
}

#[test]
fn a_flame_graph_shows_what_a_busy_worker_does() {
    let cluster = Setup::hello().start();
    let pid = cluster.serving()[0].pid;
    let load = Load::on(&cluster.app(), 4, 1);
    let begun = Instant::now();
    let asked = Debugging::Profile {
        of: Subject::Worker(pid),
        seconds: 2,
    };
    let seen = cluster.operate(Operation::Debug(asked)).unwrap();
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(2), "{took:?}");
    let svg = seen["svg"].as_str().unwrap();
    let samples = seen["samples"].as_u64().unwrap();
    println!(
        "{samples} samples at {} looks, stopped for {} µs, {} bytes, {took:?}",
        seen["looks"],
        seen["stopped_us"],
        svg.len()
    );
    assert!(samples >= 10, "{samples} samples");
    assert!(
        svg.starts_with("<svg") && svg.contains("hello::main") && !svg.contains("<script"),
        "{svg}"
    );
    load.end().assert_lost_only_to(&[]);
    let page = Connection::get(
        &cluster.monitor(),
        &format!("/debug/profile/{pid}?seconds=1"),
    )
    .unwrap();
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("image/svg+xml"))
    );
    assert_eq!(
        cluster
            .ask(&format!("/debug/profile/{pid}?seconds=0"))
            .status,
        422
    );
    let error = cluster
        .operate(Operation::Debug(Debugging::Profile {
            of: Subject::Master,
            seconds: 301,
        }))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "seconds: 301 is out of range (allowed: 1 to 300)"
    );
    // Nobody who looks is left, and nobody was told to by a variable that others inherit.
    for process in cluster.processes() {
        assert!(
            !variables(process)
                .iter()
                .any(|v| v.starts_with("CLUSTER_LOOK"))
        );
    }
    let _: Value = cluster.status();
    cluster.stop();
}
