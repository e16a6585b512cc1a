//! What is asked of every subject.
use serde::Serialize;

use super::routes::Routes;

/// Rounds that say something.
const ROUNDS_MIN: usize = 3;

/// One kind of load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scenario {
    /// Short name, used in file names.
    pub name: String,
    /// What it is, for a report's reader.
    pub title: String,
    /// Length of the response body.
    pub body_bytes: u64,
    /// Length of the request body; None: a GET.
    pub upload_bytes: Option<usize>,
    /// Connections.
    pub connections: usize,
    /// A new connection for each request.
    pub new_connection: bool,
    /// Several kinds of requests, small and large, instead of one.
    pub mixed: bool,
    /// Requests at a constant rate instead of one after the other.
    pub open: bool,
    /// Routes that the proxies have, and over which requests are spread.
    pub routes: Routes,
    /// Above 1: Ringlane with so many workers, one on each core, beside Ringlane with one, and no other proxy.
    pub workers: u32,
    /// How often each subject is measured.
    pub rounds: usize,
}

/// A scenario with a name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name on the command line.
    pub name: &'static str,
    title: &'static str,
    body_bytes: u64,
    upload_bytes: Option<usize>,
    connections: usize,
    new_connection: bool,
    mixed: bool,
    open: bool,
    routes: Routes,
    workers: u32,
    /// Fewer rounds say nothing.
    pub rounds_min: usize,
}

/// Small answers over kept connections.
const SMALL: Preset = Preset {
    name: "",
    title: "",
    body_bytes: 13,
    upload_bytes: None,
    connections: 1,
    new_connection: false,
    mixed: false,
    open: false,
    routes: Routes::NONE,
    workers: 1,
    rounds_min: ROUNDS_MIN,
};

/// Every preset, those with the same setup together. At 64 connections all proxies fall into one of two regimes from
/// second to second, by how requests happen to batch on the generator's core, so it takes five rounds.
pub const PRESETS: &[Preset] = &[
    Preset { name: "13b-1", title: "13 B, 1 connection", ..SMALL },
    Preset { name: "13b-64", title: "13 B, 64 connections", connections: 64, rounds_min: 5, ..SMALL },
    Preset { name: "13b-256", title: "13 B, 256 connections", connections: 256, ..SMALL },
    Preset { name: "13b-1024", title: "13 B, 1,024 connections", connections: 1024, ..SMALL },
    Preset { name: "1k-64", title: "1 KiB, 64 connections", body_bytes: 1 << 10, connections: 64, ..SMALL },
    Preset {
        name: "16k-32",
        title: "16 KiB, 32 connections",
        body_bytes: 16 << 10,
        connections: 32,
        ..SMALL
    },
    Preset { name: "1m-32", title: "1 MiB, 32 connections", body_bytes: 1 << 20, connections: 32, ..SMALL },
    Preset {
        name: "upload-1m-32",
        title: "upload of 1 MiB, 32 connections",
        upload_bytes: Some(1 << 20),
        connections: 32,
        ..SMALL
    },
    Preset {
        name: "new-32",
        title: "13 B, a new connection for each request, 32 at a time",
        connections: 32,
        new_connection: true,
        ..SMALL
    },
    Preset { name: "mixed-64", title: "mixed sizes, 64 connections", connections: 64, mixed: true, ..SMALL },
    Preset {
        name: "open-256",
        title: "13 B at a constant rate (open loop), 256 connections",
        connections: 256,
        open: true,
        ..SMALL
    },
    Preset {
        name: "routes-100x10",
        title: "13 B, 256 connections, 1,000 routes: 10 paths on each of 100 hosts",
        connections: 256,
        routes: Routes { hosts: 100, paths: 10 },
        ..SMALL
    },
    Preset {
        name: "workers-2",
        title: "13 B, 256 connections, one worker and two",
        connections: 256,
        workers: 2,
        ..SMALL
    },
];

impl Preset {
    /// The preset, to be measured so often.
    pub fn scenario(&self, rounds: usize) -> Scenario {
        Scenario {
            name: self.name.to_owned(),
            title: self.title.to_owned(),
            body_bytes: self.body_bytes,
            upload_bytes: self.upload_bytes,
            connections: self.connections,
            new_connection: self.new_connection,
            mixed: self.mixed,
            open: self.open,
            routes: self.routes,
            workers: self.workers,
            rounds,
        }
    }
}

/// What subjects are started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setup {
    /// The routes that proxies have.
    pub(super) routes: Routes,
    /// Workers of the Ringlane that stands beside the one with one worker, if it is above 1.
    pub(super) workers: u32,
}

impl Setup {
    /// One route, one worker.
    pub(super) const PLAIN: Self = Self { routes: Routes::NONE, workers: 1 };
}

impl Scenario {
    /// What its subjects are started with.
    pub(super) fn setup(&self) -> Setup {
        Setup { routes: self.routes, workers: self.workers }
    }

    /// Kept connections and one body size.
    pub fn plain(body_bytes: u64, connections: usize, rounds: usize) -> Self {
        Self {
            name: format!("{body_bytes}b-{connections}"),
            title: format!("{body_bytes} B, {}", counted(connections)),
            body_bytes,
            connections,
            ..SMALL.scenario(rounds)
        }
    }

    /// Kept connections to a URL whose body is not ours to choose.
    pub fn external(connections: usize, rounds: usize) -> Self {
        Self {
            name: format!("url-{connections}"),
            title: format!("a given URL, {}", counted(connections)),
            body_bytes: 0,
            connections,
            ..SMALL.scenario(rounds)
        }
    }

    /// What is asked for on each route; at least one kind of request.
    pub fn asks(&self) -> Vec<Ask> {
        match (self.mixed, self.upload_bytes) {
            (true, _) => MIX.iter().map(|(weight, ask)| Ask { weight: *weight, ..ask() }).collect(),
            (false, Some(bytes)) => vec![Ask::upload(bytes)],
            (false, None) => vec![Ask::get(self.body_bytes)],
        }
    }
}

/// One kind of request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Its share, relative to the others of a scenario.
    pub weight: u32,
    /// Length of the request body; None: a GET.
    pub upload_bytes: Option<usize>,
    /// The path of the origin.
    pub path: String,
}

/// In a hundred requests: what a site of pages, pictures and forms is asked for, with one download.
const MIX: [(u32, fn() -> Ask); 6] = [
    (40, || Ask::get(512)),
    (30, || Ask::get(4 << 10)),
    (20, || Ask::get(16 << 10)),
    (5, || Ask::upload(4 << 10)),
    (4, || Ask::get(128 << 10)),
    (1, || Ask::get(1 << 20)),
];

impl Ask {
    /// For a body of so many bytes.
    pub fn get(bytes: u64) -> Self {
        Self { weight: 1, upload_bytes: None, path: format!("/bytes/{bytes}") }
    }

    /// With a body of so many bytes.
    pub fn upload(bytes: usize) -> Self {
        Self { weight: 1, upload_bytes: Some(bytes), path: "/upload".into() }
    }

    /// Its method.
    pub fn method(&self) -> &'static str {
        if self.upload_bytes.is_some() { "POST" } else { "GET" }
    }
}

fn counted(connections: usize) -> String {
    format!("{connections} connection{}", if connections == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_scenarios_with_the_same_setup_stand_together() {
        let names: std::collections::BTreeSet<_> = PRESETS.iter().map(|preset| preset.name).collect();
        assert_eq!(names.len(), PRESETS.len());
        let mut setups: Vec<_> = PRESETS.iter().map(|preset| preset.scenario(1).setup()).collect();
        setups.dedup();
        let many = Setup { routes: Routes { hosts: 100, paths: 10 }, workers: 1 };
        let two = Setup { workers: 2, ..Setup::PLAIN };
        assert_eq!(setups, [Setup::PLAIN, many, two], "each change restarts every subject");
    }

    #[test]
    fn the_mix_is_of_a_hundred() {
        let mixed = PRESETS.iter().find(|preset| preset.mixed).unwrap().scenario(1);
        assert_eq!(mixed.asks().iter().map(|ask| ask.weight).sum::<u32>(), 100);
        assert_eq!(mixed.asks().iter().filter(|ask| ask.method() == "POST").count(), 1);
    }
}
