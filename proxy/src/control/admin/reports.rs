//! How the process is doing: health, metrics, latencies.

use std::{sync::atomic::Ordering, time::SystemTime};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::{AdminState, problem::Problem, request::parameters};
use crate::observe::{
    latency_hlog, latency_json, latency_table,
    prometheus::{self, prometheus_text},
};

pub(super) async fn readyz(State(state): State<AdminState>) -> (StatusCode, &'static str) {
    if state.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready: starting or draining\n")
    }
}

pub(super) async fn metrics(State(state): State<AdminState>) -> impl IntoResponse {
    let merged = state.report().await;
    let text = prometheus_text(&state.info, &state.board, &merged);
    ([(header::CONTENT_TYPE, prometheus::CONTENT_TYPE)], text)
}

/// How `/latency` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
    Hlog,
}

impl Format {
    /// What the query says, else what `Accept` says, else text.
    fn of(query: &[(String, String)], headers: &HeaderMap) -> Result<Self, Problem> {
        match query.first().map(|(_, format)| format.as_str()) {
            Some("text") => Ok(Self::Text),
            Some("json") => Ok(Self::Json),
            Some("hlog") => Ok(Self::Hlog),
            Some(_) => Err(Problem::malformed("format is one of text, json, hlog")),
            None => {
                let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
                let json =
                    accept.split([',', ';']).any(|part| part.trim().eq_ignore_ascii_case("application/json"));
                Ok(if json { Self::Json } else { Self::Text })
            }
        }
    }
}

pub(super) async fn latency(
    State(state): State<AdminState>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = Format::of(&parameters(&uri, &["format"], &[])?, &headers)?;
    let merged = state.report().await;
    Ok(match format {
        Format::Text => latency_table(&merged).into_response(),
        Format::Json => Json(latency_json(&merged)).into_response(),
        Format::Hlog => match latency_hlog(&merged, state.info.started, SystemTime::now()) {
            Ok(log) => log.into_response(),
            Err(error) => return Err(Problem::ours(error.to_string())),
        },
    })
}
