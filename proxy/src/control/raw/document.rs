//! A config's text as a tree of nodes, each with its place.
//!
//! The reader (`spec`, `section`) sees only this tree, so TOML now and JSON later take the same way. A node is named
//! by a number; its span in the text and its key path are looked up when an error is written, not carried along.

use std::ops::Range;

use serde_json::Value as Json;
use toml::de::{DeArray, DeTable, DeValue};

/// A parsed config. Node 0 is the whole.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its number among the documents that one config is read from.
    part: usize,
    nodes: Vec<NodeData>,
    /// In the document of a default: the place in the text where the default holds.
    stands_at: Option<Place>,
}

/// A node, or its key, as something to point at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which document.
    pub(crate) part: usize,
    node: usize,
    on_key: bool,
}

/// A node with its document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'d> {
    document: &'d Document,
    id: usize,
}

#[derive(Debug)]
struct NodeData {
    parent: Option<usize>,
    step: Step,
    span: Range<usize>,
    key_span: Range<usize>,
    value: Value,
}

/// How a node is reached from its parent.
#[derive(Debug)]
enum Step {
    Root,
    Key(String),
    Index(usize),
}

/// What a node holds.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// Every TOML integer fits; one that doesn't fit is the largest.
    Integer(i128),
    Float(f64),
    Text(String),
    Datetime(String),
    List(Vec<usize>),
    Table(Vec<usize>),
}

impl Document {
    /// The tree of a parsed TOML document, the `part`-th of those that are read together.
    pub(crate) fn from_toml(root: &DeTable<'_>, part: usize) -> Document {
        let mut document = Document { part, nodes: Vec::new(), stands_at: None };
        let id = document.push(None, Step::Root, 0..0, 0..0);
        document.nodes[id].value = document.table(id, root);
        document
    }

    /// The tree of a JSON value. Its places have no spans, only key paths.
    pub(crate) fn from_json(root: &Json, part: usize) -> Document {
        let mut document = Document { part, nodes: Vec::new(), stands_at: None };
        let id = document.push(None, Step::Root, 0..0, 0..0);
        document.nodes[id].value = document.json(id, root);
        document
    }

    /// The tree of a key's default. All its places are `place`, which is in the document of the text.
    pub(crate) fn of_default(default: &Json, place: Place) -> Document {
        Document { stands_at: Some(place), ..Document::from_json(default, place.part) }
    }

    pub(crate) fn root(&self) -> Node<'_> {
        Node { document: self, id: 0 }
    }

    /// The node that `place` points at.
    pub(crate) fn at(&self, place: Place) -> Node<'_> {
        Node { document: self, id: place.node }
    }

    /// The bytes of the text that `place` points at.
    pub(crate) fn span(&self, place: Place) -> Range<usize> {
        let data = &self.nodes[place.node];
        if place.on_key { data.key_span.clone() } else { data.span.clone() }
    }

    /// The key path of `place`, as `listeners[0].timeouts`; empty for the whole.
    pub(crate) fn path(&self, place: Place) -> String {
        let mut steps = Vec::new();
        let mut at = Some(place.node);
        while let Some(id) = at {
            steps.push(&self.nodes[id].step);
            at = self.nodes[id].parent;
        }
        let mut path = String::new();
        for step in steps.into_iter().rev() {
            match step {
                Step::Root => {}
                Step::Key(key) => push_key(&mut path, key),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    /// The same as a JSON pointer (RFC 6901), as `/listeners/0/timeouts`.
    pub(crate) fn pointer(&self, place: Place) -> String {
        let (mut steps, mut at) = (Vec::new(), Some(place.node));
        while let Some(id) = at {
            match &self.nodes[id].step {
                Step::Root => {}
                Step::Key(key) => steps.push(key.replace('~', "~0").replace('/', "~1")),
                Step::Index(index) => steps.push(index.to_string()),
            }
            at = self.nodes[id].parent;
        }
        steps.iter().rev().map(|step| format!("/{step}")).collect()
    }

    fn push(
        &mut self,
        parent: Option<usize>,
        step: Step,
        span: Range<usize>,
        key_span: Range<usize>,
    ) -> usize {
        self.nodes.push(NodeData { parent, step, span, key_span, value: Value::Null });
        self.nodes.len() - 1
    }

    fn table(&mut self, parent: usize, table: &DeTable<'_>) -> Value {
        let mut entries: Vec<_> = table.iter().collect();
        // The parser sorts by name. Fields that are added keep the order in which they were written.
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut ids = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let step = Step::Key(key.get_ref().to_string());
            let id = self.push(Some(parent), step, value.span(), key.span());
            self.nodes[id].value = self.value(id, value.get_ref());
            ids.push(id);
        }
        Value::Table(ids)
    }

    fn list(&mut self, parent: usize, list: &DeArray<'_>) -> Value {
        let mut ids = Vec::new();
        for (index, value) in list.iter().enumerate() {
            let id = self.push(Some(parent), Step::Index(index), value.span(), value.span());
            self.nodes[id].value = self.value(id, value.get_ref());
            ids.push(id);
        }
        Value::List(ids)
    }

    fn value(&mut self, id: usize, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(integer) => {
                Value::Integer(i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i128::MAX))
            }
            DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(datetime) => Value::Datetime(datetime.to_string()),
            DeValue::Array(list) => self.list(id, list),
            DeValue::Table(table) => self.table(id, table),
        }
    }

    fn json(&mut self, id: usize, value: &Json) -> Value {
        match value {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => match number.as_i128() {
                Some(integer) => Value::Integer(integer),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => {
                let mut ids = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let child = self.push(Some(id), Step::Index(index), 0..0, 0..0);
                    self.nodes[child].value = self.json(child, item);
                    ids.push(child);
                }
                Value::List(ids)
            }
            Json::Object(entries) => {
                let mut ids = Vec::with_capacity(entries.len());
                for (key, item) in entries {
                    let child = self.push(Some(id), Step::Key(key.clone()), 0..0, 0..0);
                    self.nodes[child].value = self.json(child, item);
                    ids.push(child);
                }
                Value::Table(ids)
            }
        }
    }
}

/// Adds a key to a path, quoted as TOML would have it where it needs quotes.
fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    let bare =
        !key.is_empty() && key.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_' || it == b'-');
    if bare { path.push_str(key) } else { path.push_str(&format!("{key:?}")) }
}

impl<'d> Node<'d> {
    pub(crate) fn value(self) -> &'d Value {
        &self.document.nodes[self.id].value
    }

    /// Points at the value.
    pub(crate) fn place(self) -> Place {
        self.document.stands_at.unwrap_or(Place { part: self.document.part, node: self.id, on_key: false })
    }

    /// Points at the key.
    pub(crate) fn key_place(self) -> Place {
        self.document.stands_at.unwrap_or(Place { part: self.document.part, node: self.id, on_key: true })
    }

    /// The key that leads here; empty in a list.
    pub(crate) fn key(self) -> &'d str {
        match &self.document.nodes[self.id].step {
            Step::Key(key) => key,
            Step::Root | Step::Index(_) => "",
        }
    }

    /// The name that a TOML header has for this table: its keys without the places in lists.
    pub(crate) fn table_name(self) -> String {
        let (mut keys, mut at) = (Vec::new(), Some(self.id));
        while let Some(id) = at {
            let data = &self.document.nodes[id];
            if let Step::Key(key) = &data.step {
                keys.push(key.as_str());
            }
            at = data.parent;
        }
        keys.reverse();
        keys.join(".")
    }

    /// How many of the keys that lead here are among `keys`.
    pub(crate) fn depth_in(self, keys: &[&str]) -> usize {
        let (mut depth, mut at) = (0, Some(self.id));
        while let Some(id) = at {
            let data = &self.document.nodes[id];
            depth += usize::from(matches!(&data.step, Step::Key(key) if keys.contains(&key.as_str())));
            at = data.parent;
        }
        depth
    }

    /// Elements of a list or entries of a table; none for anything else.
    pub(crate) fn children(self) -> impl Iterator<Item = Node<'d>> {
        let ids: &[usize] = match self.value() {
            Value::List(ids) | Value::Table(ids) => ids,
            _ => &[],
        };
        ids.iter().map(move |id| Node { document: self.document, id: *id })
    }

    /// The entry of a table.
    pub(crate) fn get(self, key: &str) -> Option<Node<'d>> {
        self.children().find(|it| it.key() == key)
    }

    /// What kind of value it is, with its article.
    pub(crate) fn kind(self) -> &'static str {
        match self.value() {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Text(_) => "a string",
            Value::Datetime(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The value as JSON, as it was written.
    pub(crate) fn to_json(self) -> Json {
        match self.value() {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Integer(integer) => i64::try_from(*integer).map_or(Json::Null, Json::from),
            Value::Float(float) => Json::from(*float),
            Value::Text(text) | Value::Datetime(text) => Json::String(text.clone()),
            Value::List(_) => Json::Array(self.children().map(Node::to_json).collect()),
            Value::Table(_) => {
                Json::Object(self.children().map(|it| (it.key().to_owned(), it.to_json())).collect())
            }
        }
    }
}
