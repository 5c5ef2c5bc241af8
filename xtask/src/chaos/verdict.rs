//! The verdict: from what was done and what was seen to what cannot be explained by it. Pure.
//!
//! What explains what: a request may fail on a connection that a process had accepted before it was killed, and on no other; a question to
//! the cache may be refused while the cache manager is away, cannot be reached or cannot write, or where its worker was stopped or
//! blocked; an event may be lost where a link on its way broke, and passes by whoever does not serve. Nothing explains an event out of
//! its order or heard twice, a value of the cache older than one that was acknowledged or read, a leak, or a worker too many or too few.

mod course;

use std::fmt;
use std::time::Duration;

use self::course::{Course, Span};
use super::cache::{Astray, Kept, Unavailable};
use super::census::Sample;
use super::clock::Ms;
use super::events::{Gap, Told};
use super::journal::{Deeds, Killed};
use super::load::Failed;

/// Everything that was done and seen.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// Requests that were answered.
    pub(crate) answered: u64,
    pub(crate) failed: Vec<Failed>,
    pub(crate) kept: Kept,
    /// Keys that could not be read in the end.
    pub(crate) unread: usize,
    pub(crate) told: Told,
    /// Who had not heard the last word of whom, by their pids.
    pub(crate) deaf: Vec<(u32, u32)>,
    pub(crate) deeds: Deeds,
    pub(crate) samples: Vec<Sample>,
    pub(crate) calm: Calm,
    pub(crate) leaks: Vec<String>,
}

impl Records {
    /// How much was done and seen.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{} acts, {} passed over; {} processes killed\n{} requests answered, {} failed\n{} writes acknowledged to {} keys, {} reads, {} refused\n{} events told, {} not to all, {} times some missed by a process",
            self.deeds.done,
            self.deeds.passed_over,
            self.deeds.killed.len(),
            self.answered,
            self.failed.len(),
            self.kept.acknowledged,
            self.kept.keys,
            self.kept.read,
            self.kept.unavailable.len(),
            self.told.events,
            self.told.refused.len(),
            self.told
                .heard
                .values()
                .map(|heard| heard.gaps.len())
                .sum::<usize>(),
        )
    }
}

/// How the cluster came to rest after the last act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calm {
    /// After how long it was as wanted, if it ever was.
    pub(crate) after: Option<Duration>,
    /// What was wrong when its time was over.
    pub(crate) unlike: Option<String>,
}

/// Something that nothing explains.
#[derive(Clone, Debug)]
pub(crate) enum Finding {
    /// A request failed.
    Request(Failed),
    /// The cache could not be asked.
    Unavailable(Unavailable),
    /// The cache has lost a value, or made one up.
    Astray(Astray),
    /// Keys could not be read in the end.
    Unread(usize),
    /// Events did not come.
    Lost {
        /// Whom they did not reach.
        listener: u32,
        /// Who had told them.
        speaker: u32,
        /// Between which they were.
        gap: Gap,
    },
    /// The last events did not come.
    Deaf {
        /// Whom they did not reach.
        listener: u32,
        /// Who had told them.
        speaker: u32,
    },
    /// An event came after a later one, or twice.
    Disorder {
        /// Who heard it so.
        listener: u32,
        /// Who had told it.
        speaker: u32,
        /// What had been heard before.
        before: u64,
        /// What came then.
        number: u64,
    },
    /// The cluster was not as wanted in time.
    NotCalm(Calm),
    /// Something is left, or is more than it was.
    Leak(String),
    /// The cluster did with an act what it should not have done.
    Wrong(String),
}

/// All that nothing explains.
pub(crate) fn judge(records: &Records) -> Vec<Finding> {
    let course = Course::of(&records.deeds.deeds, &records.samples);
    let mut findings = Vec::new();
    let wrong = records.deeds.wrong.iter().cloned();
    findings.extend(wrong.map(Finding::Wrong));
    if records.calm.unlike.is_some() || records.calm.after.is_none() {
        findings.push(Finding::NotCalm(records.calm.clone()));
    }
    findings.extend(records.leaks.iter().cloned().map(Finding::Leak));
    findings.extend(requests(&records.failed, &records.deeds.killed));
    findings.extend(values(&records.kept, records.unread, &course));
    findings.extend(events(&records.told, &course));
    let deaf = records.deaf.iter().copied();
    findings.extend(deaf.map(|(listener, speaker)| Finding::Deaf { listener, speaker }));
    findings
}

fn requests(failed: &[Failed], killed: &[Killed]) -> Vec<Finding> {
    let died_with_it = |failed: &Failed| {
        killed.iter().any(|killed| {
            let accepted = failed
                .port
                .is_some_and(|port| killed.connections.contains(&port));
            // A port may be another connection's before and afterwards.
            accepted && failed.opened <= killed.at && killed.at <= failed.ended
        })
    };
    let unexplained = failed.iter().filter(|failed| !died_with_it(failed));
    unexplained.cloned().map(Finding::Request).collect()
}

fn values(kept: &Kept, unread: usize, course: &Course<'_>) -> Vec<Finding> {
    let unexplained = kept.unavailable.iter().filter(|refused| {
        let span = Span {
            from: refused.began,
            until: refused.ended,
        };
        !course.cache_was_away(refused.served_by, span)
    });
    let unexplained = unexplained.cloned().map(Finding::Unavailable);
    let astray = kept.astray.iter().cloned().map(Finding::Astray);
    let unread = (unread > 0).then_some(Finding::Unread(unread));
    astray.chain(unread).chain(unexplained).collect()
}

fn events(told: &Told, course: &Course<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for ((listener, speaker), heard) in &told.heard {
        let pids = [listener.pid, speaker.pid];
        let disorder = heard.disorder.iter();
        findings.extend(disorder.map(|(before, number)| Finding::Disorder {
            listener: listener.pid,
            speaker: speaker.pid,
            before: *before,
            number: *number,
        }));
        for gap in &heard.gaps {
            let span = Span {
                from: gap.since_ms,
                until: gap.until_ms,
            };
            let mut missing = gap.after + 1..gap.before;
            let all_refused = missing.all(|number| told.refused.contains(&(*speaker, number)));
            let explained = all_refused
                || course.link_broke(pids, span)
                || course.was_left_out(listener.pid, span);
            if !explained {
                findings.push(Finding::Lost {
                    listener: listener.pid,
                    speaker: speaker.pid,
                    gap: *gap,
                });
            }
        }
    }
    findings
}

impl Finding {
    /// As people read it; `seconds` says when a moment was, from the beginning of the run.
    pub(crate) fn describe(&self, seconds: impl Fn(Ms) -> f64) -> String {
        match self {
            Finding::Request(failed) => {
                let port = failed.port.map_or("-".to_owned(), |port| port.to_string());
                format!(
                    "{:.3} to {:.3}: {} failed: {} (port {port}, connected at {:.3})",
                    seconds(failed.began),
                    seconds(failed.ended),
                    failed.asked,
                    failed.how,
                    seconds(failed.opened),
                )
            }
            Finding::Unavailable(refused) => {
                let by = refused.served_by.map(|pid| format!(" by process {pid}"));
                format!(
                    "{:.3} to {:.3}: the cache was not to be asked{}: {}",
                    seconds(refused.began),
                    seconds(refused.ended),
                    by.unwrap_or_default(),
                    refused.why,
                )
            }
            Finding::Astray(astray) => format!(
                "{:.3}: {} was {}, and must have been {} to {}",
                seconds(astray.at),
                astray.key,
                astray.value,
                astray.floor,
                astray.ceiling
            ),
            Finding::Lost { gap, .. } => format!(
                "{:.3} to {:.3}: {self}",
                seconds(gap.since_ms),
                seconds(gap.until_ms)
            ),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Request(failed) => write!(f, "{} failed: {}", failed.asked, failed.how),
            Finding::Unavailable(refused) => {
                write!(f, "the cache was not to be asked: {}", refused.why)
            }
            Finding::Astray(astray) => write!(
                f,
                "{} was {}, and must have been {} to {}",
                astray.key, astray.value, astray.floor, astray.ceiling
            ),
            Finding::Unread(keys) => write!(f, "{keys} keys could not be read in the end"),
            Finding::Lost {
                listener,
                speaker,
                gap,
            } => write!(
                f,
                "process {listener} did not hear the events between {} and {} of process {speaker}",
                gap.after, gap.before
            ),
            Finding::Deaf { listener, speaker } => write!(
                f,
                "process {listener} has not heard the last event of process {speaker}"
            ),
            Finding::Disorder {
                listener,
                speaker,
                before,
                number,
            } => write!(
                f,
                "process {listener} heard event {number} of process {speaker} after its event {before}"
            ),
            Finding::NotCalm(calm) => {
                let unlike = calm.unlike.as_deref().unwrap_or("nobody answered");
                match calm.after {
                    Some(after) => write!(
                        f,
                        "not as wanted in time, but after {:.1} s: {unlike}",
                        after.as_secs_f64()
                    ),
                    None => write!(f, "never as wanted again: {unlike}"),
                }
            }
            Finding::Leak(leak) => f.write_str(leak),
            Finding::Wrong(wrong) => f.write_str(wrong),
        }
    }
}

#[cfg(test)]
mod tests;
