//! What the log says of a start, for a person.

use std::sync::Arc;

use super::Server;
use crate::{control::config::Route, limits::TICK, worker::runtime::Chosen};

impl Server {
    /// A line each for what a person wants to know at a start.
    pub(super) fn announce(&self, chosen: Chosen, reason: &str) {
        let config = &self.config;
        tracing::info!("ringlane {}", crate::VERSION);
        tracing::info!("driver: {} ({reason})", chosen.name());
        let cores: Vec<_> = (0..self.threads.len()).filter_map(|index| self.threads.core(index)).collect();
        match cores.is_empty() {
            true => tracing::info!("workers: {}, not pinned", self.threads.len()),
            false => tracing::info!("workers: {}, on cores {cores:?}", self.threads.len()),
        }
        for (listener, (name, address)) in config.listeners.iter().zip(self.threads.addresses()) {
            let max = listener.max_connections;
            tracing::info!("listener {name:?}: {address}, at most {max} connections{}", self.divided(max));
        }
        for upstream in &config.upstreams {
            let max = upstream.pool.max_connections;
            let endpoints = upstream.endpoints.len();
            let name = &upstream.name;
            let divided = self.divided(max);
            let s = if endpoints == 1 { "" } else { "s" };
            tracing::info!("upstream {name:?}: {endpoints} endpoint{s}, at most {max} connections{divided}");
        }
        tracing::info!("routes: {}", config.routes.len());
        self.announce_rates();
        tracing::info!("config: {}", self.path.display());
        self.report_names();
    }

    fn divided(&self, limit: u32) -> String {
        let workers = self.threads.len() as u32;
        if workers < 2 { String::new() } else { format!(" ({} for each worker)", limit / workers) }
    }

    /// How rate limits are held, where there are any.
    fn announce_rates(&self) {
        let has_rate = |it: &&Arc<Route>| it.limits.as_ref().is_some_and(|limits| limits.rate.is_some());
        let limited = self.config.routes.iter().filter(has_rate).count();
        if limited == 0 {
            return;
        }
        let s = if limited == 1 { "" } else { "s" };
        let shared = match self.threads.len() {
            0 | 1 => String::new(),
            _ => format!("; workers tell each other every {} ms", TICK.as_millis()),
        };
        tracing::info!("rate limits: on {limited} route{s}, each of the whole process{shared}");
    }

    pub(super) fn report_names(&self) {
        for failure in self.resolved.failures() {
            let (name, reason, kept) = (failure.name, failure.reason, failure.kept);
            tracing::warn!(
                "endpoint {name} can't be looked up: {reason}; {kept} addresses of before stay in use"
            );
        }
    }
}
