//! Responses that no upstream gave: redirects, fixed responses, the end of `Max-Forwards`.

use bytes::BytesMut;
use http::{Method, StatusCode};

use super::{
    answer::{self, Answer},
    body::BodyReader,
    connection::{Client, drain},
    exchange::{Progress, keeps_open},
    limited,
};
use crate::{
    error::Failure,
    http::RequestHead,
    route::{Redirect, Respond, Route},
};

/// Answers with a redirect.
pub async fn redirect(
    client: &Client,
    buf: &mut BytesMut,
    head: &RequestHead,
    reader: &mut BodyReader,
    progress: &mut Progress,
    (redirect, prefix_len, route): (&Redirect, usize, &Route),
) -> Result<bool, Failure> {
    let location = redirect.location("http", head.authority(), head.path(), head.query(), prefix_len);
    let mut fields = vec![("Location", location.as_str())];
    extra_fields(route, &mut fields);
    let answer = Answer { status: redirect.status, fields: &fields, content_type: "", body: b"" };
    local(client, buf, head, reader, (Some(route), progress), &answer).await
}

/// Answers with what a rule denies a request with.
pub async fn deny(
    client: &Client,
    buf: &mut BytesMut,
    head: &RequestHead,
    reader: &mut BodyReader,
    progress: &mut Progress,
    respond: &Respond,
) -> Result<bool, Failure> {
    let answer = Answer {
        status: respond.status,
        fields: &[],
        content_type: &respond.content_type,
        body: &respond.body,
    };
    local(client, buf, head, reader, (None, progress), &answer).await
}

/// Answers with what a route responds.
pub async fn respond(
    client: &Client,
    buf: &mut BytesMut,
    head: &RequestHead,
    reader: &mut BodyReader,
    progress: &mut Progress,
    (respond, route): (&Respond, &Route),
) -> Result<bool, Failure> {
    let mut fields = Vec::new();
    extra_fields(route, &mut fields);
    let answer = Answer {
        status: respond.status,
        fields: &fields,
        content_type: &respond.content_type,
        body: &respond.body,
    };
    local(client, buf, head, reader, (Some(route), progress), &answer).await
}

/// The fields that a route sets on responses go on those of its own as well.
fn extra_fields<'a>(route: &'a Route, fields: &mut Vec<(&'a str, &'a str)>) {
    let edits = &route.response_headers;
    for (name, value) in edits.set.iter().chain(edits.add.iter()) {
        if let Ok(value) = value.to_str() {
            fields.push((name.as_str(), value));
        }
    }
}

/// `Max-Forwards: 0` stops here (RFC 9110 section 7.6.2): OPTIONS says what can be asked, TRACE shows what came.
pub async fn last_hop(
    client: &Client,
    buf: &mut BytesMut,
    head: &RequestHead,
    reader: &mut BodyReader,
    progress: &mut Progress,
) -> Result<bool, Failure> {
    const SECRET: [http::HeaderName; 3] =
        [http::header::AUTHORIZATION, http::header::COOKIE, http::header::PROXY_AUTHORIZATION];
    if head.method != Method::TRACE {
        let fields = [("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE")];
        let answer = Answer { status: StatusCode::NO_CONTENT, fields: &fields, content_type: "", body: b"" };
        return local(client, buf, head, reader, (None, progress), &answer).await;
    }
    let mut echo = Vec::new();
    for line in head.raw.split_inclusive(|byte| *byte == b'\n') {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        if !SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret.as_str().as_bytes())) {
            echo.extend_from_slice(line);
        }
        // What may stand behind the head is our own.
        if line == b"\r\n" {
            break;
        }
    }
    let answer = Answer { status: StatusCode::OK, fields: &[], content_type: "message/http", body: &echo };
    local(client, buf, head, reader, (None, progress), &answer).await
}

/// Sends a response of our own and reads past the request's body.
pub async fn local(
    client: &Client,
    buf: &mut BytesMut,
    head: &RequestHead,
    reader: &mut BodyReader,
    (route, progress): (Option<&Route>, &mut Progress),
    answer: &Answer<'_>,
) -> Result<bool, Failure> {
    let worker = &client.worker;
    let keep = keeps_open(client, head, reader, buf);
    let mut out = worker.buffers.take_write();
    answer::encode(&mut out, answer, &worker.date(), keep, Some(head));
    limited::put_fields(&mut out, route, progress);
    let out = answer::send(client, out, answer.status, progress).await?;
    worker.buffers.give_write(out);
    if keep {
        drain(client, buf, reader).await?;
    }
    Ok(keep)
}
