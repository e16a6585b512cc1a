//! The admin API: how the process is doing, what its config is, and changes of it. `docs/admin-api.md` describes it.
//!
//! It runs on the control thread's tokio. What takes long is done on threads of its own, so that the control loop goes
//! on; changes are asked for there, where they are checked and made one after the other. Bounds on its clients:
//! `serve.rs` (connections, time), `request.rs` (bodies).

mod access;
mod answer;
pub mod client;
mod explaining;
mod health;
mod listener;
mod mask;
mod objects;
mod openapi;
mod problem;
mod reports;
mod request;
mod serve;
mod whole;

pub use access::Access;
pub use listener::AdminListener;

use std::{
    fmt,
    future::Future,
    io,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::sync::{Semaphore, oneshot};

use self::{
    problem::{Problem, as_text, wants_text},
    request::Asked,
};
use super::{
    ask::{Asks, Change, Done},
    desired::Kind,
    health::Health,
    live::{Live, Shared},
};
use crate::observe::{Board, Info, Merged};

/// How long a report waits for the workers; those that are silent are named in it.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long answers under way may take once the process is ending.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);
/// Long jobs at a time; others wait.
const JOBS_MAX: usize = 2;
/// Whole configs that are received at a time.
const LARGE_BODIES_MAX: usize = 2;

/// Every path, with what it answers: the index and the tests against forgotten ones come from it.
const PATHS: [(&str, &str); 18] = [
    ("/healthz", "200 while the process lives"),
    ("/readyz", "200 while workers accept, 503 while starting or draining"),
    ("/metrics", "all metrics, in Prometheus's text format"),
    ("/latency", "latency percentiles as a table; ?format=json, or ?format=hlog for HdrHistogram tools"),
    ("/config", "GET, PUT: the config as JSON, credentials masked"),
    ("/config/status", "how the last changes went, which files are bad"),
    ("/config/reload", "POST: read the files again"),
    ("/config/revisions", "the last revisions"),
    ("/config/rollback/{revision}", "POST: back to one of them"),
    ("/routes", "all routes"),
    ("/routes/{name}", "GET, PUT, PATCH, DELETE: one"),
    ("/upstreams", "all upstreams"),
    ("/upstreams/{name}", "GET, PUT, PATCH, DELETE: one"),
    ("/upstreams/{name}/endpoints", "how each endpoint is doing, why and since when"),
    ("/upstreams/{name}/endpoints/{address}", "GET, PUT, PATCH, DELETE: an endpoint's weight"),
    ("/explain", "?url=URL&method=GET&header=name:value: which route a request takes, and why"),
    ("/openapi.json", "all of this for programs (OpenAPI 3.1)"),
    ("/", "this list"),
];

/// What the admin API shows and where it asks for changes. Cloned for every request.
#[derive(Clone)]
pub struct AdminState {
    board: Arc<Board>,
    ready: Arc<AtomicBool>,
    info: Arc<Info>,
    asks: Asks,
    live: Shared,
    access: Arc<Access>,
    health: Health,
    jobs: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState").field("info", &self.info).finish_non_exhaustive()
    }
}

impl AdminState {
    /// `ready`: set while workers accept, from the moment all listen to the start of draining.
    pub fn new(
        (board, info, ready): (&Arc<Board>, Info, &Arc<AtomicBool>),
        live: &Shared,
        asks: &Asks,
        access: Access,
    ) -> AdminState {
        AdminState {
            board: Arc::clone(board),
            ready: Arc::clone(ready),
            info: Arc::new(info),
            asks: asks.clone(),
            live: live.clone(),
            access: Arc::new(access),
            health: Health::new(board, SystemTime::now()),
            jobs: Arc::new(Semaphore::new(JOBS_MAX)),
            large: Arc::new(Semaphore::new(LARGE_BODIES_MAX)),
        }
    }

    /// Shows how endpoints are doing.
    pub fn showing(self, health: &Health) -> AdminState {
        AdminState { health: health.clone(), ..self }
    }

    async fn report(&self) -> Merged {
        self.board.collect(REPORT_TIMEOUT).await.merge()
    }

    /// Looks at what is live. Nothing else can be changed meanwhile: what takes long is to be done with what was taken
    /// along.
    fn live<T>(&self, look: impl FnOnce(&Live) -> T) -> T {
        self.live.read(look)
    }

    /// Does what takes long where nobody waits for it but who asked.
    async fn off_loop<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let _seat = self.jobs.acquire().await;
        tokio::task::spawn_blocking(job).await.map_err(|error| Problem::ours(error.to_string()))
    }

    async fn ask(&self, change: Change, asked: Asked) -> Result<(Done, bool), Problem> {
        let Asked { from, expect, dry_run } = asked;
        match self.asks.ask(change, expect, dry_run, &from).await {
            Some(Ok(done)) => Ok((done, dry_run)),
            Some(Err(denied)) => Err(Problem::denied(denied, &from)),
            None => Err(Problem::ending()),
        }
    }

    async fn change(&self, change: Change, asked: Asked) -> Result<Response, Problem> {
        let (done, dry_run) = self.ask(change, asked).await?;
        Ok(answer::changed(&done, dry_run, &answer::done(&done, dry_run)))
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
    let description = openapi::describe(state.access.is_guarded());
    let description = bytes::Bytes::from(format!("{description:#}\n"));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(reports::readyz))
        .route("/metrics", get(reports::metrics))
        .route("/latency", get(reports::latency))
        .route("/config", get(whole::get).put(whole::put))
        .route("/config/status", get(whole::status))
        .route("/config/reload", post(whole::reload))
        .route("/config/revisions", get(whole::revisions))
        .route("/config/rollback/{revision}", post(whole::roll_back))
        .route("/routes", objects::list(Kind::Route))
        .route("/routes/{name}", objects::one(Kind::Route))
        .route("/upstreams", objects::list(Kind::Upstream))
        .route("/upstreams/{name}", objects::one(Kind::Upstream))
        .route("/upstreams/{name}/endpoints", get(health::endpoints))
        .route("/upstreams/{name}/endpoints/{*address}", objects::endpoint())
        .route("/explain", get(explaining::get))
        .route("/openapi.json", get(async move || answer::bytes(StatusCode::OK, description.to_vec())))
        .route("/", get(async || index()))
        .method_not_allowed_fallback(async || Problem::not_allowed())
        .fallback(async || Problem::not_found(format!("no such path; there are:\n{}", index())))
        .layer(middleware::from_fn_with_state(state.clone(), gate))
        .with_state(state)
}

/// Lets in whom [`Access`] lets in, and words problems as they are wanted.
async fn gate(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let text = wants_text(request.headers());
    let response = match state.access.refuses(&request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    if text { as_text(response) } else { response }
}

fn index() -> String {
    let width = PATHS.iter().map(|(path, _)| path.len()).max().unwrap_or(0);
    PATHS.iter().map(|(path, meaning)| format!("{path:<width$}  {meaning}\n")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
