//! What is recorded of one exchange: who took part, how long each phase took, and who ended it and why.

use std::sync::Arc;

use super::{ids::Ids, noted::Noted};

/// What the proxy waited for from the client when time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientWait {
    /// The rest of a request head that had begun.
    RequestHead,
    /// More of the request body.
    RequestBody,
    /// The request body, at the rate that it has to come at.
    RequestRate,
    /// Room to write the response.
    ResponseWrite,
    /// The response to be read, at the rate that it has to be read at.
    ResponseRate,
}

/// What the proxy waited for from the upstream when time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamWait {
    /// The response head.
    Head,
    /// More of the response body.
    Body,
}

/// Why a request was refused before it was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Breaks a rule of HTTP (400).
    Malformed,
    /// Head or number of fields over its limit (431).
    HeadTooLarge,
    /// Request target too long (414).
    TargetTooLong,
    /// Not HTTP/1.x (505).
    Version,
    /// CONNECT (501).
    Connect,
    /// Body over its limit (413).
    BodyTooLarge,
}

/// Who ended an exchange and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Termination {
    /// It ran to its end; also a redirect or a response that a route gives itself.
    Ok,
    /// The client closed or reset its connection.
    ClientAborted,
    /// The client was too slow.
    ClientTimeout(ClientWait),
    /// The request broke a rule or a limit.
    RequestRefused(Refusal),
    /// More requests than the route's rate limit lets pass.
    RateLimited,
    /// The client had too many requests under way.
    ClientBusy,
    /// The route had too many requests under way.
    RouteBusy,
    /// A rule denied it.
    Denied,
    /// A rule had the connection closed without an answer.
    Dropped,
    /// No route.
    NotFound,
    /// Shed, because its worker had more to do than it could.
    Overloaded,
    /// No connection free and no place in the queue.
    QueueFull,
    /// No connection became free in time.
    QueueTimeout,
    /// The upstream has no endpoint: its name has not been resolved, or all have weight 0.
    NoEndpoint,
    /// No endpoint of the upstream was healthy.
    Unhealthy,
    /// The upstream's circuit breaker was open.
    CircuitOpen,
    /// As many requests were under way to the upstream as may be.
    UpstreamFull,
    /// No descriptor was free for a connection to the upstream.
    OutOfDescriptors,
    /// No endpoint took the connection.
    ConnectFailed,
    /// No endpoint took the connection in time.
    ConnectTimeout,
    /// The upstream was too slow.
    UpstreamTimeout(UpstreamWait),
    /// The upstream closed or reset its connection before its response was complete.
    UpstreamCut,
    /// The upstream's response broke the rules of HTTP.
    UpstreamMalformed,
    /// The time for the whole request ran out.
    RequestTimeout,
    /// A tunnel that either side closed.
    TunnelClosed,
    /// A tunnel in which nothing moved for too long.
    TunnelIdle,
    /// Cut because the process was ending.
    Draining,
    /// A fault of the proxy.
    ProxyFault,
}

/// Every termination with what it means, in the order of the documentation. The code says first who ended the
/// exchange (`-` nobody, `C` the client, `P` the proxy, `U` the upstream, `T` a tunnel), then why.
pub const TERMINATIONS: &[(Termination, &str)] = &[
    (Termination::Ok, "ran to its end, or was answered by the route itself"),
    (Termination::ClientAborted, "the client closed or reset its connection"),
    (Termination::ClientTimeout(ClientWait::RequestHead), "the client sent the rest of its head too slowly"),
    (Termination::ClientTimeout(ClientWait::RequestBody), "the client sent its body too slowly"),
    (Termination::ClientTimeout(ClientWait::ResponseWrite), "the client read the response too slowly"),
    (Termination::ClientTimeout(ClientWait::RequestRate), "the client sent its body below the least rate"),
    (
        Termination::ClientTimeout(ClientWait::ResponseRate),
        "the client read the response below the least rate",
    ),
    (Termination::RequestRefused(Refusal::Malformed), "the request broke a rule of HTTP (400)"),
    (Termination::RequestRefused(Refusal::HeadTooLarge), "the request head was over its limit (431)"),
    (Termination::RequestRefused(Refusal::TargetTooLong), "the request target was over its limit (414)"),
    (Termination::RequestRefused(Refusal::Version), "the request was not HTTP/1.x (505)"),
    (Termination::RequestRefused(Refusal::Connect), "the request was CONNECT (501)"),
    (Termination::RequestRefused(Refusal::BodyTooLarge), "the request body was over its limit (413)"),
    (Termination::RateLimited, "over the route's rate limit (429)"),
    (Termination::ClientBusy, "the client had too many requests under way (429)"),
    (Termination::RouteBusy, "the route had too many requests under way (503)"),
    (Termination::Denied, "a rule denied it"),
    (Termination::Dropped, "a rule had the connection closed without an answer"),
    (Termination::NotFound, "no route matched (404)"),
    (Termination::Overloaded, "shed by an overloaded worker (503)"),
    (Termination::QueueFull, "all upstream connections busy and the queue full (503)"),
    (Termination::QueueTimeout, "no upstream connection became free in time (503)"),
    (Termination::OutOfDescriptors, "no descriptor was free for a connection to the upstream (503)"),
    (Termination::RequestTimeout, "the time for the whole request ran out (504)"),
    (Termination::Draining, "cut because the process was ending"),
    (Termination::ProxyFault, "a fault of the proxy: its connection was closed"),
    (Termination::NoEndpoint, "the upstream had no endpoint (503)"),
    (
        Termination::Unhealthy,
        "no endpoint of the upstream was healthy, and `when_unhealthy` is \"fail\" (503)",
    ),
    (Termination::CircuitOpen, "the upstream's circuit breaker was open (503)"),
    (Termination::UpstreamFull, "the upstream had `breaker.max_requests` under way (503)"),
    (Termination::ConnectFailed, "no endpoint took the connection (502)"),
    (Termination::ConnectTimeout, "no endpoint took the connection in time (504)"),
    (
        Termination::UpstreamTimeout(UpstreamWait::Head),
        "the upstream's response head did not come in time (504)",
    ),
    (Termination::UpstreamTimeout(UpstreamWait::Body), "the upstream's response body stalled"),
    (Termination::UpstreamCut, "the upstream closed or reset its connection mid-response"),
    (Termination::UpstreamMalformed, "the upstream's response broke the rules of HTTP (502)"),
    (Termination::TunnelClosed, "either side closed the tunnel"),
    (Termination::TunnelIdle, "nothing moved through the tunnel for too long"),
];

impl Termination {
    /// Two characters that stay the same over versions.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ok => "--",
            Self::ClientAborted => "CA",
            Self::ClientTimeout(ClientWait::RequestHead) => "CH",
            Self::ClientTimeout(ClientWait::RequestBody) => "CB",
            Self::ClientTimeout(ClientWait::ResponseWrite) => "CW",
            Self::ClientTimeout(ClientWait::RequestRate) => "CR",
            Self::ClientTimeout(ClientWait::ResponseRate) => "CS",
            Self::RequestRefused(Refusal::Malformed) => "PM",
            Self::RequestRefused(Refusal::HeadTooLarge) => "PH",
            Self::RequestRefused(Refusal::TargetTooLong) => "PL",
            Self::RequestRefused(Refusal::Version) => "PV",
            Self::RequestRefused(Refusal::Connect) => "PC",
            Self::RequestRefused(Refusal::BodyTooLarge) => "PB",
            Self::RateLimited => "PA",
            Self::ClientBusy => "PK",
            Self::RouteBusy => "PG",
            Self::Denied => "PR",
            Self::Dropped => "PS",
            Self::NotFound => "PN",
            Self::Overloaded => "PO",
            Self::QueueFull => "PF",
            Self::QueueTimeout => "PQ",
            Self::OutOfDescriptors => "PE",
            Self::RequestTimeout => "PT",
            Self::Draining => "PD",
            Self::ProxyFault => "PX",
            Self::NoEndpoint => "UN",
            Self::Unhealthy => "UE",
            Self::CircuitOpen => "UO",
            Self::UpstreamFull => "US",
            Self::ConnectFailed => "UF",
            Self::ConnectTimeout => "UT",
            Self::UpstreamTimeout(UpstreamWait::Head) => "UH",
            Self::UpstreamTimeout(UpstreamWait::Body) => "UB",
            Self::UpstreamCut => "UC",
            Self::UpstreamMalformed => "UM",
            Self::TunnelClosed => "TC",
            Self::TunnelIdle => "TI",
        }
    }

    /// Whether the exchange became a tunnel, whose duration says nothing about speed.
    pub const fn is_tunnel(self) -> bool {
        matches!(self, Self::TunnelClosed | Self::TunnelIdle)
    }
}

/// The table of terminations for the documentation.
pub fn terminations_markdown() -> String {
    let mut text = String::from("| code | meaning |\n|---|---|\n");
    for (termination, meaning) in TERMINATIONS {
        text.push_str(&format!("| `{}` | {meaning} |\n", termination.code()));
    }
    text
}

/// How long each phase took, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// Waiting for an upstream connection; 0: no wait, and not in the histogram.
    pub queue_us: u64,
    /// Opening an upstream connection, failed attempts included; 0: none opened, and not in the histogram.
    pub connect_us: u64,
    /// From the request head going upstream to the first byte of the response head; 0: none came, and not in the
    /// histogram.
    pub first_byte_us: u64,
    /// From the request's first byte to the end of the exchange.
    pub total_us: u64,
    /// `total_us` less all waiting for client and upstream: what the proxy itself cost.
    pub overhead_us: u64,
}

/// One exchange that has ended. Borrows everything, so that recording it copies nothing but numbers.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// Name of the listener.
    pub listener: &'a str,
    /// Id and name of the route, when one was selected. The `Arc` is cloned once per route and worker, to name its
    /// histogram.
    pub route: Option<(u32, &'a Arc<str>)>,
    /// Name of the upstream, when the route has one.
    pub upstream: Option<&'a str>,
    /// The endpoint that answered or was tried last.
    pub endpoint: Option<&'a str>,
    /// The client's address.
    pub client: &'a str,
    /// The method as received; empty when the head could not be read.
    pub method: &'a str,
    /// The host as received; empty when the head could not be read.
    pub host: &'a str,
    /// The path as received, without the query (which may hold secrets); empty when the head could not be read.
    pub path: &'a str,
    /// The request's version.
    pub version: http::Version,
    /// Status sent to the client; 0: none was sent.
    pub status: u16,
    /// Who ended it and why.
    pub termination: Termination,
    /// Bytes of head and body read from the client.
    pub request_bytes: u64,
    /// Bytes of head and body written to the client.
    pub response_bytes: u64,
    /// Times the request was sent, or was to be sent, upstream: 0 when it never left the proxy, 2 after a retry.
    pub attempts: u32,
    /// Times.
    pub phases: Phases,
    /// What rules have said of it; `None`: nothing.
    pub rules: Option<&'a Noted<'a>>,
    /// Ids that went along with it; `None`: its listener asks for none.
    pub ids: Option<&'a Ids<'a>>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_two_characters_and_unique() {
        let mut seen = HashSet::new();
        for (termination, meaning) in TERMINATIONS {
            let code = termination.code();
            assert!(code.len() == 2 && code.is_ascii(), "{code}");
            assert!(seen.insert(code), "{code} twice");
            assert!(!meaning.is_empty() && !meaning.contains('|'));
        }
    }

    #[test]
    fn the_table_has_every_code() {
        let text = terminations_markdown();
        assert_eq!(text.lines().count(), TERMINATIONS.len() + 2);
        assert!(text.contains("| `UC` | the upstream closed"));
    }
}
