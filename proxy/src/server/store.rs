//! What etcd says, into the config.

use std::{ops::ControlFlow, time::Instant};

use tokio::{
    sync::mpsc::{Receiver, channel},
    task::JoinHandle,
};

use super::{Server, signals::Signals};
use crate::control::{
    desired::follow::{Unusable, Wish},
    etcd::{self, Object, Settings, Status, Update},
    live::Live,
};

/// Updates that wait; etcd's side merges them meanwhile.
const UPDATES_MAX: usize = 16;

/// The side that etcd comes in at.
#[derive(Default)]
pub(super) struct Store {
    updates: Option<Receiver<Update>>,
    task: Option<JoinHandle<()>>,
}

impl Store {
    /// From now on what etcd says is followed.
    pub(super) fn follow(settings: Settings) -> Store {
        let (sender, updates) = channel(UPDATES_MAX);
        let task = tokio::spawn(etcd::follow(settings, sender));
        Store { updates: Some(updates), task: Some(task) }
    }

    /// The next update; never, where there is no etcd.
    pub(super) async fn next(&mut self) -> Update {
        let update = match &mut self.updates {
            Some(updates) => updates.recv().await,
            None => None,
        };
        match update {
            Some(update) => update,
            None => std::future::pending().await,
        }
    }

    /// Nothing is followed any more; what was known is on disk when this returns.
    pub(super) async fn end(&mut self) {
        self.updates = None;
        if let Some(task) = self.task.take() {
            task.abort();
            // It was told to end.
            let _ = task.await;
        }
    }
}

/// What etcd has at the start, into `live`. `Break`: the process was told to end.
pub(super) async fn first(live: &mut Live, settings: &Settings, signals: &mut Signals) -> ControlFlow<()> {
    let first = tokio::select! {
        first = etcd::first(settings, settings.start_timeout) => first,
        () = signals.end() => return ControlFlow::Break(()),
    };
    tracing::info!("etcd: {} keys from {}", first.objects.len(), first.from);
    if let Some(fault) = first.snapshot_fault {
        tracing::warn!("etcd: the snapshot can't be used: {fault}");
    }
    for (key, why) in first.bad {
        tracing::warn!("etcd {key}: {why}; it is ignored");
        live.store.bad.insert(key, why);
    }
    let (_, unusable) = live.follow(first.objects.into_iter().map(wish).collect(), true);
    tell(&unusable);
    ControlFlow::Continue(())
}

fn wish(object: Object) -> Wish {
    let Object { kind, name, key, value } = object;
    Wish { kind, name, key: key.into(), value: Some(value) }
}

fn tell(unusable: &[Unusable]) {
    for (key, why) in unusable {
        why.iter().for_each(|why| tracing::warn!("etcd {key}: it can't be used: {why}"));
    }
}

impl Server {
    /// Takes in what etcd says. `Break`: the process was told to end.
    pub(super) async fn follow(&mut self, update: Update) -> ControlFlow<()> {
        match update {
            Update::All { objects, .. } => {
                self.changes.live.write(|live| live.store.bad.clear());
                self.wish(objects.into_iter().map(wish).collect(), true);
            }
            Update::Changes { changes, .. } => {
                let Some(settings) = self.config.etcd.clone() else { return ControlFlow::Continue(()) };
                let wish = |(kind, name, value): etcd::Change| {
                    let key = settings.key(kind, &name).into();
                    Wish { kind, name, key, value }
                };
                self.wish(changes.into_iter().map(wish).collect(), false);
            }
            Update::Bad { key, why } => {
                tracing::warn!("etcd {key}: {why}; it is ignored");
                self.changes.live.write(|live| live.store.bad.insert(key, why));
            }
            Update::Mended { key } => {
                self.changes.live.write(|live| live.store.bad.remove(&key));
            }
            Update::Status(status) => self.note_status(&status),
        }
        self.take(None).await
    }

    fn note_status(&self, status: &Status) {
        let connected = matches!(status, Status::Connected { .. });
        match connected {
            true => tracing::info!("etcd: {status}"),
            false => tracing::warn!("etcd: {status}; the last state stays"),
        }
        self.board.process().etcd_connected.set(u64::from(connected));
        self.changes.live.write(|live| {
            live.store.connected = connected;
            live.store.status = status.to_string();
        });
    }

    /// Does what etcd wishes, as far as it can be done.
    pub(super) fn wish(&mut self, wishes: Vec<Wish>, whole: bool) {
        let (deltas, unusable) = self.changes.live.write(|live| live.follow(wishes, whole));
        tell(&unusable);
        self.board
            .process()
            .etcd_keys_unusable
            .set(self.changes.live.read(|live| live.store.unfulfilled.iter().count() + live.store.bad.len())
                as u64);
        if !deltas.is_empty() {
            self.changes.add("etcd", deltas, Instant::now());
        }
    }
}
