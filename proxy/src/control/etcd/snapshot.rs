//! The last good state on disk, for a start without etcd.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use serde_json::Value as Json;
use tokio::time::{Instant, sleep_until};

use super::{
    Kind, Object, SNAPSHOT_BYTES_MAX, SNAPSHOT_INTERVAL, Settings,
    known::{Entries, Known},
    object::{self, Place},
};

/// Only the user that runs the proxy reads it: headers in routes may hold credentials.
const MODE: u32 = 0o600;

/// What etcd held when it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The prefix that was followed.
    pub prefix: String,
    /// Of etcd's store.
    pub revision: i64,
    /// In the order of kind and name.
    pub objects: Vec<Object>,
}

/// Reads a snapshot. `None`: there is no such file.
///
/// # Errors
/// The file can't be read, or is none that was written here: in words, with the path.
pub fn load_snapshot(path: &Path) -> Result<Option<Snapshot>, String> {
    let fault = |what: String| format!("{}: {what}", path.display());
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SNAPSHOT_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(error.to_string())),
        Ok(_) if bytes.len() as u64 > SNAPSHOT_BYTES_MAX => {
            return Err(fault("the file is too large to be a snapshot".to_owned()));
        }
        Ok(_) => {}
    }
    let json: Json = serde_json::from_slice(&bytes).map_err(|error| fault(format!("not JSON: {error}")))?;
    snapshot(&json).map(Some).map_err(|what| fault(format!("not a snapshot: {what}")))
}

fn snapshot(json: &Json) -> Result<Snapshot, String> {
    let prefix = json["prefix"].as_str().ok_or("no prefix")?.to_owned();
    let revision = json["revision"].as_i64().filter(|it| *it > 0).ok_or("no revision")?;
    let objects = json["objects"].as_array().ok_or("no objects")?;
    let objects = objects.iter().map(|it| read_object(&prefix, it)).collect::<Result<_, _>>()?;
    Ok(Snapshot { prefix, revision, objects })
}

fn read_object(prefix: &str, json: &Json) -> Result<Object, String> {
    let (folder, name) = (json["kind"].as_str(), json["name"].as_str());
    let (kind, name) = folder.and_then(Kind::of_folder).zip(name).ok_or("an object without kind or name")?;
    let key = object::key(prefix, kind, name);
    match object::place(prefix, key.as_bytes()) {
        Place::Object(..) => {}
        Place::Unnamed(why) => return Err(format!("{key}: {why}")),
        Place::Foreign => return Err(format!("{key} is not below {prefix}")),
    }
    let value =
        object::value(name, json["value"].to_string().as_bytes()).map_err(|why| format!("{key}: {why}"))?;
    Ok(Object { kind, name: name.to_owned(), key, value })
}

/// What is to be written.
struct Contents {
    prefix: String,
    revision: i64,
    entries: Arc<Entries>,
}

impl Contents {
    fn of(known: &Known) -> Contents {
        Contents {
            prefix: known.prefix().to_owned(),
            revision: known.revision,
            entries: Arc::clone(known.entries()),
        }
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut next = path.as_os_str().to_owned();
        next.push(".new");
        let next = PathBuf::from(next);
        // Of a write that did not get to its end.
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&next)?;
        let mut to = BufWriter::new(file);
        self.write_to(&mut to)?;
        to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&next, path)?;
        // The new name is on disk once its directory is.
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }

    fn write_to(&self, to: &mut impl io::Write) -> io::Result<()> {
        let prefix = Json::from(self.prefix.as_str());
        write!(to, "{{\"prefix\":{prefix},\"revision\":{},\"objects\":[", self.revision)?;
        let mut comma = "";
        for ((kind, name), value) in self.entries.iter() {
            let (kind, name) = (kind.folder(), Json::from(name.as_str()));
            write!(to, "{comma}\n{{\"kind\":\"{kind}\",\"name\":{name},\"value\":{value}}}")?;
            comma = ",";
        }
        to.write_all(b"\n]}\n")
    }
}

/// Writes the snapshot, on a thread of its own: a disk may take its time.
pub(super) struct Keeper {
    writer: Option<Writer>,
    changed: bool,
    /// Not before.
    next: Instant,
}

struct Writer {
    to: SyncSender<Contents>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Writes nothing where the settings name no place.
    pub(super) fn new(settings: &Settings) -> Keeper {
        let writer = settings.snapshot.clone().and_then(|path| {
            let (to, from) = sync_channel(1);
            let run = move || write_all(&path, &from);
            match thread::Builder::new().name("etcd-snapshot".to_owned()).spawn(run) {
                Ok(thread) => Some(Writer { to, thread }),
                Err(error) => {
                    tracing::warn!("etcd: snapshots are not written: no thread: {error}");
                    None
                }
            }
        });
        Keeper { writer, changed: false, next: Instant::now() }
    }

    /// What is known has changed.
    pub(super) fn changed(&mut self) {
        self.changed = self.writer.is_some();
    }

    /// Returns when there is something to write and it is time to.
    pub(super) async fn due(&self) {
        if !self.changed {
            std::future::pending::<()>().await;
        }
        sleep_until(self.next).await;
    }

    /// Hands what is known to the writer, if it is time to.
    pub(super) fn keep_if_due(&mut self, known: &Known) {
        let now = Instant::now();
        if !self.changed || now < self.next {
            return;
        }
        self.next = now + SNAPSHOT_INTERVAL;
        // A writer that is behind gets the next.
        if let Some(writer) = &self.writer {
            self.changed = writer.to.try_send(Contents::of(known)).is_err();
        }
    }

    /// Writes what is not written yet, and waits for it.
    pub(super) fn finish(&mut self, known: &Known) {
        let Some(Writer { to, thread }) = self.writer.take() else { return };
        if self.changed {
            // It fails when the writer is gone, which it has said.
            let _ = to.send(Contents::of(known));
        }
        drop(to);
        let _ = thread.join();
    }
}

fn write_all(path: &Path, from: &Receiver<Contents>) {
    let mut said = None;
    while let Ok(contents) = from.recv() {
        let fault = contents.write(path).err().map(|error| error.to_string());
        // Once, not every second.
        if fault != said {
            match &fault {
                Some(fault) => {
                    tracing::warn!("etcd: the snapshot {} can't be written: {fault}", path.display())
                }
                None => tracing::info!("etcd: the snapshot {} is written again", path.display()),
            }
            said = fault;
        }
    }
}

#[cfg(test)]
mod tests;
