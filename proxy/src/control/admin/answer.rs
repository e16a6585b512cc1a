//! Answers: JSON, with the tag of what it shows.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value as Json, json};

use super::request::tags;
use crate::control::{ask::Done, desired::Owner};

/// Says whose a route or an upstream is: `files`, `api` or `etcd`.
pub(super) const OWNER: HeaderName = HeaderName::from_static("ringlane-owner");

/// A tag as `ETag` has it.
pub(super) fn etag_text(tag: u64) -> String {
    format!("\"{tag:016x}\"")
}

/// The same as a field's value.
pub(super) fn etag(tag: u64) -> HeaderValue {
    // Hexadecimal digits in quotes are a good value.
    HeaderValue::from_str(&etag_text(tag)).unwrap_or(HeaderValue::from_static("\"\""))
}

/// JSON for people too: over several lines unless it is long.
pub(super) fn json(status: StatusCode, body: &Json) -> Response {
    bytes(status, format!("{body:#}\n").into_bytes())
}

/// JSON that has been written already.
pub(super) fn bytes(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// What has a tag; 304 to a client that has it already.
pub(super) fn tagged(headers: &HeaderMap, tag: u64, owner: Option<&Owner>, body: Vec<u8>) -> Response {
    let mut response = if has(headers, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        bytes(StatusCode::OK, body)
    };
    response.headers_mut().insert(header::ETAG, etag(tag));
    if let Some(owner) = owner {
        response.headers_mut().insert(OWNER, HeaderValue::from_static(owner.word()));
    }
    response
}

/// Whether `If-None-Match` has this tag.
pub(super) fn has(headers: &HeaderMap, tag: u64) -> bool {
    let value = headers.get(header::IF_NONE_MATCH).and_then(|it| it.to_str().ok());
    value.is_some_and(|it| it.trim() == "*" || tags(it).contains(&tag))
}

/// A change that was made, or that a dry run found good.
pub(super) fn done(done: &Done, dry_run: bool) -> Json {
    json!({
        "changed": done.changed,
        "created": done.created,
        "in_force": done.in_force,
        "dry_run": dry_run,
        "revision": done.revision,
        "etag": done.tag.map(etag_text),
    })
}

/// The status and the tag that go with it.
pub(super) fn changed(it: &Done, dry_run: bool, body: &Json) -> Response {
    let status = match it {
        _ if dry_run => StatusCode::OK,
        Done { changed: true, in_force: false, .. } => StatusCode::ACCEPTED,
        Done { changed: true, created: true, .. } => StatusCode::CREATED,
        _ => StatusCode::OK,
    };
    let mut response = json(status, body);
    // A dry run has changed nothing: what is there has another tag.
    if let Some(tag) = it.tag.filter(|_| !dry_run) {
        response.headers_mut().insert(header::ETAG, etag(tag));
    }
    response
}
