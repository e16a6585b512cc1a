//! Host patterns.

/// `example.com`, or `*.example.com` for any name below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Exactly this name, lower case, no port.
    Exact(Box<str>),
    /// Any name that ends in this (kept with its leading dot), one label or more before it.
    Wildcard(Box<str>),
}
