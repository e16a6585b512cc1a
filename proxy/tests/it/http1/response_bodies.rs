//! Bodies of responses as the client gets them, and messages that have none whatever their fields say.

use crate::harness::{
    Origin, Setup, Step,
    message::{BodyFraming, text_of},
};

/// A reply to GET; what a client of HTTP/1.1 gets of it: framing, body, trailers; whether the upstream's connection
/// serves the next request.
type Reply = (&'static str, BodyFraming, &'static str, &'static [&'static str]);

const REPLIES: &[Reply] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", BodyFraming::Length(0), "", &[]),
    ("HTTP/1.1 200 OK\r\nContent-Length: 05\r\n\r\nhello", BodyFraming::Length(5), "hello", &[]),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BodyFraming::Chunked, "", &[]),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nhel\r\n02;ext=\"\\\"\"\r\nlo\r\n0;ext\r\n\r\n",
        BodyFraming::Chunked,
        "hello",
        &[],
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n5\r\nhello\r\n0\r\nA: 1\r\nSet-Cookie: a=b\r\n\
         Content-Length: 7\r\nB: 2\r\nDate: x\r\nA: 3\r\nWWW-Authenticate: x\r\nTransfer-Encoding: x\r\n\r\n",
        BodyFraming::Chunked,
        "hello",
        &["A: 1", "B: 2", "A: 3"],
    ),
    ("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", BodyFraming::Length(2), "ok", &[]),
    ("HTTP/1.1 404 \r\nContent-Length: 2\r\n\r\nno", BodyFraming::Length(2), "no", &[]),
    ("HTTP/1.1 599 Odd \u{e4} reason\r\nContent-Length: 2\r\n\r\nok", BodyFraming::Length(2), "ok", &[]),
    ("HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", BodyFraming::Length(0), "", &[]),
];

/// Replies without a body, whatever they say of one, and the method they answer.
const BODILESS: &[(&str, &str)] = &[
    ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("HEAD", "HTTP/1.1 200 OK\r\n\r\n"),
    ("HEAD", "HTTP/1.1 404 Not Found\r\nContent-Length: 9223372036854775807\r\n\r\n"),
    ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
    ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
    ("GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("POST", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
    ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"),
    ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    ("GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("HEAD", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    ("HEAD", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("GET", "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
];

fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|byte| byte as u32 as u8).collect()
}

both_drivers! {
    fn whole(driver) {
        let replies: Vec<_> = REPLIES.iter().map(|(reply, ..)| bytes(reply)).collect();
        let origin = Origin::replies(&replies);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for (reply, framing, body, trailers) in REPLIES {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let response = client.read_response();
            assert_eq!(
                (response.framing, response.text().as_str()),
                (*framing, *body),
                "{reply:?}: {response:?}"
            );
            assert_eq!(response.trailers, *trailers, "{reply:?}");
        }
        assert_eq!(origin.connections(), 1);
    }

    fn cut_everywhere(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        let mut upstream = None;
        for (reply, framing, body, trailers) in REPLIES {
            let reply = bytes(reply);
            let every: Vec<_> = (1..reply.len()).collect();
            for cuts in every.iter().map(|cut| vec![*cut]).chain([every.clone()]) {
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                let upstream = upstream.get_or_insert_with(|| origin.accept());
                upstream.read_request();
                upstream.send_cut(&reply, &cuts);
                let response = client.read_response();
                assert_eq!(
                    (response.framing, response.text().as_str()),
                    (*framing, *body),
                    "{reply:?}: {cuts:?}"
                );
                assert_eq!(response.trailers, *trailers, "{cuts:?}");
            }
        }
        assert_eq!(origin.connections(), 1);
    }

    fn messages_without_a_body_leave_both_connections_in_step(driver) {
        let mut replies: Vec<_> = Vec::new();
        for (_, reply) in BODILESS {
            replies.push(bytes(reply));
            replies.push(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext".to_vec());
        }
        let origin = Origin::replies(&replies);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for (method, reply) in BODILESS {
            let length = if *method == "POST" { "Content-Length: 0\r\n" } else { "" };
            client.send(format!(
                "{method} / HTTP/1.1\r\nHost: a\r\n{length}\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
            ));
            let mut response = client.read_response_to(method);
            while response.status < 200 {
                assert_eq!(response.field("content-length"), None);
                response = client.read_response_to(method);
            }
            assert_eq!(
                response.head.start.as_bytes()[9..12],
                reply.as_bytes()[reply.rfind("HTTP/1.1").unwrap() + 9..][..3]
            );
            if response.status == 204 {
                // RFC 9110 section 8.6, RFC 9112 section 6.1.
                assert_eq!(
                    (response.field("content-length"), response.field("transfer-encoding")),
                    (None, None)
                );
            } else if reply.contains("Content-Length: 5") {
                assert_eq!(response.field("content-length"), Some("5"));
            }
            assert_eq!(client.read_response().expect(200).text(), "next", "{reply:?}");
        }
        assert_eq!(origin.connections(), 1);
    }

    /// An upstream that sends a body where there can be none: it is nobody's, and answers nothing.
    fn a_body_where_there_can_be_none(driver) {
        for (method, reply) in BODILESS {
            let next = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext";
            let origin = Origin::replies(&[format!("{reply}hello"), next.to_owned()]);
            let proxy = Setup::to(&origin).start(driver);
            let mut client = proxy.connect();
            client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"));
            while client.read_response_to(method).status < 200 {}
            assert_eq!(client.read_response().expect(200).text(), "next", "{method} {reply:?}");
            assert_eq!(origin.connections(), 2, "{method} {reply:?}");
        }
    }

    fn until_close_becomes_chunks_and_ends_well(driver) {
        for reply in [
            "HTTP/1.1 200 OK\r\n\r\nhello",
            "HTTP/1.0 200 OK\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
        ] {
            let origin = Origin::script(&[Step::Request, Step::reply(reply), Step::Close]);
            let proxy = Setup::to(&origin).start(driver);
            let mut client = proxy.connect();
            for round in 1..3 {
                // The client's connection outlives the upstream's.
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                let response = client.read_response().expect(200);
                assert_eq!((response.framing, response.text().as_str()), (BodyFraming::Chunked, "hello"));
                assert_eq!(origin.connections(), round);
            }
            // A client of 1.0 can't read chunks, and gets the same end.
            client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
            let response = client.read_response().expect(200);
            assert_eq!((response.framing, response.text().as_str()), (BodyFraming::UntilClose, "hello"));
            assert!(response.says_close(), "{response:?}");
        }
    }

    /// A client of 1.0 is never told of a coding that it does not know, not even where there is no body (RFC 9112
    /// section 6.1).
    fn a_client_of_1_0_hears_of_no_coding(driver) {
        for (method, reply) in BODILESS {
            let origin = Origin::replies(&[reply]);
            let proxy = Setup::to(&origin).start(driver);
            let mut client = proxy.connect();
            client.send(format!("{method} / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
            let response = client.read_response_to(method);
            assert_eq!(response.field("transfer-encoding"), None, "{method} {reply:?}");
            let keeps_length = reply.contains("Content-Length: 5") && response.status != 204;
            assert_eq!(
                response.field("content-length").is_some(),
                keeps_length || reply.contains("922"),
                "{response:?}"
            );
        }
    }

    fn chunks_become_until_close_for_a_client_of_1_0(driver) {
        let reply =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nA: b\r\n\r\n";
        let origin = Origin::replies(&[reply]);
        let proxy = Setup::to(&origin).start(driver);
        for head in ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"] {
            let mut client = proxy.connect();
            client.send(head);
            let response = client.read_response().expect(200);
            assert_eq!((response.framing, response.text().as_str()), (BodyFraming::UntilClose, "hello"));
            assert_eq!(response.field("transfer-encoding"), None);
        }
        assert_eq!(origin.connections(), 1, "the upstream's connection is as good as before");
    }

    fn each_piece_goes_on_as_it_comes(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let pieces = [
            ("Content-Length: 6\r\n", ["ab", "cd", "ef"]),
            ("Transfer-Encoding: chunked\r\n", ["2\r\nab\r\n", "2\r\ncd\r\n", "2\r\nef\r\n"]),
            ("", ["ab", "cd", "ef"]),
        ];
        for (field, pieces) in pieces {
            let mut client = proxy.connect();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let mut upstream = origin.accept();
            upstream.read_request();
            upstream.send(format!("HTTP/1.1 200 OK\r\n{field}\r\n"));
            client.read_head();
            for (piece, data) in pieces.into_iter().zip(["ab", "cd", "ef"]) {
                upstream.send(piece);
                let framed =
                    if field.starts_with('C') { data.to_owned() } else { format!("2\r\n{data}\r\n") };
                assert_eq!(text_of(&client.read_exact(framed.len())), framed);
            }
        }
    }
}
