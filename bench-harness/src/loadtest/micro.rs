//! Targets that no load shows and `make bench` measures: what it wrote last is taken from its files.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::Deserialize;

use super::{environment, goals::Verdict, measured::Spread};
use crate::page::Block;

/// Where `make bench` writes, beside the folder of the load tests.
const FOLDER: &str = "bench";
const FILE_BYTES_MAX: u64 = 4 << 20;

const MANY_HOSTS: &str = "route/1000 hosts x 10 routes/ringlane";
const ONE_HOST: &str = "route/1 host x 10 routes/ringlane";
const EXCHANGE: &str = "exchange/13 B/ringlane";

/// What is looked at: file, case, a case to hold it against, name, limit.
const TARGETS: [(&str, &str, Option<&str>, &str, f64); 3] = [
    ("nanoseconds", MANY_HOSTS, None, "route selection, 1,000 hosts of 10 paths: ns", 100.0),
    (
        "instructions",
        MANY_HOSTS,
        Some(ONE_HOST),
        "route selection, 1,000 hosts of 10 paths: instructions / 10 routes",
        1.1,
    ),
    ("allocations", EXCHANGE, None, "heap allocations per request, kept connections, small body", 4.0),
];

/// One file of it.
#[derive(Deserialize)]
struct File {
    figures: BTreeMap<String, f64>,
}

/// What was found, and what was not.
#[derive(Debug, Default)]
pub(super) struct Micro {
    /// Targets whose figures are there.
    pub(super) verdicts: Vec<Verdict>,
    /// Names of those whose are not.
    missing: Vec<&'static str>,
    /// When the oldest of the files was written.
    written: Option<SystemTime>,
}

impl Micro {
    /// Reads the files beside the folder `out` of load tests.
    pub(super) fn read(out: &Path) -> Self {
        let folder = out.with_file_name(FOLDER);
        let mut micro = Self::default();
        for (file, case, reference, name, limit) in TARGETS {
            let path = folder.join(format!("{file}.json"));
            let Some(figure) = figure(&path, case, reference) else {
                micro.missing.push(name);
                continue;
            };
            let written = fs::metadata(&path).and_then(|file| file.modified()).ok();
            micro.written = [micro.written, written].into_iter().flatten().min();
            micro.verdicts.push(Verdict {
                name: name.to_owned(),
                scenario: "make bench".into(),
                rival: String::new(),
                what: name.to_owned(),
                target: format!("<= {limit:.2}"),
                ratio: Spread { median: figure, min: figure, max: figure },
                met: figure <= limit,
                beyond: figure / limit - 1.0,
                noisy: false,
            });
        }
        micro
    }

    /// Where they are from, in words, for the section on targets.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        if let Some(written) = self.written {
            let when = environment::readable(&environment::format_time(written));
            blocks.push(Block::Text(format!(
                "Route selection and allocations are of the last `make bench` here, {when} UTC, and not of this run."
            )));
        }
        if !self.missing.is_empty() {
            let names = self.missing.join("; ");
            blocks.push(Block::Text(format!("Not known, as `make bench` did not run here: {names}.")));
        }
        blocks
    }
}

fn figure(path: &PathBuf, case: &str, reference: Option<&str>) -> Option<f64> {
    if fs::metadata(path).ok()?.len() > FILE_BYTES_MAX {
        return None;
    }
    let file: File = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
    let figure = *file.figures.get(case)?;
    let reference = reference.map_or(Some(1.0), |case| file.figures.get(case).copied())?;
    Some(figure / reference).filter(|figure| figure.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_judged_where_they_are_and_named_where_they_are_not() {
        let dir = std::env::temp_dir().join(format!("ringlane-bench-test-micro-{}", std::process::id()));
        let folder = dir.join(FOLDER);
        fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        write("nanoseconds.json", &format!(r#"{{"made_with":"x","figures":{{"{MANY_HOSTS}":120.0}}}}"#));
        write("instructions.json", &format!(r#"{{"figures":{{"{MANY_HOSTS}":462,"{ONE_HOST}":440}}}}"#));
        write("allocations.json", "not JSON");
        let micro = Micro::read(&dir.join("loadtest"));
        fs::remove_dir_all(&dir).unwrap();
        let found: Vec<_> = micro.verdicts.iter().map(|it| (it.ratio.median, it.met, it.by())).collect();
        assert_eq!(found, [(120.0, false, "20.0 %".into()), (1.05, true, "4.5 %".into())]);
        assert_eq!(micro.missing.len(), 1);
        assert_eq!(micro.blocks().len(), 2);
        assert_eq!(Micro::read(Path::new("/nonexistent/loadtest")).missing.len(), TARGETS.len());
    }
}
