//! `ringlane-bench loadtest`: what is typed.
use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::peer::Peer;
use super::scenario::{PRESETS, Preset, Scenario};
use crate::{
    load::options::{parse_duration, parse_rate},
    release::AllowDebug,
};

/// Rounds without `--rounds`; a preset may ask for more.
const ROUNDS: usize = 3;

/// `ringlane-bench loadtest`
#[derive(Args, Clone, Debug)]
pub struct LoadtestArgs {
    /// Measured time of each run
    #[arg(long, short = 'd', default_value = "3s", value_parser = parse_duration)]
    pub duration: Duration,
    /// Time before it, thrown away
    #[arg(long, default_value = "500ms", value_parser = parse_duration)]
    pub warmup: Duration,
    /// Connection counts to measure
    #[arg(long, short = 'c', value_delimiter = ',', value_name = "N,..", default_value = "1,64,256")]
    pub connections: Vec<usize>,
    /// Length of the response body
    #[arg(long, value_name = "N", default_value_t = 13)]
    pub body_bytes: u64,
    /// Rounds per scenario, of which the median is reported (3, but at least 5 for the preset 13b-64)
    #[arg(long, value_name = "N")]
    pub rounds: Option<usize>,
    /// Presets instead of --connections and --body-bytes: all, or a list of their names; memory: what idle and slow
    /// clients cost
    #[arg(long, value_delimiter = ',', value_name = "NAME,..", value_parser = parse_scenario)]
    pub scenario: Vec<ScenarioChoice>,
    /// Requests per second of the open-loop preset; by default half of what the slowest fast peer can do
    #[arg(long, value_name = "R/s", value_parser = parse_rate)]
    pub rate: Option<f64>,
    /// Drive this URL only; starts nothing
    #[arg(long, value_name = "URL", conflicts_with_all = ["peers", "floor", "epoll", "scenario"])]
    pub target: Option<String>,
    /// Also measure these, where installed
    #[arg(long, value_enum, value_delimiter = ',')]
    pub peers: Vec<Peer>,
    /// Also measure the bare forwarder
    #[arg(long, overrides_with = "floor")]
    pub floor: bool,
    /// Also measure Ringlane on epoll
    #[arg(long, overrides_with = "epoll")]
    pub epoll: bool,
    /// Leave Ringlane out
    #[arg(long)]
    pub skip_ringlane: bool,
    /// Take profiles with perf once a scenario is measured: where a target is missed, everywhere, or nowhere
    #[arg(long, value_enum, value_name = "WHERE", default_value_t)]
    pub profile: ProfileWhere,
    /// What is known of missed targets, for the report: a section `## TARGET` each, in Markdown
    #[arg(long, value_name = "FILE")]
    pub notes: Option<PathBuf>,
    /// Ringlane's binary; by default the one beside this one
    #[arg(long, value_name = "FILE")]
    pub proxy: Option<PathBuf>,
    /// Ringlane's config; addresses and workers are replaced in a copy
    #[arg(long, value_name = "FILE", default_value = "configs/quickstart.toml")]
    pub config: PathBuf,
    /// Where a directory for the results is made
    #[arg(long, value_name = "DIR", default_value = "target/loadtest")]
    pub out: PathBuf,
    /// Whether a debug build will do.
    #[command(flatten)]
    pub debug: AllowDebug,
}

/// Where profiles are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProfileWhere {
    /// In scenarios with a missed target.
    #[default]
    Missed,
    /// In every scenario.
    All,
    /// Nowhere.
    None,
}

/// One word of `--scenario`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScenarioChoice {
    /// Every preset.
    All,
    /// What Ringlane holds for clients that do little.
    Memory,
    /// One of them.
    One(&'static Preset),
}

fn parse_scenario(name: &str) -> Result<ScenarioChoice, String> {
    match name {
        "all" => return Ok(ScenarioChoice::All),
        "memory" => return Ok(ScenarioChoice::Memory),
        _ => {}
    }
    let names = || PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ");
    PRESETS
        .iter()
        .find(|preset| preset.name == name)
        .map(ScenarioChoice::One)
        .ok_or_else(|| format!("no such scenario: choose all, or from memory, {}", names()))
}

impl LoadtestArgs {
    /// Whether everything is measured that there is.
    pub fn asks_for_all(&self) -> bool {
        self.scenario.contains(&ScenarioChoice::All)
    }

    /// Whether memory is measured besides.
    pub fn measures_memory(&self) -> bool {
        self.asks_for_all() || self.scenario.contains(&ScenarioChoice::Memory)
    }

    /// The scenarios to measure, in order.
    pub fn scenarios(&self) -> Vec<Scenario> {
        let rounds = self.rounds.unwrap_or(ROUNDS).max(1);
        if self.scenario.is_empty() {
            return self
                .connections
                .iter()
                .map(|&n| Scenario::plain(self.body_bytes, n.max(1), rounds))
                .collect();
        }
        let chosen = |preset: &&Preset| {
            self.scenario.iter().any(|choice| match choice {
                ScenarioChoice::All => true,
                ScenarioChoice::Memory => false,
                ScenarioChoice::One(one) => one.name == preset.name,
            })
        };
        let with_rounds = |preset: &Preset| {
            let rounds = self.rounds.map_or(rounds.max(preset.rounds_min), |asked| asked.max(1));
            preset.scenario(rounds)
        };
        PRESETS.iter().filter(chosen).map(with_rounds).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        loadtest: LoadtestArgs,
    }

    fn parse(options: &str) -> Result<LoadtestArgs, clap::Error> {
        let words = ["loadtest"].into_iter().chain(options.split_whitespace());
        Typed::try_parse_from(words).map(|typed| typed.loadtest)
    }

    #[test]
    fn without_options_three_connection_counts_are_measured() {
        let args = parse("").unwrap();
        let counts: Vec<_> =
            args.scenarios().iter().map(|s| (s.connections, s.body_bytes, s.rounds)).collect();
        assert_eq!(counts, [(1, 13, 3), (64, 13, 3), (256, 13, 3)]);
    }

    #[test]
    fn presets_are_taken_once_and_in_their_order() {
        let names = |options| -> Vec<String> {
            parse(options).unwrap().scenarios().iter().map(|scenario| scenario.name.clone()).collect()
        };
        assert_eq!(names("--scenario new-32,13b-1"), ["13b-1", "new-32"]);
        assert_eq!(names("--scenario all,13b-1").len(), PRESETS.len());
        let memory = parse("--scenario memory").unwrap();
        assert!(memory.measures_memory() && memory.scenarios().is_empty());
        assert!(parse("--scenario all").unwrap().measures_memory() && !parse("").unwrap().measures_memory());
        assert!(parse("--scenario 14b-1").unwrap_err().to_string().contains("13b-64"));
    }

    #[test]
    fn rounds_asked_for_are_rounds_measured() {
        let rounds = |options| parse(options).unwrap().scenarios()[0].rounds;
        assert_eq!(rounds("--scenario 13b-64"), 5);
        assert_eq!(rounds("--scenario 13b-64 --rounds 1"), 1);
    }

    #[test]
    fn an_external_target_excludes_children() {
        assert!(parse("--target http://a/ --floor").is_err());
        assert!(parse("--target http://a/ --peers nginx").is_err());
        assert!(parse("--floor --floor --epoll --epoll").is_ok(), "a script may ask for them already");
        assert_eq!(parse("--peers nginx,haproxy-splice").unwrap().peers, [Peer::Nginx, Peer::HaproxySplice]);
    }
}
