//! Figures by the name of a case, in files: `{"made_with": "...", "figures": {"route/10 routes/ringlane": 123.4}}`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use ringlane_bench::guard::{
    kind::Kind,
    record::{FORMAT, Figure, VERSION},
};
use serde::{Deserialize, Serialize};

use crate::case::OURS;

/// A figure for each case.
pub type Figures = BTreeMap<String, f64>;

/// A file of them.
#[derive(Serialize, Deserialize)]
pub struct File {
    /// The versions that figures depend on.
    pub made_with: String,
    /// By case.
    pub figures: Figures,
}

/// Where everything is written that is measured here.
pub fn folder() -> PathBuf {
    // Beside the folder that cargo has made for scratch files, wherever the target folder is.
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench")
}

fn first_line(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let text = output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("none").trim().to_owned()
}

/// Compiler, C library and valgrind: what counts depend on besides the code.
pub fn made_with() -> String {
    let libc = first_line("getconf", "GNU_LIBC_VERSION");
    format!("{}; {}; {libc}", first_line("rustc", "--version"), first_line("valgrind", "--version"))
}

/// Writes figures, one decimal or four digits after the point at most.
pub fn write(path: &Path, figures: &Figures) -> Result<(), String> {
    let rounded = figures.iter().map(|(name, figure)| (name.clone(), (figure * 1e4).round() / 1e4));
    let file = File { made_with: made_with(), figures: rounded.collect() };
    let text = serde_json::to_string_pretty(&file).map_err(|error| error.to_string())? + "\n";
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes what `ringlane-bench compare` reads: of our cases the figures that repeat.
pub fn write_record(instructions: &Figures, allocations: &Figures) -> Result<(), String> {
    let of = |figures: &Figures, what: &str, kind: Kind| -> Vec<Figure> {
        let ours = figures.iter().filter(|(name, _)| name.ends_with(OURS));
        let figure = |(name, &value): (&String, &f64)| Figure {
            name: format!("{name}: {what}"),
            kind,
            value: (value * 1e4).round() / 1e4,
            min: None,
            max: None,
        };
        ours.map(figure).collect()
    };
    let mut figures = of(instructions, "instructions", Kind::Instructions);
    figures.extend(of(allocations, "allocations", Kind::Allocations));
    let record = serde_json::json!({
        "format": FORMAT, "version": VERSION, "made_with": made_with(), "figures": figures,
    });
    let path = folder().join("record.json");
    let text = serde_json::to_string_pretty(&record).map_err(|error| error.to_string())? + "\n";
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reads them back.
pub fn read(path: &Path) -> Result<File, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}
