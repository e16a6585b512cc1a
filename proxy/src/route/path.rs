//! Path patterns.

/// The path condition of a route.
#[derive(Debug, Clone, Default)]
pub enum PathPattern {
    /// Any path.
    #[default]
    Any,
    /// Exact, perhaps with parameters in matchit's syntax.
    Exact(Box<str>),
    /// Whole segments from the start.
    Prefix(Box<str>),
    /// The `regex` crate's syntax, unanchored unless the pattern says so.
    Regex(regex::Regex),
}

impl PathPattern {
    /// Stand-in.
    pub fn exact(text: &str) -> Result<Self, super::PatternError> {
        check(text).map(|()| Self::Exact(text.into()))
    }
    /// Stand-in.
    pub fn prefix(text: &str) -> Result<Self, super::PatternError> {
        check(text)?;
        Ok(if text == "/" { Self::Any } else { Self::Prefix(text.trim_end_matches('/').into()) })
    }
    /// Stand-in.
    pub fn regex(text: &str) -> Result<Self, super::PatternError> {
        let error = |error: regex::Error| {
            super::PatternError::new(
                format!("`{text}` is not a regular expression"),
                error.to_string().lines().last().unwrap_or_default().trim(),
            )
        };
        regex::RegexBuilder::new(text).size_limit(1024 * 1024).build().map(Self::Regex).map_err(error)
    }
}

fn check(text: &str) -> Result<(), super::PatternError> {
    if text.starts_with('/') {
        Ok(())
    } else {
        Err(super::PatternError::new(format!("`{text}` is not a path"), "begin it with `/`"))
    }
}
