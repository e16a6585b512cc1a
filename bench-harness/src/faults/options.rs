//! `ringlane-bench faults`: what is typed.
use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::injection::Injection;
use crate::{
    fault::{Fault, Result},
    load::options::{parse_duration, parse_rate},
    release::AllowDebug,
};

/// Before a fault, while it lasts, and after it.
const TIMES: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(10), Duration::from_secs(10)];
const TIMES_QUICK: [Duration; 3] =
    [Duration::from_millis(1_500), Duration::from_millis(2_500), Duration::from_millis(3_500)];
const RATE: f64 = 1_000.0;
const RATE_QUICK: f64 = 200.0;
/// Rounds of `--cost`, and how long each run is.
const ROUNDS: usize = 5;
const COST: Duration = Duration::from_secs(3);
const COST_QUICK: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Each fault is put to a fresh proxy with two upstreams: one that is hurt, with three endpoints of which one goes wrong, and one
that is not. Quiet time, the fault, quiet time, under open loops of requests to both; every answer is checked. The same for
HAProxy, where it is installed and has something to meet the fault with.

  ringlane-bench faults --only killed,black-hole       some of them
  ringlane-bench faults --page docs/faults.md          all, and the table of that page written anew
  ringlane-bench faults --cost --before OLD/ringlane   what resilience costs when nothing is wrong

Exit status: 0 good; 1 an answer that was wrong, a fault that could not be put, or (--cost) a target missed; 2 bad usage.";

/// `ringlane-bench faults`
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct FaultsArgs {
    /// These faults alone
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', value_enum)]
    pub only: Vec<Injection>,
    /// Quiet time, fault, quiet time [default: 5s,10s,10s; with --quick: 1.5s,2.5s,3.5s]
    #[arg(long, value_name = "TIME,TIME,TIME", value_delimiter = ',', value_parser = parse_duration)]
    pub times: Vec<Duration>,
    /// Shorter and fewer: enough to see that all of it works
    #[arg(long)]
    pub quick: bool,
    /// Requests per second to each of the two upstreams [default: 1000; with --quick: 200]
    #[arg(long, short = 'r', value_name = "R/s", value_parser = parse_rate)]
    pub rate: Option<f64>,
    /// Leave HAProxy out
    #[arg(long)]
    pub skip_haproxy: bool,
    /// CPU time per request with all of it configured, with nothing, and of the floor
    #[arg(long, conflicts_with_all = ["only", "times", "page"])]
    pub cost: bool,
    /// Another Ringlane, with nothing configured, for --cost
    #[arg(long, value_name = "FILE", requires = "cost")]
    pub before: Option<PathBuf>,
    /// Rounds of --cost [default: 5; with --quick: 2]
    #[arg(long, value_name = "N", requires = "cost")]
    pub rounds: Option<usize>,
    /// Ringlane's binary; by default the one beside this one
    #[arg(long, value_name = "FILE")]
    pub proxy: Option<PathBuf>,
    /// Ringlane's driver
    #[arg(long, default_value = "auto")]
    pub driver: String,
    /// Where a directory for the results is made
    #[arg(long, value_name = "DIR", default_value = "target/faults")]
    pub out: PathBuf,
    /// Put the tables into this page too, between its two markers
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
    /// Whether a debug build will do.
    #[command(flatten)]
    pub debug: AllowDebug,
}

/// How long each part of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) before: Duration,
    pub(crate) fault: Duration,
    pub(crate) after: Duration,
}

impl FaultsArgs {
    /// Refuses what can't be done.
    pub(super) fn check(&self) -> Result<()> {
        if !matches!(self.times.len(), 0 | 3) || self.times.iter().any(Duration::is_zero) {
            return Err(Fault::refusal(
                "--times are three, above zero: before the fault, while it lasts, after it",
            ));
        }
        if self.rounds == Some(0) {
            return Err(Fault::refusal("--rounds must be above zero"));
        }
        Ok(())
    }

    pub(super) fn times(&self) -> Times {
        let defaults = if self.quick { TIMES_QUICK } else { TIMES };
        match (self.times.as_slice(), defaults) {
            (&[before, fault, after], _) | (_, [before, fault, after]) => Times { before, fault, after },
        }
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate.unwrap_or(if self.quick { RATE_QUICK } else { RATE })
    }

    /// What is to be put, in order.
    pub(super) fn injections(&self) -> Vec<Injection> {
        let asked = |one: &&Injection| self.only.is_empty() || self.only.contains(one);
        Injection::value_variants().iter().filter(asked).copied().collect()
    }

    /// Rounds, and how long each run is.
    pub(super) fn cost_rounds(&self) -> (usize, Duration) {
        let (rounds, each) = if self.quick { (2, COST_QUICK) } else { (ROUNDS, COST) };
        (self.rounds.unwrap_or(rounds), each)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        faults: FaultsArgs,
    }

    fn typed(options: &str) -> Result<FaultsArgs> {
        let words = ["faults"].into_iter().chain(options.split_whitespace());
        let args = Typed::try_parse_from(words).map_err(|error| Fault::new(error.to_string()))?.faults;
        args.check()?;
        Ok(args)
    }

    #[test]
    fn without_options_all_faults_are_put() {
        let args = typed("").unwrap();
        assert_eq!((args.injections().len(), args.times().fault), (16, TIMES[1]));
        let args = typed("--only late,killed --times 1s,2s,3s").unwrap();
        assert_eq!(args.injections(), [Injection::Killed, Injection::Late]);
        assert_eq!(args.times().after, Duration::from_secs(3));
        assert!(typed("--quick").unwrap().times().fault < TIMES[1]);
    }

    #[test]
    fn what_can_not_be_is_refused() {
        for options in [
            "--only nothing",
            "--times 1s",
            "--times 1s,0s,1s",
            "--before x",
            "--cost --only late",
            "--cost --rounds 0",
        ] {
            assert!(typed(options).is_err(), "{options}");
        }
    }
}
