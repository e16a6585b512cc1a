//! Changes to header fields. Framing and the connection's own fields are the proxy's business alone: a config that
//! could write them could be used to smuggle requests.

use http::{HeaderName, header};

use super::matches::keys_once;
use crate::{
    control::raw::{document::Place, findings::Findings, routes::HeaderEdits as Raw, section::Field},
    http::HeaderEdits,
};

/// The message that is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    Request,
    Response,
}

/// Fields that no route can change, and why.
fn forbidden(name: &HeaderName, message: Message) -> Option<&'static str> {
    match *name {
        header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::TRAILER => {
            Some("it says where a message ends, which the proxy decides for each connection")
        }
        header::CONNECTION | header::UPGRADE | header::TE => {
            Some("it is about one connection, and the proxy writes its own")
        }
        header::HOST if message == Message::Request => Some("use rewrite.host"),
        _ if matches!(name.as_str(), "keep-alive" | "proxy-connection") => {
            Some("it is about one connection, and the proxy writes its own")
        }
        _ => None,
    }
}

/// Checks a route's edits of one message. `None` when any is wrong.
pub(super) fn edits(raw: &Field<Raw>, message: Message, findings: &mut Findings) -> Option<HeaderEdits> {
    let Some(raw) = &raw.value else {
        return (!raw.given).then(HeaderEdits::default);
    };
    let mut check = |name: &Option<HeaderName>, place: Place| {
        if let Some(name) = name
            && let Some(why) = forbidden(name, message)
        {
            findings.error(place, format!("`{name}` can't be changed by a route")).hint(why);
        }
    };
    raw.remove.value.iter().flatten().for_each(|it| check(&it.value, it.place));
    raw.set.value.iter().flatten().for_each(|it| check(&it.key, it.place));
    raw.add.value.iter().flatten().for_each(|it| check(&it.key, it.place));
    keys_once(&raw.set, findings);
    keys_once(&raw.add, findings);
    let remove = raw.remove.value.as_ref()?.iter().map(|it| it.value.clone());
    let set = raw.set.value.as_ref()?.iter().map(|it| Some((it.key.clone()?, it.value.clone()?)));
    let mut add = Vec::new();
    for entry in raw.add.value.as_ref()? {
        let name = entry.key.as_ref()?;
        add.extend(entry.value.as_ref()?.iter().map(|it| (name.clone(), it.clone())));
    }
    Some(HeaderEdits {
        remove: remove.collect::<Option<_>>()?,
        set: set.collect::<Option<_>>()?,
        add: add.into(),
    })
}
