//! What a listener asks of its clients: limits, timeouts, and whether their forwarded fields are believed.

use std::{sync::Arc, time::Duration};

use super::provenance::Provenance;
use crate::{limit::ListenerLimits, upstream::Address};

/// What happens to `X-Forwarded-*` fields that a client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Forwarded {
    /// Dropped, and ours written: nobody is trusted.
    #[default]
    Replace,
    /// Kept, and ours appended to `X-Forwarded-For`: every client of this listener is a trusted proxy; where trusted
    /// proxies are listed, only theirs are.
    Append,
}

/// An address that is accepted on, and what holds for the connections that come from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Identity across tables, by name.
    pub id: u32,
    /// Its name in the config.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: Address,
    /// Client connections open at a time, over all workers (`upstream::share` gives a worker's part).
    pub max_connections: u32,
    /// A request line and all header lines, in bytes.
    pub request_head_bytes: usize,
    /// Fields in a request head, at most `limits::HEAD_FIELDS_MAX`.
    pub request_fields: usize,
    /// A request body, in bytes; `None`: no limit. Beyond it: 413.
    pub request_body_bytes: Option<u64>,
    /// What else it takes only so much of.
    pub limits: ListenerLimits,
    /// From a request's first byte to the end of its head.
    pub request_head_timeout: Duration,
    /// Between two reads of a request body.
    pub request_body_idle_timeout: Duration,
    /// Between two requests of a connection (and before the first).
    pub keep_alive_timeout: Duration,
    /// Without a byte either way after an upgrade.
    pub tunnel_idle_timeout: Duration,
    /// Between two writes to the client that make progress.
    pub response_write_timeout: Duration,
    /// What to do with the client's own `X-Forwarded-*`.
    pub forwarded: Forwarded,
    /// Whom it believes about clients.
    pub provenance: Provenance,
}
