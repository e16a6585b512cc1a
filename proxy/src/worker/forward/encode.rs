//! The head of a request as it goes upstream.

use std::time::Instant;

use super::Forward;
use crate::{
    http::{OwnField, RequestEncoding, encode_request},
    route::rewrite_target,
    worker::{
        ids::{self, Ids},
        peer,
    },
};

/// Appends it to `out`. `now` is needed only where there is a deadline.
pub fn encode(this: &Forward<'_>, out: &mut Vec<u8>, now: Option<Instant>) {
    let (head, route) = (this.head, this.route);
    let mut target = Vec::new();
    if let Some(replacement) = &route.rewrite_path_prefix {
        rewrite_target(&mut target, head.path(), head.query(), this.prefix_len, replacement);
    }
    let mut digits = itoa::Buffer::new();
    let left = this.deadline.zip(now).map(|(deadline, now)| digits.format(millis_left(deadline, now)));
    let own = this.deadline_header.map(|name| OwnField { name, value: left });
    let how = RequestEncoding {
        target: (!target.is_empty()).then_some(&target[..]),
        host: route.rewrite_host.as_deref(),
        edits: &route.request_headers,
        own: own.as_slice(),
        client_ip: &this.client.peer,
        proto: "http",
        trusted: peer::keeps_forwarded(this.client),
        ids: ids::of(this.client).map(Ids::upstream),
    };
    encode_request(out, head, &how);
}

/// At least 1: a request without time is not sent, and to many 0 means that there is no bound.
fn millis_left(deadline: Instant, now: Instant) -> u128 {
    deadline.saturating_duration_since(now).as_millis().max(1)
}
