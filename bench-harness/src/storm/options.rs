//! `ringlane-bench storm`: what is typed.
use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Args};

use crate::{
    fault::{Fault, Result},
    load::options::{parse_duration, parse_rate},
    release::AllowDebug,
};

/// Routes without `--routes`; what the source had.
const ROUTES: usize = 5_000;
/// And those of `--effect`, each with a target.
const EFFECT_ROUTES: [usize; 2] = [5_000, 50_000];
/// File routes come ten to a host, and half of the smallest number is changed.
const ROUTES_STEP: usize = 10;
const ROUTES_MIN: usize = 40;
const ROUTES_MAX: usize = 200_000;
/// A storm of more than 10,000 changes a second is none that anybody has.
const EVERY_MIN: Duration = Duration::from_micros(100);

const STORM: Duration = Duration::from_secs(30);
const SOURCES: Duration = Duration::from_secs(60);
const QUICK: Duration = Duration::from_secs(6);
/// Changes with ever new names.
const CHANGES: usize = 10_000;
const CHANGES_QUICK: usize = 1_000;

const EXAMPLES: &str = "\
What is done:
  (neither)   storms of changes through the admin API at each pace and each interval, beside quiet times
  --sources   50 changes a second through files, admin API and etcd at once, with reloads and roll-backs
  --effect    how soon one change takes effect at 5,000 and 50,000 routes, and whether memory stays flat

Exit status: 0 good; 1 an error, a lost change, a connection that the proxy closed, or (--effect) a target missed; 2 bad usage.";

/// `ringlane-bench storm`
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("kind").args(["sources", "effect"]))]
pub struct StormArgs {
    /// Changes through files, admin API and etcd at once: is anything lost?
    #[arg(long)]
    pub sources: bool,
    /// Single changes: how soon do they take effect, and does memory grow?
    #[arg(long)]
    pub effect: bool,
    /// Routes of the proxy [default: 5000; --effect: 5000 and 50000]
    #[arg(long, value_name = "N")]
    pub routes: Option<usize>,
    /// Time of each storm [default: 30s; --sources: 60s; with --quick: 6s]
    #[arg(long, short = 'd', value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Shorter storms: enough to see that all of it works
    #[arg(long)]
    pub quick: bool,
    /// Time from one change to the next
    #[arg(long, value_name = "TIME,..", value_delimiter = ',', default_value = "50ms,20ms,3s")]
    #[arg(value_parser = parse_duration, conflicts_with = "kind")]
    pub every: Vec<Duration>,
    /// control.rebuild_min_interval
    #[arg(long, value_name = "TIME,..", value_delimiter = ',', default_value = "0s,1s,5s")]
    #[arg(value_parser = parse_duration, conflicts_with = "kind")]
    pub intervals: Vec<Duration>,
    /// Changes with ever new names, for --effect [default: 10000; with --quick: 1000]
    #[arg(long, value_name = "N", requires = "effect")]
    pub changes: Option<usize>,
    /// Connections of the load
    #[arg(long, short = 'c', value_name = "N", default_value_t = 64)]
    pub connections: usize,
    /// Open loop: so many requests per second [default: closed loop]
    #[arg(long, short = 'r', value_name = "R/s", value_parser = parse_rate)]
    pub rate: Option<f64>,
    /// Load before each run, thrown away
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub warmup: Duration,
    /// Leave the control thread free to run on the load's core; without it the worker and it share one
    #[arg(long)]
    pub spread: bool,
    /// Ringlane's binary; by default the one beside this one
    #[arg(long, value_name = "FILE")]
    pub proxy: Option<PathBuf>,
    /// Ringlane's config; addresses, workers and routes are replaced in a copy
    #[arg(long, value_name = "FILE", default_value = "configs/quickstart.toml")]
    pub config: PathBuf,
    /// Ringlane's driver
    #[arg(long, default_value = "auto")]
    pub driver: String,
    /// Where a directory for the results is made
    #[arg(long, value_name = "DIR", default_value = "target/storm")]
    pub out: PathBuf,
    /// Whether a debug build will do.
    #[command(flatten)]
    pub debug: AllowDebug,
}

impl StormArgs {
    /// Refuses what can't be done.
    pub fn check(&self) -> Result<()> {
        let sentence = match self.routes {
            Some(n) if !(ROUTES_MIN..=ROUTES_MAX).contains(&n) || !n.is_multiple_of(ROUTES_STEP) => {
                format!("--routes {n}: a multiple of {ROUTES_STEP} from {ROUTES_MIN} to {ROUTES_MAX}")
            }
            _ if self.duration.is_some_and(|it| it.is_zero()) => "--duration must be above zero".into(),
            _ if self.connections == 0 => "--connections must be above zero".into(),
            _ if self.changes == Some(0) => "--changes must be above zero".into(),
            _ => match self.every.iter().find(|every| **every < EVERY_MIN) {
                Some(every) => format!("--every {every:?}: at least {EVERY_MIN:?}"),
                None => return Ok(()),
            },
        };
        Err(Fault::refusal(sentence))
    }

    /// How long a storm lasts.
    pub(super) fn storm(&self) -> Duration {
        let long = if self.sources { SOURCES } else { STORM };
        self.duration.unwrap_or(if self.quick { QUICK } else { long })
    }

    /// How many routes there are.
    pub(super) fn routes(&self) -> usize {
        self.routes.unwrap_or(ROUTES)
    }

    /// The same for `--effect`, in turn.
    pub(super) fn effect_routes(&self) -> Vec<usize> {
        self.routes.map_or_else(|| EFFECT_ROUTES.to_vec(), |n| vec![n])
    }

    /// How many changes have new names.
    pub(super) fn changes(&self) -> usize {
        self.changes.unwrap_or(if self.quick { CHANGES_QUICK } else { CHANGES })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        storm: StormArgs,
    }

    fn typed(options: &str) -> Result<StormArgs> {
        let words = ["storm"].into_iter().chain(options.split_whitespace());
        let args = Typed::try_parse_from(words).map_err(|error| Fault::new(error.to_string()))?.storm;
        args.check()?;
        Ok(args)
    }

    #[test]
    fn without_options_it_is_the_sources_storm() {
        let args = typed("").unwrap();
        assert_eq!((args.routes(), args.storm()), (5_000, STORM));
        assert_eq!(args.every, [50, 20, 3_000].map(Duration::from_millis));
        assert_eq!(args.intervals, [0, 1, 5].map(Duration::from_secs));
        assert_eq!(typed("--sources").unwrap().storm(), SOURCES);
        assert_eq!(typed("--sources --quick").unwrap().storm(), QUICK);
        assert_eq!(typed("--effect").unwrap().effect_routes(), [5_000, 50_000]);
    }

    #[test]
    fn what_can_not_be_is_refused() {
        for options in [
            "--routes 39",
            "--routes 45",
            "-d 0s",
            "-c 0",
            "--every 0s",
            "--sources --effect",
            "--changes 5",
            "--effect --every 1s",
        ] {
            assert!(typed(options).is_err(), "{options}");
        }
    }
}
