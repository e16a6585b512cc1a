//! Whether the machine was quiet enough to tell.
use super::measured::{Figure, Kind, Measured, Spread};

/// Others that use more of the machine than this, in cores, make figures doubtful.
pub(crate) const FOREIGN_CORES_MAX: f64 = 0.15;

/// The origin alone and the bare forwarder do the same work in each round. Where their own figures differ by more than
/// this from one round to the next, relative to the median, it is the machine that differs.
pub(crate) const REFERENCE_SPREAD_MAX: f64 = 0.25;

/// A subject's CPU times this far apart say that a ratio to it may be off as well.
const SUBJECT_SPREAD_MAX: f64 = 0.35;

/// All there is to say, in sentences; nothing where it was quiet.
pub(super) fn sentences(measured: &[Measured]) -> Vec<String> {
    let mut sentences = Vec::new();
    let foreign = Spread::of(measured.iter().flat_map(|one| one.foreign_cores.iter().copied()));
    if let Some(foreign) = foreign.filter(|foreign| foreign.median > FOREIGN_CORES_MAX) {
        sentences.push(format!(
            "too noisy to tell: other processes used {:.2} cores meanwhile ({:.2} to {:.2}, bound {FOREIGN_CORES_MAX}): \
             measure again alone",
            foreign.median, foreign.min, foreign.max
        ));
    }
    let references: Vec<_> = measured.iter().filter_map(of_reference).collect();
    if !references.is_empty() {
        sentences.push(format!(
            "too noisy to tell: figures that only the machine can change differ between rounds by more than {:.0} % of \
             their median: {}",
            REFERENCE_SPREAD_MAX * 100.0,
            references.join(", ")
        ));
    }
    let wide = measured.iter().filter(|one| {
        !is_reference(one) && spread(one, Figure::Cpu).is_some_and(|share| share > SUBJECT_SPREAD_MAX)
    });
    let wide: Vec<_> = wide.map(|one| format!("{} {}", one.scenario.name, one.subject)).collect();
    if !wide.is_empty() {
        sentences.push(format!(
            "CPU per request differs between rounds by more than {:.0} % of its median in {}",
            SUBJECT_SPREAD_MAX * 100.0,
            wide.join(", ")
        ));
    }
    sentences
}

/// Whether a scenario's figures are doubtful.
pub(super) fn is_noisy(measured: &[Measured], scenario: &str) -> bool {
    let of_scenario = || measured.iter().filter(|one| one.scenario.name == scenario);
    let foreign = Spread::of(of_scenario().flat_map(|one| one.foreign_cores.iter().copied()));
    foreign.is_some_and(|foreign| foreign.median > FOREIGN_CORES_MAX)
        || of_scenario().any(|one| of_reference(one).is_some())
}

/// What a reference of the machine itself was measured by.
fn reference_figure(one: &Measured) -> Option<(Figure, &'static str)> {
    match one.kind {
        Kind::Direct => Some((Figure::Rate, "throughput")),
        Kind::Floor => Some((Figure::Cpu, "CPU per request")),
        Kind::Ringlane | Kind::Peer | Kind::External => None,
    }
}

fn is_reference(one: &Measured) -> bool {
    reference_figure(one).is_some()
}

fn of_reference(one: &Measured) -> Option<String> {
    let (figure, name) = reference_figure(one)?;
    let share = spread(one, figure).filter(|&share| share > REFERENCE_SPREAD_MAX)?;
    Some(format!("{} {} {name} ({:.0} %)", one.scenario.name, one.subject, share * 100.0))
}

/// The distance from smallest to largest, relative to the median.
fn spread(one: &Measured, figure: Figure) -> Option<f64> {
    let spread = one.spread(figure)?;
    Some((spread.max - spread.min) / spread.median)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadtest::measured::samples::measured;

    #[test]
    fn a_quiet_run_has_nothing_to_say() {
        let quiet = [measured("13b-64", "floor", Kind::Floor, &[10.0, 11.0, 12.0])];
        assert!(sentences(&quiet).is_empty() && !is_noisy(&quiet, "13b-64"));
    }

    #[test]
    fn the_floors_own_spread_is_the_machines() {
        let noisy = [
            measured("13b-64", "floor", Kind::Floor, &[10.0, 10.0, 13.0]),
            measured("13b-256", "floor", Kind::Floor, &[10.0, 10.0, 10.0]),
        ];
        let sentence = &sentences(&noisy)[0];
        assert!(sentence.contains("13b-64") && sentence.contains("30 %"), "{sentence}");
        assert!(is_noisy(&noisy, "13b-64") && !is_noisy(&noisy, "13b-256"));
    }

    #[test]
    fn others_that_used_the_machine_are_said() {
        let mut one = measured("13b-64", "ringlane", Kind::Ringlane, &[10.0]);
        one.foreign_cores = vec![0.1, 0.2, 0.9];
        assert!(sentences(&[one.clone()])[0].contains("0.20 cores"));
        assert!(is_noisy(&[one], "13b-64"));
    }
}
