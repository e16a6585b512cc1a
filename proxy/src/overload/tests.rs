//! The controller before simulated workers.

use proptest::prelude::*;

use super::*;

const SETTINGS: Settings =
    Settings { max_lag: Duration::from_millis(50), interval: Duration::from_millis(100) };
/// Between two ticks of a worker that has nothing to do.
const TICK: f64 = 20.0;

/// A worker with so many clients of each priority, each of which asks again as soon as it has its answer: a turn of its loop
/// serves each once. What a request costs when it is served and when it is shed, in milliseconds.
struct Simulated {
    shedder: Shedder,
    clients: [u32; 3],
    served_cost: f64,
    shed_cost: f64,
    /// The length of the last turn.
    turn: f64,
    served: [u32; 3],
    shed: [u32; 3],
    changes: Vec<Change>,
}

impl Simulated {
    fn new(clients: [u32; 3], served_cost: f64, shed_cost: f64) -> Simulated {
        Simulated {
            shedder: Shedder::default(),
            clients,
            served_cost,
            shed_cost,
            turn: 0.0,
            served: [0; 3],
            shed: [0; 3],
            changes: Vec::new(),
        }
    }

    /// One tick after `TICK` and what is left of the turn, and the turns that pass meanwhile.
    fn tick(&mut self) -> f64 {
        let lag = self.turn * 1.5;
        let passed = TICK + lag;
        let ms = |ms: f64| Duration::from_secs_f64(ms / 1e3);
        let change = self.shedder.observe(&SETTINGS, ms(passed), ms(lag));
        if change != Change::None {
            self.changes.push(change);
        }
        let turns = (passed / self.turn.max(1.0)).round().max(1.0) as u32;
        let mut cost = 0.0;
        for _ in 0..turns {
            cost = 0.0;
            for priority in Priority::ALL {
                for _ in 0..self.clients[priority as usize] {
                    let shed = self.shedder.sheds(priority);
                    let count = if shed { &mut self.shed } else { &mut self.served };
                    count[priority as usize] += 1;
                    cost += if shed { self.shed_cost } else { self.served_cost };
                }
            }
        }
        self.turn = cost;
        lag
    }

    /// The mean lag over so many ticks.
    fn run(&mut self, ticks: u32) -> f64 {
        (0..ticks).map(|_| self.tick()).sum::<f64>() / f64::from(ticks)
    }

    fn forget(&mut self) {
        (self.served, self.shed) = ([0; 3], [0; 3]);
    }
}

const LOW: usize = Priority::Low as usize;
const NORMAL: usize = Priority::Normal as usize;
const HIGH: usize = Priority::High as usize;

#[test]
fn without_overload_nothing_is_shed() {
    let mut worker = Simulated::new([100, 100, 100], 0.1, 0.05);
    let lag = worker.run(1_000);
    assert!(lag < 50.0, "{lag}");
    assert_eq!((worker.shed, worker.changes.len()), ([0; 3], 0));
}

#[test]
fn a_lag_that_passes_is_no_overload() {
    let ms = Duration::from_millis;
    let mut shedder = Shedder::default();
    // One turn of a minute, and turns that are too slow now and then, or for less than the interval.
    assert_eq!(shedder.observe(&SETTINGS, ms(60_000), ms(60_000)), Change::None);
    for _ in 0..100 {
        assert_eq!(shedder.observe(&SETTINGS, ms(20), ms(1)), Change::None);
        for _ in 0..4 {
            assert_eq!(shedder.observe(&SETTINGS, ms(30), ms(200)), Change::None);
        }
    }
    assert_eq!(shedder.observe(&SETTINGS, ms(20), ms(1)), Change::None);
    // Two slow turns, however long.
    assert_eq!(shedder.observe(&SETTINGS, ms(5_000), ms(5_000)), Change::None);
    assert_eq!(shedder.observe(&SETTINGS, ms(5_000), ms(5_000)), Change::None);
    assert!(!shedder.sheds(Priority::Low));
    // The third one is.
    assert_eq!(shedder.observe(&SETTINGS, ms(5_000), ms(5_000)), Change::Begun);
}

#[test]
fn the_lag_comes_down_to_what_is_allowed_and_no_further() {
    for clients in [[400, 0, 0], [0, 400, 0], [100, 200, 100], [0, 0, 400]] {
        let mut worker = Simulated::new(clients, 1.0, 0.01);
        let unprotected = f64::from(clients.iter().sum::<u32>()) * 1.5;
        worker.run(200);
        worker.forget();
        let lag = worker.run(400);
        assert!((30.0..80.0).contains(&lag), "{clients:?}: {lag} of {unprotected}");
        // It serves what can be served in that time: a turn of 33 requests or so, and not much less.
        let served: u32 = worker.served.iter().sum();
        let all = served + worker.shed.iter().sum::<u32>();
        let per_turn = f64::from(served) / f64::from(all) * f64::from(clients.iter().sum::<u32>());
        assert!((15.0..60.0).contains(&per_turn), "{clients:?}: {per_turn}");
        assert_eq!(worker.changes, [Change::Begun], "{clients:?}");
    }
}

#[test]
fn low_priority_goes_first_and_high_last() {
    // Without those of low priority it is all right.
    let mut worker = Simulated::new([400, 8, 8], 1.0, 0.01);
    worker.run(500);
    assert!(worker.shed[LOW] > 0);
    assert_eq!((worker.shed[NORMAL], worker.shed[HIGH]), (0, 0));
    // Without those of high priority alone it is not.
    let mut worker = Simulated::new([20, 300, 10], 1.0, 0.01);
    worker.run(200);
    worker.forget();
    worker.run(300);
    assert_eq!((worker.served[LOW], worker.shed[HIGH]), (0, 0));
    assert!(worker.shed[NORMAL] > 0 && worker.served[NORMAL] > 0);
}

#[test]
fn it_recovers() {
    let mut worker = Simulated::new([0, 500, 0], 1.0, 0.01);
    worker.run(200);
    worker.clients = [0, 10, 0];
    worker.run(200);
    worker.forget();
    worker.run(100);
    assert_eq!((worker.shedder.level(), worker.shed), (0.0, [0; 3]));
    assert_eq!(worker.changes, [Change::Begun, Change::Ended]);
    // And a new overload has to be confirmed anew.
    worker.clients = [0, 500, 0];
    worker.run(200);
    assert_eq!(worker.changes, [Change::Begun, Change::Ended, Change::Begun]);
}

/// Where turning away is what takes the time, some are served all the same.
#[test]
fn some_are_served_whatever_happens() {
    let mut worker = Simulated::new([0, 1_000, 0], 1.0, 0.5);
    worker.run(200);
    worker.forget();
    worker.run(200);
    assert_eq!(worker.shedder.level(), LEVEL_MAX);
    let part = f64::from(worker.served[NORMAL]) / f64::from(worker.served[NORMAL] + worker.shed[NORMAL]);
    assert!((0.04..0.06).contains(&part), "{part}");
}

#[test]
fn as_much_is_shed_as_the_level_says() {
    for level in [1.0, 10.0, 33.0, 50.0, 95.0] {
        let seen = [500.0, 300.0, 200.0];
        let shares = shares(level, &seen);
        let shed: f64 = shares.iter().zip(&seen).map(|(share, seen)| share * seen).sum();
        assert!((shed / 10.0 - level).abs() < 1e-6, "{level}: {shares:?}");
    }
    assert_eq!(shares(0.0, &[1.0, 1.0, 1.0]), [0.0; 3]);
    assert_eq!(shares(50.0, &[0.0; 3]), [1.0, 0.0, 0.0]);
    assert_eq!(shares(50.0, &[0.0, 10.0, 0.0]), [1.0, 0.5, 0.0]);
}

proptest! {
    /// Whatever is observed and whatever comes.
    #[test]
    fn the_order_of_priorities_is_kept(
        turns in proptest::collection::vec((0_u64..500, 0_u64..500, 0_usize..40, 0_usize..40, 0_usize..40), 1..60),
    ) {
        let mut shedder = Shedder::default();
        for (passed, lag, low, normal, high) in turns {
            shedder.observe(&SETTINGS, Duration::from_millis(passed), Duration::from_millis(lag));
            prop_assert!((0.0..=LEVEL_MAX).contains(&shedder.level()));
            let [low_share, normal_share, high_share] = shedder.shares;
            prop_assert!(normal_share == 0.0 || low_share == 1.0, "{:?}", shedder.shares);
            prop_assert!(high_share == 0.0 || normal_share == 1.0, "{:?}", shedder.shares);
            for (priority, count) in Priority::ALL.into_iter().zip([low, normal, high]) {
                let share = shedder.shares[priority as usize];
                let shed = (0..count).filter(|_| shedder.sheds(priority)).count() as f64;
                // Evenly spread: never more than one off.
                prop_assert!((shed - share * count as f64).abs() <= 1.0 + 1e-6, "{shed} of {count}, {share}");
            }
        }
    }
}
