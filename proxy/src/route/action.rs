//! What a route does with a request.

use bytes::Bytes;
use http::StatusCode;

pub use super::{redirect::Redirect, split::Split};

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
