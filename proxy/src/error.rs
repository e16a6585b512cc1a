//! What can go wrong with an exchange and on whose side. Which status answers it is decided in `worker/answer.rs`.

use crate::{
    http::{ChunkError, HeadError},
    observe::{ClientWait, Refusal, Termination, UpstreamWait},
};

/// Why an exchange did not run to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The request's head is refused.
    #[error("{0}")]
    Head(HeadError),
    /// The request's chunked body breaks the rules.
    #[error("{0}")]
    Body(ChunkError),
    /// The request's body is over the listener's limit.
    #[error("the request body is larger than its limit")]
    BodyTooLarge,
    /// The client has left.
    #[error("the client closed its connection")]
    ClientGone,
    /// The client was too slow.
    #[error("the client was too slow")]
    ClientSlow(ClientWait),
    /// The listener has as many connections as it may.
    #[error("too many connections")]
    ListenerFull,
    /// The client has as many connections to the listener as it may.
    #[error("the client has too many connections")]
    ClientFull,
    /// The client has as many requests under way as it may.
    #[error("the client has too many requests under way")]
    ClientBusy,
    /// The route has as many requests under way as it may.
    #[error("too many requests are under way")]
    RouteBusy,
    /// The bucket is empty.
    #[error("too many requests")]
    RateLimited {
        /// Seconds until a request would pass.
        retry_after_s: u32,
    },
    /// A rule wants the connection closed without an answer.
    #[error("a rule drops the request")]
    Dropped,
    /// No route matches.
    #[error("no route matches")]
    NoRoute,
    /// The worker has more to do than it can, and this request is one of those that it can't.
    #[error("the proxy is overloaded")]
    Overloaded,
    /// The upstream has no endpoint to try: none resolved, or none with a weight.
    #[error("the upstream has no endpoint")]
    NoEndpoints,
    /// No endpoint of the upstream is to be used.
    #[error("no endpoint of the upstream is healthy")]
    Unhealthy,
    /// The upstream's circuit breaker is open, for so many seconds more.
    #[error("the upstream fails, and is left alone for a while")]
    CircuitOpen(u32),
    /// As many requests are under way to the upstream as may be.
    #[error("too many requests to the upstream are under way")]
    UpstreamFull,
    /// All connections are busy and so is the line.
    #[error("all upstream connections are busy and the queue is full")]
    QueueFull,
    /// No connection became free in time.
    #[error("no upstream connection became free in time")]
    QueueTimeout,
    /// The process, or the system, can open no more connections.
    #[error("no descriptor is free for a connection to the upstream")]
    OutOfDescriptors,
    /// No endpoint took the connection.
    #[error("the upstream refused the connection")]
    ConnectRefused,
    /// An endpoint did not take the connection in time.
    #[error("the upstream did not accept the connection in time")]
    ConnectTimeout,
    /// The upstream closed or reset before the first byte of its response.
    #[error("the upstream closed the connection without an answer")]
    UpstreamClosed,
    /// The upstream closed or reset in the middle of its response.
    #[error("the upstream closed the connection in the middle of its response")]
    UpstreamCut,
    /// The upstream's response breaks the rules.
    #[error("the upstream's response is malformed: {0}")]
    UpstreamMalformed(&'static str),
    /// The upstream was too slow.
    #[error("the upstream was too slow")]
    UpstreamSlow(UpstreamWait),
    /// The time for the whole request is over.
    #[error("the time for the whole request is over")]
    RequestTimeout,
    /// The process ends and this exchange did not finish in time.
    #[error("the proxy is shutting down")]
    Draining,
}

impl Failure {
    /// What is recorded of it.
    pub fn termination(self) -> Termination {
        match self {
            Failure::Head(error) => Termination::RequestRefused(match error {
                HeadError::TooLarge => Refusal::HeadTooLarge,
                HeadError::TargetTooLong => Refusal::TargetTooLong,
                HeadError::Malformed(_) => Refusal::Malformed,
                HeadError::Version => Refusal::Version,
                HeadError::Connect => Refusal::Connect,
            }),
            Failure::Body(_) => Termination::RequestRefused(Refusal::Malformed),
            Failure::BodyTooLarge => Termination::RequestRefused(Refusal::BodyTooLarge),
            Failure::ClientGone => Termination::ClientAborted,
            Failure::ClientSlow(wait) => Termination::ClientTimeout(wait),
            Failure::Dropped => Termination::Dropped,
            Failure::ClientFull | Failure::ClientBusy => Termination::ClientBusy,
            Failure::RouteBusy => Termination::RouteBusy,
            Failure::RateLimited { .. } => Termination::RateLimited,
            Failure::NoRoute => Termination::NotFound,
            Failure::Overloaded => Termination::Overloaded,
            Failure::NoEndpoints => Termination::NoEndpoint,
            Failure::Unhealthy => Termination::Unhealthy,
            Failure::CircuitOpen(_) => Termination::CircuitOpen,
            Failure::UpstreamFull => Termination::UpstreamFull,
            Failure::QueueFull | Failure::ListenerFull => Termination::QueueFull,
            Failure::QueueTimeout => Termination::QueueTimeout,
            Failure::OutOfDescriptors => Termination::OutOfDescriptors,
            Failure::ConnectRefused => Termination::ConnectFailed,
            Failure::ConnectTimeout => Termination::ConnectTimeout,
            Failure::UpstreamClosed | Failure::UpstreamCut => Termination::UpstreamCut,
            Failure::UpstreamMalformed(_) => Termination::UpstreamMalformed,
            Failure::UpstreamSlow(wait) => Termination::UpstreamTimeout(wait),
            Failure::RequestTimeout => Termination::RequestTimeout,
            Failure::Draining => Termination::Draining,
        }
    }

    /// Whether no answer is sent: nobody is left to read it, or none is to be given.
    pub fn is_silent(self) -> bool {
        matches!(
            self,
            Failure::ClientGone
                | Failure::ClientSlow(ClientWait::ResponseWrite | ClientWait::ResponseRate)
                | Failure::Dropped
        )
    }
}
