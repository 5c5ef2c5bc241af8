//! What a process answers to whoever looks into it from outside: what it logs, and what it has logged.

use cluster_macros::Request;
use serde::{Deserialize, Serialize};

use super::Cluster;
use crate::log::{self, FilterError};

/// Log by this filter from now on; by the one that the process began with, where there is none.
#[derive(Clone, Debug, Serialize, Deserialize, Request)]
#[reply(Result<FilterSet, FilterRefused>)]
#[request(name = "cluster.log.filter")]
pub(crate) struct SetFilter {
    pub(crate) filter: Option<String>,
}

/// The filter that held, and the one that holds now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FilterSet {
    pub(crate) before: String,
    pub(crate) now: String,
}

/// Why a filter was not set. Append-only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum FilterRefused {
    Bad { cause: String },
    Foreign { cause: String },
}

/// The lines that the process has logged lately, from this one on.
#[derive(Clone, Debug, Serialize, Deserialize, Request)]
#[reply(LogPart)]
#[request(name = "cluster.log.recent")]
pub(crate) struct RecentLog {
    pub(crate) from: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LogPart {
    pub(crate) lines: Vec<String>,
    pub(crate) next: u64,
    pub(crate) end: u64,
    pub(crate) missed: u64,
}

/// Answers from now on.
pub(super) fn answer(cluster: &Cluster) {
    cluster
        .emitter()
        .answer(|asked: SetFilter, _| async move { set_filter(asked.filter.as_deref()) });
    cluster.emitter().answer(|asked: RecentLog, _| async move {
        let log::Part {
            lines,
            next,
            end,
            missed,
        } = log::recent(asked.from);
        LogPart {
            lines,
            next,
            end,
            missed,
        }
    });
}

fn set_filter(filter: Option<&str>) -> Result<FilterSet, FilterRefused> {
    match log::set_filter(filter) {
        Ok((before, now)) => {
            tracing::info!(before, now, "the filter of the log was changed");
            Ok(FilterSet { before, now })
        }
        Err(FilterError::Bad { cause }) => Err(FilterRefused::Bad { cause }),
        Err(e @ FilterError::Foreign) => Err(FilterRefused::Foreign {
            cause: e.to_string(),
        }),
    }
}
