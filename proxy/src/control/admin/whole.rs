//! The config as a whole: what it is, how changes went, and the way back.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use serde_json::{Value as Json, json};

use super::{
    AdminState, answer, mask,
    problem::{Problem, errors_json},
    request::{Asked, At, ConfigBody, parameters},
};
use crate::{
    control::{
        ask::Change,
        desired::Kind,
        files::Found,
        live::{Attempt, Live},
    },
    observe::rfc3339,
};

pub(super) async fn get(
    State(state): State<AdminState>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters(&uri, &[], &[])?;
    let tag = state.live(|live| live.version);
    if answer::has(&headers, tag) {
        return Ok(answer::tagged(&headers, tag, None, Vec::new()));
    }
    let (config, tag) = state.live(|live| (live.desired.config(), live.version));
    let body = move || format!("{}\n", mask::masked(config.masked())).into_bytes();
    let body = state.off_loop(body).await?;
    Ok(answer::tagged(&HeaderMap::new(), tag, None, body))
}

pub(super) async fn put(
    State(state): State<AdminState>,
    asked: Asked,
    ConfigBody(json): ConfigBody,
) -> Result<Response, Problem> {
    state.change(Change::Config(json), asked).await
}

pub(super) async fn status(State(state): State<AdminState>, uri: Uri) -> Result<Response, Problem> {
    parameters(&uri, &[], &[])?;
    Ok(answer::json(StatusCode::OK, &state.live(status_of)))
}

/// Keys in etcd that are ignored, of those that are shown.
const IGNORED_SHOWN_MAX: usize = 100;

fn status_of(live: &Live) -> Json {
    let desired = &live.desired;
    let count = |kind| {
        let [files, api, etcd] = desired.counts(kind);
        json!({ "files": files, "api": api, "etcd": etcd })
    };
    let file = |it: &crate::control::base::BaseFile| json!({ "file": it.name, "good": it.refused.is_empty(), "errors": errors_json(&it.refused) });
    let base = desired.base();
    json!({
        "revision": live.history.number(),
        "generation": live.generation,
        "etag": answer::etag_text(live.version),
        "waiting": live.waiting,
        "base": if base.files.is_empty() { "api" } else { "files" },
        "files": base.files.iter().map(file).collect::<Vec<_>>(),
        "routes": count(Kind::Route),
        "upstreams": count(Kind::Upstream),
        "weights_set": desired.weights_set(),
        "etcd": etcd_of(live),
        "last_change": live.last.as_ref().map(attempt),
        "last_refused": live.last_refused.as_ref().map(attempt),
    })
}

/// `null`: none is followed.
fn etcd_of(live: &Live) -> Json {
    let store = &live.store;
    if store.status.is_empty() {
        return Json::Null;
    }
    let bad = store.bad.iter().map(|(key, why)| json!({ "key": key, "errors": [why] }));
    let unusable = store.unfulfilled.iter().map(|(key, why)| json!({ "key": key, "errors": why }));
    let ignored: Vec<Json> = bad.chain(unusable).take(IGNORED_SHOWN_MAX).collect();
    json!({ "connected": store.connected, "status": store.status, "ignored": ignored })
}

fn attempt(it: &Attempt) -> Json {
    json!({ "source": it.source, "at": rfc3339(it.at), "errors": it.errors })
}

pub(super) async fn revisions(State(state): State<AdminState>, uri: Uri) -> Result<Response, Problem> {
    parameters(&uri, &[], &[])?;
    let listed = |live: &Live| {
        let in_force = live.history.number();
        let one = |it: &crate::control::desired::history::Revision| {
            json!({
                "revision": it.number,
                "at": rfc3339(it.at),
                "source": it.source,
                "changes": it.what,
                "in_force": it.number == in_force,
            })
        };
        json!({ "revisions": live.history.iter().rev().map(one).collect::<Vec<_>>() })
    };
    Ok(answer::json(StatusCode::OK, &state.live(listed)))
}

pub(super) async fn roll_back(
    State(state): State<AdminState>,
    At(revision): At<u64>,
    asked: Asked,
) -> Result<Response, Problem> {
    state.change(Change::RollBack(revision), asked).await
}

/// The answer has what is wrong with included files, of which the last good version stays.
pub(super) async fn reload(State(state): State<AdminState>, asked: Asked) -> Result<Response, Problem> {
    let path = state.live(|live| live.path.clone());
    let change = Change::Reload(Box::new(Found::settled(&path).await));
    let (done, dry_run) = state.ask(change, asked).await?;
    let errors = state.live(|live| {
        let refused = live.desired.base().refused().flat_map(|it| it.refused.iter().cloned());
        refused.collect::<Vec<_>>()
    });
    let mut body = answer::done(&done, dry_run);
    // A dry run has read the files and put nothing in their place, so what is known is of before.
    if !dry_run && let Some(body) = body.as_object_mut() {
        body.insert("errors".to_owned(), errors_json(&errors));
    }
    Ok(answer::changed(&done, dry_run, &body))
}
