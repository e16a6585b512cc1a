//! Which bytes may stand where, as tables made at compile time, and the list syntax of RFC 9110 section 5.6.1.

use super::error::HeadError;

/// One entry for every byte.
type Table = [bool; 256];

const fn table(punctuation: &[u8]) -> Table {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < punctuation.len() {
        table[punctuation[at] as usize] = true;
        at += 1;
    }
    table
}

/// `tchar`, RFC 9110 section 5.6.2.
static TOKEN: Table = table(b"!#$%&'*+-.^_`|~");

/// What a request target may hold: `unreserved`, `reserved` and `%` of RFC 3986 section 2, without `#`, because a
/// fragment is never sent.
static TARGET: Table = table(b"-._~:/?[]@!$&'()*+,;=%");

/// `TARGET` without the two bytes that a path is searched for: `?`, which ends it, and `%`.
static PLAIN_PATH: Table = table(b"-._~:/[]@!$&'()*+,;=");

/// `reg-name` of RFC 3986 section 3.2.2 without escapes, and without the comma, by which some join repeated fields.
static HOST: Table = table(b"-._~!$&'()*+;=");

/// True for a byte of a token.
pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// True for a byte of a request target.
pub(super) fn is_target_byte(byte: u8) -> bool {
    TARGET[usize::from(byte)]
}

/// True for a byte of a path that neither ends it nor starts an escape.
pub(super) fn is_plain_path_byte(byte: u8) -> bool {
    PLAIN_PATH[usize::from(byte)]
}

/// True for a byte of a registered name or an IPv4 address.
pub(super) fn is_host_byte(byte: u8) -> bool {
    HOST[usize::from(byte)]
}

/// How many bytes at the start of `text` satisfy `wanted`.
#[inline]
pub(super) fn prefix_len(text: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| !wanted(*byte)).unwrap_or(text.len())
}

/// True for a token: one `tchar` or more.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

/// Space or tab, RFC 9110 section 5.6.3.
pub(super) fn is_ows(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// `text` without optional white space at its end.
pub(super) fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., last] = text
        && is_ows(*last)
    {
        text = rest;
    }
    text
}

/// `text` without optional white space at either end.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_ows(*first)
    {
        text = rest;
    }
    trim_end(text)
}

/// The elements of a comma-separated list, trimmed. Empty ones are skipped, as a recipient must.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// True for a byte that no head may hold: a control byte other than tab, CR and LF.
fn is_forbidden(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t' && byte != b'\r' && byte != b'\n') || byte == 0x7f
}

/// Refuses NUL and the other control bytes, except tab, CR and LF, whose places are checked line by line.
///
/// One pass over the whole head without a branch in it, which the compiler turns into vector instructions.
pub(super) fn refuse_control(head: &[u8]) -> Result<(), HeadError> {
    let forbidden = head.iter().fold(false, |found, byte| found | is_forbidden(*byte));
    if !forbidden {
        return Ok(());
    }
    Err(HeadError::Malformed(if head.contains(&0) { "NUL in the head" } else { "control byte in the head" }))
}

/// A count in decimal digits, at most 2^63 - 1, so that sums with it stay in range. `None` for all else.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    // 19 digits never overflow 64 bits.
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let mut value = 0u64;
    for byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(byte - b'0');
    }
    (value <= i64::MAX as u64).then_some(value)
}
