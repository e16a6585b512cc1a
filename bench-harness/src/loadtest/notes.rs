//! What people wrote about missed targets: why, and what was tried. A file of Markdown with a section for each.
//!
//! ```text
//! ## 13b-1024: CPU per request / best peer
//! Half of it is ...
//! ```
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use crate::{
    fault::{At, Fault, Result},
    page::{html, markdown, slot},
};

const FILE_BYTES_MAX: u64 = 1 << 20;
/// What a section begins with.
const HEADING: &str = "## ";

/// `ringlane-bench annotate`
#[derive(Args, Clone, Debug)]
pub struct AnnotateArgs {
    /// The notes: a section `## TARGET` for each missed target
    #[arg(long, value_name = "FILE")]
    pub notes: PathBuf,
    /// Reports of a load test, report.md and report.html, in which the notes take the place of older ones or of none
    #[arg(required = true, value_name = "REPORT")]
    pub reports: Vec<PathBuf>,
}

/// The notes of one file, by target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    sections: Vec<(String, String)>,
}

impl Notes {
    /// Reads a file; None where there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        let place = path.display();
        let Ok(file) = fs::metadata(path) else { return Ok(None) };
        if file.len() > FILE_BYTES_MAX {
            return Err(Fault::new(format!(
                "{place}: {} bytes, notes have at most {FILE_BYTES_MAX}",
                file.len()
            )));
        }
        Self::parse(&fs::read_to_string(path).at(format!("cannot read {place}"))?).at(place).map(Some)
    }

    fn parse(text: &str) -> Result<Self> {
        if text.contains(slot::COMMENT) {
            return Err(Fault::new(format!(
                "notes hold no comments ({}): reports mark notes by them",
                slot::COMMENT
            )));
        }
        let mut sections: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            match (line.strip_prefix(HEADING), sections.last_mut()) {
                (Some(target), _) => sections.push((target.trim().to_owned(), String::new())),
                (None, Some((_, words))) => {
                    words.push_str(line);
                    words.push('\n');
                }
                // A title and what stands below it are the file's own.
                (None, None) => {}
            }
        }
        Ok(Self { sections })
    }

    /// What there is on a target.
    pub(super) fn on(&self, target: &str) -> Option<&str> {
        let section = self.sections.iter().find(|(name, _)| name.eq_ignore_ascii_case(target));
        section.map(|(_, words)| words.trim()).filter(|words| !words.is_empty())
    }

    /// Targets that have notes and are none of these.
    pub(super) fn on_others<'a>(&'a self, targets: &[&str]) -> Vec<&'a str> {
        let known = |name: &str| targets.iter().any(|target| target.eq_ignore_ascii_case(name));
        self.sections.iter().map(|(name, _)| name.as_str()).filter(|name| !known(name)).collect()
    }
}

/// Runs `ringlane-bench annotate`: puts notes into reports that are there already.
pub fn annotate(args: &AnnotateArgs) -> Result<ExitCode> {
    let notes = Notes::read(&args.notes)?
        .ok_or_else(|| Fault::new(format!("there is no file {}", args.notes.display())))?;
    let mut missing = 0;
    for path in &args.reports {
        let place = path.display();
        let old = fs::read_to_string(path).at(format!("cannot read {place}"))?;
        let render = match path.extension().and_then(|extension| extension.to_str()) {
            Some("html") => html::notes,
            Some("md") => markdown::notes,
            _ => return Err(Fault::new(format!("{place} is neither Markdown (.md) nor a page (.html)"))),
        };
        let (new, targets) = slot::refill(&old, |target| render(target, notes.on(target))).at(&place)?;
        if new != old {
            fs::write(path, new).at(format!("cannot write {place}"))?;
        }
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        let without: Vec<_> = targets.iter().filter(|target| notes.on(target).is_none()).collect();
        println!("{place}: {} missed targets, {} without notes", targets.len(), without.len());
        without.iter().for_each(|target| println!("  no notes: {target}"));
        notes.on_others(&targets).iter().for_each(|name| println!("  not missed: {name}"));
        missing += without.len();
    }
    Ok(ExitCode::from(u8::from(missing > 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_found_by_their_target_and_what_stands_before_is_not() {
        let notes =
            Notes::parse("# Notes\nof a run\n\n## 13b-64: p99 / best peer\n\nBecause.\n\n### tried\n- this\n\n## Empty\n\n")
                .unwrap();
        assert_eq!(notes.on("13b-64: P99 / best peer"), Some("Because.\n\n### tried\n- this"));
        assert_eq!((notes.on("Empty"), notes.on("of a run")), (None, None));
        assert_eq!(notes.on_others(&["13b-64: p99 / best peer"]), ["Empty"]);
        assert!(Notes::parse("## a\n<!-- /notes -->").is_err());
        assert_eq!(Notes::read(Path::new("/nonexistent/notes.md")).unwrap(), None);
    }
}
