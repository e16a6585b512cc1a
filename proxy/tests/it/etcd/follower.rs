//! The source as its receiver sees it.

use std::{collections::BTreeMap, path::PathBuf, thread::JoinHandle, time::Duration};

use ringlane::control::etcd::{Change, Kind, Settings, Status, Update, follow};
use serde_json::Value;
use tokio::{
    runtime::Runtime,
    sync::{
        mpsc::{Receiver, channel},
        oneshot,
    },
};

use super::server::runtime;
use crate::harness::PATIENCE;

/// Updates that wait to be received.
const CHANNEL: usize = 1;

/// Settings for one endpoint, with timeouts that a test can wait for.
pub fn settings(endpoint: &str) -> Settings {
    Settings {
        endpoints: vec![endpoint.to_owned()],
        prefix: "/ringlane".to_owned(),
        tls: None,
        user: None,
        snapshot: None,
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(2),
        start_timeout: Duration::from_secs(5),
    }
}

/// The same, with a snapshot.
pub fn with_snapshot(endpoint: &str, path: PathBuf) -> Settings {
    Settings { snapshot: Some(path), ..settings(endpoint) }
}

/// `follow` on a thread of its own.
pub struct Follower {
    runtime: Runtime,
    updates: Receiver<Update>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    /// What all that was received comes to.
    pub view: View,
}

/// What a receiver knows after some updates.
#[derive(Debug, Default)]
pub struct View {
    pub objects: BTreeMap<(Kind, String), Value>,
    pub bad: BTreeMap<String, String>,
    /// `None`: connected, or not heard of yet.
    pub down: Option<String>,
    pub connected: bool,
    /// Who was connected to last.
    pub endpoint: String,
    pub revision: i64,
    /// How many of each have come.
    pub lists: usize,
    pub changes: usize,
    pub losses: usize,
}

impl Follower {
    /// Starts to follow.
    pub fn start(settings: Settings) -> Follower {
        let (sender, updates) = channel(CHANNEL);
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            runtime().block_on(async {
                tokio::select! {
                    () = follow(settings, sender) => {}
                    Ok(()) = stopped => {}
                }
            });
        };
        let thread = std::thread::spawn(run);
        Follower { runtime: runtime(), updates, stop, thread, view: View::default() }
    }

    /// The next update, which is also taken into the view.
    #[track_caller]
    pub fn next(&mut self) -> Update {
        let receiving = async { tokio::time::timeout(PATIENCE, self.updates.recv()).await };
        match self.runtime.block_on(receiving) {
            Ok(Some(update)) => {
                self.view.take(&update);
                update
            }
            Ok(None) => panic!("it has ended"),
            Err(_) => panic!("nothing came; the view is {:#?}", self.view),
        }
    }

    /// Receives until the view is so.
    #[track_caller]
    pub fn until(&mut self, holds: impl Fn(&View) -> bool) {
        while !holds(&self.view) {
            self.next();
        }
    }

    /// Receives until it is connected.
    #[track_caller]
    pub fn connected(mut self) -> Follower {
        self.until(|view| view.connected);
        self
    }

    /// Receives until it is not, and says why.
    #[track_caller]
    pub fn disconnected(&mut self) -> String {
        self.until(|view| view.down.is_some());
        self.view.down.clone().unwrap()
    }

    /// Receives until a key has this value.
    #[track_caller]
    pub fn sees(&mut self, kind: Kind, name: &str, value: Option<Value>) {
        self.until(|view| view.objects.get(&(kind, name.to_owned())) == value.as_ref());
    }

    /// Receives no more, and waits for its end.
    pub fn close(self) {
        drop(self.updates);
        self.thread.join().unwrap();
    }

    /// Drops it in the middle, as a runtime that ends does.
    pub fn drop_it(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

impl View {
    fn take(&mut self, update: &Update) {
        match update {
            Update::All { revision, objects } => {
                assert!(objects.is_sorted_by_key(|it| (it.kind, it.name.clone())));
                self.objects =
                    objects.iter().map(|it| ((it.kind, it.name.clone()), it.value.clone())).collect();
                self.bad.clear();
                self.lists += 1;
                self.revision = *revision;
            }
            Update::Changes { revision, changes } => {
                assert!(*revision >= self.revision, "{update:?} after {}", self.revision);
                assert!(!changes.is_empty() && changes.is_sorted_by_key(|it| (it.0, it.1.clone())));
                changes.iter().for_each(|it| self.change(it));
                self.changes += 1;
                self.revision = *revision;
            }
            Update::Bad { key, why } => {
                self.bad.insert(key.clone(), why.clone());
            }
            Update::Mended { key } => {
                assert!(self.bad.remove(key).is_some(), "{key} was not bad");
            }
            Update::Status(Status::Connected { endpoint, revision }) => {
                assert!(*revision >= self.revision);
                self.endpoint = endpoint.clone();
                (self.down, self.connected) = (None, true);
            }
            Update::Status(Status::Disconnected { why, .. }) => {
                (self.down, self.connected) = (Some(why.clone()), false);
                self.losses += 1;
            }
        }
    }

    fn change(&mut self, (kind, name, value): &Change) {
        let at = (*kind, name.clone());
        match value {
            Some(value) => self.objects.insert(at, value.clone()),
            None => self.objects.remove(&at),
        };
    }

    /// All names of a kind.
    pub fn names(&self, kind: Kind) -> Vec<&str> {
        self.objects.keys().filter(|it| it.0 == kind).map(|it| it.1.as_str()).collect()
    }
}
