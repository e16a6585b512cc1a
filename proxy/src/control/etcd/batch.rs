//! What has come and has not been sent yet: many events of one key are its last one.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, Change, Kind, Update};

/// Events on their way to the receiver.
#[derive(Debug, Default)]
pub(super) struct Batch {
    revision: i64,
    events: usize,
    bytes: usize,
    changes: BTreeMap<(Kind, String), Option<Json>>,
    /// By key: why it is bad, or that it no longer is.
    said: BTreeMap<String, Option<String>>,
}

impl Batch {
    /// An object is this now, or is no more, as of `revision`. `bytes`: what the value was read from.
    pub(super) fn change(&mut self, revision: i64, (kind, name, value): Change, bytes: usize) {
        self.changes.insert((kind, name), value);
        self.revision = self.revision.max(revision);
        self.count(bytes);
    }

    /// The value of `key` is bad, or (`None`) is no longer.
    pub(super) fn say(&mut self, key: String, why: Option<String>) {
        self.count(key.len());
        self.said.insert(key, why);
    }

    fn count(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Nothing is left to send.
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.said.is_empty()
    }

    /// No event is to be added before this is sent.
    pub(super) fn is_full(&self) -> bool {
        self.events >= BATCH_EVENTS_MAX || self.bytes >= BATCH_BYTES_MAX
    }

    /// The next to send: first what is bad and what no longer is, then all changes as one.
    pub(super) fn pop(&mut self) -> Option<Update> {
        if let Some((key, why)) = self.said.pop_first() {
            if self.is_empty() {
                *self = Batch::default();
            }
            return Some(match why {
                Some(why) => Update::Bad { key, why },
                None => Update::Mended { key },
            });
        }
        let Batch { revision, changes, .. } = std::mem::take(self);
        let changes: Vec<Change> =
            changes.into_iter().map(|((kind, name), value)| (kind, name, value)).collect();
        (!changes.is_empty()).then_some(Update::Changes { revision, changes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(value: Option<Json>) -> Change {
        (Kind::Route, "a".to_owned(), value)
    }

    #[test]
    fn the_last_value_of_a_key_wins() {
        let mut batch = Batch::default();
        for (revision, value) in [(5, Some(Json::from(1))), (6, None), (7, Some(Json::from(2)))] {
            batch.change(revision, change(value), 10);
        }
        batch.say("k".to_owned(), Some("why".to_owned()));
        assert!(!batch.is_empty() && !batch.is_full());
        assert_eq!(batch.pop(), Some(Update::Bad { key: "k".to_owned(), why: "why".to_owned() }));
        let changes = vec![change(Some(Json::from(2)))];
        assert_eq!(batch.pop(), Some(Update::Changes { revision: 7, changes }));
        assert!(batch.is_empty() && batch.pop().is_none());
    }

    #[test]
    fn it_is_full_at_its_bounds_and_sending_makes_room() {
        let mut batch = Batch::default();
        batch.change(1, change(None), BATCH_BYTES_MAX - 1);
        assert!(!batch.is_full());
        batch.change(2, change(None), 1);
        assert!(batch.is_full());
        assert!(batch.pop().is_some() && !batch.is_full());
        // The same key again and again, without a change: it must not fill up for ever.
        (0..BATCH_EVENTS_MAX).for_each(|_| batch.say("k".to_owned(), None));
        assert!(batch.is_full());
        assert!(batch.pop().is_some() && batch.is_empty() && !batch.is_full());
    }
}
