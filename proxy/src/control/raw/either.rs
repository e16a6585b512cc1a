//! Values that are a string in the plain case and a table when there is more to say.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value as Json, json};

use super::{
    document::{Node, Place, Value},
    findings::Findings,
    section::{Section, section},
    spec::{Choice, Flag, Spec, count, wrong_kind},
    text::{ENDPOINT, VALUE_REGEX},
};
use crate::{control::config::Target, route::predicate::ValuePattern};

section! {
    /// One address of an upstream, with more to say about it than where it is.
    pub(crate) struct EndpointTable {
        /// "HOST:PORT", "ADDRESS:PORT" or "unix:/PATH". Each address of a name is an endpoint of its own.
        address: Target, required, ENDPOINT;
        /// Share of the requests, 0 to 1000. 0: none but those of clients that `sticky` keeps there.
        weight: u64, default(1), count(0, 1000);
        /// Asked only when no endpoint can be asked that is none.
        backup: bool, default(false), Flag;
    }
}

/// `"127.0.0.1:9000"`, or `{ address = "127.0.0.1:9000", weight = 2 }`.
pub(crate) struct EndpointSpec;

/// An endpoint as it was read.
#[derive(Debug, Clone)]
pub(crate) struct RawEndpoint {
    pub(crate) target: Option<Target>,
    pub(crate) weight: Option<u64>,
    pub(crate) backup: Option<bool>,
    /// The address's place.
    pub(crate) place: Place,
}

impl Spec for EndpointSpec {
    type Out = RawEndpoint;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<RawEndpoint> {
        match node.value() {
            Value::Text(_) => {
                let target = ENDPOINT.read(node, findings);
                Some(RawEndpoint { target, weight: Some(1), backup: Some(false), place: node.place() })
            }
            Value::Table(_) => {
                let read = EndpointTable::read(node, findings)?;
                let place = read.address.place;
                let (weight, backup) = (read.weight.value, read.backup.value);
                Some(RawEndpoint { target: read.address.value, weight, backup, place })
            }
            _ => {
                wrong_kind(node, "a string (\"HOST:PORT\") or a table { address, weight, backup }", findings)
            }
        }
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let (text, table) = (ENDPOINT.schema(generator), generator.subschema_for::<EndpointTable>());
        json_schema!({ "anyOf": [text, table] })
    }

    fn in_force(&self, node: Node<'_>) -> Json {
        match node.value() {
            Value::Table(_) => EndpointTable::in_force(node),
            _ => json!({ "address": node.to_json(), "weight": 1, "backup": false }),
        }
    }
}

section! {
    /// A condition on a value that is not plain equality. One of the two.
    pub(crate) struct ValueTable {
        /// true: it is there, with any value. false, in rules alone: it is not.
        present: bool, optional, Flag;
        /// A regular expression found in it, unanchored unless it says ^ and $.
        regex: ValuePattern, optional, VALUE_REGEX;
    }
}

/// What a value must be.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// Like this.
    Is(ValuePattern),
    /// Not there; the place says so.
    Absent(Place),
}

/// `"2"` for exactly that, `{ present = true }`, `{ present = false }`, or `{ regex = "^a" }`.
pub(crate) struct WantedSpec;

impl Spec for WantedSpec {
    type Out = Wanted;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<Wanted> {
        match node.value() {
            Value::Text(text) => Some(Wanted::Is(ValuePattern::Exact(text.as_str().into()))),
            Value::Table(_) => {
                let read = ValueTable::read(node, findings)?;
                match (read.present.given, read.regex.given) {
                    (true, true) => {
                        let made = findings.error(node.place(), "both `present` and `regex`");
                        made.hint("a value that matches is present: leave out `present`");
                        None
                    }
                    (false, false) if read.misspelt => None,
                    (false, false) => {
                        let made = findings.error(node.place(), "neither `present` nor `regex`");
                        made.hint("write { present = true } or { regex = \"^a\" }");
                        None
                    }
                    (false, true) => read.regex.value.map(Wanted::Is),
                    (true, false) => read.present.value.map(|present| match present {
                        true => Wanted::Is(ValuePattern::Present),
                        false => Wanted::Absent(read.present.place),
                    }),
                }
            }
            _ => wrong_kind(node, "a string, { present = true } or { regex = \"...\" }", findings),
        }
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<ValueTable>();
        json_schema!({ "anyOf": [{ "type": "string" }, table] })
    }
}

/// The same where a value has to be there: of a route.
pub(crate) struct ValueSpec;

impl Spec for ValueSpec {
    type Out = ValuePattern;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<ValuePattern> {
        match WantedSpec.read(node, findings)? {
            Wanted::Is(pattern) => Some(pattern),
            Wanted::Absent(place) => {
                let made = findings.error(place, "absence is not a condition");
                made.hint("give the requests that have it a route of their own; it is tried first");
                None
            }
        }
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        WantedSpec.schema(generator)
    }
}

/// One of a few numbers.
pub(crate) struct Numbers(pub(crate) &'static [u64]);

impl Spec for Numbers {
    type Out = u64;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<u64> {
        let Value::Integer(number) = node.value() else {
            return wrong_kind(node, "an integer", findings);
        };
        let good = self.0.iter().copied().find(|it| i128::from(*it) == *number);
        if good.is_none() {
            let all: Vec<String> = self.0.iter().map(u64::to_string).collect();
            findings
                .error(node.place(), format!("{number} can't be used here"))
                .hint(format!("one of {}", all.join(", ")));
        }
        good
    }

    fn schema(&self, _: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "enum": self.0 })
    }
}

/// `"off"`, `"stdout"` or a file's path.
pub(crate) struct AccessLogPath;

impl Spec for AccessLogPath {
    type Out = crate::control::config::AccessLog;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<Self::Out> {
        use crate::control::config::AccessLog;
        match node.value() {
            Value::Text(text) if text == "off" => Some(AccessLog::Off),
            Value::Text(text) if text == "stdout" => Some(AccessLog::Stdout),
            Value::Text(text) if text.is_empty() || text.contains('\0') || text == "stderr" => {
                let made =
                    findings.error(node.place(), format!("{text:?} is not a place for the access log"));
                made.hint("\"off\", \"stdout\" or a file's path (stderr is for the program's own log)");
                None
            }
            Value::Text(text) => Some(AccessLog::File(text.into())),
            _ => wrong_kind(node, "a string (\"off\", \"stdout\" or a file's path)", findings),
        }
    }

    fn schema(&self, _: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "examples": ["off", "stdout", "/var/log/ringlane/access.jsonl"] })
    }
}

/// `http` or `https`.
pub(crate) const SCHEME: Choice<&'static str> = Choice(&[("http", "http"), ("https", "https")]);
