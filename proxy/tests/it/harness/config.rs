//! Configs for tests: one listener, one upstream, one route, and whatever a test adds to each.

use super::{Driver, Origin, Proxy};

/// A config in parts. What is added to a part is TOML, in the part's own table: `timeouts.keep_alive = "1s"`.
#[derive(Debug, Clone)]
pub struct Setup {
    workers: usize,
    endpoints: String,
    listener: String,
    upstream: String,
    route: String,
    rest: String,
}

impl Setup {
    /// One worker; listener `web`, upstream `app` at `origin`, route `app` for everything.
    pub fn to(origin: &Origin) -> Setup {
        Setup::to_endpoints(&[&origin.address()])
    }

    /// As `to`, with these endpoints.
    pub fn to_endpoints(endpoints: &[&str]) -> Setup {
        Setup {
            workers: 1,
            endpoints: format!("{endpoints:?}"),
            listener: String::new(),
            upstream: String::new(),
            route: String::new(),
            rest: String::new(),
        }
    }

    /// So many workers.
    pub fn workers(mut self, workers: usize) -> Setup {
        self.workers = workers;
        self
    }

    /// Adds to the listener.
    pub fn listener(mut self, toml: &str) -> Setup {
        self.listener += &format!("{toml}\n");
        self
    }

    /// Adds to the upstream.
    pub fn upstream(mut self, toml: &str) -> Setup {
        self.upstream += &format!("{toml}\n");
        self
    }

    /// Adds to the route.
    pub fn route(mut self, toml: &str) -> Setup {
        self.route += &format!("{toml}\n");
        self
    }

    /// Adds tables to the end.
    pub fn and(mut self, toml: &str) -> Setup {
        self.rest += &format!("{toml}\n");
        self
    }

    /// The listener, the upstream, the route and the rest; without `[runtime]` and `[admin]`, which the proxy's own
    /// start adds.
    pub fn toml(&self) -> String {
        let Setup { endpoints, listener, upstream, route, rest, .. } = self;
        format!(
            "[[listeners]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n{listener}\n\
             [[upstreams]]\nname = \"app\"\nendpoints = {endpoints}\n{upstream}\n\
             [[routes]]\nname = \"app\"\nupstream = \"app\"\n{route}\n{rest}"
        )
    }

    /// Starts a proxy with it.
    #[track_caller]
    pub fn start(&self, driver: Driver) -> Proxy {
        Proxy::launch(driver).workers(self.workers).start(&self.toml())
    }
}
