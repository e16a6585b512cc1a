//! What one worker tells the others, in a ring of fixed size: it writes, they read at their own pace, and who is too slow
//! misses the oldest. Nobody waits for anybody.

use std::sync::{
    OnceLock,
    atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
        fence,
    },
};

use crate::limits::{LIMIT_JOURNAL_ENTRIES, LIMIT_NEWS_MAX};

const ENTRIES: u64 = LIMIT_JOURNAL_ENTRIES as u64;

// A reader that keeps up sees whole batches.
const _: () = assert!(LIMIT_NEWS_MAX * 2 <= LIMIT_JOURNAL_ENTRIES && LIMIT_JOURNAL_ENTRIES.is_power_of_two());

/// So much was taken out of the bucket of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The key's tag.
    pub tag: u64,
    /// In nanoseconds of filling.
    pub taken: u64,
    /// What its bucket holds, in the same.
    pub depth: u64,
}

#[derive(Debug, Default)]
struct Entry {
    tag: AtomicU64,
    taken: AtomicU64,
    depth: AtomicU64,
}

/// The ring of one worker. One writer, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Journal {
    /// Entries whose writing has begun, since the process started.
    begun: AtomicU64,
    /// Entries that can be read.
    done: AtomicU64,
    /// Made when the first is written: a process without rate limits has none.
    entries: OnceLock<Box<[Entry]>>,
}

impl Journal {
    /// Adds what `batch` gives, at most `LIMIT_NEWS_MAX` entries. Only the worker whose it is may.
    pub fn write(&self, batch: impl Iterator<Item = Told>) {
        let entries = self.entries.get_or_init(|| (0..ENTRIES).map(|_| Entry::default()).collect());
        let done = self.done.load(Relaxed);
        // How many come is not known before; whoever reads meanwhile distrusts a few entries more than it has to.
        self.begun.store(done + LIMIT_NEWS_MAX as u64, Relaxed);
        fence(Release);
        let mut count = 0;
        for (told, at) in batch.take(LIMIT_NEWS_MAX).zip(done..) {
            if let Some(entry) = entries.get((at % ENTRIES) as usize) {
                entry.tag.store(told.tag, Relaxed);
                entry.taken.store(told.taken, Relaxed);
                entry.depth.store(told.depth, Relaxed);
            }
            count += 1;
        }
        self.begun.store(done + count, Relaxed);
        self.done.store(done + count, Release);
    }

    /// How many entries there have been: where a reader that is new begins.
    pub fn end(&self) -> u64 {
        self.done.load(Acquire)
    }

    /// Gives `each` what has come since `from`, which moves on. Returns how many entries were missed.
    pub fn read(&self, from: &mut u64, mut each: impl FnMut(Told)) -> u64 {
        let done = self.end();
        let Some(entries) = self.entries.get() else { return 0 };
        let oldest = done.saturating_sub(ENTRIES).max(*from);
        let mut missed = oldest - *from;
        for at in oldest..done {
            let Some(entry) = entries.get((at % ENTRIES) as usize) else { break };
            let (tag, taken, depth) =
                (entry.tag.load(Relaxed), entry.taken.load(Relaxed), entry.depth.load(Relaxed));
            fence(Acquire);
            // Its place may have been taken while it was read: then any of the three may be another's.
            if self.begun.load(Relaxed) > at + ENTRIES {
                missed += 1;
            } else {
                each(Told { tag, taken, depth });
            }
        }
        *from = done;
        missed
    }
}
