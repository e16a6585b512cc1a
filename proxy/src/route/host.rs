//! Host patterns.

use std::{fmt, net::Ipv6Addr};

use super::pattern_error::PatternError;

/// Bytes of a name without its trailing dot, RFC 1035 section 2.3.4.
pub(crate) const NAME_BYTES_MAX: usize = 253;
/// Bytes of one label, RFC 1035 section 2.3.4.
const LABEL_BYTES_MAX: usize = 63;

/// `example.com`, or `*.example.com` for any name below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Exactly this name, lower case, no port.
    Exact(Box<str>),
    /// Any name that ends in this (kept with its leading dot), one label or more before it.
    Wildcard(Box<str>),
}

impl HostPattern {
    /// Reads a pattern as a person writes it: a name, an address (IPv6 in brackets), or `*.` and a name. Case does
    /// not matter, and one trailing dot is dropped, as it is from the hosts of requests.
    ///
    /// # Errors
    ///
    /// Ports, empty labels, `*` anywhere but as the whole first label, and characters that no host has.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let lower = text.to_ascii_lowercase();
        if lower.is_empty() {
            return Err(PatternError::new("the host is empty", "leave `hosts` out to match every host"));
        }
        if !lower.is_ascii() {
            return Err(PatternError::new(
                format!("`{text}` has characters outside ASCII"),
                "write an international name in punycode (`xn--...`), as clients send it",
            ));
        }
        if lower.contains('/') {
            return Err(PatternError::new(
                format!("`{text}` is more than a host"),
                "give the host alone, without scheme or path",
            ));
        }
        if lower.starts_with('[') {
            return bracketed(text, lower);
        }
        if lower.contains(':') {
            return Err(colon(text, &lower));
        }
        let name = lower.strip_suffix('.').unwrap_or(&lower);
        if name == "*" {
            return Err(PatternError::new(
                "`*` alone is not a host",
                "leave `hosts` out to match every host",
            ));
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(PatternError::new(
                format!("`{text}` is longer than {NAME_BYTES_MAX} bytes"),
                "no client can send it; shorten it",
            ));
        }
        if let Some(below) = name.strip_prefix("*.") {
            labels(text, below)?;
            return Ok(Self::Wildcard(format!(".{below}").into()));
        }
        labels(text, name)?;
        Ok(Self::Exact(name.into()))
    }

    /// Whether `host`, normalised by [`HostName`], is one of those meant.
    pub(super) fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(name) => host == name.as_bytes(),
            Self::Wildcard(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_bytes()),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*{suffix}"),
        }
    }
}

/// `[::1]`, which is compared as text: clients send an address as it stands in the URL.
fn bracketed(text: &str, lower: String) -> Result<HostPattern, PatternError> {
    match lower.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((_, after)) if after.starts_with(':') => Err(port(text)),
        Some((address, "")) if address.parse::<Ipv6Addr>().is_ok() => Ok(HostPattern::Exact(lower.into())),
        _ => Err(PatternError::new(
            format!("`{text}` is not an IPv6 address in brackets"),
            "write it like `[2001:db8::1]`",
        )),
    }
}

fn colon(text: &str, lower: &str) -> PatternError {
    if lower.parse::<Ipv6Addr>().is_ok() {
        return PatternError::new(
            format!("`{text}` is an IPv6 address without brackets"),
            format!("write `[{lower}]`"),
        );
    }
    port(text)
}

fn port(text: &str) -> PatternError {
    PatternError::new(
        format!("`{text}` has a port"),
        "give the host alone: which port was asked for is the listener's affair",
    )
}

fn labels(text: &str, name: &str) -> Result<(), PatternError> {
    for label in name.split('.') {
        if label.is_empty() {
            return Err(PatternError::new(
                format!("`{text}` has an empty label"),
                "put one dot between two labels, and none in front",
            ));
        }
        if label.len() > LABEL_BYTES_MAX {
            return Err(PatternError::new(
                format!("the label `{label}` is longer than {LABEL_BYTES_MAX} bytes"),
                "no name has such a label; shorten it",
            ));
        }
        if label.contains('*') {
            return Err(PatternError::new(
                format!("`{text}` has `*` elsewhere than as the whole first label"),
                "write `*.` and a name, which matches everything below that name",
            ));
        }
        let odd = label.bytes().find(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_'));
        if let Some(odd) = odd {
            return Err(PatternError::new(
                format!("`{text}` has {:?}, which no host name has", char::from(odd)),
                "use letters, digits, `-` and `_`",
            ));
        }
    }
    Ok(())
}

/// A request's host made comparable: lower case and without one trailing dot. Nothing is allocated, and nothing is
/// copied unless a letter is upper case, which no browser sends.
pub(super) struct HostName<'a> {
    given: &'a [u8],
    lowered: Option<[u8; NAME_BYTES_MAX]>,
}

impl<'a> HostName<'a> {
    /// Normalises `host`. A host longer than any name has no equal in a table; it becomes the empty host.
    #[inline]
    pub(super) fn new(host: &'a str) -> Self {
        let bytes = host.as_bytes();
        let bytes = bytes.strip_suffix(b".").unwrap_or(bytes);
        if bytes.len() > NAME_BYTES_MAX {
            return Self { given: b"", lowered: None };
        }
        // Without a branch per byte, so that it is done eight or more bytes at a time.
        let upper = bytes.iter().fold(false, |seen, byte| seen | byte.is_ascii_uppercase());
        Self { given: bytes, lowered: if upper { Some(lower(bytes)) } else { None } }
    }

    /// Whether normalising has changed `host`.
    pub(super) fn differs(&self, host: &str) -> bool {
        self.lowered.is_some() || self.given.len() != host.len()
    }

    /// The normalised host.
    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match &self.lowered {
            None => self.given,
            Some(lowered) => lowered.get(..self.given.len()).unwrap_or_default(),
        }
    }
}

#[cold]
fn lower(bytes: &[u8]) -> [u8; NAME_BYTES_MAX] {
    let mut lowered = [0; NAME_BYTES_MAX];
    for (to, from) in lowered.iter_mut().zip(bytes) {
        *to = from.to_ascii_lowercase();
    }
    lowered
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn accepted() {
        for (text, want) in [
            ("example.com", HostPattern::Exact("example.com".into())),
            ("EXAMPLE.Com.", HostPattern::Exact("example.com".into())),
            ("localhost", HostPattern::Exact("localhost".into())),
            ("my_host-1", HostPattern::Exact("my_host-1".into())),
            ("127.0.0.1", HostPattern::Exact("127.0.0.1".into())),
            ("[::1]", HostPattern::Exact("[::1]".into())),
            ("[2001:DB8::1]", HostPattern::Exact("[2001:db8::1]".into())),
            ("xn--bcher-kva.example", HostPattern::Exact("xn--bcher-kva.example".into())),
            ("*.example.com", HostPattern::Wildcard(".example.com".into())),
            ("*.Example.com.", HostPattern::Wildcard(".example.com".into())),
            ("*.com", HostPattern::Wildcard(".com".into())),
        ] {
            assert_eq!(HostPattern::parse(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn refused() {
        for (text, want) in [
            ("", "is empty"),
            (".", "empty label"),
            ("*", "alone"),
            ("*.", "alone"),
            ("a..b", "empty label"),
            (".a", "empty label"),
            ("a..", "empty label"),
            ("*..a", "empty label"),
            ("a.*.b", "whole first label"),
            ("*a.b", "whole first label"),
            ("a*.b", "whole first label"),
            ("*.*.b", "whole first label"),
            ("example.com:80", "has a port"),
            ("[::1]:80", "has a port"),
            ("::1", "write `[::1]`"),
            ("[::1", "in brackets"),
            ("[1.2.3.4]", "in brackets"),
            ("[::1]x", "in brackets"),
            ("http://a", "without scheme"),
            ("a/b", "without scheme"),
            ("bücher.example", "punycode"),
            ("a b", "which no host name has"),
            ("a@b", "which no host name has"),
            (&"a".repeat(64), "longer than 63"),
            (&"a.".repeat(130), "longer than 253"),
        ] {
            let error = HostPattern::parse(text).expect_err(text).to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn request_hosts() {
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for (host, want) in [
            ("example.com", "example.com"),
            ("Example.COM.", "example.com"),
            ("example.com..", "example.com."),
            (".", ""),
            ("", ""),
            (&long, ""),
        ] {
            assert_eq!(HostName::new(host).as_bytes(), want.as_bytes(), "{host}");
        }
    }

    #[test]
    fn wildcards_want_a_label() {
        let pattern = HostPattern::parse("*.example.com").expect("a pattern");
        for (host, want) in [
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("example.com", false),
            (".example.com", false),
            ("aexample.com", false),
            ("a.example.org", false),
        ] {
            assert_eq!(pattern.matches(host.as_bytes()), want, "{host}");
        }
        assert_eq!(pattern.to_string(), "*.example.com");
    }
}
