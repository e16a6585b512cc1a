//! `[etcd]`: where routes and upstreams come from besides the file.

use std::{path::PathBuf, time::Duration};

use super::{
    quantity::time,
    section::{section, table},
    spec::{Item, List},
    text::{Fault, Text},
};

/// Bytes of a prefix, a user's or a server's name.
const WORD_BYTES_MAX: usize = 256;

section! {
    /// An etcd that holds routes and upstreams, which are added to those of the file.
    pub(crate) struct Etcd {
        /// "http://HOST:PORT" or "https://HOST:PORT", tried in turn.
        endpoints: Vec<Item<String>>, required, List(ENDPOINT_URL);
        /// Routes are at PREFIX/routes/NAME, upstreams at PREFIX/upstreams/NAME.
        prefix: String, default("/ringlane"), PREFIX;
        /// A user of etcd's that may read below the prefix. Absent: etcd asks nobody.
        user: String, optional, WORD;
        /// A file with the user's password, read for each connection.
        password_file: PathBuf, optional, FILE;
        /// A file for what etcd held last, so that a start does without it. Absent: a start without etcd has the file alone.
        snapshot: PathBuf, optional, FILE;
        /// How to know etcd; for https:// endpoints.
        tls: EtcdTls, optional, table::<EtcdTls>();
        /// Bounds on how long etcd may take.
        timeouts: EtcdTimeouts, default({}), table::<EtcdTimeouts>();
    }
}

section! {
    /// How to know etcd, and how etcd knows us. PEM files, read for each connection.
    pub(crate) struct EtcdTls {
        /// Certificates of the CA that signed etcd's.
        ca: PathBuf, required, FILE;
        /// A certificate of our own, if etcd asks for one.
        cert: PathBuf, optional, FILE;
        /// The key of `cert`.
        key: PathBuf, optional, FILE;
        /// The name in etcd's certificate. Absent: the endpoint's host.
        server_name: String, optional, WORD;
    }
}

section! {
    /// Bounds on how long etcd may take.
    pub(crate) struct EtcdTimeouts {
        /// Opening a connection; then the next endpoint.
        connect: Duration, default("5s"), time();
        /// One answer; a watch that is silent for so long is asked for a sign of life, and given up after as long again.
        request: Duration, default("10s"), time();
        /// How long a start waits for etcd before it takes the snapshot.
        start: Duration, default("5s"), time();
    }
}

const ENDPOINT_URL: Text<String> = Text {
    what: "\"http://HOST:PORT\" or \"https://HOST:PORT\"",
    pattern: r"^https?://[^\s/@?#]+:[0-9]+/?$",
    parse: parse_endpoint,
};

fn parse_endpoint(text: &str) -> Result<String, Fault> {
    let fault = |hint: String| Fault::new(format!("{text:?} is not an endpoint of etcd"), hint);
    let Some((scheme @ ("http" | "https"), rest)) = text.split_once("://") else {
        let host = text.split_once("://").map_or(text, |(_, rest)| rest);
        return Err(fault(format!("write \"http://{host}\" or \"https://{host}\"")));
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    match http::uri::Authority::try_from(rest) {
        Ok(it) if it.as_str().contains('@') => {
            Err(fault("name the user in `user` and the password's file in `password_file`".to_owned()))
        }
        Ok(it) if it.port_u16().is_some_and(|port| port > 0) && !it.host().is_empty() => {
            Ok(format!("{scheme}://{}", it.as_str().to_ascii_lowercase()))
        }
        Ok(it) if it.port().is_none() => Err(fault(format!("add the port: \"{scheme}://{it}:2379\""))),
        _ => Err(fault("a scheme, a host and a port, no more".to_owned())),
    }
}

const PREFIX: Text<String> =
    Text { what: "a prefix of etcd's keys", pattern: r"^(/[A-Za-z0-9._:-]+)+$", parse: parse_prefix };

fn parse_prefix(text: &str) -> Result<String, Fault> {
    let fault = |hint: &str| Fault::new(format!("{text:?} is not a prefix"), hint);
    if text.len() > WORD_BYTES_MAX {
        return Err(fault(&format!("at most {WORD_BYTES_MAX} bytes")));
    }
    let Some(rest) = text.strip_prefix('/') else { return Err(fault(&format!("write \"/{text}\""))) };
    if rest.ends_with('/') {
        return Err(fault("leave out the slash at its end"));
    }
    let allowed = |it: u8| it.is_ascii_alphanumeric() || b"._:-".contains(&it);
    if rest.split('/').any(|part| part.is_empty() || !part.bytes().all(allowed)) {
        return Err(fault("letters, digits and . _ : -, between single slashes"));
    }
    Ok(text.to_owned())
}

const WORD: Text<String> = Text { what: "a name", pattern: r"^\S{1,256}$", parse: parse_word };

fn parse_word(text: &str) -> Result<String, Fault> {
    let odd = |it: char| it.is_whitespace() || it.is_control();
    if text.is_empty() || text.len() > WORD_BYTES_MAX || text.contains(odd) {
        return Err(Fault::new(
            format!("{text:?} is not a name"),
            format!("1 to {WORD_BYTES_MAX} bytes without white space"),
        ));
    }
    Ok(text.to_owned())
}

const FILE: Text<PathBuf> = Text { what: "a file's path", pattern: "^/", parse: parse_file };

fn parse_file(text: &str) -> Result<PathBuf, Fault> {
    if !text.starts_with('/') || text.ends_with('/') || text.contains('\0') {
        return Err(Fault::new(
            format!("{text:?} is not a file's absolute path"),
            "it is read again and again, wherever the process then is: begin it with `/`",
        ));
    }
    Ok(PathBuf::from(text))
}
