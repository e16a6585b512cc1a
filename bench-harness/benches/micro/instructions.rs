//! Instructions of an operation, counted by valgrind's callgrind: they do not depend on who else uses the machine, and
//! repeat from run to run.
//!
//! This program runs itself under valgrind with the cases wanted. Counting is on inside `counted_operations` alone, and
//! after each call of it callgrind writes what it has counted and starts anew: one file for each case, in their order.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    case::{Case, Run},
    figures::{self, Figures},
};

/// Tells the program that it runs under valgrind.
const COUNTED_ENV: &str = "RINGLANE_BENCH_COUNTED";

/// Whether this process runs under valgrind.
pub fn is_counted() -> bool {
    env::var_os(COUNTED_ENV).is_some()
}

/// What counting is tied to, by name.
#[inline(never)]
#[unsafe(no_mangle)]
fn ringlane_counted_operations(run: &mut Run, operations: u64) -> u64 {
    run(operations);
    // Something left to do, so that the call above is one, and returns here.
    std::hint::black_box(operations)
}

/// Runs each case once to warm it up and once to be counted.
pub fn run(cases: &[Case]) {
    for case in cases {
        let mut run = (case.prepare)();
        run(case.counted);
        ringlane_counted_operations(&mut run, case.counted);
    }
}

/// Whether valgrind is there.
pub fn can_count() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Instructions of one operation of each case. `part` is what their names, and no others, contain.
pub fn count(cases: &[Case], part: &str) -> Result<Figures, String> {
    let folder = figures::folder().join("callgrind");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=ringlane_counted_operations"])
        .arg("--dump-after=ringlane_counted_operations")
        .arg(format!("--callgrind-out-file={}/out", folder.display()))
        .arg(this)
        .args(["counted", part])
        .env(COUNTED_ENV, "1")
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !output.status.success() {
        return Err(format!("under valgrind: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let counts = dumps(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    if counts.len() != cases.len() {
        return Err(format!("valgrind counted {} cases of {}", counts.len(), cases.len()));
    }
    let per_operation = |(case, count): (&Case, u64)| (case.name(), count as f64 / case.counted as f64);
    Ok(cases.iter().zip(counts.into_values()).map(per_operation).collect())
}

/// The counts by the number of the file that they are in. What was dumped at the end of the program has none.
fn dumps(folder: &Path) -> io::Result<BTreeMap<u64, u64>> {
    let mut counts = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        let number = path.extension().and_then(|it| it.to_str()?.parse().ok());
        let text = fs::read_to_string(&path)?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
        // The last file is what came after the last case: nothing.
        if let (Some(number), Some(total @ 1..)) = (number, total) {
            counts.insert(number, total);
        }
    }
    Ok(counts)
}

/// Counts the cases and prints what came of it.
pub fn print(cases: &[Case]) -> Result<(), String> {
    // Their own names, so that no other is run.
    for case in cases {
        let counted = count(std::slice::from_ref(case), &case.name())?;
        for (name, instructions) in counted {
            println!("{name:60} {instructions:12.1}");
        }
    }
    Ok(())
}
