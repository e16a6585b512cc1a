//! The control path, on a listener of its own: what the ports do and counted, and how they are made to misbehave.
//!
//! ```text
//!   GET /ports          every port: address, behaviour, counters
//!   GET /ports/PORT     one of them
//!   PUT /ports/PORT     takes a behaviour on, as a JSON object; {} is none
//! ```
use std::rc::Rc;

use monoio::{io::AsyncWriteRent, net::TcpStream};
use serde_json::{Map, Value, json};

use super::{
    Origin,
    answer::{self, Ending, Persistence},
    behaviour::Behaviour,
    body::Body,
    port::Port,
};
use crate::{
    http::{find_head_end, request},
    stream::{read_more, write_all},
};

/// A request, head and body.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

type Answered = (u16, Value);

/// Answers one request and closes.
pub(super) async fn serve(mut stream: TcpStream, origin: Rc<Origin>) {
    let Some((head_end, input)) = read_request(&mut stream).await else { return };
    let (status, value) = answer_to(&input[..head_end], &input[head_end..], &origin);
    let body = format!("{value:#}\n");
    let mut out = Vec::new();
    answer::append_head(&mut out, status, Ending::Length, body.len() as u64, Persistence::Close);
    out.extend_from_slice(body.as_bytes());
    if write_all(&mut stream, out).await.0.is_ok() {
        let _ = stream.shutdown().await;
    }
}

/// A request whose body, if any, has a Content-Length: where its head ends, and all of it. None: there is no more to
/// answer.
async fn read_request(stream: &mut TcpStream) -> Option<(usize, Vec<u8>)> {
    let mut input = Vec::with_capacity(REQUEST_BYTES_MAX);
    loop {
        if let Some(end) = find_head_end(&input, 0) {
            let length = match request::parse(&input[..end]).map(|request| Body::of(&request.fields)) {
                Ok(Body::Length(length)) => length,
                // What is wrong with it is said by `answer_to`.
                _ => 0,
            };
            if (input.len() - end) as u64 >= length {
                return Some((end, input));
            }
        }
        if input.len() == input.capacity() {
            return None;
        }
        let (read, filled) = read_more(stream, input).await;
        input = filled;
        if !matches!(read, Ok(1..)) {
            return None;
        }
    }
}

fn answer_to(head: &[u8], body: &[u8], origin: &Origin) -> Answered {
    let request = match request::parse(head) {
        Ok(request) => request,
        Err(reason) => return problem(400, reason),
    };
    let path = String::from_utf8_lossy(request.path);
    let port = match path.strip_prefix("/ports") {
        Some("" | "/") => None,
        Some(rest) => match find(origin, rest) {
            Some(port) => Some(port),
            None => return problem(404, &format!("{path}: no such port")),
        },
        None => return problem(404, &format!("{path}: there is /ports and /ports/PORT")),
    };
    match (request.method, port) {
        (b"GET", Some(port)) => (200, port.to_json()),
        (b"GET", None) => (200, origin.ports.borrow().iter().map(|port| port.to_json()).collect()),
        (b"PUT", Some(port)) => match behaviour(body) {
            Ok(behaviour) => {
                port.behave(behaviour);
                (200, port.to_json())
            }
            Err(reason) => problem(400, &format!("PUT {path}: {reason}")),
        },
        _ => problem(405, &format!("{path}: GET, or PUT of one port")),
    }
}

fn find(origin: &Origin, rest: &str) -> Option<Rc<Port>> {
    let number: u16 = rest.strip_prefix('/')?.parse().ok()?;
    origin.ports.borrow().iter().find(|port| port.address.port() == number).cloned()
}

fn behaviour(body: &[u8]) -> Result<Behaviour, String> {
    let map: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| format!("not a JSON object: {error}"))?;
    Behaviour::of(&map).map_err(|fault| fault.to_string())
}

fn problem(status: u16, text: &str) -> Answered {
    (status, json!({ "error": text }))
}
