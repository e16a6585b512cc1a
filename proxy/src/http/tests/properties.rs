//! Properties that hold for all inputs, checked on random ones.

use ::http::Method;
use bytes::BytesMut;
use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    chunked::decode,
    support::{parse, parse_response, parse_unscanned, plain, untrusted},
};
use crate::http::{
    HeadScan, HeaderEdits, LAST_CHUNK, RequestHead, ResponseHead, Scan, Spare, encode_chunk_size,
    encode_request, encode_response,
};

const MAX: usize = 256;

/// Bytes that look like a head: pieces of real ones and some that break it.
fn head_like() -> impl Strategy<Value = Vec<u8>> {
    let pieces = select(vec![
        "GET ",
        "POST ",
        "OPTIONS ",
        "/",
        "/a?b",
        "*",
        "http://h:1/x",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 101 Go\r\n",
        "Host: a\r\n",
        "Host: b:80\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 6\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "Connection: upgrade, x\r\n",
        "Upgrade: websocket\r\n",
        "X: y\r\n",
        "TE: trailers\r\n",
        "X-Forwarded-For: 1\r\n",
        "Expect: 100-continue\r\n",
        "Max-Forwards: 3\r\n",
        "\r\n",
        "\r\n\r\n",
        "\r",
        "\n",
        "\0",
        " ",
        ":",
        "\t",
        "\u{e9}",
    ]);
    vec(pieces, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
}

/// A request that is accepted.
fn good_request() -> impl Strategy<Value = String> {
    let line = select(vec![
        "GET / HTTP/1.1",
        "POST /a%20b?c=d HTTP/1.1",
        "PUT http://h:81/x HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET http://h?q HTTP/1.0",
        "OPTIONS http://h HTTP/1.1",
        "TRACE / HTTP/1.1",
        "DELETE //x HTTP/1.0",
    ]);
    let framing = select(vec!["", "Content-Length: 0\r\n", "content-length:\t07 \r\n"]);
    let field = select(vec![
        "X: y\r\n",
        "x:\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive, X\r\n",
        "Connection: upgrade\r\n",
        "Upgrade: websocket\r\n",
        "TE: trailers\r\n",
        "Trailer: T\r\n",
        "Via: 1.1 a\r\n",
        "X-Forwarded-For: 1\r\n",
        "X-Forwarded-Host: q\r\n",
        "Expect: 100-continue\r\n",
        "Keep-Alive: 5\r\n",
        "Cookie: a=b\r\n",
    ]);
    (line, framing, vec(field, 0..8), 0usize..8).prop_map(|(line, framing, fields, at)| {
        let mut lines = vec![framing];
        lines.extend(fields);
        lines.insert(at.min(lines.len()), "Host: a:8080\r\n");
        format!("{line}\r\n{}\r\n", lines.concat())
    })
}

fn scan_in_parts(mut scan: HeadScan, bytes: &[u8], cuts: &[usize]) -> Result<Scan, crate::http::HeadError> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(bytes.len());
    let mut last = Ok(Scan::Partial);
    for cut in cuts {
        last = scan.advance(&bytes[..cut], MAX);
        if last != Ok(Scan::Partial) {
            break;
        }
    }
    last
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cut_anywhere_gives_the_same_scan(bytes in head_like(), cuts in vec(any::<usize>(), 0..6)) {
        for scan in [HeadScan::request(), HeadScan::response()] {
            let whole = scan.clone().advance(&bytes, MAX);
            prop_assert_eq!(scan_in_parts(scan, &bytes, &cuts), whole);
        }
    }

    /// The short way is never more lenient than the long one, and says the same.
    #[test]
    fn what_is_taken_at_once_is_what_the_scan_finds(
        bytes in prop_oneof![head_like(), good_request().prop_map(String::into_bytes)],
        max in 20usize..300,
    ) {
        let mut buf = BytesMut::from(&bytes[..]);
        if let Some(head) = RequestHead::at_once(&mut buf, max, 9, Spare::default()) {
            let end = bytes.len() - buf.len();
            prop_assert_eq!(HeadScan::request().advance(&bytes, max), Ok(Scan::Complete { start: 0, end }));
            prop_assert_eq!(format!("{head:?}"), format!("{:?}", parse(&bytes[..end]).unwrap()));
        } else {
            prop_assert_eq!(&buf[..], &bytes[..]);
        }
        if let Some((head, end)) = ResponseHead::at_once(&bytes, max, &Method::GET, Spare::default()) {
            prop_assert_eq!(HeadScan::response().advance(&bytes, max), Ok(Scan::Complete { start: 0, end }));
            let long = parse_response(&bytes[..end], &Method::GET).unwrap();
            prop_assert_eq!(format!("{head:?}"), format!("{long:?}"));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop_oneof![head_like(), vec(any::<u8>(), 0..200)], start in 0usize..40, end in 0usize..220) {
        let _ = parse(&bytes);
        let _ = parse_response(&bytes, &Method::GET);
        let _ = parse_unscanned(&bytes, start, end);
        let _ = decode(&bytes, 7);
    }

    #[test]
    fn a_parsed_head_leaves_what_follows(request in good_request(), rest in vec(any::<u8>(), 0..50)) {
        let bytes = [request.as_bytes(), &rest].concat();
        let mut buf = BytesMut::from(&bytes[..]);
        let scan = HeadScan::request().advance(&buf, usize::MAX);
        prop_assert_eq!(scan, Ok(Scan::Complete { start: 0, end: request.len() }));
        let head = crate::http::RequestHead::parse(&mut buf, 0, request.len(), 96, Default::default());
        prop_assert!(head.is_ok(), "{:?}", head);
        prop_assert_eq!(&buf[..], &rest[..]);
    }

    #[test]
    fn the_map_holds_the_lines(request in good_request()) {
        let head = parse(&request).map_err(|error| TestCaseError::fail(format!("{request:?}: {error}")))?;
        let map = head.headers();
        prop_assert_eq!(map.len(), head.lines.len());
        for name in map.keys() {
            let same = |line: &&crate::http::Line| line.name(&head.raw).eq_ignore_ascii_case(name.as_str().as_bytes());
            let values = head.lines.iter().filter(same).map(|line| line.value(&head.raw));
            prop_assert!(values.eq(map.get_all(name).iter().map(::http::HeaderValue::as_bytes)));
        }
    }

    #[test]
    fn what_is_written_reads_the_same(request in good_request(), trusted in any::<bool>()) {
        let head = parse(&request).map_err(|error| TestCaseError::fail(format!("{request:?}: {error}")))?;
        let edits = HeaderEdits::default();
        let mut out = Vec::new();
        encode_request(&mut out, &head, &crate::http::RequestEncoding { trusted, ..untrusted(&edits) });
        let again = parse(&out).map_err(|error| TestCaseError::fail(format!("{}: {error}", out.escape_ascii())))?;
        prop_assert_eq!(&again.method, &head.method);
        prop_assert_eq!(again.path_and_query(), head.path_and_query());
        prop_assert_eq!((again.authority(), again.host()), (head.authority(), head.host()));
        prop_assert_eq!(again.body, head.body);
        prop_assert_eq!(again.upgrade, head.upgrade);
        prop_assert_eq!(again.expects_continue, head.expects_continue);
        prop_assert_eq!(again.takes_trailers, head.takes_trailers);
        // A second pass changes nothing but what each proxy adds.
        let mut twice = Vec::new();
        encode_request(&mut twice, &again, &untrusted(&edits));
        let without_ours = |text: &[u8]| {
            let lines = String::from_utf8_lossy(text).into_owned();
            let kept = |line: &&str| {
                let line = line.to_ascii_lowercase();
                !["via:", "x-forwarded-", "te:", "connection:"].iter().any(|ours| line.starts_with(ours))
            };
            lines.lines().filter(kept).collect::<Vec<_>>().join("\n")
        };
        prop_assert_eq!(without_ours(&twice), without_ours(&out));
    }

    #[test]
    fn a_response_reads_the_same(bytes in head_like()) {
        let Ok(head) = parse_response(&bytes, &Method::GET) else { return Ok(()) };
        let mut out = Vec::new();
        encode_response(&mut out, &head, &plain(&HeaderEdits::default()));
        let again = parse_response(&out, &Method::GET).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!((again.status, again.reason(), again.body), (head.status, head.reason(), head.body));
    }

    #[test]
    fn any_data_in_any_chunks_comes_back(data in vec(any::<u8>(), 0..300), size in 1usize..80, step in 1usize..80) {
        let mut out = Vec::new();
        for chunk in data.chunks(size) {
            encode_chunk_size(&mut out, chunk.len());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(LAST_CHUNK);
        out.extend_from_slice(b"A: b\r\n\r\n");
        let decoded = decode(&out, step).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(decoded.data, data);
        prop_assert_eq!(decoded.trailers, b"A: b\r\n");
        prop_assert_eq!(decoded.consumed, Some(out.len()));
    }

    #[test]
    fn a_cut_anywhere_gives_the_same_body(pieces in vec(select(vec![
        "0", "5", "a", ";", "x", "=", "\"", "\\", " ", "\r\n", "\r\n\r\n", "\r", "\n", "hello", "A: b\r\n", "Host: x\r\n", "5\r\nhello\r\n", "0\r\n",
    ]), 0..12), step in 1usize..20) {
        let bytes = pieces.concat().into_bytes();
        prop_assert_eq!(decode(&bytes, step), decode(&bytes, usize::MAX));
    }
}
