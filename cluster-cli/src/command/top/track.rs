//! How a worker has done lately.

use std::collections::VecDeque;

use crate::state::Beat;

/// Looks at the cluster that make one step of a line, at one a second.
const LOOKS: u32 = 5;
/// Steps that are kept: two minutes.
pub(super) const STEPS: usize = 24;

/// Requests per second over the last minutes, each step by its highest, and the share of a core at present.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    steps: VecDeque<f64>,
    looks: u32,
    /// Uptime and CPU time as last told, in milliseconds.
    told: Option<(u64, u64)>,
    cpu: Option<f64>,
}

impl Track {
    /// Enters a heartbeat, which may be the same as last time.
    pub(super) fn enter(&mut self, beat: &Beat) {
        self.push(beat.tps);
        if let Some((uptime, cpu)) = self.told
            && let Some(passed @ 1..) = beat.uptime_ms.checked_sub(uptime)
        {
            #[allow(clippy::cast_precision_loss)]
            let share = beat.cpu_ms.saturating_sub(cpu) as f64 / passed as f64;
            self.cpu = Some(share);
        }
        self.told = Some((beat.uptime_ms, beat.cpu_ms));
    }

    /// Enters requests per second.
    pub(super) fn push(&mut self, tps: f64) {
        let tps = if tps.is_finite() { tps.max(0.0) } else { 0.0 };
        match self.steps.back_mut() {
            Some(step) if !self.looks.is_multiple_of(LOOKS) => *step = step.max(tps),
            _ => self.steps.push_back(tps),
        }
        self.looks = self.looks.wrapping_add(1);
        if self.steps.len() > STEPS {
            self.steps.pop_front();
        }
    }

    /// The share of a core that it has used between its last two heartbeats; unknown at first.
    pub(super) fn cpu(&self) -> Option<f64> {
        self.cpu
    }

    /// The highest of all steps.
    pub(super) fn most(&self) -> f64 {
        self.steps.iter().copied().fold(0.0, f64::max)
    }

    /// The steps as a line of bars, the last one at its right end; as high as can be where it is `most`.
    pub(super) fn bars(&self, most: f64) -> String {
        let missing = STEPS - self.steps.len();
        let bars = self.steps.iter().map(|step| bar(*step, most));
        std::iter::repeat_n(' ', missing).chain(bars).collect()
    }
}

fn bar(step: f64, most: f64) -> char {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if most <= 0.0 {
        return BARS[0];
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let height = (step / most * 7.0).round().clamp(0.0, 7.0) as usize;
    BARS[height]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_the_highest_of_its_looks_and_old_ones_go() {
        let mut track = Track::default();
        for tps in [1.0, 7.0, 2.0, f64::NAN, -1.0, 3.5] {
            track.push(tps);
        }
        assert_eq!(track.bars(7.0).trim_start(), "█▅");
        assert_eq!(track.bars(0.0).trim_start(), "▁▁");
        for _ in 0..1000 {
            track.push(0.0);
        }
        assert_eq!(track.bars(7.0), "▁".repeat(STEPS));
    }

    #[test]
    fn the_share_of_a_core_is_between_two_heartbeats() {
        let mut track = Track::default();
        let beat = |uptime_ms, cpu_ms| Beat {
            uptime_ms,
            cpu_ms,
            ..Beat::default()
        };
        track.enter(&beat(1000, 100));
        assert_eq!(track.cpu(), None);
        track.enter(&beat(2000, 350));
        assert_eq!(track.cpu(), Some(0.25));
        track.enter(&beat(2000, 350));
        assert_eq!(track.cpu(), Some(0.25), "nothing new, nothing else");
    }
}
