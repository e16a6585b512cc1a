//! `[overload]`, and the priority of routes.

use std::time::Duration;

use super::{
    quantity::Time,
    section::section,
    spec::{Choice, off_or},
};
use crate::overload::Priority;

/// Less is what any machine is late by, now and then for a whole interval.
const LAG: Time = Time { min: Duration::from_millis(5), max: Duration::from_secs(60) };
/// From a few ticks of a worker on.
const INTERVAL: Time = Time { min: Duration::from_millis(100), max: Duration::from_secs(60) };

section! {
    /// When workers turn requests away because they have more to do than they can.
    pub(crate) struct Overload {
        /// How long work may wait for its turn on a worker; beyond it requests are answered 503, those of routes with low
        /// priority first. "off": none is.
        max_lag: Option<Duration>, default("off"), off_or(LAG);
        /// How long it must have waited longer than that, all the time, before the first one is.
        interval: Duration, default("100ms"), INTERVAL;
    }
}

/// When a route's requests are shed.
pub(super) const PRIORITY: Choice<Priority> =
    Choice(&[("high", Priority::High), ("normal", Priority::Normal), ("low", Priority::Low)]);
