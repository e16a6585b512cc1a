//! The config while the process runs: what is asked for, what has been in force, how changes went.
//!
//! Written by the control thread's loop; read by whoever shows it.

#![expect(clippy::disallowed_types, reason = "between the control thread's loop and those who show it")]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use super::{
    ask::{About, Change, Denied, Expect},
    desired::{
        Delta, Desired, Owner, Refused,
        follow::{Unfulfilled, Unusable, Wish},
        history::History,
    },
    files::Found,
};

/// What etcd says, as far as it is not in `Desired`.
#[derive(Debug, Default)]
pub struct Store {
    /// The connection, in words; empty: there is none.
    pub status: String,
    /// Whether it is being watched.
    pub connected: bool,
    /// Keys whose values are none, each with why.
    pub bad: BTreeMap<String, String>,
    /// Keys whose values can't be used.
    pub unfulfilled: Unfulfilled,
}

/// Errors that are kept of a change.
const ERRORS_KEPT_MAX: usize = 50;

/// How the last change of a kind went.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Who asked for it.
    pub source: String,
    /// When.
    pub at: SystemTime,
    /// What was wrong, a line each; empty: it was accepted.
    pub errors: Vec<String>,
}

/// The config while the process runs.
#[derive(Debug)]
pub struct Live {
    /// The main file.
    pub path: PathBuf,
    /// What all sources ask for: what is in force, and what is about to be.
    pub desired: Desired,
    /// What was in force.
    pub history: History,
    /// Counts accepted changes, from a number that no earlier process had.
    pub version: u64,
    /// Whether something that was accepted is not in force yet.
    pub waiting: bool,
    /// The number of the table in force.
    pub generation: u64,
    /// The files as they were last read, whatever came of it; see [`Found::fingerprint`].
    pub seen: u64,
    /// What etcd says.
    pub store: Store,
    /// The last change, whatever came of it.
    pub last: Option<Attempt>,
    /// The last one that was refused.
    pub last_refused: Option<Attempt>,
}

/// It, for whoever shows it. A panic elsewhere while it was locked is no reason to serve nobody any more.
#[derive(Debug, Clone)]
pub struct Shared(Arc<RwLock<Live>>);

impl Shared {
    /// Shares it.
    pub fn new(live: Live) -> Shared {
        Shared(Arc::new(RwLock::new(live)))
    }

    /// Reads it. Nothing slow is to be done meanwhile.
    pub fn read<T>(&self, with: impl FnOnce(&Live) -> T) -> T {
        with(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes it: for the control thread's loop.
    pub fn write<T>(&self, with: impl FnOnce(&mut Live) -> T) -> T {
        with(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Live {
    /// At the start.
    pub fn new(path: PathBuf, desired: Desired, now: SystemTime) -> Live {
        let history = History::new(&path.display().to_string(), now);
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let version = u64::try_from(since.as_micros()).unwrap_or_default();
        let (last, last_refused, seen) = (None, None, Found::now(&path).fingerprint());
        Live {
            path,
            desired,
            history,
            version,
            waiting: false,
            generation: 1,
            seen,
            store: Store::default(),
            last,
            last_refused,
        }
    }

    /// The tag of what a change is about; `None`: it is not there.
    pub fn tag(&self, about: About<'_>) -> Option<u64> {
        match about {
            About::Config => Some(self.version),
            About::Object(kind, name) => self.desired.shown(kind, name).map(|it| it.tag),
            About::Endpoint(upstream, target) => {
                self.desired.endpoint(upstream, target).map(|(_, weight)| weight.into())
            }
        }
    }

    /// Checks a change and, unless that is wrong, makes it. What comes of it is to be published, or taken back.
    ///
    /// # Errors
    /// Why not; then nothing has changed.
    pub fn accept(&mut self, change: &Change, expect: &Expect, from: &str) -> Result<Vec<Delta>, Denied> {
        let tag = self.tag(change.about());
        let holds = match expect {
            Expect::Anything => true,
            Expect::Present => tag.is_some(),
            Expect::Absent => tag.is_none(),
            Expect::OneOf(tags) => tag.is_some_and(|tag| tags.contains(&tag)),
        };
        if !holds {
            return Err(Denied::Expectation(tag));
        }
        Ok(self.make(change, from)?)
    }

    fn make(&mut self, change: &Change, from: &str) -> Result<Vec<Delta>, Refused> {
        let desired = &mut self.desired;
        match change {
            Change::Config(json) => desired.put_config(json, from),
            Change::Put(kind, name, json) => desired.put(*kind, name, &Owner::Api, json, from),
            Change::Patch(kind, name, json) => desired.patch(*kind, name, &Owner::Api, json, from),
            Change::Delete(kind, name) => desired.delete(*kind, name, &Owner::Api),
            Change::PutEndpoint(upstream, target, weight) => {
                desired.put_endpoint(upstream, target, *weight, from)
            }
            Change::DeleteEndpoint(upstream, target) => desired.delete_endpoint(upstream, target, from),
            Change::RollBack(number) => self.history.roll_back(desired, *number).ok_or_else(|| {
                let kept: Vec<_> = self.history.iter().map(|it| it.number.to_string()).collect();
                let text = format!("revision {number} is not kept; there are {}", kept.join(", "));
                Refused::NotFound(text)
            }),
            Change::Reload(found) => desired.reload(found),
        }
    }

    /// Does what etcd says, as far as it can be done; `whole`: what it does not name is no more. What comes of it is to be
    /// published, or taken back.
    pub fn follow(&mut self, wishes: Vec<Wish>, whole: bool) -> (Vec<Delta>, Vec<Unusable>) {
        self.desired.follow(&mut self.store.unfulfilled, wishes, whole)
    }

    /// Notes how a change went.
    pub fn note(&mut self, source: &str, mut errors: Vec<String>, at: SystemTime) {
        let more = errors.len().saturating_sub(ERRORS_KEPT_MAX);
        if more > 0 {
            errors.truncate(ERRORS_KEPT_MAX);
            errors.push(format!("and {more} more"));
        }
        let attempt = Attempt { source: source.to_owned(), at, errors };
        if !attempt.errors.is_empty() {
            self.last_refused = Some(attempt.clone());
        }
        self.last = Some(attempt);
    }
}
