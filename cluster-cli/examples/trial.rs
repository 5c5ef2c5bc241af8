//! A cluster whose workers serve nobody: what the tests of the command line drive.
//!
//! With `--broken-if FILE` a worker does not start while there is such a file, and with `--panics-if FILE` the master panics.
//! With `--heard FILE` every process writes there what it is told. What it is told it says as well.

use std::io::Write;
use std::time::Duration;

use cluster_core::{
    Application, Beat, Cluster, ClusterError, Event, Launch, Means, Options, Role, Serving,
    StartFailure, StartStep,
};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, ready};
use serde::{Deserialize, Serialize};

/// Told by an operator.
#[derive(Clone, Debug, Serialize, Deserialize, Event)]
#[event(name = "trial.Note")]
struct Note {
    text: String,
}

struct Idle;

impl Application for Idle {
    fn start(
        self: Box<Self>,
        cluster: Cluster,
        _: Means,
    ) -> LocalBoxFuture<'static, Result<Box<dyn Serving>, StartFailure>> {
        let broken = cluster
            .options()
            .app("broken-if")
            .filter(|file| std::path::Path::new(file).exists());
        let started: Result<Box<dyn Serving>, _> = match broken {
            Some(file) => Err(StartFailure::new(
                StartStep::Configure,
                format!("there is a file {file}"),
            )),
            None => Ok(Box::new(Idle)),
        };
        ready(started).boxed_local()
    }
}

impl Serving for Idle {
    fn accept(&mut self) -> LocalBoxFuture<'static, Result<Vec<String>, StartFailure>> {
        ready(Ok(Vec::new())).boxed_local()
    }

    fn pause(&mut self) -> LocalBoxFuture<'static, ()> {
        ready(()).boxed_local()
    }

    fn drain(&mut self, _: Duration) -> LocalBoxFuture<'static, ()> {
        ready(()).boxed_local()
    }

    fn sample(&mut self, _: &mut Beat) {}
}

/// Says what is heard: a line of the log, and one on standard error.
fn speak(cluster: &Cluster) {
    let me = cluster.process();
    let hear = move |note: Note, _| {
        tracing::info!("heard {}", note.text);
        eprintln!("{me} was told {} bytes", note.text.len());
    };
    cluster.emitter().on(hear).forever();
}

/// Writes down what is heard, a line each.
fn listen(cluster: &Cluster) {
    let Some(file) = cluster.options().app("heard").map(str::to_owned) else {
        return;
    };
    let me = cluster.process();
    let hear = move |note: Note, _| {
        let line = format!("{me} heard {}\n", note.text);
        let mut open = std::fs::OpenOptions::new();
        let written = open
            .append(true)
            .create(true)
            .open(&file)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        written.expect("what is heard can be written down");
    };
    cluster.emitter().on(hear).forever();
}

/// A master that cannot be what it is to be.
fn panic_if_told(cluster: &Cluster) {
    let file = cluster.options().app("panics-if");
    assert!(
        !file.is_some_and(|file| std::path::Path::new(file).exists()),
        "there is a file {file:?}"
    );
}

#[cluster_core::main]
async fn main() -> Result<(), ClusterError> {
    let options = Options::loader()
        .flag(
            "broken-if",
            "Workers do not start while there is this file",
            None,
        )
        .flag(
            "panics-if",
            "The master panics while there is this file",
            None,
        )
        .flag("heard", "Where events are written down", None)
        .load()?;
    let running = Launch::new(options, Box::new(Idle))
        .cache_manager(Box::<cluster_cache::CacheApplication>::default())
        .in_roles(Role::ALL, listen)
        .in_roles(Role::MASTER, panic_if_told)
        .in_roles(Role::ALL, speak)
        .listen()
        .await?;
    running.wait().await
}
