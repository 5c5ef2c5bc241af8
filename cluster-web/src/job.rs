//! A job that is no server: supervised, heartbeating, drained like one.

use std::time::Duration;

use cluster_core::{Application, Beat, Cluster, Launch, Means, Options, Serving, StartFailure};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};

use crate::builder::{Builder, Runs};
use crate::error::{Error, Result};

/// Makes a cluster of a job: the future runs in every worker, and ends when [`Cluster::draining`] resolves.
///
/// A worker whose job ends before that is done: it stays, idle, until it is dismissed; one whose job fails ends with the error.
///
/// ```no_run
/// use cluster_web::prelude::*;
///
/// #[cluster_web::main]
/// async fn main() -> Result<()> {
///     cluster_web::run(|cluster| async move {
///         cluster.draining().await; // work until then
///         Ok(())
///     })
///     .listen().await?
///     .wait().await
/// }
/// ```
pub fn run<J, G>(job: J) -> Builder<Job>
where
    J: FnOnce(Cluster) -> G + 'static,
    G: Future<Output = Result<()>> + 'static,
{
    Builder::of(Job(Box::new(|cluster| Box::pin(job(cluster)))))
}

type Work = Box<dyn FnOnce(Cluster) -> LocalBoxFuture<'static, Result<()>>>;

/// A job: what [`run`] makes.
pub struct Job(Work);

impl Runs for Job {
    fn launch(self, options: Options) -> Result<Launch> {
        Ok(Launch::new(
            options,
            Box::new(JobApplication { job: self.0 }),
        ))
    }
}

struct JobApplication {
    job: Work,
}

impl Application for JobApplication {
    fn start(
        self: Box<Self>,
        cluster: Cluster,
        _: Means,
    ) -> LocalBoxFuture<'static, std::result::Result<Box<dyn Serving>, StartFailure>> {
        let working = Working {
            job: Some(self.job),
            cluster,
            end: None,
        };
        Box::pin(async { Ok(Box::new(working) as Box<dyn Serving>) })
    }
}

struct Working {
    job: Option<Work>,
    cluster: Cluster,
    end: Option<Shared<LocalBoxFuture<'static, ()>>>,
}

impl Working {
    fn ended(&self) -> LocalBoxFuture<'static, ()> {
        match &self.end {
            Some(end) => end.clone().boxed_local(),
            None => std::future::ready(()).boxed_local(),
        }
    }
}

impl Serving for Working {
    fn accept(
        &mut self,
    ) -> LocalBoxFuture<'static, std::result::Result<Vec<String>, StartFailure>> {
        if let Some(job) = self.job.take() {
            let running = actix_rt::spawn(job(self.cluster.clone()));
            let end = async move {
                match running.await {
                    Ok(Ok(())) | Err(_) => {}
                    Ok(Err(e)) => failed(&e),
                }
            };
            let end = end.boxed_local().shared();
            // Polled here too, so that a failure is seen when it happens and not in the drain.
            actix_rt::spawn(end.clone());
            self.end = Some(end);
        }
        Box::pin(async { Ok(Vec::new()) })
    }

    fn pause(&mut self) -> LocalBoxFuture<'static, ()> {
        // A job has nothing that could stop coming in; it is told of the end alone.
        std::future::ready(()).boxed_local()
    }

    fn drain(&mut self, _: Duration) -> LocalBoxFuture<'static, ()> {
        self.ended()
    }

    fn sample(&mut self, beat: &mut Beat) {
        beat.cache = cluster_cache::durations();
    }
}

/// A failed job ends its worker, and the master starts another.
fn failed(error: &Error) {
    tracing::error!(error = %error, "the job failed");
    std::process::exit(1);
}
