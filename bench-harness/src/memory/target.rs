//! The process whose memory is watched: somebody else's, or a proxy and an origin of our own.
use std::{env, fs, net::SocketAddr, process::Command};

use super::options::MemoryArgs;
use crate::{
    fault::{At, Fault, Result},
    load::options::{parse_url, resolve},
    loadtest::{
        process::{Launch, Process},
        proxy_config::{Place, free_address, rewrite},
        proxy_info::ProxyInfo,
        routes::{Entrance, Routes},
    },
    release,
};

/// What is driven and watched.
pub(super) struct Target {
    pub(super) pid: u32,
    pub(super) address: SocketAddr,
    /// It says so; somebody else's is not asked.
    pub(super) is_debug: bool,
    /// Ended when this is dropped, in this order.
    _own: Vec<Process>,
}

impl Target {
    /// Takes what `args` name, or starts an origin and a proxy.
    pub(super) fn start(args: &MemoryArgs) -> Result<Self> {
        if let (Some(pid), Some(url)) = (args.pid, &args.url) {
            let address = resolve(&parse_url(url)?.host)?;
            return Ok(Self { pid, address, is_debug: false, _own: Vec::new() });
        }
        fs::create_dir_all(&args.out).at(format!("cannot create {}", args.out.display()))?;
        let dir = args.out.canonicalize().at(args.out.display())?;
        let launch = |name| Launch { name, cores: &[], dir: &dir, death_signal: libc::SIGKILL };
        let beside = env::current_exe().at("cannot find this program's file")?.with_file_name("ringlane");
        let binary = args.proxy.clone().unwrap_or(beside);
        if !binary.is_file() {
            let path = binary.display();
            return Err(Fault::new(format!(
                "no proxy at {path}; build it with cargo build --release -p ringlane"
            )));
        }
        let echo = ["echo", "--listen", "127.0.0.1:0"].map(String::from);
        let (origin, origin_address) = Process::start_own(&echo, &launch("echo"))?;
        let text = fs::read_to_string(&args.config).at(format!(
            "cannot read {}; run from the repository's root or name one with --config",
            args.config.display()
        ))?;
        let (address, admin) = (free_address()?, free_address()?);
        let place = Place {
            listen: address,
            admin,
            origin: origin_address,
            driver: &args.driver,
            routes: Routes::NONE,
            workers: 1,
        };
        let text = rewrite(&text, &place).at(args.config.display())?;
        let config = dir.join("ringlane.toml");
        fs::write(&config, text).at(format!("cannot write {}", config.display()))?;
        let mut command = Command::new(binary);
        command.args(["run", "--config"]).arg(config);
        let mut proxy = Process::start(command, &launch("ringlane"))?;
        proxy.wait_until_it_answers(address, &Entrance::default())?;
        let build = ProxyInfo::of(admin)?.build;
        args.debug.check_proxy("ringlane", &build)?;
        let is_debug = release::is_debug(&build);
        Ok(Self { pid: proxy.pid(), address, is_debug, _own: vec![proxy, origin] })
    }
}
