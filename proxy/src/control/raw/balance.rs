//! What balances an upstream's load beyond the name of the algorithm: keys of requests, cookies.

use std::{path::PathBuf, time::Duration};

use http::HeaderName;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::{
    document::{Node, Value},
    findings::Findings,
    quantity::time_from,
    section::section,
    spec::{Spec, off_or, wrong_kind},
    text::{FILE, Fault, Text},
};
use crate::upstream::hash::HashKey;

/// How many times its share an endpoint may have.
const OVERLOAD_MAX: f64 = 100.0;
/// Bytes of a cookie's or a query parameter's name.
const NAME_BYTES_MAX: usize = 256;

section! {
    /// What `balance = "hash"` goes by.
    pub(crate) struct Hash {
        /// "client" for the client's address, "path", "header:NAME", "cookie:NAME" or "query:NAME". Requests without it go
        /// where the load is less.
        key: HashKey, default("client"), KEY;
        /// An endpoint that would have more than so many times its share of the requests under way leaves this one to the
        /// next, 1 to 100. "off": it never does.
        overload: Option<u32>, default(1.25), off_or(Overload);
    }
}

section! {
    /// A cookie that brings a client back to its endpoint.
    pub(crate) struct Sticky {
        /// The cookie's name.
        cookie: String, required, COOKIE;
        /// A file with the secret that cookies are signed with, 32 bytes to 4 KiB, read with the config.
        secret_file: PathBuf, required, FILE;
        /// How long clients keep the cookie, in whole seconds. "off": until they end.
        max_age: Option<Duration>, default("off"), off_or(time_from(Duration::from_secs(1)));
    }
}

const KEY: Text<HashKey> = Text {
    what: "\"client\", \"path\", \"header:NAME\", \"cookie:NAME\" or \"query:NAME\"",
    pattern: r"^(client|path|(header|cookie|query):.+)$",
    parse: parse_key,
};

fn parse_key(text: &str) -> Result<HashKey, Fault> {
    let fault = |hint: &str| Fault::new(format!("{text:?} is not a key of requests"), hint);
    let (kind, name) = match text {
        "client" => return Ok(HashKey::Client),
        "path" => return Ok(HashKey::Path),
        _ => text.split_once(':').unwrap_or((text, "")),
    };
    if !["header", "cookie", "query"].contains(&kind) {
        return Err(fault("\"client\", \"path\", \"header:NAME\", \"cookie:NAME\" or \"query:NAME\""));
    }
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(fault(&format!("a name follows, of at most {NAME_BYTES_MAX} bytes: \"{kind}:NAME\"")));
    }
    match kind {
        "header" => HeaderName::from_bytes(name.as_bytes())
            .map(|name| HashKey::Header(name.as_str().into()))
            .map_err(|_| fault("after \"header:\" the name of a header field")),
        "cookie" => Ok(HashKey::Cookie(parse_cookie(name)?.into())),
        _ => Ok(HashKey::Query(name.into())),
    }
}

const COOKIE: Text<String> =
    Text { what: "a cookie's name", pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", parse: parse_cookie };

/// A token, as header names are (RFC 6265 section 4.1.1), but its case matters.
fn parse_cookie(text: &str) -> Result<String, Fault> {
    let is_token = HeaderName::from_bytes(text.as_bytes()).is_ok() && text.len() <= NAME_BYTES_MAX;
    if !is_token {
        return Err(Fault::new(
            format!("{text:?} is not a cookie's name"),
            format!("letters, digits and - _ and a few other signs, at most {NAME_BYTES_MAX} bytes"),
        ));
    }
    Ok(text.to_owned())
}

/// A number from 1 to 100, read into thousandths.
pub(crate) struct Overload;

impl Spec for Overload {
    type Out = u32;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<u32> {
        let factor = match node.value() {
            Value::Float(factor) => *factor,
            Value::Integer(factor) => *factor as f64,
            _ => return wrong_kind(node, "a number from 1 to 100, or \"off\"", findings),
        };
        // NaN is in no range.
        if !(1.0..=OVERLOAD_MAX).contains(&factor) {
            let made = findings.error(node.place(), format!("{factor} is out of range"));
            made.hint("from 1 (nobody has more than its share) to 100, as 1.25; \"off\" for no bound");
            return None;
        }
        Some((factor * 1000.0).round() as u32)
    }

    fn schema(&self, _: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 1, "maximum": OVERLOAD_MAX })
    }
}
