//! The HTTP threads of a worker: the main one, and further arbiters that accept for themselves.

use std::time::Duration;

use actix_rt::Arbiter;
use cluster_core::{Cluster, Slot};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, join_all};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::acceptor::{AcceptorError, Listener, Server};
use crate::app::{Blueprint, Plot};

/// What a further thread is told; each is answered once done.
enum Order {
    Accept(
        Vec<Listener>,
        Option<Slot>,
        oneshot::Sender<Result<(), AcceptorError>>,
    ),
    Drain(Duration, oneshot::Sender<()>),
}

/// Orders that may wait for a thread: they are given one by one, and each is answered first.
const ORDERS: usize = 4;

enum Thread {
    Here(Server),
    There(mpsc::Sender<Order>, Arbiter),
}

/// All HTTP threads of a worker.
pub(crate) struct Threads {
    threads: Vec<Thread>,
}

impl Threads {
    /// Builds the application in the main thread and, where there is more than one plot, in a further thread for each other.
    pub(crate) async fn build(
        cluster: &Cluster,
        blueprint: &Blueprint,
        plots: Vec<Plot>,
    ) -> Result<Self, AcceptorError> {
        let mut threads = Vec::new();
        for plot in plots {
            threads.push(if threads.is_empty() {
                Thread::Here(blueprint(plot).await?)
            } else {
                there(cluster.clone(), blueprint.clone(), plot).await?
            });
        }
        Ok(Threads { threads })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.threads.len()
    }

    /// The server of the main thread.
    pub(crate) fn main(&self) -> Option<&Server> {
        self.threads.iter().find_map(|thread| match thread {
            Thread::Here(server) => Some(server),
            Thread::There(..) => None,
        })
    }

    /// Accepts in each thread, on listeners of its own.
    pub(crate) fn accept(
        &self,
        listeners: Vec<(Vec<Listener>, Option<Slot>)>,
    ) -> LocalBoxFuture<'static, Result<(), AcceptorError>> {
        let mut here = Ok(());
        let mut answers = Vec::new();
        for (thread, (listeners, slot)) in self.threads.iter().zip(listeners) {
            match thread {
                Thread::Here(server) if server.is_accepting() => {}
                Thread::Here(server) => here = server.accept(listeners, slot),
                Thread::There(orders, _) => {
                    let orders = orders.clone();
                    let (answer, answered) = oneshot::channel();
                    answers.push(async move {
                        let _ = orders.send(Order::Accept(listeners, slot, answer)).await;
                        answered.await.unwrap_or(Ok(()))
                    });
                }
            }
        }
        let answers = join_all(answers);
        async move {
            here?;
            answers.await.into_iter().collect()
        }
        .boxed_local()
    }

    /// Stops accepting in each thread, and lets every connection end; see [`Server::drain`].
    pub(crate) fn drain(&self, grace: Duration) -> LocalBoxFuture<'static, ()> {
        let drained = self.threads.iter().map(|thread| match thread {
            Thread::Here(server) => {
                server.stop_accepting();
                let server = server.clone();
                async move { server.drain(grace).await }.boxed_local()
            }
            Thread::There(orders, _) => {
                let orders = orders.clone();
                async move {
                    let (answer, answered) = oneshot::channel();
                    let _ = orders.send(Order::Drain(grace, answer)).await;
                    let _ = answered.await;
                }
                .boxed_local()
            }
        });
        let drained = join_all(drained);
        async move { drop(drained.await) }.boxed_local()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for thread in &self.threads {
            if let Thread::There(_, arbiter) = thread {
                arbiter.stop();
            }
        }
    }
}

async fn there(
    cluster: Cluster,
    blueprint: Blueprint,
    plot: Plot,
) -> Result<Thread, AcceptorError> {
    let arbiter = Arbiter::new();
    let (built, is_built) = oneshot::channel();
    let (orders, given) = mpsc::channel(ORDERS);
    arbiter.spawn_fn(move || {
        cluster_core::mark_arbiter();
        cluster.watch_thread();
        actix_rt::spawn(obey(blueprint, plot, built, given));
    });
    match is_built.await {
        Ok(Ok(())) => Ok(Thread::There(orders, arbiter)),
        Ok(Err(e)) => Err(e),
        Err(_) => Err(AcceptorError::Build {
            reason: "its thread ended".to_owned(),
        }),
    }
}

async fn obey(
    blueprint: Blueprint,
    plot: Plot,
    built: oneshot::Sender<Result<(), AcceptorError>>,
    mut orders: mpsc::Receiver<Order>,
) {
    let server = match blueprint(plot).await {
        Ok(server) => server,
        Err(e) => {
            let _ = built.send(Err(e));
            return;
        }
    };
    let _ = built.send(Ok(()));
    let mut draining: Option<JoinHandle<()>> = None;
    while let Some(order) = orders.recv().await {
        match order {
            Order::Accept(_, _, answer) if server.is_accepting() => {
                let _ = answer.send(Ok(()));
            }
            Order::Accept(listeners, slot, answer) => {
                if let Some(draining) = draining.take() {
                    draining.abort();
                }
                let _ = answer.send(server.accept(listeners, slot));
            }
            Order::Drain(grace, answer) => {
                server.stop_accepting();
                let server = server.clone();
                draining = Some(actix_rt::spawn(async move {
                    server.drain(grace).await;
                    let _ = answer.send(());
                }));
            }
        }
    }
}
