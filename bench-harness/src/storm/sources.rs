//! Changes through all sources at once, with reloads and roll-backs, under load: nothing may be lost.
//!
//! Times with changes and quiet times take turns, and each is compared with those next to it: a machine that is quicker at
//! one time than at another says nothing about changes.
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    TITLE,
    changes::{Series, Source},
    etcd::Etcd,
    noise,
    options::StormArgs,
    site::{Setup, Site},
    window::{self, SENDERS, Storm, Window},
};
use crate::{
    client::Client,
    cpu,
    fault::{At, Fault, Result},
    loadtest::{Cores, environment::Environment, measured::Spread},
    report::{
        figures::Latency,
        sheet::{Part, Sheet},
        table::micros,
    },
};

/// Changes a second, over all sources.
const CHANGES_PER_SECOND: u32 = 50;
/// Routes of each source, changed in turn: few, so that each is changed again after the last roll-back.
const CHANGED: usize = SENDERS;
/// Bodies and their weights.
const SIZES: [(u64, u32); 4] = [(13, 8), (1_000, 4), (16_384, 2), (100_000, 1)];
/// The time with changes is divided into so many parts, with quiet ones around each. A part must be long enough for all routes
/// to be changed again after the last roll-back in it, or there is but one.
const ROUNDS: u32 = 5;
const PART_MIN: Duration = Duration::from_secs(2);
/// Over all parts.
const RELOADS: u32 = 10;
const ROLL_BACKS: u32 = 5;
/// How far back these go, in revisions.
const BACK: usize = 5;
/// The last of them is at this share of a part, so that changes follow.
const ACTS_SHARE: f64 = 0.8;
/// A quiet time, as a share of a part with changes.
const QUIET_SHARE: u32 = 2;
/// p99 with changes to p99 without.
const RATIO_MAX: f64 = 1.2;
/// A roll-back's.
const ROLL_BACK_MAX: Duration = Duration::from_secs(1);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What was done besides changes.
#[derive(Clone, Debug, Default, Serialize)]
struct Acts {
    reloads: u32,
    roll_backs: u32,
    roll_backs_failed: u32,
    /// The slowest, until it was in force.
    roll_back_us_max: u64,
    example: Option<String>,
}

/// Measures it. True: no error and no closed connection, and nothing was lost.
pub(super) fn run(args: &StormArgs, cores: Cores, dir: &Path, mut environment: Environment) -> Result<bool> {
    let etcd = Etcd::start(dir, cores.load.as_slice())?;
    let file = Series { source: Source::File("routes.d".into()), routes: CHANGED };
    let setup = Setup {
        name: "sources".into(),
        forwarding: args.routes() - 3 * CHANGED,
        interval: Duration::ZERO,
        included: Some(file.file(CHANGED as u64 - 1)),
        etcd: etcd.as_ref(),
    };
    let site = Site::start(args, &setup, cores, dir)?;
    environment.drivers = vec![("ringlane".into(), site.info.words())];
    environment.debug_build |= site.is_debug();
    let mut sources = vec![Source::File(site.included().to_owned()), Source::Api(site.admin)];
    sources.extend(etcd.as_ref().map(|it| Source::Etcd(it.address)));
    let series: Vec<Series> = sources.into_iter().map(|source| Series { source, routes: CHANGED }).collect();
    let all = All { args, site: &site, series: &series, cores };
    all.storm(None, CHANGED as u64, Duration::ZERO)?;

    println!(
        "{:?} of changes through {}, in {} parts with quiet times around them ...",
        args.storm(),
        all.names(),
        all.rounds()
    );
    let mut found = Found { storms: Vec::new(), quiet: vec![all.quiet()?], acts: Acts::default() };
    for round in 0..all.rounds() {
        found.storms.push(all.stormy(round, &mut found.acts)?);
        found.quiet.push(all.quiet()?);
    }
    let quiet: Vec<&Window> = found.quiet.iter().collect();
    let noise = noise::sentences(found.windows(), &quiet);
    let (part, good) = part(&all, etcd.is_some(), &found);
    let Found { storms, quiet, acts } = found;
    let results = json!({ "storms": storms, "quiet": quiet, "acts": acts, "etcd": etcd.is_some() });
    Sheet { title: TITLE, environment, noise, parts: vec![part], figures: Vec::new(), results }
        .publish(dir)?;
    Ok(good)
}

/// What came of it.
struct Found {
    storms: Vec<Window>,
    /// One before each of these, and one at the end.
    quiet: Vec<Window>,
    acts: Acts,
}

impl Found {
    fn windows(&self) -> impl Iterator<Item = &Window> + Clone {
        self.storms.iter().chain(&self.quiet)
    }

    /// p99 of each time with changes to that of the quiet times next to it.
    fn ratios(&self) -> Option<Spread> {
        let p99 = |it: &Window| it.load.latency_us.p99 as f64;
        let around = self.quiet.windows(2).map(|two| two.iter().map(p99).sum::<f64>() / two.len() as f64);
        Spread::of(self.storms.iter().zip(around).map(|(storm, quiet)| p99(storm) / quiet.max(1.0)))
    }
}

/// Who takes part.
struct All<'a> {
    args: &'a StormArgs,
    site: &'a Site,
    series: &'a [Series],
    cores: Cores,
}

impl All<'_> {
    fn names(&self) -> String {
        self.series.iter().map(|it| it.source.name()).collect::<Vec<_>>().join(", ")
    }

    fn rounds(&self) -> u32 {
        if self.args.storm() / ROUNDS < PART_MIN { 1 } else { ROUNDS }
    }

    /// From one change to the next of one source.
    fn every(&self) -> Duration {
        Duration::from_secs(1) * self.series.len() as u32 / CHANGES_PER_SECOND
    }

    fn storms(&self, first: u64, count: u64, every: Duration) -> Vec<Storm<'_>> {
        let turn = |at: usize| every * at as u32 / self.series.len() as u32;
        let storm =
            |(at, series)| Storm { series, first, count, every, offset: turn(at), interval: Duration::ZERO };
        self.series.iter().enumerate().map(storm).collect()
    }

    /// The first changes, without load: all routes that will be changed are there afterwards.
    fn storm(&self, first: Option<u64>, count: u64, every: Duration) -> Result<()> {
        let storms = self.storms(first.unwrap_or_default(), count, every);
        let window = window::run(self.site, None, Duration::ZERO, &storms, |_| Ok(()))?;
        if window.changes.lost + window.changes.refused == 0 {
            return Ok(());
        }
        let example = window.changes.examples.first().cloned().unwrap_or_default();
        Err(Fault::new(format!(
            "the routes to change could not be added through {}: {example}",
            self.names()
        )))
    }

    fn quiet(&self) -> Result<Window> {
        let duration = self.args.storm() / self.rounds() / QUIET_SHARE;
        let plan = self.site.plan(self.args, self.cores, &SIZES, duration)?;
        window::run(self.site, Some(&plan), duration, &self.storms(0, 0, Duration::ZERO), |_| Ok(()))
    }

    fn stormy(&self, round: u32, acts: &mut Acts) -> Result<Window> {
        let duration = self.args.storm() / self.rounds();
        let plan = self.site.plan(self.args, self.cores, &SIZES, duration)?;
        let count = (duration.as_secs_f64() / self.every().as_secs_f64()).ceil() as u64;
        // The first numbers are taken.
        let first = CHANGED as u64 + u64::from(round) * count;
        let storms = self.storms(first, count, self.every());
        let site = self.site;
        window::run(site, Some(&plan), duration, &storms, move |begin| {
            act(site, begin, (duration, self.rounds()), acts)
        })
    }
}

/// Reloads and roll-backs, spread over the time.
fn act(site: &Site, begin: Instant, (duration, rounds): (Duration, u32), acts: &mut Acts) -> Result<()> {
    let (many, few) = (RELOADS / rounds, ROLL_BACKS / rounds);
    cpu::set_niceness(cpu::GIVES_WAY);
    let span = duration.mul_f64(ACTS_SHARE);
    let reloads = (1..=many).map(|n| (span * (2 * n - 1) / (2 * many), true));
    let roll_backs = (1..=few).map(|n| (span * n / few, false));
    let mut all: Vec<_> = reloads.chain(roll_backs).collect();
    all.sort_by_key(|(at, _)| *at);
    for (at, reload) in all {
        thread::sleep((begin + at).saturating_duration_since(Instant::now()));
        if reload {
            // SAFETY: the process is our child and is not reaped while the site lives, so the number is still its own.
            let status = unsafe { libc::kill(site.pid as libc::pid_t, libc::SIGHUP) };
            if status != 0 {
                return Err(Fault::new(format!("process {} can't be sent HUP", site.pid)));
            }
            acts.reloads += 1;
            continue;
        }
        let begun = Instant::now();
        match roll_back(site) {
            Ok(()) => acts.roll_backs += 1,
            Err(fault) => {
                acts.roll_backs_failed += 1;
                acts.example.get_or_insert_with(|| fault.to_string());
            }
        }
        acts.roll_back_us_max = acts.roll_back_us_max.max(begun.elapsed().as_micros() as u64);
    }
    Ok(())
}

/// Back to some revisions before the one in force. The answer comes when that is in force.
fn roll_back(site: &Site) -> Result<()> {
    let mut client = Client::new(site.admin, ANSWER_TIMEOUT);
    let revisions = client.ask_well("GET", "/config/revisions", None)?;
    let to = revision(&revisions.body).at("revisions")?;
    client.ask_well("POST", &format!("/config/rollback/{to}"), None).map(drop)
}

/// The number of the revision that is so far back, or the oldest; they are listed with the newest first.
fn revision(json: &str) -> Result<u64> {
    let json: Value = serde_json::from_str(json).at("not JSON")?;
    let all = json.get("revisions").and_then(Value::as_array).filter(|all| !all.is_empty());
    let all = all.ok_or_else(|| Fault::new("there are none"))?;
    let one = all.get(BACK.min(all.len() - 1)).and_then(|one| one.get("revision"));
    one.and_then(Value::as_u64).ok_or_else(|| Fault::new("one has no number"))
}

fn part(all: &All<'_>, etcd: bool, found: &Found) -> (Part, bool) {
    let Found { storms, quiet, acts } = found;
    let word = |good| if good { "met" } else { "MISSED" };
    let ratio = found.ratios();
    let shown = |it: Spread| format!("{:.2} ({:.2} to {:.2})", it.median, it.min, it.max);
    let back = Duration::from_micros(acts.roll_back_us_max);
    let sum = |of: fn(&Window) -> u64| storms.iter().map(of).sum::<u64>();
    let mut sentences = vec![
        format!(
            "p99 with changes / without, median of {}: {}, at most {RATIO_MAX}: {}",
            storms.len(),
            ratio.map_or("not measured".into(), shown),
            word(ratio.is_some_and(|it| it.median <= RATIO_MAX))
        ),
        format!(
            "slowest roll-back {:.3} s, under a second: {}",
            back.as_secs_f64(),
            word(back < ROLL_BACK_MAX)
        ),
        format!(
            "{} reloads, {} roll-backs, {} changes never in effect, {} changes refused",
            acts.reloads,
            acts.roll_backs,
            sum(|it| it.changes.lost),
            sum(|it| it.changes.refused)
        ),
    ];
    if !etcd {
        sentences
            .push("etcd is not installed (apt-get install etcd-server): two sources had all changes".into());
    }
    let bad = acts.roll_backs_failed > 0 || found.windows().any(Window::is_bad);
    if bad {
        let of = |it: &Window| [it.load.error_examples.clone(), it.changes.examples.clone()].concat();
        let examples: Vec<_> = found.windows().flat_map(of).chain(acts.example.clone()).collect();
        sentences.push(format!(
            "WRONG: {} roll-backs failed, {} questions of the prober failed: {}",
            acts.roll_backs_failed,
            found.windows().map(|it| it.changes.probe_failures).sum::<u64>(),
            examples.join("; ")
        ));
    }
    let part = Part {
        title: format!(
            "{} changes a second through {}, {} routes, {} connections",
            CHANGES_PER_SECOND,
            all.names(),
            all.args.routes(),
            all.args.connections
        ),
        header: vec![
            "times",
            "changes",
            "rebuilds",
            "errors",
            "closed",
            "requests/s",
            "p50",
            "p99",
            "p99.9",
            "max",
            "control CPU",
        ],
        rows: vec![row("quiet", quiet), row("changes", storms)],
        sentences,
    };
    (part, !bad)
}

/// Sums of what is counted; medians of what is measured, and the longest of all.
fn row(name: &str, windows: &[Window]) -> Vec<String> {
    let sum = |of: fn(&Window) -> u64| windows.iter().map(of).sum::<u64>().to_string();
    let median = |of: &dyn Fn(&Window) -> f64| Spread::of(windows.iter().map(of)).map_or(0.0, |it| it.median);
    let time = |of: fn(&Latency) -> u64| micros(median(&|it| of(&it.load.latency_us) as f64) as u64);
    let max = windows.iter().map(|it| it.load.latency_us.max).max().unwrap_or_default();
    let mut row = vec![name.to_owned(), sum(|it| it.changes.sent), sum(|it| it.builds)];
    row.extend([sum(|it| it.load.errors), sum(|it| it.load.closed)]);
    row.push(format!("{:.0}", median(&|it| it.load.requests_per_second)));
    row.extend([time(|it| it.p50), time(|it| it.p99), time(|it| it.p999), micros(max)]);
    row.push(format!("{:.1} %", median(&|it| it.control_share) * 100.0));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_some_revisions_long() {
        let list = |n: u64| json!({ "revisions": (1..=n).rev().map(|n| json!({ "revision": n })).collect::<Vec<_>>() });
        assert_eq!(revision(&list(20).to_string()).unwrap(), 15);
        assert_eq!(revision(&list(2).to_string()).unwrap(), 1);
        assert!(revision("{}").is_err() && revision("{\"revisions\": []}").is_err());
    }
}
