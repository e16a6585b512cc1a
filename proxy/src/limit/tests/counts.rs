//! Counts of what is under way.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::{
    limit::{Counts, Seat},
    limits::LIMIT_KEYS_MAX,
};

#[test]
fn seats_are_counted_over_all_workers() {
    let counts = Counts::new(3);
    let mut seats = Vec::new();
    for worker in [0, 1, 2, 0, 1] {
        let Seat::Taken(place) = counts.take(worker, 7, 5) else { panic!("there is room") };
        seats.push((worker, place));
    }
    for worker in 0..3 {
        assert_eq!(counts.take(worker, 7, 5), Seat::Full);
        // Other keys are others' business.
        assert!(matches!(counts.take(worker, 8, 5), Seat::Taken(_)));
    }
    let (worker, place) = seats.remove(1);
    counts.give_back(worker, place);
    assert!(matches!(counts.take(2, 7, 5), Seat::Taken(_)));
    assert_eq!(counts.take(0, 7, 5), Seat::Full);
    assert_eq!(counts.count(7), 5);
}

#[test]
fn what_is_given_back_leaves_nothing() {
    let counts = Counts::new(1);
    for tag in 1..=LIMIT_KEYS_MAX as u64 * 4 {
        let Seat::Taken(place) = counts.take(0, tag, 1) else { panic!("there is room for {tag}") };
        assert_eq!(counts.take(0, tag, 1), Seat::Full);
        counts.give_back(0, place);
        assert_eq!(counts.count(tag), 0);
    }
}

#[test]
fn a_full_set_counts_no_more_keys_and_harms_none() {
    let counts = Counts::new(1);
    let sets = (LIMIT_KEYS_MAX / super::super::buckets::WAYS) as u64;
    let tag = |nth: u64| sets * nth + 1;
    let seats: Vec<Seat> = (0..9).map(|nth| counts.take(0, tag(nth), 1)).collect();
    assert!(seats[..8].iter().all(|seat| matches!(seat, Seat::Taken(_))));
    assert_eq!(seats[8], Seat::Uncounted);
    assert_eq!(counts.take(0, tag(3), 1), Seat::Full);
}

#[test]
fn a_worker_that_died_holds_nothing() {
    let counts = Counts::new(2);
    assert!(matches!(counts.take(0, 7, 1), Seat::Taken(_)));
    assert_eq!(counts.take(1, 7, 1), Seat::Full);
    counts.clear(0);
    assert!(matches!(counts.take(1, 7, 1), Seat::Taken(_)));
}

/// Never more than the limit at once, whoever asks at the same time.
#[test]
fn workers_that_race_never_pass_the_limit() {
    const MOST: u32 = 2;
    let counts = Arc::new(Counts::new(4));
    let (inside, worst) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let (counts, inside, worst) = (Arc::clone(&counts), Arc::clone(&inside), Arc::clone(&worst));
            std::thread::spawn(move || {
                let mut taken = 0;
                for _ in 0..20_000 {
                    if let Seat::Taken(place) = counts.take(worker, 7, MOST) {
                        taken += 1;
                        worst.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        counts.give_back(worker, place);
                    }
                }
                taken
            })
        })
        .collect();
    let taken: Vec<u32> = workers.into_iter().map(|it| it.join().unwrap()).collect();
    assert!(worst.load(Ordering::SeqCst) <= MOST);
    // Who holds a seat may be put aside by the system for as long as another asks: not everybody need have got one.
    assert!(taken.iter().any(|taken| *taken > 0), "{taken:?}");
    assert_eq!(counts.count(7), 0);
}
