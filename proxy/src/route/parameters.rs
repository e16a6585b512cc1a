//! Exact paths taken apart: which segments are literal, which hold a parameter.
//!
//! matchit does the matching of requests. What it does not offer is needed here: to say what is wrong with a pattern
//! in our own words, to order patterns, and to know beforehand which of them can match the same path.

use super::pattern_error::PatternError;
use crate::limits::PATH_PARAMETERS_MAX;

/// One segment of an exact path, braces unescaped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    /// This text.
    Literal(String),
    /// `before`, a part that is not empty, `after`.
    Parameter { before: String, after: String },
    /// `before`, and the rest of the path, which is not empty.
    CatchAll { before: String },
}

/// The segments of an exact path, in order: what stands between its slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Segments(pub(crate) Vec<Segment>);

impl Segments {
    /// Takes `pattern` apart.
    pub(crate) fn parse(pattern: &str) -> Result<Self, PatternError> {
        let mut segments = Vec::new();
        let mut rest = pattern.strip_prefix('/').unwrap_or(pattern);
        loop {
            let (segment, next) = parse_segment(pattern, rest)?;
            let last = matches!(segment, Segment::CatchAll { .. });
            segments.push(segment);
            match next {
                Some(_) if last => return Err(catch_all_not_last(pattern)),
                Some(next) => rest = next,
                None => break,
            }
        }
        let parameters = segments.iter().filter(|segment| !matches!(segment, Segment::Literal(_))).count();
        if parameters > PATH_PARAMETERS_MAX {
            return Err(PatternError::new(
                format!("the path `{pattern}` has more than {PATH_PARAMETERS_MAX} parameters"),
                "match the end of it with `{*rest}`",
            ));
        }
        Ok(Self(segments))
    }

    /// Whether no segment holds a parameter.
    pub(crate) fn is_literal(&self) -> bool {
        self.0.iter().all(|segment| matches!(segment, Segment::Literal(_)))
    }

    /// The pattern in matchit's syntax, the same for patterns that differ in nothing but the names of parameters.
    pub(super) fn normalised(&self) -> String {
        let mut pattern = String::new();
        for segment in &self.0 {
            pattern.push('/');
            match segment {
                Segment::Literal(text) => escape(&mut pattern, text),
                Segment::Parameter { before, after } => {
                    escape(&mut pattern, before);
                    // One letter, because matchit replaces names by one letter and forgets to move the place of an
                    // escaped brace right behind a name of another length.
                    pattern.push_str("{p}");
                    escape(&mut pattern, after);
                }
                Segment::CatchAll { before } => {
                    escape(&mut pattern, before);
                    pattern.push_str("{*p}");
                }
            }
        }
        pattern
    }

    /// Segments that are literal and not empty.
    pub(super) fn literal_segments(&self) -> usize {
        self.0.iter().filter(|segment| matches!(segment, Segment::Literal(text) if !text.is_empty())).count()
    }

    /// Literal bytes, slashes not counted.
    pub(super) fn literal_bytes(&self) -> usize {
        self.0
            .iter()
            .map(|segment| match segment {
                Segment::Literal(text) => text.len(),
                Segment::Parameter { before, after } => before.len() + after.len(),
                Segment::CatchAll { before } => before.len(),
            })
            .sum()
    }

    /// Whether the last segment takes the rest of the path.
    pub(super) fn has_catch_all(&self) -> bool {
        matches!(self.0.last(), Some(Segment::CatchAll { .. }))
    }

    /// Whether `path` has this form.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let Some(mut rest) = path.strip_prefix('/').map(Some) else { return false };
        for segment in &self.0 {
            let Some(given) = rest else { return false };
            if let Segment::CatchAll { before } = segment {
                return given.strip_prefix(before.as_str()).is_some_and(|tail| !tail.is_empty());
            }
            let (part, next) = match given.split_once('/') {
                Some((part, next)) => (part, Some(next)),
                None => (given, None),
            };
            let fits = match segment {
                Segment::Literal(text) => part == text,
                Segment::Parameter { before, after } => {
                    part.len() > before.len() + after.len()
                        && part.starts_with(before.as_str())
                        && part.ends_with(after.as_str())
                }
                Segment::CatchAll { .. } => false,
            };
            if !fits {
                return false;
            }
            rest = next;
        }
        rest.is_none()
    }
}

fn escape(pattern: &mut String, text: &str) {
    for c in text.chars() {
        if matches!(c, '{' | '}') {
            pattern.push(c);
        }
        pattern.push(c);
    }
}

/// One segment from the front of `text`, and what follows its slash.
fn parse_segment<'a>(pattern: &str, text: &'a str) -> Result<(Segment, Option<&'a str>), PatternError> {
    let mut literal = String::new();
    // Where the literal text was cut by the parameter, and whether that one takes the rest of the path.
    let mut parameter: Option<(usize, bool)> = None;
    let mut rest = text;
    let next = loop {
        let Some(c) = rest.chars().next() else { break None };
        let after = rest.strip_prefix(c).unwrap_or_default();
        rest = match c {
            '/' => break Some(after),
            '{' | '}' if after.starts_with(c) => {
                literal.push(c);
                after.strip_prefix(c).unwrap_or_default()
            }
            '}' => return Err(stray_brace(pattern)),
            '{' if parameter.is_some() => {
                return Err(PatternError::new(
                    format!("the path `{pattern}` has two parameters in one segment"),
                    "take the segment as one parameter, or use `path_regex`",
                ));
            }
            '{' => {
                let (catch_all, after) = parse_parameter(pattern, after)?;
                parameter = Some((literal.len(), catch_all));
                after
            }
            _ => {
                literal.push(c);
                after
            }
        };
    };
    let segment = match parameter {
        None => Segment::Literal(literal),
        Some((cut, true)) if cut < literal.len() => return Err(catch_all_not_last(pattern)),
        Some((_, true)) => Segment::CatchAll { before: literal },
        Some((cut, false)) => {
            let after = literal.split_off(cut);
            Segment::Parameter { before: literal, after }
        }
    };
    Ok((segment, next))
}

/// What follows the opening brace: whether it is a catch-all, and what follows the closing brace.
fn parse_parameter<'a>(pattern: &str, text: &'a str) -> Result<(bool, &'a str), PatternError> {
    let (catch_all, text) = match text.strip_prefix('*') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let Some((name, after)) = text.split_once('}') else { return Err(stray_brace(pattern)) };
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(good) {
        return Err(PatternError::new(
            format!("the path `{pattern}` has a parameter without a proper name"),
            "name it with letters, digits, `_`, `-` and `.`, like `{id}` or `{*rest}`; a literal brace is written twice",
        ));
    }
    if after.starts_with('}') {
        return Err(PatternError::new(
            format!("the path `{pattern}` has a literal brace right after a parameter"),
            "use `path_regex`",
        ));
    }
    Ok((catch_all, after))
}

fn stray_brace(pattern: &str) -> PatternError {
    PatternError::new(
        format!("the path `{pattern}` has a brace without its pair"),
        "write a parameter like `{id}`; a literal brace is written twice",
    )
}

fn catch_all_not_last(pattern: &str) -> PatternError {
    PatternError::new(
        format!("the path `{pattern}` goes on after `{{*...}}`"),
        "a parameter with `*` takes the rest of the path: put it at the end, or use `path_regex`",
    )
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn normalised() {
        for (pattern, want) in [
            ("/", "/"),
            ("/a/b/", "/a/b/"),
            ("/u/{id}", "/u/{p}"),
            ("/u/{user.name}/x-{n}.png/{*rest}", "/u/{p}/x-{p}.png/{*p}"),
            ("/{{a}}/{{{b}{{", "/{{a}}/{{{p}{{"),
        ] {
            let segments = Segments::parse(pattern).expect(pattern);
            assert_eq!(segments.normalised(), want);
            matchit::Router::new().insert(segments.normalised(), ()).expect(pattern);
        }
    }

    #[test]
    fn refused() {
        let many = "/{a}".repeat(PATH_PARAMETERS_MAX + 1);
        for (pattern, want) in [
            ("/{", "without its pair"),
            ("/{a", "without its pair"),
            ("/a}", "without its pair"),
            ("/{}", "proper name"),
            ("/{*}", "proper name"),
            ("/{a*}", "proper name"),
            ("/{a/b}", "proper name"),
            ("/{a}{b}", "two parameters"),
            ("/{a}}}", "right after a parameter"),
            ("/{*a}/b", "goes on after"),
            ("/{*a}b", "goes on after"),
            ("/{*a}/", "goes on after"),
            (&many, "more than"),
        ] {
            let error = Segments::parse(pattern).expect_err(pattern).to_string();
            assert!(error.contains(want), "{pattern}: {error}");
        }
    }
}
