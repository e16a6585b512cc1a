//! `[etcd]`.

use crate::control::{
    etcd::{Identity, Settings, Tls, User},
    raw::{
        etcd::{Etcd as Raw, EtcdTls},
        findings::Findings,
        section::Field,
        spec::Item,
    },
};

/// Endpoints of one etcd.
const ENDPOINTS_MAX: usize = 16;

/// Checks it. `None`: it is wrong, which has been said.
pub(super) fn validate(raw: &Raw, findings: &mut Findings) -> Option<Settings> {
    let endpoints = endpoints(raw, findings);
    pair(("user", &raw.user), ("password_file", &raw.password_file), findings);
    if let Some(tls) = &raw.tls.value {
        pair(("cert", &tls.cert), ("key", &tls.key), findings);
    }
    let timeouts = raw.timeouts.value.as_ref()?;
    let user = raw.user.value.clone().zip(raw.password_file.value.clone());
    Some(Settings {
        endpoints: endpoints?,
        prefix: raw.prefix.value.clone()?,
        tls: match (&raw.tls.value, raw.tls.given) {
            (Some(it), _) => Some(tls(it)?),
            (None, true) => return None,
            (None, false) => None,
        },
        user: user.map(|(name, password_file)| User { name, password_file }),
        snapshot: raw.snapshot.value.clone(),
        connect_timeout: timeouts.connect.value?,
        request_timeout: timeouts.request.value?,
        start_timeout: timeouts.start.value?,
    })
}

fn tls(raw: &EtcdTls) -> Option<Tls> {
    let identity = raw.cert.value.clone().zip(raw.key.value.clone());
    Some(Tls {
        ca: raw.ca.value.clone()?,
        identity: identity.map(|(cert, key)| Identity { cert, key }),
        server_name: raw.server_name.value.clone(),
    })
}

/// All with TLS or all without.
fn endpoints(raw: &Raw, findings: &mut Findings) -> Option<Vec<String>> {
    let items = raw.endpoints.value.as_ref()?;
    if items.is_empty() || items.len() > ENDPOINTS_MAX {
        let made = findings.error(raw.endpoints.place, format!("there are {} endpoints", items.len()));
        made.hint(format!("1 to {ENDPOINTS_MAX}, members of one etcd"));
        return None;
    }
    for Item { value, place } in items {
        let is_https = value.as_ref().map(|it| it.starts_with("https://"));
        match (is_https, raw.tls.given) {
            (Some(true), false) => {
                let made = findings.error(*place, "https:// without [etcd.tls]");
                made.hint("add [etcd.tls] with ca = \"/PATH\", the CA that signed etcd's certificate");
            }
            (Some(false), true) => {
                let made = findings.error(*place, "http:// with [etcd.tls]");
                made.hint("write https://, or leave out [etcd.tls]");
            }
            _ => {}
        }
    }
    items.iter().map(|it| it.value.clone()).collect()
}

/// Both or neither.
fn pair<A, B>(
    (name, one): (&str, &Field<A>),
    (other_name, other): (&str, &Field<B>),
    findings: &mut Findings,
) {
    let (given, there, missing) = match (one.given, other.given) {
        (true, false) => (one.place, name, other_name),
        (false, true) => (other.place, other_name, name),
        _ => return,
    };
    findings.error(given, format!("`{there}` without `{missing}`")).hint("give both, or neither");
}
