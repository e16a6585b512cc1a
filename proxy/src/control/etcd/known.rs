//! The last good state: what every key held when it last held something good.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    KEYS_MAX, Kind, Object, Settings, Snapshot, TOTAL_BYTES_MAX,
    batch::Batch,
    object::{self, Place},
};

/// Objects by kind and name, as the JSON text that etcd has. Shared with whoever writes it to disk.
pub(super) type Entries = BTreeMap<(Kind, String), Arc<str>>;

/// The last good state.
#[derive(Debug, Clone)]
pub(super) struct Known {
    prefix: String,
    /// Of etcd's store; all events up to here are in it. 0: nothing was heard from any etcd yet.
    pub(super) revision: i64,
    /// The etcd that it is from, 0: not known.
    pub(super) cluster: u64,
    entries: Arc<Entries>,
    bytes: usize,
    /// Keys whose values are bad.
    bad: BTreeSet<String>,
    /// A key that is neither a route nor an upstream was seen and spoken of.
    foreign: bool,
}

/// A key whose value can't be used, with the reason.
pub(super) type Fault = (String, String);

/// One key of etcd's with what it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held<'b> {
    pub(super) key: &'b [u8],
    pub(super) value: &'b [u8],
}

impl Known {
    /// Nothing.
    pub(super) fn new(prefix: &str) -> Known {
        Known {
            prefix: prefix.to_owned(),
            revision: 0,
            cluster: 0,
            entries: Arc::default(),
            bytes: 0,
            bad: BTreeSet::new(),
            foreign: false,
        }
    }

    /// What the snapshot has, and what is wrong with it if it can't be used.
    pub(super) fn restored(settings: &Settings) -> (Known, Option<String>) {
        let mut known = Known::new(&settings.prefix);
        let Some(path) = &settings.snapshot else { return (known, None) };
        let fault = match super::load_snapshot(path) {
            Ok(None) => None,
            Ok(Some(snapshot)) if snapshot.prefix == settings.prefix => {
                known.take_snapshot(snapshot);
                None
            }
            Ok(Some(snapshot)) => {
                Some(format!("{} is of the prefix {}: ignored", path.display(), snapshot.prefix))
            }
            Err(fault) => Some(format!("{fault}: ignored")),
        };
        (known, fault)
    }

    fn take_snapshot(&mut self, snapshot: Snapshot) {
        self.revision = snapshot.revision;
        let entries = snapshot.objects.into_iter();
        let entries: Entries =
            entries.map(|it| ((it.kind, it.name), Arc::from(it.value.to_string()))).collect();
        self.bytes = entries.values().map(|it| it.len()).sum();
        self.entries = Arc::new(entries);
    }

    /// Without a slash at its end.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// For the snapshot.
    pub(super) fn entries(&self) -> &Arc<Entries> {
        &self.entries
    }

    /// Every object, in the order of kind and name.
    pub(super) fn objects(&self) -> Vec<Object> {
        self.entries.iter().filter_map(|((kind, name), text)| self.object(*kind, name, text)).collect()
    }

    fn object(&self, kind: Kind, name: &str, text: &str) -> Option<Object> {
        // It was read when it came in.
        let value = object::value(name, text.as_bytes()).ok()?;
        Some(Object { kind, name: name.to_owned(), key: object::key(&self.prefix, kind, name), value })
    }

    /// One event of a watch; `None`: the key was deleted. What follows from it goes into `batch`.
    ///
    /// # Errors
    /// It would pass a bound. Nothing has changed.
    pub(super) fn event(
        &mut self,
        revision: i64,
        key: &[u8],
        value: Option<&[u8]>,
        batch: &mut Batch,
    ) -> Result<(), String> {
        let (kind, name) = match object::place(&self.prefix, key) {
            Place::Object(kind, name) => (kind, name),
            Place::Foreign => {
                self.speak_of_foreign(key);
                return Ok(());
            }
            Place::Unnamed(why) => return self.fault(key, value.is_some().then_some(why), batch),
        };
        let Some(bytes) = value else {
            self.remove(kind, name);
            batch.change(revision, (kind, name.to_owned(), None), key.len());
            return self.fault(key, None, batch);
        };
        match object::value(name, bytes) {
            Ok(json) => {
                self.insert(kind, name, bytes)?;
                batch.change(revision, (kind, name.to_owned(), Some(json)), bytes.len());
                self.fault(key, None, batch)
            }
            Err(why) => self.fault(key, Some(why), batch),
        }
    }

    /// A key is bad, or is no longer.
    fn fault(&mut self, key: &[u8], why: Option<String>, batch: &mut Batch) -> Result<(), String> {
        let key = object::shown(key);
        match why {
            Some(why) => {
                if self.entries.len() + self.bad.len() >= KEYS_MAX {
                    return Err(too_many());
                }
                self.bad.insert(key.clone());
                batch.say(key, Some(why));
            }
            None if self.bad.remove(&key) => batch.say(key, None),
            None => {}
        }
        Ok(())
    }

    fn insert(&mut self, kind: Kind, name: &str, text: &[u8]) -> Result<(), String> {
        let at = (kind, name.to_owned());
        let before = self.entries.get(&at).map(|it| it.len());
        if before.is_none() && self.entries.len() + self.bad.len() >= KEYS_MAX {
            return Err(too_many());
        }
        let bytes = self.bytes - before.unwrap_or(0) + text.len();
        if bytes > TOTAL_BYTES_MAX {
            return Err(too_large());
        }
        // JSON that could be read is UTF-8; this replaces nothing.
        let text = Arc::from(String::from_utf8_lossy(text));
        self.bytes = bytes;
        Arc::make_mut(&mut self.entries).insert(at, text);
        Ok(())
    }

    fn remove(&mut self, kind: Kind, name: &str) {
        if let Some(text) = Arc::make_mut(&mut self.entries).remove(&(kind, name.to_owned())) {
            self.bytes -= text.len();
        }
    }

    fn speak_of_foreign(&mut self, key: &[u8]) {
        if !self.foreign {
            self.foreign = true;
            let (key, prefix) = (object::shown(key), &self.prefix);
            tracing::warn!(%key, "etcd: only {prefix}/routes/NAME and {prefix}/upstreams/NAME are read; other keys below {prefix}/ are ignored");
        }
    }
}

/// A list that is being read, page by page. It becomes what is known when it is whole.
#[derive(Debug)]
pub(super) struct Listing {
    known: Known,
    faults: Vec<Fault>,
    keys: usize,
}

impl Listing {
    /// Begins one, in place of `known`.
    pub(super) fn over(known: &Known) -> Listing {
        let known = Known { foreign: known.foreign, ..Known::new(&known.prefix) };
        Listing { known, faults: Vec::new(), keys: 0 }
    }

    /// One key. `before` is what was known: a key whose value is bad keeps its last good one.
    ///
    /// # Errors
    /// It passes a bound.
    pub(super) fn add(&mut self, held: Held<'_>, before: &Known) -> Result<(), String> {
        self.keys += 1;
        if self.keys > KEYS_MAX {
            return Err(too_many());
        }
        let why = match object::place(&self.known.prefix, held.key) {
            Place::Object(kind, name) => match object::value(name, held.value) {
                Ok(_) => return self.known.insert(kind, name, held.value),
                Err(why) => {
                    if let Some(text) = before.entries.get(&(kind, name.to_owned())) {
                        self.known.insert(kind, name, text.as_bytes())?;
                    }
                    why
                }
            },
            Place::Unnamed(why) => why,
            Place::Foreign => {
                self.known.speak_of_foreign(held.key);
                return Ok(());
            }
        };
        let key = object::shown(held.key);
        self.known.bad.insert(key.clone());
        self.faults.push((key, why));
        Ok(())
    }

    /// It is whole, at this revision of this etcd. Puts it in place of `known`; what is returned are the keys that
    /// can't be used.
    pub(super) fn finish(self, revision: i64, cluster: u64, known: &mut Known) -> Vec<Fault> {
        *known = Known { revision, cluster, ..self.known };
        self.faults
    }
}

pub(super) fn too_many() -> String {
    format!("more than {KEYS_MAX} keys: nothing more is taken up")
}

fn too_large() -> String {
    format!("the values have more than {TOTAL_BYTES_MAX} bytes together: nothing more is taken up")
}

#[cfg(test)]
mod tests;
