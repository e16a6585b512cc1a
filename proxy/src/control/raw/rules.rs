//! Every key of a rule.

use http::{HeaderName, HeaderValue, Method};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value as Json;

use super::{
    document::{Node, Value},
    either::{Wanted, WantedSpec},
    findings::Findings,
    section::{Section, section, table},
    spec::{Flag, Item, List, Map, MapEntry, Spec, count, wrong_kind},
    text::{ANY, Fault, HEADER_NAME, HEADER_VALUE, HOST, METHOD, NAME, PATH, PATH_PREFIX, PATH_REGEX, Text},
};
use crate::{
    limits::RULE_DEPTH_MAX,
    route::{host::HostPattern, path::PathPattern},
    rule::{Network, Share},
};

section! {
    /// What is done about a request before it is routed. Rules are asked in the order of the file; the first that denies
    /// or drops a request is the last that is asked.
    pub(crate) struct Rule {
        /// Its name in logs and metrics; no two rules share one.
        name: String, required, NAME;
        /// What a request must be: all of these. Absent: any request.
        r#match: RuleMatch, optional, table::<RuleMatch>();
        /// Answer with this and go no further.
        deny: Deny, optional, table::<Deny>();
        /// true: close the connection without an answer.
        drop: bool, optional, Flag;
        /// What the request's line in the access log is like, if it has one.
        log: RuleLog, optional, table::<RuleLog>();
        /// A label of the request in the access log and in metrics.
        tag: String, optional, NAME;
    }
}

section! {
    /// What a request must be: all of these.
    pub(crate) struct RuleMatch {
        /// The client is in one of these networks: "10.0.0.0/8", "2001:db8::/32", "192.0.2.1". It is the other end of the
        /// socket, or whom its listener's proxy_protocol and client_address say. A client of a unix socket is in none.
        client: Vec<Item<Network>>, optional, List(NETWORK);
        /// One of these hosts: "example.com", or "*.example.com" for any name below it. Ports don't count.
        hosts: Vec<Item<HostPattern>>, optional, List(HOST);
        /// Exactly this path, perhaps with parameters: "/users/{id}", "/files/{*rest}".
        path: PathPattern, optional, PATH;
        /// This path and all below it, by whole segments: "/api" is not "/apix".
        path_prefix: PathPattern, optional, PATH_PREFIX;
        /// A regular expression found in the path, unanchored unless it says ^ and $.
        path_regex: PathPattern, optional, PATH_REGEX;
        /// One of these methods.
        methods: Vec<Item<Method>>, optional, List(METHOD);
        /// All of these header fields: x-a = "2", x-b = { present = true } (false: it is absent), x-c = { regex = "^a" }.
        headers: Vec<MapEntry<HeaderName, Wanted>>, optional, Map { keys: HEADER_NAME, values: WantedSpec };
        /// All of these query parameters, in the same form.
        query: Vec<MapEntry<String, Wanted>>, optional, Map { keys: ANY, values: WantedSpec };
        /// All of these tables, each with the keys of `match`.
        all: Vec<Item<Box<RuleMatch>>>, optional, List(Nested);
        /// At least one of these tables, each with the keys of `match`.
        any: Vec<Item<Box<RuleMatch>>>, optional, List(Nested);
        /// Not this, a table with the keys of `match`.
        not: Box<RuleMatch>, optional, Nested;
    }
}

section! {
    /// The answer to a request that goes no further.
    pub(crate) struct Deny {
        /// 400 to 599.
        status: u64, default(403), count(400, 599);
        /// The body.
        body: String, default(""), ANY;
        /// Content-Type, sent when there is a body.
        content_type: HeaderValue, default("text/plain; charset=utf-8"), HEADER_VALUE;
    }
}

section! {
    /// What a request's line in the access log is like. Of several rules that match, the first one's word counts.
    pub(crate) struct RuleLog {
        /// The part of the lines that are written, 0 to 1.
        sample: Share, default(1.0), Part;
        /// Header fields of the request that are added to the line, at most 16.
        headers: Vec<Item<HeaderName>>, default([]), List(HEADER_NAME);
    }
}

/// Addresses that begin alike, or one of them.
pub(crate) const NETWORK: Text<Network> = Text {
    what: "an address or a network as \"10.0.0.0/8\"",
    pattern: r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$",
    parse: |text| Network::parse(text).map_err(Fault::from),
};

/// Keys that hold conditions.
const COMBINED: [&str; 3] = ["all", "any", "not"];

/// Conditions within conditions, only so deep.
pub(crate) struct Nested;

impl Spec for Nested {
    type Out = Box<RuleMatch>;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<Box<RuleMatch>> {
        if node.depth_in(&COMBINED) > RULE_DEPTH_MAX {
            let made = findings.error(node.place(), format!("nested more than {RULE_DEPTH_MAX} deep"));
            made.hint("leave out a level: `not` of `not` is nothing, and `all` within `all` is one `all`");
            return None;
        }
        RuleMatch::read(node, findings).map(Box::new)
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<RuleMatch>()
    }

    fn in_force(&self, node: Node<'_>) -> Json {
        RuleMatch::in_force(node)
    }

    fn keys(&self) -> Vec<&'static str> {
        RuleMatch::KEYS.to_vec()
    }
}

/// A number from 0 to 1.
pub(crate) struct Part;

impl Spec for Part {
    type Out = Share;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<Share> {
        let part = match node.value() {
            Value::Float(part) => *part,
            Value::Integer(part) => *part as f64,
            _ => return wrong_kind(node, "a number from 0 to 1", findings),
        };
        // NaN is in no range.
        if !(0.0..=1.0).contains(&part) {
            let made = findings.error(node.place(), format!("{part} is out of range"));
            made.hint("from 0 (none) to 1 (all), as 0.01 for one in a hundred");
            return None;
        }
        Some(Share::new(part))
    }

    fn schema(&self, _: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}
