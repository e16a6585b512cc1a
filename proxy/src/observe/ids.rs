//! Ids of an exchange in its line of the access log. Lines of listeners that ask for none are as they would be without.

use super::line::{TEXT_BYTES_MAX, text};

/// More than what ids add to a line, in bytes: hexadecimal digits, and an `X-Request-Id` of plain signs.
pub(super) const BYTES_MAX: usize = 4 * TEXT_BYTES_MAX;

/// The fields of a line that only ids bring into it, for the documentation.
pub(super) const FIELDS_MARKDOWN: &str = "\
| `trace_id` | of the W3C trace context that went upstream; absent if none did |
| `span_id` | the parent id that went upstream with it |
| `parent_id` | the parent id that the request came with; absent if the trace began here |
| `request_id` | `X-Request-Id`, as it went upstream and to the client; absent if none did |
";

/// Ids of an exchange.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ids<'a> {
    /// Of the trace.
    pub trace: Option<&'a str>,
    /// Of this request, as the upstream knows it.
    pub span: Option<&'a str>,
    /// Of this request, as the client knows it.
    pub parent: Option<&'a str>,
    /// `X-Request-Id`.
    pub request: Option<&'a str>,
}

/// Appends what stands in the line.
pub(super) fn write(out: &mut Vec<u8>, ids: &Ids<'_>) {
    let fields = [
        (",\"trace_id\":", ids.trace),
        (",\"span_id\":", ids.span),
        (",\"parent_id\":", ids.parent),
        (",\"request_id\":", ids.request),
    ];
    for (key, value) in fields {
        if let Some(value) = value {
            out.extend_from_slice(key.as_bytes());
            text(out, value, TEXT_BYTES_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(ids: &Ids<'_>) -> String {
        let mut out = Vec::new();
        write(&mut out, ids);
        assert!(out.len() <= BYTES_MAX, "{}", out.len());
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn only_what_there_is() {
        assert_eq!(written(&Ids::default()), "");
        assert_eq!(written(&Ids { request: Some("a"), ..Ids::default() }), r#","request_id":"a""#);
        let (trace, span, id) = ("t".repeat(32), "s".repeat(16), "r".repeat(128));
        let all = Ids { trace: Some(&trace), span: Some(&span), parent: Some(&span), request: Some(&id) };
        let line = format!(
            ",\"trace_id\":\"{trace}\",\"span_id\":\"{span}\",\"parent_id\":\"{span}\",\"request_id\":\"{id}\""
        );
        assert_eq!(written(&all), line);
    }
}
