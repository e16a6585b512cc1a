//! Cookies of a request, RFC 6265 section 5.4: `name=value` pairs between semicolons.

use super::{FieldKind, RequestHead};

/// The value of the first cookie with this name, as received; names differ by case. A pair that is none is passed over, and
/// quotes belong to the value.
pub fn cookie<'h>(head: &'h RequestHead, name: &str) -> Option<&'h [u8]> {
    let is_cookie = |name: &[u8]| name.eq_ignore_ascii_case(b"cookie");
    let lines =
        head.lines.iter().filter(|line| line.kind == FieldKind::Other && is_cookie(line.name(&head.raw)));
    let mut pairs = lines.flat_map(|line| line.value(&head.raw).split(|byte| *byte == b';'));
    pairs.find_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// The value of the first field with this name, whatever its case.
pub fn first_field<'h>(head: &'h RequestHead, name: &str) -> Option<&'h [u8]> {
    let line = head.lines.iter().find(|line| line.name(&head.raw).eq_ignore_ascii_case(name.as_bytes()))?;
    Some(line.value(&head.raw))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::http::Spare;

    fn head(fields: &str) -> RequestHead {
        let mut buf = BytesMut::from(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes());
        let end = buf.len();
        RequestHead::parse(&mut buf, 0, end, 96, Spare::default()).unwrap()
    }

    #[test]
    fn cookies() {
        for (fields, want) in [
            ("", None),
            ("Cookie: id=1\r\n", Some("1")),
            ("cookie: a=b; id=1; id=2\r\n", Some("1")),
            ("Cookie: a=b;id=1;\r\n", Some("1")),
            ("Cookie: a=b\r\nCookie: id=x=y\r\n", Some("x=y")),
            ("Cookie: id=\r\n", Some("")),
            ("Cookie: id=\"q\"\r\n", Some("\"q\"")),
            ("Cookie: xid=1; idx=2; ID=3; id\r\n", None),
            ("Cookie:   ;; id=4 ; b\r\n", Some("4")),
            ("X-Cookie: id=1\r\n", None),
        ] {
            assert_eq!(cookie(&head(fields), "id"), want.map(str::as_bytes), "{fields}");
        }
    }

    #[test]
    fn fields() {
        let head = head("X-A: 1\r\nx-a: 2\r\nHost2: b\r\n");
        assert_eq!(first_field(&head, "x-A"), Some(&b"1"[..]));
        assert_eq!((first_field(&head, "host"), first_field(&head, "x-b")), (Some(&b"a"[..]), None));
    }
}
