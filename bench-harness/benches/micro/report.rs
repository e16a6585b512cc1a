//! Everything measured, each design beside the others, and beside what the sources say of themselves.

use std::{collections::BTreeMap, fmt::Write, fs, time::Duration};

use hdrhistogram::Histogram;

use crate::{
    case::{Case, OURS},
    change, driver, exchange,
    figures::{self, Figures},
    guard, instructions, pool, route, sources, wall,
};

/// All that was measured in one run.
pub struct Measured {
    /// Median nanoseconds by case.
    pub wall: Figures,
    /// Instructions by case; none without valgrind.
    pub instructions: Figures,
    /// Allocations by case.
    pub allocations: Figures,
    /// Median nanoseconds by design: route selection under change.
    pub route_contended: BTreeMap<&'static str, f64>,
    /// Changes a second that each design has published meanwhile.
    pub changes: BTreeMap<&'static str, f64>,
    /// Median nanoseconds by design: a pool with two threads at it.
    pub pool_contended: BTreeMap<&'static str, f64>,
    /// Lengths of exchanges, in nanoseconds.
    pub exchanges: Histogram<u64>,
}

/// Measures, writes `target/bench`, prints the report.
pub fn everything(cases: &[Case]) -> Result<(), String> {
    let measured = measure(cases)?;
    let folder = figures::folder();
    figures::write(&folder.join("nanoseconds.json"), &measured.wall)?;
    figures::write(&folder.join("allocations.json"), &measured.allocations)?;
    if !measured.instructions.is_empty() {
        figures::write(&folder.join("instructions.json"), &measured.instructions)?;
    }
    figures::write_record(&measured.instructions, &measured.allocations)?;
    let mut text = report(cases, &measured);
    let path = folder.join("report.md");
    change::report(&mut text)?;
    fs::write(&path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("\n{text}\n{}", path.display());
    guard::check_budget(&measured.allocations)
}

fn measure(cases: &[Case]) -> Result<Measured, String> {
    let (length, exchanges) = match wall::is_quick() {
        true => (Duration::from_millis(200), 5_000),
        false => (Duration::from_secs(1), 50_000),
    };
    let wall = wall::measure(cases)?;
    let (mut selected, mut changes, mut pooled) = (Rounds::default(), BTreeMap::new(), Rounds::default());
    for _ in 0..3 {
        for (design, nanoseconds, published) in route::contended(length) {
            selected.entry(design).or_default().push(nanoseconds);
            changes.insert(design, published as f64 / length.as_secs_f64());
        }
        for (design, nanoseconds) in pool::contended(length) {
            pooled.entry(design).or_default().push(nanoseconds);
        }
    }
    let instructions = match instructions::can_count() {
        true => instructions::count(cases, "")?,
        false => Figures::new(),
    };
    Ok(Measured {
        wall,
        instructions,
        allocations: guard::count_allocations(cases),
        route_contended: medians(selected),
        changes,
        pool_contended: medians(pooled),
        exchanges: exchange::histogram(exchanges),
    })
}

/// Several measurements of each design, taken in turns.
type Rounds = BTreeMap<&'static str, Vec<f64>>;

fn medians(rounds: Rounds) -> BTreeMap<&'static str, f64> {
    let median = |mut figures: Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    rounds.into_iter().map(|(design, figures)| (design, median(figures))).collect()
}

fn first_with(file: &str, start: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or("unknown");
    line.trim_start_matches(['\t', ' ', ':']).trim().to_owned()
}

fn report(cases: &[Case], measured: &Measured) -> String {
    let mut out = String::from("# Where the time goes\n\n");
    let _ = writeln!(
        out,
        "{}; Linux {}; {}; exchanges and pool on {}; {}.\n",
        first_with("/proc/cpuinfo", "model name"),
        first_with("/proc/sys/kernel/osrelease", ""),
        figures::made_with(),
        driver().name(),
        if wall::is_quick() { "a QUICK run: nanoseconds are rough" } else { "a full run" },
    );
    out.push_str(
        "Nanoseconds are medians of one run and depend on who else used the machine: compare them within a table. \
         Instructions (callgrind, event loops on epoll) and allocations repeat.\n\n",
    );
    sources::table(&mut out, measured);
    let mut last = (String::new(), String::new());
    for case in cases {
        let this = (case.group.to_owned(), case.size.clone());
        if this != last {
            let _ = writeln!(out, "\n## {}: {}\n", case.group, case.size);
            out.push_str(
                "| design | time | against ringlane | instructions | allocations |\n|---|---|---|---|---|\n",
            );
            last = this;
        }
        row(&mut out, case, measured);
    }
    contended(
        &mut out,
        "route: 1000 routes, two threads select, a third publishes 50 changes a second",
        &measured.route_contended,
        Some(&measured.changes),
    );
    contended(&mut out, "pool: two threads", &measured.pool_contended, None);
    out
}

fn row(out: &mut String, case: &Case, measured: &Measured) {
    let name = case.name();
    let ours = format!("{}/{}/{OURS}", case.group, case.size);
    let time = measured.wall.get(&name).copied().unwrap_or(f64::NAN);
    let ratio = time / measured.wall.get(&ours).copied().unwrap_or(f64::NAN);
    let counted = measured.instructions.get(&name).map_or("-".to_owned(), |it| format!("{it:.0}"));
    let allocated = measured.allocations.get(&name).copied().unwrap_or(f64::NAN);
    let _ = writeln!(
        out,
        "| {} | {} | {} | {counted} | {} |",
        case.design,
        duration(time),
        times(ratio),
        (allocated * 1e3).round() / 1e3
    );
}

fn contended(
    out: &mut String,
    what: &str,
    designs: &BTreeMap<&'static str, f64>,
    changes: Option<&BTreeMap<&'static str, f64>>,
) {
    let _ = writeln!(out, "\n## {what}\n");
    out.push_str("| design | time per thread | against ringlane | changes/s |\n|---|---|---|---|\n");
    let ours = designs.get(OURS).copied().unwrap_or(f64::NAN);
    for (design, time) in designs {
        let changes = changes.and_then(|it| it.get(design)).map_or("-".to_owned(), |it| format!("{it:.0}"));
        let _ = writeln!(out, "| {design} | {} | {} | {changes} |", duration(*time), times(time / ours));
    }
}

/// A ratio, with as many digits as mean something.
pub fn times(ratio: f64) -> String {
    if ratio >= 10.0 { format!("{ratio:.0} x") } else { format!("{ratio:.2} x") }
}

/// Nanoseconds in the unit that a person would choose.
pub fn duration(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1e3 => format!("{nanoseconds:.1} ns"),
        ..1e6 => format!("{:.2} us", nanoseconds / 1e3),
        _ => format!("{:.2} ms", nanoseconds / 1e6),
    }
}
