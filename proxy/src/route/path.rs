//! Path patterns.

/// The path condition of a route.
#[derive(Debug, Clone)]
pub enum PathPattern {
    /// Any path.
    Any,
    /// Exact, perhaps with parameters in matchit's syntax.
    Exact(Box<str>),
    /// Whole segments from the start.
    Prefix(Box<str>),
    /// The `regex` crate's syntax, unanchored unless the pattern says so.
    Regex(regex::Regex),
}
