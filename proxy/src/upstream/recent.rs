//! How long the last answers took: a histogram of the last one to two thousand, whatever their rate, so that what it says
//! follows what is.

/// Answers until the older half is given up.
const GENERATION: u32 = 1024;
/// With fewer answers than this a quantile says nothing.
pub const SAMPLES_MIN: u32 = 100;
/// Steps within a doubling: what is said is at most a sixteenth too long.
const STEPS: u64 = 16;
/// Doublings that are told apart; beyond 67 s all are the same.
const DOUBLINGS: u64 = 23;
const BUCKETS: usize = (STEPS * (DOUBLINGS + 1)) as usize;
/// Records between two looks at all buckets.
const LOOK_EVERY: u32 = 32;

const _: () = assert!(GENERATION <= u16::MAX as u32 && SAMPLES_MIN <= GENERATION);

/// Times of the last answers.
#[derive(Debug)]
pub struct Recent {
    now: [u16; BUCKETS],
    before: [u16; BUCKETS],
    /// In `now`.
    count: u32,
    /// In `before`.
    count_before: u32,
    /// What was found at the last look, for which quantile, and how many records ago.
    looked: Option<(u32, u64, u32)>,
}

impl Default for Recent {
    fn default() -> Self {
        Recent { now: [0; BUCKETS], before: [0; BUCKETS], count: 0, count_before: 0, looked: None }
    }
}

impl Recent {
    /// Notes an answer that took so long, in microseconds.
    pub fn record(&mut self, micros: u64) {
        if self.count == GENERATION {
            self.before = std::mem::replace(&mut self.now, [0; BUCKETS]);
            self.count_before = std::mem::replace(&mut self.count, 0);
        }
        self.now[bucket(micros)] += 1;
        self.count += 1;
        if let Some((_, _, ago)) = &mut self.looked {
            *ago += 1;
        }
    }

    /// The time, in microseconds, that so many thousandths of the last answers did not take longer than. `None`: there
    /// are too few. May be up to `LOOK_EVERY` answers old.
    pub fn quantile(&mut self, thousandths: u32) -> Option<u64> {
        if self.count + self.count_before < SAMPLES_MIN {
            return None;
        }
        if let Some((of, found, ago)) = self.looked
            && of == thousandths
            && ago < LOOK_EVERY
        {
            return Some(found);
        }
        let total = u64::from(self.count + self.count_before);
        let wanted = (total * u64::from(thousandths)).div_ceil(1000).max(1);
        let mut seen = 0;
        let last = self.now.iter().zip(&self.before).position(|(now, before)| {
            seen += u64::from(*now) + u64::from(*before);
            seen >= wanted
        });
        let found = longest(last.unwrap_or(BUCKETS - 1));
        self.looked = Some((thousandths, found, 0));
        Some(found)
    }
}

fn bucket(micros: u64) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    let doubling = u64::from(micros.ilog2() - STEPS.ilog2());
    let step = (micros >> doubling) - STEPS;
    (((doubling + 1) * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The longest time of a bucket, in microseconds.
fn longest(bucket: usize) -> u64 {
    let (group, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    if group == 0 { step } else { ((STEPS + step + 1) << (group - 1)) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_apart_within_a_sixteenth() {
        for micros in (0..5_000).chain((0..26).map(|it| 1 << it)).chain((0..25).map(|it| (3 << it) - 1)) {
            let said = longest(bucket(micros));
            assert!(said >= micros && said - micros <= micros / 16, "{micros}: {said}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn it_says_nothing_before_there_are_enough() {
        let mut recent = Recent::default();
        for nth in 0..SAMPLES_MIN {
            assert_eq!(recent.quantile(950), None, "{nth}");
            recent.record(1_000);
        }
        assert!(recent.quantile(950).is_some_and(|it| (1_000..=1_062).contains(&it)));
    }

    #[test]
    fn quantiles_are_those_of_the_answers() {
        let mut recent = Recent::default();
        (1..=1_000).for_each(|nth| recent.record(nth * 100));
        for (thousandths, micros) in [(500, 50_000), (950, 95_000), (999, 99_900)] {
            let found = recent.quantile(thousandths).unwrap_or(0);
            assert!(found >= micros && found <= micros + micros / 16, "{thousandths}: {found}");
        }
    }

    #[test]
    fn what_was_is_forgotten() {
        let mut recent = Recent::default();
        (0..5_000).for_each(|_| recent.record(1_000_000));
        (0..2 * GENERATION).for_each(|_| recent.record(1_000));
        assert!(recent.quantile(999).is_some_and(|it| it < 1_100));
        (0..2 * GENERATION).for_each(|_| recent.record(1_000_000));
        assert!(recent.quantile(1).is_some_and(|it| it >= 1_000_000));
    }
}
