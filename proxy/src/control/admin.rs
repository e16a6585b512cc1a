//! The admin API: what a person, a probe or a scraper may ask of the running process. It only reads.
//!
//! It runs on the control thread's tokio, so whatever it does costs the workers a copy of their histograms at most.
//! It has no authentication and no limit on slow clients: it belongs on the loopback address or on a unix socket.

mod listener;
mod mask;

pub use listener::AdminListener;

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::oneshot;

use super::ask::Asks;
use crate::observe::{
    Board, Info, Merged, latency_hlog, latency_json, latency_table,
    prometheus::{self, prometheus_text},
};

/// How long a report waits for the workers; those that are silent are named in it.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long answers under way may take once the process is ending.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Every path, with what it answers: the index and the test against forgotten ones come from it.
const PATHS: [(&str, &str); 6] = [
    ("/healthz", "200 while the process lives"),
    ("/readyz", "200 while workers accept, 503 while starting or draining"),
    ("/metrics", "all metrics, in Prometheus's text format"),
    ("/latency", "latency percentiles as a table; ?format=json, or ?format=hlog for HdrHistogram tools"),
    ("/config", "the config in force as JSON, secrets masked"),
    ("/", "this list"),
];

/// What the admin API shows. Cloned for every request.
#[derive(Clone)]
pub struct AdminState {
    /// Counters and histograms.
    pub board: Arc<Board>,
    /// Set while workers accept: from the moment all listen to the start of draining.
    pub ready: Arc<AtomicBool>,
    /// The config in force. Called for every request to `/config`; what it returns is masked before it is shown.
    pub config: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// What is running.
    pub info: Arc<Info>,
    /// Where changes are asked for.
    pub asks: Asks,
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState")
            .field("info", &self.info)
            .field("ready", &self.ready)
            .finish_non_exhaustive()
    }
}

impl AdminState {
    async fn report(&self) -> Merged {
        self.board.collect(REPORT_TIMEOUT).await.merge()
    }
}

/// Answers until `shutdown` completes, then lets answers under way finish, for a second at most.
///
/// # Errors
/// When the socket cannot be handed to tokio. Failures to accept are logged and tried again.
pub async fn serve(
    listener: AdminListener,
    state: AdminState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let shutdown = async move {
        shutdown.await;
        let _ = stopping.send(()); // nobody listens once serving has ended by itself
    };
    let overdue = async {
        // An error says that serving has ended, which the other branch sees.
        let _ = stopped.await;
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    tokio::select! {
        result = listener.serve(router(state), shutdown) => result,
        () = overdue => Ok(()),
    }
}

fn router(state: AdminState) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/latency", get(latency))
        .route("/config", get(config))
        .route("/", get(async || index()))
        .fallback(async || (StatusCode::NOT_FOUND, format!("no such path; there are:\n{}", index())))
        .with_state(state)
}

fn index() -> String {
    PATHS.iter().map(|(path, meaning)| format!("{path:<10} {meaning}\n")).collect()
}

async fn readyz(State(state): State<AdminState>) -> (StatusCode, &'static str) {
    if state.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready: starting or draining\n")
    }
}

async fn metrics(State(state): State<AdminState>) -> impl IntoResponse {
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
    /// What the query says, else what `Accept` says, else text. `None`: the query names none that there is.
    fn of(query: &HashMap<String, String>, headers: &HeaderMap) -> Option<Self> {
        match query.get("format").map(String::as_str) {
            Some("text") => Some(Self::Text),
            Some("json") => Some(Self::Json),
            Some("hlog") => Some(Self::Hlog),
            Some(_) => None,
            None => {
                let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
                let json =
                    accept.split([',', ';']).any(|part| part.trim().eq_ignore_ascii_case("application/json"));
                Some(if json { Self::Json } else { Self::Text })
            }
        }
    }
}

async fn latency(
    State(state): State<AdminState>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let Some(format) = Format::of(&query, &headers) else {
        return (StatusCode::BAD_REQUEST, "format is one of text, json, hlog\n").into_response();
    };
    let merged = state.report().await;
    match format {
        Format::Text => latency_table(&merged).into_response(),
        Format::Json => Json(latency_json(&merged)).into_response(),
        Format::Hlog => match latency_hlog(&merged, state.info.started, SystemTime::now()) {
            Ok(log) => log.into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        },
    }
}

async fn config(State(state): State<AdminState>) -> Json<serde_json::Value> {
    Json(mask::masked((state.config)()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
