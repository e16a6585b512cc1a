//! Which requests may become a tunnel, and which answers make them one.

use ::http::Method;

use super::support::{encoded, parse, parse_response};
use crate::http::upgrade_accepted;

fn request(version: &str, fields: &str) -> String {
    format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn offers() {
    let cases = [
        ("1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\n", true),
        ("1.1", "Connection: keep-alive, upgrade\r\nupgrade: WebSocket, foo/2\r\n", true),
        ("1.1", "Upgrade: a\r\nUpgrade: b\r\nConnection: Upgrade\r\n", true),
        ("1.1", "Upgrade: tcp\r\nConnection: Upgrade\r\nContent-Length: 2\r\n", true),
        ("1.1", "Upgrade: websocket\r\n", false),
        ("1.1", "Connection: upgrade\r\n", false),
        ("1.1", "Upgrade:\r\nConnection: upgrade\r\n", false),
        ("1.1", "Upgrade: , ,\r\nConnection: upgrade\r\n", false),
        ("1.1", "Upgrade: web socket\r\nConnection: upgrade\r\n", false),
        ("1.1", "Upgrade: a/b/c\r\nConnection: upgrade\r\n", false),
        ("1.1", "Upgrade: a/\r\nConnection: upgrade\r\n", false),
        // HTTP in a tunnel would go past every rule and route.
        ("1.1", "Upgrade: h2c\r\nConnection: upgrade\r\n", false),
        ("1.1", "Upgrade: websocket, H2C\r\nConnection: upgrade\r\n", false),
        ("1.1", "Upgrade: websocket\r\nUpgrade: HTTP/2.0\r\nConnection: upgrade\r\n", false),
        ("1.0", "Upgrade: websocket\r\nConnection: upgrade\r\n", false),
    ];
    for (version, fields, expected) in cases {
        let text = request(version, fields);
        assert_eq!(parse(&text).expect(fields).upgrade, expected, "{fields:?}");
        let out = encoded(text);
        assert_eq!(out.contains("Connection: upgrade\r\n"), expected, "{out}");
        assert_eq!(out.to_ascii_lowercase().contains("\r\nupgrade:"), expected, "{out}");
    }
}

#[test]
fn answers() {
    let offer = "Upgrade: websocket, foo/2\r\nConnection: Upgrade\r\n";
    let cases = [
        (offer, "101 Go\r\nUpgrade: websocket\r\nConnection: upgrade", true),
        (offer, "101 Go\r\nConnection: upgrade\r\nUpgrade: WEBSOCKET", true),
        (offer, "101 Go\r\nUpgrade: foo/2, websocket", true),
        (offer, "101 Go\r\nUpgrade: foo", false),
        (offer, "101 Go\r\nUpgrade: foo/3", false),
        (offer, "101 Go\r\nUpgrade: websocket, bar", false),
        (offer, "101 Go\r\nUpgrade: websocket\r\nUpgrade: h2c", false),
        (offer, "101 Go\r\nUpgrade:", false),
        (offer, "101 Go\r\nX: y", false),
        (offer, "200 OK\r\nUpgrade: websocket\r\nConnection: upgrade", false),
        (offer, "426 No\r\nUpgrade: websocket\r\nConnection: upgrade", false),
        ("", "101 Go\r\nUpgrade: websocket", false),
        ("Upgrade: websocket\r\n", "101 Go\r\nUpgrade: websocket", false),
        ("Upgrade: h2c\r\nConnection: upgrade\r\n", "101 Go\r\nUpgrade: h2c", false),
    ];
    for (offer, answer, expected) in cases {
        let request = parse(request("1.1", offer)).expect(offer);
        let response = parse_response(format!("HTTP/1.1 {answer}\r\n\r\n"), &Method::GET).expect(answer);
        assert_eq!(upgrade_accepted(&request, &response), expected, "{offer:?} {answer:?}");
    }
}
