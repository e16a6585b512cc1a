//! Everything found wrong so far. Reading and validating go on after an error, so that one run shows them all.

use super::document::{Document, Place};
use crate::control::error::{ConfigError, Severity, SourceText};

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

    /// Errors and warnings for people, each list in the order of the text.
    pub(crate) fn report(
        self,
        document: &Document,
        text: &SourceText<'_>,
    ) -> (Vec<ConfigError>, Vec<ConfigError>) {
        let write = |found: Vec<Finding>, severity: Severity| {
            let mut written: Vec<_> =
                found.into_iter().map(|it| ConfigError { severity, ..it.write(document, text) }).collect();
            written.sort_by_key(|it| (it.line, it.column));
            written.dedup();
            written
        };
        (write(self.errors, Severity::Error), write(self.warnings, Severity::Warning))
    }
}

impl Finding {
    fn write(self, document: &Document, text: &SourceText<'_>) -> ConfigError {
        let mut key = document.path(self.place);
        if let Some(below) = &self.below {
            if !key.is_empty() {
                key.push('.');
            }
            key.push_str(below);
        }
        let other =
            self.other.map(|it| format!("the other is on line {}", text.line(document.span(it).start)));
        let hint = match (self.hint, other) {
            (Some(hint), Some(other)) => Some(format!("{hint} ({other})")),
            (hint, other) => hint.or(other),
        };
        text.error(document.span(self.place), key, self.message, hint)
    }
}

// The list is not empty right after a push; a `Finding` that nobody sees is the harmless way out.
fn push(list: &mut Vec<Finding>, place: Place, message: String) -> Made<'_> {
    let at = list.len();
    list.push(Finding { place, below: None, other: None, message, hint: None });
    Made(&mut list[at])
}
