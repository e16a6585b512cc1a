//! One exchange as one line of JSON, appended to a buffer without allocating.
//!
//! Method, host and path are what clients sent, so every text is escaped and cut: no client can forge a line, steer a
//! terminal or fill the log.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{ids, noted, outcome::Outcome};

/// What is kept of a path, in bytes.
const PATH_BYTES_MAX: usize = 2048;
/// What is kept of any other text, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 256;
/// More than the longest line, in bytes: each of these texts at most six times as long when escaped, and the rest.
pub(super) const LINE_BYTES_MAX: usize =
    6 * (PATH_BYTES_MAX + 8 * (TEXT_BYTES_MAX + 3)) + 1024 + noted::BYTES_MAX + ids::BYTES_MAX;

/// One field of a line.
struct Field {
    /// Its name.
    name: &'static str,
    /// What stands before the value.
    key: &'static str,
    /// One sentence for people.
    help: &'static str,
    /// Appends the value.
    value: fn(&mut Vec<u8>, &Outcome<'_>),
}

macro_rules! fields {
    ($($name:literal $help:literal $value:expr;)+) => {
        /// Every field after the time, in the order of the line.
        const FIELDS: &[Field] = &[
            $(Field { name: $name, key: concat!(",\"", $name, "\":"), help: $help, value: $value },)+
        ];
    };
}

fields! {
    "client" "address of the client" |out, exchange| text(out, exchange.client, TEXT_BYTES_MAX);
    "listener" "name of the listener" |out, exchange| text(out, exchange.listener, TEXT_BYTES_MAX);
    "method" "as received" |out, exchange| text(out, exchange.method, TEXT_BYTES_MAX);
    "host" "as received" |out, exchange| text(out, exchange.host, TEXT_BYTES_MAX);
    "path" "as received, without the query, at most 2048 bytes" |out, exchange| text(out, exchange.path, PATH_BYTES_MAX);
    "protocol" "of the request" |out, exchange| text(out, protocol(exchange.version), TEXT_BYTES_MAX);
    "status" "sent to the client; 0: none was sent" |out, exchange| number(out, u64::from(exchange.status));
    "route" "name of the route, or null" |out, exchange| optional(out, exchange.route.map(|(_, name)| &**name));
    "upstream" "name of the upstream, or null" |out, exchange| optional(out, exchange.upstream);
    "endpoint" "address that answered or was tried last, or null" |out, exchange| optional(out, exchange.endpoint);
    "request_bytes" "head and body read from the client" |out, exchange| number(out, exchange.request_bytes);
    "response_bytes" "head and body written to the client" |out, exchange| number(out, exchange.response_bytes);
    "queue_us" "waiting for an upstream connection" |out, exchange| number(out, exchange.phases.queue_us);
    "connect_us" "opening an upstream connection" |out, exchange| number(out, exchange.phases.connect_us);
    "first_byte_us" "from the request going upstream to the first byte of the response head"
        |out, exchange| number(out, exchange.phases.first_byte_us);
    "total_us" "from the first byte of the request to the end" |out, exchange| number(out, exchange.phases.total_us);
    "overhead_us" "the total less all waiting for client and upstream"
        |out, exchange| number(out, exchange.phases.overhead_us);
    "attempts" "times that the request was sent upstream" |out, exchange| number(out, u64::from(exchange.attempts));
    "termination" "who ended the exchange and why" |out, exchange| text(out, exchange.termination.code(), TEXT_BYTES_MAX);
}

/// The table of log fields for the documentation.
pub fn log_fields_markdown() -> String {
    let mut table = String::from("| field | meaning |\n|---|---|\n");
    table.push_str("| `ts` | when the exchange ended, RFC 3339 in UTC with milliseconds |\n");
    for field in FIELDS {
        table.push_str(&format!("| `{}` | {} |\n", field.name, field.help));
    }
    table.push_str(noted::FIELDS_MARKDOWN);
    table.push_str(ids::FIELDS_MARKDOWN);
    table
}

/// Appends the line of one exchange, with its line end.
pub(super) fn write(out: &mut Vec<u8>, stamp: &mut Stamp, now: SystemTime, exchange: &Outcome<'_>) {
    out.extend_from_slice(b"{\"ts\":\"");
    out.extend_from_slice(stamp.at(now));
    out.push(b'"');
    for field in FIELDS {
        out.extend_from_slice(field.key.as_bytes());
        (field.value)(out, exchange);
    }
    if let Some(noted) = exchange.rules {
        noted::write(out, noted);
    }
    if let Some(ids) = exchange.ids {
        ids::write(out, ids);
    }
    out.extend_from_slice(b"}\n");
}

fn protocol(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_11 => "HTTP/1.1",
        _ => "other",
    }
}

fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn optional(out: &mut Vec<u8>, value: Option<&str>) {
    match value {
        Some(value) => text(out, value, TEXT_BYTES_MAX),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a JSON string: quotes, backslashes and all control characters (DEL and U+0080 to U+009F too, which some
/// terminals obey) escaped, cut to `bytes_max` at a character's boundary with an ellipsis to show it.
pub(super) fn text(out: &mut Vec<u8>, value: &str, bytes_max: usize) {
    let kept = &value[..value.floor_char_boundary(bytes_max)];
    out.push(b'"');
    // Nearly every text is plain. Looking at all of it, without stopping at the first find, is what the compiler can
    // do many bytes at a time.
    if kept.bytes().fold(false, |found, byte| found | perhaps_special(byte)) {
        escaped(out, kept.as_bytes());
    } else {
        out.extend_from_slice(kept.as_bytes());
    }
    if kept.len() < value.len() {
        out.extend_from_slice("\u{2026}".as_bytes());
    }
    out.push(b'"');
}

/// Whether a byte must be escaped, or starts a character that may have to be.
fn perhaps_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\') | (byte == 0x7F) | (byte == 0xC2)
}

/// Appends the UTF-8 text in `bytes`, escaped.
#[cold]
pub(super) fn escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut copied = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let special = match (byte, bytes.get(at + 1)) {
            (0xC2, Some(&next)) => (next < 0xA0).then_some((2, next)),
            _ => perhaps_special(byte).then_some((1, byte)),
        };
        let Some((length, code)) = special else {
            at += 1;
            continue;
        };
        out.extend_from_slice(&bytes[copied..at]);
        escape(out, code);
        at += length;
        copied = at;
    }
    out.extend_from_slice(&bytes[copied..]);
}

fn escape(out: &mut Vec<u8>, code: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match code {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(code >> 4)]);
            out.push(HEX[usize::from(code & 15)]);
        }
    }
}

/// The time as RFC 3339 in UTC with milliseconds. Formats date and time once a second, milliseconds each time.
#[derive(Debug)]
pub(super) struct Stamp {
    second: u64,
    text: [u8; 24],
}

impl Stamp {
    pub(super) fn new() -> Self {
        Self { second: u64::MAX, text: *b"1970-01-01T00:00:00.000Z" }
    }

    fn at(&mut self, now: SystemTime) -> &[u8] {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if since.as_secs() != self.second {
            self.second = since.as_secs();
            self.format_second();
        }
        digits(&mut self.text[20..23], since.subsec_millis());
        &self.text
    }

    fn format_second(&mut self) {
        let (year, month, day) = civil(self.second / 86_400);
        let second = (self.second % 86_400) as u32;
        digits(&mut self.text[0..4], year);
        digits(&mut self.text[5..7], month);
        digits(&mut self.text[8..10], day);
        digits(&mut self.text[11..13], second / 3600);
        digits(&mut self.text[14..16], second / 60 % 60);
        digits(&mut self.text[17..19], second % 60);
    }
}

/// A time as RFC 3339 in UTC, with milliseconds.
pub fn rfc3339(time: SystemTime) -> String {
    String::from_utf8_lossy(Stamp::new().at(time)).into_owned()
}

/// Writes `value` right-aligned with leading zeros.
fn digits(place: &mut [u8], mut value: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01 in the Gregorian calendar. Years are taken to start in March,
/// so that the leap day comes last and a 400-year era has a fixed length.
fn civil(days: u64) -> (u32, u32, u32) {
    let days = days + 719_468; // from 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
pub(super) mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::observe::{Phases, Termination};

    /// An exchange as any.
    pub(in crate::observe) fn sample(route: &Arc<str>) -> Outcome<'_> {
        Outcome {
            listener: "web",
            route: Some((3, route)),
            upstream: Some("app"),
            endpoint: Some("127.0.0.1:9000"),
            client: "127.0.0.1:50000",
            method: "GET",
            host: "example.com",
            path: "/",
            version: http::Version::HTTP_11,
            status: 200,
            termination: Termination::Ok,
            request_bytes: 80,
            response_bytes: 120,
            attempts: 1,
            phases: Phases { queue_us: 0, connect_us: 0, first_byte_us: 310, total_us: 350, overhead_us: 40 },
            rules: None,
            ids: None,
        }
    }

    fn line(exchange: &Outcome<'_>, millis: u64) -> String {
        let mut out = Vec::new();
        let now = UNIX_EPOCH + Duration::from_millis(millis);
        write(&mut out, &mut Stamp::new(), now, exchange);
        assert!(out.len() <= LINE_BYTES_MAX, "{}", out.len());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_has_every_field_in_order() {
        let route: Arc<str> = "main".into();
        let expected = concat!(
            r#"{"ts":"2024-02-29T12:34:56.789Z","client":"127.0.0.1:50000","listener":"web","method":"GET","#,
            r#""host":"example.com","path":"/","protocol":"HTTP/1.1","status":200,"route":"main","upstream":"app","#,
            r#""endpoint":"127.0.0.1:9000","request_bytes":80,"response_bytes":120,"queue_us":0,"connect_us":0,"#,
            r#""first_byte_us":310,"total_us":350,"overhead_us":40,"attempts":1,"termination":"--"}"#,
            "\n"
        );
        assert_eq!(line(&sample(&route), 1_709_210_096_789), expected);
    }

    #[test]
    fn what_clients_send_comes_back_out_of_a_json_parser() {
        let route: Arc<str> = "main".into();
        let hostile = [
            "/\"},{\"status\":200",
            "/a\\\"b\\\\",
            "/\r\n{\"ts\":\"forged\"}",
            "/\u{0}\u{1}\u{8}\u{c}\u{1b}[31m\u{7f}",
            "/\u{9b}31m\u{80}\u{9f}\u{a0}\u{e9}",
            "/\u{2028}\u{202e}\u{1f600}",
            "",
        ];
        for path in hostile {
            let text = line(&Outcome { path, host: path, method: path, ..sample(&route) }, 0);
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["path"], path);
            assert_eq!(value["host"], path);
            assert_eq!(value["method"], path);
        }
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let route: Arc<str> = "\u{1}".repeat(1000).into();
        let path = format!("/{}", "\u{e9}".repeat(5000));
        let long = "\u{7f}".repeat(100_000);
        let exchange = Outcome {
            path: &path,
            host: &long,
            method: &long,
            client: &long,
            listener: &long,
            upstream: Some(&long),
            endpoint: Some(&long),
            ..sample(&route)
        };
        let value: serde_json::Value = serde_json::from_str(&line(&exchange, 0)).unwrap();
        assert_eq!(value["path"], format!("/{}\u{2026}", "\u{e9}".repeat(1023)));
        assert_eq!(value["host"].as_str().unwrap().chars().count(), 257);
        assert!(
            line(&Outcome { path: &long, ..exchange }, 0).len() > 6 * (PATH_BYTES_MAX + 7 * TEXT_BYTES_MAX)
        );
    }

    #[test]
    fn nothing_known_is_null() {
        let route: Arc<str> = "main".into();
        let exchange = Outcome { route: None, upstream: None, endpoint: None, status: 0, ..sample(&route) };
        let value: serde_json::Value = serde_json::from_str(&line(&exchange, 0)).unwrap();
        assert!(value["route"].is_null() && value["upstream"].is_null() && value["endpoint"].is_null());
        assert_eq!(value["status"], 0);
    }

    #[test]
    fn dates_follow_the_calendar() {
        let mut stamp = Stamp::new();
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599_050, "2024-12-31T23:59:59.050Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            let text = stamp.at(UNIX_EPOCH + Duration::from_millis(millis));
            assert_eq!(std::str::from_utf8(text).unwrap(), expected);
        }
    }

    #[test]
    fn the_documentation_names_every_field() {
        let table = log_fields_markdown();
        assert_eq!(table.lines().count(), FIELDS.len() + 3 + 3 + 4);
    }
}
