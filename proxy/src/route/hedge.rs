//! When a request is sent a second time beside a first one that is slow.

use std::time::Duration;

/// A second try at another endpoint, and how many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hedge {
    /// How long the first one may go without an answer.
    pub after: HedgeAfter,
    /// Second tries per hundred requests.
    pub budget_percent: u32,
}

/// How long a try may go without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeAfter {
    /// So long.
    Fixed(Duration),
    /// As long as so many thousandths of the route's last answers took.
    Quantile(u32),
}
