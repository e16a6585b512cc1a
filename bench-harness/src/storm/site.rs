//! A proxy with many routes, an origin behind it, and what can be read of them from outside.
use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use toml::{Table, Value};

use super::{
    etcd::{self, Etcd},
    options::StormArgs,
    threads,
};
use crate::{
    cpu,
    fault::{At, Fault, Result},
    load::{Arrivals, Open, Pace, Plan, Request, options::Target},
    loadtest::{
        Cores,
        process::{Launch, Process},
        proxy_config::{Place, free_address, rewrite},
        proxy_info::{ProxyInfo, metrics},
        routes::Routes,
    },
    release, resident,
};

/// Path prefixes on each host.
const PATHS: usize = 10;
/// Routes that the load goes through; evenly spread over all there are.
const LOADED_ROUTES_MAX: usize = 500;
/// Requests of an open loop that may wait for a connection.
const BACKLOG_MAX: usize = 100_000;
/// Where included files are, beside the config.
const INCLUDED: &str = "routes.d";

/// What a proxy is to be like.
pub(super) struct Setup<'a> {
    pub(super) name: String,
    /// Routes of the file that forward to the origin.
    pub(super) forwarding: usize,
    /// `control.rebuild_min_interval`.
    pub(super) interval: Duration,
    /// The first text of an included file, where one is watched.
    pub(super) included: Option<String>,
    /// An etcd to follow.
    pub(super) etcd: Option<&'a Etcd>,
}

/// It, running.
pub(super) struct Site {
    pub(super) address: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) pid: u32,
    /// What it says that it is.
    pub(super) info: ProxyInfo,
    routes: Routes,
    included: PathBuf,
    /// Processes whose work is part of the run: the origin, and an etcd.
    helpers: Vec<u32>,
    // Ended in this order.
    _proxy: Process,
    _origin: Process,
}

/// All that is read of it at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Tables built so far.
    pub(super) builds: u64,
    /// Everything's CPU time but the workers'.
    pub(super) control: Duration,
    /// Resident bytes.
    pub(super) resident: u64,
    /// CPU time of the machine, and of us and all that we started.
    pub(super) machine: Duration,
    pub(super) ours: Duration,
}

impl Site {
    /// Starts origin and proxy, and waits until they answer.
    pub(super) fn start(args: &StormArgs, setup: &Setup<'_>, cores: Cores, dir: &Path) -> Result<Self> {
        let dir = &dir.join(&setup.name);
        let included = dir.join(INCLUDED).join("storm.toml");
        fs::create_dir_all(dir.join(INCLUDED)).at(format!("cannot create {}", dir.display()))?;
        if let Some(text) = &setup.included {
            fs::write(&included, text).at(format!("cannot write {}", included.display()))?;
        }
        let echo = ["echo", "--listen", "127.0.0.1:0"].map(String::from);
        let launch = Launch { name: "echo", cores: cores.load.as_slice(), dir, death_signal: libc::SIGKILL };
        let (origin, origin_address) = Process::start_own(&echo, &launch)?;
        let routes = Routes { hosts: setup.forwarding.div_ceil(PATHS), paths: PATHS };
        let (address, admin) = (free_address()?, free_address()?);
        let driver = &args.driver;
        let place = Place { listen: address, admin, origin: origin_address, driver, routes, workers: 1 };
        let config = dir.join("ringlane.toml");
        fs::write(&config, text(args, setup, &place)?).at(format!("cannot write {}", config.display()))?;
        let mut command = Command::new(binary(args)?);
        command.args(["run", "--config"]).arg(config);
        // The worker pins itself to the first of them; the rest of the process may use all.
        let both: Vec<usize> =
            [cores.proxy, cores.load.filter(|_| args.spread)].into_iter().flatten().collect();
        let launch = Launch { name: "ringlane", cores: &both, dir, death_signal: libc::SIGKILL };
        let mut proxy = Process::start(command, &launch)?;
        proxy.wait_until_it_answers(address, &routes.entrance())?;
        let info = ProxyInfo::of(admin)?;
        args.debug.check_proxy("ringlane", &info.build)?;
        let pid = proxy.pid();
        let helpers = [origin.pid()].into_iter().chain(setup.etcd.map(Etcd::pid)).collect();
        Ok(Self { address, admin, pid, info, routes, included, helpers, _proxy: proxy, _origin: origin })
    }

    /// The file that [`Setup::included`] is in.
    pub(super) fn included(&self) -> &Path {
        &self.included
    }

    /// Whether any of it is a debug build.
    pub(super) fn is_debug(&self) -> bool {
        release::is_debug(&self.info.build) || release::mark().is_some()
    }

    /// Reads what there is to read.
    pub(super) fn read(&self) -> Result<Reading> {
        let pids = [self.pid].into_iter().chain(self.helpers.iter().copied());
        let ours = cpu::own() + pids.map(cpu::process_tree).sum::<Result<Duration>>()?;
        Ok(Reading {
            builds: builds(&metrics(self.admin)?)?,
            control: threads::control(self.pid)?,
            resident: resident::process_tree(self.pid)?,
            machine: cpu::machine(),
            ours,
        })
    }

    /// A run of the load: GETs of bodies of these sizes, each with its weight, through many of the routes.
    pub(super) fn plan(
        &self,
        args: &StormArgs,
        cores: Cores,
        sizes: &[(u64, u32)],
        duration: Duration,
    ) -> Result<Plan> {
        let entrances = self.routes.entrances();
        let step = entrances.len().div_ceil(LOADED_ROUTES_MAX).max(1);
        let request = |host: &Option<String>, prefix: &str, &(bytes, weight): &(u64, u32)| {
            let target =
                Target { host: host.clone().unwrap_or_default(), path: format!("{prefix}/bytes/{bytes}") };
            Request { weight, ..Request::get(&target, false) }
        };
        let mut requests = entrances
            .iter()
            .step_by(step)
            .flat_map(|by| sizes.iter().map(|size| request(&by.host, &by.prefix, size)));
        let first = requests.next().ok_or_else(|| Fault::new("there are no routes to load"))?;
        let plan = Plan::of(self.address, first);
        let requests = plan.requests.iter().cloned().chain(requests).collect();
        let open = |rate| Pace::Open(Open { rate, arrivals: Arrivals::Constant, backlog_max: BACKLOG_MAX });
        Ok(Plan {
            requests,
            connections: args.connections,
            pace: args.rate.map_or(Pace::Closed, open),
            duration,
            warmup: args.warmup,
            cores: cores.load.into_iter().collect(),
            ..plan
        })
    }
}

fn binary(args: &StormArgs) -> Result<PathBuf> {
    let beside = env::current_exe().at("cannot find this program's file")?.with_file_name("ringlane");
    let binary = args.proxy.clone().unwrap_or(beside);
    if binary.is_file() {
        return Ok(binary);
    }
    Err(Fault::new(format!(
        "no proxy at {}; build it with cargo build --release -p ringlane",
        binary.display()
    )))
}

/// The config: a person's, with many routes and this run's control settings.
fn text(args: &StormArgs, setup: &Setup<'_>, place: &Place<'_>) -> Result<String> {
    let source = args.config.display();
    let text = fs::read_to_string(&args.config)
        .at(format!("cannot read {source}; run from the repository's root or name one with --config"))?;
    let mut config: Table = rewrite(&text, place).at(&source)?.parse().at(&source)?;
    let control = [
        ("watch", Value::Boolean(setup.included.is_some())),
        ("rebuild_min_interval", Value::String(format!("{}ms", setup.interval.as_millis()))),
    ];
    config.insert("control".into(), table(control));
    if setup.included.is_some() {
        let pattern = Value::String(format!("{INCLUDED}/*.toml"));
        config.insert("include".into(), Value::Array(vec![pattern]));
    }
    if let Some(etcd) = setup.etcd {
        let etcd = etcd.address;
        let endpoints = Value::Array(vec![Value::String(format!("http://{etcd}"))]);
        let prefix = Value::String(etcd::PREFIX.into());
        config.insert("etcd".into(), table([("endpoints", endpoints), ("prefix", prefix)]));
    }
    toml::to_string(&config).at("config as TOML")
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// `ringlane_table_builds_total` of the metrics.
fn builds(metrics: &str) -> Result<u64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix("ringlane_table_builds_total "));
    line.and_then(|value| value.trim().parse::<f64>().ok())
        .map(|value| value as u64)
        .ok_or_else(|| Fault::new("its metrics have no ringlane_table_builds_total: is it an old Ringlane?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_read_from_the_metrics() {
        let text = "# TYPE ringlane_table_builds_total counter\nringlane_table_builds_total 17\nother 3\n";
        assert_eq!(builds(text).unwrap(), 17);
        assert!(builds("ringlane_table_builds_total_x 1\n").is_err());
    }
}
