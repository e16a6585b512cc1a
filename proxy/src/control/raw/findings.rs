//! Everything found wrong so far. Reading and validating go on after an error, so that one run shows them all.

use std::collections::BTreeSet;

use super::document::{Document, Place};
use crate::control::{
    base::Spot,
    error::{ConfigError, Severity, SourceText},
};

/// One of the documents that a config is read from; its number is its place in the list.
pub(crate) struct Part<'p> {
    pub(crate) document: &'p Document,
    pub(crate) text: Text<'p>,
}

/// What a document was made from.
pub(crate) enum Text<'p> {
    /// A file.
    File(SourceText<'p>),
    /// JSON from here, as `PUT /config`.
    Json(&'p str),
}

/// Errors and warnings, each with its place.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

#[derive(Debug)]
struct Finding {
    place: Place,
    /// A key that is not there, below `place`.
    below: Option<String>,
    /// What it collides with.
    other: Option<Place>,
    message: String,
    hint: Option<String>,
}

/// Adds to the finding that was just made.
pub(crate) struct Made<'f>(&'f mut Finding);

impl Made<'_> {
    /// What to do about it.
    pub(crate) fn hint(self, hint: impl Into<String>) {
        self.0.hint = Some(hint.into());
    }

    /// The finding is about a key that is missing from the table it points at.
    pub(crate) fn below(self, key: &str) -> Self {
        self.0.below = Some(key.to_owned());
        self
    }

    /// What it collides with; the hint says on which line that is.
    pub(crate) fn other(self, place: Place) -> Self {
        self.0.other = Some(place);
        self
    }
}

impl Findings {
    /// Something that the config can't be used with.
    pub(crate) fn error(&mut self, place: Place, message: impl Into<String>) -> Made<'_> {
        push(&mut self.errors, place, message.into())
    }

    /// Something that is probably not what was meant.
    pub(crate) fn warn(&mut self, place: Place, message: impl Into<String>) -> Made<'_> {
        push(&mut self.warnings, place, message.into())
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Whether there is nothing to say.
    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty() && self.warnings.is_empty()
    }

    /// The documents in which something is wrong.
    pub(crate) fn parts_at_fault(&self) -> BTreeSet<usize> {
        self.errors.iter().map(|it| it.place.part).collect()
    }

    /// Errors and warnings for people, each list in the order of the texts.
    pub(crate) fn report(self, parts: &[Part<'_>]) -> (Vec<ConfigError>, Vec<ConfigError>) {
        let write = |mut found: Vec<Finding>, severity: Severity| {
            found.sort_by_key(|it| it.place.part);
            let written = found.into_iter().filter_map(|it| Some((it.place.part, it.write(parts)?)));
            let mut written: Vec<_> =
                written.map(|(part, it)| (part, ConfigError { severity, ..it })).collect();
            written.sort_by_key(|(part, it)| (*part, it.line, it.column));
            let mut written: Vec<_> = written.into_iter().map(|(_, it)| it).collect();
            written.dedup();
            written
        };
        (write(self.errors, Severity::Error), write(self.warnings, Severity::Warning))
    }
}

impl Finding {
    /// `None`: its place is in a document that is not among `parts`, which no finding's is.
    fn write(self, parts: &[Part<'_>]) -> Option<ConfigError> {
        let part = parts.get(self.place.part)?;
        let other = self.other.and_then(|it| {
            let other = parts.get(it.part)?;
            let same = it.part == self.place.part;
            Some(format!("the other is {}", other.shown(it, same)))
        });
        let hint = match (self.hint, other) {
            (Some(hint), Some(other)) => Some(format!("{hint} ({other})")),
            (hint, other) => hint.or(other),
        };
        let document = part.document;
        match &part.text {
            Text::File(text) => {
                let mut key = document.path(self.place);
                if let Some(below) = &self.below {
                    if !key.is_empty() {
                        key.push('.');
                    }
                    key.push_str(below);
                }
                Some(text.error(document.span(self.place), key, self.message, hint))
            }
            Text::Json(from) => {
                let mut pointer = document.pointer(self.place);
                if let Some(below) = &self.below {
                    pointer.push('/');
                    pointer.push_str(below);
                }
                Some(ConfigError::of_json(from, pointer, self.message, hint))
            }
        }
    }
}

impl Part<'_> {
    /// The file and line of `place`.
    pub(crate) fn spot(&self, place: Place) -> Spot {
        let line = match &self.text {
            Text::File(text) => text.line(self.document.span(place).start),
            Text::Json(_) => 0,
        };
        Spot { file: place.part, line, at: 0 }
    }

    /// Where `place` of this document is, for a sentence; `same`: as seen from the same document.
    fn shown(&self, place: Place, same: bool) -> String {
        match &self.text {
            Text::File(text) if same => format!("on line {}", text.line(self.document.span(place).start)),
            Text::File(text) => {
                format!("in {} on line {}", text.file, text.line(self.document.span(place).start))
            }
            Text::Json(_) if same => format!("at {}", self.document.pointer(place)),
            Text::Json(from) => format!("in {from} at {}", self.document.pointer(place)),
        }
    }
}

// The list is not empty right after a push; a `Finding` that nobody sees is the harmless way out.
fn push(list: &mut Vec<Finding>, place: Place, message: String) -> Made<'_> {
    let at = list.len();
    list.push(Finding { place, below: None, other: None, message, hint: None });
    Made(&mut list[at])
}
