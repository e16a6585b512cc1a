//! Whether the machine was quiet enough to tell.
use crate::loadtest::{
    measured::Spread,
    noise::{FOREIGN_CORES_MAX, REFERENCE_SPREAD_MAX},
};

use super::window::Window;

/// A generator or a prober that was this late was not on time.
const LATE_US: u64 = 20_000;

/// All there is to say, in sentences; nothing where it was quiet. `quiet` are runs that did the same: where they differ,
/// it is the machine that differs.
pub(super) fn sentences<'a>(all: impl Iterator<Item = &'a Window> + Clone, quiet: &[&Window]) -> Vec<String> {
    let mut sentences = Vec::new();
    let foreign = Spread::of(all.clone().map(|it| it.foreign_cores));
    if let Some(it) = foreign.filter(|it| it.median > FOREIGN_CORES_MAX) {
        sentences.push(format!(
            "too noisy to tell: other processes used {:.2} cores meanwhile ({:.2} to {:.2}, bound {FOREIGN_CORES_MAX}): \
             measure again alone",
            it.median, it.min, it.max
        ));
    }
    let rates = Spread::of(quiet.iter().map(|it| it.load.requests_per_second));
    let share = rates.map(|it| (it.max - it.min) / it.median.max(1.0));
    if let Some(share) = share.filter(|share| *share > REFERENCE_SPREAD_MAX) {
        sentences.push(format!(
            "too noisy to tell: throughput without changes differs by {:.0} % of its median from one time to the next \
             (bound {:.0} %)",
            share * 100.0,
            REFERENCE_SPREAD_MAX * 100.0
        ));
    }
    let late = all.filter(|it| it.changes.sent > 0 && it.changes.lateness_us.p99 > LATE_US).count();
    if late > 0 {
        sentences.push(format!(
            "in {late} runs 1 % of the changes were sent over {} ms late: the sender had to wait for a core, or for the proxy",
            LATE_US / 1000
        ));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::cell::samples::window;

    #[test]
    fn it_says_what_only_the_machine_can_have_done() {
        let quiet = [window(100.0, 0), window(110.0, 0)];
        let of = |all: &[Window]| sentences(all.iter(), &all.iter().collect::<Vec<_>>());
        assert!(of(&quiet).is_empty());
        let unsteady = of(&[window(100.0, 0), window(150.0, 0)]);
        assert!(unsteady[0].contains("40 %"), "{unsteady:?}");
        let mut busy = quiet.to_vec();
        busy.iter_mut().for_each(|it| it.foreign_cores = 0.5);
        assert!(of(&busy)[0].contains("0.50 cores"));
        let mut late = window(100.0, 5);
        late.changes.lateness_us.p99 = LATE_US + 1;
        assert!(of(&[late])[0].contains("in 1 runs"));
    }
}
