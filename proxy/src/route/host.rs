//! Host patterns.

/// `example.com`, or `*.example.com` for any name below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Exactly this name, lower case, no port.
    Exact(Box<str>),
    /// Any name that ends in this (kept with its leading dot), one label or more before it.
    Wildcard(Box<str>),
}

impl HostPattern {
    /// Stand-in.
    pub fn parse(text: &str) -> Result<Self, super::PatternError> {
        if text.is_empty() || text.contains(['/', ':', ' ']) {
            return Err(super::PatternError::new(
                format!("`{text}` is more than a host"),
                "give the host alone, without scheme or path",
            ));
        }
        let lower = text.to_ascii_lowercase();
        Ok(match lower.strip_prefix('*') {
            Some(suffix) => Self::Wildcard(suffix.into()),
            None => Self::Exact(lower.into()),
        })
    }
}
