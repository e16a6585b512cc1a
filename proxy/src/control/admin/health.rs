//! How endpoints are doing.

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};

use super::{
    AdminState, answer,
    problem::Problem,
    request::{At, parameters},
};
use crate::control::desired::Kind;

/// Those of one upstream, with its breaker.
pub(super) async fn endpoints(
    State(state): State<AdminState>,
    At(name): At<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    parameters(&uri, &[], &[])?;
    match state.health.shown(&name) {
        Some(shown) => Ok(answer::json(StatusCode::OK, &shown)),
        None if state.live(|live| live.desired.shown(Kind::Upstream, &name).is_some()) => {
            Err(Problem::not_found(format!("the upstream {name:?} is not in force yet")))
        }
        None => Err(Problem::not_found(format!("there is no upstream {name:?}"))),
    }
}
