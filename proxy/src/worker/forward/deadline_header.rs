//! The time that is left for a request, as told by clients and to upstreams: a field with milliseconds.

use std::time::Duration;

use crate::http::RequestHead;

/// Digits of a time; what has more is no time.
const DIGITS_MAX: usize = 15;

/// The time for the whole request: the config's, or the client's word if that is less. A client can so give up sooner,
/// and is nobody's but its own loss; it can't have more time.
pub fn allowed(head: &RequestHead, name: &str, config: Option<Duration>) -> Option<Duration> {
    let same = |line: &&crate::http::Line| line.name(&head.raw).eq_ignore_ascii_case(name.as_bytes());
    let said = head.lines.iter().filter(same).filter_map(|line| millis(line.value(&head.raw)));
    said.chain(config).min()
}

fn millis(value: &[u8]) -> Option<Duration> {
    if value.is_empty() || value.len() > DIGITS_MAX || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(Duration::from_millis(std::str::from_utf8(value).ok()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::http::Spare;

    fn of(lines: &str, config: Option<u64>) -> Option<u128> {
        let mut buf = BytesMut::from(&*format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
        let head = RequestHead::at_once(&mut buf, 1024, 96, Spare::default())?;
        allowed(&head, "x-request-timeout", config.map(Duration::from_millis)).map(|it| it.as_millis())
    }

    #[test]
    fn a_client_can_have_less_time_but_not_more() {
        for (lines, config, expected) in [
            ("", None, None),
            ("", Some(500), Some(500)),
            ("X-Request-Timeout: 250\r\n", None, Some(250)),
            ("X-Request-Timeout: 250\r\n", Some(500), Some(250)),
            ("X-Request-Timeout: 900\r\n", Some(500), Some(500)),
            ("x-request-timeout: 0\r\n", Some(500), Some(0)),
            ("x-request-timeout: 300\r\nX-REQUEST-TIMEOUT: 200\r\n", None, Some(200)),
        ] {
            assert_eq!(of(lines, config), expected, "{lines} {config:?}");
        }
    }

    #[test]
    fn what_is_no_time_says_nothing() {
        for value in ["", "1s", "-1", "+1", "1.5", "0x10", "1 2", "9999999999999999", "\u{664}"] {
            assert_eq!(of(&format!("x-request-timeout: {value}\r\n"), Some(500)), Some(500), "{value}");
        }
    }
}
