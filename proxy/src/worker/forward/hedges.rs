//! What a worker knows of routes that hedge: how long their answers take, and what second tries may be made.

use std::{cell::RefCell, collections::HashMap, hash::BuildHasherDefault, pin::Pin, time::Duration};

use monoio::time::{Instant, Sleep, sleep_until};

use crate::{
    observe::histogram::IdHasher,
    route::{Hedge, HedgeAfter},
    upstream::{
        budget::{Allowance, Budget},
        recent::Recent,
    },
};

/// Timers that are kept for the next wait. Waits end within milliseconds of each other, so few are under way at a time.
const TIMERS_MAX: usize = 256;

/// Of every route that hedges and has been used.
#[derive(Default)]
pub struct Hedges {
    /// By its id.
    routes: RefCell<HashMap<u32, Box<State>, BuildHasherDefault<IdHasher>>>,
    /// Not in use.
    timers: RefCell<Vec<Pin<Box<Sleep>>>>,
}

#[derive(Default)]
struct State {
    recent: Recent,
    budget: Budget,
}

fn allowance(hedge: &Hedge) -> Allowance {
    Allowance { percent: hedge.budget_percent, per_second: 0 }
}

impl Hedges {
    /// A request has come.
    pub fn note_request(&self, route: u32, hedge: &Hedge, now: Duration) {
        self.routes.borrow_mut().entry(route).or_default().budget.note_request(now, allowance(hedge));
    }

    /// How long it may go without an answer. `None`: too few have been answered to tell.
    pub fn after(&self, route: u32, hedge: &Hedge) -> Option<Duration> {
        let mut all = self.routes.borrow_mut();
        let state = all.get_mut(&route)?;
        match hedge.after {
            HedgeAfter::Fixed(after) => Some(after),
            HedgeAfter::Quantile(thousandths) => {
                state.recent.quantile(thousandths).map(Duration::from_micros)
            }
        }
    }

    /// Notes how long a first try took to answer, or had taken when it was given up.
    pub fn record(&self, route: u32, hedge: &Hedge, micros: u64) {
        if let (HedgeAfter::Quantile(_), Some(state)) =
            (hedge.after, self.routes.borrow_mut().get_mut(&route))
        {
            state.recent.record(micros);
        }
    }

    /// Takes what a second try costs. False: there is not so much.
    pub fn take(&self, route: u32, hedge: &Hedge, now: Duration) -> bool {
        let mut all = self.routes.borrow_mut();
        all.get_mut(&route).is_some_and(|state| state.budget.take(now, allowance(hedge)))
    }

    /// A timer that ends at `until`. Its 128-byte alignment makes it slow to allocate, so it is used again.
    pub fn timer(&self, until: Instant) -> Pin<Box<Sleep>> {
        match self.timers.borrow_mut().pop() {
            Some(mut timer) => {
                timer.as_mut().reset(until);
                timer
            }
            None => Box::pin(sleep_until(until)),
        }
    }

    /// Takes it back. Should it not be used again before it ends, it wakes whoever waited for it last once more than it had
    /// to.
    pub fn give_timer(&self, timer: Pin<Box<Sleep>>) {
        let mut timers = self.timers.borrow_mut();
        if timers.len() < TIMERS_MAX {
            timers.push(timer);
        }
    }

    /// Gives up what is known of routes that are not there any more.
    pub fn keep(&self, is_there: impl Fn(u32) -> bool) {
        self.routes.borrow_mut().retain(|route, _| is_there(*route));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P95: Hedge = Hedge { after: HedgeAfter::Quantile(950), budget_percent: 50 };
    const NOW: Duration = Duration::ZERO;

    #[test]
    fn each_route_has_its_own_times_and_budget() {
        let hedges = Hedges::default();
        for micros in 0..200 {
            hedges.note_request(1, &P95, NOW);
            hedges.record(1, &P95, 1_000 + micros);
        }
        assert!(hedges.after(1, &P95).is_some_and(|it| it >= Duration::from_micros(1_189)));
        hedges.note_request(2, &P95, NOW);
        assert_eq!(hedges.after(2, &P95), None);
        // Two requests earn one second try.
        assert!(!hedges.take(2, &P95, NOW) && hedges.take(1, &P95, NOW));
        hedges.note_request(2, &P95, NOW);
        assert!(hedges.take(2, &P95, NOW) && !hedges.take(2, &P95, NOW));
        assert!(!hedges.take(3, &P95, NOW), "nobody has asked for it");
    }

    #[test]
    fn a_time_that_is_given_needs_no_answers() {
        let hedges = Hedges::default();
        let after = Duration::from_millis(50);
        let fixed = Hedge { after: HedgeAfter::Fixed(after), budget_percent: 5 };
        hedges.note_request(1, &fixed, NOW);
        assert_eq!(hedges.after(1, &fixed), Some(after));
    }

    #[test]
    fn routes_that_are_gone_are_forgotten() {
        let hedges = Hedges::default();
        (0..10).for_each(|route| hedges.note_request(route, &P95, NOW));
        hedges.keep(|route| route % 2 == 0);
        assert_eq!(hedges.routes.borrow().len(), 5);
    }
}
