//! What has come of a try, as far as its endpoint is concerned: what balancers and the judges of health learn from.

use super::{EndpointState, Pool};
use crate::error::Failure;

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The endpoint has answered with this status, so long after it was asked.
    Answered {
        /// The status.
        status: u16,
        /// Time to the first byte of the response, in microseconds.
        first_byte_us: u64,
    },
    /// Something has gone wrong, on whosever side.
    Failed(Failure),
}

impl Pool {
    /// Notes how a try at `endpoint` ended. A connection that was not taken is a try as well.
    pub fn note(&self, endpoint: &EndpointState, ended: Ended) {
        self.learn(endpoint, ended);
    }
}
