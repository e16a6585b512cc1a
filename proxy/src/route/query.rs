//! The query predicate: all parameters listed are there with their values.
//!
//! A query is read as HTML forms write it: pairs between `&`, name and value parted by the first `=`, `+` for a space,
//! `%` and two hexadecimal digits for a byte. Anything else stands for itself, a lone `%` included. Of several
//! parameters with one name the first counts.

use std::borrow::Cow;

use super::predicate::ValuePattern;

/// Whether every parameter is there with a value that matches. Allocates only to show a regex an encoded value.
pub(super) fn accept(wanted: &[(Box<str>, ValuePattern)], query: Option<&str>) -> bool {
    wanted.iter().all(|(name, pattern)| find(query, name).is_some_and(|value| matches(pattern, value)))
}

/// The first parameter that is missing or wrong, in words.
pub(super) fn lost_on(wanted: &[(Box<str>, ValuePattern)], query: Option<&str>) -> Option<String> {
    wanted.iter().find_map(|(name, pattern)| match find(query, name) {
        None => Some(format!("query parameter {name} is absent")),
        Some(value) if matches(pattern, value) => None,
        Some(_) => Some(format!("query parameter {name} {}", pattern.lacks())),
    })
}

/// The value, still encoded, of the first parameter with this decoded name.
fn find<'q>(query: Option<&'q str>, name: &str) -> Option<&'q [u8]> {
    pairs(query?).find_map(|(raw_name, value)| Decoded(raw_name).eq(name.bytes()).then_some(value))
}

/// Names and values, still encoded.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (&[u8], &[u8])> {
    // No pair: an empty query has no parameter, not one with an empty name.
    query.as_bytes().split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let cut = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (name, value) = pair.split_at_checked(cut).unwrap_or((pair, b""));
        (name, value.strip_prefix(b"=").unwrap_or(value))
    })
}

fn matches(pattern: &ValuePattern, value: &[u8]) -> bool {
    match pattern {
        ValuePattern::Present => true,
        ValuePattern::Exact(text) => Decoded(value).eq(text.bytes()),
        ValuePattern::Regex(_) => pattern.matches(&decode(value)),
    }
}

fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(Decoded(text).collect())
}

/// The bytes that an encoded text stands for.
pub(crate) struct Decoded<'a>(pub(crate) &'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        match (first, rest) {
            (b'+', _) => Some(b' '),
            (b'%', [high, low, rest @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    self.0 = rest;
                    Some(high << 4 | low)
                }
                _ => Some(b'%'),
            },
            (byte, _) => Some(*byte),
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn decoding() {
        for (text, want) in [
            ("", ""),
            ("a+b", "a b"),
            ("%41%2b%2B", "A++"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%%41", "%A"),
            ("%C3%BC", "ü"),
        ] {
            assert_eq!(decode(text.as_bytes()), want.as_bytes(), "{text}");
        }
    }

    #[test]
    fn parameters() {
        let present = || ValuePattern::Present;
        let exact = |text: &str| ValuePattern::Exact(text.into());
        let regex = |text: &str| ValuePattern::regex(text).unwrap();
        for (query, name, pattern, want) in [
            (None, "a", present(), Some("query parameter a is absent")),
            (Some(""), "a", present(), Some("query parameter a is absent")),
            (Some(""), "", present(), Some("query parameter  is absent")),
            (Some("a"), "a", present(), None),
            (Some("a"), "a", exact(""), None),
            (Some("a="), "a", exact(""), None),
            (Some("b=1&a=2"), "a", exact("2"), None),
            (Some("a=1&a=2"), "a", exact("2"), Some("query parameter a is not 2")),
            (Some("a=1&a=2"), "a", exact("1"), None),
            (Some("%61=x%20y"), "a", exact("x y"), None),
            (Some("a=x+y"), "a", exact("x y"), None),
            (Some("a+b=1"), "a b", exact("1"), None),
            (Some("a=b=c"), "a", exact("b=c"), None),
            (Some("A=1"), "a", present(), Some("query parameter a is absent")),
            (Some("aa=1"), "a", present(), Some("query parameter a is absent")),
            (Some("&&a=1"), "a", exact("1"), None),
            (Some("a=1;b=2"), "b", present(), Some("query parameter b is absent")),
            (Some("a=12"), "a", regex("^[0-9]+$"), None),
            (Some("a=%31%32"), "a", regex("^[0-9]+$"), None),
            (
                Some("a=1x"),
                "a",
                regex("^[0-9]+$"),
                Some("query parameter a does not match the regex ^[0-9]+$"),
            ),
        ] {
            let wanted = [(Box::from(name), pattern)];
            assert_eq!(lost_on(&wanted, query).as_deref(), want, "{query:?}");
            assert_eq!(accept(&wanted, query), want.is_none(), "{query:?}");
        }
    }
}
