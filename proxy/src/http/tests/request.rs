//! Request lines, targets, hosts and field lines: what is refused, and its neighbours that are not.

use ::http::{Method, Version};

use super::support::{parse, refusal};
use crate::http::HeadError;

/// The refusal of a request with this request line and a valid Host.
fn line_refusal(line: &str) -> String {
    refusal(format!("{line}\r\nHost: a\r\n\r\n"))
}

/// Path, query and authority of a request with this request line and `Host: h`.
fn target(line: &str) -> (String, Option<String>, String) {
    let head = parse(format!("{line}\r\nHost: h\r\n\r\n")).unwrap_or_else(|error| panic!("{line}: {error}"));
    let all = head.query().map_or(head.path().to_owned(), |query| format!("{}?{query}", head.path()));
    assert_eq!(head.path_and_query(), all.as_bytes());
    (head.path().to_owned(), head.query().map(str::to_owned), head.authority().to_owned())
}

#[test]
fn request_lines() {
    let no_target = "a byte that no request target may hold";
    let cases = [
        ("GET  / HTTP/1.1", "more than one space before the request target"),
        ("GET /  HTTP/1.1", "the HTTP version is not written HTTP/1.1"),
        ("GET\t/ HTTP/1.1", "the method is not a token followed by one space"),
        ("GET /\tHTTP/1.1", "the request line does not end in an HTTP version"),
        ("GET / \tHTTP/1.1", "the request line does not end in an HTTP version"),
        ("GET / a HTTP/1.1", "the HTTP version is not written HTTP/1.1"),
        ("GET HTTP/1.1", "the request line does not end in an HTTP version"),
        ("/ HTTP/1.1", "the request does not start with a method"),
        ("G(T / HTTP/1.1", "the method is not a token followed by one space"),
        ("GET: / HTTP/1.1", "the method is not a token followed by one space"),
        ("GÉT / HTTP/1.1", "the method is not a token followed by one space"),
        ("GET / XHTTP/1.1", "the request line does not end in an HTTP version"),
        ("GET / HTTP/1.1.1", "the request line does not end in an HTTP version"),
        ("GET /\u{b} HTTP/1.1", "control byte in the head"),
        ("GET /\u{7f} HTTP/1.1", "control byte in the head"),
        ("GET /é HTTP/1.1", no_target),
        ("GET /\" HTTP/1.1", no_target),
        ("GET /< HTTP/1.1", no_target),
        ("GET /> HTTP/1.1", no_target),
        ("GET /\\ HTTP/1.1", no_target),
        ("GET /^ HTTP/1.1", no_target),
        ("GET /` HTTP/1.1", no_target),
        ("GET /{a} HTTP/1.1", no_target),
        ("GET /a|b HTTP/1.1", no_target),
        ("GET /a?{ HTTP/1.1", no_target),
        ("GET /#top HTTP/1.1", "fragment in the request target"),
        ("GET /a?b#top HTTP/1.1", "fragment in the request target"),
        ("GET http://a/#top HTTP/1.1", "fragment in the request target"),
        ("GET /%zz HTTP/1.1", "% without two hexadecimal digits in the path"),
        ("GET /% HTTP/1.1", "% without two hexadecimal digits in the path"),
        ("GET /%2 HTTP/1.1", "% without two hexadecimal digits in the path"),
        ("GET * HTTP/1.1", "the target * is for OPTIONS only"),
        ("OPTIONS ** HTTP/1.1", "the target is neither a path nor an absolute http URI"),
        ("GET a HTTP/1.1", "the target is neither a path nor an absolute http URI"),
        ("GET ?a HTTP/1.1", "the target is neither a path nor an absolute http URI"),
        ("GET a:80 HTTP/1.1", "the target is neither a path nor an absolute http URI"),
        ("GET http:/a HTTP/1.1", "the target is neither a path nor an absolute http URI"),
        ("GET ftp://a/ HTTP/1.1", "the scheme of the target is neither http nor https"),
        ("GET ://a/ HTTP/1.1", "the scheme of the target is neither http nor https"),
        ("GET http:/// HTTP/1.1", "empty host"),
        ("GET http://?a HTTP/1.1", "empty host"),
        ("GET http://u@a/ HTTP/1.1", "user information in the host"),
        ("GET http://u:p@a/ HTTP/1.1", "user information in the host"),
        ("GET http://u:1@a/ HTTP/1.1", "user information in the host"),
        ("GET http://a:99999/ HTTP/1.1", "port in the host is not a number up to 65535"),
        ("GET http://a,b/ HTTP/1.1", "more than one host in one field"),
        ("GET / HTTP/2.0", "the HTTP version is not 1.x"),
        ("GET / HTTP/0.9", "the HTTP version is not 1.x"),
        ("PRI * HTTP/2.0", "the HTTP version is not 1.x"),
        ("CONNECT a:443 HTTP/1.1", "CONNECT is not offered"),
        ("CONNECT / HTTP/1.1", "CONNECT is not offered"),
    ];
    for (line, why) in cases {
        assert_eq!(line_refusal(line), why, "{line}");
    }
}

#[test]
fn targets_are_kept_byte_for_byte() {
    let cases: &[(&str, &str, Option<&str>, &str)] = &[
        ("GET / HTTP/1.1", "/", None, "h"),
        ("GET /a//b/../c/./%2F%2e;x=1 HTTP/1.1", "/a//b/../c/./%2F%2e;x=1", None, "h"),
        ("GET /a? HTTP/1.1", "/a", Some(""), "h"),
        ("GET /a?b?c=/d&e[]=%zz%00 HTTP/1.1", "/a", Some("b?c=/d&e[]=%zz%00"), "h"),
        ("GET //a/b HTTP/1.1", "//a/b", None, "h"),
        ("GET /-._~:@!$&'()*+,;=[] HTTP/1.1", "/-._~:@!$&'()*+,;=[]", None, "h"),
        ("GET http://b.example:81/c?d HTTP/1.1", "/c", Some("d"), "b.example:81"),
        ("GET HTTPS://b.example HTTP/1.1", "/", None, "b.example"),
        ("GET http://b.example?d HTTP/1.1", "/", Some("d"), "b.example"),
        ("GET http://[::1]:80/ HTTP/1.1", "/", None, "[::1]:80"),
        ("OPTIONS * HTTP/1.1", "*", None, "h"),
        ("OPTIONS /a HTTP/1.1", "/a", None, "h"),
        ("OPTIONS http://b HTTP/1.1", "*", None, "b"),
        ("OPTIONS http://b/ HTTP/1.1", "/", None, "b"),
        ("OPTIONS http://b?c HTTP/1.1", "/", Some("c"), "b"),
        ("connect / HTTP/1.1", "/", None, "h"),
    ];
    for (line, path, query, authority) in cases {
        let expected = ((*path).to_owned(), query.map(str::to_owned), (*authority).to_owned());
        assert_eq!(target(line), expected, "{line}");
    }
}

#[test]
fn methods_and_versions() {
    let head = parse("M-SEARCH!#$%&'*+-.^_`|~09 / HTTP/1.1\r\nHost: a\r\n\r\n").expect("a token");
    assert_eq!(head.method.as_str(), "M-SEARCH!#$%&'*+-.^_`|~09");
    let cases = [
        ("1.0", Version::HTTP_10),
        ("1.1", Version::HTTP_11),
        ("1.2", Version::HTTP_11),
        ("1.9", Version::HTTP_11),
    ];
    for (text, version) in cases {
        let head = parse(format!("GET / HTTP/{text}\r\nHost: a\r\n\r\n")).expect("1.x");
        assert_eq!((head.version, head.method), (version, Method::GET), "{text}");
    }
}

#[test]
fn hosts() {
    let port = "port in the host is not a number up to 65535";
    let byte = "a byte that no host may hold";
    let ipv6 = "IPv6 address in the host is not valid";
    let cases = [
        ("", "empty host"),
        (":80", "empty host"),
        ("a:", port),
        ("a:65536", port),
        ("a:000080", port),
        ("a:8 0", port),
        ("a:-1", port),
        ("a:80:80", port),
        ("a b", byte),
        ("a\tb", byte),
        ("a/b", byte),
        ("a?b", byte),
        ("a%41", byte),
        ("ä", byte),
        ("::1", "empty host"),
        ("a, b", "more than one host in one field"),
        ("a,a", "more than one host in one field"),
        ("u@a", "user information in the host"),
        ("u:p@a", "user information in the host"),
        ("[::1", ipv6),
        ("[]", ipv6),
        ("[::1%25eth0]", ipv6),
        ("[v1.a]", ipv6),
        ("[127.0.0.1]", ipv6),
        ("[::1]a", byte),
    ];
    for (host, why) in cases {
        for version in ["1.0", "1.1"] {
            let request = format!("GET / HTTP/{version}\r\nHost: {host}\r\n\r\n");
            assert_eq!(refusal(request), why, "{host}");
        }
    }
    let cases = [
        ("example.com", "example.com"),
        ("Example.COM:8080", "Example.COM"),
        ("a_b.c-d.", "a_b.c-d."),
        ("127.0.0.1:0", "127.0.0.1"),
        ("a:65535", "a"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("[::ffff:1.2.3.4]:443", "[::ffff:1.2.3.4]"),
    ];
    for (authority, host) in cases {
        let head = parse(format!("GET / HTTP/1.1\r\nHost:\t {authority} \t\r\n\r\n")).expect(authority);
        assert_eq!((head.authority(), head.host()), (authority, host));
    }
}

#[test]
fn how_many_hosts() {
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", "no Host in HTTP/1.1"),
        ("GET http://a/ HTTP/1.1\r\n\r\n", "no Host in HTTP/1.1"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "more than one Host"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhOST: b\r\n\r\n", "more than one Host"),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "more than one Host"),
        // The absolute form wins over Host, which must be valid all the same.
        ("GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n", "a byte that no host may hold"),
    ];
    for (request, why) in cases {
        assert_eq!(refusal(request), why, "{request}");
    }
    let head = parse("GET / HTTP/1.0\r\n\r\n").expect("1.0 needs no Host");
    assert_eq!((head.authority(), head.host()), ("", ""));
    let head = parse("GET http://b:81/ HTTP/1.0\r\n\r\n").expect("1.0 needs no Host");
    assert_eq!((head.authority(), head.host()), ("b:81", "b"));
}

#[test]
fn field_lines() {
    let colon = "white space before the colon, or a field line without one";
    let cases = [
        ("A: b\r\n c\r\n", "line folding (obs-fold)"),
        ("A: b\r\n\tc\r\n", "line folding (obs-fold)"),
        ("A: b\r\n \r\n", "line folding (obs-fold)"),
        ("A : b\r\n", colon),
        ("A\t: b\r\n", colon),
        ("A b\r\n", colon),
        ("A\r\n", "field line without a colon"),
        (": b\r\n", "empty field name"),
        ("A(: b\r\n", "field name is not a token"),
        ("\"A\": b\r\n", "field name is not a token"),
        ("Ä: b\r\n", "field name is not a token"),
        ("A: \u{1}\r\n", "control byte in the head"),
        ("A: \u{b}b\r\n", "control byte in the head"),
        ("A: b\u{7f}\r\n", "control byte in the head"),
        ("A: b\u{1b}[0m\r\n", "control byte in the head"),
        ("A: b\0c\r\n", "NUL in the head"),
        ("A\0: b\r\n", "NUL in the head"),
        ("A: b\nB: c\r\n", "bare LF in the head"),
        ("A: b\rB: c\r\n", "bare CR in the head"),
        ("A: b\n\r\n", "bare LF in the head"),
        ("A: b\r\r\n", "bare CR in the head"),
    ];
    for (fields, why) in cases {
        assert_eq!(refusal(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")), why, "{fields:?}");
    }
    let first = refusal("GET / HTTP/1.1\r\n Host: a\r\n\r\n");
    assert_eq!(first, "white space before the first field");
    let cases = [
        ("A:b", "b"),
        ("A:", ""),
        ("A: \t ", ""),
        ("A: \t b\tc  d\t ", "b\tc  d"),
        ("!#$%&'*+-.^_`|~09aZ: b", "b"),
        ("A: \u{e9} \"quoted\" (x) ,;:", "\u{e9} \"quoted\" (x) ,;:"),
    ];
    for (field, value) in cases {
        let head = parse(format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n")).expect(field);
        assert_eq!(head.lines[1].value(&head.raw), value.as_bytes(), "{field}");
        assert_eq!(head.headers().len(), 2);
    }
}

#[test]
fn too_many_fields() {
    let with = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(count - 1));
    assert_eq!(parse(with(96)).map(|head| head.lines.len()).ok(), Some(96));
    assert_eq!(parse(with(97)).err(), Some(HeadError::TooLarge));
}

#[test]
fn max_forwards_counts_for_options_and_trace_only() {
    let with = |method: &str, lines: &str| {
        parse(format!("{method} / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).map(|head| head.max_forwards)
    };
    assert_eq!(with("OPTIONS", ""), Ok(None));
    assert_eq!(with("OPTIONS", "Max-Forwards: 0\r\n"), Ok(Some(0)));
    assert_eq!(with("TRACE", "max-forwards: 10\r\n"), Ok(Some(10)));
    assert_eq!(with("TRACE", "Max-Forwards: 99999999999999999999\r\n"), Ok(Some(i64::MAX as u64)));
    assert_eq!(with("GET", "Max-Forwards: 0\r\nMax-Forwards: x\r\n"), Ok(None));
    let refused = |lines: &str| with("TRACE", lines).map_err(|error| error.to_string()).err();
    assert_eq!(refused("Max-Forwards: -1\r\n").as_deref(), Some("Max-Forwards is not a decimal number"));
    assert_eq!(refused("Max-Forwards:\r\n").as_deref(), Some("empty Max-Forwards"));
    assert_eq!(
        refused("Max-Forwards: 1\r\nMax-Forwards: 1\r\n").as_deref(),
        Some("more than one Max-Forwards")
    );
}

/// A name is what it is in any case, and with any other byte of a token in it it is not.
#[test]
fn names_are_known_in_any_case_and_in_no_other_way() {
    use crate::http::{FieldKind, bytes::is_token_byte};
    for (name, kind) in [
        ("te", FieldKind::Te),
        ("connection", FieldKind::Connection),
        ("keep-alive", FieldKind::KeepAlive),
        ("content-length", FieldKind::ContentLength),
        ("transfer-encoding", FieldKind::TransferEncoding),
        ("proxy-authentication-info", FieldKind::ProxyAuthenticationInfo),
    ] {
        assert_eq!(FieldKind::of(name.to_ascii_uppercase().as_bytes()), kind);
        for at in 0..name.len() {
            for byte in (0..=255).filter(|byte| is_token_byte(*byte)) {
                let mut other = name.as_bytes().to_vec();
                other[at] = byte;
                let same = other.eq_ignore_ascii_case(name.as_bytes());
                assert_eq!(FieldKind::of(&other) == kind, same, "{:?}", other.escape_ascii().to_string());
            }
        }
        assert_eq!(FieldKind::of(format!("{name}x").as_bytes()), FieldKind::Other);
    }
}
