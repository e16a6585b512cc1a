//! `ringlane-bench load`: what is typed, turned into a plan.
use std::{net::ToSocketAddrs, path::PathBuf, time::Duration};

use clap::Args;

use super::{
    Expect, Plan,
    plan::{build_request, known_body},
};
use crate::{
    fault::{At, Fault, Result},
    http::fields::is_token,
    runtime::DriverChoice,
};

/// `ringlane-bench load`
#[derive(Args, Clone, Debug)]
pub struct LoadArgs {
    /// What to ask for: http://host:port/path
    #[arg(long)]
    pub url: String,
    /// Connections over all cores
    #[arg(long, short = 'c', default_value_t = 64)]
    pub connections: usize,
    /// Measured time, such as 10s or 500ms
    #[arg(long, short = 'd', default_value = "10s", value_parser = parse_duration)]
    pub duration: Duration,
    /// Time before it, thrown away
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    pub warmup: Duration,
    /// A request that takes longer is an error
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// Cores to run on, one thread each; without it one thread, unpinned
    #[arg(long, value_delimiter = ',', value_name = "N,..")]
    pub cores: Vec<usize>,
    /// Request method
    #[arg(long, default_value = "GET")]
    pub method: String,
    /// Length of the request body; its content is the pattern of the echo origin
    #[arg(long, value_name = "N")]
    pub body_bytes: Option<usize>,
    /// Another header, as 'name: value'; repeatable
    #[arg(long, value_name = "LINE")]
    pub header: Vec<String>,
    /// A new connection for each request
    #[arg(long)]
    pub new_connection: bool,
    /// The status every answer must have
    #[arg(long, default_value_t = 200)]
    pub status: u16,
    /// The body length every answer must have; known without it for the echo origin's paths
    #[arg(long, value_name = "N")]
    pub expect_bytes: Option<u64>,
    /// Do not compare bodies with the echo origin's pattern, even on its paths
    #[arg(long)]
    pub any_body: bool,
    /// Process whose CPU time is read, children included; repeatable
    #[arg(long, value_name = "PID")]
    pub pid: Vec<u32>,
    /// Fail when the 99th percentile is above this
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub target_latency: Option<Duration>,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the latency distribution for HdrHistogram tools
    #[arg(long, value_name = "FILE")]
    pub hgrm: Option<PathBuf>,
    /// The generator's own I/O driver
    #[arg(long, value_enum, default_value_t)]
    pub driver: DriverChoice,
}

/// The two parts of a URL that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `host` or `host:port`, as typed.
    pub host: String,
    /// Path and query, at least `/`.
    pub path: String,
}

impl LoadArgs {
    /// Checks the options and resolves the address.
    pub fn plan(&self) -> Result<Plan> {
        let target = parse_url(&self.url)?;
        if self.connections == 0 || self.duration.is_zero() {
            return Err(Fault::new("--connections and --duration must be above zero"));
        }
        if !is_token(self.method.as_bytes()) {
            return Err(Fault::new(format!(
                "--method {:?} is not a method: use letters, as in POST",
                self.method
            )));
        }
        if let Some(line) = self.header.iter().find(|line| !is_header_line(line)) {
            return Err(Fault::new(format!("--header {line:?} is not of the form 'name: value'")));
        }
        let known = known_body(&target.path, self.body_bytes).filter(|_| self.status == 200);
        Ok(Plan {
            address: resolve(&target.host)?,
            request: build_request(&self.method, &target, &self.header, self.body_bytes, self.new_connection),
            to_head: self.method == "HEAD",
            expect: Expect {
                status: self.status,
                body_bytes: self.expect_bytes.or(known),
                pattern: known.is_some() && !self.any_body,
            },
            connections: self.connections,
            new_connection: self.new_connection,
            duration: self.duration,
            warmup: self.warmup,
            timeout: self.timeout,
            cores: self.cores.clone(),
            driver: self.driver,
            pids: self.pid.clone(),
        })
    }
}

fn is_header_line(line: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| is_token(name.as_bytes())) && !line.contains(['\r', '\n'])
}

/// Splits `http://host:port/path?query`.
pub fn parse_url(url: &str) -> Result<Target> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| Fault::new(format!("{url:?} is not an http URL: write http://host:port/path")))?;
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if host.is_empty() || url.bytes().any(|byte| byte <= b' ' || byte == 0x7F) {
        return Err(Fault::new(format!(
            "{url:?} names no host or holds white space: write http://host:port/path"
        )));
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(Target { host: host.to_owned(), path: format!("{slash}{path}") })
}

/// The first address of `host` or `host:port`; port 80 without one.
pub fn resolve(host: &str) -> Result<std::net::SocketAddr> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let with_port = if has_port { host.to_owned() } else { format!("{host}:80") };
    with_port
        .to_socket_addrs()
        .at(format!("cannot resolve {host}"))?
        .next()
        .ok_or_else(|| Fault::new(format!("{host} has no address")))
}

/// Reads `250ms`, `10s`, `2m`, `500us`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        _ => return Err(format!("unknown unit {unit:?}: write us, ms, s or m, as in 10s")),
    };
    let number: f64 =
        number.parse().map_err(|_| "not a time: write a number and a unit, as in 10s".to_owned())?;
    Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        load: LoadArgs,
    }

    fn plan(options: &str) -> Result<Plan> {
        let words = ["load"].into_iter().chain(options.split_whitespace());
        Typed::try_parse_from(words).unwrap().load.plan()
    }

    #[test]
    fn durations_have_units() {
        for (text, micros) in
            [("10s", 10_000_000), ("1.5ms", 1_500), ("250us", 250), ("2", 2_000_000), ("1m", 60_000_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in ["", "s", "1h", "-1s", "1.2.3s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn urls_split() {
        for (url, host, path) in [
            ("http://a", "a", "/"),
            ("http://a:80/x?y=1", "a:80", "/x?y=1"),
            ("http://a?y", "a", "/?y"),
            ("http://[::1]:80/", "[::1]:80", "/"),
        ] {
            assert_eq!(parse_url(url).unwrap(), Target { host: host.into(), path: path.into() });
        }
        for url in ["https://a/", "a:80", "http://", "http:///x", "http://a/b c"] {
            assert!(parse_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_echo_origins_paths_are_checked_by_content() {
        let expect = |options| plan(options).unwrap().expect;
        assert_eq!(
            expect("--url http://127.0.0.1:1/bytes/13"),
            Expect { status: 200, body_bytes: Some(13), pattern: true }
        );
        assert_eq!(
            expect("--url http://127.0.0.1:1/"),
            Expect { status: 200, body_bytes: None, pattern: false }
        );
        assert_eq!(
            expect("--url http://127.0.0.1:1/bytes/13 --any-body --expect-bytes 5"),
            Expect { status: 200, body_bytes: Some(5), pattern: false }
        );
    }

    #[test]
    fn options_become_a_plan_or_name_what_is_wrong() {
        let plan_of = plan("--url http://127.0.0.1:1/x -c 8 -d 1s --cores 0,1 --pid 1 --pid 2").unwrap();
        assert_eq!((plan_of.connections, plan_of.cores, plan_of.pids), (8, vec![0, 1], vec![1, 2]));
        assert!(plan("--url http://127.0.0.1:1/ -c 0").unwrap_err().to_string().contains("--connections"));
        assert!(plan("--url http://127.0.0.1:1/ --method G(T").unwrap_err().to_string().contains("--method"));
        assert!(
            plan("--url http://127.0.0.1:1/ --header nonsense").unwrap_err().to_string().contains("--header")
        );
    }
}
