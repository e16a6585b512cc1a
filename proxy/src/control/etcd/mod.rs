//! Follows a prefix of an etcd and tells what it sees: routes and upstreams, one to a key.
//!
//! ```text
//! client (connect, pages of a list) -> session (list, then watch) -> known (last good values) -> batch -> Update
//!                                                                      |
//!                                                          snapshot (the same, on disk)
//! ```
//!
//! Which objects make a good config is not decided here: a value only has to be a JSON object, small enough, under a key
//! that names it. Whatever happens to etcd, nothing that was known is taken back but by a deletion.

mod backoff;
mod batch;
mod client;
mod first;
mod follow;
mod known;
mod object;
mod session;
mod snapshot;

use std::{
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::Value as Json;

pub use first::{First, Source, first};
pub use follow::follow;
pub use object::{Kind, Object};
pub use snapshot::{Snapshot, load_snapshot};

/// Keys below the prefix, of whatever kind. Beyond it nothing more is taken up.
pub const KEYS_MAX: usize = 200_000;
/// One value, in bytes; a larger one is reported as bad.
pub const VALUE_BYTES_MAX: usize = 256 * 1024;
/// All values together, in bytes. Beyond it nothing more is taken up.
pub const TOTAL_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Keys that one request of a list asks for; fewer when their values are large.
pub const PAGE_KEYS: usize = 512;
/// One message from etcd, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Events that become one update, at the most.
pub const BATCH_EVENTS_MAX: usize = 10_000;
/// Bytes of the values of an update of changes, about: no further event is added once they are passed.
pub const BATCH_BYTES_MAX: usize = MESSAGE_BYTES_MAX;
/// The first wait after a failure, before jitter.
pub const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// The longest wait between two tries, before jitter. It also spreads a fleet whose etcd comes back.
pub const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// How often a connection that is otherwise silent is asked for a sign of life by HTTP/2. Servers take more than one in
/// five seconds for an attack.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Between two writes of the snapshot.
pub const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(1);
/// A snapshot's file, in bytes.
pub const SNAPSHOT_BYTES_MAX: u64 = 2 * TOTAL_BYTES_MAX as u64;
/// A certificate, key or password file, in bytes.
pub const SECRET_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Characters of a key that a message shows.
const KEY_CHARS_SHOWN_MAX: usize = 300;

// A page of the least size, one key, always fits.
const _: () = assert!(VALUE_BYTES_MAX < MESSAGE_BYTES_MAX && MESSAGE_BYTES_MAX <= TOTAL_BYTES_MAX);
const _: () = assert!(BACKOFF_MIN.as_millis() < BACKOFF_MAX.as_millis());

/// Where etcd is and what is ours in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `http://HOST:PORT` or `https://HOST:PORT`, at least one; tried in turn.
    pub endpoints: Vec<String>,
    /// Begins with `/`, does not end with one.
    pub prefix: String,
    /// For `https://` endpoints.
    pub tls: Option<Tls>,
    /// Who we are; `None`: etcd asks nobody.
    pub user: Option<User>,
    /// Where the last good state is kept; `None`: nowhere.
    pub snapshot: Option<PathBuf>,
    /// Opening a connection, TLS included.
    pub connect_timeout: Duration,
    /// One answer. A watch that is silent for so long is asked for a sign of life, and gets as long to give it.
    pub request_timeout: Duration,
    /// How long a start waits for etcd before it goes on with the snapshot.
    pub start_timeout: Duration,
}

/// How to know etcd, and how etcd knows us. Files are read for each connection, so they may be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of the CA that signs etcd's, PEM.
    pub ca: PathBuf,
    /// Our own certificate and its key, PEM.
    pub identity: Option<Identity>,
    /// The name in etcd's certificate, where it isn't the endpoint's host.
    pub server_name: Option<String>,
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// PEM file.
    pub cert: PathBuf,
    /// PEM file.
    pub key: PathBuf,
}

/// A user of etcd's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// A file that holds the password; a line end at its end is not part of it.
    pub password_file: PathBuf,
}

impl Settings {
    /// The key of an object, for messages: `/ringlane/routes/app`.
    pub fn key(&self, kind: Kind, name: &str) -> String {
        object::key(&self.prefix, kind, name)
    }

    /// The endpoints in turn, for ever, beginning with any: a fleet is not to crowd at the first.
    fn in_turn(&self) -> impl Iterator<Item = String> + use<> {
        let mut endpoints = self.endpoints.clone();
        let begin = (backoff::chance() as usize).checked_rem(endpoints.len()).unwrap_or(0);
        endpoints.rotate_left(begin);
        endpoints.into_iter().cycle()
    }
}

/// What is new.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// All there is: after each list. What was said by `Bad` before no longer holds; what holds follows.
    All {
        /// Of etcd's store.
        revision: i64,
        /// In the order of kind and name. For a key whose value is bad, its last good one.
        objects: Vec<Object>,
    },
    /// What differs from what was sent before, each key once.
    Changes {
        /// Of etcd's store, the newest of these.
        revision: i64,
        /// In the order of kind and name.
        changes: Vec<Change>,
    },
    /// A value can't be used. The last good one of its key, if any, stays.
    Bad {
        /// The whole key.
        key: String,
        /// In words.
        why: String,
    },
    /// What `Bad` said of this key no longer holds: it is good, or gone. (`Changes` says which.)
    Mended {
        /// The whole key.
        key: String,
    },
    /// The connection came or went. Nothing of the rest is touched by it.
    Status(Status),
}

/// What an object is now; `None`: it is no more.
pub type Change = (Kind, String, Option<Json>);

/// The connection to etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It is being watched.
    Connected {
        /// Who answers.
        endpoint: String,
        /// All up to here is known.
        revision: i64,
    },
    /// It is not; tried again for ever. Sent anew when the reason changes.
    Disconnected {
        /// The first failure.
        since: Instant,
        /// The endpoint and what happened, in words.
        why: String,
    },
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Connected { endpoint, revision } => {
                write!(f, "following {endpoint} from revision {revision}")
            }
            Status::Disconnected { why, .. } => write!(f, "disconnected: {why}"),
        }
    }
}
