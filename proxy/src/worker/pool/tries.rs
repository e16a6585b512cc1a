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
        if !self.counted.get() {
            return;
        }
        let first_byte_us = match ended {
            Ended::Answered { first_byte_us, .. } => first_byte_us,
            Ended::Failed(_) => 0,
        };
        match says(ended) {
            Some(true) => endpoint.health.answered(self.worker, first_byte_us),
            Some(false) => endpoint.health.failed(self.worker),
            None => {}
        }
    }
}

/// Whether a try says well or ill of its endpoint; `None`: nothing. Statuses are judged as HAProxy's `observe layer7` does:
/// any 5xx is the server's failure but 501 and 505, which are about the request. What a client can bring about by itself,
/// by leaving or by being slow, says nothing.
pub(super) fn says(ended: Ended) -> Option<bool> {
    match ended {
        Ended::Answered { status, .. } => Some(!matches!(status, 500 | 502..=504 | 506..=599)),
        Ended::Failed(failure) => match failure {
            Failure::ConnectRefused
            | Failure::ConnectTimeout
            | Failure::UpstreamClosed
            | Failure::UpstreamCut
            | Failure::UpstreamMalformed(_)
            | Failure::UpstreamSlow(_)
            | Failure::RequestTimeout => Some(false),
            _ => None,
        },
    }
}

/// Whether nothing is to be noted of a try: one on a connection that had been kept, and was closed meanwhile, or one whose
/// time ran out while it may have been the client that was slow. Neither need be the endpoint's fault.
pub fn says_nothing(failure: Option<&Failure>, reused: bool, client_busy: bool) -> bool {
    match failure {
        Some(Failure::UpstreamClosed) => reused,
        Some(Failure::RequestTimeout) => client_busy,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{ClientWait, UpstreamWait};

    #[test]
    fn what_speaks_for_an_endpoint_and_what_against_it() {
        let answered = |status| says(Ended::Answered { status, first_byte_us: 1 });
        for status in [101, 200, 204, 304, 400, 404, 429, 499, 501, 505] {
            assert_eq!(answered(status), Some(true), "{status}");
        }
        for status in [500, 502, 503, 504, 507, 599] {
            assert_eq!(answered(status), Some(false), "{status}");
        }
        for failure in [
            Failure::ConnectRefused,
            Failure::ConnectTimeout,
            Failure::UpstreamClosed,
            Failure::UpstreamCut,
            Failure::UpstreamMalformed("x"),
            Failure::UpstreamSlow(UpstreamWait::Head),
            Failure::RequestTimeout,
        ] {
            assert_eq!(says(Ended::Failed(failure)), Some(false), "{failure:?}");
        }
        for failure in [
            Failure::ClientGone,
            Failure::ClientSlow(ClientWait::RequestBody),
            Failure::BodyTooLarge,
            Failure::Draining,
            Failure::QueueTimeout,
        ] {
            assert_eq!(says(Ended::Failed(failure)), None, "{failure:?}");
        }
        assert!(says_nothing(Some(&Failure::UpstreamClosed), true, false));
        assert!(!says_nothing(Some(&Failure::UpstreamClosed), false, true));
        assert!(says_nothing(Some(&Failure::RequestTimeout), false, true));
        assert!(!says_nothing(Some(&Failure::RequestTimeout), true, false));
        assert!(!says_nothing(None, true, true));
    }
}
