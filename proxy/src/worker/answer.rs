//! Responses of our own: the only place that knows which status answers what.

use std::io::Write;

use http::{StatusCode, Version};

use super::{connection::Client, exchange::Progress, ids};
use crate::{
    error::Failure,
    http::{HeadError, RequestHead},
    observe::ClientWait,
};

/// How long a client that there is no place for is told to stay away.
const RETRY_AFTER_SECONDS: u32 = 1;
/// The field that tells clients how often their request was sent upstream.
pub const ATTEMPTS: &str = "X-Ringlane-Attempts";

/// The status that tells a client of `failure`.
pub fn status(failure: Failure) -> StatusCode {
    match failure {
        Failure::Head(HeadError::TooLarge) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Failure::Head(HeadError::TargetTooLong) => StatusCode::URI_TOO_LONG,
        Failure::Head(HeadError::Version) => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        Failure::Head(HeadError::Connect) => StatusCode::NOT_IMPLEMENTED,
        Failure::Head(HeadError::Malformed(_))
        | Failure::Body(_)
        | Failure::ClientGone
        | Failure::Dropped => StatusCode::BAD_REQUEST,
        Failure::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Failure::ClientSlow(
            ClientWait::RequestHead
            | ClientWait::RequestBody
            | ClientWait::RequestRate
            | ClientWait::ResponseWrite
            | ClientWait::ResponseRate,
        ) => StatusCode::REQUEST_TIMEOUT,
        Failure::NoRoute => StatusCode::NOT_FOUND,
        Failure::RateLimited { .. } | Failure::ClientBusy | Failure::ClientFull => {
            StatusCode::TOO_MANY_REQUESTS
        }
        Failure::Overloaded
        | Failure::OutOfDescriptors
        | Failure::NoEndpoints
        | Failure::Unhealthy
        | Failure::CircuitOpen(_)
        | Failure::UpstreamFull
        | Failure::RouteBusy
        | Failure::QueueFull
        | Failure::QueueTimeout
        | Failure::ListenerFull
        | Failure::Draining => StatusCode::SERVICE_UNAVAILABLE,
        Failure::ConnectRefused
        | Failure::UpstreamClosed
        | Failure::UpstreamCut
        | Failure::UpstreamMalformed(_) => StatusCode::BAD_GATEWAY,
        Failure::ConnectTimeout | Failure::UpstreamSlow(_) | Failure::RequestTimeout => {
            StatusCode::GATEWAY_TIMEOUT
        }
    }
}

/// What is sent as one response of our own.
pub struct Answer<'a> {
    /// The status.
    pub status: StatusCode,
    /// Fields beyond those that every answer has, as complete lines.
    pub fields: &'a [(&'a str, &'a str)],
    /// Type of the body.
    pub content_type: &'a str,
    /// The body; not sent in answer to HEAD, its length is.
    pub body: &'a [u8],
}

/// Appends `answer` to `out`. `keep` says whether the connection stays open after it, `request` what it answers
/// (`None`: something whose head could not be read).
pub fn encode(
    out: &mut Vec<u8>,
    answer: &Answer<'_>,
    date: &[u8],
    keep: bool,
    request: Option<&RequestHead>,
) {
    let reason = answer.status.canonical_reason().unwrap_or("");
    // Writing into a Vec can't fail.
    let _ = write!(out, "HTTP/1.1 {} {reason}\r\nDate: ", answer.status.as_u16());
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\n");
    for (name, value) in answer.fields {
        let _ = write!(out, "{name}: {value}\r\n");
    }
    if !matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        if !answer.body.is_empty() {
            let _ = write!(out, "Content-Type: {}\r\n", answer.content_type);
        }
        let _ = write!(out, "Content-Length: {}\r\n", answer.body.len());
    }
    match request {
        _ if !keep => out.extend_from_slice(b"Connection: close\r\n"),
        Some(request) if request.version == Version::HTTP_10 => {
            out.extend_from_slice(b"Connection: keep-alive\r\n")
        }
        _ => {}
    }
    out.extend_from_slice(b"\r\n");
    let head_only = request.is_some_and(|request| request.method == http::Method::HEAD);
    if !head_only && !matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        out.extend_from_slice(answer.body);
    }
}

/// Answers `failure`, with a line of text that says what was wrong. `attempts`: how often the request was sent upstream,
/// if the client is to know.
pub fn encode_failure(
    out: &mut Vec<u8>,
    failure: Failure,
    date: &[u8],
    keep: bool,
    request: Option<&RequestHead>,
    attempts: Option<u32>,
) {
    let status = status(failure);
    let body = format!("{} {}: {failure}\n", status.as_u16(), status.canonical_reason().unwrap_or(""));
    let seconds = match failure {
        Failure::CircuitOpen(seconds) => seconds,
        Failure::RateLimited { retry_after_s } => retry_after_s,
        _ => RETRY_AFTER_SECONDS,
    };
    let seconds = seconds.to_string();
    let later = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
    let retry = later.then_some(("Retry-After", &*seconds));
    let mut digits = itoa::Buffer::new();
    let attempts = attempts.map(|attempts| digits.format(attempts).to_owned());
    let told = attempts.as_deref().map(|attempts| (ATTEMPTS, attempts));
    let fields: Vec<_> = retry.into_iter().chain(told).collect();
    let answer =
        Answer { status, fields: &fields, content_type: "text/plain; charset=utf-8", body: body.as_bytes() };
    encode(out, &answer, date, keep, request);
}

/// Writes what `out` holds to the client, within its write timeout, and notes it in `progress`.
pub async fn send(
    client: &Client,
    mut out: Vec<u8>,
    status: StatusCode,
    progress: &mut Progress,
) -> Result<Vec<u8>, Failure> {
    ids::sign(client, &mut out);
    let length = out.len() as u64;
    let out = client.write(out).await?;
    progress.status = status.as_u16();
    progress.response_bytes += length;
    Ok(out)
}
