//! The figures of one worker over the last ten minutes, a point for each ten seconds: pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use cluster_core::Beat;

/// What a point stands for.
pub(crate) const SPAN: Duration = Duration::from_secs(10);
/// Points that are kept: ten minutes.
pub(crate) const POINTS: usize = 60;
/// Over less time than this, the share of a core says little, as the system counts in hundredths of a second.
const SHORTEST_MS: u64 = 500;

/// What a worker did in ten seconds: requests per second, its slowest 99th percentile in microseconds, the share of a core in thousandths, and its
/// memory in KiB.
pub(crate) type Point = [u64; 4];

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    tps: f64,
    beats: u32,
    p99_us: u64,
    cpu: u64,
    memory: u64,
}

impl Sum {
    fn add(&mut self, beat: &Beat, cpu: u64) {
        self.tps += beat.tps;
        self.beats += 1;
        self.p99_us = self.p99_us.max(beat.p99_us);
        self.cpu = self.cpu.max(cpu);
        self.memory = self.memory.max(beat.rss_bytes / 1024);
    }

    fn point(&self) -> Point {
        let tps = self.tps / f64::from(self.beats.max(1));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        [
            tps.round().max(0.0) as u64,
            self.p99_us,
            self.cpu,
            self.memory,
        ]
    }
}

pub(crate) struct Track {
    pub(crate) beat: Beat,
    /// The share of a core, in thousandths.
    pub(crate) cpu: u64,
    /// The beat that the share is counted from.
    since: (u64, u64),
    begun: Instant,
    sum: Sum,
    points: VecDeque<Point>,
    /// Points that there have been.
    pub(crate) count: u64,
}

impl Track {
    pub(crate) fn new(beat: Beat, now: Instant) -> Self {
        let mut track = Track {
            cpu: 0,
            since: (0, 0),
            begun: now,
            sum: Sum::default(),
            points: VecDeque::new(),
            count: 0,
            beat: Beat::default(),
        };
        track.note(beat, now);
        track
    }

    pub(crate) fn note(&mut self, beat: Beat, now: Instant) {
        let (uptime, cpu) = self.since;
        let took = beat.uptime_ms.saturating_sub(uptime);
        if took >= SHORTEST_MS {
            self.cpu = beat.cpu_ms.saturating_sub(cpu) * 1000 / took;
            self.since = (beat.uptime_ms, beat.cpu_ms);
        }
        if now.saturating_duration_since(self.begun) >= SPAN && self.sum.beats > 0 {
            if self.points.len() >= POINTS {
                self.points.pop_front();
            }
            self.points.push_back(self.sum.point());
            self.count += 1;
            self.sum = Sum::default();
            self.begun = now;
        }
        self.sum.add(&beat, self.cpu);
        self.beat = beat;
    }

    /// The points after so many, as far as they are kept.
    pub(crate) fn points_after(&self, count: u64) -> impl Iterator<Item = &Point> {
        let new = usize::try_from(self.count.saturating_sub(count)).unwrap_or(POINTS);
        self.points
            .iter()
            .skip(self.points.len().saturating_sub(new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(uptime_ms: u64, cpu_ms: u64, p99_us: u64) -> Beat {
        let mut beat = Beat::default();
        (beat.uptime_ms, beat.cpu_ms, beat.p99_us, beat.tps) = (uptime_ms, cpu_ms, p99_us, 2.0);
        beat
    }

    #[test]
    fn ten_seconds_are_a_point_and_ten_minutes_are_kept() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut track = Track::new(beat(1000, 100, 5), at(0));
        assert_eq!(track.cpu, 100);
        for s in 1..=1000 {
            track.note(beat(1000 + s * 1000, 100 + s * 500, s), at(s));
        }
        assert_eq!(track.cpu, 500);
        assert_eq!(track.count, 100);
        let points: Vec<_> = track.points_after(0).collect();
        assert_eq!(points.len(), POINTS);
        assert_eq!(*points[POINTS - 1], [2, 999, 500, 0]);
        assert_eq!(track.points_after(98).count(), 2);
        assert_eq!(track.points_after(100).count(), 0);
    }

    #[test]
    fn a_share_is_not_guessed_from_too_little() {
        let now = Instant::now();
        let mut track = Track::new(beat(1000, 0, 0), now);
        track.note(beat(1100, 90, 0), now);
        assert_eq!(track.cpu, 0);
        track.note(beat(2000, 100, 0), now);
        assert_eq!(track.cpu, 100);
    }
}
