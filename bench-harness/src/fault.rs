//! What stopped a command: one sentence that names the place and the fix.
use std::fmt;

/// An error for the person at the terminal; the harness never branches on its kind.
#[derive(Debug)]
pub struct Fault(String);

/// A result of a command or a part of one.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

impl Fault {
    /// A fault described by a full sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// Adds the place to an error that does not know it.
pub trait At<T> {
    /// Turns the error into `"{place}: {error}"`.
    fn at(self, place: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> At<T> for std::result::Result<T, E> {
    fn at(self, place: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Fault(format!("{place}: {error}")))
    }
}
