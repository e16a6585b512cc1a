//! The regression guard: two records of figures, an old one and a new one, and what of them became worse.
//!
//! ```text
//!   BASE, NEW ──► record (read, checked) ──► change (figure by figure, beside its bound) ──► table, exit code
//!                                               └── kind (what a figure is, how much worse it may become)
//! ```
pub mod change;
pub mod kind;
pub mod record;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::{
    fault::{Fault, Result},
    release::AllowDebug,
};
use change::Comparison;
use kind::Bounds;
use record::Record;

/// `ringlane-bench compare`
#[derive(Args, Clone, Debug)]
pub struct CompareArgs {
    /// The record that counts as good: results.json of a load test, or figures in its format
    pub base: PathBuf,
    /// The record to hold against it
    pub new: PathBuf,
    /// Wide bounds, for records of different or noisy machines: latency and memory doubled, rates down by 10 %
    #[arg(long, conflicts_with_all = ["instructions", "cpu", "p99", "memory", "allocations"])]
    pub loose: bool,
    /// By how many per cent instruction counts may rise
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0, value_parser = parse_percent)]
    pub instructions: f64,
    /// By how many per cent the ratio of CPU per request to the floor's may rise
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = parse_percent)]
    pub cpu: f64,
    /// By how many per cent the ratio of the 99th percentile to a peer's may rise
    #[arg(long, value_name = "PERCENT", default_value_t = 20.0, value_parser = parse_percent)]
    pub p99: f64,
    /// By how many per cent resident memory may rise
    #[arg(long, value_name = "PERCENT", default_value_t = 20.0, value_parser = parse_percent)]
    pub memory: f64,
    /// By how many allocations a request may need more
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = parse_percent)]
    pub allocations: f64,
    /// Whether a debug build will do.
    #[command(flatten)]
    pub debug: AllowDebug,
}

fn parse_percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').trim_end().parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("write a number that is not negative, as in 5".into()),
    }
}

impl CompareArgs {
    fn bounds(&self) -> Bounds {
        if self.loose {
            return Bounds::LOOSE;
        }
        Bounds {
            instructions: Some(self.instructions / 100.0),
            cpu_to_floor: Some(self.cpu / 100.0),
            p99_to_peer: Some(self.p99 / 100.0),
            memory: Some(self.memory / 100.0),
            allocations: Some(self.allocations),
            latency: None,
            rate: None,
        }
    }
}

/// Exit code of a comparison that could not be made.
const CANNOT_COMPARE: u8 = 2;

/// Runs `ringlane-bench compare`: 0 nothing is worse than its bound, 1 something is, 2 the records cannot be compared.
pub fn run(args: &CompareArgs) -> ExitCode {
    match compare(args) {
        Ok(comparison) => {
            print!("{}", comparison.text());
            ExitCode::from(u8::from(comparison.is_worse()))
        }
        Err(fault) => {
            eprintln!("ringlane-bench compare: {fault}");
            ExitCode::from(CANNOT_COMPARE)
        }
    }
}

fn compare(args: &CompareArgs) -> Result<Comparison> {
    let (base, new) = (Record::read(&args.base)?, Record::read(&args.new)?);
    for (path, record) in [(&args.base, &base), (&args.new, &new)] {
        args.debug.check_record(&path.display().to_string(), record.source.debug_build)?;
    }
    let comparison = Comparison::of(&base, &new, &args.bounds());
    if comparison.changes.is_empty() {
        let (base, new) = (args.base.display(), args.new.display());
        return Err(Fault::new(format!(
            "{base} and {new} have no figure in common: were they made by the same command?"
        )));
    }
    Ok(comparison)
}
