//! The ring by which workers tell each other.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    limit::{Journal, Told},
    limits::{LIMIT_JOURNAL_ENTRIES, LIMIT_NEWS_MAX},
};

fn told(tag: u64) -> Told {
    Told { tag, taken: tag * 3, depth: tag * 7 }
}

fn read(journal: &Journal, from: &mut u64) -> (Vec<u64>, u64) {
    let mut seen = Vec::new();
    let missed = journal.read(from, |it| {
        assert_eq!(it, told(it.tag));
        seen.push(it.tag);
    });
    (seen, missed)
}

#[test]
fn readers_see_everything_once() {
    let journal = Journal::default();
    let (mut one, mut other) = (0, 0);
    assert_eq!(read(&journal, &mut one), (vec![], 0));
    journal.write((1..4).map(told));
    assert_eq!(read(&journal, &mut one), (vec![1, 2, 3], 0));
    journal.write((4..5).map(told));
    assert_eq!(read(&journal, &mut one), (vec![4], 0));
    assert_eq!(read(&journal, &mut other), (vec![1, 2, 3, 4], 0));
    assert_eq!(read(&journal, &mut other), (vec![], 0));
}

#[test]
fn who_is_too_slow_misses_the_oldest() {
    let journal = Journal::default();
    let mut from = 0;
    let all = LIMIT_JOURNAL_ENTRIES as u64 + LIMIT_NEWS_MAX as u64;
    for batch in 0..all / LIMIT_NEWS_MAX as u64 {
        let first = batch * LIMIT_NEWS_MAX as u64;
        journal.write((first..first + LIMIT_NEWS_MAX as u64).map(told));
    }
    let (seen, missed) = read(&journal, &mut from);
    assert_eq!(missed, LIMIT_NEWS_MAX as u64);
    assert_eq!(seen, (LIMIT_NEWS_MAX as u64..all).collect::<Vec<_>>());
}

/// A writer that laps its reader all the time: whatever is read is whole, and nothing is counted twice.
#[test]
fn what_is_read_is_whole() {
    let journal = Arc::new(Journal::default());
    let over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (journal, over) = (Arc::clone(&journal), Arc::clone(&over));
        std::thread::spawn(move || {
            for batch in 0..2_000_u64 {
                journal.write((batch * 500..(batch + 1) * 500).map(told));
            }
            over.store(true, Ordering::Release);
        })
    };
    let (mut from, mut last, mut seen, mut missed) = (0, None, 0, 0);
    loop {
        let ending = over.load(Ordering::Acquire);
        let (tags, gone) = read(&journal, &mut from);
        for tag in tags {
            assert!(last.is_none_or(|last| last < tag), "{tag} after {last:?}");
            last = Some(tag);
            seen += 1;
        }
        missed += gone;
        if ending {
            break;
        }
    }
    writer.join().unwrap();
    assert_eq!(seen + missed, 2_000 * 500);
    assert_eq!(last, Some(2_000 * 500 - 1));
}
