//! What rules have said of an exchange, and how that is written into its line. Lines of exchanges of which they have
//! said nothing are as they would be without rules.

use std::{fmt, sync::Arc};

use http::HeaderName;

use super::line::{TEXT_BYTES_MAX, escaped, text};
use crate::limits::{RULE_LOG_HEADERS_MAX, RULE_TAGS_MAX};

/// More than what rules add to a line, in bytes: names of rules and tags are cut and never escaped, values may be.
pub(super) const BYTES_MAX: usize =
    (1 + RULE_TAGS_MAX) * (TEXT_BYTES_MAX + 6) + RULE_LOG_HEADERS_MAX * (7 * TEXT_BYTES_MAX + 16) + 64;

/// The fields of a line that only rules bring into it, for the documentation.
pub(super) const FIELDS_MARKDOWN: &str = "\
| `rule` | name of the rule that denied or dropped the request; absent if none did |
| `tags` | what rules have tagged it with; absent if there is none |
| `headers` | request fields that a rule wants logged, of several lines the first; absent if there is none |
";

/// Whoever has a request's fields.
pub trait RequestFields: fmt::Debug {
    /// The value of the first line of a field.
    fn first(&self, name: &HeaderName) -> Option<&[u8]>;
}

/// What rules have said of an exchange.
#[derive(Debug, Clone, Copy)]
pub struct Noted<'a> {
    /// The rule that denied or dropped it.
    pub rule: Option<&'a str>,
    /// The tags that it may have, at most 64.
    pub tag_names: &'a [Arc<str>],
    /// Those that it has: a bit each.
    pub tags: u64,
    /// Its line is not written.
    pub unlogged: bool,
    /// Fields for its line.
    pub headers: &'a [HeaderName],
    /// Where they are found.
    pub fields: &'a dyn RequestFields,
}

/// Appends what stands in the line.
pub(super) fn write(out: &mut Vec<u8>, noted: &Noted<'_>) {
    if let Some(rule) = noted.rule {
        out.extend_from_slice(b",\"rule\":");
        text(out, rule, TEXT_BYTES_MAX);
    }
    let mut open = false;
    for (place, tag) in noted.tag_names.iter().enumerate().take(RULE_TAGS_MAX) {
        if noted.tags >> place & 1 == 1 {
            out.extend_from_slice(if open { b"," } else { b",\"tags\":[" });
            text(out, tag, TEXT_BYTES_MAX);
            open = true;
        }
    }
    if open {
        out.push(b']');
    }
    let mut open = false;
    for name in noted.headers.iter().take(RULE_LOG_HEADERS_MAX) {
        if let Some(found) = noted.fields.first(name) {
            out.extend_from_slice(if open { b"," } else { b",\"headers\":{" });
            text(out, name.as_str(), TEXT_BYTES_MAX);
            out.push(b':');
            value(out, found);
            open = true;
        }
    }
    if open {
        out.push(b'}');
    }
}

/// Appends a field's value as a JSON string. Bytes that are no UTF-8 become U+FFFD.
fn value(out: &mut Vec<u8>, value: &[u8]) {
    let kept = value.get(..TEXT_BYTES_MAX).unwrap_or(value);
    out.push(b'"');
    for chunk in kept.utf8_chunks() {
        escaped(out, chunk.valid().as_bytes());
        // What is cut in the middle of a character is cut before it.
        let cut = kept.len() < value.len() && kept.ends_with(chunk.invalid());
        if !(chunk.invalid().is_empty() || cut) {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
    if kept.len() < value.len() {
        out.extend_from_slice("\u{2026}".as_bytes());
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same value for every field but one.
    #[derive(Debug)]
    struct All(Vec<u8>);

    impl RequestFields for All {
        fn first(&self, name: &HeaderName) -> Option<&[u8]> {
            (name != "x-absent").then_some(&*self.0)
        }
    }

    fn written(noted: &Noted<'_>) -> String {
        let mut out = Vec::new();
        write(&mut out, noted);
        assert!(out.len() <= BYTES_MAX, "{}", out.len());
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn only_what_there_is() {
        let tags: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).into();
        let headers = ["x-absent", "x-a", "x-b"].map(HeaderName::from_static);
        let fields = All(b"\x80\"v\xC3\xA9\x01\xFF".into());
        let nothing =
            Noted { rule: None, tag_names: &tags, tags: 0, unlogged: false, headers: &[], fields: &fields };
        assert_eq!(written(&nothing), "");
        assert_eq!(written(&Noted { headers: &headers[..1], ..nothing }), "");
        assert_eq!(
            written(&Noted { rule: Some("r"), tags: 0b101, ..nothing }),
            r#","rule":"r","tags":["a","c"]"#
        );
        let value = "\u{FFFD}\\\"v\u{e9}\\u0001\u{FFFD}";
        assert_eq!(
            written(&Noted { headers: &headers, ..nothing }),
            format!(",\"headers\":{{\"x-a\":\"{value}\",\"x-b\":\"{value}\"}}")
        );
    }

    #[test]
    fn the_longest_stays_within_its_bound() {
        let tags: Vec<Arc<str>> = (0..64).map(|_| Arc::from("t".repeat(1000))).collect();
        let name = HeaderName::from_bytes("x".repeat(1000).as_bytes()).unwrap_or(http::header::TE);
        for byte in [b'"', 0x01, 0xFF, b'a'] {
            let (fields, headers) = (All(vec![byte; 1000]), vec![name.clone(); 16]);
            let rule = "r".repeat(1000);
            let rule = Some(rule.as_str());
            let noted = Noted {
                rule,
                tag_names: &tags,
                tags: u64::MAX,
                unlogged: false,
                headers: &headers,
                fields: &fields,
            };
            written(&noted);
        }
        let cut = All([vec![b'a'; 255], "\u{e9}\u{e9}".into()].concat());
        let headers = [http::header::TE];
        let noted =
            Noted { rule: None, tag_names: &[], tags: 0, unlogged: false, headers: &headers, fields: &cut };
        assert_eq!(written(&noted), format!(",\"headers\":{{\"te\":\"{}\u{2026}\"}}", "a".repeat(255)));
    }
}
