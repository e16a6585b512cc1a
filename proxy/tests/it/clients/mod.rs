//! Clients that people use: curl, Python's http.client, wrk, h2load, a WebSocket client and server. A test of one that
//! is not installed is skipped, except under CI.

mod curl;
mod load;
mod python;

use crate::harness::{Origin, Wire};

/// An origin that answers with the method, the target and the body that it got.
fn mirror() -> Origin {
    Origin::serve(|mut wire: Wire| {
        while let Some(head) = wire.try_read_head() {
            if head.field("expect").is_some() && !wire.try_send("HTTP/1.1 100 Continue\r\n\r\n") {
                return;
            }
            let request = wire.read_request_after(head);
            let first = format!("{} {}\n", request.method(), request.target());
            let length = first.len() + request.body.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            let mut reply = head.into_bytes();
            if request.method() != "HEAD" {
                reply.extend_from_slice(first.as_bytes());
                reply.extend_from_slice(&request.body);
            }
            if !wire.try_send(reply) {
                return;
            }
        }
    })
}
