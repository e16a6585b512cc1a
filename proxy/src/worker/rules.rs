//! What rules say of a request: asked before it is routed, counted, and kept for its line in the access log.

use std::{
    cell::RefCell,
    hash::{BuildHasher, RandomState},
};

use http::HeaderName;

use super::{connection::Client, exchange::Progress, peer};
use crate::{
    http::RequestHead,
    observe::{Noted, RequestFields},
    rule::{End, Request, Rules, Scratch},
    upstream::rng::Rng,
};

/// What a worker needs to ask rules.
pub struct Memory {
    scratch: RefCell<Scratch>,
    /// Decides which lines of the access log are written.
    dice: Rng,
}

impl Default for Memory {
    fn default() -> Memory {
        // Different in every worker and every process.
        Memory { scratch: RefCell::default(), dice: Rng::new(RandomState::new().hash_one(0)) }
    }
}

impl Memory {
    fn random(&self) -> u32 {
        (self.dice.draw() >> 32) as u32
    }
}

/// What rules have said of one exchange, by their place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said {
    /// The one that ended it.
    ended: Option<u32>,
    /// The one whose word about the line counts.
    log: Option<u32>,
    /// Tags, a bit each.
    tags: u64,
    /// No line is written.
    unlogged: bool,
}

/// Asks all rules, counts those that match, and notes what they say. Returns how the request ends, if it goes no further.
#[inline(never)]
pub fn ask<'r>(
    client: &Client,
    head: &RequestHead,
    rules: &'r Rules,
    progress: &mut Progress,
) -> Option<&'r End> {
    let worker = &client.worker;
    let request = Request {
        client: if rules.look_at_clients() { peer::address(client, head) } else { None },
        method: &head.method,
        host: head.host(),
        path: head.path(),
        query: head.query(),
        lines: head,
    };
    let said = &mut progress.said;
    let mut end = None;
    let mut scratch = worker.rules.scratch.borrow_mut();
    let mut recorder = worker.recorder.borrow_mut();
    for (place, rule) in rules.matches(&request, &mut scratch) {
        recorder.count_rule(&rule.name);
        said.tags |= rule.tag.map_or(0, |tag| tag.bit());
        if let (None, Some(log)) = (said.log, &rule.log) {
            said.log = Some(place as u32);
            said.unlogged = !log.sample.takes(worker.rules.random());
        }
        if rule.end.is_some() {
            said.ended = Some(place as u32);
            end = rule.end.as_ref();
        }
    }
    rules.tag_names(said.tags).for_each(|tag| recorder.count_tag(tag));
    end
}

/// What stands in the line of the access log.
pub fn noted<'a>(rules: &'a Rules, said: &Said, head: &'a RequestHead) -> Noted<'a> {
    let rule = |place: Option<u32>| place.and_then(|place| rules.rules.get(place as usize));
    Noted {
        rule: rule(said.ended).map(|rule| &*rule.name),
        tag_names: &rules.tags,
        tags: said.tags,
        unlogged: said.unlogged,
        headers: rule(said.log).and_then(|rule| rule.log.as_ref()).map_or(&[], |log| &log.headers),
        fields: head,
    }
}

impl RequestFields for RequestHead {
    fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        let name = name.as_str().as_bytes();
        let line = self.lines.iter().find(|line| line.name(&self.raw).eq_ignore_ascii_case(name))?;
        Some(line.value(&self.raw))
    }
}
