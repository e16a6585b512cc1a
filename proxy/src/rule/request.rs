//! What rules look at.

use std::net::IpAddr;

use http::{HeaderMap, Method};

use crate::http::RequestHead;

/// Whoever has a request's fields, as they came: nothing is decoded for rules.
pub trait Lines: std::fmt::Debug {
    /// Calls `visit` with the name (in any case) and the value of every line, in order.
    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8]));
}

impl Lines for HeaderMap {
    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.iter().for_each(|(name, value)| visit(name.as_str().as_bytes(), value.as_bytes()));
    }
}

impl Lines for RequestHead {
    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.lines.iter().for_each(|line| visit(line.name(&self.raw), line.value(&self.raw)));
    }
}

/// A request as rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who has sent it, IPv4 as such: the other end of the socket, or whom its listener's `proxy_protocol` and
    /// `client_address` say; none for a unix socket.
    pub client: Option<IpAddr>,
    /// The method.
    pub method: &'a Method,
    /// The host without port, as received.
    pub host: &'a str,
    /// The path as received, without the query. ASCII.
    pub path: &'a str,
    /// What follows `?`, when there is one.
    pub query: Option<&'a str>,
    /// The fields.
    pub lines: &'a dyn Lines,
}
