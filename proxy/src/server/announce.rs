//! What the log says of a start, for a person.

use super::Server;
use crate::worker::runtime::Chosen;

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
        tracing::info!("config: {}", self.path.display());
        self.report_names();
    }

    fn divided(&self, limit: u32) -> String {
        let workers = self.threads.len() as u32;
        if workers < 2 { String::new() } else { format!(" ({} for each worker)", limit / workers) }
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
