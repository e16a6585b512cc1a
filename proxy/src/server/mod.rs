//! The process: workers and the control thread started in order, changes brought in while they run, and all of it
//! ended in order.
//!
//! ```text
//! start: log -> driver -> names resolved -> table published -> sockets bound -> admin -> workers -> ready
//! run:   HUP, a name's new address -> compile -> new sockets bound -> publish -> sockets handed to workers;   a dead worker -> started again;   USR1 -> report
//! end:   not ready -> workers drain -> deadline -> workers cut -> last report -> exit line
//! ```

mod announce;
mod bind;
mod change;
mod log;
mod signals;
mod sockets;
mod store;
mod threads;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::sync::oneshot;

use self::{
    change::Changes,
    signals::{Asked, Signals},
    sockets::Sockets,
    store::Store,
    threads::Threads,
};
use crate::{
    control::{
        Compiled, Identities, Resolved,
        admin::{self, Access, AdminListener, AdminState},
        compile,
        config::{self, Config},
        desired::Desired,
        health::Health,
        live::Live,
        publish::Published,
        resolve, watch,
    },
    limits::TICK,
    observe::{AccessLog, Board, Info, LogTarget, latency_table},
    worker::{
        Order, Orders,
        runtime::{self, Chosen},
    },
};

/// How often tables that nobody uses any more are freed.
const REAP_EVERY: Duration = Duration::from_secs(1);
/// How long the last report waits for workers.
const REPORT_WAIT: Duration = Duration::from_secs(1);

/// Why the process can't start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A listener can't be had.
    #[error(transparent)]
    Bind(#[from] bind::BindError),
    /// The driver that the config asks for can't be had.
    #[error("{0}")]
    Driver(String),
    /// The admin API's token can't be had.
    #[error("admin.token_file: {0}")]
    Admin(String),
    /// Something that the system refused.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// A config that had been checked could not be compiled: a fault of ours.
    #[error("the config could not be compiled: {0}")]
    Compile(String),
}

fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> ServerError {
    let what = what.into();
    move |error| ServerError::System { what, error }
}

/// Runs the proxy on the config at `path`, which was read as `desired`, until it is told to end.
pub fn run(path: &Path, desired: Desired) -> Result<(), ServerError> {
    let config = &desired.base().config;
    log::start(&config.log);
    raise_open_files();
    let (chosen, reason) = runtime::choose(config.runtime.driver).map_err(ServerError::Driver)?;
    let control = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("the control thread can't start"))?;
    let result = control.block_on(async {
        let Some(mut server) = Server::start(path, desired, chosen, reason).await? else { return Ok(()) };
        server.serve().await?;
        server.end().await;
        Ok(())
    });
    // A look-up that hangs in the system's resolver can't be ended: the process ends without it.
    control.shutdown_background();
    result
}

/// The soft limit on open files is for programs that use select(2); ours is the hard one.
fn raise_open_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call fills, then reads, a struct of ours.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// The control thread's state.
struct Server {
    path: PathBuf,
    /// In force.
    config: Config,
    changes: Changes,
    store: Store,
    resolved: Resolved,
    identities: Identities,
    compiled: Compiled,
    published: Arc<Published>,
    orders: Arc<Orders>,
    board: Arc<Board>,
    health: Health,
    ready: Arc<AtomicBool>,
    access_log: Option<AccessLog>,
    threads: Threads,
    signals: Signals,
}

impl Server {
    /// `None`: it was told to end before it had begun to serve.
    async fn start(
        path: &Path,
        desired: Desired,
        chosen: Chosen,
        reason: String,
    ) -> Result<Option<Server>, ServerError> {
        // As early as can be, so that a signal that comes soon is not the default one's end.
        let mut signals = Signals::new().map_err(system("signals can't be received"))?;
        let mut live = Live::new(path.to_owned(), desired, SystemTime::now());
        if let Some(settings) = live.desired.base().config.etcd.clone()
            && store::first(&mut live, &settings, &mut signals).await.is_break()
        {
            return Ok(None);
        }
        let config = live.desired.config();
        let mut resolved = Resolved::new();
        tokio::select! {
            _ = resolve::resolve_all(&config, &mut resolved) => {}
            () = signals.end() => return Ok(None),
        }
        let mut identities = Identities::new();
        let compiled =
            compile(&config, &resolved, &mut identities, 1, None).map_err(|errors| compile_error(&errors))?;
        let table = Arc::clone(compiled.table());
        let workers = config.runtime.workers;
        let sockets = Sockets::bind_patiently(&table.listeners, workers).await?;
        let board = Board::new(workers);
        let health = Health::start(&board, SystemTime::now());
        health.follow(&table.upstreams);
        let published = Published::new(table);
        let orders = Arc::new(Orders::new(workers));
        let access_log = match &config.access_log {
            config::AccessLog::Off => None,
            config::AccessLog::Stdout => Some(LogTarget::Stdout),
            config::AccessLog::File(path) => Some(LogTarget::File(path.clone())),
        };
        let access_log = access_log.map(|target| AccessLog::start(target, &board)).transpose();
        let access_log = access_log.map_err(system("access_log.path can't be written"))?;
        let threads = Threads::new(&config.runtime, chosen, sockets, (&published, &orders, &board));
        let ready = Arc::new(AtomicBool::new(false));
        let mut server = Server {
            path: path.to_owned(),
            changes: Changes::new(live, &config),
            store: Store::default(),
            config,
            resolved,
            identities,
            compiled,
            published,
            orders,
            board,
            health,
            ready,
            access_log,
            threads,
            signals,
        };
        server.announce(chosen, &reason);
        server.admin(chosen, reason)?;
        server.start_workers().await?;
        if let Err(error) = watch::start(server.changes.live.clone(), server.changes.asks.clone()) {
            tracing::warn!("config files can't be watched: {error}; send HUP after a change");
        }
        server.store = server.config.etcd.clone().map(Store::follow).unwrap_or_default();
        server.board.process().workers.set(server.threads.len() as u64);
        server.board.process().config_generation.set(1);
        server.board.process().config_revision.set(1);
        server.ready.store(true, Ordering::Release);
        tracing::info!("ready");
        Ok(Some(server))
    }

    fn admin(&self, chosen: Chosen, reason: String) -> Result<(), ServerError> {
        let Some(admin) = &self.config.admin else { return Ok(()) };
        let address = config::address_text(&admin.address);
        let access = Access::new(admin).map_err(ServerError::Admin)?;
        let listener =
            AdminListener::bind(&address).map_err(system(format!("admin: can't listen on {address}")))?;
        tracing::info!("admin: {}", listener.address());
        let what = (&self.board, info(chosen, reason), &self.ready);
        let state =
            AdminState::new(what, &self.changes.live, &self.changes.asks, access).showing(&self.health);
        tokio::spawn(async move {
            if let Err(error) = admin::serve(listener, state, std::future::pending()).await {
                tracing::error!(%error, "the admin listener has ended");
            }
        });
        Ok(())
    }

    /// Until TERM or INT.
    async fn serve(&mut self) -> Result<(), ServerError> {
        let mut reap = tokio::time::interval(REAP_EVERY);
        loop {
            let refresh = self.resolved.next_refresh().map(tokio::time::Instant::from_std);
            tokio::select! {
                asked = self.signals.next() => match asked {
                    Asked::End => return Ok(()),
                    Asked::Reload => if self.hang_up().await.is_break() { return Ok(()) },
                    Asked::Report => self.report().await,
                },
                Some(ended) = self.threads.ended() => self.revive(ended).await?,
                () = until(refresh) => if self.refresh_names().await.is_break() { return Ok(()) },
                update = self.store.next() => if self.follow(update).await.is_break() { return Ok(()) },
                ask = self.changes.next() => if self.take(ask).await.is_break() { return Ok(()) },
                _ = reap.tick() => self.published.reap(),
            }
        }
    }

    async fn report(&self) {
        let collected = self.board.collect(REPORT_WAIT).await;
        let table = latency_table(&collected.merge());
        if let Err(error) = io::stdout().lock().write_all(table.as_bytes()) {
            tracing::warn!("the report can't be written: {error}");
        }
    }

    /// Starts all workers, and waits until each has its event loop.
    async fn start_workers(&mut self) -> Result<(), ServerError> {
        let mut running = Vec::new();
        for index in 0..self.threads.len() {
            running.push(self.start_worker(index).map_err(system(format!("worker {index} can't start")))?);
        }
        for started in running {
            if started.await.is_err()
                && let Some(ended) = self.threads.ended().await
            {
                let fault = ended.fault.unwrap_or_default();
                let what = format!("worker {} can't start", ended.index);
                return Err(ServerError::System { what, error: io::Error::other(fault) });
            }
        }
        Ok(())
    }

    fn start_worker(&mut self, index: usize) -> io::Result<oneshot::Receiver<()>> {
        self.threads.start(index, self.access_log.as_ref().map(AccessLog::handle))
    }

    async fn revive(&mut self, ended: threads::Ended) -> Result<(), ServerError> {
        let index = ended.index;
        let fault = ended.fault.unwrap_or_else(|| "it ended by itself".to_owned());
        tracing::error!(worker = index, "worker died: {fault}; starting it again");
        tokio::time::sleep(self.threads.pause_before_restart(index)).await;
        self.board.process().worker_restarts.inc();
        self.start_worker(index).map(drop).map_err(system(format!("worker {index} can't start again")))
    }

    /// Lets what is under way finish, up to `shutdown.drain_timeout`; a second signal ends it at once.
    async fn end(&mut self) {
        self.ready.store(false, Ordering::Release);
        self.store.end().await;
        let under_way = self.requests_active();
        let drain = self.config.shutdown_drain;
        tracing::info!("draining: {under_way} requests under way, at most {drain:?}");
        self.threads.refuse_newcomers();
        self.orders.give(Order::Drain);
        let mut ended = 0;
        let finished = async {
            while !self.orders.drained() {
                tokio::select! {
                    () = tokio::time::sleep(TICK) => {}
                    Some(worker) = self.threads.ended() => {
                        ended += 1;
                        // It is not started again: nothing new is to come, and what it had under way is lost.
                        self.orders.died(worker.index);
                        let fault = worker.fault.unwrap_or_default();
                        tracing::error!(worker = worker.index, "worker died while draining: {fault}");
                    }
                }
            }
        };
        tokio::select! {
            _ = tokio::time::timeout(drain, finished) => {}
            () = self.signals.end() => tracing::warn!("a second signal: ending now"),
        }
        let cut = self.requests_active();
        self.orders.give(Order::Cut);
        let all_ended = async {
            for _ in ended..self.threads.len() {
                let _ = self.threads.ended().await;
            }
        };
        let _ = tokio::time::timeout(REPORT_WAIT, all_ended).await;
        if let Some(log) = self.access_log.take() {
            log.close(REPORT_WAIT);
        }
        let finished = under_way.saturating_sub(cut);
        tracing::info!("drained: {finished} requests finished, {cut} cut");
    }

    fn requests_active(&self) -> u64 {
        self.board.slots().iter().map(|slot| slot.counters().requests_active.get()).sum()
    }
}

fn info(chosen: Chosen, reason: String) -> Info {
    let build = match option_env!("RINGLANE_PROFILE_GUIDED") {
        _ if cfg!(debug_assertions) => "debug",
        // By scripts/pgo.sh.
        Some(_) => "profile-guided release",
        None => "release",
    };
    Info {
        version: crate::VERSION.to_owned(),
        build: build.to_owned(),
        driver: chosen.name().to_owned(),
        driver_reason: reason,
        started: SystemTime::now(),
    }
}

fn compile_error(errors: &[crate::route::BuildError]) -> ServerError {
    ServerError::Compile(errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("; "))
}

async fn until(instant: Option<tokio::time::Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
