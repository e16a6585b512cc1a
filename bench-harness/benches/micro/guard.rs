//! Holds instructions and allocations of our cases to what they were: the two figures that do not depend on the
//! machine's mood.

use std::path::{Path, PathBuf};

use crate::{
    allocations,
    case::{Case, OURS},
    figures::{self, Figures},
    instructions,
};

/// By how much instructions may grow.
const INSTRUCTIONS_GROWTH_MAX: f64 = 0.02;
/// By how much allocations may grow: what an event loop takes now and then as its tables grow, never one per operation.
const ALLOCATIONS_SLACK: f64 = 0.01;
/// What one request may allocate, whatever the baseline says.
const EXCHANGE_ALLOCATIONS_MAX: f64 = 4.0;

fn baseline(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("baselines").join(name)
}

/// Allocations of each case.
pub fn count_allocations(cases: &[Case]) -> Figures {
    cases.iter().map(|case| (case.name(), allocations::per_operation(case))).collect()
}

/// Fails unless one exchange keeps within its budget.
pub fn check_budget(allocations: &Figures) -> Result<(), String> {
    let exchange = allocations.iter().find(|(name, _)| name.starts_with("exchange/") && name.ends_with(OURS));
    match exchange {
        Some((_, each)) if *each <= EXCHANGE_ALLOCATIONS_MAX => Ok(()),
        Some((name, each)) => Err(format!("{name}: {each} allocations, at most {EXCHANGE_ALLOCATIONS_MAX}")),
        None => Err("no exchange was measured".to_owned()),
    }
}

/// Compares with the baselines. Without valgrind only allocations are, unless `CI` is set: there it must not be missing.
pub fn check(cases: &[Case]) -> Result<(), String> {
    let allocated = count_allocations(cases);
    figures::write(&figures::folder().join("allocations.json"), &allocated)?;
    let mut faults = compare("allocations", &allocated, |before| before + ALLOCATIONS_SLACK)?;
    faults.extend(check_budget(&allocated).err());
    if instructions::can_count() {
        let counted = instructions::count(cases, OURS)?;
        figures::write_record(&counted, &allocated)?;
        figures::write(&figures::folder().join("instructions.json"), &counted)?;
        faults.extend(compare("instructions", &counted, |before| before * (1.0 + INSTRUCTIONS_GROWTH_MAX))?);
    } else if std::env::var_os("CI").is_some() {
        faults.push("valgrind is missing, and CI needs it to count instructions".to_owned());
    } else {
        println!("\ninstructions: SKIPPED, valgrind is missing");
    }
    if faults.is_empty() {
        println!("\nnothing has grown");
        return Ok(());
    }
    Err(format!("\n{}\n(meant to be so? `make baseline` writes the baselines anew)", faults.join("\n")))
}

/// Prints a table and gives what has grown beyond what `allowed` makes of the baseline.
fn compare(what: &str, now: &Figures, allowed: impl Fn(f64) -> f64) -> Result<Vec<String>, String> {
    let before = figures::read(&baseline(&format!("{what}.json")))?;
    println!("\n{:60} {:>12} {:>12} {:>9}", format!("{what} per operation"), "baseline", "now", "change");
    let mut faults = Vec::new();
    for (name, now) in now {
        // The file has four digits after the point.
        let now = (now * 1e4).round() / 1e4;
        let Some(before) = before.figures.get(name) else {
            faults.push(format!("{name}: has no baseline of {what}"));
            continue;
        };
        let change =
            if *before > 0.0 { format!("{:+.2} %", (now / before - 1.0) * 100.0) } else { "-".to_owned() };
        println!("{name:60} {before:12.4} {now:12.4} {change:>9}");
        if now > allowed(*before) {
            faults.push(format!("{name}: {before} {what} have become {now}"));
        }
    }
    faults.extend(
        before
            .figures
            .keys()
            .filter(|it| !now.contains_key(*it))
            .map(|it| format!("{it}: has a baseline of {what} but is not measured any more")),
    );
    let made_with = figures::made_with();
    if before.made_with != made_with {
        println!("(the baseline was made with {}; this is {made_with})", before.made_with);
    }
    Ok(faults)
}

/// Writes the baselines.
pub fn write(cases: &[Case]) -> Result<(), String> {
    figures::write(&baseline("allocations.json"), &count_allocations(cases))?;
    figures::write(&baseline("instructions.json"), &instructions::count(cases, OURS)?)?;
    println!("written: {}", baseline("").display());
    Ok(())
}
