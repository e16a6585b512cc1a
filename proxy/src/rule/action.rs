//! What a rule does with a request that it matches.

use std::sync::Arc;

use http::HeaderName;

use super::condition::Condition;
use crate::route::Respond;

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name in the config.
    pub name: Arc<str>,
    /// What a request must be.
    pub condition: Condition,
    /// Whether the request goes no further. No rule after one that ends a request is asked.
    pub end: Option<End>,
    /// What it says about the request's line in the access log.
    pub log: Option<Log>,
    /// A label for access log and metrics.
    pub tag: Option<Tag>,
}

/// How a request ends that goes no further.
#[derive(Debug, Clone)]
pub enum End {
    /// With this answer.
    Deny(Respond),
    /// With its connection, without an answer.
    Drop,
}

/// What is said about a line of the access log. Of several rules that match, the first one's word counts.
#[derive(Debug, Clone)]
pub struct Log {
    /// How many of the lines are written.
    pub sample: Share,
    /// Request fields that are added to the line.
    pub headers: Box<[HeaderName]>,
}

/// A part of the whole, from none to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(u64);

impl Share {
    /// All.
    pub const ALL: Share = Share(1 << 32);

    /// A part from 0 to 1; what is below or above counts as that, and what is no number as 0.
    pub fn new(part: f64) -> Share {
        Share((part.clamp(0.0, 1.0) * Share::ALL.0 as f64) as u64)
    }

    /// Whether `random`, any 32 bits alike, falls into it.
    pub fn takes(self, random: u32) -> bool {
        u64::from(random) < self.0
    }

    /// The part, from 0 to 1.
    pub fn part(self) -> f64 {
        self.0 as f64 / Share::ALL.0 as f64
    }
}

/// A tag by its place in [`Rules::tags`](super::Rules::tags).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub u8);

impl Tag {
    /// Its bit in a word of tags.
    pub fn bit(self) -> u64 {
        1 << (self.0 % 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        for (part, taken) in [(0.0, 0), (1.0, 4), (0.5, 2), (0.25, 1), (-1.0, 0), (7.0, 4), (f64::NAN, 0)] {
            let share = Share::new(part);
            let random = [0, 1 << 30, 1 << 31, u32::MAX];
            assert_eq!(random.iter().filter(|random| share.takes(**random)).count(), taken, "{part}");
        }
        assert_eq!(Share::new(1.0), Share::ALL);
        assert_eq!(Share::new(0.25).part(), 0.25);
    }
}
