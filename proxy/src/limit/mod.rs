//! How much is too much: rates, counts and paces. Pure: the clock is passed in, and every table has a fixed size,
//! whatever the number of keys.
//!
//! What workers share is words with one writer each: the [`Journal`] by which a worker tells the others what its buckets
//! were asked for, and its column of the [`Counts`].

pub mod bucket;
pub mod buckets;
pub mod counts;
pub mod journal;
pub mod pace;
pub mod shared;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_types)]
mod tests;

pub use bucket::{Bucket, Rate, RateFault, Standing, Verdict};
pub use buckets::Buckets;
pub use counts::{Counts, Seat};
pub use journal::{Journal, Told};
pub use pace::Pace;
pub use shared::{ClientNumber, Kind, Shared};

use std::time::Duration;

use http::HeaderName;

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// All of the route's.
    Route,
    /// Those of one client.
    Client,
    /// Those with the same value of this header field; those without it are one key as well.
    Header(HeaderName),
}

/// How many requests of each key a route takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Whose requests are counted together.
    pub key: Key,
    /// The bucket of each key.
    pub rate: Rate,
    /// The value of `RateLimit-Policy`, made once.
    pub policy: Box<str>,
    /// The name in it, with its quotes: what a value of `RateLimit` begins with.
    pub name: Box<str>,
}

impl RateLimit {
    /// `requests` per `per` for each key, of which `burst` may come at once; `name` is what clients are told of it.
    ///
    /// # Errors
    /// What no bucket can hold.
    pub fn new(
        name: &str,
        key: Key,
        (requests, per): (u64, Duration),
        burst: u64,
    ) -> Result<RateLimit, RateFault> {
        let rate = Rate::new(requests, per, burst)?;
        // The window of a policy is whole seconds, and may be left out.
        let window = if per.subsec_nanos() == 0 { format!(";w={}", per.as_secs()) } else { String::new() };
        let policy = format!("\"{name}\";q={requests}{window}").into();
        Ok(RateLimit { key, rate, policy, name: format!("\"{name}\"").into() })
    }
}

/// What a route takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteLimits {
    /// Requests in a time; beyond it 429.
    pub rate: Option<RateLimit>,
    /// Requests under way at a time, over all workers (`upstream::share` gives a worker's part); beyond it 503.
    pub max_requests: Option<u32>,
    /// The same of each client, over all workers; beyond it 429.
    pub max_requests_per_client: Option<u32>,
    /// A request's body, in bytes; beyond it 413.
    pub request_body_bytes: Option<u64>,
}

/// What a listener takes, beyond what every listener has a limit for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListenerLimits {
    /// A request's target as it was sent, in bytes; beyond it 414.
    pub target_bytes: Option<usize>,
    /// Requests of one client under way at a time, over all workers; beyond it 429.
    pub requests_per_client: Option<u32>,
    /// Connections of one client at a time, over all workers; beyond it 429 and close.
    pub connections_per_client: Option<u32>,
    /// The slowest that a request's body may come, in bytes per second; then 408.
    pub request_body_rate_min: Option<u64>,
    /// The slowest that a response may be read, in bytes per second; then the connection is cut.
    pub response_rate_min: Option<u64>,
}

impl ListenerLimits {
    /// Whether clients have to be quick.
    pub fn has_rates(&self) -> bool {
        self.request_body_rate_min.is_some() || self.response_rate_min.is_some()
    }
}
