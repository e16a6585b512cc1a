//! What a key may hold. One value of a `Spec` reads it, bounds it and describes it, so that the reader, the error
//! texts and the JSON schema can't say different things.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value as Json;

use super::{
    document::{Node, Place, Value},
    findings::Findings,
};

/// The kind of value that a key takes.
pub(crate) trait Spec {
    /// What it is read into.
    type Out;

    /// Reads the value. `None`: it is wrong, and `findings` says why.
    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<Self::Out>;

    /// Describes it for editors.
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema;

    /// The value with defaults filled in below it.
    fn in_force(&self, node: Node<'_>) -> Json {
        node.to_json()
    }

    /// Keys of the table that it is, or that its elements are: for "that key belongs there".
    fn keys(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// Records that `node` is of the wrong kind, with a hint where the cure is plain. Always `None`.
pub(crate) fn wrong_kind<T>(node: Node<'_>, expected: &str, findings: &mut Findings) -> Option<T> {
    let made = findings.error(node.place(), format!("expected {expected}, found {}", node.kind()));
    match node.value() {
        Value::Bool(flag) if expected.contains("string") => made.hint(format!("quote it: \"{flag}\"")),
        Value::Integer(number) if expected.contains("string") => made.hint(format!("quote it: \"{number}\"")),
        Value::Float(number) if expected.contains("string") => made.hint(format!("quote it: \"{number}\"")),
        Value::Text(text) if expected.contains("integer") && text.parse::<i64>().is_ok() => {
            made.hint(format!("leave out the quotes: {text}"));
        }
        Value::Text(text) if expected.contains("boolean") && (text == "true" || text == "false") => {
            made.hint(format!("leave out the quotes: {text}"));
        }
        Value::Text(text) if expected.contains("boolean") && matches!(text.as_str(), "on" | "yes") => {
            made.hint("write true");
        }
        Value::Text(text) if expected.contains("boolean") && matches!(text.as_str(), "off" | "no") => {
            made.hint("write false");
        }
        _ => {}
    }
    None
}

/// `true` or `false`.
pub(crate) struct Flag;

impl Spec for Flag {
    type Out = bool;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<bool> {
        match node.value() {
            Value::Bool(flag) => Some(*flag),
            _ => wrong_kind(node, "a boolean (true or false)", findings),
        }
    }

    fn schema(&self, _: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

/// An integer within bounds, both included.
pub(crate) struct Count {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

pub(crate) const fn count(min: u64, max: u64) -> Count {
    Count { min, max }
}

impl Spec for Count {
    type Out = u64;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<u64> {
        let Value::Integer(number) = node.value() else {
            return wrong_kind(node, "an integer", findings);
        };
        match u64::try_from(*number) {
            Ok(number) if (self.min..=self.max).contains(&number) => Some(number),
            _ => {
                let made = findings.error(node.place(), format!("{number} is out of range"));
                made.hint(format!("from {} to {}", self.min, self.max));
                None
            }
        }
    }

    fn schema(&self, _: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": self.min, "maximum": self.max })
    }
}

/// One of a few words.
pub(crate) struct Choice<T: 'static>(pub(crate) &'static [(&'static str, T)]);

impl<T: Copy> Spec for Choice<T> {
    type Out = T;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<T> {
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        let Value::Text(text) = node.value() else {
            return wrong_kind(node, &format!("a string, {}", one_of(&words)), findings);
        };
        if let Some((_, value)) = self.0.iter().find(|(word, _)| word == text) {
            return Some(*value);
        }
        let made = findings.error(node.place(), format!("expected {}, found {text:?}", one_of(&words)));
        if let Some(nearest) = super::suggest::nearest(text, &words) {
            made.hint(format!("did you mean \"{nearest}\"?"));
        }
        None
    }

    fn schema(&self, _: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        json_schema!({ "type": "string", "enum": words })
    }
}

/// `"a"`, `"a" or "b"`, `one of "a", "b", "c"`.
fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|it| format!("\"{it}\"")).collect();
    match quoted.as_slice() {
        [only] => only.clone(),
        [one, other] => format!("{one} or {other}"),
        _ => format!("one of {}", quoted.join(", ")),
    }
}

/// `word` for `None`, else what `spec` takes: an optional limit that can be `"off"`.
pub(crate) struct Or<S> {
    pub(crate) word: &'static str,
    pub(crate) spec: S,
}

pub(crate) const fn off_or<S: Spec>(spec: S) -> Or<S> {
    Or { word: "off", spec }
}

pub(crate) const fn auto_or<S: Spec>(spec: S) -> Or<S> {
    Or { word: "auto", spec }
}

impl<S: Spec> Spec for Or<S> {
    type Out = Option<S::Out>;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<Option<S::Out>> {
        match node.value() {
            Value::Text(text) if text == self.word => Some(None),
            Value::Bool(false) if self.word == "off" => {
                let made = findings.error(node.place(), "expected a limit or \"off\", found a boolean");
                made.hint("write \"off\"");
                None
            }
            _ => self.spec.read(node, findings).map(Some),
        }
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let (word, other) = (self.word, self.spec.schema(generator));
        json_schema!({ "anyOf": [{ "const": word }, other] })
    }
}

/// A list, each element read by itself.
pub(crate) struct List<S>(pub(crate) S);

/// An element with its place.
#[derive(Debug, Clone)]
pub(crate) struct Item<T> {
    /// `None`: it was wrong, which has been said.
    pub(crate) value: Option<T>,
    pub(crate) place: Place,
}

impl<S: Spec> Spec for List<S> {
    type Out = Vec<Item<S::Out>>;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<Self::Out> {
        match node.value() {
            Value::List(_) => {
                let read = |it: Node<'_>| Item { value: self.0.read(it, findings), place: it.place() };
                Some(node.children().map(read).collect())
            }
            Value::Table(_) if !self.0.keys().is_empty() => {
                let made = findings.error(node.key_place(), "expected a list of tables, found one table");
                made.hint(format!("write [[{0}]] with two brackets, once for each of the {0}", node.key()));
                None
            }
            Value::Text(text) => {
                let made = findings.error(node.place(), "expected a list, found a string");
                made.hint(format!("put it in brackets: [{text:?}]"));
                None
            }
            _ => wrong_kind(node, "a list", findings),
        }
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let items = self.0.schema(generator);
        json_schema!({ "type": "array", "items": items })
    }

    fn in_force(&self, node: Node<'_>) -> Json {
        Json::Array(node.children().map(|it| self.0.in_force(it)).collect())
    }

    fn keys(&self) -> Vec<&'static str> {
        self.0.keys()
    }
}

/// One value, or a list of them.
pub(crate) struct OneOrMore<S>(pub(crate) S);

impl<S: Spec> Spec for OneOrMore<S> {
    type Out = Vec<S::Out>;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<Self::Out> {
        match node.value() {
            Value::List(_) => {
                let read: Vec<_> = node.children().map(|it| self.0.read(it, findings)).collect();
                read.into_iter().collect()
            }
            _ => self.0.read(node, findings).map(|it| vec![it]),
        }
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let one = self.0.schema(generator);
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// A table whose keys are the user's own, as header names are.
pub(crate) struct Map<K, S> {
    pub(crate) keys: K,
    pub(crate) values: S,
}

/// Reads a key of a `Map`.
pub(crate) trait KeySpec {
    /// What it is read into.
    type Out;

    /// Reads the key of `node`. `None`: it is wrong, and `findings` says why.
    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<Self::Out>;
}

/// An entry of a `Map`, in the order of the file.
#[derive(Debug, Clone)]
pub(crate) struct MapEntry<K, T> {
    pub(crate) key: Option<K>,
    pub(crate) value: Option<T>,
    /// The key's place.
    pub(crate) place: Place,
}

impl<K: KeySpec, S: Spec> Spec for Map<K, S> {
    type Out = Vec<MapEntry<K::Out, S::Out>>;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<Self::Out> {
        if !matches!(node.value(), Value::Table(_)) {
            return wrong_kind(node, "a table", findings);
        }
        let mut entries = Vec::new();
        for child in node.children() {
            let key = self.keys.read(child, findings);
            entries.push(MapEntry {
                key,
                value: self.values.read(child, findings),
                place: child.key_place(),
            });
        }
        Some(entries)
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let values = self.values.schema(generator);
        json_schema!({ "type": "object", "additionalProperties": values })
    }
}
