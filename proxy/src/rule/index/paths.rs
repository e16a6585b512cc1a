//! From a path to the conditions on it.

use super::{
    Found, Number,
    patterns::{Patterns, Text, Verify},
};
use crate::{
    route::{
        PathPattern,
        index::hash::ByteMap,
        parameters::{Segment, Segments},
    },
    rule::condition::Condition,
};

#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Whole paths.
    exact: ByteMap<Number>,
    /// Without a slash at the end.
    prefixes: ByteMap<Number>,
    /// Bytes of the longest prefix, which bounds how many are looked up.
    prefix_bytes_max: usize,
    /// Regexes, and paths with parameters.
    patterns: Patterns,
}

impl Paths {
    pub(super) fn build<'c>(conditions: impl Iterator<Item = (u32, &'c Condition)>) -> Paths {
        let mut paths = Paths::default();
        let mut patterns = Vec::new();
        for (number, condition) in conditions {
            let Condition::Path(path) = condition else { continue };
            match path {
                PathPattern::Any => {}
                PathPattern::Prefix(prefix) => {
                    paths.prefix_bytes_max = paths.prefix_bytes_max.max(prefix.len());
                    paths.prefixes.insert(prefix.as_bytes().into(), Number(number));
                }
                PathPattern::Regex(_) => patterns.push((Verify::Path(path.clone()), number)),
                PathPattern::Exact(text) => {
                    // It has been read when the condition was made.
                    let Ok(segments) = Segments::parse(text) else { continue };
                    if segments.is_literal() {
                        paths.exact.insert(literal(&segments).into_bytes().into(), Number(number));
                    } else {
                        patterns.push((Verify::Form(segments), number));
                    }
                }
            }
        }
        paths.patterns = Patterns::build(patterns);
        paths
    }

    #[inline]
    pub(super) fn mark(&self, path: &str, found: &mut Found<'_>) {
        if !self.exact.is_empty()
            && let Some(condition) = self.exact.get(path.as_bytes())
        {
            found.holds(condition.0);
        }
        if !self.prefixes.is_empty() {
            self.mark_prefixes(path.as_bytes(), found);
        }
        self.patterns.mark(Text::Path(path), found);
    }

    /// Looks up what stands before each slash, and the whole.
    fn mark_prefixes(&self, path: &[u8], found: &mut Found<'_>) {
        // One byte more: the slash behind the longest.
        let near = path.get(..=self.prefix_bytes_max).unwrap_or(path);
        let whole = (path.len() <= self.prefix_bytes_max).then_some(path.len());
        for end in memchr::memchr_iter(b'/', near).chain(whole) {
            if let Some(condition) = path.get(..end).and_then(|prefix| self.prefixes.get(prefix)) {
                found.holds(condition.0);
            }
        }
    }
}

/// The text of a path without parameters, its braces no longer doubled.
fn literal(segments: &Segments) -> String {
    let mut path = String::new();
    for segment in &segments.0 {
        if let Segment::Literal(text) = segment {
            path.push('/');
            path.push_str(text);
        }
    }
    path
}
