//! Every key of a rate limit.

use std::time::Duration;

use http::HeaderName;

use super::{
    quantity::time,
    section::section,
    spec::count,
    text::{Fault, Text},
};
use crate::limit::Key;

/// The most that can be under way of anything.
pub(crate) const UNDER_WAY_MAX: u64 = 10_000_000;
/// The most of a rate limit's numbers.
const REQUESTS_MAX: u64 = 1_000_000_000;

section! {
    /// How many requests are taken in a time. Each key has a bucket, which fills steadily; a request takes one out.
    pub(crate) struct RateLimit {
        /// Requests in the time of `per`, at most a million a second.
        requests: u64, required, count(1, REQUESTS_MAX);
        /// The time of `requests`.
        per: Duration, default("1s"), time();
        /// What a bucket holds: requests that may come at once. Absent: as `requests`.
        burst: u64, optional, count(1, REQUESTS_MAX);
        /// Whose requests share a bucket: "route" all of them, "client" those of one address (IPv6: of one /64),
        /// "header:NAME" those with the same value of a field.
        key: Key, default("client"), KEY;
    }
}

/// `"route"`, `"client"` or `"header:NAME"`.
const KEY: Text<Key> = Text {
    what: "\"route\", \"client\" or \"header:NAME\"",
    pattern: "^(route|client|header:[!#$%&'*+.^_`|~0-9A-Za-z-]+)$",
    parse: parse_key,
};

fn parse_key(text: &str) -> Result<Key, Fault> {
    const KEYS: &str = "\"route\", \"client\" or \"header:NAME\", as \"header:x-api-key\"";
    match text {
        "route" => Ok(Key::Route),
        "client" => Ok(Key::Client),
        _ => {
            let name = text.strip_prefix("header:").map(|name| HeaderName::from_bytes(name.as_bytes()));
            match name {
                Some(Ok(name)) => Ok(Key::Header(name)),
                Some(Err(_)) => Err(Fault::new(format!("{text:?} names no header"), KEYS)),
                None => Err(Fault::new(format!("{text:?} is not a key"), KEYS)),
            }
        }
    }
}
