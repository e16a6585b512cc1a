//! Reading the head of a request and writing it for the upstream.
//!
//! Ours finds its end, checks every rule of RFC 9110 and 9112 that a proxy has to, decides the framing, and writes the
//! head with the fields that it adds. The others only read and write, and bare httparse only reads.

use std::hint::black_box;

use bytes::BytesMut;
use ringlane::{
    http::{HeadScan, HeaderEdits, RequestEncoding, RequestHead, Scan, Spare, encode_request},
    limits::{HEAD_FIELDS_MAX, READ_BUFFER_BYTES, REQUEST_HEAD_BYTES_DEFAULT},
};

use crate::{
    case::{Case, OURS},
    old::heads::{bare_httparse, header_map, string_maps},
};

const COUNTED: u64 = 2000;

const SMALL: &str = "GET /hello HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench/1\r\nAccept: */*\r\n\r\n";

const BROWSER: &str = "GET /shop/articles/12345?colour=blue&size=42&page=3 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    Connection: keep-alive\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Referer: https://www.example.com/shop/articles?colour=blue&size=42&page=2\r\n\
    Cookie: session=8f14e45fceea167a5a36dedd4bea2543; consent=all; theme=dark; cart=c9f0f895fb98ab9159f51fd0297e236d\r\n\
    Upgrade-Insecure-Requests: 1\r\n\r\n";

fn case<F: FnMut(&[u8]) -> bool + 'static>(
    size: &'static str,
    design: &'static str,
    make: impl Fn() -> F + 'static,
) -> Case {
    let head = if size == "small" { SMALL } else { BROWSER };
    Case::new(("heads", size, design), COUNTED, move || {
        let mut work = make();
        assert!(work(head.as_bytes()), "{design}");
        Box::new(move |operations| {
            for _ in 0..operations {
                black_box(work(black_box(head.as_bytes())));
            }
        })
    })
}

fn ours() -> impl FnMut(&[u8]) -> bool {
    let (mut read, mut out) = (BytesMut::with_capacity(READ_BUFFER_BYTES), Vec::with_capacity(2048));
    let edits = HeaderEdits::default();
    let mut spare = Spare::default();
    move |bytes| {
        read.clear();
        // As a worker does it: the room of heads that are gone is used again.
        read.reserve(bytes.len());
        read.extend_from_slice(bytes);
        let scanned = HeadScan::request().advance(&read, REQUEST_HEAD_BYTES_DEFAULT);
        let Ok(Scan::Complete { start, end }) = scanned else { return false };
        let parsed = RequestHead::parse(&mut read, start, end, HEAD_FIELDS_MAX, std::mem::take(&mut spare));
        let Ok(head) = parsed else { return false };
        out.clear();
        let how = RequestEncoding {
            target: None,
            host: None,
            edits: &edits,
            own: &[],
            client_ip: "127.0.0.1",
            proto: "http",
            trusted: false,
            ids: None,
        };
        encode_request(&mut out, &head, &how);
        spare = head.into_spare();
        !out.is_empty()
    }
}

/// All designs, with the head of a small client and of a browser.
pub fn cases() -> Vec<Case> {
    let sizes = ["small", "browser"].into_iter().flat_map(|size| {
        [
            case(size, "string maps", || {
                |head: &[u8]| string_maps(head).is_some_and(|out| !black_box(out).is_empty())
            }),
            case(size, "monoio-http and HeaderMap", || {
                let (mut read, mut out) =
                    (BytesMut::with_capacity(READ_BUFFER_BYTES), Vec::with_capacity(2048));
                move |head: &[u8]| header_map(head, &mut read, &mut out).is_some()
            }),
            case(size, "bare httparse (reads only)", || |head: &[u8]| bare_httparse(head).is_some()),
            case(size, OURS, ours),
        ]
    });
    sizes.collect()
}
