//! `ringlane-bench load`: what is typed, checked, and turned into a plan.
use std::{path::PathBuf, time::Duration};

use clap::Args;

pub use super::values::{Target, parse_duration, parse_rate, parse_url, resolve};
use super::{
    Plan,
    arrivals::Arrivals,
    plan::{Open, Pace, Request},
    targets::{self, Common, Line, REQUEST_BYTES_MAX},
};
use crate::{
    fault::{Fault, Result},
    http::fields::is_token,
    release::AllowDebug,
    runtime::DriverChoice,
};

const CONNECTIONS_MAX: usize = 1_000_000;
const PIPELINE_MAX: usize = 1024;
/// Pipelined requests are written before answers are read: they must fit into the sockets' buffers.
const PIPELINE_BYTES_MAX: usize = 64 * 1024;
const BACKLOG_MAX: usize = 10_000_000;
/// Times are added to clocks; beyond this they would only ever be typing errors.
const TIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

const EXAMPLES: &str = "\
Examples:
  What 64 patient clients get:
    ringlane-bench load --url http://127.0.0.1:8080/ -c 64 -d 30s
  1000 clients for a minute; fail when p99 is above a millisecond:
    ringlane-bench load --url URL --concurrent 1000 --duration 60s --target-latency 1ms
  20,000 requests a second, whatever the server does (open loop):
    ringlane-bench load --url URL -c 200 --rate 20000/s --hlog run.hlog --csv run.csv
  A mix of requests, one per line of the file:
    ringlane-bench load --url http://127.0.0.1:8080 --targets mix.txt

Exit status: 0 good; 1 errors, no answers, or the target latency missed; 2 bad usage.";

/// `ringlane-bench load`
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct LoadArgs {
    /// What to ask for: http://host:port/path
    #[arg(long)]
    pub url: String,
    /// Connections over all cores
    #[arg(long, short = 'c', visible_alias = "concurrent", value_name = "N", default_value_t = 64)]
    pub connections: usize,
    /// Measured time, such as 10s or 500ms
    #[arg(long, short = 'd', value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub duration: Duration,
    /// Time before it, thrown away
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    pub warmup: Duration,
    /// Open loop: so many requests per second, latency counted from when each was due
    #[arg(long, short = 'r', value_name = "R/s", value_parser = parse_rate, help_heading = "Pace")]
    pub rate: Option<f64>,
    /// Open loop: how arrivals follow each other
    #[arg(long, value_enum, default_value_t, requires = "rate", help_heading = "Pace")]
    pub arrivals: Arrivals,
    /// Open loop: requests that may wait for a free connection; those beyond are dropped and errors
    #[arg(long, value_name = "N", default_value_t = 100_000, requires = "rate", help_heading = "Pace")]
    pub backlog: usize,
    /// Closed loop: requests under way on each connection at a time
    #[arg(long, value_name = "DEPTH", default_value_t = 1, help_heading = "Pace")]
    pub pipeline: usize,
    /// A new connection for each request
    #[arg(long, help_heading = "Pace")]
    pub new_connection: bool,
    /// What random choices (Poisson gaps, where a mix begins) start from
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Pace")]
    pub seed: u64,
    /// Request method
    #[arg(long, default_value = "GET", help_heading = "Request")]
    pub method: String,
    /// Length of the request body; its content is the pattern of the echo origin
    #[arg(long, value_name = "N", help_heading = "Request")]
    pub body_bytes: Option<usize>,
    /// Another header, as 'name: value'; repeatable
    #[arg(long, short = 'H', value_name = "LINE", help_heading = "Request")]
    pub header: Vec<String>,
    /// A mix of requests, one per line: WEIGHT METHOD PATH [body=BYTES] [status=CODE]; # begins a comment
    #[arg(long, value_name = "FILE", help_heading = "Request")]
    #[arg(conflicts_with_all = ["method", "body_bytes", "status", "expect_bytes"])]
    pub targets: Option<PathBuf>,
    /// The status every answer must have
    #[arg(long, value_name = "CODE", default_value_t = 200, help_heading = "Checks")]
    pub status: u16,
    /// The body length every answer must have; known without it for the echo origin's paths
    #[arg(long, value_name = "N", help_heading = "Checks")]
    pub expect_bytes: Option<u64>,
    /// Do not hold bodies against what the echo origin answers, even on its paths
    #[arg(long, help_heading = "Checks")]
    pub any_body: bool,
    /// A request that takes longer is an error
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration, help_heading = "Checks")]
    pub timeout: Duration,
    /// Fail when the 99th percentile is above this
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Checks")]
    pub target_latency: Option<Duration>,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,
    /// Write the latency distribution for HdrHistogram plotters
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub hgrm: Option<PathBuf>,
    /// Write a histogram a second, as an HdrHistogram log (V2, compressed)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub hlog: Option<PathBuf>,
    /// Write a line a second: time, requests, errors, rate, percentiles in microseconds
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub csv: Option<PathBuf>,
    /// Process whose CPU time is read, children included; repeatable
    #[arg(long, value_name = "PID", help_heading = "Output")]
    pub pid: Vec<u32>,
    /// Cores to run on, one thread each; without it one thread, unpinned
    #[arg(long, value_delimiter = ',', value_name = "N,..", help_heading = "Generator")]
    pub cores: Vec<usize>,
    /// The generator's own I/O driver
    #[arg(long, value_enum, default_value_t, help_heading = "Generator")]
    pub driver: DriverChoice,
    /// Whether a debug build will do.
    #[command(flatten, next_help_heading = "Generator")]
    pub debug: AllowDebug,
}

impl LoadArgs {
    /// Checks the options and resolves the address.
    pub fn plan(&self) -> Result<Plan> {
        let (host, mut requests) = self.check()?;
        let plan = Plan::of(resolve(&host)?, requests.remove(0));
        requests.splice(0..0, plan.requests);
        Ok(Plan {
            requests,
            connections: self.connections,
            new_connection: self.new_connection,
            pipeline: self.pipeline,
            pace: self.rate.map_or(Pace::Closed, |rate| {
                Pace::Open(Open { rate, arrivals: self.arrivals, backlog_max: self.backlog })
            }),
            seed: self.seed,
            duration: self.duration,
            warmup: self.warmup,
            timeout: self.timeout,
            cores: self.cores.clone(),
            driver: self.driver,
            pids: self.pid.clone(),
            ..plan
        })
    }

    /// Checks everything that was typed; gives the host and what it is asked for, at least one request.
    pub fn check(&self) -> Result<(String, Vec<Request>)> {
        let url = parse_url(&self.url)?;
        self.check_amounts()?;
        if let Some(line) = self.header.iter().find(|line| !is_header_line(line)) {
            return Err(Fault::new(format!("--header {line:?} is not of the form 'name: value'")));
        }
        let requests = self.requests(&url)?;
        self.check_pipeline(&requests)?;
        Ok((url.host, requests))
    }

    fn check_amounts(&self) -> Result<()> {
        let fault = if self.connections == 0 || self.connections > CONNECTIONS_MAX {
            format!("--connections {}: at least 1 and at most {CONNECTIONS_MAX}", self.connections)
        } else if self.connections < self.cores.len() {
            format!(
                "{} connections leave some of {} cores without any: raise --connections or name fewer --cores",
                self.connections,
                self.cores.len()
            )
        } else if self.duration.is_zero() || self.timeout.is_zero() {
            "--duration and --timeout must be above zero, as in 10s".into()
        } else if let Some(time) =
            [self.duration, self.warmup, self.timeout].iter().find(|time| **time > TIME_MAX)
        {
            format!("a time of {time:?} is too long: at most {TIME_MAX:?}")
        } else if self.backlog > BACKLOG_MAX {
            format!("--backlog {} is too many: at most {BACKLOG_MAX}", self.backlog)
        } else {
            return Ok(());
        };
        Err(Fault::new(fault))
    }

    fn requests(&self, url: &Target) -> Result<Vec<Request>> {
        let common = Common {
            host: &url.host,
            headers: &self.header,
            close: self.new_connection,
            any_body: self.any_body,
        };
        let lines = match &self.targets {
            Some(_) if url.path != "/" => {
                return Err(Fault::new(format!(
                    "--targets names the paths: leave {:?} off --url, as in http://{}",
                    url.path, url.host
                )));
            }
            Some(file) => targets::read(file)?,
            None => vec![self.line(url)?],
        };
        if lines.iter().filter_map(|line| line.body_bytes).sum::<usize>() > REQUEST_BYTES_MAX {
            return Err(Fault::new(format!(
                "the request bodies hold more than {REQUEST_BYTES_MAX} bytes together"
            )));
        }
        let mut requests: Vec<Request> = lines.iter().map(|line| line.request(&common)).collect();
        if self.expect_bytes.is_some() {
            for request in &mut requests {
                request.expect.body_bytes = self.expect_bytes;
            }
        }
        Ok(requests)
    }

    /// The one request of a run without `--targets`.
    fn line(&self, url: &Target) -> Result<Line> {
        let line = Line {
            weight: 1,
            method: self.method.clone(),
            path: url.path.clone(),
            body_bytes: self.body_bytes,
            status: self.status,
        };
        let option = if !is_token(self.method.as_bytes()) {
            "--method"
        } else if !(200..1000).contains(&self.status) {
            "--status"
        } else {
            "--url"
        };
        line.check().map_err(|fault| Fault::new(format!("{option}: {fault}")))?;
        Ok(line)
    }

    fn check_pipeline(&self, requests: &[Request]) -> Result<()> {
        let longest = requests.iter().map(|request| request.bytes.len()).max().unwrap_or(0);
        let fault = if self.pipeline == 0 || self.pipeline > PIPELINE_MAX {
            format!("--pipeline {}: at least 1 and at most {PIPELINE_MAX}", self.pipeline)
        } else if self.pipeline == 1 {
            return Ok(());
        } else if self.new_connection {
            "--pipeline needs connections that are kept: leave out --new-connection or --pipeline".into()
        } else if self.rate.is_some() {
            "--pipeline is for closed loop; with --rate raise --connections instead, or leave out --rate"
                .into()
        } else if self.pipeline * longest > PIPELINE_BYTES_MAX {
            format!(
                "--pipeline {} with requests of {longest} bytes is more than the {PIPELINE_BYTES_MAX} that are \
                 safely under way at once: lower --pipeline to {}",
                self.pipeline,
                (PIPELINE_BYTES_MAX / longest).max(1)
            )
        } else {
            return Ok(());
        };
        Err(Fault::new(fault))
    }
}

fn is_header_line(line: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| is_token(name.as_bytes())) && !line.contains(['\r', '\n'])
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::load::plan::{Content, Expect};

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        load: LoadArgs,
    }

    fn plan(options: &str) -> Result<Plan> {
        let words = ["load", "--url", "http://127.0.0.1:1/bytes/13"].into_iter();
        let words = words.chain(options.split_whitespace());
        Typed::try_parse_from(words).map_err(|error| Fault::new(error.to_string()))?.load.plan()
    }

    #[test]
    fn the_echo_origins_paths_are_checked_by_content() {
        let expect = |options| plan(options).unwrap().requests[0].expect.clone();
        let expected = |body_bytes, content| Expect { status: 200, body_bytes, content };
        assert_eq!(expect(""), expected(Some(13), Content::Pattern(13)));
        assert_eq!(expect("--any-body"), expected(None, Content::Any));
        assert_eq!(expect("--any-body --expect-bytes 5"), expected(Some(5), Content::Any));
    }

    #[test]
    fn options_become_a_plan() {
        let plan_of = plan("-c 8 -d 1s --cores 0,1 --pid 1 --pid 2").unwrap();
        assert_eq!((plan_of.connections, plan_of.cores, plan_of.pids), (8, vec![0, 1], vec![1, 2]));
        assert_eq!(plan_of.pace, Pace::Closed);
        let open = plan("--concurrent 1000 --rate 500/s --arrivals poisson --backlog 7").unwrap();
        assert_eq!(open.connections, 1000);
        assert_eq!(open.pace, Pace::Open(Open { rate: 500.0, arrivals: Arrivals::Poisson, backlog_max: 7 }));
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_the_fix() {
        for (options, fix) in [
            ("-c 0", "--connections"),
            ("-c 1 --cores 0,1", "fewer --cores"),
            ("-d 0s", "above zero"),
            ("-d 99999999m", "too long"),
            ("--method G(T", "--method"),
            ("--status 100", "--status"),
            ("--header nonsense", "name: value"),
            ("--rate 0", "leave --rate out"),
            ("--arrivals poisson", "--rate"),
            ("--pipeline 0", "at least 1"),
            ("--pipeline 4 --new-connection", "leave out --new-connection"),
            ("--pipeline 4 --rate 5", "raise --connections"),
            ("--pipeline 1000 --method POST --body-bytes 600", "lower --pipeline to"),
            ("--targets x --method POST", "--method"),
            ("--targets x", "leave \"/bytes/13\" off --url"),
        ] {
            let fault = plan(options).unwrap_err().to_string();
            assert!(fault.contains(fix), "{options}: {fault}");
        }
    }
}
