//! Ids that go along with a request: its trace context and its `X-Request-Id`, taken over or made; upstream, on the response
//! and in the access log.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
};

use super::connection::Client;
use crate::{
    http::{
        RequestHead,
        trace::{self, Instead, TRACEPARENT_BYTES, TraceParent, put_hex},
    },
    limits::REQUEST_ID_BYTES_MAX,
    observe,
    route::provenance::{RequestId, TraceContext},
};

/// Digits of a trace id, and of an `X-Request-Id` that is made.
const LONG_ID_BYTES: usize = 32;
/// Digits of a parent id.
const SHORT_ID_BYTES: usize = 16;

/// The ids of one request. All text, written once.
pub struct Ids {
    context: TraceContext,
    /// `traceparent` as it goes upstream; `None`: none goes.
    traceparent: Option<[u8; TRACEPARENT_BYTES]>,
    /// The parent id that it came with; `None`: the trace begins here.
    parent: Option<[u8; SHORT_ID_BYTES]>,
    mode: RequestId,
    request_id: [u8; REQUEST_ID_BYTES_MAX],
    /// 0: there is none.
    request_id_bytes: usize,
}

impl Default for Ids {
    fn default() -> Ids {
        Ids {
            context: TraceContext::Off,
            traceparent: None,
            parent: None,
            mode: RequestId::Off,
            request_id: [0; REQUEST_ID_BYTES_MAX],
            request_id_bytes: 0,
        }
    }
}

impl Ids {
    /// Finds or makes those of a request. Where it is said who is trusted, a stranger's count for nothing.
    pub fn begin(&mut self, client: &Client, head: &RequestHead) {
        let provenance = &client.listener.provenance;
        let believed = client.ends.trusted || provenance.trusted_proxies.is_empty();
        self.context = provenance.trace_context;
        self.mode = provenance.request_id;
        let dice = &client.worker.dice;
        if self.context != TraceContext::Off {
            self.trace(TraceParent::of(head).filter(|_| believed), dice);
        }
        if self.mode != RequestId::Off {
            self.name(trace::request_id(head).filter(|_| believed), dice);
        }
    }

    fn trace(&mut self, came: Option<TraceParent>, dice: &Dice) {
        let span = dice.short_id();
        let goes = match came {
            Some(came) => Some(TraceParent { parent: span, ..came }),
            None if self.context == TraceContext::Start => Some(TraceParent::start(dice.long_id(), span)),
            None => None,
        };
        self.traceparent = goes.map(|it| it.text());
        self.parent = came.map(|came| {
            let mut text = [0; SHORT_ID_BYTES];
            put_hex(Some(&mut text), came.parent.into());
            text
        });
    }

    fn name(&mut self, came: Option<&[u8]>, dice: &Dice) {
        self.request_id_bytes = match came {
            Some(came) => {
                let room = self.request_id.get_mut(..came.len());
                room.map_or(0, |room| {
                    room.copy_from_slice(came);
                    came.len()
                })
            }
            None if self.mode == RequestId::Make => {
                put_hex(self.request_id.get_mut(..LONG_ID_BYTES), dice.long_id());
                LONG_ID_BYTES
            }
            None => 0,
        };
    }

    /// As they go upstream.
    pub fn upstream(&self) -> trace::Ids<'_> {
        trace::Ids {
            traceparent: match self.context {
                TraceContext::Off => Instead::AsItCame,
                _ => Instead::This(self.traceparent.as_ref().map(|text| &text[..])),
            },
            // It says what systems on the way know of the parent; without one it means nothing.
            keeps_state: self.parent.is_some(),
            request_id: match self.mode {
                RequestId::Off => Instead::AsItCame,
                _ => Instead::This(self.request_id()),
            },
        }
    }

    /// What the response says in `X-Request-Id`; `None`: whatever the upstream does.
    pub fn request_id(&self) -> Option<&[u8]> {
        let id = self.request_id.get(..self.request_id_bytes)?;
        (self.mode != RequestId::Off && !id.is_empty()).then_some(id)
    }

    /// As the access log has them.
    pub fn logged(&self) -> observe::Ids<'_> {
        let traceparent = self.traceparent.as_ref().filter(|_| self.context != TraceContext::Off);
        let part = |range| traceparent.and_then(|it| it.get(range)).map(text);
        observe::Ids {
            trace: part(3..35),
            span: part(36..52),
            parent: self.parent.as_ref().filter(|_| traceparent.is_some()).map(|it| text(it)),
            request: self.request_id().map(text),
        }
    }
}

/// All of them are ASCII.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The ids of the request that `client` is served, if its listener asks for any.
pub fn of(client: &Client) -> Option<&Ids> {
    let asked = client.asked.as_deref()?;
    Some(&asked.ids)
}

/// What the response to `client`'s request says in `X-Request-Id`.
pub fn on_response(client: &Client) -> Option<&[u8]> {
    of(client)?.request_id()
}

/// Adds that to a response of our own, right after its first line.
pub fn sign(client: &Client, out: &mut Vec<u8>) {
    let Some(id) = on_response(client) else { return };
    let Some(end) = memchr::memchr(b'\n', out) else { return };
    let field = [&b"X-Request-Id: "[..], id, b"\r\n"].into_iter().flatten().copied();
    out.splice(end + 1..end + 1, field);
}

/// A worker's source of numbers that nobody else comes upon: xoshiro256++ from a start of its own. No secrets are made of
/// it.
pub struct Dice(Cell<[u64; 4]>);

impl Default for Dice {
    fn default() -> Dice {
        // Keyed anew by the kernel in every thread and every process. From zeros alone it would not move.
        let random = RandomState::new();
        Dice(Cell::new([0, 1, 2, 3].map(|number| random.hash_one(number) | 1)))
    }
}

impl Dice {
    fn next(&self) -> u64 {
        let [a, mut b, mut c, mut d] = self.0.get();
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let shifted = b << 17;
        c ^= a;
        d ^= b;
        b ^= c;
        let a = a ^ d;
        c ^= shifted;
        d = d.rotate_left(45);
        self.0.set([a, b, c, d]);
        result
    }

    /// 64 bits, not all 0.
    fn short_id(&self) -> u64 {
        self.next().max(1)
    }

    /// 128 bits, not all 0.
    fn long_id(&self) -> u128 {
        (u128::from(self.next()) << 64 | u128::from(self.next())).max(1)
    }
}

const _: () = assert!(LONG_ID_BYTES <= REQUEST_ID_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_the_algorithm_has_them() {
        // The first numbers of the reference implementation from 1, 2, 3, 4.
        let dice = Dice(Cell::new([1, 2, 3, 4]));
        let first = [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386];
        assert_eq!(first.map(|_| dice.next()), first);
    }

    #[test]
    fn no_two_begin_alike() {
        let (one, other) = (Dice::default(), Dice::default());
        assert_ne!(one.long_id(), other.long_id());
        assert_ne!(one.short_id(), one.short_id());
    }
}
