//! The bytes of a response, head and body together.
use std::rc::Rc;

use crate::{http::chunked, pattern};

/// How the body of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// After its Content-Length.
    Length,
    /// With the last chunk.
    Chunked,
    /// With the connection.
    Close,
}

/// What the connection does after an answer, as far as the head has to say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// HTTP/1.1 and open: the default needs no words.
    Silent,
    /// HTTP/1.0 that asked to stay open.
    KeepAlive,
    /// The connection closes.
    Close,
}

/// Everything the bytes of an answer with a patterned body depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Three digits.
    pub status: u16,
    /// Length of the body.
    pub body_bytes: u64,
    /// How the body ends.
    pub ending: Ending,
    /// What becomes of the connection.
    pub persistence: Persistence,
    /// The request was a HEAD: no body is sent.
    pub to_head: bool,
}

/// A whole response, shared by all that ask for it.
pub type Prebuilt = Rc<Vec<u8>>;

/// The most that one answer holds in memory; longer bodies are written piece by piece.
pub const PREBUILT_BODY_BYTES_MAX: u64 = 4 << 20;

/// The most data in one chunk of a chunked body.
pub const CHUNK_BYTES: usize = 16 * 1024;

impl Key {
    /// Whether the status allows a body.
    pub fn has_body(&self) -> bool {
        !self.to_head && !matches!(self.status, 204 | 304)
    }
}

/// Appends a head up to and including its empty line. `length` is None where the body ends otherwise.
pub fn append_head(out: &mut Vec<u8>, status: u16, ending: Ending, length: u64, persistence: Persistence) {
    out.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason(status)).as_bytes());
    out.extend_from_slice(b"Server: ringlane-echo\r\nContent-Type: text/plain\r\n");
    match ending {
        // RFC 9110 section 8.6 forbids a Content-Length in a 204.
        Ending::Length if status == 204 => {}
        Ending::Length => out.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes()),
        Ending::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Ending::Close => {}
    }
    match persistence {
        Persistence::Silent => {}
        Persistence::KeepAlive => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        Persistence::Close => out.extend_from_slice(b"Connection: close\r\n"),
    }
    out.extend_from_slice(b"\r\n");
}

/// Builds the whole response; the body must not exceed [`PREBUILT_BODY_BYTES_MAX`].
pub fn build(key: Key) -> Prebuilt {
    let len = key.body_bytes as usize;
    let mut out = Vec::with_capacity(len + 256);
    append_head(&mut out, key.status, key.ending, key.body_bytes, key.persistence);
    if key.has_body() {
        match key.ending {
            Ending::Length | Ending::Close => pattern::append(&mut out, 0, len),
            Ending::Chunked => {
                append_chunks(&mut out, 0, len);
                out.extend_from_slice(chunked::LAST_CHUNK);
            }
        }
    }
    Rc::new(out)
}

/// Appends `len` bytes of a patterned body from its byte `offset` on, as chunks.
pub fn append_chunks(out: &mut Vec<u8>, offset: u64, len: usize) {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES.min(len));
    let mut at = 0;
    while at < len {
        let n = CHUNK_BYTES.min(len - at);
        chunk.clear();
        pattern::append(&mut chunk, offset + at as u64, n);
        chunked::append_chunk(out, &chunk);
        at += n;
    }
}

/// The phrase that goes with a status; clients ignore it, people do not.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "As Asked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Key = Key {
        status: 200,
        body_bytes: 13,
        ending: Ending::Length,
        persistence: Persistence::Silent,
        to_head: false,
    };

    fn text(key: Key) -> String {
        String::from_utf8(build(key).to_vec()).unwrap()
    }

    #[test]
    fn the_default_answer_is_one_message() {
        assert_eq!(
            text(PLAIN),
            "HTTP/1.1 200 OK\r\nServer: ringlane-echo\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n\
             Hello, World!"
        );
    }

    #[test]
    fn endings_and_statuses_follow_the_rules() {
        assert!(
            text(Key { ending: Ending::Chunked, ..PLAIN })
                .ends_with("\r\n\r\nd\r\nHello, World!\r\n0\r\n\r\n")
        );
        assert!(text(Key { to_head: true, ..PLAIN }).ends_with("Content-Length: 13\r\n\r\n"));
        let close = text(Key { ending: Ending::Close, persistence: Persistence::Close, ..PLAIN });
        assert!(
            close.ends_with("Connection: close\r\n\r\nHello, World!") && !close.contains("Length"),
            "{close}"
        );
        let empty = text(Key { status: 204, ..PLAIN });
        assert!(!empty.contains("Length") && empty.ends_with("\r\n\r\n"), "{empty}");
    }
}
