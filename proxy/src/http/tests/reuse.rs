//! At steady state the same buffers serve head after head: nothing of ours is allocated again.

use ::http::Method;
use bytes::BytesMut;

use super::support::{plain, untrusted};
use crate::http::{
    HeadScan, HeaderEdits, RequestHead, ResponseHead, Scan, Spare, encode_request, encode_response,
};

const REQUEST: &[u8] =
    b"GET /a?b HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n";

fn place(mut scan: HeadScan, buf: &[u8]) -> (usize, usize) {
    match scan.advance(buf, 1024) {
        Ok(Scan::Complete { start, end }) => (start, end),
        other => panic!("{other:?}"),
    }
}

#[test]
fn buffers_go_out_and_come_back() {
    let edits = HeaderEdits::default();
    let (mut spare, mut out) = (Spare::default(), Vec::new());
    let mut buf = BytesMut::with_capacity(4096);
    let mut addresses = Vec::new();
    for round in 0..200 {
        out.clear();
        buf.reserve(1024);
        buf.extend_from_slice(REQUEST);
        let (start, end) = place(HeadScan::request(), &buf);
        let head = RequestHead::parse(&mut buf, start, end, 96, std::mem::take(&mut spare)).expect("good");
        encode_request(&mut out, &head, &untrusted(&edits));
        spare = head.into_spare();

        buf.reserve(1024);
        buf.extend_from_slice(RESPONSE);
        let (start, end) = place(HeadScan::response(), &buf);
        let head = ResponseHead::parse(&mut buf, start, end, &Method::GET, std::mem::take(&mut spare))
            .expect("good");
        encode_response(&mut out, &head, &plain(&edits));
        spare = head.into_spare();

        assert!(buf.is_empty());
        if round >= 100 {
            addresses.push((spare.raw.as_ptr(), spare.lines.as_ptr(), out.as_ptr(), out.capacity()));
        }
    }
    addresses.dedup();
    assert_eq!(addresses.len(), 1, "the same three buffers throughout");
}
