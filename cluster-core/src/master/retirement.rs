//! What workers may come to before they are replaced, and what the application has to say to it.

use crate::health::policy::{Decay, Limits};
use crate::health::vitals::Vitals;
use crate::node::Cluster;
use crate::sys::memory_limit;

/// Has the last word on whether a worker is replaced: it is told what the rules say.
pub(crate) type ShouldRetire = Box<dyn FnMut(&Vitals<'_>, Option<Decay>) -> Option<Decay>>;

pub(super) struct Retirement {
    /// What the control group allows, for all processes together.
    memory_limit: Option<u64>,
    should_retire: Option<ShouldRetire>,
}

impl Retirement {
    pub(super) fn new(should_retire: Option<ShouldRetire>) -> Self {
        Retirement {
            memory_limit: memory_limit(),
            should_retire,
        }
    }

    /// The limits for each of so many workers.
    pub(super) fn limits(&self, cluster: &Cluster, workers: u32) -> Limits {
        let options = cluster.options();
        // A fifth is for the others, and for what a worker takes that is not its own.
        let share = |limit: u64| limit / 5 * 4 / u64::from(workers.max(1));
        Limits {
            max_age: options.max_age,
            max_requests: options.max_requests,
            max_memory: options.max_memory.or(self.memory_limit.map(share)),
            max_lag: options.max_lag,
            threads: options.threads,
        }
    }

    pub(super) fn decide(&mut self, vitals: &Vitals<'_>, said: Option<Decay>) -> Option<Decay> {
        match &mut self.should_retire {
            Some(should_retire) => should_retire(vitals, said),
            None => said,
        }
    }
}
