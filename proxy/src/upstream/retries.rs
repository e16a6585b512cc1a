//! Which requests are tried again, as the config has it.

use std::time::Duration;

/// Why a try came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The endpoint did not take the connection: nothing of the request has been sent.
    Connect,
    /// It closed or reset the connection before the first byte of a response.
    Reset,
    /// Its response head did not come in time.
    Timeout,
    /// It answered with this status.
    Status(u16),
}

/// For which reasons there is a further try.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// See [`Reason::Connect`].
    pub connect: bool,
    /// See [`Reason::Reset`].
    pub reset: bool,
    /// See [`Reason::Timeout`].
    pub timeout: bool,
    /// Statuses, 400 to 599.
    pub statuses: Box<[u16]>,
}

impl RetryOn {
    /// Whether `reason` is among them.
    pub fn has(&self, reason: Reason) -> bool {
        match reason {
            Reason::Connect => self.connect,
            Reason::Reset => self.reset,
            Reason::Timeout => self.timeout,
            Reason::Status(status) => self.statuses.contains(&status),
        }
    }
}

/// How requests to an upstream are tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// Further tries of one request.
    pub max: u32,
    /// For which reasons.
    pub on: RetryOn,
    /// Requests of any method, not only of those that have no other effect twice than once.
    pub all_methods: bool,
    /// The longest wait before the first further try; doubled for each after it.
    pub backoff: Duration,
    /// The longest wait before any.
    pub backoff_max: Duration,
    /// Bounds each try up to its response head; `None`: nothing but the upstream's other timeouts does.
    pub try_timeout: Option<Duration>,
    /// What is kept of a request's body, to be sent again.
    pub buffer_bytes: usize,
    /// Further tries per hundred requests.
    pub budget_percent: u32,
    /// Further tries a second whatever the number of requests. Of the process: `share` gives a worker's part.
    pub budget_min: u32,
    /// Whether clients are told how many tries there were.
    pub header: bool,
}
