//! What is measured: the origin itself, and proxies in front of it, each a child process.
use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    Cores,
    measured::Kind,
    options::LoadtestArgs,
    origin,
    peer::{Peer, Site, find_program},
    process::{Launch, Process},
    proxy_config::{Place, free_address, rewrite},
    proxy_info::ProxyInfo,
    routes::{Entrance, Routes},
    scenario::Setup,
};
use crate::{
    cpu,
    fault::{At, Fault, Result},
    load::options::{parse_url, resolve},
    resident,
};

/// One of the measured.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) address: SocketAddr,
    /// None: somebody else's process.
    pub(super) pid: Option<u32>,
    /// Where Ringlane tells about itself.
    pub(super) admin: Option<SocketAddr>,
    /// What it says there that it is.
    pub(super) info: Option<ProxyInfo>,
    /// How it was started.
    pub(super) command: String,
    /// Resident memory before it was asked for anything but to show that it works.
    pub(super) memory_idle: Option<u64>,
    /// Set for an external target: the URL as it was typed.
    pub(super) url: Option<String>,
    /// Runs for as long as this lives.
    _process: Option<Process>,
}

/// All of them, started and answering.
pub(super) struct Subjects {
    pub(super) all: Vec<Subject>,
    /// None with an external target.
    pub(super) origin: Option<SocketAddr>,
}

impl Subjects {
    /// Starts the origin and all that was asked for, and waits until each answers.
    pub(super) fn start(args: &LoadtestArgs, cores: Cores, dir: &Path, setup: Setup) -> Result<Self> {
        if let Some(url) = &args.target {
            let subject = Subject {
                name: "target".into(),
                kind: Kind::External,
                address: resolve(&parse_url(url)?.host)?,
                pid: None,
                admin: None,
                info: None,
                command: String::new(),
                memory_idle: None,
                url: Some(url.clone()),
                _process: None,
            };
            return Ok(Self { all: vec![subject], origin: None });
        }
        let echo = ["echo", "--listen", "127.0.0.1:0"].map(String::from);
        let launch = Launch { name: "echo", cores: cores.load.as_slice(), dir, death_signal: libc::SIGKILL };
        let (process, origin) = Process::start_own(&echo, &launch)?;
        let mut starter = Starter {
            args,
            core: cores.proxy,
            both: [cores.proxy, cores.load].into_iter().flatten().collect(),
            dir,
            origin,
            routes: setup.routes,
            entrance: setup.routes.entrance(),
            all: Vec::new(),
        };
        starter.add("direct", Kind::Direct, origin, process)?;
        if setup.workers > 1 {
            if !args.skip_ringlane {
                starter.ringlane("ringlane", "io_uring", 1)?;
                starter.ringlane(&format!("ringlane-{}w", setup.workers), "io_uring", setup.workers)?;
            }
            return Ok(Self { all: starter.all, origin: Some(origin) });
        }
        if args.floor {
            starter.floor()?;
        }
        if !args.skip_ringlane {
            starter.ringlane("ringlane", "io_uring", 1)?;
        }
        if args.epoll {
            starter.ringlane("ringlane-epoll", "epoll", 1)?;
        }
        for &peer in &args.peers {
            starter.peer(peer)?;
        }
        Ok(Self { all: starter.all, origin: Some(origin) })
    }

    /// A line for each, for people who want to look at one from outside.
    pub(super) fn describe(&self) -> String {
        let line = |subject: &Subject| {
            let pid = subject.pid.map_or(String::new(), |pid| format!("  pid {pid}"));
            format!("  {:<14}  {}{pid}\n", subject.name, subject.address)
        };
        self.all.iter().map(line).collect()
    }

    /// Name and command line of each.
    pub(super) fn commands(&self) -> Vec<(String, String)> {
        self.all.iter().map(|subject| (subject.name.clone(), subject.command.clone())).collect()
    }

    /// What each that tells says that it is.
    pub(super) fn infos(&self) -> impl Iterator<Item = (&str, &ProxyInfo)> {
        self.all.iter().filter_map(|subject| Some((subject.name.as_str(), subject.info.as_ref()?)))
    }

    /// CPU time that this process and everything it started used so far.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        let pids = self.all.iter().filter_map(|subject| subject.pid);
        Ok(cpu::own() + pids.map(cpu::process_tree).sum::<Result<Duration>>()?)
    }
}

struct Starter<'a> {
    args: &'a LoadtestArgs,
    core: Option<usize>,
    /// That one and the load's, for more than one worker.
    both: Vec<usize>,
    dir: &'a Path,
    origin: SocketAddr,
    routes: Routes,
    /// One of them.
    entrance: Entrance,
    all: Vec<Subject>,
}

impl Starter<'_> {
    fn add(&mut self, name: &str, kind: Kind, address: SocketAddr, mut process: Process) -> Result<()> {
        process.wait_until_it_answers(address, &self.entrance)?;
        if matches!(kind, Kind::Ringlane | Kind::Peer) {
            origin::check_forwarding(address, &self.entrance).at(name)?;
            origin::check_routing(address, self.routes).at(name)?;
        }
        let pid = process.pid();
        self.all.push(Subject {
            name: name.to_owned(),
            kind,
            address,
            pid: Some(pid),
            admin: None,
            info: None,
            command: process.command().to_owned(),
            memory_idle: Some(resident::process_tree(pid)?),
            url: None,
            _process: Some(process),
        });
        Ok(())
    }

    fn launch<'a>(&'a self, name: &'a str, death_signal: libc::c_int) -> Launch<'a> {
        Launch { name, cores: self.core.as_slice(), dir: self.dir, death_signal }
    }

    fn floor(&mut self) -> Result<()> {
        let upstream = self.origin.to_string();
        let floor = ["floor", "--listen", "127.0.0.1:0", "--upstream", &upstream].map(String::from);
        let (process, address) = Process::start_own(&floor, &self.launch("floor", libc::SIGKILL))?;
        self.add("floor", Kind::Floor, address, process)
    }

    fn ringlane(&mut self, name: &str, driver: &str, workers: u32) -> Result<()> {
        let binary = self.ringlane_binary()?;
        let source = &self.args.config;
        let text = fs::read_to_string(source).at(format!(
            "cannot read {}; run from the repository's root or name one with --config",
            source.display()
        ))?;
        let (address, admin) = (free_address()?, free_address()?);
        let place =
            Place { listen: address, admin, origin: self.origin, driver, routes: self.routes, workers };
        let text = rewrite(&text, &place).at(source.display())?;
        let config = self.write(&format!("{name}.toml"), &text)?;
        let mut command = Command::new(binary);
        command.args(["run", "--config"]).arg(config);
        let mut launch = self.launch(name, libc::SIGKILL);
        if workers > 1 {
            launch.cores = &self.both;
        }
        let process = Process::start(command, &launch)?;
        self.add(name, Kind::Ringlane, address, process)?;
        let info = ProxyInfo::of(admin)?;
        self.args.debug.check_proxy(name, &info.build)?;
        if let Some(subject) = self.all.last_mut() {
            (subject.admin, subject.info) = (Some(admin), Some(info));
        }
        Ok(())
    }

    fn ringlane_binary(&self) -> Result<PathBuf> {
        let beside = env::current_exe().at("cannot find this program's file")?.with_file_name("ringlane");
        let binary = self.args.proxy.clone().unwrap_or(beside);
        if !binary.is_file() {
            return Err(Fault::new(format!(
                "no proxy at {}; build it with cargo build --release -p ringlane, or leave it out with --skip-ringlane",
                binary.display()
            )));
        }
        Ok(binary)
    }

    fn peer(&mut self, peer: Peer) -> Result<()> {
        let Some(program) = find_program(peer.program()) else {
            eprintln!("{} is not installed and is left out ({})", peer.program(), peer.install_hint());
            return Ok(());
        };
        let address = free_address()?;
        let site = Site { listen: address, origin: self.origin, dir: self.dir, routes: self.routes };
        let files = peer.files(&site);
        let paths = files.iter().map(|(name, text)| self.write(name, text)).collect::<Result<Vec<_>>>()?;
        let config = paths.first().ok_or_else(|| Fault::new(format!("{} has no config", peer.name())))?;
        let command = peer.command(&program, config, self.dir);
        let process = Process::start(command, &self.launch(peer.name(), peer.death_signal()))?;
        self.add(peer.name(), Kind::Peer, address, process)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        fs::write(&path, text).at(format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}
