//! Names among the endpoints to addresses, off the workers.
//!
//! The control thread owns one [`Resolved`], calls [`resolve_all`] before serving and [`refresh`] whenever
//! [`Resolved::next_refresh`] has come. A name that can't be looked up keeps the addresses it had; one that never
//! had any is tried again soon, so that a proxy started before its DNS finds its upstreams within seconds.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::config::{Config, HostPort, Target};

/// One look-up takes no longer than this: a start waits for the slowest.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// How soon a name without any address is tried again.
const RETRY_UNRESOLVED: Duration = Duration::from_secs(2);

/// The last answer for each name.
#[derive(Debug, Default)]
pub struct Resolved {
    answers: BTreeMap<HostPort, Answer>,
    revision: u64,
}

/// Numbers all that answers have ever been, so that no two are taken for each other.
static REVISIONS: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
struct Answer {
    /// Sorted, without repeats: servers rotate their answers, and an order that changes is no change.
    addresses: Vec<SocketAddr>,
    due: Instant,
    failure: Option<String>,
}

/// A name whose last look-up failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupFailure {
    /// `host:port`.
    pub name: String,
    /// What the system said.
    pub reason: String,
    /// Addresses of an earlier answer that stay in use; 0: the endpoint is not there at all.
    pub kept: usize,
}

impl Resolved {
    /// No answers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another number whenever any answer has changed: what was made of the same answers need not be made anew.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    fn has_changed(&mut self) {
        self.revision = REVISIONS.fetch_add(1, Ordering::Relaxed) + 1;
    }

    /// The addresses of a name, sorted; empty while there is no answer.
    pub fn addresses(&self, name: &HostPort) -> &[SocketAddr] {
        self.answers.get(name).map_or(&[], |it| it.addresses.as_slice())
    }

    /// Names whose last look-up failed, in order.
    pub fn failures(&self) -> Vec<LookupFailure> {
        let failed = |(name, answer): (&HostPort, &Answer)| {
            let reason = answer.failure.clone()?;
            Some(LookupFailure { name: name.to_string(), reason, kept: answer.addresses.len() })
        };
        self.answers.iter().filter_map(failed).collect()
    }

    /// When the next name is due; `None`: there are no names.
    pub fn next_refresh(&self) -> Option<Instant> {
        self.answers.values().map(|it| it.due).min()
    }
}

/// Looks up every name of `config` now and forgets names that it no longer has. True when any answer changed, and so
/// the table must be compiled anew. What failed: [`Resolved::failures`].
pub async fn resolve_all(config: &Config, resolved: &mut Resolved) -> bool {
    update(config, resolved, None, lookup).await
}

/// As [`resolve_all`], for the names that are due at `now` or have never been looked up: what a reload and the
/// control thread's timer call.
pub async fn refresh(config: &Config, resolved: &mut Resolved, now: Instant) -> bool {
    update(config, resolved, Some(now), lookup).await
}

/// The names of `config`, each with the shortest `dns_refresh` of the upstreams that use it.
fn names(config: &Config) -> BTreeMap<HostPort, Duration> {
    let mut names = BTreeMap::new();
    for upstream in &config.upstreams {
        for endpoint in &upstream.endpoints {
            if let Target::Name(name) = &endpoint.target {
                let every = names.entry(name.clone()).or_insert(upstream.dns_refresh);
                *every = upstream.dns_refresh.min(*every);
            }
        }
    }
    names
}

/// The same with any look-up, for tests.
pub(super) async fn update<L, F>(
    config: &Config,
    resolved: &mut Resolved,
    due_at: Option<Instant>,
    lookup: L,
) -> bool
where
    L: Fn(HostPort) -> F,
    F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
{
    let names = names(config);
    let known = resolved.answers.len();
    resolved.answers.retain(|name, _| names.contains_key(name));
    if resolved.answers.len() != known {
        resolved.has_changed();
    }
    let is_due = |name: &HostPort| match (due_at, resolved.answers.get(name)) {
        (Some(now), Some(answer)) => answer.due <= now,
        _ => true,
    };
    let mut running = JoinSet::new();
    for name in names.keys().filter(|it| is_due(it)) {
        let (name, answer) = (name.clone(), lookup(name.clone()));
        running.spawn(async move { (name, tokio::time::timeout(LOOKUP_TIMEOUT, answer).await) });
    }
    let mut changed = false;
    while let Some(done) = running.join_next().await {
        let Ok((name, answer)) = done else { continue };
        let answer = match answer {
            Ok(Ok(addresses)) if addresses.is_empty() => Err("the name has no addresses".to_owned()),
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", LOOKUP_TIMEOUT.as_secs())),
        };
        let every = names.get(&name).copied().unwrap_or(RETRY_UNRESOLVED);
        changed |= record(resolved, name, answer, every);
    }
    if changed {
        resolved.has_changed();
    }
    changed
}

fn record(
    resolved: &mut Resolved,
    name: HostPort,
    answer: Result<Vec<SocketAddr>, String>,
    every: Duration,
) -> bool {
    let now = Instant::now();
    let entry =
        resolved.answers.entry(name).or_insert(Answer { addresses: Vec::new(), due: now, failure: None });
    let mut changed = false;
    match answer {
        Ok(addresses) => {
            let addresses: Vec<_> = addresses.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
            changed = entry.addresses != addresses;
            entry.addresses = addresses;
            entry.failure = None;
        }
        Err(reason) => entry.failure = Some(reason),
    }
    let wait = if entry.addresses.is_empty() { every.min(RETRY_UNRESOLVED) } else { every };
    entry.due = now + wait;
    changed
}

/// The system's resolver (files, DNS, whatever nsswitch says), on tokio's blocking threads.
async fn lookup(name: HostPort) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((&*name.host, name.port)).await?.collect())
}
