//! Where a subject spends its CPU time, by `perf`: taken beside one more run of a scenario, after its measured rounds,
//! because the sampling costs the sampled something.
//!
//! ```text
//!   missed targets ──► who is to be looked at ──► load, and perf beside it ──► costs by symbol ──► tables, side by side
//! ```
mod perf;
mod tables;

use std::{path::Path, time::Duration};

use serde::{Serialize, Serializer};

use super::{
    Cores,
    goals::{self, Verdict},
    measured::{Figure, Kind, Measured},
    options::{LoadtestArgs, ProfileWhere},
    plans,
    scenario::Scenario,
    subject::{Subject, Subjects},
};
use crate::{
    cpu,
    fault::{At, Fault, Result},
    load,
};
use perf::Perf;
pub(super) use tables::blocks;

/// How long each is looked at, after the warm-up.
const PROFILE_TIME: Duration = Duration::from_secs(3);
/// Functions of a profile that are written into a record, which is kept for ever.
const COSTS_RECORDED_MAX: usize = 40;

/// What one function costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Cost {
    /// Its name.
    pub(super) symbol: String,
    /// Whose it is.
    pub(super) part: Part,
    /// Its share of all samples.
    pub(super) share: f64,
}

/// Whose code it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    /// The kernel's.
    Kernel,
    /// The program's own, with all that is linked into it.
    Program,
    /// That of shared libraries.
    Libraries,
}

/// One subject in one scenario.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Profile {
    /// Its scenario's name.
    pub(super) scenario: String,
    /// Who was looked at.
    pub(super) subject: String,
    /// How often.
    pub(super) samples: u64,
    /// CPU time per request meanwhile, by the process's clock; of this the samples tell shares.
    pub(super) cpu_us_per_request: f64,
    /// The share of each part.
    pub(super) parts: Vec<(Part, f64)>,
    /// All functions, the costliest first.
    #[serde(serialize_with = "costliest")]
    pub(super) costs: Vec<Cost>,
}

/// All that were taken, and why others were not.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Profiles {
    /// Scenario by scenario.
    pub(super) taken: Vec<Profile>,
    /// What stood in the way, in sentences.
    pub(super) missing: Vec<String>,
}

fn costliest<S: Serializer>(costs: &[Cost], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(costs.iter().take(COSTS_RECORDED_MAX))
}

impl Profiles {
    /// Adds those of other scenarios.
    pub(super) fn extend(&mut self, others: Self) {
        self.taken.extend(others.taken);
        for why in others.missing {
            if !self.missing.contains(&why) {
                self.missing.push(why);
            }
        }
    }
}

impl Profile {
    /// Of samples by function, in any order.
    fn of(scenario: &str, subject: &str, cpu_us_per_request: f64, counted: &[perf::Counted]) -> Result<Self> {
        let samples: u64 = counted.iter().map(|one| one.samples).sum();
        if samples == 0 {
            return Err(Fault::new(format!("perf took no sample of {subject} in {scenario}")));
        }
        let share = |n: u64| n as f64 / samples as f64;
        let of_part = |part| counted.iter().filter(|one| one.part == part).map(|one| one.samples).sum();
        let parts = [Part::Kernel, Part::Program, Part::Libraries].map(|part| (part, share(of_part(part))));
        let mut costs: Vec<Cost> = Vec::new();
        for one in counted {
            // Functions of several libraries may have one name.
            match costs.iter_mut().find(|cost| cost.symbol == one.symbol && cost.part == one.part) {
                Some(cost) => cost.share += share(one.samples),
                None => {
                    let symbol = one.symbol.clone();
                    costs.push(Cost { symbol, part: one.part, share: share(one.samples) });
                }
            }
        }
        costs.sort_by(|a, b| b.share.total_cmp(&a.share));
        let (scenario, subject) = (scenario.to_owned(), subject.to_owned());
        Ok(Self { scenario, subject, samples, cpu_us_per_request, parts: parts.into(), costs })
    }
}

/// Takes the profiles that are wanted of what `measured` is of, and was measured with these subjects.
pub(super) fn take(
    args: &LoadtestArgs,
    subjects: &Subjects,
    cores: Cores,
    dir: &Path,
    measured: &[Measured],
) -> Profiles {
    let mut profiles = Profiles::default();
    let verdicts = goals::judge(measured);
    for of_scenario in measured.chunk_by(|a, b| a.scenario.name == b.scenario.name) {
        let wanted = wanted(args.profile, of_scenario, &verdicts);
        if wanted.is_empty() {
            continue;
        }
        let Some(perf) = Perf::find() else {
            profiles.missing = vec![perf::MISSING.into()];
            return profiles;
        };
        for one in wanted {
            eprintln!("{} {}: profile", one.scenario.name, one.subject);
            let subject = subjects.all.iter().find(|subject| subject.name == one.subject);
            let taken = subject.map(|subject| take_one(args, &perf, subject, cores, dir, one));
            match taken {
                Some(Ok(profile)) => profiles.taken.push(profile),
                Some(Err(fault)) => profiles.missing.push(fault.to_string()),
                None => {}
            }
        }
    }
    profiles
}

/// Ringlane, the floor, and whom the missed targets are held against; nobody where nothing was missed.
fn wanted<'a>(place: ProfileWhere, of_scenario: &'a [Measured], verdicts: &[Verdict]) -> Vec<&'a Measured> {
    let name = of_scenario.first().map(|one| one.scenario.name.as_str());
    let missed: Vec<_> = verdicts.iter().filter(|it| !it.met && Some(it.scenario.as_str()) == name).collect();
    let best = goals::best_peer(of_scenario, Figure::Cpu).map(|best| best.subject.as_str());
    let rivals: Vec<&str> = match place {
        ProfileWhere::None => return Vec::new(),
        ProfileWhere::Missed if missed.is_empty() => return Vec::new(),
        ProfileWhere::Missed => missed.iter().map(|it| it.rival.as_str()).collect(),
        ProfileWhere::All => missed.iter().map(|it| it.rival.as_str()).chain(best).collect(),
    };
    // Ringlane on epoll comes second.
    let ours = of_scenario.iter().find(|one| one.kind == Kind::Ringlane);
    let others = of_scenario.iter().filter(|one| match one.kind {
        Kind::Floor => true,
        Kind::Peer => rivals.contains(&one.subject.as_str()),
        Kind::Ringlane => one.scenario.workers > 1 && ours.is_some_and(|ours| ours.subject != one.subject),
        Kind::Direct | Kind::External => false,
    });
    ours.into_iter().chain(others).collect()
}

fn take_one(
    args: &LoadtestArgs,
    perf: &Perf,
    subject: &Subject,
    cores: Cores,
    dir: &Path,
    one: &Measured,
) -> Result<Profile> {
    let (scenario, name): (&Scenario, &str) = (&one.scenario, &subject.name);
    let pid = subject.pid.ok_or_else(|| Fault::new(format!("{name} is somebody else's process")))?;
    // An open loop at the rate it was measured at.
    let rate = one.rounds.first().and_then(|round| round.open_loop.as_ref()).map(|open| open.rate);
    let mut plan = plans::plan(args, scenario, subject, cores, rate)?;
    plan.duration = PROFILE_TIME;
    let pids: Vec<u32> = [pid].into_iter().chain(cpu::descendants(pid)).collect();
    let recording = perf.start(&pids, &format!("perf-{}-{name}", scenario.name), dir, cores.load)?;
    let outcome = load::run(&plan, &mut |_| {})?;
    let counted = perf.report(&recording.finish()?)?;
    let cpu_us = outcome.cpu_us.ok_or_else(|| Fault::new("no request was answered"));
    Profile::of(&scenario.name, name, cpu_us.at(format!("profile of {name} in {}", scenario.name))?, &counted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadtest::measured::samples::measured;

    fn counted(samples: u64, part: Part, symbol: &str) -> perf::Counted {
        perf::Counted { samples, part, symbol: symbol.into() }
    }

    #[test]
    fn shares_are_of_all_samples_and_names_are_told_apart_by_whose_they_are() {
        let of = [
            counted(1, Part::Libraries, "memmove"),
            counted(4, Part::Kernel, "tcp_ack"),
            counted(2, Part::Libraries, "memmove"),
            counted(1, Part::Kernel, "memmove"),
        ];
        let profile = Profile::of("13b-64", "ringlane", 10.0, &of).unwrap();
        assert_eq!(profile.samples, 8);
        assert_eq!(profile.parts, [(Part::Kernel, 0.625), (Part::Program, 0.0), (Part::Libraries, 0.375)]);
        let costs: Vec<_> = profile.costs.iter().map(|it| (it.symbol.as_str(), it.share)).collect();
        assert_eq!(costs, [("tcp_ack", 0.5), ("memmove", 0.375), ("memmove", 0.125)]);
        assert!(Profile::of("13b-64", "ringlane", 10.0, &[]).is_err());
    }

    #[test]
    fn ringlane_the_floor_and_the_rival_of_a_missed_target_are_looked_at() {
        let of = |ringlane| {
            [
                measured("13b-1024", "direct", Kind::Direct, &[5.0]),
                measured("13b-1024", "floor", Kind::Floor, &[9.0]),
                measured("13b-1024", "ringlane", Kind::Ringlane, &[ringlane]),
                measured("13b-1024", "ringlane-epoll", Kind::Ringlane, &[ringlane]),
                measured("13b-1024", "nginx", Kind::Peer, &[20.0]),
                measured("13b-1024", "haproxy", Kind::Peer, &[30.0]),
            ]
        };
        let names = |place, all: &[Measured]| -> Vec<String> {
            wanted(place, all, &goals::judge(all)).iter().map(|one| one.subject.clone()).collect()
        };
        let (met, missed) = (of(10.0), of(19.0));
        assert!(names(ProfileWhere::Missed, &met).is_empty());
        assert_eq!(names(ProfileWhere::Missed, &missed), ["ringlane", "floor", "nginx"]);
        assert_eq!(names(ProfileWhere::All, &met), ["ringlane", "floor", "nginx"]);
        assert!(names(ProfileWhere::None, &missed).is_empty());
    }
}
