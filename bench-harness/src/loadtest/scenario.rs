//! What is asked of every subject.
use serde::Serialize;

/// One kind of load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scenario {
    /// Short name, used in file names.
    pub name: String,
    /// Length of the response body.
    pub body_bytes: u64,
    /// Connections.
    pub connections: usize,
    /// A new connection for each request.
    pub new_connection: bool,
    /// How often each subject is measured.
    pub rounds: usize,
}

/// A scenario that the targets are defined for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name on the command line.
    pub name: &'static str,
    body_bytes: u64,
    connections: usize,
    new_connection: bool,
    /// Fewer rounds say nothing.
    pub rounds_min: usize,
}

/// Every preset. At 64 connections all proxies fall into one of two regimes from second to second, by how requests
/// happen to batch on the generator's core, so it takes five rounds.
pub const PRESETS: &[Preset] = &[
    Preset { name: "13b-1", body_bytes: 13, connections: 1, new_connection: false, rounds_min: 3 },
    Preset { name: "13b-64", body_bytes: 13, connections: 64, new_connection: false, rounds_min: 5 },
    Preset { name: "13b-256", body_bytes: 13, connections: 256, new_connection: false, rounds_min: 3 },
    Preset { name: "13b-1024", body_bytes: 13, connections: 1024, new_connection: false, rounds_min: 3 },
    Preset { name: "16k-32", body_bytes: 16 << 10, connections: 32, new_connection: false, rounds_min: 3 },
    Preset { name: "1m-32", body_bytes: 1 << 20, connections: 32, new_connection: false, rounds_min: 3 },
    Preset { name: "new-32", body_bytes: 13, connections: 32, new_connection: true, rounds_min: 3 },
];

impl Preset {
    /// The preset, to be measured so often.
    pub fn scenario(&self, rounds: usize) -> Scenario {
        Scenario {
            name: self.name.to_owned(),
            body_bytes: self.body_bytes,
            connections: self.connections,
            new_connection: self.new_connection,
            rounds,
        }
    }
}

impl Scenario {
    /// Kept connections and one body size.
    pub fn plain(body_bytes: u64, connections: usize, rounds: usize) -> Self {
        let name = format!("{body_bytes}b-{connections}");
        Self { name, body_bytes, connections, new_connection: false, rounds }
    }

    /// Kept connections to a URL whose body is not ours to choose.
    pub fn external(connections: usize, rounds: usize) -> Self {
        Self { name: format!("url-{connections}"), body_bytes: 0, connections, new_connection: false, rounds }
    }

    /// The path of the origin that answers so.
    pub fn path(&self) -> String {
        format!("/bytes/{}", self.body_bytes)
    }
}
