//! Single changes at interval 0: how soon each is in effect, and whether changes with ever new names leave memory behind.
use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::json;

use super::{
    TITLE,
    changes::{Counts, Series, Source, route_json},
    noise,
    options::StormArgs,
    site::{Setup, Site},
    window::{self, SENDERS, Storm, Window},
};
use crate::{
    client::Client,
    fault::{Fault, Result},
    guard::{kind::Kind, record::Figure},
    loadtest::{Cores, environment::Environment},
    memory::{judge::Growth, megabytes},
    report::{
        figures::Latency,
        sheet::{Part, Sheet},
        table::micros,
    },
    resident,
};

/// From one change to the next: far enough apart that each is alone.
const EVERY: Duration = Duration::from_millis(100);
/// Routes that are changed, in turn.
const CHANGED: usize = 5 * SENDERS;
/// What is asked for under load.
const SIZES: [(u64, u32); 1] = [(13, 1)];
/// With so many routes at most, 99 % of the changes are to be in effect after this.
const TARGETS: [(usize, Duration); 2] =
    [(5_000, Duration::from_millis(20)), (50_000, Duration::from_millis(150))];
/// Routes with new names that are there at a time; the oldest goes when one comes.
const KEPT: usize = 100;
/// What comes before the first sample of memory: all that is kept of changes is full by then.
const WARM_UP: usize = 3 * KEPT;
const SAMPLES: usize = 240;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Changes at one number of routes, with load or without.
#[derive(Clone, Debug, Serialize)]
struct Delays {
    routes: usize,
    loaded: bool,
    window: Window,
}

/// Changes with ever new names.
#[derive(Clone, Debug, Serialize)]
struct NewNames {
    routes: usize,
    changes: usize,
    seconds: f64,
    /// Of the answers that a change is in force.
    answer_us: Latency,
    refused: u64,
    example: Option<String>,
    resident_first_third: u64,
    resident_last_third: u64,
    resident_allowed: u64,
    steady: bool,
}

impl Delays {
    fn target(&self) -> Option<Duration> {
        TARGETS.iter().find(|(routes, _)| self.routes <= *routes).map(|(_, target)| *target)
    }

    fn is_met(&self) -> bool {
        let p99 = u128::from(self.window.changes.delay_us.p99);
        self.target().is_none_or(|target| p99 <= target.as_micros())
    }

    fn row(&self) -> Vec<String> {
        let Window { changes, builds, .. } = &self.window;
        let target = self.target().map_or("-".into(), |it| format!("{it:?}"));
        let verdict = if self.is_met() { "met" } else { "MISSED" };
        let mut row = vec![
            self.routes.to_string(),
            if self.loaded { "load" } else { "idle" }.to_owned(),
            changes.sent.to_string(),
            builds.to_string(),
        ];
        row.extend([changes.delay_us.p50, changes.delay_us.p99, changes.delay_us.max].map(micros));
        row.extend([target, verdict.into(), micros(changes.probe_us.p99)]);
        row
    }

    fn figure(&self) -> Figure {
        let load = if self.loaded { "under load" } else { "idle" };
        let name = format!("one change, {} routes, {load}: delay p99", self.routes);
        let value = self.window.changes.delay_us.p99 as f64;
        Figure { name, kind: Kind::Latency, value, min: None, max: None }
    }
}

const HEADER: [&str; 10] = [
    "routes",
    "proxy",
    "changes",
    "rebuilds",
    "delay p50",
    "p99",
    "max",
    "target p99",
    "verdict",
    "one answer p99",
];

/// Measures all of it. True: nothing went wrong, and targets are met.
pub(super) fn run(args: &StormArgs, cores: Cores, dir: &Path, mut environment: Environment) -> Result<bool> {
    let mut delays = Vec::new();
    let mut new_names = None;
    for routes in args.effect_routes() {
        let setup = Setup {
            name: format!("routes-{routes}"),
            forwarding: routes - CHANGED,
            interval: Duration::ZERO,
            included: None,
            etcd: None,
        };
        let site = Site::start(args, &setup, cores, dir)?;
        environment.drivers = vec![("ringlane".into(), site.info.words())];
        environment.debug_build |= site.is_debug();
        delays.extend(delays_of(args, &site, routes, cores)?);
        if new_names.is_none() {
            println!("{} changes with new names, {routes} routes ...", args.changes());
            new_names = Some(names(args.changes(), &site, routes)?);
        }
    }
    let noise = noise::sentences(delays.iter().map(|it| &it.window), &[]);
    let bad = delays.iter().any(|it| it.window.is_bad() || !it.is_met());
    let parts = vec![part(&delays)].into_iter().chain(new_names.as_ref().map(part_of_names)).collect();
    let good = !bad && new_names.as_ref().is_some_and(|it| it.steady && it.refused == 0);
    let figures = delays.iter().map(Delays::figure).collect();
    let results = json!({ "delays": delays, "new_names": new_names });
    Sheet { title: TITLE, environment, noise, parts, figures, results }.publish(dir)?;
    Ok(good)
}

fn delays_of(args: &StormArgs, site: &Site, routes: usize, cores: Cores) -> Result<Vec<Delays>> {
    let series = Series { source: Source::Api(site.admin), routes: CHANGED };
    let storm = |first, count, every| Storm {
        series: &series,
        first,
        count,
        every,
        offset: Duration::ZERO,
        interval: Duration::ZERO,
    };
    let added = CHANGED as u64;
    let setup = window::run(site, None, Duration::ZERO, &[storm(0, added, Duration::ZERO)], |_| Ok(()))?;
    if setup.changes.refused + setup.changes.lost > 0 {
        let example = setup.changes.examples.first().cloned().unwrap_or_default();
        return Err(Fault::new(format!("the routes to change could not be added: {example}")));
    }
    let duration = args.storm();
    let count = (duration.as_secs_f64() / EVERY.as_secs_f64()).ceil() as u64;
    let plan = site.plan(args, cores, &SIZES, duration)?;
    let mut delays = Vec::new();
    for (turn, loaded) in (0..).zip([false, true]) {
        println!("one change at a time, {routes} routes, {} ...", if loaded { "load" } else { "idle" });
        let storm = storm(added + turn * count, count, EVERY);
        let window = window::run(site, Some(&plan).filter(|_| loaded), duration, &[storm], |_| Ok(()))?;
        delays.push(Delays { routes, loaded, window });
    }
    Ok(delays)
}

/// One change after the other, each a route with a name and a path that there never was; the oldest of them goes.
fn names(changes: usize, site: &Site, routes: usize) -> Result<NewNames> {
    let mut client = Client::new(site.admin, ANSWER_TIMEOUT);
    let mut counts = Counts::new()?;
    let mut samples = Vec::new();
    let started = Instant::now();
    let every = (changes / SAMPLES).max(1);
    for number in 0..WARM_UP + changes {
        let body = route_json(&format!("/new/{number}"), number as u64);
        let sent = Instant::now();
        let put = client.ask_well("PUT", &format!("/routes/new-{number}"), Some(&body)).map(drop);
        counts.count(sent, sent, put);
        if let Some(oldest) = number.checked_sub(KEPT) {
            let sent = Instant::now();
            let gone = client.ask_well("DELETE", &format!("/routes/new-{oldest}"), None).map(drop);
            counts.count(sent, sent, gone);
        }
        if number >= WARM_UP && number.is_multiple_of(every) {
            samples.push(resident::process_tree(site.pid)?);
        }
    }
    let growth = Growth::of_thirds(&samples);
    Ok(NewNames {
        routes,
        changes,
        seconds: started.elapsed().as_secs_f64(),
        answer_us: Latency::of(&counts.answer),
        refused: counts.refused,
        example: counts.example,
        resident_first_third: growth.before,
        resident_last_third: growth.last,
        resident_allowed: growth.slack(),
        steady: growth.is_steady(),
    })
}

fn part(delays: &[Delays]) -> Part {
    let mut sentences = vec![
        "delay: from a change's sending to the first answer that has it, exact to 1 ms and one answer."
            .to_owned(),
    ];
    let bad = delays.iter().filter(|it| it.window.is_bad());
    sentences.extend(bad.map(|it| {
        let Window { load, changes, .. } = &it.window;
        format!(
            "WRONG: {} routes: {} errors and {} closed connections of the load, {} changes refused, {} lost, {} questions \
             failed {:?} {:?}",
            it.routes,
            load.errors,
            load.closed,
            changes.refused,
            changes.lost,
            changes.probe_failures,
            load.error_examples,
            changes.examples
        )
    }));
    Part {
        title: format!("One change at a time, {:?} apart, rebuild_min_interval 0", EVERY),
        header: HEADER.to_vec(),
        rows: delays.iter().map(Delays::row).collect(),
        sentences,
    }
}

fn part_of_names(it: &NewNames) -> Part {
    let verdict = if it.steady { "met" } else { "MISSED" };
    let mut sentences = vec![format!(
        "memory: median {} in the first third, {} in the last, {} more allowed: {verdict}",
        megabytes(it.resident_first_third),
        megabytes(it.resident_last_third),
        megabytes(it.resident_allowed)
    )];
    if it.refused > 0 {
        let example = it.example.as_deref().unwrap_or_default();
        sentences.push(format!("WRONG: {} changes refused ({example})", it.refused));
    }
    Part {
        title: format!("Routes with ever new names, {KEPT} of them at a time, beside {} others", it.routes),
        header: vec!["changes", "seconds", "answer p50", "p99", "max"],
        rows: vec![vec![
            it.changes.to_string(),
            format!("{:.1}", it.seconds),
            micros(it.answer_us.p50),
            micros(it.answer_us.p99),
            micros(it.answer_us.max),
        ]],
        sentences,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::cell::samples::window;

    #[test]
    fn each_size_has_its_target() {
        let delays = |routes, p99_ms: u64| {
            let mut window = window(0.0, 1);
            window.changes.delay_us.p99 = p99_ms * 1000;
            Delays { routes, loaded: false, window }
        };
        assert!(delays(5_000, 20).is_met() && !delays(5_000, 21).is_met());
        assert!(delays(50_000, 150).is_met() && !delays(50_000, 151).is_met());
        assert!(delays(100_000, 10_000).is_met());
        assert_eq!(delays(100_000, 1).row().len(), HEADER.len());
    }
}
