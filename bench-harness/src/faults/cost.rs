//! What resilience costs when nothing is wrong: CPU time per request with all of it configured, with nothing, of an older
//! Ringlane, and of the floor, in turn, so that what disturbs the machine for a while disturbs all of them alike.
use std::{net::SocketAddr, path::Path};

use serde::Serialize;
use serde_json::json;

use super::{
    TITLE,
    options::FaultsArgs,
    site::{self, Plant, Site, Subject},
    snippets::Features,
};
use crate::{
    fault::{Fault, Result},
    guard::{kind::Kind, record::Figure},
    load::{self, Pace, Plan},
    loadtest::{
        environment::Environment,
        measured::Spread,
        process::{Launch, Process},
    },
    release,
    report::sheet::{Part, Sheet},
};

const CONNECTIONS: usize = 64;
/// What all of it may cost to nothing of it, and nothing of it to an older Ringlane.
const ALL_MAX: f64 = 1.05;
const NONE_MAX: f64 = 1.01;
const FLOOR: &str = "floor";
const NONE: &str = "ringlane, nothing";
const ALL: &str = "ringlane, all of it";
const BEFORE: &str = "ringlane, before";
/// One upstream, with endpoints enough that balancing has a choice.
const UPSTREAMS: [(&str, usize); 1] = [("app", 3)];

/// One that is measured.
struct Contender {
    name: &'static str,
    plan: Plan,
    /// Microseconds a request, round by round.
    cpu_us: Vec<f64>,
}

/// One to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Ratio {
    of: &'static str,
    to: &'static str,
    spread: Spread,
    max: Option<f64>,
}

/// Measures. True: no error, and targets are met.
pub(super) fn run(args: &FaultsArgs, plant: &Plant<'_>, mut environment: Environment) -> Result<bool> {
    let none = Site::start(&bare(plant, plant.binary), Subject::Ringlane, &UPSTREAMS, "none")?;
    let all = Site::start(plant, Subject::Ringlane, &UPSTREAMS, "all")?;
    let before = match &args.before {
        Some(path) => {
            let binary = site::binary(Some(path))?;
            Some(Site::start(&bare(plant, &binary), Subject::Ringlane, &UPSTREAMS, "before")?)
        }
        None => None,
    };
    for (_, info) in
        [Some(&none), Some(&all), before.as_ref()].into_iter().flatten().filter_map(|it| it.admin.as_ref())
    {
        environment.drivers = vec![("ringlane".into(), info.words())];
        environment.debug_build |= release::is_debug(&info.build);
    }
    let floor = floor(plant, &none)?;
    let (rounds, each) = args.cost_rounds();
    let contender = |name, site: &Site, address, pid| {
        let plan = site.plan(0, 1.0, CONNECTIONS, plant.cores)?;
        let requests = plan.requests.iter().take(1).cloned().collect();
        let plan = Plan { requests, pace: Pace::Closed, duration: each, pids: vec![pid], address, ..plan };
        Ok::<_, Fault>(Contender { name, plan, cpu_us: Vec::new() })
    };
    let mut contenders = vec![contender(FLOOR, &none, floor.1, floor.0.pid())?];
    for (name, site) in [(NONE, Some(&none)), (ALL, Some(&all)), (BEFORE, before.as_ref())] {
        if let Some(site) = site {
            contenders.push(contender(name, site, site.target.address, site.target.pid)?);
        }
    }
    let mut errors = 0;
    for round in 0..=rounds {
        for contender in &mut contenders {
            println!("{}, round {round} of {rounds} ...", contender.name);
            let outcome = load::run(&contender.plan, &mut |_| {})?;
            errors += outcome.tally.errors_total();
            outcome.tally.examples.iter().for_each(|it| eprintln!("{}: {it}", contender.name));
            // Round 0 warms caches, pools and the allocator.
            contender.cpu_us.extend(outcome.cpu_us.filter(|_| round > 0));
        }
    }
    let ratios = ratios(&contenders);
    let good = errors == 0 && ratios.iter().all(Ratio::is_met);
    let results = json!({
        "cpu_us": contenders.iter().map(|it| (it.name, &it.cpu_us)).collect::<Vec<_>>(),
        "ratios": ratios,
        "errors": errors,
    });
    let parts = vec![part(&contenders, &ratios, errors, plant)];
    let figures = ratios.iter().filter(|it| it.to == FLOOR).map(Ratio::figure).collect();
    Sheet { title: TITLE, environment, noise: Vec::new(), parts, figures, results }.publish(plant.dir)?;
    Ok(good)
}

/// The same for a Ringlane with nothing configured.
fn bare<'a>(plant: &'a Plant<'a>, binary: &'a Path) -> Plant<'a> {
    let Plant { driver, cores, dir, debug, idle, .. } = *plant;
    Plant { binary, driver, cores, dir, debug, idle, features: Features::default() }
}

fn floor(plant: &Plant<'_>, site: &Site) -> Result<(Process, SocketAddr)> {
    let endpoint = site.endpoints.iter().flatten().next().ok_or_else(|| Fault::new("no endpoint"))?;
    let upstream = endpoint.address.to_string();
    let words = ["floor", "--listen", "127.0.0.1:0", "--upstream", &upstream].map(String::from);
    let cores = plant.cores.proxy.as_slice();
    Process::start_own(&words, &Launch { name: FLOOR, cores, dir: plant.dir, death_signal: libc::SIGKILL })
}

/// Those that have a meaning, round by round.
fn ratios(contenders: &[Contender]) -> Vec<Ratio> {
    let pairs =
        [(ALL, NONE, Some(ALL_MAX)), (NONE, BEFORE, Some(NONE_MAX)), (NONE, FLOOR, None), (ALL, FLOOR, None)];
    let find = |name| contenders.iter().find(|it| it.name == name);
    let ratio = |(of, to, max)| {
        let (a, b) = (find(of)?, find(to)?);
        let spread = Spread::of(a.cpu_us.iter().zip(&b.cpu_us).map(|(a, b)| a / b))?;
        Some(Ratio { of, to, spread, max })
    };
    pairs.into_iter().filter_map(ratio).collect()
}

impl Ratio {
    fn is_met(&self) -> bool {
        self.max.is_none_or(|max| self.spread.median <= max)
    }

    fn sentence(&self) -> String {
        let Spread { median, min, max } = self.spread;
        let verdict = match (self.max, self.is_met()) {
            (None, _) => String::new(),
            (Some(target), true) => format!(": target {target} met"),
            (Some(target), false) => format!(": target {target} MISSED"),
        };
        format!("{} / {}: {median:.3} ({min:.3} to {max:.3}){verdict}", self.of, self.to)
    }

    fn figure(&self) -> Figure {
        let Spread { median, min, max } = self.spread;
        Figure {
            name: format!("{}: CPU per request / floor", self.of),
            kind: Kind::CpuToFloor,
            value: median,
            min: Some(min),
            max: Some(max),
        }
    }
}

fn part(contenders: &[Contender], ratios: &[Ratio], errors: u64, plant: &Plant<'_>) -> Part {
    let row = |it: &Contender| {
        let spread = Spread::of(it.cpu_us.iter().copied())?;
        let figures = [spread.median, spread.min, spread.max].map(|us| format!("{us:.2} us"));
        Some([it.name.to_owned()].into_iter().chain(figures).collect())
    };
    let mut sentences: Vec<_> = ratios.iter().map(Ratio::sentence).collect();
    sentences.extend(plant.features.sentences());
    if errors > 0 {
        sentences.push(format!("WRONG: {errors} errors"));
    }
    Part {
        title: format!("CPU time per request, {CONNECTIONS} connections, 13 B, closed loop, rounds in turn"),
        header: vec!["who", "median", "least", "most"],
        rows: contenders.iter().filter_map(row).collect(),
        sentences,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(name: &'static str, cpu_us: &[f64]) -> Contender {
        let address = "127.0.0.1:1".parse().unwrap();
        let request = super::super::layout::requests(0, address).remove(0);
        Contender { name, plan: Plan::of(address, request), cpu_us: cpu_us.to_vec() }
    }

    #[test]
    fn ratios_are_of_rounds_and_judged_by_their_median() {
        let contenders =
            [contender(FLOOR, &[10.0, 20.0]), contender(NONE, &[11.0, 22.0]), contender(ALL, &[11.0, 24.2])];
        let ratios = ratios(&contenders);
        assert_eq!(ratios.len(), 3, "there is none before");
        assert!((ratios[0].spread.median - 1.05).abs() < 1e-9 && ratios[0].spread.max > 1.09);
        let missed = Ratio { spread: Spread { median: 1.06, min: 1.0, max: 1.1 }, ..ratios[0].clone() };
        assert!(missed.sentence().contains("MISSED") && !missed.is_met());
        assert!(ratios[1].is_met() && ratios[1].sentence().ends_with("(1.100 to 1.100)"));
    }
}
