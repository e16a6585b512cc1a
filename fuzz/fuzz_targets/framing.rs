//! Framing: whatever the field lines, a body length is given only where exactly one reading exists, and what is passed
//! on frames the body the same way.
#![no_main]

use bytes::BytesMut;
use http::Method;
use libfuzzer_sys::fuzz_target;
use ringlane::http::{
    BodyLength, BodyOut, ConnectionField, HeadScan, HeaderEdits, RequestEncoding, RequestHead,
    ResponseEncoding, ResponseHead, Scan, Spare, encode_request, encode_response,
};

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, lines) = input;
    let version = if choice & 1 == 0 { "HTTP/1.1" } else { "HTTP/1.0" };
    let mut request = format!("POST / {version}\r\nHost: a\r\n").into_bytes();
    request.extend_from_slice(lines);
    request.extend_from_slice(b"\r\n\r\n");
    check_request(&request, choice & 1 == 1);

    let status = ["200 OK", "204 No", "304 Not", "100 Go"][usize::from(choice >> 1) % 4];
    let method = if choice & 8 == 0 { Method::GET } else { Method::HEAD };
    let mut response = format!("{version} {status}\r\n").into_bytes();
    response.extend_from_slice(lines);
    response.extend_from_slice(b"\r\n\r\n");
    check_response(&response, &method, choice & 1 == 1);
});

/// What the framing fields of a clean head say: the reference. `Err` for anything with two readings.
fn reference(head: &[u8], is_10: bool) -> Result<Option<BodyLength>, ()> {
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    let (mut lengths, mut codings) = (Vec::new(), Vec::new());
    for line in text.split("\r\n").skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim_matches([' ', '\t']).to_owned();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => lengths.push(value),
            "transfer-encoding" => codings.push(value),
            _ => {}
        }
    }
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(None),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => match length.parse::<i64>() {
            Ok(length) => Ok(Some(BodyLength::Length(length.unsigned_abs()))),
            Err(_) => Err(()),
        },
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") && !is_10 => Ok(Some(BodyLength::Chunked)),
        _ => Err(()),
    }
}

/// Few enough fields that ours still fit beside them.
const FIELDS_MAX: usize = 80;

fn parse_request(bytes: &[u8], fields_max: usize) -> Option<RequestHead> {
    let mut buf = BytesMut::from(bytes);
    let Ok(Scan::Complete { start, end }) = HeadScan::request().advance(&buf, usize::MAX) else {
        return None;
    };
    // An empty line among the fields ends the head early; what follows is another matter.
    if end != bytes.len() {
        return None;
    }
    RequestHead::parse(&mut buf, start, end, fields_max, Spare::default()).ok()
}

fn check_request(bytes: &[u8], is_10: bool) {
    let Some(head) = parse_request(bytes, FIELDS_MAX) else { return };
    let expected = reference(bytes, is_10).map(|length| length.unwrap_or(BodyLength::Empty));
    assert_eq!(Ok(head.body), expected, "{}", bytes.escape_ascii());
    let edits = HeaderEdits::default();
    let how = RequestEncoding {
        target: None,
        host: None,
        edits: &edits,
        client_ip: "-",
        proto: "http",
        trusted: true,
    };
    let mut out = Vec::new();
    encode_request(&mut out, &head, &how);
    assert_eq!(reference(&out, false).map(|length| length.unwrap_or(BodyLength::Empty)), Ok(head.body));
    assert_eq!(parse_request(&out, usize::MAX).map(|again| again.body), Some(head.body));
}

fn check_response(bytes: &[u8], method: &Method, is_10: bool) {
    let mut buf = BytesMut::from(bytes);
    let Ok(Scan::Complete { start, end }) = HeadScan::response().advance(&buf, usize::MAX) else { return };
    if end != bytes.len() {
        return;
    }
    let Ok(head) = ResponseHead::parse(&mut buf, start, end, method, Spare::default()) else { return };
    let fields = reference(bytes, is_10).expect("accepted, so there is one reading");
    let status = head.status.as_u16();
    let bodiless = *method == Method::HEAD || status < 200 || status == 204 || status == 304;
    let expected = if bodiless { BodyLength::Empty } else { fields.unwrap_or(BodyLength::UntilClose) };
    assert_eq!(head.body, expected);
    assert!(head.body != BodyLength::UntilClose || !head.keep_alive);
    for body in [BodyOut::AsReceived, BodyOut::LengthOnly, BodyOut::Chunked, BodyOut::UntilClose] {
        let edits = HeaderEdits::default();
        let how = ResponseEncoding {
            edits: &edits,
            date: b"now",
            connection: ConnectionField::None,
            body,
            more: b"",
        };
        let mut out = Vec::new();
        encode_response(&mut out, &head, &how);
        let expected = match body {
            _ if status < 200 || status == 204 => None,
            BodyOut::AsReceived => fields,
            BodyOut::LengthOnly => fields.filter(|length| *length != BodyLength::Chunked),
            BodyOut::Chunked => Some(BodyLength::Chunked),
            BodyOut::UntilClose => None,
        };
        assert_eq!(reference(&out, false), Ok(expected), "{}", out.escape_ascii());
    }
}
