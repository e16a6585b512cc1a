//! Tables whose keys we know. One declaration gives a table's reader, its errors for unknown and missing keys, its
//! defaults and its JSON schema.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map as JsonMap, Value as Json};

use super::{
    document::{Document, Node, Place, Value},
    findings::Findings,
    spec::{Spec, wrong_kind},
    suggest,
};

/// A key of a section as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Field<T> {
    /// `None`: an optional key that is not there, or a wrong value, which has been said.
    pub(crate) value: Option<T>,
    /// The value's place; of a key that is not there, the section's.
    pub(crate) place: Place,
    /// It is in the text, right or wrong.
    pub(crate) given: bool,
}

/// What holds when a key is not there.
pub(crate) enum Presence {
    /// An error.
    Required,
    /// Nothing.
    Optional,
    /// This, as if it had been written.
    Default(Json),
}

/// What a section's declaration says of one key.
pub(crate) struct KeyInfo {
    pub(crate) name: &'static str,
    pub(crate) doc: String,
    pub(crate) presence: Presence,
    pub(crate) schema: Schema,
}

/// A table whose keys we know; made by `section!`.
pub(crate) trait Section: Sized + JsonSchema {
    /// Its keys, in the order of the declaration.
    const KEYS: &'static [&'static str];

    /// Reads it. `None`: it is no table.
    fn read(node: Node<'_>, findings: &mut Findings) -> Option<Self>;

    /// All its keys, with what was written or what holds instead.
    fn in_force(node: Node<'_>) -> Json;

    /// For each key that is a table itself: its name and its own keys.
    fn tables() -> Vec<(&'static str, Vec<&'static str>)>;
}

/// A key that holds a section.
pub(crate) struct Table<T>(std::marker::PhantomData<T>);

pub(crate) const fn table<T: Section>() -> Table<T> {
    Table(std::marker::PhantomData)
}

impl<T: Section> Spec for Table<T> {
    type Out = T;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<T> {
        T::read(node, findings)
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }

    fn in_force(&self, node: Node<'_>) -> Json {
        T::in_force(node)
    }

    fn keys(&self) -> Vec<&'static str> {
        T::KEYS.to_vec()
    }
}

/// Reads one section's table.
pub(crate) struct Reader<'d, 'f> {
    node: Node<'d>,
    findings: &'f mut Findings,
}

impl<'d, 'f> Reader<'d, 'f> {
    pub(crate) fn open(node: Node<'d>, findings: &'f mut Findings) -> Option<Self> {
        match node.value() {
            Value::Table(_) => Some(Reader { node, findings }),
            Value::List(_) if !node.key().is_empty() => {
                let made = findings.error(node.key_place(), "expected one table, found a list");
                made.hint(format!("write [{}] with one bracket", node.key()));
                None
            }
            _ => wrong_kind(node, "a table", findings),
        }
    }

    /// Reads the entry `key`. `doc` is its description.
    pub(crate) fn field<T: Section, S: Spec>(
        &mut self,
        key: &'static str,
        doc: &[&str],
        presence: Presence,
        spec: &S,
    ) -> Field<S::Out> {
        if let Some(child) = self.node.get(key) {
            return Field { value: spec.read(child, self.findings), place: child.place(), given: true };
        }
        let place = self.node.place();
        let value = match presence {
            Presence::Required => {
                self.missing::<T>(key, doc, !spec.keys().is_empty());
                None
            }
            Presence::Optional => None,
            // Defaults are our own; a test reads every one of them.
            Presence::Default(json) => {
                let default = Document::of_default(&json, place);
                spec.read(default.root(), &mut Findings::default())
            }
        };
        Field { value, place, given: false }
    }

    fn missing<T: Section>(&mut self, key: &'static str, doc: &[&str], is_tables: bool) {
        // A misspelt key is reported as such, once.
        let unknown = |it: &Node<'_>| !T::KEYS.contains(&it.key());
        let misspelt = |it: Node<'_>| suggest::nearest(it.key(), T::KEYS) == Some(key);
        if self.node.children().filter(unknown).any(misspelt) {
            return;
        }
        let (what, hint) = if is_tables {
            (format!("there are no {key}"), format!("add a table [[{key}]]"))
        } else {
            ("missing key".to_owned(), doc_text(doc))
        };
        self.findings.error(self.node.place(), what).below(key).hint(hint);
    }

    /// Finds keys that are not among those of `T`. True when there are any.
    pub(crate) fn close<T: Section>(self) -> bool {
        let mut any = false;
        for child in self.node.children().filter(|it| !T::KEYS.contains(&it.key())) {
            let hint = hint_for_unknown::<T>(child.key(), &self.node.table_name());
            self.findings.error(child.key_place(), "unknown key").hint(hint);
            any = true;
        }
        any
    }
}

/// What may have been meant by `key` in the table that TOML calls `table` (empty: the whole file).
fn hint_for_unknown<T: Section>(key: &str, table: &str) -> String {
    if let Some(meant) = suggest::nearest(key, T::KEYS) {
        return format!("did you mean `{meant}`?");
    }
    let below = |name: &str| if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
    let tables = T::tables();
    if let Some((name, _)) = tables.iter().find(|(_, keys)| keys.contains(&key)) {
        return format!("put it into [{}]", below(name));
    }
    for (name, keys) in &tables {
        if let Some(meant) = suggest::nearest(key, keys) {
            return format!("did you mean `{meant}` in [{}]?", below(name));
        }
    }
    format!("the keys here are {}", T::KEYS.join(", "))
}

/// What `in_force` shows for one key.
pub(crate) fn fill<S: Spec>(
    shown: &mut JsonMap<String, Json>,
    node: Node<'_>,
    key: &str,
    presence: Presence,
    spec: &S,
) {
    match (node.get(key), presence) {
        (Some(child), _) => {
            shown.insert(key.to_owned(), spec.in_force(child));
        }
        (None, Presence::Default(json)) => {
            let default = Document::from_json(&json, 0);
            shown.insert(key.to_owned(), spec.in_force(default.root()));
        }
        (None, Presence::Required | Presence::Optional) => {}
    }
}

/// The schema of a section from its keys.
pub(crate) fn section_schema(doc: &str, keys: Vec<KeyInfo>) -> Schema {
    let mut properties = JsonMap::new();
    let mut required = Vec::new();
    for key in keys {
        let mut schema = key.schema.to_value();
        if let Json::Object(entries) = &mut schema {
            entries.insert("description".to_owned(), Json::String(key.doc));
            if let Presence::Default(default) = &key.presence {
                entries.insert("default".to_owned(), default.clone());
            }
        }
        properties.insert(key.name.to_owned(), schema);
        if matches!(key.presence, Presence::Required) {
            required.push(key.name);
        }
    }
    let mut schema = json_schema!({
        "type": "object", "description": doc, "properties": properties, "additionalProperties": false,
    });
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    schema
}

/// A doc comment's lines as one text.
pub(crate) fn doc_text(lines: &[&str]) -> String {
    lines.iter().map(|it| it.trim()).collect::<Vec<_>>().join(" ")
}

/// Declares a section: `key: Type, presence, spec;` for each key, with its doc comment as its description.
/// `presence` is `required`, `optional` or `default(the value as JSON)`.
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        pub(crate) struct $Name:ident {
            $( $(#[doc = $key_doc:literal])* $key:ident: $T:ty, $presence:ident $(($($default:tt)*))?, $spec:expr; )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        pub(crate) struct $Name {
            /// Where it is.
            #[allow(dead_code, reason = "not every section is pointed at as a whole")]
            pub(crate) place: $crate::control::raw::document::Place,
            /// It has keys that are not known: what seems to be missing may only be misspelt.
            #[allow(dead_code, reason = "not every section can miss something")]
            pub(crate) misspelt: bool,
            $( $(#[doc = $key_doc])* pub(crate) $key: $crate::control::raw::section::Field<$T>, )*
        }

        impl $crate::control::raw::section::Section for $Name {
            const KEYS: &'static [&'static str] = &[$( $crate::control::raw::section::key_name(stringify!($key)) ),*];

            fn read(
                node: $crate::control::raw::document::Node<'_>,
                findings: &mut $crate::control::raw::findings::Findings,
            ) -> Option<Self> {
                let mut reader = $crate::control::raw::section::Reader::open(node, findings)?;
                let mut read = $Name {
                    place: node.place(),
                    misspelt: false,
                    $( $key: reader.field::<Self, _>(
                        $crate::control::raw::section::key_name(stringify!($key)),
                        &[$($key_doc),*],
                        $crate::control::raw::section::presence!($presence $(($($default)*))?),
                        &$spec,
                    ), )*
                };
                read.misspelt = reader.close::<Self>();
                Some(read)
            }

            fn in_force(node: $crate::control::raw::document::Node<'_>) -> serde_json::Value {
                let mut shown = serde_json::Map::new();
                $( $crate::control::raw::section::fill(
                    &mut shown,
                    node,
                    $crate::control::raw::section::key_name(stringify!($key)),
                    $crate::control::raw::section::presence!($presence $(($($default)*))?),
                    &$spec,
                ); )*
                serde_json::Value::Object(shown)
            }

            fn tables() -> Vec<(&'static str, Vec<&'static str>)> {
                use $crate::control::raw::spec::Spec as _;
                let keys = vec![$(
                    ($crate::control::raw::section::key_name(stringify!($key)), $spec.keys())
                ),*];
                keys.into_iter().filter(|(_, keys)| !keys.is_empty()).collect()
            }
        }

        impl schemars::JsonSchema for $Name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($Name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                use $crate::control::raw::spec::Spec as _;
                let keys = vec![$( $crate::control::raw::section::KeyInfo {
                    name: $crate::control::raw::section::key_name(stringify!($key)),
                    doc: $crate::control::raw::section::doc_text(&[$($key_doc),*]),
                    presence: $crate::control::raw::section::presence!($presence $(($($default)*))?),
                    schema: $spec.schema(generator),
                } ),*];
                let doc = $crate::control::raw::section::doc_text(&[$($doc),*]);
                $crate::control::raw::section::section_schema(&doc, keys)
            }
        }
    };
}

/// A `Presence` from the word in a declaration.
macro_rules! presence {
    (required) => { $crate::control::raw::section::Presence::Required };
    (optional) => { $crate::control::raw::section::Presence::Optional };
    (default($($json:tt)*)) => { $crate::control::raw::section::Presence::Default(serde_json::json!($($json)*)) };
}

pub(crate) use {presence, section};

/// A key's name from its identifier: `match` can only be written `r#match` in Rust.
pub(crate) const fn key_name(identifier: &'static str) -> &'static str {
    match identifier.as_bytes() {
        [b'r', b'#', ..] => identifier.split_at(2).1,
        _ => identifier,
    }
}
