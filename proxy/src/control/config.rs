//! The validated config: plain values, every reference resolved, every bound held.
//!
//! A `Config` can only come from [`load`] or [`parse_str`], which report every error with its place instead. What is
//! here knows nothing of TOML, of positions in a file or of defaults: those belong to `control/raw`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tracing::level_filters::LevelFilter;

use crate::{
    http::HeaderEdits,
    limit::RouteLimits,
    overload::{Priority, Settings as Overload},
    proxy_protocol::Version,
    route::{Hedge, Listener, Redirect, Respond, predicate::Predicates},
    rule::Rules,
    upstream::{
        Address, Balance, PoolLimits, Retries, UpstreamTimeouts, circuit::BreakerSettings,
        hash::HashSettings, health::HealthSettings, sticky::StickySettings,
    },
};

use super::{
    base::{Base, Nothing},
    etcd,
    files::Found,
};

pub use super::error::ConfigError;

/// Reads and checks a config file, and those it includes.
///
/// # Errors
/// Every error, in the order of the files; never empty.
pub fn load(path: &Path) -> Result<Config, Vec<ConfigError>> {
    Base::load(Found::now(path), None, &Nothing).map(|base| base.config)
}

/// Checks the text of a config file. Never panics, whatever the text. What it includes is not looked at.
///
/// # Errors
/// As [`load`].
pub fn parse_str(file_name: &str, text: &str) -> Result<Config, Vec<ConfigError>> {
    Base::of_text(file_name, text).map(|base| base.config)
}

/// Everything that one config file asks for.
#[derive(Debug, Clone)]
pub struct Config {
    /// Worker threads and their driver.
    pub runtime: Runtime,
    /// The admin listener; `None`: there is none.
    pub admin: Option<Admin>,
    /// An etcd that holds more routes and upstreams; `None`: there is none.
    pub etcd: Option<etcd::Settings>,
    /// The program's own log, on stderr.
    pub log: LogSettings,
    /// One line per exchange.
    pub access_log: AccessLog,
    /// How long TERM waits for exchanges that are under way.
    pub shutdown_drain: Duration,
    /// Where clients are accepted, in the order of the file, at least one. Their `id` is 0: `compile` gives it.
    pub listeners: Vec<Listener>,
    /// In the order of the file. What two configs share here is the same to whoever compiles the later one.
    pub upstreams: Vec<Arc<Upstream>>,
    /// In the order of the file; shared as upstreams are.
    pub routes: Arc<Vec<Arc<Route>>>,
    /// Compiled; `None`: there are none.
    pub rules: Option<Arc<Rules>>,
    /// When workers shed requests; `None`: never.
    pub overload: Option<Overload>,
    /// What is probably not what was meant, in the order of the file: for the log at start.
    pub warnings: Vec<ConfigError>,
    /// How changes are taken in.
    pub control: Control,
    /// What was written, as JSON, without routes and upstreams, which have their own; see [`Config::masked`].
    pub(super) written: Arc<str>,
}

/// How changes are taken in while the process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Whether changed files are read again by themselves.
    pub watch: bool,
    /// Two rebuilds of the table are at least this far apart.
    pub rebuild_min_interval: Duration,
    /// But no change waits for one longer than this.
    pub rebuild_max_delay: Option<Duration>,
}

/// Worker threads and their driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Each worker stays on one core of those that the process may run on.
    pub pin_cores: bool,
    /// How workers talk to the kernel.
    pub driver: Driver,
}

/// How workers talk to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Driver {
    /// `io_uring` where the kernel allows it, else epoll.
    #[default]
    Auto,
    /// `io_uring`, or the start fails.
    IoUring,
    /// epoll.
    Epoll,
}

/// The admin listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens.
    pub address: Address,
    /// The file that holds the token it asks for; `None`: it asks for none.
    pub token_file: Option<PathBuf>,
    /// Whether metrics are for everybody all the same.
    pub metrics_open: bool,
}

/// The program's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// What is less severe is dropped.
    pub level: LevelFilter,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Where the access log goes, as JSON lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AccessLog {
    /// Nowhere.
    #[default]
    Off,
    /// Standard output.
    Stdout,
    /// Appended to a file.
    File(PathBuf),
}

/// A named group of endpoints, names not yet resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name in the config.
    pub name: Arc<str>,
    /// The algorithm.
    pub balance: Balance,
    /// Where its keys are; `None`: it does not balance by hash.
    pub hash: Option<HashSettings>,
    /// The cookie that keeps clients at their endpoints.
    pub sticky: Option<StickySettings>,
    /// In the order of the file, at least one, at least one weight above 0.
    pub endpoints: Vec<Endpoint>,
    /// How often names among the endpoints are looked up again.
    pub dns_refresh: Duration,
    /// Bounds on connections.
    pub pool: PoolLimits,
    /// Bounds on time.
    pub timeouts: UpstreamTimeouts,
    /// How requests are tried again; `None`: only on a connection that proved stale.
    pub retries: Option<Box<Retries>>,
    /// The field by which it is told how many milliseconds are left for a request.
    pub deadline_header: Option<Box<str>>,
    /// How its endpoints are watched; `None`: they are not.
    pub health: Option<Arc<HealthSettings>>,
    /// Its circuit breaker; `None`: there is none.
    pub breaker: Option<BreakerSettings>,
    /// The header that connections begin with; `None`: none.
    pub proxy_protocol: Option<Version>,
    /// What was written, as JSON.
    pub written: Arc<str>,
}

/// One endpoint as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub target: Target,
    /// Share of the requests, 0 to 1000 (0: none). Each address of a name has the whole weight.
    pub weight: u32,
    /// Asked only when no endpoint can be asked that is none.
    pub backup: bool,
}

/// Where an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// An address, used as it is.
    Address(Address),
    /// A name, looked up on the control thread; each of its addresses becomes an endpoint of the table.
    Name(HostPort),
}

/// A name and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// A DNS name, lower case.
    pub host: Arc<str>,
    /// A TCP port, not 0.
    pub port: u16,
}

/// One route: what a request must be and what is done with it. It names upstreams, so that it depends on the place of
/// nothing else in the config.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name in the config.
    pub name: Arc<str>,
    /// What a request must be.
    pub predicates: Predicates,
    /// What is done with it.
    pub action: Action,
    /// Replaces the prefix that `path_prefix` matched, before forwarding.
    pub rewrite_path_prefix: Option<Box<str>>,
    /// Replaces the host sent upstream.
    pub rewrite_host: Option<Box<str>>,
    /// Changes to the request's fields.
    pub request_headers: HeaderEdits,
    /// Changes to the response's fields.
    pub response_headers: HeaderEdits,
    /// When a second try is made beside the first.
    pub hedge: Option<Hedge>,
    /// How much it takes; `None`: anything.
    pub limits: Option<Box<RouteLimits>>,
    /// When its requests are shed by an overloaded worker.
    pub priority: Priority,
    /// What was written, as JSON.
    pub written: Arc<str>,
}

/// Names of upstreams and their weights, weight 0 allowed, at least one above 0.
pub type Choices = Box<[(Arc<str>, u32)]>;

/// What a route does with a request.
#[derive(Debug, Clone)]
pub enum Action {
    /// Forward to the upstream of this name.
    Upstream(Arc<str>),
    /// Forward to one of several upstreams.
    Split(Choices),
    /// Answer with a redirect.
    Redirect(Redirect),
    /// Answer with a fixed response.
    Respond(Respond),
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Address(address) => f.write_str(&address_text(address)),
            Target::Name(name) => name.fmt(f),
        }
    }
}

impl std::fmt::Display for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Driver::Auto => "auto",
            Driver::IoUring => "io_uring",
            Driver::Epoll => "epoll",
        })
    }
}

impl Config {
    /// All but its routes and upstreams.
    pub(super) fn without_objects(&self) -> Config {
        let Config { runtime, admin, etcd, log, access_log, control, rules, overload, .. } = self;
        Config {
            runtime: runtime.clone(),
            admin: admin.clone(),
            etcd: etcd.clone(),
            log: log.clone(),
            access_log: access_log.clone(),
            shutdown_drain: self.shutdown_drain,
            listeners: self.listeners.clone(),
            upstreams: Vec::new(),
            routes: Arc::default(),
            rules: rules.clone(),
            overload: *overload,
            warnings: self.warnings.clone(),
            control: control.clone(),
            written: Arc::clone(&self.written),
        }
    }

    /// The upstream of this name.
    pub fn upstream(&self, name: &str) -> Option<&Upstream> {
        self.upstreams.iter().find(|it| &*it.name == name).map(|it| &**it)
    }

    /// What is in force, in the config's own words with every default filled in; values of fields that carry
    /// credentials are masked. For people to read and for tools to compare.
    pub fn masked(&self) -> serde_json::Value {
        super::in_force::of(self)
    }
}

/// An address as the config writes it.
pub fn address_text(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => format!("unix:{}", path.display()),
    }
}
