//! Routes, upstreams and endpoints, one at a time and listed.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
    routing::{MethodRouter, get},
};
use serde_json::{Value as Json, json};

use super::{
    AdminState, answer, mask,
    problem::Problem,
    request::{Asked, At, JsonBody, parameters},
};
use crate::control::{
    ask::{Change, Expect},
    desired::{Kind, Listed, Weight},
};

/// All of a kind.
pub(super) fn list(kind: Kind) -> MethodRouter<AdminState> {
    get(move |State(state): State<AdminState>, uri: Uri| async move {
        parameters(&uri, &[], &[])?;
        let all = state.live(|live| live.desired.all(kind));
        let health = state.health.clone();
        let body = state.off_loop(move || match kind {
            Kind::Upstream => listed(kind, &all, Some(&health.all_shown())),
            Kind::Route => listed(kind, &all, None),
        });
        let body = body.await?;
        Ok::<_, Problem>(answer::bytes(StatusCode::OK, body))
    })
}

/// `health`: by name, where there is any.
fn listed(kind: Kind, all: &[Listed], health: Option<&HashMap<Arc<str>, Json>>) -> Vec<u8> {
    let one = |it: &Listed| {
        let object = it.object();
        let (name, value) = (it.name(), mask::masked(object.shown));
        let (owner, etag) = (object.owner.word(), answer::etag_text(object.tag));
        let mut one = json!({ "name": name, "owner": owner, "etag": etag, "value": value });
        if let Some(health) = health {
            one["health"] = health.get(name).cloned().unwrap_or(Json::Null);
        }
        one
    };
    let all: Vec<Json> = all.iter().map(one).collect();
    format!("{}\n", json!({ kind.folder(): all })).into_bytes()
}

/// One of a kind, by name.
pub(super) fn one(kind: Kind) -> MethodRouter<AdminState> {
    get(move |State(state): State<AdminState>, At(name): At<String>, uri: Uri, headers: HeaderMap| async move {
        parameters(&uri, &[], &[])?;
        let found = state.live(|live| live.desired.shown(kind, &name));
        let Some(object) = found else { return Err(Problem::not_found(format!("there is no {kind} {name:?}"))) };
        let body = format!("{:#}\n", mask::masked(object.shown)).into_bytes();
        Ok(answer::tagged(&headers, object.tag, Some(&object.owner), body))
    })
    .put(move |State(state): State<AdminState>, At(name): At<String>, asked: Asked, JsonBody(json): JsonBody| async move {
        state.change(Change::Put(kind, name, json), asked).await
    })
    .patch(move |State(state): State<AdminState>, At(name): At<String>, asked: Asked, JsonBody(json): JsonBody| async move {
        state.change(Change::Patch(kind, name, json), asked).await
    })
    .delete(move |State(state): State<AdminState>, At(name): At<String>, asked: Asked| async move {
        state.change(Change::Delete(kind, name), asked).await
    })
}

/// An endpoint's weight.
pub(super) fn endpoint() -> MethodRouter<AdminState> {
    get(endpoint_get).put(endpoint_put).patch(endpoint_patch).delete(endpoint_delete)
}

type Endpoint = At<(String, String)>;

async fn endpoint_get(
    State(state): State<AdminState>,
    At((upstream, address)): Endpoint,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters(&uri, &[], &[])?;
    match state.live(|live| live.desired.endpoint(&upstream, &address)) {
        Some((shown, weight)) => {
            Ok(answer::tagged(&headers, weight.into(), None, format!("{shown:#}\n").into_bytes()))
        }
        None => Err(no_endpoint(&upstream, &address)),
    }
}

async fn endpoint_put(
    State(state): State<AdminState>,
    At((upstream, address)): Endpoint,
    asked: Asked,
    JsonBody(json): JsonBody,
) -> Result<Response, Problem> {
    let weight = weight(&json, &asked.from)?;
    state.change(Change::PutEndpoint(upstream, address, weight), asked).await
}

/// As PUT, but the endpoint must be there.
async fn endpoint_patch(
    State(state): State<AdminState>,
    At((upstream, address)): Endpoint,
    asked: Asked,
    JsonBody(json): JsonBody,
) -> Result<Response, Problem> {
    let weight = weight(&json, &asked.from)?;
    if asked.expect == Expect::Anything
        && state.live(|live| live.desired.endpoint(&upstream, &address)).is_none()
    {
        return Err(no_endpoint(&upstream, &address));
    }
    let expect = if asked.expect == Expect::Anything { Expect::Present } else { asked.expect };
    state.change(Change::PutEndpoint(upstream, address, weight), Asked { expect, ..asked }).await
}

async fn endpoint_delete(
    State(state): State<AdminState>,
    At((upstream, address)): Endpoint,
    asked: Asked,
) -> Result<Response, Problem> {
    state.change(Change::DeleteEndpoint(upstream, address), asked).await
}

fn no_endpoint(upstream: &str, address: &str) -> Problem {
    Problem::not_found(format!("there is no endpoint {address:?} of an upstream {upstream:?}"))
}

/// `{"weight": 3}`, or `{"drain": true}`.
fn weight(json: &Json, from: &str) -> Result<Weight, Problem> {
    let entries: Vec<_> = json.as_object().into_iter().flatten().collect();
    match entries.as_slice() {
        [(key, value)] if *key == "weight" => match value.as_u64() {
            Some(weight) => Ok(Weight::Is(weight)),
            None => Err(Problem::invalid(from, "/weight", "the weight is a whole number from 0 to 1000")),
        },
        [(key, Json::Bool(true))] if *key == "drain" => Ok(Weight::Is(0)),
        [(key, Json::Bool(false))] if *key == "drain" => Ok(Weight::Own),
        _ => {
            Err(Problem::invalid(from, "", "expected {\"weight\": 0 to 1000} or {\"drain\": true or false}"))
        }
    }
}
