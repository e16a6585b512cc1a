//! The buckets of one worker: a table of fixed size, in sets of eight, from which the fullest bucket of a set goes when a
//! ninth key comes.
//!
//! A bucket that is full says nothing, so losing it costs nothing. Whoever wants his own empty bucket forgotten has to put
//! eight keys into its set that have used more of theirs; which set a key is in depends on a secret of the process.

use super::{Bucket, Journal, Rate, Told, Verdict, bucket::Standing};
use crate::limits::{LIMIT_KEYS_MAX, LIMIT_NEWS_MAX};

/// Keys of one set.
pub const WAYS: usize = 8;
const SETS: usize = LIMIT_KEYS_MAX / WAYS;

const _: () = assert!(SETS.is_power_of_two() && SETS * WAYS == LIMIT_KEYS_MAX);

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    bucket: Bucket,
    /// What the bucket holds: buckets are compared by how much of theirs is gone.
    depth: u64,
    /// What has been taken since the other workers were told.
    untold: u64,
}

impl Slot {
    /// The part of it that is gone; above 1 it owes.
    fn used(&self, now: u64) -> f64 {
        self.bucket.used(now) as f64 / self.depth.max(1) as f64
    }
}

/// A line of tags, then what they stand for. Tag 0: nobody.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Set {
    tags: [u64; WAYS],
    slots: [Slot; WAYS],
}

impl Set {
    fn find(&self, tag: u64) -> Option<usize> {
        self.tags.iter().position(|it| *it == tag)
    }

    /// The slot that has least to lose, and the part of it that is gone.
    fn fullest(&self, now: u64) -> (usize, f64) {
        let mut found = (0, f64::INFINITY);
        for (way, slot) in self.slots.iter().enumerate() {
            let used = slot.used(now);
            if used < found.1 {
                found = (way, used);
            }
        }
        found
    }
}

/// What came of a request, and of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Of the request.
    pub verdict: Verdict,
    /// A bucket that was not full had to go for it.
    pub evicted: bool,
}

/// All buckets of one worker.
pub struct Buckets {
    sets: Box<[Set]>,
    /// Places of slots with something untold; a slot that has changed hands may be in it twice.
    news: Vec<u32>,
    /// Whether there is anybody to tell.
    shared: bool,
}

impl Buckets {
    /// All full. `shared`: other workers are to be told.
    pub fn new(shared: bool) -> Buckets {
        let news = if shared { Vec::with_capacity(LIMIT_NEWS_MAX) } else { Vec::new() };
        Buckets { sets: vec![Set::default(); SETS].into_boxed_slice(), news, shared }
    }

    /// Takes a request out of the bucket of `tag`, which is not 0.
    pub fn take(&mut self, tag: u64, rate: Rate, now: u64) -> Taken {
        let at = set_of(tag);
        let Some(set) = self.sets.get_mut(at) else { return PASSED };
        let mut evicted = false;
        let way = set.find(tag).unwrap_or_else(|| {
            let (way, used) = set.fullest(now);
            evicted = used > 0.0;
            way
        });
        let (Some(its), Some(slot)) = (set.tags.get_mut(way), set.slots.get_mut(way)) else { return PASSED };
        if *its != tag {
            *its = tag;
            *slot = Slot::default();
        }
        slot.depth = rate.depth();
        let verdict = slot.bucket.take(rate, now);
        if verdict.allowed && self.shared {
            if slot.untold == 0 {
                self.news.push((at * WAYS + way) as u32);
            }
            slot.untold += rate.cost();
        }
        Taken { verdict, evicted }
    }

    /// Whether `tell` has to come before another request.
    pub fn must_tell(&self) -> bool {
        self.shared && self.news.len() >= LIMIT_NEWS_MAX
    }

    /// Tells the other workers what has been taken since it was told last.
    pub fn tell(&mut self, journal: &Journal) {
        if self.news.is_empty() {
            return;
        }
        let Buckets { sets, news, .. } = self;
        let told = news.iter().filter_map(|place| {
            let (at, way) = (*place as usize / WAYS, *place as usize % WAYS);
            let set = sets.get_mut(at)?;
            let (tag, slot) = (*set.tags.get(way)?, set.slots.get_mut(way)?);
            let taken = std::mem::take(&mut slot.untold);
            (taken > 0).then_some(Told { tag, taken, depth: slot.depth })
        });
        journal.write(told);
        news.clear();
    }

    /// Books what another worker has let pass. True: there was no place for it, as its set has others that are used more.
    pub fn hear(&mut self, told: Told, now: u64) -> bool {
        let Some(set) = self.sets.get_mut(set_of(told.tag)) else { return true };
        let way = match set.find(told.tag) {
            Some(way) => way,
            None => {
                let (way, used) = set.fullest(now);
                if used > 0.0 && used >= told.taken as f64 / told.depth.max(1) as f64 {
                    return true;
                }
                let (Some(its), Some(slot)) = (set.tags.get_mut(way), set.slots.get_mut(way)) else {
                    return true;
                };
                *its = told.tag;
                *slot = Slot { depth: told.depth, ..Slot::default() };
                way
            }
        };
        if let Some(slot) = set.slots.get_mut(way) {
            slot.bucket.owe(told.taken, now);
        }
        false
    }
}

/// Of a place that is not there, which no tag leads to.
const PASSED: Taken = Taken {
    verdict: Verdict { allowed: true, standing: Standing { remaining: 0, seconds: 1 } },
    evicted: false,
};

/// Tags are hashes: any of their bits will do.
fn set_of(tag: u64) -> usize {
    tag as usize % SETS
}
