//! The head of a response, as the load generator reads it.
use super::{
    Reason,
    fields::{self, Fields},
};

/// A response head that follows the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// Three digits.
    pub status: u16,
    /// How the body ends.
    pub framing: Framing,
    /// The server keeps the connection open.
    pub keep_alive: bool,
}

/// How a body ends; RFC 9112 section 6.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes, perhaps none.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// Reads a complete head, its empty line included. `to_head` says that the request was a HEAD.
pub fn parse(head: &[u8], to_head: bool) -> Result<Response, Reason> {
    let (line, rest) = fields::take_line(head)?;
    let (version, after) = line.split_at_checked(9).ok_or("a status line that is too short")?;
    let is_11 = match version {
        b"HTTP/1.1 " => true,
        b"HTTP/1.0 " => false,
        _ => return Err("a status line that does not begin with HTTP/1.1 or HTTP/1.0"),
    };
    let status = match after {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9']
        | [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', ..] => {
            u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
        }
        _ => return Err("a status that is not three digits"),
    };
    let fields = fields::parse(rest)?;
    let framing = framing(status, &fields, to_head);
    let kept = if is_11 { !fields.close } else { fields.keep_alive && !fields.close };
    Ok(Response { status, framing, keep_alive: kept && framing != Framing::UntilClose })
}

fn framing(status: u16, fields: &Fields, to_head: bool) -> Framing {
    if to_head || status < 200 || status == 204 || status == 304 {
        Framing::Length(0)
    } else if fields.chunked {
        Framing::Chunked
    } else {
        fields.content_length.map_or(Framing::UntilClose, Framing::Length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_give_status_framing_and_keep_alive() {
        use Framing::*;
        for (head, status, framing, keep_alive) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n", 200, Length(13), true),
            ("HTTP/1.1 200\r\ncontent-length: 0\r\nConnection: close\r\n\r\n", 200, Length(0), false),
            ("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", 200, Chunked, true),
            ("HTTP/1.1 200 OK\r\n\r\n", 200, UntilClose, false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", 200, Length(1), false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n", 200, Length(1), true),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, Length(0), true),
            ("HTTP/1.1 100 Continue\r\n\r\n", 100, Length(0), true),
        ] {
            let response = parse(head.as_bytes(), false);
            assert_eq!(response, Ok(Response { status, framing, keep_alive }), "{head}");
        }
        let to_head = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n", true).unwrap();
        assert_eq!(to_head.framing, Length(0));
    }

    #[test]
    fn malformed_heads_are_refused() {
        for head in [
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 099 Low\r\n\r\n",
            "HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        ] {
            assert!(parse(head.as_bytes(), false).is_err(), "{head}");
        }
    }
}
