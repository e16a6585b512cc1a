//! What requests say: their parameters, conditions and bodies.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, Uri, header, request::Parts},
};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::{AdminState, problem::Problem};
use crate::control::{ask::Expect, raw::json};

/// A route or an upstream, in bytes.
pub(super) const OBJECT_BYTES_MAX: usize = 1024 * 1024;
/// A whole config, in bytes.
pub(super) const CONFIG_BYTES_MAX: usize = 64 * 1024 * 1024;
/// From a request's head to the end of its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// What is kept of a request's path, to say who asked for what.
const FROM_BYTES_MAX: usize = 200;

/// What a path says.
pub(super) struct At<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<At<T>, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|it| At(it.0)).map_err(|error| Problem::malformed(error.body_text()))
    }
}

/// How a change is asked for.
pub(super) struct Asked {
    /// As `PUT /routes/app`.
    pub(super) from: String,
    pub(super) expect: Expect,
    /// `?dry_run=true`
    pub(super) dry_run: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Asked, Problem> {
        let mut dry_run = false;
        for (name, value) in parameters(&parts.uri, &["dry_run"], &[])? {
            dry_run = match value.as_str() {
                "true" => true,
                "false" => false,
                _ => return Err(Problem::malformed(format!("{name} is true or false"))),
            };
        }
        let path = parts.uri.path();
        let path = path.get(..FROM_BYTES_MAX).unwrap_or(path);
        Ok(Asked { from: format!("{} {path}", parts.method), expect: expect(&parts.headers)?, dry_run })
    }
}

/// The query, whose names must be among these: a slip of `?dry_run=true` must not change anything. Those of `repeated`
/// may be there more than once.
pub(super) fn parameters(
    uri: &Uri,
    known: &[&str],
    repeated: &[&str],
) -> Result<Vec<(String, String)>, Problem> {
    let mut found: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()) {
        if !known.contains(&&*name) && !repeated.contains(&&*name) {
            let all = [known, repeated].concat().join(", ");
            let all = if all.is_empty() { "none".to_owned() } else { all };
            return Err(Problem::malformed(format!("unknown parameter {name:?}; there are: {all}")));
        }
        if !repeated.contains(&&*name) && found.iter().any(|(it, _)| *it == name) {
            return Err(Problem::malformed(format!("the parameter {name} is given twice")));
        }
        found.push((name.into_owned(), value.into_owned()));
    }
    Ok(found)
}

fn expect(headers: &HeaderMap) -> Result<Expect, Problem> {
    let mut values = headers.get_all(header::IF_MATCH).iter().peekable();
    let text = |it: &axum::http::HeaderValue| {
        it.to_str().map(str::trim).map(str::to_owned).map_err(|_| Problem::malformed("not an entity tag"))
    };
    let absent = match headers.get(header::IF_NONE_MATCH).map(text).transpose()? {
        None => false,
        Some(value) if value == "*" => true,
        Some(_) => {
            return Err(Problem::malformed("If-None-Match of a change can only be *: create, don't replace"));
        }
    };
    match (values.peek().is_some(), absent) {
        // That it is there, and that it is not: this never holds.
        (true, true) => Ok(Expect::OneOf(Vec::new())),
        (false, true) => Ok(Expect::Absent),
        (false, false) => Ok(Expect::Anything),
        (true, false) => {
            let all = values.map(text).collect::<Result<Vec<_>, _>>()?.join(", ");
            match all.as_str() {
                "" => Err(Problem::malformed("If-Match is empty")),
                "*" => Ok(Expect::Present),
                _ => Ok(Expect::OneOf(tags(&all))),
            }
        }
    }
}

/// Those of a list of entity tags (RFC 9110, 8.8.3) that can be ours; any other matches nothing.
pub(super) fn tags(list: &str) -> Vec<u64> {
    let ours = |item: &str| {
        // Without its quotes. If-Match compares strongly: a weak tag, W/"..", matches nothing.
        let tag = item.trim().strip_prefix('"')?.strip_suffix('"')?;
        let good = tag.len() == 16 && tag.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        u64::from_str_radix(tag, 16).ok().filter(|_| good)
    };
    list.split(',').filter_map(ours).collect()
}

/// The JSON that a request brings: an object of the config.
pub(super) struct JsonBody(pub(super) Json);

impl FromRequest<AdminState> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &AdminState) -> Result<JsonBody, Problem> {
        let from = from(&request);
        let bytes = body(request, OBJECT_BYTES_MAX).await?;
        json::parse(&bytes, &from).map(JsonBody).map_err(|error| Problem::not_json(*error))
    }
}

/// A whole config. Its bytes are there when there is room for them, and are read off the loop.
pub(super) struct ConfigBody(pub(super) Json);

impl FromRequest<AdminState> for ConfigBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AdminState) -> Result<ConfigBody, Problem> {
        let from = from(&request);
        let seat = state.large.clone().acquire_owned().await.map_err(|_| Problem::ending())?;
        let bytes = body(request, CONFIG_BYTES_MAX).await?;
        let parsed = state.off_loop(move || json::parse(&bytes, &from)).await?;
        drop(seat);
        parsed.map(ConfigBody).map_err(|error| Problem::not_json(*error))
    }
}

fn from(request: &Request) -> String {
    let path = request.uri().path();
    format!("{} {}", request.method(), path.get(..FROM_BYTES_MAX).unwrap_or(path))
}

async fn body(request: Request, bytes_max: usize) -> Result<axum::body::Bytes, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).map(|it| it.to_str().unwrap_or("?"));
    let kind = kind.map(|it| it.split(';').next().unwrap_or("").trim().to_ascii_lowercase());
    let patch = request.method() == axum::http::Method::PATCH;
    match kind.as_deref() {
        None | Some("application/json") => {}
        Some("application/merge-patch+json") if patch => {}
        Some(_) if patch => {
            return Err(Problem::not_this_type("application/merge-patch+json or application/json"));
        }
        Some(_) => return Err(Problem::not_this_type("application/json")),
    }
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    if length.is_some_and(|it: u64| it > bytes_max as u64) {
        return Err(Problem::too_large(bytes_max));
    }
    let body: Body = request.into_body();
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, bytes_max)).await {
        Err(_) => Err(Problem::too_slow()),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let error = error.into_inner();
            if error.is::<LengthLimitError>() {
                Err(Problem::too_large(bytes_max))
            } else {
                Err(Problem::malformed(error.to_string()))
            }
        }
    }
}
