//! PROXY protocol headers: no input panics, what a beginning has shown stands whatever follows, and what we write of what
//! we have read says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlane::{
    limits::PROXY_HEADER_V2_BYTES_MAX,
    proxy_protocol::{Header, Version, read, write},
};

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let whole = read(bytes);
    let part = read(&bytes[..usize::from(cut) % (bytes.len() + 1)]);
    assert!(part == Ok(None) || part == whole, "{part:?} {whole:?}");
    assert!(whole != Ok(None) || bytes.len() < PROXY_HEADER_V2_BYTES_MAX);
    let Ok(Some((header, length))) = whole else { return };
    assert_eq!(read(&bytes[..length]), whole);
    assert_eq!(read(&bytes[..length - 1]), Ok(None));
    let ends = match header {
        Header::Client(ends) => Some(ends),
        Header::Local | Header::Unix => None,
    };
    for version in [Version::V1, Version::V2] {
        let mut out = Vec::new();
        write(&mut out, version, ends);
        let Ok(Some((again, all))) = read(&out) else { panic!("{}", out.escape_ascii()) };
        assert_eq!(all, out.len());
        match (ends, again) {
            (None, Header::Local) => {}
            (Some(ends), Header::Client(again)) => {
                for (one, other) in [(ends.source, again.source), (ends.destination, again.destination)] {
                    let plain = |ip: std::net::IpAddr| ip.to_canonical();
                    assert_eq!((plain(one.ip()), one.port()), (plain(other.ip()), other.port()));
                }
            }
            _ => panic!("{ends:?} {again:?}"),
        }
    }
});
