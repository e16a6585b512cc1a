//! All faults at random, all at once, for long: is any answer wrong or somebody else's, does anything grow or leak?
//!
//! ```text
//!   schedule (from a seed; pure) ──► one hand for each endpoint, and two for the proxy ──► faults' inject
//!   load (an open loop for each upstream, every answer checked) ──► proxy ──► three upstreams of three endpoints
//!        └──► judge (answers, memory, descriptors, metrics, log; pure) ──► sheet
//! ```
mod judge;
pub mod options;
mod schedule;

use std::{
    fs,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    fault::{Fault, Result},
    faults::{
        endpoint::Endpoint,
        inject::{self, Done, Target, sleep_until},
        injection::Injection,
        site::{self, Plant, Site, Subject},
        snippets, watch,
    },
    load::{self, Outcome, Plan, tally::Kind},
    loadtest::{Cores, create_dir, environment::Environment, proxy_info::metrics},
    release,
    report::{
        figures::Latency,
        sheet::{Part, Sheet},
        table::micros,
    },
    runtime, socket,
};
use judge::{Evidence, Verdict};
use options::ChaosArgs;
use schedule::{Act, Where};

const TITLE: &str = "Chaos";
const UPSTREAMS: [(&str, usize); schedule::UPSTREAMS] =
    [("one", schedule::ENDPOINTS), ("two", schedule::ENDPOINTS), ("three", schedule::ENDPOINTS)];
/// How long idle connections to upstreams are kept: until then it is not quiet.
const IDLE: &str = "2s";
/// How long it may take to be quiet, and how long it must be the same to be called so.
const SETTLE_MAX: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(4);
const SETTLE_LOOK: Duration = Duration::from_millis(50);
/// Load before the first look: what is there only once is there then.
const WARM_UP: Duration = Duration::from_secs(1);
/// Looks at memory in a run.
const LOOKS: u32 = 600;
const LOOK_MIN: Duration = Duration::from_millis(50);
const CONNECTIONS: [usize; 2] = [64, 512];
/// Metrics that must not move.
const STILL: [&str; 3] =
    ["ringlane_connection_panics_total", "ringlane_proxy_faults_total", "ringlane_worker_restarts_total"];

/// Runs `ringlane-bench chaos`.
pub fn run(args: &ChaosArgs) -> Result<ExitCode> {
    args.check()?;
    // Names are taken away from a proxy that was started for it; each upstream here has addresses.
    let acts = schedule::draw(args.seed, args.duration(), |it| it != Injection::Dns);
    println!("seed {}, {:?}: {} faults\n", args.seed, args.duration(), acts.len());
    acts.iter().for_each(|act| println!("{act}"));
    if args.schedule {
        return Ok(ExitCode::SUCCESS);
    }
    args.debug.check_own()?;
    socket::raise_open_files();
    let binary = site::binary(args.proxy.as_deref())?;
    let allowed = runtime::allowed_cores();
    let cores = Cores::of(&allowed);
    let dir = create_dir(&args.out)?;
    let mut environment = Environment::read(&allowed, &[]);
    print!("\n{}", environment.describe());
    let features = site::features(&binary, &snippets::SNIPPETS, &dir)?;
    features.sentences().iter().for_each(|it| println!("{it}"));
    let plant = Plant {
        binary: &binary,
        driver: &args.driver,
        cores,
        dir: &dir,
        features,
        debug: args.debug,
        idle: IDLE,
    };
    let mut site = Site::start(&plant, Subject::Ringlane, &UPSTREAMS, "site")?;
    if let Some((_, info)) = &site.admin {
        environment.drivers = vec![("ringlane".into(), info.words())];
        environment.debug_build |= release::is_debug(&info.build);
    }
    let found = one_run(args, &mut site, &acts, cores)?;
    let verdicts = found.evidence.verdicts();
    let good = verdicts.iter().all(|it| it.good);
    let mut about = plant.features.sentences();
    about.push(format!("Seed {}, {:?}, {} faults.", args.seed, args.duration(), acts.len()));
    let results = json!({
        "seed": args.seed,
        "verdicts": verdicts,
        "requests": found.outcomes.iter().map(|it| it.tally.requests_all).sum::<u64>(),
        "schedule": acts,
    });
    let parts = vec![seen(&found.outcomes, about), judged(&verdicts)];
    Sheet { title: TITLE, environment, noise: Vec::new(), parts, figures: Vec::new(), results }
        .publish(&dir)?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a run gave.
struct Found {
    outcomes: Vec<Outcome>,
    evidence: Evidence,
}

fn one_run(args: &ChaosArgs, site: &mut Site, acts: &[Act], cores: Cores) -> Result<Found> {
    let (target, log, admin) = (site.target.clone(), site.log.clone(), site.admin.as_ref().map(|it| it.0));
    let connections = (args.rate() as usize).clamp(CONNECTIONS[0], CONNECTIONS[1]);
    let plans = |duration| {
        (0..UPSTREAMS.len())
            .map(|n| Ok(Plan { duration, ..site.plan(n, args.rate(), connections, cores)? }))
            .collect::<Result<Vec<Plan>>>()
    };
    let (warm_up, plans) = (plans(WARM_UP)?, plans(args.duration())?);
    loads(&warm_up)?;
    let quiet = settled(target.pid, None)?;
    let told = |name| admin.and_then(|admin| judge::metric(&metrics(admin).ok()?, name));
    let before = STILL.map(told);
    let over = AtomicBool::new(false);
    let every = (args.duration() / LOOKS).max(LOOK_MIN);
    let (outcomes, done, held) = thread::scope(|scope| {
        let loads = scope.spawn(|| loads(&plans));
        let held = scope.spawn(|| watch::holdings(target.pid, every, &over));
        let done = put(&mut site.endpoints, &target, acts, Instant::now());
        let outcomes = loads.join();
        over.store(true, Ordering::Relaxed);
        (outcomes, done, held.join())
    });
    let panicked = |_| Fault::new("a thread of the run panicked; see above");
    let (outcomes, held) = (outcomes.map_err(panicked)??, held.map_err(panicked)?);
    let again = settled(target.pid, Some(quiet))?;
    let moved = |(name, before): (&'static str, Option<u64>)| {
        (name, told(name).zip(before).map(|(after, before)| after - before))
    };
    let (good, bad): (Vec<_>, Vec<_>) = done.into_iter().partition(Result::is_ok);
    let tallies = outcomes.iter().map(|it| &it.tally);
    let evidence = Evidence {
        wrong: tallies.clone().map(judge::wrong).sum::<u64>()
            + good.iter().flatten().map(|it| it.wrong).sum::<u64>(),
        example: tallies.clone().find(|it| judge::wrong(it) > 0).map(|it| it.examples.join("; ")),
        answered: tallies.map(|it| it.requests_all).sum(),
        not_put: bad.into_iter().filter_map(Result::err).map(|fault| fault.to_string()).collect(),
        resident: held.iter().map(|it| it.resident).collect(),
        resident_max: args.max.get(),
        descriptors: [quiet, again],
        moved: STILL.into_iter().zip(before).map(moved).collect(),
        panics: panics(&fs::read_to_string(&log).unwrap_or_default()),
    };
    Ok(Found { outcomes, evidence })
}

/// All loads at once.
fn loads(plans: &[Plan]) -> Result<Vec<Outcome>> {
    thread::scope(|scope| {
        let loads: Vec<_> =
            plans.iter().map(|plan| scope.spawn(move || load::run(plan, &mut |_| {}))).collect();
        let joined = loads
            .into_iter()
            .map(|load| load.join().map_err(|_| Fault::new("a thread of the load panicked; see above"))?);
        joined.collect()
    })
}

/// Puts all faults when they are due: those of each place one after the other.
fn put(endpoints: &mut [Vec<Endpoint>], target: &Target, acts: &[Act], begin: Instant) -> Vec<Result<Done>> {
    thread::scope(|scope| {
        let mut hands = Vec::new();
        for (upstream, of) in endpoints.iter_mut().enumerate() {
            for (number, endpoint) in of.iter_mut().enumerate() {
                let place = Where::Endpoint { upstream, endpoint: number };
                let mine = acts.iter().filter(move |act| act.place == place);
                hands.push(scope.spawn(move || {
                    mine.map(|act| {
                        sleep_until(begin + act.at);
                        inject::at_endpoint(act.what, endpoint, act.length)
                    })
                    .collect::<Vec<_>>()
                }));
            }
        }
        for hand in 0..schedule::HANDS {
            let mine = acts.iter().filter(move |act| act.place == Where::Proxy { hand });
            hands.push(scope.spawn(move || {
                mine.map(|act| {
                    sleep_until(begin + act.at);
                    inject::at_proxy(act.what, target, act.length)
                })
                .collect::<Vec<_>>()
            }));
        }
        let panicked = || vec![Err(Fault::new("a hand panicked; see above"))];
        hands.into_iter().flat_map(|hand| hand.join().unwrap_or_else(|_| panicked())).collect()
    })
}

/// Waits until a proxy's descriptors no longer change, or are no more than `enough`; gives the fewest that it had
/// meanwhile: health checks come and go.
fn settled(pid: u32, enough: Option<u64>) -> Result<u64> {
    let begin = Instant::now();
    let (mut fewest, mut since) = (u64::MAX, Instant::now());
    while begin.elapsed() < SETTLE_MAX && since.elapsed() < SETTLE {
        let held = watch::look(pid).ok_or_else(|| Fault::new("the proxy has ended"))?;
        if enough.is_some_and(|enough| held.descriptors <= enough) {
            return Ok(held.descriptors);
        }
        if held.descriptors < fewest {
            (fewest, since) = (held.descriptors, Instant::now());
        }
        if enough.is_some() {
            // It has all the time there is.
            since = Instant::now();
        }
        thread::sleep(SETTLE_LOOK);
    }
    Ok(fewest)
}

fn panics(log: &str) -> Vec<String> {
    log.lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect()
}

fn seen(outcomes: &[Outcome], sentences: Vec<String>) -> Part {
    let row = |(outcome, (name, _)): (&Outcome, (&str, usize))| {
        let tally = &outcome.tally;
        let kinds = Kind::ALL.into_iter().zip(tally.errors).filter(|(_, n)| *n > 0);
        let kinds: Vec<_> = kinds.map(|(kind, n)| format!("{n} {}", kind.name())).collect();
        let mut row = vec![name.to_owned(), tally.requests_all.to_string(), tally.errors_total().to_string()];
        row.push(if kinds.is_empty() { "-".into() } else { kinds.join(", ") });
        let latency = Latency::of(&tally.latency);
        row.extend([latency.p50, latency.p99, latency.max].map(micros));
        row
    };
    Part {
        title: "What clients saw".into(),
        header: vec!["upstream", "answered", "errors", "of kinds", "p50", "p99", "max"],
        rows: outcomes.iter().zip(UPSTREAMS).map(row).collect(),
        sentences,
    }
}

fn judged(verdicts: &[Verdict]) -> Part {
    let row = |it: &Verdict| {
        let word = if it.good { "met" } else { "MISSED" };
        vec![it.what.to_owned(), word.to_owned(), it.found.clone()]
    };
    Part {
        title: "What must not be".into(),
        header: vec!["what", "verdict", "found"],
        rows: verdicts.iter().map(row).collect(),
        sentences: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_found_in_a_log() {
        assert!(panics("all is well\n").is_empty());
        assert_eq!(panics("a\nthread 'worker-0' panicked at src/x.rs:1\nb\n").len(), 1);
    }

    #[test]
    fn what_is_open_here_is_enough_at_once() {
        assert!(settled(std::process::id(), Some(u64::MAX)).unwrap() > 0);
        assert!(settled(u32::MAX, None).is_err());
    }
}
