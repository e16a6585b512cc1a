//! A proxy with some upstreams of breakable endpoints, and what can be read of it from outside.
use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use toml::Table;

use super::{
    endpoint::Endpoint,
    inject::Target,
    layout::{Layout, Place, Upstream, requests},
    names,
    snippets::{Features, Snippet},
};
use crate::{
    cpu,
    fault::{At, Fault, Result},
    load::{Arrivals, Open, Pace, Plan},
    loadtest::{
        Cores,
        peer::find_program,
        process::{Launch, Process},
        proxy_config::free_address,
        proxy_info::ProxyInfo,
        routes::Entrance,
    },
    release::AllowDebug,
};

/// Requests of an open loop that may wait for a connection.
const BACKLOG_MAX: usize = 100_000;
/// A request that takes longer has failed; what proxies bound should be over by then.
const TIMEOUT: Duration = Duration::from_secs(8);
const WARMUP: Duration = Duration::from_millis(500);
/// Where included files are, beside the config.
const INCLUDED: &str = "routes.d";

/// What proxies are started with.
pub(crate) struct Plant<'a> {
    pub(crate) binary: &'a Path,
    pub(crate) driver: &'a str,
    pub(crate) cores: Cores,
    pub(crate) dir: &'a Path,
    pub(crate) features: Features,
    pub(crate) debug: AllowDebug,
    /// How long Ringlane keeps idle connections to upstreams.
    pub(crate) idle: &'a str,
}

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Ringlane,
    /// Ringlane with endpoints by name.
    Named,
    Haproxy,
}

/// It, running.
pub(crate) struct Site {
    pub(crate) target: Target,
    /// Where Ringlane tells about itself, and what it says that it is.
    pub(crate) admin: Option<(SocketAddr, ProxyInfo)>,
    /// Where its output goes.
    pub(crate) log: PathBuf,
    // Ended before its endpoints.
    _proxy: Process,
    /// Of each upstream.
    pub(crate) endpoints: Vec<Vec<Endpoint>>,
}

/// Ringlane's binary: the one that was named, or the one beside this one.
pub(crate) fn binary(named: Option<&Path>) -> Result<PathBuf> {
    let beside = env::current_exe().at("cannot find this program's file")?.with_file_name("ringlane");
    let binary = named.map_or(beside, Path::to_owned);
    if binary.is_file() {
        return Ok(binary);
    }
    let path = binary.display();
    Err(Fault::new(format!("no proxy at {path}; build it with cargo build --release -p ringlane")))
}

/// What a Ringlane knows of some parts: asks its `check`.
pub(crate) fn features<'a>(
    binary: &Path,
    parts: impl IntoIterator<Item = &'a Snippet>,
    dir: &Path,
) -> Result<Features> {
    let upstream = |name: &str| Upstream { name: name.into(), endpoints: vec!["127.0.0.1:1".into(); 1] };
    let layout = Layout { upstreams: vec![upstream("hurt"), upstream("calm")] };
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let admin = SocketAddr::from(([127, 0, 0, 1], 2));
    let base = layout.ringlane(&Place { listen: nowhere, admin, driver: "auto", idle: "30s" })?;
    let path = dir.join("check.toml");
    let accepts = |config: &Table| {
        fs::write(&path, toml::to_string(config).at("config as TOML")?).at(path.display())?;
        let output = Command::new(binary).args(["check", "--config"]).arg(&path).output();
        let output = output.at(format!("cannot start {}", binary.display()))?;
        let text =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        if output.status.success() { Ok(()) } else { Err(Fault::new(text.trim())) }
    };
    Features::find(&base, parts, accepts)
}

impl Site {
    /// Starts endpoints, so many for each upstream, and the proxy, and waits until it answers.
    pub(crate) fn start(
        plant: &Plant<'_>,
        subject: Subject,
        upstreams: &[(&str, usize)],
        name: &str,
    ) -> Result<Self> {
        let dir = &plant.dir.join(name);
        fs::create_dir_all(dir.join(INCLUDED)).at(format!("cannot create {}", dir.display()))?;
        let load = plant.cores.load.as_slice();
        let of_upstream = |(name, count): &(&str, usize)| {
            (0..*count)
                .map(|n| Endpoint::start(&format!("{name}-{n}"), load, dir))
                .collect::<Result<Vec<_>>>()
        };
        let endpoints: Vec<_> = upstreams.iter().map(of_upstream).collect::<Result<_>>()?;
        let host = |upstream: &str, endpoint: &Endpoint| match subject {
            Subject::Named => format!("{upstream}.test:{}", endpoint.address.port()),
            _ => endpoint.address.to_string(),
        };
        let layout = Layout {
            upstreams: upstreams
                .iter()
                .zip(&endpoints)
                .map(|((name, _), of)| Upstream {
                    name: (*name).to_owned(),
                    endpoints: of.iter().map(|endpoint| host(name, endpoint)).collect(),
                })
                .collect(),
        };
        let started = match subject {
            Subject::Haproxy => haproxy(plant, &layout, dir)?,
            _ => ringlane(plant, &layout, subject, dir)?,
        };
        let Started { proxy, address, admin, hosts } = started;
        let included = admin.is_some().then(|| dir.join(INCLUDED).join("storm.toml"));
        let target = Target { address, pid: proxy.pid(), included, hosts };
        let log = dir.join("proxy.log");
        Ok(Self { target, admin, log, _proxy: proxy, endpoints })
    }

    /// A run of requests to one upstream, at a rate, whatever the proxy does.
    pub(crate) fn plan(&self, upstream: usize, rate: f64, connections: usize, cores: Cores) -> Result<Plan> {
        let requests = requests(upstream, self.target.address);
        let first = requests.first().cloned().ok_or_else(|| Fault::new("nothing to ask for"))?;
        Ok(Plan {
            requests,
            connections,
            pace: Pace::Open(Open { rate, arrivals: Arrivals::Poisson, backlog_max: BACKLOG_MAX }),
            seed: upstream as u64 + 1,
            warmup: WARMUP,
            timeout: TIMEOUT,
            cores: cores.load.into_iter().collect(),
            ..Plan::of(self.target.address, first)
        })
    }

    /// CPU time that this process and everything it started used so far, as far as it still runs.
    pub(crate) fn cpu_time(&self) -> Duration {
        let endpoints = self.endpoints.iter().flatten().filter_map(Endpoint::pid);
        let pids = endpoints.chain([self.target.pid]);
        cpu::own() + pids.filter_map(|pid| cpu::process_tree(pid).ok()).sum::<Duration>()
    }
}

struct Started {
    proxy: Process,
    address: SocketAddr,
    admin: Option<(SocketAddr, ProxyInfo)>,
    hosts: Option<PathBuf>,
}

fn ringlane(plant: &Plant<'_>, layout: &Layout, subject: Subject, dir: &Path) -> Result<Started> {
    let (address, admin) = (free_address()?, free_address()?);
    let place = Place { listen: address, admin, driver: plant.driver, idle: plant.idle };
    let config = write(dir, "ringlane.toml", &layout.ringlane_text(&place, &plant.features)?)?;
    write(&dir.join(INCLUDED), "storm.toml", "")?;
    let mut command = Command::new(plant.binary);
    let mut hosts = None;
    if subject == Subject::Named {
        let namespace = names::Namespace::new(dir, layout.upstreams.iter().map(|it| it.name.as_str()))?;
        command = namespace.command(plant.binary);
        hosts = Some(namespace.hosts);
    }
    command.args(["run", "--config"]).arg(config);
    // The worker pins itself to the first of them; the control thread may use all.
    let cores: Vec<usize> = [plant.cores.proxy, plant.cores.load].into_iter().flatten().collect();
    let launch = Launch { name: "proxy", cores: &cores, dir, death_signal: libc::SIGKILL };
    let mut proxy = Process::start(command, &launch)?;
    proxy.wait_until_it_answers(address, &Entrance::default())?;
    let info = ProxyInfo::of(admin)?;
    plant.debug.check_proxy("ringlane", &info.build)?;
    Ok(Started { proxy, address, admin: Some((admin, info)), hosts })
}

fn haproxy(plant: &Plant<'_>, layout: &Layout, dir: &Path) -> Result<Started> {
    let program = find_program("haproxy").ok_or_else(|| Fault::new("haproxy is not installed"))?;
    let address = free_address()?;
    let config = write(dir, "haproxy.cfg", &layout.haproxy(address))?;
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(config);
    let launch =
        Launch { name: "proxy", cores: plant.cores.proxy.as_slice(), dir, death_signal: libc::SIGKILL };
    let mut proxy = Process::start(command, &launch)?;
    proxy.wait_until_it_answers(address, &Entrance::default())?;
    Ok(Started { proxy, address, admin: None, hosts: None })
}

fn write(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    fs::write(&path, text).at(format!("cannot write {}", path.display()))?;
    Ok(path)
}
