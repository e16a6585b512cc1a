//! What changes cost while traffic flows: how many tables are built, what that takes of workers and memory, how soon a
//! change is in effect, and whether anything is lost.
//!
//! ```text
//!   changes (admin API | included file | etcd) ──► proxy ◄── load, all the time
//!      └── number, when it was sent ──► probe: asks until the route answers with it
//!   window (one run: all of that, read before and after) ──► table | sources | effect ──► sheet (text, Markdown, JSON)
//! ```
mod cell;
mod changes;
mod effect;
mod etcd;
mod noise;
pub mod options;
mod probe;
mod site;
mod sources;
mod table;
mod threads;
mod window;

use std::process::ExitCode;

use crate::{
    fault::Result,
    loadtest::{Cores, create_dir, environment::Environment},
    runtime, socket,
};
use options::StormArgs;

/// Above its reports.
const TITLE: &str = "Storms of changes";

/// Runs `ringlane-bench storm`.
pub fn run(args: &StormArgs) -> Result<ExitCode> {
    args.check()?;
    args.debug.check_own()?;
    socket::raise_open_files();
    let allowed = runtime::allowed_cores();
    let cores = Cores::of(&allowed);
    let dir = create_dir(&args.out)?;
    let environment = Environment::read(&allowed, &[]);
    print!("{}", environment.describe());
    if let Some(core) = cores.load {
        runtime::pin(core)?;
    }
    let run = match (args.sources, args.effect) {
        (true, _) => sources::run,
        (_, true) => effect::run,
        _ => table::run,
    };
    let good = run(args, cores, &dir, environment)?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
