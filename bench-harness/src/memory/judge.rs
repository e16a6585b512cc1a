//! Whether memory stayed within its bound and stopped growing. Pure.
use super::megabytes;
use crate::fault::{Fault, Result};

/// Samples that a median is taken of, at least.
const SAMPLES_PER_SIXTH_MIN: usize = 4;
/// Growth that is none, whatever the size: buffers that a few more clients of the mix happen to hold.
const GROWTH_SLACK_BYTES: u64 = 3 << 20;
/// The same as a share of the size, in thousandths.
const GROWTH_SLACK_PERMILLE: u64 = 20;

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    max: u64,
    peak: u64,
    growth: Growth,
}

/// How the size was in one part of a run, and in a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Median of the earlier part.
    pub before: u64,
    /// Median of the later one.
    pub last: u64,
}

impl Growth {
    /// From the first to the last third of samples taken at equal distances, for a run without a warm-up.
    pub fn of_thirds(samples: &[u64]) -> Self {
        let third = samples.len() / 3;
        let (first, rest) = samples.split_at(third);
        let (_, last) = rest.split_at(rest.len() - third);
        Self { before: median(first), last: median(last) }
    }

    /// From the first to the second time of a run that does the same twice. What a first time takes once, and an allocator
    /// keeps, is not counted: only what comes after a third of it is looked at, each time.
    pub fn of_repeated(samples: &[u64]) -> Self {
        let (first, second) = samples.split_at(samples.len() / 2);
        let settled = |half: &[u64]| median(half.get(half.len() / 3..).unwrap_or_default());
        Self { before: settled(first), last: settled(second) }
    }

    /// What it may have grown by.
    pub fn slack(&self) -> u64 {
        GROWTH_SLACK_BYTES.max(self.before / 1000 * GROWTH_SLACK_PERMILLE)
    }

    /// Whether it has not grown.
    pub fn is_steady(&self) -> bool {
        self.last <= self.before.saturating_add(self.slack())
    }
}

impl Verdict {
    /// Judges the peak, and samples taken at equal distances. Medians, because one sample says where a burst was caught; sixths,
    /// because a warm-up is over by the last third, and a leak that matters shows within it.
    pub fn of(samples: &[u64], peak: u64, max: u64) -> Result<Self> {
        let sixth = samples.len() / 6;
        if sixth < SAMPLES_PER_SIXTH_MIN {
            let count = samples.len();
            return Err(Fault::new(format!(
                "{count} samples are too few to judge by: use a longer --duration"
            )));
        }
        let (_, end) = samples.split_at(samples.len() - 2 * sixth);
        let (before, last) = end.split_at(sixth);
        Ok(Self { max, peak, growth: Growth { before: median(before), last: median(last) } })
    }

    fn is_within(&self) -> bool {
        self.peak <= self.max
    }

    fn is_steady(&self) -> bool {
        self.growth.is_steady()
    }

    /// Within the bound, and no longer growing.
    pub fn is_good(&self) -> bool {
        self.is_within() && self.is_steady()
    }

    /// Two lines.
    pub fn describe(&self) -> String {
        let word = |good| if good { "met" } else { "MISSED" };
        let [peak, max, before, last, slack] =
            [self.peak, self.max, self.growth.before, self.growth.last, self.growth.slack()].map(megabytes);
        let (bound, growth) = (word(self.is_within()), word(self.is_steady()));
        format!(
            "bound     peak {peak} of {max}: {bound}\n\
             growth    median {before} in the last sixth but one, {last} in the last, {slack} allowed: {growth}"
        )
    }
}

fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    fn judge(sample: impl Fn(u64) -> u64) -> Verdict {
        let samples: Vec<u64> = (0..240).map(sample).collect();
        let peak = samples.iter().copied().max().unwrap();
        Verdict::of(&samples, peak, 100 * MB).unwrap()
    }

    #[test]
    fn what_rises_and_stays_is_steady() {
        let verdict = judge(|at| 20 * MB + 40 * MB * at.min(120) / 120);
        assert!(verdict.is_good(), "{verdict:?}");
        // A saw, and single samples that stick out.
        assert!(judge(|at| 50 * MB + at % 7 * MB).is_good());
        assert!(judge(|at| if at % 50 == 0 { 90 * MB } else { 30 * MB }).is_good());
    }

    #[test]
    fn what_still_rises_is_not() {
        let verdict = judge(|at| 20 * MB + at * MB / 8);
        assert!(verdict.is_within() && !verdict.is_steady(), "{verdict:?}");
        assert!(verdict.describe().contains("MISSED"));
        // A share of what is large already is not much.
        assert!(judge(|at| 800 * MB + at * 300_000).is_steady());
        assert!(!judge(|at| 800 * MB + at * 600_000).is_steady());
    }

    #[test]
    fn a_moment_above_the_bound_is_enough() {
        let verdict = judge(|at| if at == 3 { 100 * MB + 1 } else { MB });
        assert!(!verdict.is_within() && verdict.is_steady(), "{verdict:?}");
    }

    #[test]
    fn a_rise_from_the_first_third_to_the_last_is_growth() {
        let thirds = |sample: fn(u64) -> u64| Growth::of_thirds(&(0..240).map(sample).collect::<Vec<_>>());
        assert!(thirds(|at| 50 * MB + at % 7 * MB).is_steady());
        let grown = thirds(|at| 20 * MB + at * MB / 8);
        assert_eq!((grown.before, grown.last), (25 * MB, 45 * MB));
        assert!(!grown.is_steady());
    }

    #[test]
    fn what_a_first_time_takes_is_no_growth_and_what_a_second_adds_is() {
        let halves = |sample: fn(u64) -> u64| Growth::of_repeated(&(0..240).map(sample).collect::<Vec<_>>());
        // It takes its time to get there; it depends on what is done at the time; it stays there.
        assert!(halves(|at| (20 + at.min(40) + at % 120 / 4) * MB).is_steady());
        assert!(!halves(|at| (60 + at / 20 + at % 120 / 4) * MB).is_steady());
        assert_eq!(halves(|_| MB), Growth { before: MB, last: MB });
        assert_eq!(Growth::of_repeated(&[]), Growth { before: 0, last: 0 });
    }

    #[test]
    fn few_samples_are_not_judged() {
        assert!(Verdict::of(&[1; 23], 1, 1).is_err());
        assert!(Verdict::of(&[1; 24], 1, 1).is_ok());
    }
}
