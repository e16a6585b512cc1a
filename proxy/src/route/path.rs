//! Path patterns: exact (perhaps with parameters), prefix, regex.
//!
//! Paths are compared byte for byte, as they came: case matters and nothing is percent-decoded, so that a route
//! never sees another path than the upstream will.

use std::fmt;

use regex::RegexBuilder;

use super::{parameters::Segments, pattern_error::PatternError};
use crate::limits::ROUTE_REGEX_BYTES_MAX;

/// The path condition of a route.
#[derive(Debug, Clone, Default)]
pub enum PathPattern {
    /// Any path. `path_prefix = "/"` means the same.
    #[default]
    Any,
    /// Exact, perhaps with parameters in matchit's syntax.
    Exact(Box<str>),
    /// Whole segments from the start, without a slash at the end. At least one segment: `/` is [`PathPattern::Any`].
    Prefix(Box<str>),
    /// The `regex` crate's syntax, unanchored unless the pattern says so.
    Regex(regex::Regex),
}

impl PathPattern {
    /// An exact path. `{name}` stands for a part of one segment that is not empty, `{*name}` at the end for all that
    /// follows, and `{{` and `}}` for braces.
    ///
    /// # Errors
    ///
    /// Text that is not a path, and everything that matchit does not take.
    pub fn exact(text: &str) -> Result<Self, PatternError> {
        check_path(text)?;
        Segments::parse(text)?;
        Ok(Self::Exact(text.into()))
    }

    /// Whole segments: `/api` matches `/api`, `/api/` and `/api/x`, but not `/apix`. `/api/` means the same, and `/`
    /// is every path.
    ///
    /// # Errors
    ///
    /// Text that is not a path, empty segments, and parameters.
    pub fn prefix(text: &str) -> Result<Self, PatternError> {
        check_path(text)?;
        let prefix = text.strip_suffix('/').unwrap_or(text);
        if prefix.is_empty() {
            return Ok(Self::Any);
        }
        if prefix.ends_with('/') || prefix.contains("//") {
            return Err(PatternError::new(
                format!("the prefix `{text}` has an empty segment"),
                "put one slash between two segments",
            ));
        }
        if prefix.contains(['{', '}']) {
            return Err(PatternError::new(
                format!("the prefix `{text}` has a brace, and a prefix has no parameters"),
                "use `path` with `{*rest}` at its end",
            ));
        }
        Ok(Self::Prefix(prefix.into()))
    }

    /// A regular expression, found anywhere in the path unless it is anchored with `^` and `$`.
    ///
    /// # Errors
    ///
    /// Syntax errors, and expressions that compile to more than `limits::ROUTE_REGEX_BYTES_MAX`.
    pub fn regex(text: &str) -> Result<Self, PatternError> {
        RegexBuilder::new(text)
            .size_limit(ROUTE_REGEX_BYTES_MAX)
            .build()
            .map(Self::Regex)
            .map_err(|error| regex_error(text, &error))
    }

    /// Whether `path` is one of those meant: slow but for a regex, for explanations. Selection uses the index.
    pub(crate) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(text) => Segments::parse(text).is_ok_and(|segments| segments.matches(path)),
            Self::Prefix(prefix) => prefix_len(prefix, path).is_some(),
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("/"),
            Self::Exact(text) | Self::Prefix(text) => f.write_str(text),
            Self::Regex(regex) => f.write_str(regex.as_str()),
        }
    }
}

/// Bytes of `path` that `prefix` (without a slash at its end) matches by whole segments.
fn prefix_len(prefix: &str, path: &str) -> Option<usize> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
}

/// What is said about a regular expression that does not compile, on one line.
pub(super) fn regex_error(text: &str, error: &regex::Error) -> PatternError {
    match error {
        regex::Error::CompiledTooBig(limit) => PatternError::new(
            format!("the regex `{text}` compiles to more than {limit} bytes"),
            "use fewer or smaller counted repetitions, or `(?-u)` where only ASCII is meant",
        ),
        // The crate draws a picture over several lines; the last one says what is wrong.
        error => PatternError::new(
            format!("`{text}` is not a regular expression"),
            error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
        ),
    }
}

/// What every exact path and prefix must be to match anything.
fn check_path(text: &str) -> Result<(), PatternError> {
    if !text.starts_with('/') {
        let fix = if text.is_empty() { "`/` is the shortest path" } else { "begin it with `/`" };
        return Err(PatternError::new(format!("`{text}` is not a path"), fix));
    }
    if text.contains('?') {
        return Err(PatternError::new(
            format!("`{text}` has a query, which is not part of the path"),
            "move what follows `?` into `query`",
        ));
    }
    if text.contains('#') {
        return Err(PatternError::new(
            format!("`{text}` has a fragment, which clients do not send"),
            "leave out `#` and what follows",
        ));
    }
    if let Some(odd) = text.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(PatternError::new(
            format!("the path {text:?} has {odd:?}, which no request path has"),
            "write it percent-encoded, as clients send it",
        ));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn matches(pattern: Result<PathPattern, PatternError>, yes: &[&str], no: &[&str]) {
        let pattern = pattern.expect("a pattern");
        for path in yes {
            assert!(pattern.matches(path), "{pattern} should match {path}");
        }
        for path in no {
            assert!(!pattern.matches(path), "{pattern} should not match {path}");
        }
    }

    #[test]
    fn exact() {
        matches(PathPattern::exact("/"), &["/"], &["", "/a", "//", "*"]);
        matches(PathPattern::exact("/a"), &["/a"], &["/a/", "/A", "/%61", "/ab"]);
        matches(PathPattern::exact("/a/"), &["/a/"], &["/a", "/a//"]);
        matches(PathPattern::exact("/u/{id}"), &["/u/1", "/u/%2F"], &["/u", "/u/", "/u/1/", "/u/1/2"]);
        matches(PathPattern::exact("/f/{*rest}"), &["/f/a", "/f/a/b/", "/f//"], &["/f", "/f/"]);
        matches(PathPattern::exact("/i/img-{n}.png"), &["/i/img-1.png"], &["/i/img-.png", "/i/img-1.pn"]);
        matches(PathPattern::exact("/{{x}}"), &["/{x}"], &["/x", "/{{x}}"]);
    }

    #[test]
    fn prefix() {
        for given in ["/api", "/api/"] {
            matches(
                PathPattern::prefix(given),
                &["/api", "/api/", "/api/x", "/api//"],
                &["/apix", "/ap", "/API"],
            );
        }
        matches(PathPattern::prefix("/a/b"), &["/a/b", "/a/b/c"], &["/a", "/a/", "/a/bc", "/a//b"]);
        matches(PathPattern::prefix("/"), &["/", "/x", "*"], &[]);
    }

    #[test]
    fn regex() {
        matches(PathPattern::regex("^/v[0-9]+/"), &["/v1/x", "/v12/"], &["/v1", "/x/v1/"]);
        matches(PathPattern::regex("b"), &["/abc"], &["/ac", "/B"]);
    }

    #[test]
    fn refused() {
        for (pattern, want) in [
            (PathPattern::exact(""), "shortest path"),
            (PathPattern::exact("a"), "begin it with `/`"),
            (PathPattern::exact("/a?b=1"), "into `query`"),
            (PathPattern::exact("/a#b"), "fragment"),
            (PathPattern::exact("/a b"), "percent-encoded"),
            (PathPattern::exact("/a\n"), "percent-encoded"),
            (PathPattern::exact("/é"), "percent-encoded"),
            (PathPattern::prefix("/é"), "percent-encoded"),
            (PathPattern::exact("/{}"), "name"),
            (PathPattern::prefix("api"), "begin it with `/`"),
            (PathPattern::prefix("/api//"), "empty segment"),
            (PathPattern::prefix("/api//x"), "empty segment"),
            (PathPattern::prefix("//"), "empty segment"),
            (PathPattern::prefix("/api/{v}"), "`{*rest}`"),
            (PathPattern::regex("("), "unclosed group"),
            (PathPattern::regex(r"\w{1000}{1000}"), "compiles to more than"),
        ] {
            let error = pattern.expect_err(want).to_string();
            assert!(error.contains(want), "{want}: {error}");
            assert!(!error.contains('\n') || want == "percent-encoded", "{error}");
        }
    }
}
