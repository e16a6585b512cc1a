//! What is wrong with a pattern, and what to write instead.

/// A pattern that is refused. Control shows `what` at the pattern's place in the config and `fix` as the hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {fix}")]
pub struct PatternError {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl PatternError {
    pub(crate) fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }
}
