//! What stopped a command: one sentence that names the place and the fix, and the exit code to end with.
use std::fmt;

/// The exit code of a command that failed.
const FAILURE: u8 = 1;
/// The exit code of what was asked for and is not done; what the parser uses for options that it does not know.
const USAGE: u8 = 2;

/// An error for the person at the terminal; the harness never branches on its kind.
#[derive(Debug)]
pub struct Fault {
    sentence: String,
    code: u8,
}

/// A result of a command or a part of one.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

impl Fault {
    /// A fault described by a full sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: FAILURE }
    }

    /// A fault of what was asked for, before anything was done. A place that is added takes its exit code away.
    pub fn refusal(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: USAGE }
    }

    /// What the process is to end with.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
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
        self.map_err(|error| Fault::new(format!("{place}: {error}")))
    }
}
