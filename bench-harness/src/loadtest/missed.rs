//! The part of a report that is about missed targets: by how much, why, what was tried, and the profile that shows it.
use super::{
    document::Results,
    goals::Verdict,
    notes::Notes,
    options::LoadtestArgs,
    profile::{self, Profile, Profiles},
};
use crate::page::Block;

/// A section on missed targets, and one on what else profiles were taken of; nothing where there is neither.
pub(super) fn blocks(goals: &[Verdict], profiles: &Profiles, notes: Option<&Notes>) -> Vec<Block> {
    let missed = by_scenario(goals);
    let mut blocks = Vec::new();
    if !missed.is_empty() {
        blocks.push(Block::Section("Missed targets".into()));
        blocks.extend(profiles.missing.iter().map(|why| Block::Text(format!("No profile: {why}."))));
    }
    for of_scenario in missed.chunk_by(|a, b| a.scenario == b.scenario) {
        for goal in of_scenario {
            blocks.push(Block::Heading(goal.what.clone()));
            blocks.push(Block::Text(by_how_much(goal)));
            let text = notes.and_then(|notes| notes.on(&goal.name)).map(str::to_owned);
            blocks.push(Block::Notes { target: goal.name.clone(), text });
        }
        let of_scenario = of_scenario.first().map(|goal| goal.scenario.as_str());
        blocks.extend(profile::blocks(&of(profiles, |one| Some(one.scenario.as_str()) == of_scenario)));
    }
    let is_other = |one: &Profile| !missed.iter().any(|goal| goal.scenario == one.scenario);
    let others = of(profiles, is_other);
    if !others.is_empty() {
        blocks.push(Block::Section("Where the time goes".into()));
    }
    for of_scenario in others.chunk_by(|a, b| a.scenario == b.scenario) {
        blocks.extend(profile::blocks(of_scenario));
    }
    blocks
}

/// The missed ones, those of a scenario together.
fn by_scenario(goals: &[Verdict]) -> Vec<&Verdict> {
    let mut missed: Vec<&Verdict> = goals.iter().filter(|goal| !goal.met).collect();
    missed.sort_by_key(|goal| goals.iter().position(|first| first.scenario == goal.scenario));
    missed
}

/// Lines for the terminal: of which missed targets nobody wrote why; nothing where no notes were asked for.
pub(super) fn without_notes(args: &LoadtestArgs, results: &Results<'_>) -> String {
    let Some(path) = &args.notes else { return String::new() };
    let missed = by_scenario(results.goals);
    let without =
        missed.iter().filter(|goal| results.notes.is_none_or(|notes| notes.on(&goal.name).is_none()));
    let lines: String = without.map(|goal| format!("  ## {}\n", goal.name)).collect();
    let names: Vec<&str> = missed.iter().map(|goal| goal.name.as_str()).collect();
    let strangers = results.notes.map(|notes| notes.on_others(&names)).unwrap_or_default();
    let strangers: String =
        strangers.iter().map(|name| format!("not missed, though there are notes: {name}\n")).collect();
    if lines.is_empty() {
        return strangers;
    }
    format!(
        "\nwithout notes in {}:\n{lines}(write why and what was tried below these headings, then: ringlane-bench annotate \
         --notes {} REPORT..)\n{strangers}",
        path.display(),
        path.display()
    )
}

fn of(profiles: &Profiles, wanted: impl Fn(&Profile) -> bool) -> Vec<&Profile> {
    profiles.taken.iter().filter(|one| wanted(one)).collect()
}

fn by_how_much(goal: &Verdict) -> String {
    let doubt = if goal.noisy { " The machine was too noisy in this scenario to be sure." } else { "" };
    format!(
        "{:.2} ({:.2} to {:.2}) where the target is {}: missed by {}.{doubt}",
        goal.ratio.median,
        goal.ratio.min,
        goal.ratio.max,
        goal.target,
        goal.by()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadtest::{
        goals,
        measured::{Kind, samples::measured},
    };

    fn verdicts() -> Vec<Verdict> {
        goals::judge(&[
            measured("13b-1024", "ringlane", Kind::Ringlane, &[19.0]),
            measured("13b-1024", "nginx", Kind::Peer, &[20.0]),
            measured("new-32", "ringlane", Kind::Ringlane, &[10.0]),
            measured("new-32", "nginx", Kind::Peer, &[20.0]),
        ])
    }

    fn profile(scenario: &str) -> Profile {
        let (scenario, subject) = (scenario.into(), "ringlane".into());
        Profile {
            scenario,
            subject,
            samples: 1,
            cpu_us_per_request: 1.0,
            parts: Vec::new(),
            costs: Vec::new(),
        }
    }

    #[test]
    fn every_missed_target_has_a_place_for_notes_and_each_scenario_one_profile() {
        let taken = vec![profile("13b-1024"), profile("new-32")];
        let blocks = blocks(&verdicts(), &Profiles { taken, missing: Vec::new() }, None);
        let kinds: Vec<String> = blocks
            .iter()
            .map(|block| match block {
                Block::Section(title) | Block::Heading(title) => title.clone(),
                Block::Notes { target, text: None } => format!("notes {target}"),
                Block::Table(table) => table.header[0].clone(),
                _ => "text".into(),
            })
            .collect();
        assert_eq!(
            kinds,
            [
                "Missed targets",
                "13b-1024: CPU per request / nginx",
                "text",
                "notes 13b-1024: CPU per request / best peer",
                "13b-1024: p99 / nginx",
                "text",
                "notes 13b-1024: p99 / best peer",
                "text",
                "part",
                "costliest functions",
                "Where the time goes",
                "text",
                "part",
                "costliest functions",
            ]
        );
        assert!(
            matches!(&blocks[2], Block::Text(text) if text.contains("0.95") && text.contains("46.2 %")),
            "{blocks:?}"
        );
    }

    #[test]
    fn what_stood_in_the_way_of_a_profile_is_said() {
        let profiles = Profiles { taken: Vec::new(), missing: vec!["perf is not installed".into()] };
        let blocks = blocks(&verdicts(), &profiles, None);
        assert!(blocks.contains(&Block::Text("No profile: perf is not installed.".into())), "{blocks:?}");
        assert!(super::blocks(&[], &profiles, None).is_empty());
    }
}
