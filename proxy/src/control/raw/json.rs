//! JSON as the config's other syntax. A key that is given twice is an error, as in TOML: nobody can say which one is
//! meant, and another program may take the other one.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

use crate::control::error::ConfigError;

/// Reads one JSON value that came from `from`. Deeper than 128 is an error.
///
/// # Errors
/// It is not JSON; with its line and column.
pub(crate) fn parse(bytes: &[u8], from: &str) -> Result<Json, Box<ConfigError>> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let message = format!("not JSON: {}", text.strip_suffix(&place).unwrap_or(&text));
        let (line, column) = (error.line().max(1), error.column().max(1));
        Box::new(ConfigError { line, column, ..ConfigError::of_file(from, message, None) })
    })
}

#[derive(Clone, Copy)]
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Json, E> {
        Ok(flag.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(text.into())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Json, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key {key:?} is given twice")));
            }
            let value = entries.next_value_seed(self)?;
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &[u8]) -> String {
        parse(text, "PUT /x").map_or_else(|error| error.to_string(), |value| value.to_string())
    }

    #[test]
    fn good_json_is_as_serde_json_reads_it() {
        for text in ["null", "[true,1,-2,3.5,\"a\\u00e9\",{}]", "{\"a\":{\"b\":[]},\"c\":\"\"}"] {
            let same: Json = serde_json::from_str(text).unwrap();
            assert_eq!(said(text.as_bytes()), same.to_string());
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, wanted) in [
            ("", "PUT /x:1:1: not JSON: EOF while parsing a value"),
            ("{\n  \"a\": 1,\n  \"a\": 2\n}", "PUT /x:3:5: not JSON: the key \"a\" is given twice"),
            ("{\"a\":[{\"b\":1,\"b\":1}]}", "PUT /x:1:16: not JSON: the key \"b\" is given twice"),
            ("{} {}", "PUT /x:1:4: not JSON: trailing characters"),
            ("{a: 1}", "PUT /x:1:2: not JSON: key must be a string"),
            ("[1e999]", "PUT /x:1:6: not JSON: number out of range"),
        ] {
            assert_eq!(said(text.as_bytes()), wanted);
        }
        assert!(said(b"\"\xff\"").contains("not JSON"));
        assert!(said("[".repeat(200).as_bytes()).contains("recursion limit exceeded"));
    }
}
