//! Looking into one process while the others serve on.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use serde_json::{Value, json};

use super::{Master, Waiter};
use crate::emitter::{Request, Target};
use crate::id::ProcessId;
use crate::log;
use crate::node::Cluster;
use crate::node::debugging::{FilterRefused, RecentLog, SetFilter};
use crate::protocol::{DebugError, Debugging, OperationError, Subject};
use crate::worker::run::chain;

impl Master {
    pub(super) fn debug(&mut self, what: Debugging, waiter: Waiter, ctx: &mut Context<Self>) {
        let begun = match what {
            Debugging::LogLevel { of, filter } => self.set_filter(of, filter, waiter, ctx),
            Debugging::RecentLog { of, from } => self.show_log(of, from, waiter),
            Debugging::Stacks { of } => self.look_at_stacks(of, waiter),
            Debugging::Profile { of, seconds } => self.profile(of, seconds, waiter),
            Debugging::Isolate { worker } => self.isolate(worker, waiter),
            Debugging::Attach { worker } => self.attach(worker, waiter, ctx),
            Debugging::Release { worker, retire } => self.release(worker, retire, waiter),
        };
        if let Err((waiter, e)) = begun {
            let _ = waiter.reply.send(Err(e));
        }
    }

    /// The process that is meant, and its pid.
    pub(super) fn subject(&self, of: Subject) -> Result<(ProcessId, u32), OperationError> {
        match of {
            Subject::Master => Ok((ProcessId::Master, std::process::id())),
            Subject::Worker(number) => {
                let id = self.find(number)?;
                let pid = self.workers.get(&id).map_or(0, |worker| worker.pid);
                Ok((ProcessId::Worker(id), pid))
            }
            Subject::CacheManager => match &self.cache {
                Some(cache) if cache.has_process() => Ok((ProcessId::CacheManager, cache.pid())),
                _ => Err(DebugError::NoSuchProcess("cache manager".to_owned()).into()),
            },
        }
    }

    fn set_filter(
        &mut self,
        of: Subject,
        filter: Option<String>,
        waiter: Waiter,
        ctx: &mut Context<Self>,
    ) -> Begun {
        let (process, pid) = match self.subject(of) {
            Ok(subject) => subject,
            Err(e) => return Err((waiter, e)),
        };
        let cluster = self.cluster.clone();
        let asked = async move {
            let request = SetFilter {
                filter: filter.clone(),
            };
            match ask(&cluster, process, request).await? {
                Ok(set) => Ok((set, filter)),
                Err(FilterRefused::Bad { cause }) => Err(DebugError::BadFilter {
                    filter: filter.unwrap_or_default(),
                    cause,
                }),
                Err(FilterRefused::Foreign { cause }) => {
                    Err(DebugError::NoFilter { process, cause })
                }
            }
        };
        ctx.spawn(asked.into_actor(self).map(move |set, this, _| {
            let result = set.map(|(set, filter)| {
                match filter {
                    Some(_) => this.filters.insert(process, (pid, set.now.clone())),
                    None => this.filters.remove(&process),
                };
                this.publish();
                json!({ "process": process.to_string(), "pid": pid, "before": set.before, "now": set.now })
            });
            let _ = waiter.reply.send(result.map_err(OperationError::from));
        }));
        Ok(())
    }

    fn show_log(&self, of: Subject, from: u64, waiter: Waiter) -> Begun {
        let process = match self.subject(of) {
            Ok((process, _)) => process,
            Err(e) => return Err((waiter, e)),
        };
        let cluster = self.cluster.clone();
        actix_rt::spawn(async move {
            let part = ask(&cluster, process, RecentLog { from }).await;
            let result = part.map(|part| serde_json::to_value(part).unwrap_or(Value::Null));
            let _ = waiter.reply.send(result.map_err(OperationError::from));
        });
        Ok(())
    }

    /// The filter that an operator has set for this process.
    pub(super) fn filter_of(&self, process: ProcessId, pid: u32) -> Option<String> {
        let set = self.filters.get(&process).filter(|(of, _)| *of == pid);
        set.map(|(_, filter)| filter.clone())
    }

    /// The filters that operators have set, to be written down.
    pub(super) fn filters_set(&self) -> Vec<(ProcessId, u32, String)> {
        let filters = self.filters.iter();
        filters
            .map(|(process, (pid, filter))| (*process, *pid, filter.clone()))
            .collect()
    }

    /// Takes over what the last master wrote down: the others have their filters still, and this process takes that of the master.
    pub(super) fn take_filters(&mut self, filters: Vec<(ProcessId, u32, String)>) {
        for (process, mut pid, filter) in filters {
            if process == ProcessId::Master {
                pid = std::process::id();
                if let Err(e) = log::set_filter(Some(&filter)) {
                    tracing::warn!(error = %e, filter, "the filter of the last master's log is not set");
                    continue;
                }
            }
            self.filters.insert(process, (pid, filter));
        }
    }
}

/// What was not begun is given back, with the reason.
pub(super) type Begun = Result<(), (Waiter, OperationError)>;

async fn ask<R: Request>(
    cluster: &Cluster,
    process: ProcessId,
    request: R,
) -> Result<R::Reply, DebugError> {
    let asked = cluster.emitter().ask(Target::from(process), request).await;
    asked.map_err(|e| DebugError::NoAnswer {
        process,
        cause: chain(&e),
    })
}
