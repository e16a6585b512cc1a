//! Nanoseconds of an operation, by criterion. Files below `target/bench/criterion` have every sample.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use criterion::Criterion;

use crate::{
    case::Case,
    figures::{self, Figures},
};

/// Whether time is short.
pub fn is_quick() -> bool {
    std::env::var_os("QUICK").is_some_and(|it| it != "0")
}

fn folder() -> PathBuf {
    figures::folder().join("criterion")
}

fn criterion() -> Criterion {
    let (warm_up, measured) = if is_quick() { (50, 150) } else { (300, 1000) };
    Criterion::default()
        .output_directory(&folder())
        .sample_size(if is_quick() { 10 } else { 30 })
        .warm_up_time(Duration::from_millis(warm_up))
        .measurement_time(Duration::from_millis(measured))
}

/// Median nanoseconds of each case.
pub fn measure(cases: &[Case]) -> Result<Figures, String> {
    let mut criterion = criterion();
    let mut medians = Figures::new();
    for case in cases {
        let id = case.name();
        criterion.bench_function(&id, |bencher| {
            let mut run = (case.prepare)();
            run(case.counted);
            bencher.iter_custom(|operations| {
                let started = Instant::now();
                run(operations);
                started.elapsed()
            });
        });
        medians.insert(id, median(case)?);
    }
    Ok(medians)
}

/// What criterion has written down. It replaces what a path can't hold in a name.
fn median(case: &Case) -> Result<f64, String> {
    let path = folder().join(case.name().replace('/', "_")).join("new/estimates.json");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let estimates: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    estimates["median"]["point_estimate"].as_f64().ok_or_else(|| format!("{}: no median", path.display()))
}

/// Measures cases, and leaves the printing to criterion.
pub fn print(cases: &[Case]) -> Result<(), String> {
    measure(cases).map(|_| ())
}
