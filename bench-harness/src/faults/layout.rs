//! Which upstreams a proxy has, and the configs that say so: Ringlane's and HAProxy's.
use std::{fmt::Write, net::SocketAddr};

use toml::Table;

use super::snippets::Features;
use crate::{
    fault::{At, Result},
    load::Request,
    loadtest::{plans, routes::Entrance, scenario::Ask},
};

const HAPROXY: &str = include_str!("../../peers/haproxy-faults.cfg");

/// Bodies that are asked for, each with its share; no two upstreams have one in common, so that an answer that went to the
/// wrong place is of the wrong length.
const SIZES: [(u64, u32); 6] = [(13, 20), (101, 20), (1_009, 20), (4_099, 10), (16_411, 10), (65_537, 5)];
const UPLOADS: [(usize, u32); 2] = [(2_003, 10), (20_011, 5)];
/// From one upstream's sizes to the next one's.
const SIZE_STEP: usize = 7;

/// The upstreams of a proxy; the first takes what no other is for.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) upstreams: Vec<Upstream>,
}

#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    /// As a config has them: address and port, or name and port.
    pub(crate) endpoints: Vec<String>,
}

/// Where a proxy is.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) driver: &'a str,
    /// How long idle connections to upstreams are kept.
    pub(crate) idle: &'a str,
}

/// What paths to an upstream begin with.
fn prefix(index: usize) -> String {
    if index == 0 { String::new() } else { format!("/app-{index}") }
}

/// All that is asked of an upstream, each with what its answer must be.
pub(crate) fn requests(index: usize, address: SocketAddr) -> Vec<Request> {
    let by = Entrance { host: Some(format!("upstream-{index}.test")), prefix: prefix(index) };
    let step = SIZE_STEP * index;
    let gets = SIZES.iter().map(|(n, weight)| Ask { weight: *weight, ..Ask::get(n + step as u64) });
    let uploads = UPLOADS.iter().map(|(n, weight)| Ask { weight: *weight, ..Ask::upload(n + step) });
    gets.chain(uploads).map(|ask| plans::request(&ask, &by, address, false)).collect()
}

impl Layout {
    /// Ringlane's config without what meets faults.
    pub(crate) fn ringlane(&self, place: &Place<'_>) -> Result<Table> {
        let Place { listen, admin, driver, idle } = place;
        let mut text = format!(
            "include = [\"routes.d/*.toml\"]\n[runtime]\nworkers = 1\npin_cores = true\ndriver = \"{driver}\"\n\
             [admin]\naddress = \"{admin}\"\n[[listeners]]\nname = \"web\"\naddress = \"{listen}\"\n"
        );
        for (index, Upstream { name, endpoints }) in self.upstreams.iter().enumerate() {
            let matches = if index == 0 {
                String::new()
            } else {
                format!("match = {{ path_prefix = \"{}\" }}\n", prefix(index))
            };
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "[[upstreams]]\nname = \"{name}\"\nendpoints = {endpoints:?}\ndns_refresh = \"1s\"\n\
                 [upstreams.timeouts]\nconnect = \"500ms\"\nresponse_head = \"3s\"\nresponse_body_idle = \"3s\"\n\
                 [upstreams.pool]\nidle_timeout = \"{idle}\"\n[[routes]]\nname = \"{name}\"\n{matches}upstream = \"{name}\"\n"
            );
        }
        text.push_str(
            "[[routes]]\nname = \"keys\"\nmatch = { path = \"/keys\" }\nrespond = { body = \"k\" }\n",
        );
        text.parse().at("the config of Ringlane")
    }

    /// The same with what meets faults, as text.
    pub(crate) fn ringlane_text(&self, place: &Place<'_>, features: &Features) -> Result<String> {
        let mut config = self.ringlane(place)?;
        features.apply(&mut config)?;
        toml::to_string(&config).at("config as TOML")
    }

    /// HAProxy's config.
    pub(crate) fn haproxy(&self, listen: SocketAddr) -> String {
        let (mut uses, mut backends) = (String::new(), String::new());
        for (index, Upstream { name, endpoints }) in self.upstreams.iter().enumerate() {
            if index > 0 {
                let _ = writeln!(uses, "    use_backend {name} if {{ path_beg {}/ }}", prefix(index));
            }
            let _ = write!(
                backends,
                "backend {name}\n    balance roundrobin\n    option httpchk\n    \
                 http-check send meth GET uri /bytes/13 ver HTTP/1.1 hdr Host check.test\n    http-check expect string Hello\n"
            );
            for (n, endpoint) in endpoints.iter().enumerate() {
                let _ = writeln!(backends, "    server {name}-{n} {endpoint} pool-purge-delay 75s");
            }
        }
        let first = self.upstreams.first().map_or("", |it| &it.name);
        HAPROXY
            .replace("{{listen}}", &listen.to_string())
            .replace("{{uses}}", uses.trim())
            .replace("{{first}}", first)
            .replace("{{backends}}", &backends)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn layout() -> Layout {
        let upstream = |name: &str, ports: &[u16]| Upstream {
            name: name.into(),
            endpoints: ports.iter().map(|port| format!("127.0.0.1:{port}")).collect(),
        };
        Layout { upstreams: vec![upstream("hurt", &[1, 2, 3]), upstream("calm", &[4, 5])] }
    }

    #[test]
    fn both_configs_have_all_endpoints_and_no_blank() {
        let [listen, admin] = ["127.0.0.1:81", "127.0.0.1:82"].map(|text| text.parse().unwrap());
        let place = Place { listen, admin, driver: "epoll", idle: "30s" };
        let config: Table = layout().ringlane_text(&place, &Features::default()).unwrap().parse().unwrap();
        let endpoints = |n: usize| config["upstreams"][n]["endpoints"].as_array().unwrap().len();
        assert_eq!((endpoints(0), endpoints(1)), (3, 2));
        assert_eq!(config["routes"][1]["match"]["path_prefix"].as_str(), Some("/app-1"));
        assert!(config["routes"][0].get("match").is_none());
        let text = layout().haproxy(listen);
        assert!(!text.replace("{{...}}", "").contains("{{"), "{text}");
        for part in [
            "server hurt-2 127.0.0.1:3",
            "server calm-1 127.0.0.1:5",
            "use_backend calm if { path_beg /app-1/ }",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn no_two_upstreams_have_an_answer_in_common() {
        let address = "127.0.0.1:1".parse().unwrap();
        let lengths =
            |index| requests(index, address).into_iter().map(|it| format!("{:?}", it.expect.content));
        let all: Vec<_> = (0..3).flat_map(lengths).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
        assert!(requests(1, address).iter().all(|it| it.name.contains("/app-1/")));
    }
}
