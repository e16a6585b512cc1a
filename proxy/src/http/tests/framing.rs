//! Body lengths, and the ways known to make two parsers disagree on them.

use ::http::Method;

use super::support::{parse, parse_response, refusal};
use crate::http::BodyLength;

const CL: &str = "Content-Length is not a decimal number";
const TE: &str = "Transfer-Encoding other than chunked";
const BOTH: &str = "Content-Length together with Transfer-Encoding";
const NAME: &str = "white space before the colon, or a field line without one";

/// Field lines that no message may have, and why.
const REFUSED: &[(&str, &str)] = &[
    // CL.TE and TE.CL, in either order and any case.
    ("Content-Length: 6\r\nTransfer-Encoding: chunked", BOTH),
    ("Transfer-Encoding: chunked\r\nContent-Length: 6", BOTH),
    ("content-length: 0\r\nX: y\r\nTRANSFER-ENCODING: chunked", BOTH),
    ("Content-Length: 6\r\nTransfer-Encoding: identity", BOTH),
    ("Content-Length: 6\r\nContent-Length: 6\r\nTransfer-Encoding: chunked", BOTH),
    ("Content-Length:\r\nTransfer-Encoding:", BOTH),
    // Content-Length that is repeated, or not one plain number.
    ("Content-Length: 5\r\nContent-Length: 5", "more than one Content-Length"),
    ("Content-Length: 5\r\nContent-Length: 6", "more than one Content-Length"),
    ("Content-Length: 5\r\ncontent-length:", "more than one Content-Length"),
    ("Content-Length: 5, 5", "Content-Length is a list"),
    ("Content-Length: 5,", "Content-Length is a list"),
    ("Content-Length:", "empty Content-Length"),
    ("Content-Length: \t", "empty Content-Length"),
    ("Content-Length: +5", CL),
    ("Content-Length: -5", CL),
    ("Content-Length: -0", CL),
    ("Content-Length: 5 5", CL),
    ("Content-Length: 0x5", CL),
    ("Content-Length: 5_0", CL),
    ("Content-Length: 5.0", CL),
    ("Content-Length: 5e1", CL),
    ("Content-Length: \"5\"", CL),
    ("Content-Length: 5;", CL),
    ("Content-Length: a", CL),
    ("Content-Length: \u{665}", CL),
    ("Content-Length: 9223372036854775808", "Content-Length is too large"),
    ("Content-Length: 18446744073709551616", "Content-Length is too large"),
    ("Content-Length: 18446744073709551621", "Content-Length is too large"),
    ("Content-Length: 00000000000000000005", "Content-Length is too large"),
    ("Content-Length : 5", NAME),
    ("Content-Length\t: 5", NAME),
    ("Content-Length 5", NAME),
    (" Content-Length: 5", "line folding (obs-fold)"),
    ("Content-Length:\r\n 5", "line folding (obs-fold)"),
    ("Content-Length: 5\u{b}", "control byte in the head"),
    // Transfer-Encoding dressed up so that one side sees it and the other does not (TE.TE).
    ("Transfer-Encoding: xchunked", TE),
    ("Transfer-Encoding: chunkedx", TE),
    ("Transfer-Encoding: chunk", TE),
    ("Transfer-Encoding: identity", TE),
    ("Transfer-Encoding: gzip", TE),
    ("Transfer-Encoding: gzip, chunked", TE),
    ("Transfer-Encoding: chunked, identity", TE),
    ("Transfer-Encoding: identity, chunked", TE),
    ("Transfer-Encoding: chunked, chunked", TE),
    ("Transfer-Encoding: chunked,", TE),
    ("Transfer-Encoding: , chunked", TE),
    ("Transfer-Encoding: chunked;q=1", TE),
    ("Transfer-Encoding: chunked ;a=b", TE),
    ("Transfer-Encoding: \"chunked\"", TE),
    ("Transfer-Encoding: 'chunked'", TE),
    ("Transfer-Encoding: chun\tked", TE),
    ("Transfer-Encoding: chunked foo", TE),
    ("Transfer-Encoding: \u{85}chunked", TE),
    ("Transfer-Encoding: \u{a0}chunked", TE),
    ("Transfer-Encoding: chunKed\u{212a}", TE),
    ("Transfer-Encoding: chun\u{212a}ed", TE),
    ("Transfer-Encoding:", TE),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "more than one Transfer-Encoding"),
    ("Transfer-Encoding: chunked\r\nTransfer-encoding: cow", "more than one Transfer-Encoding"),
    ("Transfer-Encoding: x\r\nTransfer-Encoding: chunked", "more than one Transfer-Encoding"),
    ("Transfer-Encoding : chunked", NAME),
    ("Transfer-Encoding\t:chunked", NAME),
    ("Transfer-Encoding chunked", NAME),
    ("Transfer-Encoding\u{b}: chunked", "control byte in the head"),
    ("Transfer-Encoding: \u{b}chunked", "control byte in the head"),
    ("Transfer-Encoding: \u{c}chunked", "control byte in the head"),
    ("Transfer-Encoding: chunked\u{1}", "control byte in the head"),
    ("Transfer-Encoding: chunked\0", "NUL in the head"),
    ("Transfer-Encoding:\n chunked", "bare LF in the head"),
    ("Transfer-Encoding:\r\n chunked", "line folding (obs-fold)"),
    ("Transfer-Encoding:\r\n\tchunked", "line folding (obs-fold)"),
    ("X: y\nTransfer-Encoding: chunked", "bare LF in the head"),
    ("X: y\rTransfer-Encoding: chunked", "bare CR in the head"),
    (" Transfer-Encoding: chunked", "line folding (obs-fold)"),
    ("\"Transfer-Encoding\": chunked", "field name is not a token"),
    ("Transfer\u{ad}-Encoding: chunked", "field name is not a token"),
];

/// Field lines with exactly one reading.
const ACCEPTED: &[(&str, Option<BodyLength>)] = &[
    ("X: y", None),
    ("Content-Length: 0", Some(BodyLength::Length(0))),
    ("content-length:5", Some(BodyLength::Length(5))),
    ("Content-Length: \t5\t ", Some(BodyLength::Length(5))),
    ("Content-Length: 007", Some(BodyLength::Length(7))),
    ("Content-Length: 9223372036854775807", Some(BodyLength::Length(i64::MAX as u64))),
    ("Transfer-Encoding: chunked", Some(BodyLength::Chunked)),
    ("transfer-encoding:CHUNKED \t", Some(BodyLength::Chunked)),
    ("Transfer-Encoding:\tChunked", Some(BodyLength::Chunked)),
    // Other names, however alike.
    ("Content_Length: 5", None),
    ("XTransfer-Encoding: chunked", None),
    ("Transfer-Encodingx: chunked", None),
    ("X-Content-Length: 5, 6", None),
];

#[test]
fn requests() {
    for (fields, why) in REFUSED {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        assert_eq!(refusal(request), *why, "{fields:?}");
    }
    for (fields, body) in ACCEPTED {
        for method in ["GET", "POST", "DELETE"] {
            let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
            let head = parse(request).expect(fields);
            assert_eq!(head.body, body.unwrap_or(BodyLength::Empty), "{fields:?}");
        }
    }
}

#[test]
fn responses() {
    for (fields, why) in REFUSED {
        for status in ["200 OK", "204 No Content", "304 Not Modified", "100 Continue"] {
            let response = format!("HTTP/1.1 {status}\r\nX: y\r\n{fields}\r\n\r\n");
            let refused = parse_response(response, &Method::GET).map_err(|error| error.to_string()).err();
            assert_eq!(refused.as_deref(), Some(*why), "{fields:?}");
        }
    }
    for (fields, body) in ACCEPTED {
        let parse = |status: &str, method: &Method| {
            let response = format!("HTTP/1.1 {status}\r\n{fields}\r\n\r\n");
            parse_response(response, method).expect(fields).body
        };
        assert_eq!(parse("200 OK", &Method::GET), body.unwrap_or(BodyLength::UntilClose), "{fields:?}");
        assert_eq!(parse("404 No", &Method::POST), body.unwrap_or(BodyLength::UntilClose), "{fields:?}");
        for (status, method) in [
            ("200 OK", Method::HEAD),
            ("204 No Content", Method::GET),
            ("304 Not Modified", Method::GET),
            ("100 Continue", Method::POST),
            ("101 Switching Protocols", Method::GET),
            ("103 Early Hints", Method::GET),
        ] {
            assert_eq!(parse(status, &method), BodyLength::Empty, "{status} to {method} with {fields:?}");
        }
    }
}

#[test]
fn http_10_has_no_transfer_codings() {
    let why = "Transfer-Encoding in HTTP/1.0";
    for coding in ["chunked", "identity", "gzip"] {
        let request = format!("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n");
        assert_eq!(refusal(request), why);
        let response = format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n");
        let refused = parse_response(response, &Method::GET).map_err(|error| error.to_string()).err();
        assert_eq!(refused.as_deref(), Some(why));
    }
    let head = parse("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n").expect("1.0 has lengths");
    assert_eq!(head.body, BodyLength::Length(5));
}
