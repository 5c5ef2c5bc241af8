//! What is known of the cluster: as last told, how its workers have done lately, and what has happened meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use serde::Deserialize;
use serde_json::Value;

use super::happenings::{Happening, between};
use super::track::Track;
use crate::output::plain;
use crate::state::{Cluster, Worker};

/// Happenings that are kept; the oldest give way.
const KEPT: usize = 100;

/// The master does not answer.
#[derive(Clone, Debug)]
pub(super) struct Away {
    pub(super) since: Instant,
    pub(super) cause: String,
}

/// All that is shown of the cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) cluster: Cluster,
    /// What all workers do together.
    pub(super) total: Track,
    /// The last one first.
    pub(super) happenings: VecDeque<(Instant, Happening)>,
    pub(super) away: Option<Away>,
    /// By id and pid.
    tracks: BTreeMap<(u32, u32), Track>,
    begun: bool,
}

impl Model {
    /// Takes in what the master has told. Control characters are replaced here, in all of it.
    ///
    /// # Errors
    ///
    /// It is no cluster; nothing has changed then.
    pub(super) fn hear(&mut self, mut told: Value, now: Instant) -> Result<(), serde_json::Error> {
        harmless(&mut told);
        let cluster = Cluster::deserialize(&told)?;
        if self.begun {
            for happening in between(&self.cluster, &cluster) {
                self.happenings.push_front((now, happening));
            }
            self.happenings.truncate(KEPT);
        }
        let key = |worker: &Worker| (worker.id, worker.pid);
        self.tracks
            .retain(|known, _| cluster.workers.iter().any(|worker| key(worker) == *known));
        let mut together = 0.0;
        for worker in &cluster.workers {
            if let Some(beat) = &worker.beat {
                self.tracks.entry(key(worker)).or_default().enter(beat);
                together += beat.tps;
            }
        }
        self.total.push(together);
        self.cluster = cluster;
        self.away = None;
        self.begun = true;
        Ok(())
    }

    /// The master does not answer, for this cause.
    pub(super) fn lose(&mut self, cause: &str, now: Instant) {
        let cause = plain(cause).into_owned();
        let since = self.away.take().map_or(now, |away| away.since);
        self.away = Some(Away { since, cause });
    }

    pub(super) fn track(&self, worker: &Worker) -> Option<&Track> {
        self.tracks.get(&(worker.id, worker.pid))
    }

    pub(super) fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.values()
    }
}

/// Replaces what would move a terminal's cursor in all texts of a value.
fn harmless(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let std::borrow::Cow::Owned(other) = plain(text) {
                *text = other;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(harmless),
        Value::Object(fields) => fields.values_mut().for_each(harmless),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn texts_of_the_cluster_are_harmless() {
        let mut model = Model::default();
        let told = json!({
            "name": "a\x1b]0;x\x07", "death_queue": [{ "worker": 1, "reason": "b\rc" }],
        });
        model.hear(told, Instant::now()).unwrap();
        assert_eq!(model.cluster.name, "a\u{fffd}]0;x\u{fffd}");
        assert_eq!(model.cluster.death_queue[0].reason, "b\u{fffd}c");
    }

    #[test]
    fn a_master_that_is_away_is_so_since_it_was_first_missed() {
        let mut model = Model::default();
        let start = Instant::now();
        model
            .hear(json!({ "master": { "pid": 1 } }), start)
            .unwrap();
        model.lose("gone", start);
        model.lose("no\x1bbody", start + Duration::from_secs(3));
        let away = model.away.clone().unwrap();
        assert_eq!((away.since, away.cause.as_str()), (start, "no\u{fffd}body"));
        assert!(model.hear(json!([1]), start).is_err());
        assert!(model.away.is_some());
        let told = json!({ "master": { "pid": 2 } });
        model.hear(told, start).unwrap();
        assert!(model.away.is_none());
        let (_, last) = &model.happenings[0];
        assert_eq!(last.text, "master 2 has taken over from master 1");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut model, now) = (Model::default(), Instant::now());
        for pid in 0..500 {
            let worker =
                json!({ "id": pid, "pid": pid, "state": "active", "beat": { "tps": 1.0 } });
            let told = json!({ "workers": [worker] });
            model.hear(told, now).unwrap();
        }
        assert_eq!((model.happenings.len(), model.tracks().count()), (KEPT, 1));
    }
}
