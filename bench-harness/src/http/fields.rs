//! Header fields: checked byte for byte, reduced to what framing and keep-alive need.
use memchr::memchr;

use super::Reason;

/// What the fields of one head say about its body and its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// `Content-Length`.
    pub content_length: Option<u64>,
    /// `Transfer-Encoding: chunked`.
    pub chunked: bool,
    /// `Connection: close` is among the options.
    pub close: bool,
    /// `Connection: keep-alive` is among the options.
    pub keep_alive: bool,
    /// `Expect: 100-continue`.
    pub expect_continue: bool,
    /// How many `Host` fields there are.
    pub hosts: u32,
}

/// Which bytes a token (a field name, a method) may have; RFC 9110 section 5.6.2.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        table[i] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        i += 1;
    }
    table
};

/// Whether `bytes` is a non-empty token.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| TOKEN[byte as usize])
}

/// Splits the first line off: it ends in CRLF and holds no other CR or LF.
pub fn take_line(bytes: &[u8]) -> Result<(&[u8], &[u8]), Reason> {
    let end = memchr(b'\n', bytes).ok_or("a line without an end")?;
    let line = bytes[..end].strip_suffix(b"\r").ok_or("a line that ends in a bare LF")?;
    if memchr(b'\r', line).is_some() {
        return Err("a bare CR in a line");
    }
    Ok((line, &bytes[end + 1..]))
}

/// Reads all fields of a head, from behind the start line to the end of the empty line.
pub fn parse(block: &[u8]) -> Result<Fields, Reason> {
    let mut fields = Fields::default();
    let mut rest = block;
    loop {
        let (line, after) = take_line(rest)?;
        rest = after;
        if line.is_empty() {
            break;
        }
        let (name, value) = split_field(line)?;
        fields.note(name, value)?;
    }
    if !rest.is_empty() {
        return Err("bytes behind the end of the head");
    }
    if fields.chunked && fields.content_length.is_some() {
        return Err("Content-Length and Transfer-Encoding together");
    }
    Ok(fields)
}

/// Checks one field line and splits it into name and trimmed value.
pub fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), Reason> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err("a folded header line");
    }
    let colon = memchr(b':', line).ok_or("a header line without a colon")?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err("a header name that is not a token");
    }
    if value.iter().any(|&byte| (byte < 0x20 && byte != b'\t') || byte == 0x7F) {
        return Err("a control character in a header value");
    }
    Ok((name, value.trim_ascii()))
}

impl Fields {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Reason> {
        // The length tells most names apart; only a few are compared.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.hosts += 1,
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.expect_continue = value.eq_ignore_ascii_case(b"100-continue");
            }
            10 if name.eq_ignore_ascii_case(b"connection") => self.note_connection(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.content_length.is_some() {
                    return Err("more than one Content-Length");
                }
                self.content_length =
                    Some(parse_decimal(value).ok_or("a Content-Length that is not a number")?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err("a Transfer-Encoding other than one chunked");
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn note_connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

/// Digits only, at least one, no overflow.
pub fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_and_connection_are_read() {
        let fields = parse(b"Host: a\r\ncontent-LENGTH: 12 \r\nConnection: x, Close\r\n\r\n").unwrap();
        assert_eq!(fields, Fields { content_length: Some(12), close: true, hosts: 1, ..Fields::default() });
        let fields = parse(b"Transfer-Encoding: Chunked\r\nExpect: 100-continue\r\n\r\n").unwrap();
        assert_eq!(fields, Fields { chunked: true, expect_continue: true, ..Fields::default() });
        assert_eq!(parse(b"\r\n"), Ok(Fields::default()));
    }

    #[test]
    fn what_a_proxy_must_not_send_is_refused() {
        for block in [
            &b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n"[..],
            b"Content-Length: 1, 1\r\n\r\n",
            b"Content-Length: +1\r\n\r\n",
            b"Content-Length: \r\n\r\n",
            b"Content-Length: 99999999999999999999\r\n\r\n",
            b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"Transfer-Encoding: gzip, chunked\r\n\r\n",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"Name : value\r\n\r\n",
            b": value\r\n\r\n",
            b"no colon\r\n\r\n",
            b"A: 1\r\n folded\r\n\r\n",
            b"A: 1\n\r\n",
            b"A: 1\rB: 2\r\n\r\n",
            b"A: \0\r\n\r\n",
            b"A: 1\r\n",
            b"A: 1\r\n\r\nrest",
        ] {
            assert!(parse(block).is_err(), "{}", block.escape_ascii());
        }
    }
}
