//! Ids that go along with a request: W3C Trace Context (`traceparent`, `tracestate`) and `X-Request-Id`.

use super::{
    bytes,
    field::{FieldKind, Line},
    request::RequestHead,
};
use crate::limits::{
    REQUEST_ID_BYTES_MAX, TRACESTATE_BYTES_MAX, TRACESTATE_LONG_MEMBER_BYTES, TRACESTATE_MEMBERS_MAX,
};

/// Bytes of a `traceparent` of version 00: version, trace id, parent id and flags in hexadecimal, with `-` between them.
pub const TRACEPARENT_BYTES: usize = 55;

/// Flags that are known: `sampled`, and `random` of level 2. Others are not passed on (section 3.2.2.5.2).
const KNOWN_FLAGS: u8 = 0b11;
const SAMPLED: u8 = 0b1;

/// What a good `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The id of the whole trace, not 0.
    pub trace: u128,
    /// The id of the request as its sender knows it, not 0.
    pub parent: u64,
    /// Those of the flags that are known.
    pub flags: u8,
}

impl TraceParent {
    /// A new trace. It is marked as sampled, because the proxy records it, and because services that do as their caller
    /// says would else never record any of it.
    pub fn start(trace: u128, parent: u64) -> TraceParent {
        TraceParent { trace, parent, flags: SAMPLED }
    }

    /// Reads the field of a request, sections 3.2 and 4. `None`: there is none, more than one, or one that is invalid.
    pub fn of(head: &RequestHead) -> Option<TraceParent> {
        only_line(head, FieldKind::Traceparent).and_then(Self::parse)
    }

    /// Reads a value. Of versions beyond 00 the part is read that they have in common with it (section 3.2.4).
    pub fn parse(value: &[u8]) -> Option<TraceParent> {
        let (fixed, rest) = value.split_first_chunk::<TRACEPARENT_BYTES>()?;
        let version = hex(fixed.get(..2)?)?;
        let fits = match version {
            0 => rest.is_empty(),
            0xFF => false,
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        let dashes = [2, 35, 52].iter().all(|at| fixed.get(*at) == Some(&b'-'));
        let trace = hex(fixed.get(3..35)?)?;
        let parent = hex(fixed.get(36..52)?)? as u64;
        let flags = hex(fixed.get(53..)?)? as u8 & KNOWN_FLAGS;
        (fits && dashes && trace != 0 && parent != 0).then_some(TraceParent { trace, parent, flags })
    }

    /// As the field's value, in version 00.
    pub fn text(&self) -> [u8; TRACEPARENT_BYTES] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        put_hex(text.get_mut(3..35), self.trace);
        put_hex(text.get_mut(36..52), self.parent.into());
        put_hex(text.get_mut(53..), self.flags.into());
        text
    }
}

/// A number in lower case hexadecimal digits, at most 32 of them.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

/// All digits at once, one to a byte: digit by digit, ids were a twelfth of the instructions of a request with everything
/// configured.
fn eight_digits(number: u32) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let spread = u64::from(number);
    let spread = (spread | spread << 16) & 0x0000_FFFF_0000_FFFF;
    let spread = (spread | spread << 8) & 0x00FF_00FF_00FF_00FF;
    let spread = (spread | spread << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    // 6 more than a digit above 9 carries into the next four bits.
    let letters = (spread + 6 * ONES) >> 4 & ONES;
    let text = spread + u64::from(b'0') * ONES + letters * u64::from(b'a' - b'0' - 10);
    text.to_be_bytes()
}

/// Fills `out` with the last digits of a number in hexadecimal.
pub fn put_hex(out: Option<&mut [u8]>, number: u128) {
    let mut rest = number;
    for places in out.into_iter().flat_map(|out| out.rchunks_mut(8)) {
        let digits = eight_digits(rest as u32);
        places.copy_from_slice(&digits[digits.len() - places.len()..]);
        rest >>= 32;
    }
}

/// The `X-Request-Id` that a request came with, if it is one that can be passed on: 1 to 128 letters, digits and a few signs,
/// in one line.
pub fn request_id(head: &RequestHead) -> Option<&[u8]> {
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=:@".contains(byte);
    only_line(head, FieldKind::XRequestId)
        .filter(|id| (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(good))
}

/// The value of a field that has one line, and belongs to the message.
fn only_line(head: &RequestHead, kind: FieldKind) -> Option<&[u8]> {
    let mut found = lines(head, kind);
    let only = found.next()?;
    found.next().is_none().then(|| only.value(&head.raw))
}

fn lines(head: &RequestHead, kind: FieldKind) -> impl Iterator<Item = &Line> {
    head.lines.iter().filter(move |line| line.kind == kind && !line.dropped)
}

/// What takes the place of a field that the client may have sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Instead<'a> {
    /// What it has sent.
    #[default]
    AsItCame,
    /// This, or nothing.
    This(Option<&'a [u8]>),
}

impl Instead<'_> {
    /// Whether the client's lines are dropped.
    pub(super) fn replaces(self) -> bool {
        self != Self::AsItCame
    }
}

/// The ids that a request goes upstream with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ids<'a> {
    /// `traceparent`; with it goes `tracestate`.
    pub traceparent: Instead<'a>,
    /// Whether `tracestate` is passed on where `traceparent` is not as it came.
    pub keeps_state: bool,
    /// `X-Request-Id`.
    pub request_id: Instead<'a>,
}

/// Appends all `tracestate` lines of a request as one. What is beyond 32 members or 512 bytes goes: long members first,
/// then those at the end (section 3.3.1.5).
pub(super) fn put_state(out: &mut Vec<u8>, head: &RequestHead) {
    let members = || lines(head, FieldKind::Tracestate).flat_map(|line| bytes::list(line.value(&head.raw)));
    let (mut total, mut count) = (0, 0);
    for member in members() {
        total += member.len() + 1;
        count += 1;
    }
    if count == 0 {
        return;
    }
    let fits = total <= TRACESTATE_BYTES_MAX + 1;
    let start = out.len();
    let kept = members().filter(|member| fits || member.len() <= TRACESTATE_LONG_MEMBER_BYTES);
    let mut room = TRACESTATE_BYTES_MAX + 1;
    for member in kept.take(TRACESTATE_MEMBERS_MAX) {
        match room.checked_sub(member.len() + 1) {
            Some(left) => room = left,
            None => break,
        }
        out.extend_from_slice(if out.len() == start { b"tracestate: " } else { b"," });
        out.extend_from_slice(member);
    }
    if out.len() > start {
        out.extend_from_slice(b"\r\n");
    }
}
