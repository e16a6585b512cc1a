//! The load test end to end: starts everything, measures interleaved, compares, writes it down, leaves nothing behind.
//!
//! ```text
//!   options ──► scenarios  x  subjects (direct, floor, ringlane, nginx, haproxy; each a child process)
//!                  └─────── series: for each scenario, rounds of one run per subject, in turn
//!                              └──► measured ──► goals (ratios beside targets) ──► summary (terminal), document (HTML, Markdown), record (JSON)
//! ```
mod document;
pub(crate) mod environment;
pub mod goals;
mod held;
pub mod measured;
mod micro;
mod missed;
pub(crate) mod noise;
pub mod notes;
pub mod options;
mod origin;
pub mod peer;
pub mod phases;
pub(crate) mod plans;
pub(crate) mod process;
mod profile;
pub(crate) mod proxy_config;
pub(crate) mod proxy_info;
mod record;
pub mod routes;
pub mod scenario;
mod section;
mod series;
mod subject;
mod summary;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::ExitCode,
};

use document::Results;
use environment::Environment;
use held::Held;
use micro::Micro;
use notes::Notes;
use options::LoadtestArgs;
use profile::Profiles;
use scenario::{Scenario, Setup};
use subject::Subjects;

use crate::{
    fault::{At, Result},
    page::{html, markdown},
    release,
    report::hgrm,
    runtime, socket,
};

/// Where children run: the proxies on one core, origin and generator on another. None: one core, nobody is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cores {
    /// The measured processes.
    pub(crate) proxy: Option<usize>,
    /// The origin and the load generator.
    pub(crate) load: Option<usize>,
}

impl Cores {
    pub(crate) fn of(allowed: &[usize]) -> Self {
        match allowed {
            [proxy, load, ..] => Self { proxy: Some(*proxy), load: Some(*load) },
            _ => Self { proxy: None, load: None },
        }
    }
}

/// Runs `ringlane-bench loadtest`.
pub fn run(args: &LoadtestArgs) -> Result<ExitCode> {
    args.debug.check_own()?;
    socket::raise_open_files();
    let scenarios = args.scenarios();
    let allowed = runtime::allowed_cores();
    let cores = Cores::of(&allowed);
    let dir = create_dir(&args.out)?;
    let mut environment = Environment::read(&allowed, &args.peers);
    print!("{}", environment.describe());
    if cores.load.is_none() {
        eprintln!("WARNING: one core for everything: figures of the proxy and of the load mix");
    }
    let mut measured = Vec::new();
    let mut profiles = Profiles::default();
    // Scenarios with the same setup share their subjects; others need them started anew with another config.
    for group in scenarios.chunk_by(|a, b| a.setup() == b.setup()) {
        let setup = group.first().map_or(Setup::PLAIN, Scenario::setup);
        let subjects = Subjects::start(args, cores, &dir, setup)?;
        if let Some(core) = cores.load {
            runtime::pin(core)?;
        }
        environment.note(&subjects);
        println!("measuring\n{}files in {}\n", subjects.describe(), dir.display());
        let of_group = series::run(args, group, &subjects, cores)?;
        profiles.extend(profile::take(args, &subjects, cores, &dir, &of_group));
        measured.extend(of_group);
    }

    let held = held::measure(args, cores, &dir, &mut environment);
    let mut goals = goals::judge(&measured);
    // A run of all there is answers for all targets.
    let micro = if args.asks_for_all() { Micro::read(&args.out) } else { Micro::default() };
    goals.extend(micro.verdicts.iter().cloned());
    goals.extend(held.iter().flatten().flat_map(Held::verdicts));
    profiles.missing.iter().for_each(|why| eprintln!("no profile: {why}"));
    if environment.debug_build {
        println!("{}\n", release::MARK);
    }
    print!("{}", summary::text(&measured, &goals));
    let notes = args.notes.as_deref().map(Notes::read).transpose()?.flatten();
    let notes = notes.as_ref();
    let results = Results {
        environment: &environment,
        measured: &measured,
        held: held.as_ref(),
        micro: &micro,
        goals: &goals,
        profiles: &profiles,
        notes,
    };
    write_files(&dir, &results)?;
    print!("{}", missed::without_notes(args, &results));
    point_latest_at(&dir);
    println!("\nfigures in {}\npage    file://{}", dir.display(), dir.join("report.html").display());
    let failed = measured.iter().any(|m| m.errors() > 0) || held.is_some_and(|held| held.is_err());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A directory for the results of this run, below `out`.
pub(crate) fn create_dir(out: &Path) -> Result<PathBuf> {
    let dir = out.join(environment::timestamp());
    fs::create_dir_all(&dir).at(format!("cannot create {}", dir.display()))?;
    // Children are given paths below it, and their working directory may differ.
    dir.canonicalize().at(dir.display())
}

/// `latest` beside the directory: a link that always leads to a whole report. Without it nothing is lost.
pub(crate) fn point_latest_at(dir: &Path) {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else { return };
    // Made under another name and renamed, so that nobody finds it missing.
    let new = parent.join(format!(".latest-{}", std::process::id()));
    let linked = symlink(name, &new).and_then(|()| fs::rename(&new, parent.join("latest")));
    if let Err(error) = linked {
        let _ = fs::remove_file(&new);
        eprintln!("cannot link {} to the report: {error}", parent.join("latest").display());
    }
}

fn write_files(dir: &Path, results: &Results<'_>) -> Result<()> {
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).at(format!("cannot write {}", path.display()))
    };
    let record = record::json(results);
    write("results.json", &(serde_json::to_string_pretty(&record).at("results as JSON")? + "\n"))?;
    let document = document::build(results)?;
    write("report.html", &html::render(&document))?;
    write("report.md", &markdown::render(&document))?;
    for one in results.measured {
        let mut text = hgrm::render(&one.latency);
        // It says so itself where it is this program that is one.
        if results.environment.debug_build && release::mark().is_none() {
            text += &format!("#[{}]\n", release::MARK);
        }
        write(&format!("{}-{}.hgrm", one.scenario.name, one.subject), &text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_and_load_get_a_core_each_or_none() {
        assert_eq!(Cores::of(&[2, 3, 4]), Cores { proxy: Some(2), load: Some(3) });
        assert_eq!(Cores::of(&[5]), Cores { proxy: None, load: None });
    }
}
