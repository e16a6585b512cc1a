//! Ways to read a request's head and write it for the upstream.

use std::collections::HashMap;

use bytes::BytesMut;
use monoio_codec::{Decoded, Decoder};
use monoio_http::h1::codec::decoder::RequestHeadDecoder;

const HOP_BY_HOP: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Everything copied into strings and a map of them, and the new head formatted from those.
pub fn string_maps(head: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8(head.to_vec()).ok()?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut fields: HashMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    fields.retain(|name, _| !HOP_BY_HOP.contains(&name.as_str()));
    let host = fields.get("host").cloned()?;
    fields.insert("x-forwarded-for".to_owned(), "127.0.0.1".to_owned());
    fields.insert("x-forwarded-host".to_owned(), host);
    fields.insert("x-forwarded-proto".to_owned(), "http".to_owned());
    fields.insert("via".to_owned(), "1.1 proxy".to_owned());
    let mut out = format!("{method} {target} HTTP/1.1\r\n");
    for (name, value) in &fields {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    Some(out.into_bytes())
}

/// monoio-http's decoder, the ecosystem's types, and a head written from those into a buffer that is kept.
pub fn header_map(head: &[u8], read: &mut BytesMut, out: &mut Vec<u8>) -> Option<()> {
    use http::{HeaderName, HeaderValue, header};
    const FORWARDED: [HeaderName; 3] = [
        HeaderName::from_static("x-forwarded-for"),
        HeaderName::from_static("x-forwarded-host"),
        HeaderName::from_static("x-forwarded-proto"),
    ];
    let [forwarded_for, forwarded_host, forwarded_proto] = FORWARDED;
    read.clear();
    read.extend_from_slice(head);
    let Ok(Decoded::Some(mut head)) = RequestHeadDecoder.decode(read) else { return None };
    for name in HOP_BY_HOP {
        head.headers.remove(name);
    }
    let host = head.headers.get(header::HOST)?.clone();
    head.headers.insert(forwarded_for, HeaderValue::from_static("127.0.0.1"));
    head.headers.insert(forwarded_host, host);
    head.headers.insert(forwarded_proto, HeaderValue::from_static("http"));
    head.headers.insert(header::VIA, HeaderValue::from_static("1.1 proxy"));
    out.clear();
    let target = head.uri.path_and_query().map_or("/", |it| it.as_str());
    for part in [head.method.as_str(), " ", target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    for (name, value) in &head.headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
    Some(())
}

/// httparse alone: nothing checked beyond its own rules, nothing written. The floor.
pub fn bare_httparse(head: &[u8]) -> Option<usize> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut fields);
    request.parse(head).ok()?.is_complete().then_some(request.headers.len())
}
