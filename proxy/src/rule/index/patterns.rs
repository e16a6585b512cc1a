//! Many regexes (and paths with parameters) about one text.
//!
//! One set of them all is what one would take, but its automaton is made while it runs, out of all patterns that may
//! still match: with a thousand patterns that aren't anchored it outgrew its cache, and one request in a hundred took
//! 130 us. So each pattern is taken by a literal that no match can do without (`literal`): one pass finds
//! which literals a text has (Aho-Corasick, whose automaton is made beforehand), and only their patterns are run. Patterns
//! without such a literal are run always, in small sets.

use std::ops::Range;

use aho_corasick::AhoCorasick;
use regex::bytes::{RegexSet, RegexSetBuilder};

use super::{Found, literal};
use crate::{
    limits::ROUTE_REGEX_BYTES_MAX,
    route::{PathPattern, ValuePattern, parameters::Segments},
};

/// Patterns of one set.
const SET_PATTERNS_MAX: usize = 32;
/// Of fewer no set is made.
const SET_PATTERNS_MIN: usize = 4;

/// What a text is asked.
#[derive(Debug)]
pub(super) enum Verify {
    /// Of a path: a regex.
    Path(PathPattern),
    /// Of a path: literal segments and parameters.
    Form(Segments),
    /// Of a value: a regex.
    Value(ValuePattern),
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text<'a> {
    Path(&'a str),
    Value(&'a [u8]),
}

impl Text<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Text::Path(path) => path.as_bytes(),
            Text::Value(value) => value,
        }
    }
}

impl Verify {
    fn accepts(&self, text: Text<'_>) -> bool {
        match (self, text) {
            (Verify::Path(pattern), Text::Path(path)) => pattern.matches(path),
            (Verify::Form(segments), Text::Path(path)) => segments.matches(path),
            (Verify::Value(pattern), Text::Value(value)) => pattern.matches(value),
            (Verify::Path(_) | Verify::Form(_), Text::Value(_)) | (Verify::Value(_), Text::Path(_)) => false,
        }
    }

    /// Literals of which every match has at least one, whatever their case.
    fn literals(&self) -> Option<Vec<Vec<u8>>> {
        match self {
            Verify::Form(segments) => literal::of_path(segments),
            Verify::Path(_) | Verify::Value(_) => literal::of_regex(self.regex()?),
        }
    }

    fn regex(&self) -> Option<&str> {
        match self {
            Verify::Path(PathPattern::Regex(regex)) => Some(regex.as_str()),
            Verify::Value(ValuePattern::Regex(regex)) => Some(regex.as_str()),
            Verify::Path(_) | Verify::Value(_) | Verify::Form(_) => None,
        }
    }
}

/// All patterns about one text, each with its condition.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    /// First those with a literal, then the others.
    patterns: Box<[(Verify, u32)]>,
    /// Finds literals.
    finder: Option<AhoCorasick>,
    /// Of each literal, its patterns.
    by_literal: Box<[Box<[u32]>]>,
    /// The patterns without a literal.
    open: Box<[Group]>,
}

/// Patterns without a literal.
#[derive(Debug)]
struct Group {
    /// Says whether any of them matches; without it all are asked.
    any: Option<RegexSet>,
    patterns: Range<usize>,
}

impl Patterns {
    pub(super) fn build(given: Vec<(Verify, u32)>) -> Patterns {
        let (mut taken, mut open) = (Vec::new(), Vec::new());
        for (verify, condition) in given {
            match verify.literals() {
                Some(literals) => taken.push((verify, condition, literals)),
                None => open.push((verify, condition)),
            }
        }
        let mut known: std::collections::BTreeMap<Vec<u8>, Vec<u32>> = Default::default();
        for ((.., literals), pattern) in taken.iter().zip(0..) {
            for literal in literals {
                known.entry(literal.clone()).or_default().push(pattern);
            }
        }
        let finder = AhoCorasick::builder().ascii_case_insensitive(true).build(known.keys());
        let mut patterns: Vec<_> =
            taken.into_iter().map(|(verify, condition, _)| (verify, condition)).collect();
        let (finder, start) = match finder {
            Ok(finder) => ((!known.is_empty()).then_some(finder), patterns.len()),
            // Too large for its numbers: without it, all are asked.
            Err(_) => (None, 0),
        };
        // Forms behind regexes, so that sets are of regexes alone.
        open.sort_by_key(|(verify, _)| verify.regex().is_none());
        patterns.extend(open);
        let open = groups(&patterns, start);
        let by_literal = known.into_values().map(Into::into).collect();
        Patterns { patterns: patterns.into(), finder, by_literal, open }
    }

    #[inline]
    pub(super) fn mark(&self, text: Text<'_>, found: &mut Found<'_>) {
        if let Some(finder) = &self.finder {
            self.mark_found(finder, text, found);
        }
        for group in &self.open {
            if group.any.as_ref().is_none_or(|any| any.is_match(text.bytes())) {
                for (verify, condition) in self.patterns.get(group.patterns.clone()).unwrap_or_default() {
                    if verify.accepts(text) {
                        found.holds(*condition);
                    }
                }
            }
        }
    }

    fn mark_found(&self, finder: &AhoCorasick, text: Text<'_>, found: &mut Found<'_>) {
        let mut first = true;
        for literal in finder.find_overlapping_iter(text.bytes()) {
            if std::mem::take(&mut first) {
                // However often a text has its literal, a pattern is run once.
                found.marks.tried.clear(self.patterns.len());
            }
            for pattern in self.by_literal.get(literal.pattern().as_usize()).into_iter().flatten() {
                if found.marks.tried.add(*pattern)
                    && let Some((verify, condition)) = self.patterns.get(*pattern as usize)
                    && verify.accepts(text)
                {
                    found.holds(*condition);
                }
            }
        }
    }
}

/// Groups of the patterns from `start` on: regexes first, as `build` has sorted them.
fn groups(patterns: &[(Verify, u32)], start: usize) -> Box<[Group]> {
    let mut groups = Vec::new();
    let mut at = start;
    while at < patterns.len() {
        let rest = patterns.get(at..).unwrap_or_default();
        let texts: Vec<&str> =
            rest.iter().map_while(|(verify, _)| verify.regex()).take(SET_PATTERNS_MAX).collect();
        // Paths with parameters are quick to ask.
        let count = if texts.is_empty() { rest.len() } else { texts.len() };
        let any = (texts.len() >= SET_PATTERNS_MIN)
            .then(|| {
                let limit = ROUTE_REGEX_BYTES_MAX * SET_PATTERNS_MAX;
                RegexSetBuilder::new(&texts).size_limit(limit).build().ok()
            })
            .flatten();
        groups.push(Group { any, patterns: at..at + count });
        at += count;
    }
    groups.into()
}
