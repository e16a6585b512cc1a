//! Files that are read again as soon as they change.
//!
//! Folders are watched, not files: an editor saves by renaming another file over the old one, and Kubernetes swaps a
//! link to a whole folder. What an event says is not believed: what counts is whether the texts are others than those
//! read last.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::sync::Notify;

use super::{
    ask::{Asks, Change, Expect},
    files::{self, Found},
    live::Shared,
};

/// How long nothing must happen before files are read: a save is several steps.
const QUIET: Duration = Duration::from_millis(100);
/// Files that never rest are read all the same after this.
const RESTLESS_MAX: Duration = Duration::from_secs(1);
/// Folders that are watched.
const FOLDERS_MAX: usize = 1024;
/// What asks for the change.
const SOURCE: &str = "file watch";

/// Folders under watch.
struct Folders {
    watcher: RecommendedWatcher,
    watched: HashSet<PathBuf>,
}

/// Watches the files of the config, for as long as there is somebody to ask for a reload.
///
/// # Errors
/// When the system has no watch to give; HUP works all the same.
pub fn start(live: Shared, asks: Asks) -> notify::Result<()> {
    let changed = Arc::new(Notify::new());
    let tell = Arc::clone(&changed);
    // Called on a thread of the watcher's own.
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| may_change(event.kind)) {
            tell.notify_one();
        }
    })?;
    let mut folders = Folders { watcher, watched: HashSet::new() };
    folders.follow(&wanted(&live))?;
    tokio::spawn(async move {
        loop {
            changed.notified().await;
            rest(&changed).await;
            let (watch, path, seen) =
                live.read(|it| (it.desired.base().config.control.watch, it.path.clone(), it.seen));
            if !watch {
                continue;
            }
            let found = Found::settled(&path).await;
            if found.fingerprint() == seen {
                continue;
            }
            let change = Change::Reload(Box::new(found));
            let Some(_) = asks.ask(change, Expect::Anything, false, SOURCE).await else { return };
            if let Err(error) = folders.follow(&wanted(&live)) {
                tracing::warn!("config files can't be watched: {error}; send HUP after a change");
            }
        }
    });
    Ok(())
}

/// What only looks is no change; if it were, reading the files would be the reason to read them again.
fn may_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => matches!(access, AccessKind::Close(AccessMode::Write)),
        _ => true,
    }
}

/// Until nothing has happened for a while.
async fn rest(changed: &Notify) {
    let calm = async { while tokio::time::timeout(QUIET, changed.notified()).await.is_ok() {} };
    let _ = tokio::time::timeout(RESTLESS_MAX, calm).await;
}

/// The folders in which something may change the config.
fn wanted(live: &Shared) -> HashSet<PathBuf> {
    let (path, mut paths) = live.read(|it| {
        let files = &it.desired.base().files;
        (it.path.clone(), files.iter().map(|it| it.path.clone()).collect::<Vec<_>>())
    });
    let mut folders: HashSet<PathBuf> = files::folders(&path).into_iter().collect();
    paths.push(path);
    for path in &paths {
        folders.extend(folder(path));
        // Where a link leads to.
        folders.extend(path.canonicalize().ok().as_deref().and_then(folder));
    }
    folders
}

fn folder(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    Some(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() })
}

impl Folders {
    fn follow(&mut self, wanted: &HashSet<PathBuf>) -> notify::Result<()> {
        for gone in self.watched.difference(wanted).cloned().collect::<Vec<_>>() {
            // It may be gone itself.
            let _ = self.watcher.unwatch(&gone);
            self.watched.remove(&gone);
        }
        for new in wanted.difference(&self.watched).cloned().collect::<Vec<_>>() {
            if self.watched.len() >= FOLDERS_MAX {
                return Err(notify::Error::generic("there are too many folders"));
            }
            self.watcher.watch(&new, RecursiveMode::NonRecursive)?;
            self.watched.insert(new);
        }
        Ok(())
    }
}
