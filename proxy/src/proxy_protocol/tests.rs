//! Headers as tables of bytes, and what holds of all of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::limits::{PROXY_HEADER_V1_BYTES_MAX, PROXY_HEADER_V2_BYTES_MAX};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn ends(source: &str, destination: &str) -> Ends {
    Ends { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

/// A version 2 header with these bytes behind the signature, its length filled in.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}

/// Addresses and ports of version 2 over IPv4.
const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 7, 0xDC, 0x04, 0, 80];

fn v4() -> Header {
    Header::Client(ends("192.0.2.1:56324", "198.51.100.7:80"))
}

/// `bytes` are this header, however they are cut, and what follows is not looked at.
#[track_caller]
fn check(bytes: &[u8], header: Header) {
    let length = bytes.len();
    for cut in 0..length {
        assert_eq!(read(&bytes[..cut]), Ok(None), "the first {cut} of {}", bytes.escape_ascii());
    }
    assert_eq!(read(bytes), Ok(Some((header, length))), "{}", bytes.escape_ascii());
    for behind in [&b"GET / HTTP/1.1\r\n"[..], &[0; 8192], b"\r\n", b"PROXY TCP4"] {
        assert_eq!(read(&[bytes, behind].concat()), Ok(Some((header, length))));
    }
}

/// No header begins so.
#[track_caller]
fn refuse(bytes: &[u8]) {
    assert!(read(bytes).is_err(), "{}: {:?}", bytes.escape_ascii(), read(bytes));
    assert!(read(&[bytes, b"GET / HTTP/1.1\r\n\r\n"].concat()).is_err(), "{}", bytes.escape_ascii());
}

#[test]
fn lines_of_version_1() {
    check(b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 80\r\n", v4());
    check(
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        Header::Client(ends("255.255.255.255:65535", "255.255.255.255:65535")),
    );
    check(b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", Header::Client(ends("0.0.0.0:0", "0.0.0.0:0")));
    check(
        b"PROXY TCP6 2001:DB8::1 ::1 56324 80\r\n",
        Header::Client(ends("[2001:db8::1]:56324", "[::1]:80")),
    );
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    check(
        format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n").as_bytes(),
        Header::Client(ends(&format!("[{longest}]:65535"), &format!("[{longest}]:65535"))),
    );
    check(b"PROXY UNKNOWN\r\n", Header::Local);
    let worst = format!("PROXY UNKNOWN {longest} {longest} 65535 65535\r\n");
    assert_eq!(worst.len(), PROXY_HEADER_V1_BYTES_MAX);
    check(worst.as_bytes(), Header::Local);
}

#[test]
fn lines_that_are_none() {
    for line in [
        "GET / HTTP/1.1\r\n",
        "proxy TCP4 192.0.2.1 198.51.100.7 56324 80\r\n",
        "PROXY\r\n",
        "PROXY  TCP4 192.0.2.1 198.51.100.7 56324 80\r\n",
        "PROXY\tTCP4 192.0.2.1 198.51.100.7 56324 80\r\n",
        "PROXY \r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY unknown\r\n",
        "PROXY TCP5 192.0.2.1 198.51.100.7 56324 80\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.7 56324 80\r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 80 1\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 80 \r\n",
        "PROXY TCP4 192.0.2.1  198.51.100.7 56324 80\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.7 56324 80\r\n",
        "PROXY TCP4 192.0.2.256 198.51.100.7 56324 80\r\n",
        "PROXY TCP4 192.0.2 198.51.100.7 56324 80\r\n",
        "PROXY TCP4 ::1 ::1 56324 80\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.7 56324 80\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 56324 80\r\n",
        "PROXY TCP6 [::1] ::1 56324 80\r\n",
        "PROXY TCP6 1::2::3 ::1 56324 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 65536 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 056 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 +56 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 -1 80\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 http\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 80\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 80\rX",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 80\r\r\n",
        "PROXY UNKNOWN \u{e9}\r\nX",
    ] {
        // What may follow UNKNOWN is anything, as long as it is text.
        if line.contains('\u{e9}') {
            assert_eq!(read(line.as_bytes()).map(|it| it.is_some()), Ok(true));
            continue;
        }
        refuse(line.as_bytes());
    }
    refuse(b"PROXY UNKNOWN \xff\r\n");
    refuse(format!("PROXY UNKNOWN {}\r\n", "x".repeat(PROXY_HEADER_V1_BYTES_MAX - 15)).as_bytes());
    refuse(&[&b"PROXY UNKNOWN "[..], &[b'x'; 93]].concat());
}

#[test]
fn version_2() {
    check(&v2(0x21, 0x11, &V4), v4());
    let mut v6 = Vec::new();
    v6.extend("2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
    v6.extend("::1".parse::<Ipv6Addr>().unwrap().octets());
    v6.extend([0xDC, 0x04, 0, 80]);
    check(&v2(0x21, 0x21, &v6), Header::Client(ends("[2001:db8::1]:56324", "[::1]:80")));
    check(&v2(0x21, 0x31, &[b'/'; 216]), Header::Unix);
    // The family of a LOCAL one is not looked at, nor is what it brings.
    for (family, body) in [(0, &[][..]), (0x11, &V4), (0xFF, &[1, 2, 3]), (0x21, &[9])] {
        check(&v2(0x20, family, body), Header::Local);
    }
    // No family, no transport, datagrams: the connection counts as what it is.
    for family in [0x00, 0x01, 0x02, 0x10, 0x12, 0x20, 0x22, 0x30, 0x32] {
        check(&v2(0x21, family, &[]), Header::Local);
        check(&v2(0x21, family, &[7; 40]), Header::Local);
    }
}

#[test]
fn version_2_refused_at_the_first_byte_that_is_wrong() {
    let good = v2(0x21, 0x11, &V4);
    for at in 1..12 {
        let mut bad = good.clone();
        bad[at] ^= 1;
        refuse(&bad[..=at]);
    }
    for command in [0x01, 0x11, 0x22, 0x2F, 0x31, 0xA1] {
        refuse(&v2(command, 0x11, &V4)[..13]);
    }
    for family in [0x13, 0x1F, 0x41, 0x03, 0xF1] {
        refuse(&v2(0x21, family, &V4)[..14]);
    }
    refuse(&v2(0x21, 0x11, &V4[..11]));
    refuse(&v2(0x21, 0x21, &V4));
    refuse(&v2(0x21, 0x31, &[0; 215]));
    let longest = vec![0; PROXY_HEADER_V2_BYTES_MAX - 16];
    check(&v2(0x20, 0, &longest), Header::Local);
    refuse(&v2(0x20, 0, &[&longest[..], &[0]].concat())[..16]);
}

/// A vector.
fn vector(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind], &length[..], value].concat()
}

/// `V4` with vectors, and a right checksum in place of the four bytes that lie `from_end` before the end.
fn summed(vectors: &[u8], from_end: usize) -> Vec<u8> {
    let mut whole = v2(0x21, 0x11, &[&V4[..], vectors].concat());
    let at = whole.len() - from_end;
    whole[at..at + 4].fill(0);
    let sum = crc32c::of([&whole[..]].into_iter());
    whole[at..at + 4].copy_from_slice(&sum.to_be_bytes());
    whole
}

#[test]
fn vectors_of_version_2() {
    let with = |vectors: &[u8]| v2(0x21, 0x11, &[&V4[..], vectors].concat());
    check(&with(&vector(4, b"")), v4());
    check(&with(&[vector(2, b"example.com"), vector(0xE0, &[0; 300])].concat()), v4());
    for cut in [&[4][..], &[4, 0], &[4, 0, 1], &[2, 0, 5, 1, 2, 3, 4], &[2, 0xFF, 0xFF]] {
        refuse(&with(cut));
    }
    let sum = vector(3, &[0; 4]);
    check(&summed(&sum, 4), v4());
    check(&summed(&[&sum[..], &vector(1, b"h2")].concat(), 9), v4());
    for at in [12, 16, 20, 30] {
        let mut bad = summed(&[&sum[..], &vector(1, b"h2")].concat(), 9);
        bad[at] ^= 0x20;
        refuse(&bad);
    }
    refuse(&with(&vector(3, &[0; 3])));
    refuse(&with(&vector(3, &[0; 5])));
    refuse(&summed(&[sum.clone(), sum].concat(), 4));
}

#[test]
fn a_client_without_an_address_is_none() {
    for version in [Version::V1, Version::V2] {
        let mut out = Vec::new();
        write(&mut out, version, None);
        check(&out, Header::Local);
    }
}

#[test]
fn families_are_not_mixed() {
    for version in [Version::V1, Version::V2] {
        for (given, read_as) in [
            (ends("192.0.2.1:1", "[::1]:2"), ends("[::ffff:192.0.2.1]:1", "[::1]:2")),
            (ends("[::1]:1", "192.0.2.1:2"), ends("[::1]:1", "[::ffff:192.0.2.1]:2")),
            (ends("[::ffff:192.0.2.1]:1", "192.0.2.7:2"), ends("192.0.2.1:1", "192.0.2.7:2")),
        ] {
            let mut out = Vec::new();
            write(&mut out, version, Some(given));
            check(&out, Header::Client(read_as));
        }
    }
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from(bits))),
    ];
    (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

/// Bytes that begin as headers do.
fn header_like() -> impl Strategy<Value = Vec<u8>> {
    let text =
        vec(prop_oneof!["TCP4 ", "TCP6 ", "UNKNOWN", "1.2.3.4 ", "::1 ", "80 ", "\r", "\n", "\\PC"], 0..9)
            .prop_map(|parts| format!("PROXY {}\r\n", parts.concat()).into_bytes());
    let binary = (any::<[u8; 3]>(), vec(any::<u8>(), 0..300)).prop_map(|([command, family, low], body)| {
        [SIGNATURE, &[0x20 | command & 1, family & 0x33, 0, low], &body].concat()
    });
    prop_oneof![text, binary, vec(any::<u8>(), 0..300)]
}

proptest! {
    #[test]
    fn what_is_written_is_read(source in address(), destination in address(), v2 in any::<bool>()) {
        let given = Ends { source, destination };
        let mut out = Vec::new();
        write(&mut out, if v2 { Version::V2 } else { Version::V1 }, Some(given));
        let whole = read(&out);
        prop_assert_eq!(whole, Ok(Some((Header::Client(one_family(given)), out.len()))));
        for cut in 0..out.len() {
            prop_assert_eq!(read(&out[..cut]), Ok(None));
        }
    }

    /// More bytes never take back what fewer have shown.
    #[test]
    fn a_verdict_stands(bytes in header_like()) {
        let mut verdict = Ok(None);
        for end in 0..=bytes.len() {
            let now = read(&bytes[..end]);
            if let Ok(Some((_, length))) = now {
                prop_assert!(length <= end);
            }
            prop_assert!(verdict == Ok(None) || verdict == now, "{verdict:?} {now:?} at {end}");
            verdict = now;
        }
        let bound = PROXY_HEADER_V2_BYTES_MAX.max(PROXY_HEADER_V1_BYTES_MAX);
        prop_assert!(verdict != Ok(None) || bytes.len() < bound);
    }
}
