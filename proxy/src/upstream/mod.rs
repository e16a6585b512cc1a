//! Which endpoint serves a request. Pure: one file per balancing algorithm, state passed in. No sockets, no HTTP.
//!
//! | file | what it is |
//! |---|---|
//! | `balancer` | the algorithms by name; primary endpoints and backups; what a picker is told (`View`) |
//! | `round_robin`, `least_requests`, `random`, `power_of_two`, `peak_ewma`, `hash` | one algorithm each |
//! | `maglev` | the table that `hash` looks keys up in |
//! | `sticky` | the cookie that keeps a client at its endpoint, whatever the algorithm |
//! | `rng`, `digest` | random numbers; a hash that never changes |

pub mod backoff;
pub mod balancer;
pub mod budget;
pub mod circuit;
pub mod digest;
pub mod hash;
pub mod health;
pub mod latency;
pub mod least_requests;
pub mod maglev;
pub mod peak_ewma;
pub mod power_of_two;
pub mod random;
pub mod recent;
pub mod retries;
pub mod rng;
pub mod round_robin;
pub mod sticky;

#[cfg(test)]
pub(crate) mod tests;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use self::{
    balancer::thinned,
    circuit::Breaker,
    hash::Hashing,
    health::{Health, HealthSettings},
    sticky::Sticky,
};
pub use self::{
    balancer::{Balance, Balancers, SHARE_FULL, View},
    retries::Retries,
};
use crate::proxy_protocol::Version;

/// Where an endpoint listens. Names are resolved on the control thread, so a worker only ever sees addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IPv4 or IPv6 address and port.
    Tcp(SocketAddr),
    /// A unix socket's path.
    Unix(PathBuf),
}

impl Address {
    /// Whether the two can't be listened to side by side. 0.0.0.0 takes a port of every IPv4 address, `[::]` of every
    /// IPv6 address; port 0 is any free port and never the same twice.
    pub fn overlaps(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Unix(a), Address::Unix(b)) => a == b,
            (Address::Tcp(a), Address::Tcp(b)) => {
                // ::ffff:a.b.c.d is IPv4 in disguise.
                let (one, other) = (a.ip().to_canonical(), b.ip().to_canonical());
                let any = one.is_unspecified() || other.is_unspecified();
                a.port() == b.port()
                    && a.port() != 0
                    && (one == other || (any && one.is_ipv4() == other.is_ipv4()))
            }
            _ => false,
        }
    }
}

/// One address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Identity across tables: the same upstream name and address keep the same id for the life of the process, so
    /// that a worker's pools, in-flight counts and cursors outlive a reload.
    pub id: u32,
    /// Where to connect.
    pub address: Address,
    /// `address` as text for logs and metrics, made once.
    pub label: Arc<str>,
    /// Share of the requests, 1 to 1000 (0: none).
    pub weight: u32,
    /// How it is doing. Not part of what makes two of them equal.
    pub health: Health,
    /// Asked only when no endpoint that is none can be asked.
    pub backup: bool,
}

/// The weight that an endpoint has among the primary endpoints, or among the backups: none in the other tier.
fn tier_weight(endpoint: &Endpoint, backup: bool) -> u32 {
    if endpoint.backup == backup { endpoint.weight } else { 0 }
}

/// Bounds on connections to an upstream. Counts are for the whole process; `share` gives a worker's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Connections open at a time, busy and idle, over all endpoints.
    pub max_connections: u32,
    /// Idle connections kept.
    pub max_idle: u32,
    /// Requests waiting for a connection.
    pub max_pending: u32,
    /// An idle connection is closed after this long.
    pub idle_timeout: Duration,
    /// A connection is not reused once this old; `None`: no limit.
    pub max_age: Option<Duration>,
    /// A connection is closed after so many requests; `None`: no limit.
    pub max_requests: Option<u64>,
}

/// Divides a limit of the process over its workers: worker `index` of `workers` gets the `index`-th part, the parts
/// add up to `limit`, and no two differ by more than one.
pub const fn share(limit: u32, workers: u32, index: u32) -> u32 {
    limit / workers + if index < limit % workers { 1 } else { 0 }
}

/// How long each phase of an exchange may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// Waiting for a connection when all are busy.
    pub queue: Duration,
    /// Opening a connection.
    pub connect: Duration,
    /// From the end of the request to the end of the response head.
    pub response_head: Duration,
    /// Between two reads of a response body.
    pub response_body_idle: Duration,
    /// The whole request, all of the above included; `None`: no limit.
    pub request: Option<Duration>,
}

/// A named group of endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Identity across tables, by name.
    pub id: u32,
    /// Its name in the config.
    pub name: Arc<str>,
    /// The algorithm.
    pub balance: Balance,
    /// What it needs to balance by hash; `None`: it does not.
    pub hash: Option<Hashing>,
    /// How clients are kept at their endpoints; `None`: they are not.
    pub sticky: Option<Arc<Sticky>>,
    /// Where it can be reached, in the order of the config. May be empty while a name has not been resolved.
    pub endpoints: Box<[Endpoint]>,
    /// Bounds on connections.
    pub pool: PoolLimits,
    /// Bounds on time.
    pub timeouts: UpstreamTimeouts,
    /// How requests are tried again; `None`: only on a connection that proved stale.
    pub retries: Option<Box<Retries>>,
    /// The field by which it is told how many milliseconds are left for a request.
    pub deadline_header: Option<Box<str>>,
    /// How its endpoints are watched; `None`: they are not, and all are used.
    pub health: Option<Arc<HealthSettings>>,
    /// What keeps requests away from it when it fails; `None`: nothing.
    pub breaker: Option<Breaker>,
    /// The PROXY protocol header that connections begin with, each of which then serves one request; `None`: none.
    pub proxy_protocol: Option<Version>,
}

impl Upstream {
    /// Makes what takes long and workers need, if it is not there yet: before they can see it.
    pub fn prepare(&self) {
        if let Some(hash) = &self.hash {
            hash.tables.prepare();
        }
    }
}
