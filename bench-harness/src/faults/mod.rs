//! What faults cost those who are not at fault: each is put to a proxy under load, and taken away again.
//!
//! ```text
//!   load (two open loops, every answer checked, every request logged) ──► proxy ──► hurt: three endpoints ◄── inject
//!                       ▲                                                  │  └───► calm: two endpoints
//!                       └── inject: clients, crowd, keys                   └──◄ inject: descriptors, names, config
//!   watch (counters of endpoints, memory, descriptors)
//!        └──► series (errors, p99, detection, recovery; pure) ──► table ──► sheet (text, Markdown, JSON), page
//! ```
//!
//! In reading order: `injection` (the faults), `endpoint` (what is broken), `inject` (how), `snippets` (what Ringlane meets
//! them with, as far as it can), `layout` and `site` (proxies and their configs), `run` (one fault), `series`, `table`,
//! `cost` (what it costs when nothing is wrong).
mod cost;
pub(crate) mod endpoint;
pub(crate) mod inject;
pub mod injection;
pub(crate) mod layout;
mod names;
pub mod options;
mod page;
mod run;
pub(crate) mod series;
pub(crate) mod site;
pub(crate) mod snippets;
mod table;
pub(crate) mod watch;

use std::{fs, process::ExitCode};

use serde_json::json;

use crate::{
    fault::{At, Result},
    loadtest::{
        Cores, create_dir,
        environment::Environment,
        measured::Spread,
        noise::FOREIGN_CORES_MAX,
        peer::{Peer, find_program},
    },
    release,
    report::sheet::Sheet,
    runtime, socket,
};
use injection::Injection;
use options::FaultsArgs;
use run::{Measured, UPSTREAMS};
use site::{Plant, Site, Subject};

const TITLE: &str = "Faults";
/// How long idle connections to upstreams are kept.
const IDLE: &str = "30s";

/// Runs `ringlane-bench faults`.
pub fn run(args: &FaultsArgs) -> Result<ExitCode> {
    args.check()?;
    args.debug.check_own()?;
    socket::raise_open_files();
    let binary = site::binary(args.proxy.as_deref())?;
    let allowed = runtime::allowed_cores();
    let cores = Cores::of(&allowed);
    let dir = create_dir(&args.out)?;
    let environment = Environment::read(&allowed, if args.skip_haproxy { &[] } else { &[Peer::Haproxy] });
    print!("{}", environment.describe());
    let parts = snippets::SNIPPETS.iter().chain(snippets::COSTLY.iter().filter(|_| args.cost));
    let features = site::features(&binary, parts, &dir)?;
    features.sentences().iter().for_each(|it| println!("{it}"));
    // What it says of each, for who wonders.
    let why: String = features.without.iter().map(|(name, why)| format!("{name}: {why}\n\n")).collect();
    fs::write(dir.join("without.txt"), why).at(dir.display())?;
    let plant = Plant {
        binary: &binary,
        driver: &args.driver,
        cores,
        dir: &dir,
        features,
        debug: args.debug,
        idle: IDLE,
    };
    if let Some(core) = cores.load {
        runtime::pin(core)?;
    }
    let good = match args.cost {
        true => cost::run(args, &plant, environment)?,
        false => all(args, &plant, environment)?,
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Puts all that was asked for. True: no answer was wrong, and every fault could be put.
fn all(args: &FaultsArgs, plant: &Plant<'_>, mut environment: Environment) -> Result<bool> {
    let with_haproxy = !args.skip_haproxy && find_program("haproxy").is_some();
    if !with_haproxy && !args.skip_haproxy {
        eprintln!("haproxy is not installed and is left out ({})", Peer::Haproxy.install_hint());
    }
    let (mut measured, mut missing) = (Vec::new(), Vec::new());
    for injection in args.injections() {
        let own = if injection == Injection::Dns { Subject::Named } else { Subject::Ringlane };
        let peer = (with_haproxy && injection.suits_haproxy()).then_some(Subject::Haproxy);
        for subject in [own].into_iter().chain(peer) {
            match one(args, plant, injection, subject, &mut environment) {
                Ok(one) => measured.push(one),
                Err(fault) => {
                    eprintln!("{fault}");
                    let fault = fault.to_string();
                    let first = fault.lines().next().unwrap_or_default();
                    let sentence = format!("NOT PUT: {}, {}: {first}", injection.title(), name(subject));
                    missing.push(sentence);
                }
            }
        }
    }
    let good = missing.is_empty() && measured.iter().all(|it| it.wrong == 0);
    let mut about = plant.features.sentences();
    about.extend(missing);
    let sheet = Sheet {
        title: TITLE,
        environment,
        noise: noise(&measured),
        parts: table::parts(&measured, about),
        figures: table::figures(&measured),
        results: json!({ "faults": measured }),
    };
    sheet.publish(plant.dir)?;
    if let Some(page) = &args.page {
        page::fill(page, &sheet.markdown_body())?;
    }
    Ok(good)
}

fn name(subject: Subject) -> &'static str {
    match subject {
        Subject::Ringlane | Subject::Named => "ringlane",
        Subject::Haproxy => "haproxy",
    }
}

fn one(
    args: &FaultsArgs,
    plant: &Plant<'_>,
    injection: Injection,
    subject: Subject,
    environment: &mut Environment,
) -> Result<Measured> {
    let dir = format!("{}-{}", injection.name(), name(subject));
    println!("{}, {} ...", injection.title(), name(subject));
    let mut site = Site::start(plant, subject, &UPSTREAMS, &dir)?;
    if let Some((_, info)) = &site.admin {
        environment.drivers = vec![("ringlane".into(), info.words())];
        environment.debug_build |= release::is_debug(&info.build);
    }
    run::run(&mut site, name(subject), injection, args.times(), args.rate(), plant.cores)
}

fn noise(measured: &[Measured]) -> Vec<String> {
    let foreign = Spread::of(measured.iter().map(|it| it.foreign_cores));
    let loud = foreign.filter(|it| it.median > FOREIGN_CORES_MAX).map(|it| {
        format!(
            "too noisy to tell: other processes used {:.2} cores meanwhile ({:.2} to {:.2}, bound {FOREIGN_CORES_MAX}): \
             measure again alone",
            it.median, it.min, it.max
        )
    });
    loud.into_iter().collect()
}
