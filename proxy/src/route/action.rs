//! What a route does with a request.

use bytes::Bytes;
use http::StatusCode;

/// What a route does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Forward to `RouteTable::upstreams[.0]`.
    Upstream(usize),
    /// Forward to one of several upstreams by weight.
    Split(Split),
    /// Answer with a redirect.
    Redirect(Redirect),
    /// Answer with a fixed response.
    Respond(Respond),
}

/// Weights over upstreams. State (the cursor) is the worker's; see `Split::pick`.
#[derive(Debug, Clone)]
pub struct Split {
    /// Index into `RouteTable::upstreams` and weight, weight 0 allowed, at least one above 0.
    pub choices: Box<[(usize, u32)]>,
}

/// Where a redirect points. What is `None` is taken from the request.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// `http` or `https`.
    pub scheme: Option<Box<str>>,
    /// Host, with a port when it has one.
    pub host: Option<Box<str>>,
    /// Replaces the whole path.
    pub path: Option<Box<str>>,
    /// Replaces the prefix that `path_prefix` matched.
    pub path_prefix: Option<Box<str>>,
}

/// A fixed response.
#[derive(Debug, Clone)]
pub struct Respond {
    /// 200 to 599.
    pub status: StatusCode,
    /// `Content-Type`, when there is a body.
    pub content_type: Box<str>,
    /// The body.
    pub body: Bytes,
}
