//! The file that figures are kept in: `results.json` of a load test, or anything else that writes the same few keys.
//!
//! ```json
//! {
//!   "format": "ringlane-bench", "version": 1,
//!   "figures": [{ "name": "13b-256 ringlane: CPU per request / floor", "kind": "cpu_to_floor", "value": 1.12 }]
//! }
//! ```
//!
//! What a load test writes besides (each round, percentiles, the targets) is for people and for plotting, not for the
//! guard.
use std::{collections::BTreeSet, fs, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kind::Kind;
use crate::fault::{At, Fault, Result};

/// What a record calls itself.
pub const FORMAT: &str = "ringlane-bench";
/// Raised whenever a figure of the same name comes to mean something else.
pub const VERSION: u64 = 1;

/// A larger file is not a record.
const RECORD_BYTES_MAX: u64 = 64 << 20;

/// One figure of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it is, in words; the same in two records that are to be compared.
    pub name: String,
    /// What it counts.
    pub kind: Kind,
    /// The median, where there was more than one round.
    pub value: f64,
    /// The smallest of the rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The largest of the rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// Where a record is from; all of it is optional, and only shown.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Source {
    /// When it was made.
    pub date: String,
    /// Of which commit.
    pub commit: String,
    /// On which processor.
    pub cpu: String,
    /// On which kernel.
    pub kernel: String,
    /// Without optimisation.
    pub debug_build: bool,
}

/// The figures of one run and where they are from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Record {
    /// Where it is from.
    #[serde(default, rename = "environment")]
    pub source: Source,
    /// Its figures; no two have the same name.
    pub figures: Vec<Figure>,
    /// What made the machine too noisy to tell, in sentences.
    #[serde(default)]
    pub noise: Vec<String>,
}

impl Record {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self> {
        let place = path.display();
        let size = fs::metadata(path).at(format!("cannot read {place}"))?.len();
        if size > RECORD_BYTES_MAX {
            return Err(Fault::new(format!(
                "{place}: {size} bytes, a record has at most {RECORD_BYTES_MAX}"
            )));
        }
        let text = fs::read_to_string(path).at(format!("cannot read {place}"))?;
        Self::parse(&text).at(place)
    }

    /// Checks the text of a record.
    pub fn parse(text: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(text).at("not JSON")?;
        match (json.get("format").and_then(Value::as_str), json.get("version")) {
            (Some(FORMAT), Some(version)) if version.as_u64() == Some(VERSION) => {}
            (Some(FORMAT), Some(version)) => {
                return Err(Fault::new(format!(
                    "a record of version {version}, this program reads version {VERSION}: measure again, or compare \
                     with the program that wrote it"
                )));
            }
            _ => {
                return Err(Fault::new(format!(
                    "not a record: it should say \"format\": \"{FORMAT}\" and \"version\": {VERSION}; \
                     ringlane-bench loadtest writes one as results.json"
                )));
            }
        }
        let record: Self = serde_json::from_value(json).at("a record with a fault")?;
        record.check()?;
        Ok(record)
    }

    fn check(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        for figure in &self.figures {
            let name = &figure.name;
            if !names.insert(name) {
                return Err(Fault::new(format!("two figures are called {name:?}")));
            }
            // JSON has no infinities; what is too large for a double is read as one.
            if !figure.value.is_finite() || figure.value < 0.0 {
                return Err(Fault::new(format!("{name:?} is {}, which nothing can be", figure.value)));
            }
        }
        if self.figures.is_empty() {
            return Err(Fault::new("a record without figures: was Ringlane left out, or the run cut short?"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Record::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_record_needs_a_format_a_version_and_figures() {
        let record = Record::parse(
            r#"{"format":"ringlane-bench","version":1,"results":[],
                "figures":[{"name":"a","kind":"cpu_to_floor","value":1.5,"min":1,"max":2}]}"#,
        );
        assert_eq!(record.unwrap().figures[0].kind, Kind::CpuToFloor);
        assert!(fault("").contains("not JSON"));
        assert!(fault("[]").contains("not a record"));
        assert!(fault(r#"{"environment":{},"results":[]}"#).contains("not a record"));
        assert!(fault(r#"{"format":"ringlane-bench","version":2,"figures":[]}"#).contains("version 2"));
        assert!(fault(r#"{"format":"ringlane-bench","version":1}"#).contains("figures"));
        assert!(fault(r#"{"format":"ringlane-bench","version":1,"figures":[]}"#).contains("without figures"));
    }

    #[test]
    fn figures_are_numbers_of_a_known_kind_and_have_names_of_their_own() {
        let record = |figures: &str| {
            fault(&format!(r#"{{"format":"ringlane-bench","version":1,"figures":[{figures}]}}"#))
        };
        assert!(record(r#"{"name":"a","kind":"speed","value":1}"#).contains("speed"));
        assert!(record(r#"{"name":"a","kind":"memory","value":-1}"#).contains("nothing can be"));
        assert!(record(r#"{"name":"a","kind":"memory","value":null}"#).contains("null"));
        let twice = r#"{"name":"a","kind":"memory","value":1}"#;
        assert!(record(&format!("{twice},{twice}")).contains("two figures"));
    }
}
