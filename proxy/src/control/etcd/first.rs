//! What a start has to go on with: what etcd says, or else what it said last.

use std::{fmt, time::Duration};

use super::{
    Object, Settings,
    backoff::Backoff,
    client::{Connection, guess},
    known::{Fault, Known},
};

/// What there is to start with.
#[derive(Debug)]
pub struct First {
    /// Where it is from; `Display` says it for the log.
    pub from: Source,
    /// In the order of kind and name.
    pub objects: Vec<Object>,
    /// Keys whose values can't be used, each with the reason.
    pub bad: Vec<(String, String)>,
    /// Why a snapshot that is there was not used, if it could not be.
    pub snapshot_fault: Option<String>,
}

/// Where it is from.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// etcd itself.
    Etcd {
        /// Who answered.
        endpoint: String,
        /// Of etcd's store.
        revision: i64,
    },
    /// The snapshot.
    Snapshot {
        /// Of etcd's store, when it was written.
        revision: i64,
        /// What is wrong with etcd.
        why: String,
    },
    /// Neither: there are no objects.
    Nothing {
        /// What is wrong with etcd.
        why: String,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Etcd { endpoint, revision } => write!(f, "{endpoint} at revision {revision}"),
            Source::Snapshot { revision, why } => write!(f, "the snapshot of revision {revision} ({why})"),
            Source::Nothing { why } => write!(f, "nothing: there is no snapshot ({why})"),
        }
    }
}

/// Asks etcd, for `patience` at most; then takes the snapshot. An etcd that is there answers in milliseconds.
pub async fn first(settings: &Settings, patience: Duration) -> First {
    let (mut known, snapshot_fault) = Known::restored(settings);
    let mut why = format!("no answer within {patience:?}");
    let asked = tokio::time::timeout(patience, ask(settings, &mut known, &mut why)).await;
    let (from, bad) = match asked {
        Ok((endpoint, bad)) => (Source::Etcd { endpoint, revision: known.revision }, bad),
        Err(_) if known.revision > 0 => (Source::Snapshot { revision: known.revision, why }, Vec::new()),
        Err(_) => (Source::Nothing { why }, Vec::new()),
    };
    First { from, objects: known.objects(), bad, snapshot_fault }
}

/// Tries one endpoint after the other until one answers. `why` is what went wrong last.
async fn ask(settings: &Settings, known: &mut Known, why: &mut String) -> (String, Vec<Fault>) {
    let mut backoff = Backoff::default();
    for endpoint in settings.in_turn() {
        match list(settings, &endpoint, known).await {
            Ok(faults) => return (endpoint, faults),
            Err(error) => *why = format!("{endpoint}: {}", guess(settings, error)),
        }
        tokio::time::sleep(backoff.next()).await;
    }
    // There are no endpoints, which the config does not allow.
    std::future::pending().await
}

async fn list(settings: &Settings, endpoint: &str, known: &mut Known) -> Result<Vec<Fault>, String> {
    Connection::open(settings, endpoint).await?.list(known).await
}
