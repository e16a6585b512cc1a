//! The measuring itself: for each scenario, rounds of one run per subject, in turn, so that what disturbs the machine
//! for a while disturbs all of them alike.
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{
    Cores,
    measured::{Figure, Measured, Second},
    options::LoadtestArgs,
    origin, phases, plans,
    scenario::Scenario,
    subject::{Subject, Subjects},
};
use crate::{
    cpu,
    echo::stats::Snapshot,
    fault::Result,
    load::{self, Interval, Plan, progress::Display, tally::Tally},
    report::{Figures, figures::Latency},
    resident,
};

/// The round that is thrown away need not be longer.
const WARMUP_ROUND_MAX: Duration = Duration::from_secs(1);

/// More kinds of requests than this are counted and not listed: a record is read by people, too.
const KINDS_LISTED_MAX: usize = 32;

/// One subject in the scenario that is being measured.
struct Contender<'a> {
    subject: &'a Subject,
    measured: Measured,
    /// What it could do in the round that is thrown away, in a closed loop.
    maximum: f64,
    phases_before: phases::Snapshot,
    /// How often each kind of request was answered in the measured rounds.
    by_request: Vec<u64>,
}

/// Measures every subject in every scenario.
pub(super) fn run(
    args: &LoadtestArgs,
    scenarios: &[Scenario],
    subjects: &Subjects,
    cores: Cores,
) -> Result<Vec<Measured>> {
    let one_scenario = |scenario: &Scenario| {
        let warmup = args.warmup + args.duration.min(WARMUP_ROUND_MAX);
        (warmup + (args.warmup + args.duration) * scenario.rounds as u32) * subjects.all.len() as u32
    };
    let mut display = Display::series(scenarios.iter().map(one_scenario).sum());
    let mut all = Vec::new();
    for scenario in scenarios {
        let measured = one_scenario_run(args, scenario, subjects, cores, &all, &mut display)?;
        all.extend(measured);
    }
    display.finish();
    Ok(all)
}

fn one_scenario_run(
    args: &LoadtestArgs,
    scenario: &Scenario,
    subjects: &Subjects,
    cores: Cores,
    before: &[Measured],
    display: &mut Display,
) -> Result<Vec<Measured>> {
    let mut contenders =
        subjects.all.iter().map(|subject| begin(scenario, subject)).collect::<Result<Vec<_>>>()?;
    // Round 0 warms caches, pools and the allocator, and is thrown away.
    for contender in &mut contenders {
        display.next(label(scenario, contender.subject, 0));
        let mut plan = plans::plan(args, scenario, contender.subject, cores, None)?;
        plan.duration = plan.duration.min(WARMUP_ROUND_MAX);
        one_run(&plan, 0, subjects, contender, display)?;
        contender.maximum = measured_maximum(before, &contender.measured).unwrap_or(contender.maximum);
    }
    let rate = scenario.open.then(|| {
        let maxima: Vec<_> = contenders.iter().map(|it| (it.measured.kind, it.maximum)).collect();
        args.rate.unwrap_or_else(|| plans::open_rate(&maxima))
    });
    if let Some(rate) = rate {
        contenders.retain(|contender| keeps_up(contender, rate));
    }
    for contender in &mut contenders {
        contender.phases_before = phases_of(contender.subject)?;
    }
    for round in 1..=scenario.rounds {
        for contender in &mut contenders {
            display.next(label(scenario, contender.subject, round));
            let plan = plans::plan(args, scenario, contender.subject, cores, rate)?;
            one_run(&plan, round, subjects, contender, display)?;
        }
    }
    contenders.into_iter().map(end).collect()
}

/// The rate in the closed loop that is otherwise the same, where it was measured: better than that of a warm-up.
fn measured_maximum(before: &[Measured], one: &Measured) -> Option<f64> {
    let same = |other: &&Measured| {
        let closed = Scenario {
            name: other.scenario.name.clone(),
            title: other.scenario.title.clone(),
            rounds: other.scenario.rounds,
            open: false,
            ..one.scenario.clone()
        };
        other.subject == one.subject && other.scenario == closed
    };
    before.iter().find(same)?.spread(Figure::Rate).map(|rate| rate.median)
}

fn keeps_up(contender: &Contender<'_>, rate: f64) -> bool {
    let (name, maximum) = (&contender.subject.name, contender.maximum);
    let carries = plans::carries(maximum, rate);
    if !carries {
        let scenario = &contender.measured.scenario.name;
        eprintln!(
            "{scenario}: {name} is left out: it did {maximum:.0} requests/s, too few to be asked {rate:.0}"
        );
    }
    carries
}

/// Nothing of a subject without an admin listener.
fn phases_of(subject: &Subject) -> Result<phases::Snapshot> {
    subject.admin.map_or_else(|| Ok(phases::Snapshot::new()), phases::snapshot)
}

fn label(scenario: &Scenario, subject: &Subject, round: usize) -> String {
    match round {
        0 => format!("{} {}, warm-up", scenario.name, subject.name),
        n => format!("{} {}, round {n} of {}", scenario.name, subject.name, scenario.rounds),
    }
}

fn one_run(
    plan: &Plan,
    round: usize,
    subjects: &Subjects,
    contender: &mut Contender<'_>,
    display: &mut Display,
) -> Result<()> {
    let before = subjects.origin.map(origin::stats).transpose()?;
    let (started, busy, ours) = (Instant::now(), cpu::machine(), subjects.cpu_time()?);
    let mut seconds = Vec::new();
    let outcome = load::run_logged(plan, &mut |progress| display.show(progress), &mut |interval| {
        // What was still under way when the window closed is in the figures; on a line it would be a second of its own.
        if interval.from < plan.duration {
            seconds.push(second(round, interval));
        }
    })?;
    let (elapsed, busy, ours) = (started.elapsed(), cpu::machine() - busy, subjects.cpu_time()? - ours);
    let after = subjects.origin.map(origin::stats).transpose()?;

    let mut figures = Figures::of(&outcome, plan.connections);
    if figures.targets.len() > KINDS_LISTED_MAX {
        figures.targets.clear();
    }
    // Somebody else's server is not told apart from somebody else's disturbance.
    let foreign = subjects.origin.map(|_| busy.saturating_sub(ours).as_secs_f64() / elapsed.as_secs_f64());
    display.note(&describe(&figures, foreign));
    let measured = &mut contender.measured;
    note_disagreements(measured, &figures, before.as_ref().zip(after.as_ref()));
    if round > 0 {
        contender.by_request.resize(plan.requests.len(), 0);
        contender.by_request.iter_mut().zip(&outcome.tally.by_request).for_each(|(sum, n)| *sum += n);
        measured.latency = merged(&measured.latency, &outcome.tally)?;
        measured.rounds.push(figures);
        measured.seconds.extend(seconds);
        // The second reading is itself a connection.
        let opened = before.zip(after).map(|(before, after)| after.connections - before.connections - 1);
        measured.origin_connections += opened.unwrap_or(0);
        measured.foreign_cores.extend(foreign);
        return Ok(());
    }
    contender.maximum = figures.requests_per_second;
    if figures.errors > 0 {
        measured.disagreements.push(format!(
            "warm-up: {}: {}",
            figures.errors_text(),
            figures.error_examples.join("; ")
        ));
    }
    Ok(())
}

fn second(round: usize, interval: &Interval) -> Second {
    Second {
        round,
        from: interval.from.as_secs_f64(),
        length: interval.length.as_secs_f64(),
        requests: interval.latency.len(),
        latency_us: Latency::of(&interval.latency),
    }
}

fn begin<'a>(scenario: &Scenario, subject: &'a Subject) -> Result<Contender<'a>> {
    let measured = Measured {
        scenario: scenario.clone(),
        subject: subject.name.clone(),
        kind: subject.kind,
        rounds: Vec::new(),
        origin_connections: 0,
        kinds_answered: 0,
        disagreements: Vec::new(),
        foreign_cores: Vec::new(),
        memory_idle: subject.memory_idle,
        memory_after: None,
        phases: Vec::new(),
        seconds: Vec::new(),
        latency: Tally::new()?.latency,
    };
    Ok(Contender {
        subject,
        measured,
        maximum: 0.0,
        phases_before: phases::Snapshot::new(),
        by_request: Vec::new(),
    })
}

fn end(contender: Contender<'_>) -> Result<Measured> {
    let Contender { subject, mut measured, phases_before, by_request, .. } = contender;
    measured.kinds_answered = by_request.iter().filter(|&&n| n > 0).count();
    measured.phases = phases::between(&phases_before, &phases_of(subject)?)?;
    measured.memory_after = subject.pid.map(resident::process_tree).transpose()?;
    Ok(measured)
}

fn merged(sum: &Histogram<u64>, tally: &Tally) -> Result<Histogram<u64>> {
    let mut both = Tally::new()?;
    both.latency = sum.clone();
    both.merge(tally)?;
    Ok(both.latency)
}

/// Holds the generator's counts against the origin's: each answer that was received was asked for, once.
fn note_disagreements(measured: &mut Measured, figures: &Figures, stats: Option<(&Snapshot, &Snapshot)>) {
    let Some((before, after)) = stats else { return };
    let asked = after.requests - before.requests;
    if figures.errors == 0 && asked != figures.requests_all {
        let line =
            format!("the origin answered {asked} requests, the generator got {}", figures.requests_all);
        measured.disagreements.push(line);
    }
    if after.bad_requests > before.bad_requests {
        measured.disagreements.push(format!("sent the origin a bad request: {}", after.last_bad_request));
    }
}

fn describe(figures: &Figures, foreign: Option<f64>) -> String {
    let others = foreign.map_or(String::new(), |cores| format!(", others used {cores:.2} cores"));
    let cpu = figures.cpu_us_per_request.map_or(String::new(), |us| format!("{us:.2} us CPU per request, "));
    format!(
        "{:.0} requests/s, {cpu}p99 {} us, {} errors{others}",
        figures.requests_per_second,
        figures.latency_us.p99,
        figures.errors_text()
    )
}
