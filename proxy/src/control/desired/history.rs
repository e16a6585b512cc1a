//! What was in force, so that it can be again.

use std::{collections::VecDeque, time::SystemTime};

use super::{Delta, Desired};

/// Revisions that are kept, the one in force included.
pub const REVISIONS_MAX: usize = 20;
/// Steps of a revision that are listed.
const LISTED_MAX: usize = 5;

/// A state that was published.
#[derive(Debug)]
pub struct Revision {
    /// Counted from 1, the config of the start.
    pub number: u64,
    /// When it came into force.
    pub at: SystemTime,
    /// Who asked for it.
    pub source: String,
    /// What makes it of the one before.
    deltas: Vec<Delta>,
    /// Its changes in words.
    pub what: String,
}

/// The last revisions.
#[derive(Debug)]
pub struct History {
    /// The oldest first, never empty.
    revisions: VecDeque<Revision>,
}

impl History {
    /// With the config of the start.
    pub fn new(source: &str, at: SystemTime) -> History {
        let first = Revision {
            number: 1,
            at,
            source: source.to_owned(),
            deltas: Vec::new(),
            what: "start".to_owned(),
        };
        History { revisions: VecDeque::from([first]) }
    }

    /// The number of the revision in force.
    pub fn number(&self) -> u64 {
        self.revisions.back().map_or(0, |it| it.number)
    }

    /// Those that are kept, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Revision> {
        self.revisions.iter()
    }

    /// A new revision is in force.
    pub fn push(&mut self, source: String, deltas: Vec<Delta>, at: SystemTime) -> u64 {
        let number = self.number() + 1;
        let mut what: Vec<String> = deltas.iter().take(LISTED_MAX).map(Delta::text).collect();
        if deltas.len() > LISTED_MAX {
            what.push(format!("and {} more", deltas.len() - LISTED_MAX));
        }
        let what = what.join(", ");
        if self.revisions.len() >= REVISIONS_MAX {
            self.revisions.pop_front();
        }
        self.revisions.push_back(Revision { number, at, source, deltas, what });
        number
    }

    /// Takes `desired`, which must be as the newest revision has it, back to revision `number`. Returns what was done;
    /// `None`: it is not kept.
    pub fn roll_back(&self, desired: &mut Desired, number: u64) -> Option<Vec<Delta>> {
        if !self.revisions.iter().any(|it| it.number == number) {
            return None;
        }
        let mut done = Vec::new();
        for revision in self.revisions.iter().rev().take_while(|it| it.number > number) {
            for delta in revision.deltas.iter().rev() {
                let inverse = delta.inverse();
                desired.apply(&inverse);
                done.push(inverse);
            }
        }
        Some(done)
    }
}
