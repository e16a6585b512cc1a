//! Who has sent a request, by what proxies have noted.

use std::net::IpAddr;

use proptest::{collection::vec, prelude::*, sample::select};

use super::support::parse;
use crate::{
    http::{FieldKind, forwarded::sender},
    limits::FORWARDED_HOPS_MAX,
};

/// 10.0.0.0/8 and fd00::/8.
fn trusted(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] == 10,
        IpAddr::V6(v6) => v6.octets()[0] == 0xFD,
    }
}

/// The sender by lines of one field, or `-`.
fn by(field: FieldKind, name: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("{name}: {line}\r\nX: y\r\n")).collect();
    let head = parse(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).expect("a good head");
    sender(&head, field, trusted).map_or_else(|| "-".to_owned(), |address| address.to_string())
}

#[test]
fn x_forwarded_for() {
    for (lines, wanted) in [
        (&[][..], "-"),
        (&[""], "-"),
        (&["192.0.2.1"], "192.0.2.1"),
        // From the right, past those that are trusted.
        (&["192.0.2.9, 192.0.2.1"], "192.0.2.1"),
        (&["192.0.2.9, 192.0.2.1, 10.0.0.1"], "192.0.2.1"),
        (&["192.0.2.9,192.0.2.1 ,\t10.0.0.1,10.0.0.2"], "192.0.2.1"),
        // Trusted all the way: whoever began.
        (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        // Lines are one list.
        (&["192.0.2.9", "192.0.2.1", "10.0.0.1"], "192.0.2.1"),
        (&["192.0.2.9, 192.0.2.1", "", "10.0.0.1, 10.0.0.2"], "192.0.2.1"),
        // Empty elements say nothing.
        (&["192.0.2.1,, 10.0.0.1, "], "192.0.2.1"),
        // What is no address ends it: nothing further left counts.
        (&["192.0.2.1, unknown, 10.0.0.1"], "10.0.0.1"),
        (&["192.0.2.1, 10.0.0.256, 10.0.0.1"], "10.0.0.1"),
        (&["192.0.2.1, 10.0.0.01, 10.0.0.1"], "10.0.0.1"),
        (&["192.0.2.1", "x"], "-"),
        (&["192.0.2.1", "10.0.0.1 10.0.0.2"], "-"),
        (&["192.0.2.1; 10.0.0.1"], "-"),
        (&["\u{e9}"], "-"),
        (&["\"192.0.2.1\""], "-"),
        // Ports, brackets, IPv4 in disguise.
        (&["192.0.2.1:80, 10.0.0.1:65535"], "192.0.2.1"),
        (&["192.0.2.1:, 10.0.0.1"], "10.0.0.1"),
        (&["192.0.2.1:1234567"], "-"),
        (&["192.0.2.1:-1"], "-"),
        (&["2001:DB8::1, fd00::1"], "2001:db8::1"),
        (&["[2001:db8::1], [fd00::1]:443"], "2001:db8::1"),
        (&["[2001:db8::1]x"], "-"),
        (&["[2001:db8::1"], "-"),
        (&["[192.0.2.1]"], "-"),
        (&["fe80::1%eth0"], "-"),
        (&["192.0.2.1, ::ffff:10.0.0.1"], "192.0.2.1"),
    ] {
        assert_eq!(by(FieldKind::XForwardedFor, "X-Forwarded-For", lines), wanted, "{lines:?}");
    }
}

#[test]
fn forwarded() {
    for (lines, wanted) in [
        (&[][..], "-"),
        (&[""], "-"),
        (&["for=192.0.2.1"], "192.0.2.1"),
        (&["For=192.0.2.1;proto=https;by=10.0.0.9"], "192.0.2.1"),
        (&["proto=https; for=\"192.0.2.1:80\" ; host=\"a,b;c\""], "192.0.2.1"),
        (&["for=192.0.2.9, for=192.0.2.1, for=10.0.0.1"], "192.0.2.1"),
        (&["for=192.0.2.9", "for=192.0.2.1,,for=10.0.0.1,"], "192.0.2.1"),
        (&["for=\"[2001:DB8::1]\", for=\"[fd00::1]:443\""], "2001:db8::1"),
        (&["for=\"[2001:db8::1]:_port\""], "2001:db8::1"),
        (&["for=\"\\1\\92.0.2.1\""], "192.0.2.1"),
        (&["for=\"[::ffff:192.0.2.1]\""], "192.0.2.1"),
        (&["for=10.0.0.3, for=10.0.0.2"], "10.0.0.3"),
        // Names that hide somebody, and elements that name nobody.
        (&["for=192.0.2.1, for=unknown, for=10.0.0.1"], "10.0.0.1"),
        (&["for=192.0.2.1, for=_hidden, for=10.0.0.1"], "10.0.0.1"),
        (&["for=192.0.2.1, proto=https, for=10.0.0.1"], "10.0.0.1"),
        (&["for=192.0.2.1, for=\"_gazonk\""], "-"),
        (&["for=192.0.2.1, ;"], "-"),
        // IPv6 needs brackets and quotes, a port quotes.
        (&["for=\"2001:db8::1\""], "-"),
        (&["for=[2001:db8::1]"], "-"),
        (&["for=192.0.2.1:80"], "-"),
        (&["for=\"192.0.2.1:\""], "-"),
        // A line that breaks the grammar anywhere counts for nothing, those behind it do.
        (&["for=192.0.2.1, for=\"10.0.0.1"], "-"),
        (&["for=\"x, for=192.0.2.1"], "-"),
        (&["for=\"x, for=\"[2001:db8::1]\""], "-"),
        (&["for=192.0.2.1\", for=10.0.0.1"], "-"),
        (&["for=192.0.2.1;for=192.0.2.2"], "-"),
        (&["for 192.0.2.1"], "-"),
        (&["for=, for=10.0.0.1"], "-"),
        (&["=192.0.2.1"], "-"),
        (&["for = 192.0.2.1"], "-"),
        (&["for=\"x", "for=10.0.0.1"], "10.0.0.1"),
        (&["for=192.0.2.1", "for=\"x", "for=10.0.0.1"], "10.0.0.1"),
        (&["for=\"192.0.2.1\\"], "-"),
    ] {
        assert_eq!(by(FieldKind::Forwarded, "Forwarded", lines), wanted, "{lines:?}");
    }
    let long = format!("for=\"{}\", for=10.0.0.1", "1".repeat(5000));
    assert_eq!(by(FieldKind::Forwarded, "Forwarded", &[&long]), "10.0.0.1");
}

/// So many proxies, and no more.
#[test]
fn the_walk_is_bounded() {
    for (name, field, prefix) in
        [("X-Forwarded-For", FieldKind::XForwardedFor, ""), ("Forwarded", FieldKind::Forwarded, "for=")]
    {
        for (proxies, wanted) in [
            (FORWARDED_HOPS_MAX - 1, "192.0.2.1".to_owned()),
            (FORWARDED_HOPS_MAX, "10.0.0.0".to_owned()),
            (FORWARDED_HOPS_MAX * 3, format!("10.0.0.{}", FORWARDED_HOPS_MAX * 2)),
        ] {
            let list: Vec<String> = (0..proxies).map(|n| format!("{prefix}10.0.0.{n}")).collect();
            let first = format!("{prefix}192.0.2.1");
            let line = format!("{first}, {}", list.join(", "));
            assert_eq!(by(field, name, &[&line]), wanted, "{line}");
            // One line each makes no difference.
            let lines: Vec<&str> =
                std::iter::once(&first).chain(&list).map(String::as_str).take(80).collect();
            if lines.len() == proxies + 1 && proxies < 40 {
                assert_eq!(by(field, name, &lines), wanted);
            }
        }
    }
}

proptest! {
    /// Whatever a client makes up, what a trusted proxy appends behind it decides.
    #[test]
    fn a_client_can_not_say_who_it_is(
        made_up in vec(select(vec![
            "192.0.2.66", "10.0.0.1", ",", ", ", "for=", "for=\"", "\"", "\\", ";", "=", "[::1]", "unknown", "proto=x", " ", "x",
        ]), 0..12),
        quoted in any::<bool>(),
        is_rfc in any::<bool>(),
    ) {
        let made_up = made_up.concat();
        let (name, field, entry) = match (is_rfc, quoted) {
            (true, true) => ("Forwarded", FieldKind::Forwarded, "for=\"[2001:db8::7]\""),
            (true, false) => ("Forwarded", FieldKind::Forwarded, "for=198.51.100.7"),
            (false, true) => ("X-Forwarded-For", FieldKind::XForwardedFor, "2001:db8::7"),
            (false, false) => ("X-Forwarded-For", FieldKind::XForwardedFor, "198.51.100.7"),
        };
        let client = if quoted { "2001:db8::7" } else { "198.51.100.7" };
        // In a line of its own the appended entry always counts; in the same line the client can make it unreadable, and
        // is then seen as the proxy, but never as anybody else.
        prop_assert_eq!(by(field, name, &[&made_up, entry]), client);
        let appended = by(field, name, &[&format!("{made_up}, {entry}")]);
        prop_assert!(appended == client || (is_rfc && appended == "-"), "{appended}: {made_up}");
    }
}
