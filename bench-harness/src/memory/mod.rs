//! Does a proxy's memory stay within a bound, and does it stop growing, under all that clients do to one?
//!
//! ```text
//!   visits (threads: kept alive, churn, silent, slow, large, aborted) ──► proxy ──► echo
//!                                        resident memory, sampled ◄──┘
//!                                          └──► judge (the bound; the last sixth against the one before)
//! ```
pub mod judge;
pub mod options;
mod resident;
mod target;
pub(crate) mod visits;

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use crate::{
    fault::{Fault, Result},
    release, socket,
};
use judge::Verdict;
use options::MemoryArgs;
use target::Target;
use visits::{KINDS, Visits};

/// Rows of the table over time.
const ROWS: u32 = 12;
/// Samples of a run; what is judged is medians of a sixth of them.
const SAMPLES: u32 = 240;
/// So many at least, or the medians would be of next to nothing.
const SAMPLES_MIN: usize = 48;
/// Reading a sample costs the proxy nothing, but this process some.
const SAMPLE_EVERY_MIN: Duration = Duration::from_millis(5);

/// Runs `ringlane-bench memory`.
pub fn run(args: &MemoryArgs) -> Result<ExitCode> {
    args.debug.check_own()?;
    socket::raise_open_files();
    let target = Target::start(args)?;
    if target.is_debug || release::mark().is_some() {
        println!("{}", release::MARK);
    }
    let before = resident::of(target.pid)?;
    println!(
        "memory of process {} at {}: {} when idle, at most {}, for {:?}\n",
        target.pid,
        target.address,
        megabytes(before.now),
        megabytes(args.max.get()),
        args.duration
    );
    let visits = Visits::start(target.address, &KINDS, args.clients);
    let watched = watch(args, &target, &visits, before.peak);
    visits.stop();
    let (samples, peak) = watched?;
    let verdict = Verdict::of(&samples, peak, args.max.get())?;
    println!("\n{}", verdict.describe());
    if let Some(failure) = visits.first_failure() {
        println!("first visit that failed: {failure}");
    }
    if let Some(kind) = visits.silent_kind() {
        return Err(Fault::new(format!(
            "not one visit of the kind {kind:?} went well: does the server answer as the echo origin does?"
        )));
    }
    Ok(if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Samples for as long as the run lasts, with a row of the table now and then. Returns them and the peak, which is the
/// kernel's, between samples too, once it has passed what the process had ever had before.
fn watch(args: &MemoryArgs, target: &Target, visits: &Visits, peak_before: u64) -> Result<(Vec<u64>, u64)> {
    let every = (args.duration / SAMPLES).max(SAMPLE_EVERY_MIN);
    let started = Instant::now();
    let mut samples = Vec::new();
    let (mut rows, mut peak) = (0, 0);
    row(&["seconds", "resident", "peak"].map(String::from), KINDS.iter().map(|kind| kind.name().to_owned()));
    // A machine that was busy elsewhere gives fewer samples: then it takes longer.
    while started.elapsed() < args.duration || samples.len() < SAMPLES_MIN {
        thread::sleep(every);
        let resident = resident::of(target.pid)?;
        samples.push(resident.now);
        peak = peak.max(if resident.peak > peak_before { resident.peak } else { resident.now });
        if started.elapsed() >= args.duration * (rows + 1) / ROWS {
            rows += 1;
            let time = format!("{:.1}", started.elapsed().as_secs_f64());
            row(&[time, megabytes(resident.now), megabytes(peak)], visits.counts());
        }
    }
    Ok((samples, peak))
}

fn row(first: &[String; 3], visits: impl Iterator<Item = String>) {
    let cells = first.iter().cloned().chain(visits);
    println!("{}", cells.map(|cell| format!("{cell:>12}")).collect::<String>());
}

/// Bytes as a person reads them.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
