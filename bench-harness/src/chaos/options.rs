//! `ringlane-bench chaos`: what is typed.
use std::{num::NonZeroU64, path::PathBuf, time::Duration};

use clap::Args;

use crate::{
    fault::{Fault, Result},
    load::options::{parse_duration, parse_rate},
    memory::options::parse_size,
    release::AllowDebug,
};

const DURATION: Duration = Duration::from_secs(30 * 60);
const DURATION_QUICK: Duration = Duration::from_secs(15);
/// Below it there is no room for a fault and its end.
const DURATION_MIN: Duration = Duration::from_secs(5);
const RATE: f64 = 500.0;
const RATE_QUICK: f64 = 100.0;

const EXAMPLES: &str = "\
Three upstreams of three endpoints each, all of them under load; faults of endpoints, of clients and of the system begin and end
at random, of each upstream's endpoints two at a time at most. The same seed and duration give the same schedule, which is
printed first. Its second half is the first once more, so that memory can be compared.

Exit status: 0 good; 1 an answer that was wrong or somebody else's, memory that grew or passed its bound, a panic, a fault of
the proxy's own, a worker that had to be started again, a descriptor that was not closed; 2 bad usage.";

/// `ringlane-bench chaos`
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ChaosArgs {
    /// How long [default: 30m; with --quick: 15s]
    #[arg(long, short = 'd', value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// What the schedule begins from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Short: enough to see that all of it works
    #[arg(long)]
    pub quick: bool,
    /// Print the schedule and do nothing
    #[arg(long)]
    pub schedule: bool,
    /// Requests per second to each of the three upstreams [default: 500; with --quick: 100]
    #[arg(long, short = 'r', value_name = "R/s", value_parser = parse_rate)]
    pub rate: Option<f64>,
    /// Resident memory that the proxy must stay within, as 100MB or 64MiB
    #[arg(long, default_value = "300MB", value_parser = parse_size)]
    pub max: NonZeroU64,
    /// Ringlane's binary; by default the one beside this one
    #[arg(long, value_name = "FILE")]
    pub proxy: Option<PathBuf>,
    /// Ringlane's driver
    #[arg(long, default_value = "auto")]
    pub driver: String,
    /// Where a directory for the results is made
    #[arg(long, value_name = "DIR", default_value = "target/chaos")]
    pub out: PathBuf,
    /// Whether a debug build will do.
    #[command(flatten)]
    pub debug: AllowDebug,
}

impl ChaosArgs {
    /// Refuses what can't be done.
    pub(super) fn check(&self) -> Result<()> {
        if self.duration() < DURATION_MIN {
            return Err(Fault::refusal(format!("--duration must be at least {DURATION_MIN:?}")));
        }
        Ok(())
    }

    pub(super) fn duration(&self) -> Duration {
        self.duration.unwrap_or(if self.quick { DURATION_QUICK } else { DURATION })
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate.unwrap_or(if self.quick { RATE_QUICK } else { RATE })
    }
}
