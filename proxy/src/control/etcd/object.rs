//! One key and its value, to an object or to what is wrong with it.

use serde_json::{Map, Value as Json};

use super::{KEY_CHARS_SHOWN_MAX, VALUE_BYTES_MAX};
pub use crate::control::desired::Kind;
use crate::control::raw::text::{Fault, NAME};

/// One route or upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// As the key has it.
    pub name: String,
    /// The whole key, for messages.
    pub key: String,
    /// A JSON object, keys as in the config's table; `name` is in it, whether the value had it or not.
    pub value: Json,
}

/// The key of an object.
pub(super) fn key(prefix: &str, kind: Kind, name: &str) -> String {
    format!("{prefix}/{}/{name}", kind.folder())
}

/// What a key is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'k> {
    /// An object of ours.
    Object(Kind, &'k str),
    /// It is where objects are, but its name is none.
    Unnamed(String),
    /// Something else.
    Foreign,
}

/// Reads a key below `prefix`.
pub(super) fn place<'k>(prefix: &str, key: &'k [u8]) -> Place<'k> {
    let below = key.strip_prefix(prefix.as_bytes()).and_then(|it| it.strip_prefix(b"/"));
    let Some(below) = below else { return Place::Foreign };
    let ours = Kind::ALL.into_iter().find_map(|kind| {
        let name = below.strip_prefix(kind.folder().as_bytes())?.strip_prefix(b"/")?;
        Some((kind, name))
    });
    let Some((kind, name)) = ours else { return Place::Foreign };
    let Ok(name) = std::str::from_utf8(name) else {
        return Place::Unnamed("the name is not UTF-8".to_owned());
    };
    match (NAME.parse)(name) {
        Ok(_) => Place::Object(kind, name),
        Err(Fault { message, hint: Some(hint) }) => Place::Unnamed(format!("{message}: {hint}")),
        Err(Fault { message, hint: None }) => Place::Unnamed(message),
    }
}

/// Reads the value of the object `name`, and gives it that name.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn value(name: &str, bytes: &[u8]) -> Result<Json, String> {
    if bytes.len() > VALUE_BYTES_MAX {
        return Err(format!("the value has {} bytes, at most {VALUE_BYTES_MAX}", bytes.len()));
    }
    let json: Json = serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}"))?;
    let Json::Object(entries) = json else {
        return Err("expected a JSON object, found another value".to_owned());
    };
    named(name, entries)
}

fn named(name: &str, mut entries: Map<String, Json>) -> Result<Json, String> {
    match entries.get("name") {
        None => {
            entries.shift_insert(0, "name".to_owned(), Json::String(name.to_owned()));
        }
        Some(Json::String(given)) if given == name => {}
        Some(other) => {
            return Err(format!(
                "`name` is {other}, and the key says {name:?}: leave `name` out of the value"
            ));
        }
    }
    Ok(Json::Object(entries))
}

/// A key for people: what is not UTF-8 replaced, no control characters, cut to what a line can hold.
pub(super) fn shown(key: &[u8]) -> String {
    let plain = |it: char| if it.is_control() { char::REPLACEMENT_CHARACTER } else { it };
    let text = String::from_utf8_lossy(key.get(..KEY_CHARS_SHOWN_MAX * 4).unwrap_or(key));
    let mut text: String = text.chars().map(plain).collect();
    if let Some((cut, _)) = text.char_indices().nth(KEY_CHARS_SHOWN_MAX) {
        text.truncate(cut);
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        let place = |key: &'static str| place("/ringlane", key.as_bytes());
        assert_eq!(place("/ringlane/routes/app"), Place::Object(Kind::Route, "app"));
        assert_eq!(place("/ringlane/upstreams/a/b:1"), Place::Object(Kind::Upstream, "a/b:1"));
        assert!(matches!(place("/ringlane/routes/"), Place::Unnamed(_)));
        assert!(matches!(place("/ringlane/routes/a b"), Place::Unnamed(why) if why.contains("' '")));
        for foreign in ["/ringlane/routes", "/ringlane/route/a", "/ringlane2/routes/a", "/ringlane/", ""] {
            assert_eq!(place(foreign), Place::Foreign, "{foreign}");
        }
        assert!(matches!(super::place("/r", b"/r/routes/\xff"), Place::Unnamed(_)));
    }

    #[test]
    fn values_get_their_name() {
        let text = |result: Result<Json, String>| result.map(|it| it.to_string()).unwrap_or_else(|it| it);
        assert_eq!(text(value("a", b"{\"upstream\":\"x\"}")), r#"{"name":"a","upstream":"x"}"#);
        assert_eq!(text(value("a", b"{\"x\":1,\"name\":\"a\"}")), r#"{"x":1,"name":"a"}"#);
        assert!(text(value("a", b"{\"name\":\"b\"}")).contains("the key says \"a\""));
        assert!(text(value("a", b"{\"name\":1}")).contains("the key says \"a\""));
        assert!(text(value("a", b"[]")).contains("expected a JSON object"));
        assert!(text(value("a", b"{\"x\":")).starts_with("not JSON: EOF"));
        assert!(text(value("a", &vec![b' '; VALUE_BYTES_MAX + 1])).contains("at most"));
        assert!(text(value("a", "[".repeat(10_000).as_bytes())).starts_with("not JSON"));
    }

    #[test]
    fn a_key_fits_a_line() {
        assert_eq!(shown(b"/r/\xff\n"), "/r/\u{fffd}\u{fffd}");
        let long = shown("\u{e4}".repeat(100_000).as_bytes());
        assert_eq!(long.chars().count(), KEY_CHARS_SHOWN_MAX + 3);
    }
}
