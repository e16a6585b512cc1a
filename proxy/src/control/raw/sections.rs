//! Every key of the config but those of routes: its type, bounds, default and description. What is said here is all
//! that is said: the reader, the errors, `ringlane schema` and the check of `configs/full.toml` come from it.

use std::{path::PathBuf, time::Duration};

use http::HeaderName;
use tracing::level_filters::LevelFilter;

use super::{
    balance::{Hash, Sticky},
    either::{AccessLogPath, EndpointSpec, RawEndpoint},
    etcd::Etcd,
    health::{Breaker, Ejection, HealthChecks, WHEN_UNHEALTHY},
    limits::UNDER_WAY_MAX,
    overload::Overload,
    provenance::{CLIENT_ADDRESS, PROXY_PROTOCOL, TRUSTED_PROXY, Trace},
    quantity::{size, time, time_from},
    retries::Retries,
    routes::Route,
    rules::Rule,
    section::{section, table},
    spec::{Choice, Flag, Item, List, auto_or, count, off_or},
    text::{ANY, FILE, HEADER_NAME, LISTEN, NAME},
};
use crate::{
    control::config::{AccessLog as AccessLogTarget, Driver, LogFormat},
    limits,
    proxy_protocol::Version,
    route::{
        listener::Forwarded,
        provenance::{ClientAddress, ProxyProtocol, TrustedProxy},
    },
    upstream::{Address, Balance, health::WhenUnhealthy},
};

const CONNECTIONS_MAX: u64 = 10_000_000;

section! {
    /// Ringlane's config.
    pub(crate) struct Root {
        /// Worker threads and how they talk to the kernel.
        runtime: Runtime, default({}), table::<Runtime>();
        /// The admin listener: health, metrics, latency, the config in force. Absent: there is none.
        admin: Admin, optional, table::<Admin>();
        /// An etcd that holds more routes and upstreams. Absent: there is none.
        etcd: Etcd, optional, table::<Etcd>();
        /// The program's own log, on stderr.
        log: Log, default({}), table::<Log>();
        /// One line per exchange, as JSON.
        access_log: AccessLog, default({}), table::<AccessLog>();
        /// What TERM and INT do.
        shutdown: Shutdown, default({}), table::<Shutdown>();
        /// How changes are taken in while the process runs.
        control: Control, default({}), table::<Control>();
        /// When workers turn requests away because they have more to do than they can.
        overload: Overload, default({}), table::<Overload>();
        /// More files with upstreams and routes, read in the order of their names: paths from this file's folder
        /// on, with * and ?, as "routes.d/*.toml". One that is bad is reported and its last good version stays.
        include: Vec<Item<String>>, default([]), List(ANY);
        /// Where clients are accepted, at least one.
        listeners: Vec<Item<Listener>>, required, List(table::<Listener>());
        /// Named groups of servers that requests are forwarded to.
        upstreams: Vec<Item<Upstream>>, default([]), List(table::<Upstream>());
        /// What is done with which request. Precedence is by how exact a route is, not by the order in the file.
        routes: Vec<Item<Route>>, default([]), List(table::<Route>());
        /// What is done about a request before it is routed, in the order of the file.
        rules: Vec<Item<Rule>>, default([]), List(table::<Rule>());
    }
}

section! {
    /// Worker threads and how they talk to the kernel.
    pub(crate) struct Runtime {
        /// Worker threads. "auto": the cores that this process may run on, within the cgroup's CPU quota.
        workers: Option<u64>, default("auto"), auto_or(count(1, 1024));
        /// Keep each worker on one core.
        pin_cores: bool, default(true), Flag;
        /// "auto" takes io_uring where the kernel allows it, else epoll; "io_uring" fails rather than fall back.
        driver: Driver, default("auto"),
            Choice(&[("auto", Driver::Auto), ("io_uring", Driver::IoUring), ("epoll", Driver::Epoll)]);
    }
}

section! {
    /// The admin listener.
    pub(crate) struct Admin {
        /// "ADDRESS:PORT" or "unix:/PATH". Without token_file only a loopback address or a unix socket.
        address: Address, required, LISTEN;
        /// A file with the token (16 bytes to 4 KiB) that requests must bring as "Authorization: Bearer TOKEN"; /healthz
        /// and /readyz need none. It is read for every request, so that another token counts at once.
        token_file: PathBuf, optional, FILE;
        /// /metrics needs no token either.
        metrics_open: bool, default(false), Flag;
    }
}

section! {
    /// The program's own log, on stderr.
    pub(crate) struct Log {
        /// What is less severe than this is dropped.
        level: LevelFilter, default("info"), Choice(&[
            ("off", LevelFilter::OFF), ("error", LevelFilter::ERROR), ("warn", LevelFilter::WARN),
            ("info", LevelFilter::INFO), ("debug", LevelFilter::DEBUG), ("trace", LevelFilter::TRACE),
        ]);
        /// "text" for people, "json" for one JSON object per line.
        format: LogFormat, default("text"), Choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
    }
}

section! {
    /// One line per exchange, as JSON.
    pub(crate) struct AccessLog {
        /// "off", "stdout", or a file that lines are appended to.
        path: AccessLogTarget, default("off"), AccessLogPath;
    }
}

section! {
    /// What TERM and INT do.
    pub(crate) struct Shutdown {
        /// How long exchanges that are under way may take to end; then they are cut.
        drain_timeout: Duration, default("30s"), time();
    }
}

section! {
    /// How changes are taken in while the process runs.
    pub(crate) struct Control {
        /// Read the files again as soon as they change. Without it only HUP does.
        watch: bool, default(true), Flag;
        /// Changes that come sooner than this after the last rebuild of the route table wait, and become one rebuild.
        /// "0s": every change at once.
        rebuild_min_interval: Duration, default("0s"), time_from(Duration::ZERO);
        /// No change waits longer than this, whatever rebuild_min_interval says. "off": that alone counts.
        rebuild_max_delay: Option<Duration>, default("off"), off_or(time());
    }
}

section! {
    /// A file that the config includes.
    pub(crate) struct Included {
        /// Named groups of servers that requests are forwarded to.
        upstreams: Vec<Item<Upstream>>, default([]), List(table::<Upstream>());
        /// What is done with which request.
        routes: Vec<Item<Route>>, default([]), List(table::<Route>());
    }
}

section! {
    /// An address that is accepted on.
    pub(crate) struct Listener {
        /// Its name in logs and metrics; no two listeners share one.
        name: String, required, NAME;
        /// `"0.0.0.0:8080"`, `"[::]:8080"` (IPv6 and IPv4) or `"unix:/PATH"`.
        address: Address, required, LISTEN;
        /// Client connections open at a time, over all workers; beyond it 503 and close.
        max_connections: u64, default(100_000), count(1, CONNECTIONS_MAX);
        /// Proxies whose word on the client is taken: "10.0.0.0/8", "2001:db8::1", or "unix" for all that connect by
        /// a unix socket.
        trusted_proxies: Vec<Item<TrustedProxy>>, default([]), List(TRUSTED_PROXY);
        /// Where the client's address is taken from, for rules, limits and the access log: "connection", or by trusted
        /// proxies "x-forwarded-for" or "forwarded", read from the right past trusted proxies.
        client_address: ClientAddress, default("connection"), CLIENT_ADDRESS;
        /// The PROXY protocol, versions 1 and 2. "accept": trusted proxies have to bring a header, others are clients of
        /// their own. "require": everybody has to, and who is no trusted proxy is closed.
        proxy_protocol: ProxyProtocol, default("off"), PROXY_PROTOCOL;
        /// What happens to X-Forwarded-* fields that a client sent: "replace" drops them, "append" keeps those of trusted
        /// proxies (without trusted_proxies: everybody's). "auto": "append" with trusted_proxies, else "replace".
        forwarded: Option<Forwarded>, default("auto"),
            Choice(&[("auto", None), ("replace", Some(Forwarded::Replace)), ("append", Some(Forwarded::Append))]);
        /// Ids that go along with requests, upstream and into the access log.
        trace: Trace, default({}), table::<Trace>();
        /// Bounds on what a request may be.
        limits: Limits, default({}), table::<Limits>();
        /// Bounds on how long a client may take.
        timeouts: ListenerTimeouts, default({}), table::<ListenerTimeouts>();
    }
}

section! {
    /// Bounds on what a request may be.
    pub(crate) struct Limits {
        /// Request line and all header lines, 512 bytes to 60KiB; beyond it 431 or 414.
        request_head_bytes: u64, default("32KiB"),
            size(limits::REQUEST_HEAD_BYTES_MIN as u64, limits::REQUEST_HEAD_BYTES_MAX as u64);
        /// Header lines of a request, 1 to 96; beyond it 431.
        headers: u64, default(96), count(1, limits::HEAD_FIELDS_MAX as u64);
        /// A request's body; beyond it 413. "off": no limit.
        request_body_bytes: Option<u64>, default("off"), off_or(size(0, 1 << 50));
        /// A request's target, as it was sent; beyond it 414. "off": no limit but request_head_bytes.
        target_bytes: Option<u64>, default("off"), off_or(size(1, limits::REQUEST_HEAD_BYTES_MAX as u64));
        /// Requests of one client under way at a time, over all workers; beyond it 429. "off": no limit.
        requests_per_client: Option<u64>, default("off"), off_or(count(1, UNDER_WAY_MAX));
        /// Connections of one client at a time, over all workers; beyond it 429 and close. "off": no limit.
        connections_per_client: Option<u64>, default("off"), off_or(count(1, UNDER_WAY_MAX));
    }
}

section! {
    /// Bounds on how long a client may take.
    pub(crate) struct ListenerTimeouts {
        /// From a request's first byte to the end of its head; then 408.
        request_head: Duration, default("10s"), time();
        /// Between two reads of a request's body; then 408.
        request_body_idle: Duration, default("60s"), time();
        /// Between two requests of a connection, and before the first; then close.
        keep_alive: Duration, default("60s"), time();
        /// Without a byte either way after an upgrade (WebSocket); then close.
        tunnel_idle: Duration, default("1h"), time();
        /// Between two writes to a client that does not read; then close.
        response_write: Duration, default("60s"), time();
        /// Bytes per second that a request's body has to come at, over each 5 s of waiting for it; else 408. "off": any.
        request_body_rate_min: Option<u64>, default("off"), off_or(size(1, 1 << 40));
        /// Bytes per second that a response has to be read at, over each 5 s of waiting for the client; else the
        /// connection is cut. "off": any.
        response_rate_min: Option<u64>, default("off"), off_or(size(1, 1 << 40));
    }
}

section! {
    /// A named group of servers.
    pub(crate) struct Upstream {
        /// Its name, which routes refer to; no two upstreams share one.
        name: String, required, NAME;
        /// How requests are shared. "round_robin": in turn, by weight. "least_requests": the fewest under way.
        /// "power_of_two": the better of two random ones, by requests under way; "peak_ewma": by latency times those. "hash":
        /// by a key of the request. "random": at random, by weight. "auto": power_of_two from three endpoints on, else round_robin.
        balance: Balance, default("auto"), Choice(&Balance::ALL);
        /// What `balance = "hash"` goes by.
        hash: Hash, default({}), table::<Hash>();
        /// A cookie that brings a client back to its endpoint. Absent: there is none.
        sticky: Sticky, optional, table::<Sticky>();
        /// `"HOST:PORT"`, `"ADDRESS:PORT"`, `"[ADDRESS]:PORT"`, `"unix:/PATH"`, or
        /// `{ address = "...", weight = 2, backup = true }`.
        endpoints: Vec<Item<RawEndpoint>>, required, List(EndpointSpec);
        /// How often names among the endpoints are looked up; a failed look-up keeps the last answer.
        dns_refresh: Duration, default("30s"), time_from(Duration::from_secs(1));
        /// Sends a PROXY protocol header with the client's address first on each connection. Connections then serve one
        /// request each.
        proxy_protocol: Option<Version>, default("off"),
            Choice(&[("off", None), ("v1", Some(Version::V1)), ("v2", Some(Version::V2))]);
        /// Bounds on connections.
        pool: Pool, default({}), table::<Pool>();
        /// Bounds on how long a server may take.
        timeouts: UpstreamTimeouts, default({}), table::<UpstreamTimeouts>();
        /// Requests that are tried again. Absent: once at most, on a connection that proved stale.
        retries: Retries, optional, table::<Retries>();
        /// The field that tells servers how many milliseconds are left for a request, as "X-Request-Timeout". A client
        /// that sends it may make that time shorter. "off": none.
        deadline_header: Option<HeaderName>, default("off"), off_or(HEADER_NAME);
        /// Checks of each endpoint. Absent: there are none.
        health: HealthChecks, optional, table::<HealthChecks>();
        /// When failures of requests take an endpoint out of use. Absent: never.
        ejection: Ejection, optional, table::<Ejection>();
        /// A circuit breaker. Absent: there is none.
        breaker: Breaker, optional, table::<Breaker>();
        /// How long the share of an endpoint that has recovered takes to become whole, from a tenth of it. "off": no time.
        slow_start: Option<Duration>, default("off"), off_or(time());
        /// When no endpoint is left: "try_all" uses all, as if nothing was known of them, "fail" answers 503.
        when_unhealthy: WhenUnhealthy, default("try_all"), WHEN_UNHEALTHY;
    }
}

section! {
    /// Bounds on connections to an upstream. Counts are for the whole process and divided over the workers.
    pub(crate) struct Pool {
        /// Connections open at a time, busy and idle, over all endpoints; at least one per worker.
        max_connections: u64, default(4096), count(1, CONNECTIONS_MAX);
        /// Idle connections kept for reuse; 0: none is reused.
        max_idle: u64, default(1024), count(0, CONNECTIONS_MAX);
        /// Requests waiting for a connection when all are busy; beyond it 503. 0: nobody waits.
        max_pending: u64, default(1024), count(0, CONNECTIONS_MAX);
        /// An idle connection is closed after this long. Keep it below the servers' own keep-alive timeout.
        idle_timeout: Duration, default("30s"), time();
        /// A connection older than this is not reused. "off": no limit.
        max_age: Option<Duration>, default("off"), off_or(time());
        /// A connection is closed after so many requests. "off": no limit.
        max_requests: Option<u64>, default("off"), off_or(count(1, u32::MAX as u64));
    }
}

section! {
    /// Bounds on how long a server may take.
    pub(crate) struct UpstreamTimeouts {
        /// Waiting for a connection when all are busy; then 503.
        queue: Duration, default("5s"), time();
        /// Opening a connection; then the next endpoint, at last 504. Long enough for two lost packets.
        connect: Duration, default("5s"), time();
        /// From the end of the request to the end of the response's head; then 504.
        response_head: Duration, default("60s"), time();
        /// Between two reads of a response's body; then the connection is cut.
        response_body_idle: Duration, default("60s"), time();
        /// The whole request, all of the above together. "off": no limit.
        request: Option<Duration>, default("off"), off_or(time());
    }
}
