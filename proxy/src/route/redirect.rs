//! Where a redirect points.

use http::StatusCode;

use super::rewrite::rewritten;

/// Where a redirect points. What is `None` is taken from the request.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// `http` or `https`.
    pub scheme: Option<Box<str>>,
    /// Host, with a port when it has one.
    pub host: Option<Box<str>>,
    /// Replaces the whole path.
    pub path: Option<Box<str>>,
    /// Replaces the prefix that `path_prefix` matched.
    pub path_prefix: Option<Box<str>>,
}

impl Redirect {
    /// The value of `Location` for a request that came by `scheme` for `authority` (host and perhaps port), with
    /// `path` and `query`, on a route that matched `prefix_len` bytes of the path. The query is kept.
    ///
    /// A redirect to another scheme drops the request's port, which belongs to the scheme it came by.
    ///
    /// The result is an absolute URL, so that a path like `//evil.example` stays a path. Only when there is no host at
    /// all, as in HTTP/1.0, it is a path, and then with a single slash in front. It holds visible ASCII alone:
    /// anything else that got here is percent-encoded.
    pub fn location(
        &self,
        scheme: &str,
        authority: &str,
        path: &str,
        query: Option<&str>,
        prefix_len: usize,
    ) -> String {
        let to_scheme = self.scheme.as_deref().unwrap_or(scheme);
        let to_authority = match &self.host {
            Some(host) => host,
            None if to_scheme.eq_ignore_ascii_case(scheme) => authority,
            None => without_port(authority),
        };
        let path = match (&self.path, &self.path_prefix) {
            (Some(path), _) => path.to_string(),
            (None, Some(prefix)) => rewritten(path, prefix_len, prefix).concat(),
            // The target of OPTIONS for the whole server, which has no path.
            (None, None) if path == "*" => String::new(),
            (None, None) => path.to_owned(),
        };
        let mut location = String::with_capacity(
            to_scheme.len() + to_authority.len() + path.len() + query.map_or(0, str::len) + 5,
        );
        if to_authority.is_empty() {
            location.push('/');
            push(&mut location, path.trim_start_matches(['/', '\\']));
        } else {
            location.push_str(to_scheme);
            location.push_str("://");
            push(&mut location, to_authority);
            if !path.starts_with('/') {
                location.push('/');
            }
            push(&mut location, &path);
        }
        if let Some(query) = query {
            // A configured path may have brought a query of its own.
            location.push(if location.contains('?') { '&' } else { '?' });
            push(&mut location, query);
        }
        location
    }
}

/// Appends `text`, percent-encoding what must not stand in a field value or a URL.
fn push(location: &mut String, text: &str) {
    for c in text.chars() {
        if c.is_ascii_graphic() {
            location.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            location.push('%');
            for digit in [byte >> 4, byte & 15] {
                location.extend(char::from_digit(u32::from(digit), 16).map(|c| c.to_ascii_uppercase()));
            }
        }
    }
}

/// `host` of `host:port`, where a host may be an IPv6 address in brackets.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAME: Redirect =
        Redirect { status: StatusCode::FOUND, scheme: None, host: None, path: None, path_prefix: None };

    #[test]
    fn parts_replaced() {
        let https = || Redirect { scheme: Some("https".into()), ..SAME };
        let host = |host: &str| Redirect { host: Some(host.into()), ..SAME };
        let path = |path: &str| Redirect { path: Some(path.into()), ..SAME };
        let prefix = |prefix: &str| Redirect { path_prefix: Some(prefix.into()), ..SAME };
        for (redirect, authority, target, prefix_len, want) in [
            (https(), "a.example", "/x", 0, "https://a.example/x"),
            (https(), "a.example:8080", "/x?q=1", 0, "https://a.example/x?q=1"),
            (https(), "[::1]:8080", "/", 0, "https://[::1]/"),
            (https(), "[::1]", "/", 0, "https://[::1]/"),
            (host("b.example:81"), "a.example:8080", "/x?", 0, "http://b.example:81/x?"),
            (path("/new"), "a.example:8080", "/old/x?q", 0, "http://a.example:8080/new?q"),
            (path("/new?p"), "a.example", "/old?q", 0, "http://a.example/new?p&q"),
            (prefix("/new"), "a.example", "/old/x", 4, "http://a.example/new/x"),
            (prefix("/"), "a.example", "/old/x", 4, "http://a.example/x"),
            (prefix("/"), "a.example", "/old", 4, "http://a.example/"),
            (prefix("/v2"), "a.example", "/x", 0, "http://a.example/v2/x"),
            (https(), "a.example", "*", 0, "https://a.example/"),
        ] {
            let (path, query) = target.split_once('?').map_or((target, None), |(path, q)| (path, Some(q)));
            assert_eq!(redirect.location("http", authority, path, query, prefix_len), want);
        }
    }

    #[test]
    fn never_another_host_or_line() {
        let prefix = Redirect { path_prefix: Some("/".into()), ..SAME };
        for (redirect, authority, path, prefix_len, want) in [
            (&SAME, "a.example", "//evil.example", 0, "http://a.example//evil.example"),
            (&prefix, "a.example", "/old//evil.example", 4, "http://a.example//evil.example"),
            (&SAME, "", "//evil.example", 0, "/evil.example"),
            (&SAME, "", "/\\evil.example", 0, "/evil.example"),
            (&prefix, "", "/old//evil.example", 4, "/evil.example"),
            (&SAME, "", "/", 0, "/"),
            (&SAME, "", "*", 0, "/"),
            (&SAME, "a.example", "/a\r\nSet-Cookie: x", 0, "http://a.example/a%0D%0ASet-Cookie:%20x"),
            (&SAME, "a.example", "/é", 0, "http://a.example/%C3%A9"),
        ] {
            assert_eq!(redirect.location("http", authority, path, None, prefix_len), want);
        }
    }
}
