//! Replacing the prefix that a route matched.

/// Appends to `out` the request target to send upstream: `path` with its first `prefix_len` bytes replaced, and the
/// query as it came. `/api` replaced by `/v2` makes `/v2/x` of `/api/x`; replaced by `/`, or by nothing, it makes `/x`
/// of `/api/x` and `/` of `/api`. Slashes are neither doubled nor lost where the parts meet, and none is removed
/// elsewhere. A path that is none (`*`) is passed on.
pub fn rewrite_target(
    out: &mut Vec<u8>,
    path: &str,
    query: Option<&str>,
    prefix_len: usize,
    replacement: &str,
) {
    let [front, back] = rewritten(path, prefix_len, replacement);
    out.extend_from_slice(front.as_bytes());
    out.extend_from_slice(back.as_bytes());
    if let Some(query) = query {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
}

/// The two parts of the rewritten path.
pub(super) fn rewritten<'a>(path: &'a str, prefix_len: usize, replacement: &'a str) -> [&'a str; 2] {
    if !path.starts_with('/') {
        return [path, ""];
    }
    match path.get(prefix_len..).unwrap_or_default() {
        "" if replacement.is_empty() => ["/", ""],
        "" => [replacement, ""],
        rest => [replacement.strip_suffix('/').unwrap_or(replacement), rest],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        for (path, prefix, replacement, want) in [
            ("/api/x", "/api", "/", "/x"),
            ("/api", "/api", "/", "/"),
            ("/api/", "/api", "/", "/"),
            ("/api/x", "/api", "", "/x"),
            ("/api", "/api", "", "/"),
            ("/api/", "/api", "", "/"),
            ("/api/x", "/api", "/v2", "/v2/x"),
            ("/api/x", "/api", "/v2/", "/v2/x"),
            ("/api", "/api", "/v2", "/v2"),
            ("/api/", "/api", "/v2", "/v2/"),
            ("/api", "/api", "/v2/", "/v2/"),
            ("/api//x", "/api", "/v2", "/v2//x"),
            ("/x", "", "/v2", "/v2/x"),
            ("/", "", "/v2", "/v2/"),
            ("/x", "", "/", "/x"),
            ("*", "", "/v2", "*"),
        ] {
            let mut out = b"GET ".to_vec();
            rewrite_target(&mut out, path, None, prefix.len(), replacement);
            assert_eq!(out, format!("GET {want}").as_bytes(), "{path} {prefix} {replacement}");
            out.clear();
            rewrite_target(&mut out, path, Some("a=%2F&b"), prefix.len(), replacement);
            assert_eq!(out, format!("{want}?a=%2F&b").as_bytes(), "{path} {prefix} {replacement}");
        }
    }

    #[test]
    fn a_length_beyond_the_path_is_no_panic() {
        let mut out = Vec::new();
        rewrite_target(&mut out, "/é", Some(""), 2, "/v");
        rewrite_target(&mut out, "/a", None, 9, "/w");
        assert_eq!(out, b"/v?/w");
    }
}
