//! Heads for the other side. Field lines are copied as they came, in their order; adjacent ones in one go.

mod request;
mod response;

pub use request::{RequestEncoding, encode_request};
pub use response::{BodyOut, ConnectionField, ResponseEncoding, encode_interim, encode_response};

use super::{bytes, edits::HeaderEdits, field::Line};

/// Appends all parts.
#[inline(always)]
fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Appends one field line.
#[inline(always)]
fn put_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    put(out, &[name, b": ", value, b"\r\n"]);
}

/// True unless the edits remove or replace this field, ours as well as the peer's.
fn stays(edits: &HeaderEdits, name: &[u8]) -> bool {
    edits.is_empty() || !edits.drops(name)
}

/// A field of the proxy's own, in place of any that came under its name.
#[derive(Debug, Clone, Copy)]
pub struct OwnField<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value; `None`: it is only dropped.
    pub value: Option<&'a str>,
}

#[inline]
fn is_own(own: &[OwnField<'_>], name: &[u8]) -> bool {
    own.iter().any(|field| field.name.as_bytes().eq_ignore_ascii_case(name))
}

/// Appends what is not for the edits to remove or replace.
#[inline]
fn put_own(out: &mut Vec<u8>, own: &[OwnField<'_>], edits: &HeaderEdits) {
    for OwnField { name, value } in own {
        if let Some(value) = value
            && stays(edits, name.as_bytes())
        {
            put_field(out, name.as_bytes(), value.as_bytes());
        }
    }
}

/// Copies field lines from a raw head, and holds back a run of adjacent lines until it must be written.
struct Copier<'a> {
    out: &'a mut Vec<u8>,
    raw: &'a [u8],
    run: std::ops::Range<usize>,
}

impl<'a> Copier<'a> {
    fn new(out: &'a mut Vec<u8>, raw: &'a [u8]) -> Self {
        Self { out, raw, run: 0..0 }
    }

    /// Keeps the line as it is.
    fn keep(&mut self, line: &Line) {
        let range = line.range();
        if range.start == self.run.end {
            self.run.end = range.end;
        } else {
            self.flush();
            self.run = range;
        }
    }

    /// Keeps the line's name and gives it another value.
    fn replace(&mut self, line: &Line, value: &[u8]) {
        self.flush();
        put_field(self.out, line.name(self.raw), value);
    }

    /// Keeps a `Content-Length` line, written in the one way that no parser can mistake: one space before the value,
    /// none after, no zeros in front.
    fn keep_length(&mut self, line: &Line) {
        let value = line.value(self.raw);
        if line.is_canonical(self.raw) && !matches!(value, [b'0', _, ..]) {
            return self.keep(line);
        }
        let zeros = bytes::prefix_len(value, |byte| byte == b'0').min(value.len().saturating_sub(1));
        self.replace(line, value.get(zeros..).unwrap_or_default());
    }

    fn flush(&mut self) {
        self.out.extend_from_slice(self.raw.get(self.run.clone()).unwrap_or_default());
        self.run = 0..0;
    }
}
