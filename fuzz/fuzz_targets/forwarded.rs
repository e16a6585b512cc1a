//! What clients put into forwarded fields and ids: nothing panics, a client can't say who it is, and what goes upstream
//! can be read again.
#![no_main]

use std::net::IpAddr;

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use ringlane::{
    http::{
        FieldKind, HeadScan, HeaderEdits, RequestEncoding, RequestHead, Scan, Spare, encode_request,
        forwarded::sender,
        trace::{Ids, Instead, TraceParent, request_id},
    },
    limits::{HEAD_FIELDS_MAX, REQUEST_HEAD_BYTES_DEFAULT},
};

fuzz_target!(|value: &[u8]| {
    if value.contains(&b'\r') || value.contains(&b'\n') {
        return;
    }
    for (name, field, entry) in [
        ("X-Forwarded-For", FieldKind::XForwardedFor, "198.51.100.7"),
        ("Forwarded", FieldKind::Forwarded, "for=198.51.100.7"),
    ] {
        let client: IpAddr = [198, 51, 100, 7].into();
        let nobody = |_| false;
        // In a line of its own what is appended counts; in the same line at most the client makes it unreadable.
        if let Some(head) = head(&[(name, value), (name, entry.as_bytes())]) {
            assert_eq!(sender(&head, field, nobody), Some(client));
            sender(&head, field, |_| true);
        }
        let appended = [value, b", ", entry.as_bytes()].concat();
        if let Some(head) = head(&[(name, &appended)]) {
            let found = sender(&head, field, nobody);
            assert!(found == Some(client) || (found.is_none() && field == FieldKind::Forwarded));
        }
    }
    let Some(head) = head(&[("traceparent", value), ("tracestate", value), ("x-request-id", value)]) else {
        return;
    };
    let parent = TraceParent::of(&head);
    if let Some(parent) = parent {
        assert_eq!(TraceParent::parse(&parent.text()), Some(parent));
    }
    let edits = HeaderEdits::default();
    let text = parent.map(|it| it.text());
    let ids = Ids {
        traceparent: Instead::This(text.as_ref().map(|it| &it[..])),
        keeps_state: true,
        request_id: Instead::This(request_id(&head)),
    };
    let how = RequestEncoding {
        target: None,
        host: None,
        edits: &edits,
        own: &[],
        client_ip: "192.0.2.1",
        proto: "http",
        trusted: true,
        ids: Some(ids),
    };
    let mut out = Vec::new();
    encode_request(&mut out, &head, &how);
    let Some(again) = parse(&out) else { panic!("{}", out.escape_ascii()) };
    assert_eq!((TraceParent::of(&again), request_id(&again)), (parent, request_id(&head)));
});

fn head(lines: &[(&str, &[u8])]) -> Option<RequestHead> {
    let mut text = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    for (name, value) in lines {
        text.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    text.extend_from_slice(b"\r\n");
    parse(&text).filter(|head| head.lines.len() == lines.len() + 1)
}

fn parse(text: &[u8]) -> Option<RequestHead> {
    let mut buf = BytesMut::from(text);
    match HeadScan::request().advance(&buf, REQUEST_HEAD_BYTES_DEFAULT) {
        Ok(Scan::Complete { start, end }) => {
            RequestHead::parse(&mut buf, start, end, HEAD_FIELDS_MAX, Spare::default()).ok()
        }
        _ => None,
    }
}
