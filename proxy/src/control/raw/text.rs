//! Values written as strings: names, addresses, hosts, paths, fields.

use std::{
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use http::{HeaderName, HeaderValue, Method};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::{
    document::{Node, Value},
    findings::Findings,
    spec::{KeySpec, Spec, wrong_kind},
};
use crate::{
    control::config::{HostPort, Target},
    route::{PatternError, host::HostPattern, path::PathPattern, predicate::ValuePattern},
    upstream::Address,
};

/// Bytes of a name: it is a label of metrics and a part of the admin API's paths.
pub(crate) const NAME_BYTES_MAX: usize = 128;
/// Bytes of a unix socket's path, `sun_path` less its final NUL.
pub(crate) const UNIX_PATH_BYTES_MAX: usize = 107;

/// What is wrong with a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault { message: message.into(), hint: Some(hint.into()) }
    }
}

impl From<PatternError> for Fault {
    fn from(error: PatternError) -> Fault {
        Fault::new(error.what, error.fix)
    }
}

/// A string that means something.
pub(crate) struct Text<T> {
    /// What it is, for "expected a string, ...".
    pub(crate) what: &'static str,
    /// A regular expression that holds for every good one, for editors; empty: none.
    pub(crate) pattern: &'static str,
    pub(crate) parse: fn(&str) -> Result<T, Fault>,
}

impl<T> Text<T> {
    fn read_text(&self, text: &str, node: Node<'_>, on_key: bool, findings: &mut Findings) -> Option<T> {
        match (self.parse)(text) {
            Ok(value) => Some(value),
            Err(fault) => {
                let place = if on_key { node.key_place() } else { node.place() };
                let made = findings.error(place, fault.message);
                if let Some(hint) = fault.hint {
                    made.hint(hint);
                }
                None
            }
        }
    }
}

impl<T> Spec for Text<T> {
    type Out = T;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<T> {
        match node.value() {
            Value::Text(text) => self.read_text(text, node, false, findings),
            _ => wrong_kind(node, &format!("a string ({})", self.what), findings),
        }
    }

    fn schema(&self, _: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "type": "string" });
        if !self.pattern.is_empty() {
            schema.insert("pattern".to_owned(), self.pattern.into());
        }
        schema
    }
}

impl<T> KeySpec for Text<T> {
    type Out = T;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<T> {
        self.read_text(node.key(), node, true, findings)
    }
}

/// A listener's, upstream's or route's name.
pub(crate) const NAME: Text<String> =
    Text { what: "a name", pattern: "^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$", parse: parse_name };

fn parse_name(text: &str) -> Result<String, Fault> {
    let allowed = |it: char| it.is_ascii_alphanumeric() || "._:/-".contains(it);
    if text.is_empty() {
        return Err(Fault::new("the name is empty", "it names the thing in logs and metrics"));
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(Fault::new("the name is too long", format!("at most {NAME_BYTES_MAX} bytes")));
    }
    if let Some(odd) = text.chars().find(|it| !allowed(*it)) {
        return Err(Fault::new(
            format!("{odd:?} can't be in a name"),
            "letters, digits and . _ : / - (names are labels of metrics)",
        ));
    }
    if !text.starts_with(|it: char| it.is_ascii_alphanumeric()) {
        return Err(Fault::new(format!("{text:?} is not a name"), "begin it with a letter or a digit"));
    }
    Ok(text.to_owned())
}

/// Any text.
pub(crate) const ANY: Text<String> =
    Text { what: "any text", pattern: "", parse: |text| Ok(text.to_owned()) };

/// A file's path.
pub(crate) const FILE: Text<PathBuf> = Text {
    what: "a file's path",
    pattern: r"^[^\u0000]+$",
    parse: |text| match text {
        "" => Err(Fault::new("the path is empty", "name a file, or leave the key out")),
        text if text.contains('\0') => Err(Fault::new("the path contains a NUL", "leave it out")),
        text => Ok(text.into()),
    },
};

/// An address to listen on.
pub(crate) const LISTEN: Text<Address> = Text {
    what: "\"ADDRESS:PORT\" or \"unix:/PATH\"",
    pattern: r"^(unix:/.+|[0-9.]+:[0-9]+|\[[0-9A-Fa-f:.%]+\]:[0-9]+)$",
    parse: parse_listen,
};

/// An endpoint of an upstream.
pub(crate) const ENDPOINT: Text<Target> = Text {
    what: "\"HOST:PORT\", \"ADDRESS:PORT\" or \"unix:/PATH\"",
    pattern: r"^(unix:/.+|[A-Za-z0-9._-]+:[0-9]+|\[[0-9A-Fa-f:.%]+\]:[0-9]+)$",
    parse: parse_endpoint,
};

fn parse_unix(text: &str, path: &str) -> Result<Address, Fault> {
    if !path.starts_with('/') {
        return Err(Fault::new(
            format!("{text:?} is not an absolute path"),
            format!("write \"unix:/run/{path}\""),
        ));
    }
    if path.len() > UNIX_PATH_BYTES_MAX {
        return Err(Fault::new(
            "the path of the unix socket is too long",
            format!("at most {UNIX_PATH_BYTES_MAX} bytes"),
        ));
    }
    if path.contains('\0') {
        return Err(Fault::new("the path of the unix socket contains a NUL", "leave it out"));
    }
    Ok(Address::Unix(PathBuf::from(path)))
}

fn parse_listen(text: &str) -> Result<Address, Fault> {
    if let Some(path) = text.strip_prefix("unix:") {
        return parse_unix(text, path);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Address::Tcp(address));
    }
    let fault = |hint: String| Fault::new(format!("{text:?} is not an address to listen on"), hint);
    let port = text.strip_prefix('*').unwrap_or(text);
    let port = port.strip_prefix(':').unwrap_or(port);
    if !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit()) {
        return Err(fault(format!("write \"0.0.0.0:{port}\" for IPv4, \"[::]:{port}\" for IPv6 as well")));
    }
    match parse_target(text) {
        Ok(Target::Name(name)) if &*name.host == "localhost" => {
            Err(fault(format!("names are not looked up here; write \"127.0.0.1:{}\"", name.port)))
        }
        Ok(Target::Name(_)) => {
            Err(fault("names are not looked up here; write the machine's own address".into()))
        }
        Ok(Target::Address(_)) => Err(fault("\"ADDRESS:PORT\" or \"unix:/PATH\"".into())),
        Err(error) => Err(Fault { hint: error.hint, ..fault(String::new()) }),
    }
}

fn parse_endpoint(text: &str) -> Result<Target, Fault> {
    let target = parse_target(text)?;
    let port = match &target {
        Target::Address(Address::Tcp(address)) => address.port(),
        Target::Address(Address::Unix(_)) => return Ok(target),
        Target::Name(name) => name.port,
    };
    if port == 0 {
        return Err(Fault::new("port 0 can't be connected to", "from 1 to 65535"));
    }
    Ok(target)
}

fn parse_target(text: &str) -> Result<Target, Fault> {
    let fault = |hint: String| Fault::new(format!("{text:?} is not \"HOST:PORT\""), hint);
    if let Some(path) = text.strip_prefix("unix:") {
        return parse_unix(text, path).map(Target::Address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Target::Address(Address::Tcp(address)));
    }
    if text.starts_with('/') {
        return Err(fault(format!("for a unix socket write \"unix:{text}\"")));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or("");
        return Err(fault(if scheme == "https" {
            "TLS to upstreams is not offered yet; give the host and the port of plain HTTP".to_owned()
        } else {
            let port = if host.contains(':') { "" } else { ":80" };
            format!("without scheme and path: \"{host}{port}\"")
        }));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        let host = if text.is_empty() { "127.0.0.1" } else { text };
        return Err(fault(format!("add a port: \"{host}:8080\"")));
    };
    if let (Ok(address), Ok(port)) = (host.parse::<Ipv6Addr>(), port.parse::<u16>()) {
        return Err(fault(format!("IPv6 addresses go in brackets: \"[{address}]:{port}\"")));
    }
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<Ipv6Addr>() {
        return Err(fault(format!("IPv6 addresses go in brackets, with a port: \"[{address}]:8080\"")));
    }
    let Ok(port) = port.parse::<u16>() else {
        return Err(fault(format!("{port:?} is not a port, 1 to 65535")));
    };
    let is_name = !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|it| it.is_ascii_alphanumeric() || b"._-".contains(&it));
    let looks_like_ipv4 = host.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    if !is_name || looks_like_ipv4 {
        return Err(fault(format!("{host:?} is neither a name nor an address")));
    }
    Ok(Target::Name(HostPort { host: host.to_ascii_lowercase().into(), port }))
}

/// A host pattern of `match.hosts`.
pub(crate) const HOST: Text<HostPattern> = Text {
    what: "a host as \"example.com\" or \"*.example.com\"",
    pattern: r"^(\*\.)?[^\s/:*]+$|^\[[0-9A-Fa-f:.]+\]$",
    parse: |text| HostPattern::parse(text).map_err(Fault::from),
};

/// `match.path`.
pub(crate) const PATH: Text<PathPattern> =
    Text { what: "a path", pattern: "^/", parse: |text| PathPattern::exact(text).map_err(Fault::from) };

/// `match.path_prefix`.
pub(crate) const PATH_PREFIX: Text<PathPattern> = Text {
    what: "the start of a path",
    pattern: "^/",
    parse: |text| PathPattern::prefix(text).map_err(Fault::from),
};

/// `match.path_regex`.
pub(crate) const PATH_REGEX: Text<PathPattern> = Text {
    what: "a regular expression",
    pattern: "",
    parse: |text| PathPattern::regex(text).map_err(Fault::from),
};

/// The regular expression of a field's or query parameter's value.
pub(crate) const VALUE_REGEX: Text<ValuePattern> = Text {
    what: "a regular expression",
    pattern: "",
    parse: |text| ValuePattern::regex(text).map_err(Fault::from),
};

/// A path that is put into a request or a redirect: no patterns.
pub(crate) const NEW_PATH: Text<String> = Text { what: "a path", pattern: "^/", parse: parse_new_path };

fn parse_new_path(text: &str) -> Result<String, Fault> {
    if !text.starts_with('/') {
        return Err(Fault::new(format!("{text:?} is not a path"), "begin it with `/`"));
    }
    if let Some(odd) =
        text.chars().find(|it| it.is_control() || !it.is_ascii() || matches!(it, ' ' | '?' | '#'))
    {
        let hint =
            if odd == '?' { "the request's query is kept as it is" } else { "write it percent-encoded" };
        return Err(Fault::new(format!("{odd:?} can't be in a path"), hint));
    }
    Ok(text.to_owned())
}

/// A host, perhaps with a port, that is put into a request or a redirect.
pub(crate) const NEW_HOST: Text<String> =
    Text { what: "a host, perhaps with a port", pattern: r"^[^\s/@?#]+$", parse: parse_new_host };

fn parse_new_host(text: &str) -> Result<String, Fault> {
    let fault = |hint: &str| Fault::new(format!("{text:?} is not a host"), hint);
    if text.contains("://") {
        return Err(fault("the host alone, without a scheme"));
    }
    let good = http::uri::Authority::try_from(text)
        .is_ok_and(|it| !it.as_str().contains('@') && !it.host().is_empty());
    if good { Ok(text.to_ascii_lowercase()) } else { Err(fault("a name or an address, perhaps with a port")) }
}

/// A method.
pub(crate) const METHOD: Text<Method> =
    Text { what: "a method", pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", parse: parse_method };

fn parse_method(text: &str) -> Result<Method, Fault> {
    let standard = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT"];
    let upper = text.to_ascii_uppercase();
    if standard.contains(&upper.as_str()) && upper != text {
        return Err(Fault::new(format!("{text:?} is not a method"), format!("case matters: \"{upper}\"")));
    }
    match Method::from_bytes(text.as_bytes()) {
        Ok(Method::CONNECT) => Err(Fault::new(
            "CONNECT never gets as far as routes",
            "a reverse proxy offers no CONNECT: it answers 501",
        )),
        Ok(method) => Ok(method),
        Err(_) => Err(Fault::new(format!("{text:?} is not a method"), "one word, as \"GET\"")),
    }
}

/// A field's name.
pub(crate) const HEADER_NAME: Text<HeaderName> =
    Text { what: "a header's name", pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", parse: parse_header_name };

fn parse_header_name(text: &str) -> Result<HeaderName, Fault> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
        let colon =
            text.ends_with(':').then(|| format!("without the colon: {:?}", text.trim_end_matches(':')));
        let hint =
            colon.unwrap_or_else(|| "letters, digits and - _ and a few other signs; no spaces".to_owned());
        Fault::new(format!("{text:?} is not a header's name"), hint)
    })
}

/// A field's value.
pub(crate) const HEADER_VALUE: Text<HeaderValue> =
    Text { what: "a header's value", pattern: r"^[^\r\n\u0000]*$", parse: parse_header_value };

fn parse_header_value(text: &str) -> Result<HeaderValue, Fault> {
    if text.trim() != text {
        return Err(Fault::new(
            "the value has white space around it",
            "the receiver would not see it; leave it out",
        ));
    }
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| Fault::new("a control character can't be in a header's value", "write it on one line"))
}
