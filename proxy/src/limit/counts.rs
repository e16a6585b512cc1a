//! How many of each key are under way, over all workers: each worker writes a column of its own, of fixed size, and adds up
//! those of the others when it looks.
//!
//! A key is in the same set of every column. Where a set has no way left the key is not counted and so not limited: whoever
//! holds so many keys that this happens harms nobody else by it.

use std::sync::{
    OnceLock,
    atomic::{
        AtomicU32, AtomicU64,
        Ordering::{Relaxed, SeqCst},
        fence,
    },
};

use super::buckets::WAYS;
use crate::limits::LIMIT_KEYS_MAX;

const SETS: usize = LIMIT_KEYS_MAX / WAYS;

/// Tag 0: nobody. Padded, so that keys of different sets are on different lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Set {
    tags: [AtomicU64; WAYS],
    counts: [AtomicU32; WAYS],
}

impl Set {
    fn find(&self, tag: u64) -> Option<usize> {
        self.tags.iter().position(|it| it.load(Relaxed) == tag)
    }

    fn count(&self, tag: u64) -> u32 {
        let way = self.find(tag).and_then(|way| self.counts.get(way));
        way.map_or(0, |count| count.load(Relaxed))
    }
}

/// One worker's; made when it is first needed.
#[derive(Debug, Default)]
struct Column(OnceLock<Box<[Set]>>);

/// Whether there is room for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// It has been counted, at this place of the worker's column, and is to be given back.
    Taken(u32),
    /// As many are under way as may be.
    Full,
    /// The table has no place for the key.
    Uncounted,
}

/// What is under way, by key.
#[derive(Debug)]
pub struct Counts {
    columns: Box<[Column]>,
}

impl Counts {
    /// Nothing under way, for so many workers.
    pub fn new(workers: usize) -> Counts {
        Counts { columns: (0..workers).map(|_| Column::default()).collect() }
    }

    /// Counts one more of `tag`, which is not 0, if with it there are at most `most` over all workers. Only worker `worker`
    /// may. Never are there more; two workers that ask for the last seat in the same instant may both be refused.
    pub fn take(&self, worker: usize, tag: u64, most: u32) -> Seat {
        let Some(column) = self.columns.get(worker) else { return Seat::Uncounted };
        let own = column.0.get_or_init(|| (0..SETS).map(|_| Set::default()).collect());
        let at = tag as usize % SETS;
        let Some(set) = own.get(at) else { return Seat::Uncounted };
        let Some(way) = set.find(tag).or_else(|| set.find(0)) else { return Seat::Uncounted };
        let (Some(its), Some(count)) = (set.tags.get(way), set.counts.get(way)) else {
            return Seat::Uncounted;
        };
        let mine = count.load(Relaxed) + 1;
        its.store(tag, Relaxed);
        count.store(mine, Relaxed);
        let place = (at * WAYS + way) as u32;
        if mine > most || u64::from(mine) + self.elsewhere(worker, at, tag) > u64::from(most) {
            self.give_back(worker, place);
            return Seat::Full;
        }
        Seat::Taken(place)
    }

    /// How many the other workers have.
    fn elsewhere(&self, worker: usize, at: usize, tag: u64) -> u64 {
        if self.columns.len() < 2 {
            return 0;
        }
        // Ours is seen by whoever asks after us, or theirs by us.
        fence(SeqCst);
        let others = self.columns.iter().enumerate().filter(|(index, _)| *index != worker);
        let sets = others.filter_map(|(_, column)| column.0.get()?.get(at));
        sets.map(|set| u64::from(set.count(tag))).sum()
    }

    /// One less at this place. Only the worker that has taken it may.
    pub fn give_back(&self, worker: usize, place: u32) {
        let (at, way) = (place as usize / WAYS, place as usize % WAYS);
        let set = self.columns.get(worker).and_then(|column| column.0.get()).and_then(|sets| sets.get(at));
        let Some((tag, count)) = set.and_then(|set| Some((set.tags.get(way)?, set.counts.get(way)?))) else {
            return;
        };
        let left = count.load(Relaxed).saturating_sub(1);
        count.store(left, Relaxed);
        if left == 0 {
            tag.store(0, Relaxed);
        }
    }

    /// Forgets all that a worker has counted: it has died, and what it served has ended with it.
    pub fn clear(&self, worker: usize) {
        let sets = self.columns.get(worker).and_then(|column| column.0.get());
        for set in sets.into_iter().flatten() {
            set.counts.iter().for_each(|count| count.store(0, Relaxed));
            set.tags.iter().for_each(|tag| tag.store(0, Relaxed));
        }
    }

    /// How many of `tag` there are, over all workers.
    pub fn count(&self, tag: u64) -> u64 {
        let sets = self.columns.iter().filter_map(|column| column.0.get()?.get(tag as usize % SETS));
        sets.map(|set| u64::from(set.count(tag))).sum()
    }
}
