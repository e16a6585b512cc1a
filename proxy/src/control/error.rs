//! One thing that is wrong with a config, with its place, in words for the person who wrote it.

/// An error in a config file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as it was named on the command line.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Path of the key, as `listeners[0].timeouts.keep_alive`; empty for an error of the file as a whole.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The text at fault.
    pub excerpt: Option<Excerpt>,
}

/// The line of a file that an error points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, without its end, tabs made spaces.
    pub text: String,
    /// Characters before the fault.
    pub start: usize,
    /// Characters at fault, at least 1.
    pub width: usize,
}
