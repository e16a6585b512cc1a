//! The report of a load test as a document: what was met, all figures, and where they are from.
use super::{
    environment::{Environment, readable},
    goals::Verdict,
    held::Held,
    measured::{Figure, Kind, Measured, Spread},
    micro::Micro,
    missed, noise,
    notes::Notes,
    phases::PHASES,
    profile::Profiles,
    section, summary,
};
use crate::{
    fault::Result,
    page::{Block, Cell, Document, Table, Tone},
    release,
};

/// Everything that a report is made of.
pub(super) struct Results<'a> {
    pub(super) environment: &'a Environment,
    pub(super) measured: &'a [Measured],
    /// None: not asked for.
    pub(super) held: Option<&'a Result<Held>>,
    pub(super) micro: &'a Micro,
    pub(super) goals: &'a [Verdict],
    pub(super) profiles: &'a Profiles,
    pub(super) notes: Option<&'a Notes>,
}

/// Builds the document.
pub(super) fn build(results: &Results<'_>) -> Result<Document> {
    let Results { environment, measured, held, micro, goals, profiles, notes } = results;
    let mut blocks = opening(results);
    if !goals.is_empty() {
        blocks.push(Block::Section("Targets".into()));
        blocks.push(Block::Text("Ratios are taken round by round, and the median of them counts.".into()));
        blocks.push(Block::Table(targets(goals)));
        blocks.extend(micro.blocks());
    }
    blocks.push(Block::Section("CPU time per request".into()));
    blocks.push(Block::Text(
        "Microseconds of user and system time of the subject's processes, medians over the rounds; for direct, those \
         of the origin. A dash: not measured."
            .into(),
    ));
    blocks.push(Block::Table(overview(measured)));
    blocks.extend(missed::blocks(goals, profiles, *notes));
    for of_scenario in measured.chunk_by(|a, b| a.scenario.name == b.scenario.name) {
        blocks.extend(section::blocks(of_scenario)?);
    }
    match held {
        Some(Ok(held)) => blocks.extend(held.blocks()),
        Some(Err(fault)) => blocks.push(Block::Note(Tone::Bad, format!("Memory was not measured: {fault}."))),
        None => {}
    }
    blocks.extend(reading(measured));
    blocks.extend(surroundings(environment));
    Ok(Document {
        title: "Ringlane load test".into(),
        subtitle: format!(
            "{} UTC, commit {}, on {}, Linux {}",
            readable(&environment.date),
            environment.commit,
            environment.cpu,
            environment.kernel
        ),
        blocks,
    })
}

/// What must be known before anything else.
fn opening(results: &Results<'_>) -> Vec<Block> {
    let Results { environment, measured, goals, .. } = results;
    let mut blocks = Vec::new();
    if environment.debug_build {
        blocks.push(Block::Note(Tone::Bad, release::MARK.into()));
    }
    if !goals.is_empty() {
        let met = goals.iter().filter(|goal| goal.met).count();
        let noisy = goals.iter().filter(|goal| goal.noisy).count();
        let (tone, doubt) = match noisy {
            0 if met == goals.len() => (Tone::Good, String::new()),
            0 => (Tone::Bad, String::new()),
            n => (Tone::Doubtful, format!(" The machine was too noisy to be sure of {n}.")),
        };
        blocks.push(Block::Note(tone, format!("{met} of {} targets met.{doubt}", goals.len())));
    }
    let noise = noise::sentences(measured);
    blocks.extend(noise.into_iter().map(|noise| Block::Note(Tone::Doubtful, sentence(&noise))));
    blocks.extend(summary::faults(measured).into_iter().map(|line| Block::Note(Tone::Bad, sentence(&line))));
    blocks
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or(String::new(), |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

fn targets(goals: &[Verdict]) -> Table {
    let row = |goal: &Verdict| {
        let tone = match (goal.met, goal.noisy) {
            (_, true) => Tone::Doubtful,
            (true, false) => Tone::Good,
            (false, false) => Tone::Bad,
        };
        vec![
            goal.what.clone().into(),
            Cell { text: goal.word().into(), tone },
            format!("{:.2}", goal.ratio.median).into(),
            goal.target.clone().into(),
            goal.by().into(),
            range(goal.ratio).into(),
        ]
    };
    Table {
        header: ["what", "verdict", "measured", "target", "by", "min to max"].map(String::from).into(),
        rows: goals.iter().map(row).collect(),
        prose: false,
    }
}

/// `0.81 to 0.93`
pub(super) fn range(spread: Spread) -> String {
    format!("{:.2} to {:.2}", spread.min, spread.max)
}

/// One row per scenario, one column per subject.
fn overview(measured: &[Measured]) -> Table {
    let mut subjects: Vec<&str> = Vec::new();
    for one in measured {
        if !subjects.contains(&one.subject.as_str()) {
            subjects.push(&one.subject);
        }
    }
    let mut header = vec!["scenario".to_owned()];
    header.extend(subjects.iter().map(|&name| name.to_owned()));
    header.extend(["Ringlane / floor", "Ringlane / best peer"].map(String::from));
    let rows = measured.chunk_by(|a, b| a.scenario.name == b.scenario.name).map(|of_scenario| {
        let cpu = |name: &str| {
            let one = of_scenario.iter().find(|one| one.subject == name);
            one.and_then(|one| one.spread(Figure::Cpu))
        };
        let title = of_scenario.first().map_or(String::new(), |one| one.scenario.title.clone());
        let mut row: Vec<Cell> = vec![title.into()];
        row.extend(subjects.iter().map(|name| or_dash(cpu(name).map(|cpu| format!("{:.1}", cpu.median)))));
        let first = |kind| of_scenario.iter().find(|one| one.kind == kind);
        let ratio = |rival: Option<&Measured>| {
            let ratio = first(Kind::Ringlane)?.ratio(rival?, Figure::Cpu)?;
            Some(format!("{:.2}", ratio.median))
        };
        row.push(or_dash(ratio(first(Kind::Floor))));
        row.push(or_dash(ratio(super::goals::best_peer(of_scenario, Figure::Cpu))));
        row
    });
    Table { header, rows: rows.collect(), prose: false }
}

/// What is not known is a dash.
pub(super) fn or_dash(text: Option<String>) -> Cell {
    text.unwrap_or_else(|| "-".into()).into()
}

fn reading(measured: &[Measured]) -> Vec<Block> {
    let mut blocks = vec![Block::Section("How to read this".into())];
    for words in [
        "Every subject was measured in turn, round by round, so that what disturbs the machine for a while disturbs all \
         of them alike; the first round is thrown away. Figures are medians over the rounds with the smallest and the \
         largest; latencies are those of all rounds together.",
        "Closed loop: each client sends its next request when it has its answer, so a slow server is asked less. Open \
         loop: requests are due at a constant rate and latency counts from when each was due.",
        "Direct is the origin without a proxy. The floor is a bare forwarder on Ringlane's runtime which parses nothing: \
         what is above it is the price of being a proxy. Resident memory counts a page once for each process that has \
         it. A proxy that did not keep its upstream connections is named above, and no target is judged by it.",
    ] {
        blocks.push(Block::Text(words.into()));
    }
    if measured.iter().any(|one| !one.phases.is_empty()) {
        let rows = PHASES.iter().map(|(name, what)| vec![(*name).into(), (*what).into()]).collect();
        blocks.push(Block::Heading("Ringlane's phases".into()));
        let header = ["phase", "what it is"].map(String::from).into();
        blocks.push(Block::Table(Table { header, rows, prose: true }));
    }
    blocks
}

fn surroundings(environment: &Environment) -> Vec<Block> {
    // The command stands below, with the others.
    let lines = environment.lines().into_iter().filter(|(name, _)| *name != "command");
    let rows = lines.map(|(name, value)| vec![name.into(), value.into()]);
    let header = ["what", "which"].map(String::from).into();
    let mut blocks = vec![
        Block::Section("Machine and programs".into()),
        Block::Table(Table { header, rows: rows.collect(), prose: true }),
        Block::Heading("Commands".into()),
    ];
    let commands = environment.commands.iter().map(|(name, command)| format!("# {name}\n{command}\n"));
    blocks.push(Block::Code(format!("{}\n{}", environment.command, commands.collect::<String>())));
    blocks
}
