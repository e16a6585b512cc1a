//! The head of a request, as the echo origin reads it.
use super::{
    Reason,
    fields::{self, Fields, is_token},
};

/// A request head that follows the rules.
#[derive(Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method, as sent.
    pub method: &'a [u8],
    /// The path without its query.
    pub path: &'a [u8],
    /// HTTP/1.1, rather than 1.0.
    pub is_11: bool,
    /// What the fields say.
    pub fields: Fields,
}

impl Request<'_> {
    /// Whether the connection stays open after the answer.
    pub fn keep_alive(&self) -> bool {
        if self.is_11 { !self.fields.close } else { self.fields.keep_alive && !self.fields.close }
    }
}

/// Reads a complete head, its empty line included.
pub fn parse(head: &[u8]) -> Result<Request<'_>, Reason> {
    let (line, rest) = fields::take_line(head)?;
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("a request line without exactly three parts");
    };
    if !is_token(method) {
        return Err("a method that is not a token");
    }
    let is_11 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return Err("a version other than HTTP/1.0 and HTTP/1.1"),
    };
    let path = path_of(target)?;
    let fields = fields::parse(rest)?;
    if fields.hosts > 1 || (is_11 && fields.hosts == 0) {
        return Err("not exactly one Host");
    }
    if fields.chunked && !is_11 {
        return Err("Transfer-Encoding in HTTP/1.0");
    }
    Ok(Request { method, path, is_11, fields })
}

/// The path in an origin-form or absolute-form target.
fn path_of(target: &[u8]) -> Result<&[u8], Reason> {
    if target.iter().any(|&byte| byte <= 0x20 || byte >= 0x7F) {
        return Err("a target with bytes outside visible ASCII");
    }
    let end = memchr::memchr2(b'?', b'#', target).unwrap_or(target.len());
    let target = &target[..end];
    if target == b"*" || target.starts_with(b"/") {
        return Ok(target);
    }
    let authority =
        target.strip_prefix(b"http://").ok_or("a target that is neither a path nor an http URL")?;
    Ok(memchr::memchr(b'/', authority).map_or(&b"/"[..], |slash| &authority[slash..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_reduce_to_their_path() {
        for (target, path) in [
            ("/", "/"),
            ("/bytes/13?x=1", "/bytes/13"),
            ("http://host:80/a/b", "/a/b"),
            ("http://host", "/"),
            ("*", "*"),
        ] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(parse(head.as_bytes()).unwrap().path, path.as_bytes());
        }
    }

    #[test]
    fn keep_alive_follows_the_version() {
        for (head, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
        ] {
            assert_eq!(parse(head.as_bytes()).unwrap().keep_alive(), expected, "{head}");
        }
    }

    #[test]
    fn malformed_heads_are_refused() {
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\r\nHost: a\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
            "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert!(parse(head.as_bytes()).is_err(), "{head}");
        }
    }
}
