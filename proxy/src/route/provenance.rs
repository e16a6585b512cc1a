//! Whom a listener believes about where connections and requests come from, and which ids requests go along with.

use std::net::IpAddr;

use crate::{rule::Network, rule::Networks};

/// One of those whose word is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustedProxy {
    /// Whoever connects by a unix socket.
    Unix,
    /// Addresses.
    Network(Network),
}

/// All whose word is taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies {
    networks: Networks,
    unix: bool,
}

impl TrustedProxies {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        !self.unix && self.networks.is_empty()
    }

    /// Whether one with this address is among them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.networks.contains(address)
    }

    /// Whether who connects by a unix socket is.
    pub fn contains_unix(&self) -> bool {
        self.unix
    }
}

impl FromIterator<TrustedProxy> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = TrustedProxy>>(proxies: I) -> TrustedProxies {
        let mut unix = false;
        let networks = proxies.into_iter().filter_map(|proxy| match proxy {
            TrustedProxy::Network(network) => Some(network),
            TrustedProxy::Unix => {
                unix = true;
                None
            }
        });
        TrustedProxies { networks: networks.collect(), unix }
    }
}

/// Where the address of a client is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAddress {
    /// Its connection.
    #[default]
    Connection,
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded`.
    Forwarded,
}

/// Who brings a PROXY protocol header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyProtocol {
    /// Nobody.
    #[default]
    Off,
    /// Trusted proxies; others are clients of their own.
    Accept,
    /// Everybody, and who is no trusted proxy is not served.
    Require,
}

/// What becomes of a request's trace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceContext {
    /// Nothing: its fields are as any other.
    #[default]
    Off,
    /// A good one goes on, under an id of ours.
    Pass,
    /// As `Pass`, and one is started where there is none.
    Start,
}

/// What becomes of `X-Request-Id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestId {
    /// Nothing: it is a field as any other.
    #[default]
    Off,
    /// A good one is passed on.
    Pass,
    /// As `Pass`, and one is made where there is none.
    Make,
}

/// All of it, for one listener.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    /// Whose word is taken.
    pub trusted_proxies: TrustedProxies,
    /// Where addresses of clients are taken from.
    pub client_address: ClientAddress,
    /// Who brings a PROXY protocol header.
    pub proxy_protocol: ProxyProtocol,
    /// Trace contexts.
    pub trace_context: TraceContext,
    /// Ids of requests.
    pub request_id: RequestId,
}

impl Provenance {
    /// Whether anything has to be found out for each request.
    pub fn asks(&self) -> bool {
        self.client_address != ClientAddress::Connection
            || self.trace_context != TraceContext::Off
            || self.request_id != RequestId::Off
    }
}
