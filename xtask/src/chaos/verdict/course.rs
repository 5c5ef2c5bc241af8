//! The course of things, by what was done and what was seen: when links were broken, who was not to hear, when the cache was away. Pure.

use super::super::census::{Process, Sample};
use super::super::clock::Ms;
use super::super::journal::{Deed, Hit};

/// What is seen is seen some time later, and what was broken takes some time to be whole again.
const SLACK: Ms = 1_500;
/// Two looks at one process differ less than this in when it began.
const SAME: Ms = 1_000;

/// From one moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Ms,
    pub(super) until: Ms,
}

impl Span {
    fn meets(self, other: Span) -> bool {
        self.from <= other.until + SLACK && other.from <= self.until + SLACK
    }
}

/// What was done, and what was seen.
#[derive(Debug)]
pub(super) struct Course<'a> {
    deeds: &'a [Deed],
    /// In the order of their times.
    samples: &'a [Sample],
}

impl<'a> Course<'a> {
    pub(super) fn of(deeds: &'a [Deed], samples: &'a [Sample]) -> Self {
        Course { deeds, samples }
    }

    fn was_done(&self, hit: Hit, span: Span) -> bool {
        self.deeds.iter().any(|deed| {
            let deed_span = Span {
                from: deed.from,
                until: deed.until,
            };
            deed.hit == hit && deed_span.meets(span)
        })
    }

    /// Whether there were two looks around the span, between which a process came to be another one.
    fn was_renewed(&self, of: impl Fn(&Sample) -> Option<&Process>, span: Span) -> bool {
        let began = |sample: &Sample| {
            let process = of(sample)?;
            Some((process.pid, process.began(sample.at)))
        };
        self.samples.windows(2).any(|two| {
            let between = Span {
                from: two[0].at,
                until: two[1].at,
            };
            let same = match (began(&two[0]), began(&two[1])) {
                (Some((pid, began)), Some((other, later))) => {
                    pid == other && began.abs_diff(later) < SAME
                }
                (none, other) => none == other,
            };
            !same && between.meets(span)
        })
    }

    /// Whether what was on its way between these two may have been lost: all of it passes the master.
    pub(super) fn link_broke(&self, pids: [u32; 2], span: Span) -> bool {
        let cut = pids.iter().any(|pid| self.was_done(Hit::Link(*pid), span));
        cut || self.was_renewed(|sample| Some(&sample.master), span)
    }

    /// Whether a process was, at some time, neither the master nor a worker that serves: events for all workers pass it by.
    pub(super) fn was_left_out(&self, pid: u32, span: Span) -> bool {
        let around = |sample: &&Sample| {
            let moment = Span {
                from: sample.at,
                until: sample.at,
            };
            moment.meets(span)
        };
        self.samples.iter().filter(around).any(|sample| {
            let is_there = sample.master.pid == pid
                || sample
                    .workers
                    .iter()
                    .any(|worker| worker.pid == pid && worker.is_active() && worker.linked);
            !is_there
        })
    }

    /// Whether a question to the cache may have failed, in this worker.
    pub(super) fn cache_was_away(&self, worker: Option<u32>, span: Span) -> bool {
        let halted = worker.is_some_and(|pid| self.was_done(Hit::Process(pid), span));
        halted
            || self.was_done(Hit::Cache, span)
            || self.was_renewed(|sample| sample.cache_manager.as_ref(), span)
            || self.was_not_seen_to_serve(span)
    }

    /// Whether the cache manager was seen not to serve, or nobody was seen for a while.
    fn was_not_seen_to_serve(&self, span: Span) -> bool {
        let blind = self.samples.windows(2).any(|two| {
            let between = Span {
                from: two[0].at,
                until: two[1].at,
            };
            between.until - between.from > SLACK && between.meets(span)
        });
        let down = self.samples.iter().any(|sample| {
            let moment = Span {
                from: sample.at,
                until: sample.at,
            };
            let serves = sample
                .cache_manager
                .as_ref()
                .is_some_and(Process::is_active);
            !serves && moment.meets(span)
        });
        blind || down
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::census::tests::sample;
    use super::*;

    fn span(from: Ms, until: Ms) -> Span {
        Span { from, until }
    }

    /// Looked at every 200 ms from 100 s to 140 s, and nothing happens.
    fn calm() -> Vec<Sample> {
        let looks = (100_000..140_000).step_by(200);
        looks.map(|at| sample(at, &["active"; 3])).collect()
    }

    #[test]
    fn in_a_calm_course_there_is_no_excuse() {
        let samples = calm();
        let course = Course::of(&[], &samples);
        let all = span(100_000, 140_000);
        assert!(!course.link_broke([101, 10], all));
        assert!(!course.was_left_out(101, all) && !course.was_left_out(10, all));
        assert!(!course.cache_was_away(Some(101), all));
        assert!(course.was_left_out(999, all), "there is no such process");
    }

    #[test]
    fn a_deed_excuses_what_it_hits_around_its_time() {
        let samples = calm();
        let deeds = [
            Deed {
                from: 110_000,
                until: 111_000,
                hit: Hit::Link(101),
            },
            Deed {
                from: 120_000,
                until: 121_000,
                hit: Hit::Process(102),
            },
            Deed {
                from: 130_000,
                until: 131_000,
                hit: Hit::Cache,
            },
        ];
        let course = Course::of(&deeds, &samples);
        assert!(course.link_broke([101, 102], span(112_000, 112_100)));
        assert!(course.link_broke([102, 101], span(100_000, 109_000)));
        assert!(!course.link_broke([101, 102], span(113_000, 114_000)));
        assert!(!course.link_broke([103, 102], span(110_000, 111_000)));
        assert!(course.cache_was_away(Some(102), span(120_500, 120_600)));
        assert!(!course.cache_was_away(Some(103), span(120_500, 120_600)));
        assert!(course.cache_was_away(None, span(125_000, 130_000)));
        assert!(!course.cache_was_away(None, span(133_000, 134_000)));
    }

    #[test]
    fn what_was_seen_excuses_too() {
        let mut samples = calm();
        let at = |at: Ms| usize::try_from((at - 100_000) / 200).unwrap();
        samples[at(110_000)].workers[1].state = "paused".into();
        for sample in &mut samples[at(120_000)..] {
            sample.master.pid = 11;
        }
        samples[at(130_000)].cache_manager.as_mut().unwrap().state = "died".into();
        let course = Course::of(&[], &samples);
        assert!(course.was_left_out(102, span(110_500, 111_000)));
        assert!(!course.was_left_out(102, span(113_000, 114_000)));
        assert!(!course.was_left_out(101, span(110_500, 111_000)));
        assert!(course.link_broke([101, 102], span(119_000, 119_500)));
        assert!(!course.link_broke([101, 102], span(122_000, 123_000)));
        assert!(course.cache_was_away(None, span(129_000, 129_500)));
        assert!(!course.cache_was_away(None, span(119_000, 120_000)));
    }

    #[test]
    fn where_nobody_was_seen_nobody_can_tell() {
        let mut samples = calm();
        samples.retain(|sample| !(110_000..114_000).contains(&sample.at));
        let course = Course::of(&[], &samples);
        assert!(course.cache_was_away(None, span(112_000, 112_100)));
        assert!(
            !course.link_broke([101, 102], span(112_000, 112_100)),
            "the master is the same"
        );
    }
}
