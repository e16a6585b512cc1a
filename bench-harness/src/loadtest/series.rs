//! The measuring itself: for each scenario, rounds of one run per subject, in turn, so that what disturbs the machine
//! for a while disturbs all of them alike.
use std::time::{Duration, Instant};

use super::{
    Cores,
    measured::Measured,
    options::LoadtestArgs,
    origin,
    scenario::Scenario,
    subject::{Subject, Subjects},
};
use crate::{
    cpu,
    echo::stats::Snapshot,
    fault::Result,
    load::{
        self, Plan, Request,
        options::{Target, parse_url},
        progress::Display,
        tally::Tally,
    },
    report::Figures,
};

/// A request that takes longer has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The round that is thrown away need not be longer.
const WARMUP_ROUND_MAX: Duration = Duration::from_secs(1);

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
        let mut measured =
            subjects.all.iter().map(|subject| begin(scenario, subject)).collect::<Result<Vec<_>>>()?;
        // Round 0 warms caches, pools and the allocator, and is thrown away.
        for round in 0..=scenario.rounds {
            for (subject, measured) in subjects.all.iter().zip(&mut measured) {
                display.next(label(scenario, subject, round));
                let mut plan = plan(args, scenario, subject, cores)?;
                if round == 0 {
                    plan.duration = plan.duration.min(WARMUP_ROUND_MAX);
                }
                one_run(&plan, round, subjects, measured, &mut display)?;
            }
        }
        all.extend(measured);
    }
    display.finish();
    Ok(all)
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
    measured: &mut Measured,
    display: &mut Display,
) -> Result<()> {
    let before = subjects.origin.map(origin::stats).transpose()?;
    let (started, busy, ours) = (Instant::now(), cpu::machine(), subjects.cpu_time()?);
    let outcome = load::run(plan, &mut |progress| display.show(progress))?;
    let (elapsed, busy, ours) = (started.elapsed(), cpu::machine() - busy, subjects.cpu_time()? - ours);
    let after = subjects.origin.map(origin::stats).transpose()?;

    let figures = Figures::of(&outcome, plan.connections);
    // Somebody else's server is not told apart from somebody else's disturbance.
    let foreign = subjects.origin.map(|_| busy.saturating_sub(ours).as_secs_f64() / elapsed.as_secs_f64());
    display.note(&describe(&figures, foreign));
    note_disagreements(measured, &figures, before.zip(after));
    if round > 0 {
        measured.latency = merged(&measured.latency, &outcome.tally)?;
        measured.rounds.push(figures);
        measured.foreign_cores.extend(foreign);
    } else if figures.errors > 0 {
        measured.disagreements.push(format!(
            "warm-up: {}: {}",
            figures.errors_text(),
            figures.error_examples.join("; ")
        ));
    }
    Ok(())
}

fn begin(scenario: &Scenario, subject: &Subject) -> Result<Measured> {
    Ok(Measured {
        scenario: scenario.clone(),
        subject: subject.name.clone(),
        kind: subject.kind,
        rounds: Vec::new(),
        origin_connections: 0,
        disagreements: Vec::new(),
        foreign_cores: Vec::new(),
        latency: Tally::new()?.latency,
    })
}

fn merged(sum: &hdrhistogram::Histogram<u64>, tally: &Tally) -> Result<hdrhistogram::Histogram<u64>> {
    let mut both = Tally::new()?;
    both.latency = sum.clone();
    both.merge(tally)?;
    Ok(both.latency)
}

fn plan(args: &LoadtestArgs, scenario: &Scenario, subject: &Subject, cores: Cores) -> Result<Plan> {
    let target = match &subject.url {
        Some(url) => parse_url(url)?,
        None => Target { host: subject.address.to_string(), path: scenario.path() },
    };
    Ok(Plan {
        connections: scenario.connections,
        new_connection: scenario.new_connection,
        duration: args.duration,
        warmup: args.warmup,
        timeout: REQUEST_TIMEOUT,
        cores: cores.load.into_iter().collect(),
        pids: subject.pid.into_iter().collect(),
        ..Plan::of(subject.address, Request::get(&target, scenario.new_connection))
    })
}

/// Holds the generator's counts against the origin's: each answer that was received was asked for, once.
fn note_disagreements(measured: &mut Measured, figures: &Figures, stats: Option<(Snapshot, Snapshot)>) {
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
    // The second reading is itself a connection.
    measured.origin_connections += after.connections - before.connections - 1;
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
