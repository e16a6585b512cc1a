//! Keys of a listener that say whom it believes, and which ids go along with requests.

use super::{
    rules::NETWORK,
    section::section,
    spec::Choice,
    text::{Fault, Text},
};
use crate::route::provenance::{ClientAddress, ProxyProtocol, RequestId, TraceContext, TrustedProxy};

/// `client_address`.
pub(crate) const CLIENT_ADDRESS: Choice<ClientAddress> = Choice(&[
    ("connection", ClientAddress::Connection),
    ("x-forwarded-for", ClientAddress::XForwardedFor),
    ("forwarded", ClientAddress::Forwarded),
]);

/// A listener's `proxy_protocol`.
pub(crate) const PROXY_PROTOCOL: Choice<ProxyProtocol> = Choice(&[
    ("off", ProxyProtocol::Off),
    ("accept", ProxyProtocol::Accept),
    ("require", ProxyProtocol::Require),
]);

/// Addresses that begin alike, one of them, or all that is connected by unix sockets.
pub(crate) const TRUSTED_PROXY: Text<TrustedProxy> = Text {
    what: "an address, a network as \"10.0.0.0/8\", or \"unix\"",
    pattern: r"^(unix|[0-9A-Fa-f.:]+(/[0-9]{1,3})?)$",
    parse: |text| match text {
        "unix" => Ok(TrustedProxy::Unix),
        path if path.starts_with("unix:") => Err(Fault::new(
            format!("`{path}` is no address"),
            "write \"unix\" for all that connect by unix sockets",
        )),
        _ => (NETWORK.parse)(text).map(TrustedProxy::Network),
    },
};

section! {
    /// Ids that go along with requests, upstream and into the access log.
    pub(crate) struct Trace {
        /// W3C Trace Context. "off": traceparent and tracestate are fields as any other. "pass": a good traceparent goes on
        /// with a parent id of the proxy's, a bad one is dropped. "start": and a trace is started where there is none.
        context: TraceContext, default("off"), Choice(&[
            ("off", TraceContext::Off), ("pass", TraceContext::Pass), ("start", TraceContext::Start),
        ]);
        /// X-Request-Id. "off": a field as any other. "pass": one of 1 to 128 letters, digits and -._~+/=:@ is passed on,
        /// others are dropped. "make": and one is made where there is none. It is on the response as well.
        request_id: RequestId, default("off"), Choice(&[
            ("off", RequestId::Off), ("pass", RequestId::Pass), ("make", RequestId::Make),
        ]);
    }
}
