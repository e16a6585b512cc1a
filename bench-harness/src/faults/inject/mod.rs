//! How each fault is put and taken away again. Each function here returns when the fault is over.
//!
//! ```text
//!   at an endpoint: endpoint (killed, cut off, a behaviour)
//!   at the proxy:   clients (slow, aborting) | crowd (connections) | keys (of a rate limit)
//!                   system (descriptors, names) | reloads (the config)
//! ```
mod clients;
mod crowd;
mod keys;
mod reloads;
mod system;

pub(crate) use system::descriptors;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{endpoint::Endpoint, injection::Injection};
use crate::{
    cpu,
    fault::{Fault, Result},
    memory::visits::Kind,
};

/// One end of a flap to the other.
const FLAP: Duration = Duration::from_secs(1);

/// What of a proxy a fault may be put to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    /// A file that its config includes, where it has one.
    pub(crate) included: Option<PathBuf>,
    /// The names that it looks up, where it does.
    pub(crate) hosts: Option<PathBuf>,
}

/// What came of a fault.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// When it was there, and when it was gone.
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
    /// What was reached.
    pub(crate) note: Option<String>,
    /// Answers to those who put it that were not what they asked for.
    pub(crate) wrong: u64,
}

impl Done {
    fn since(begin: Instant) -> Self {
        Self { begin, end: Instant::now(), note: None, wrong: 0 }
    }
}

/// Puts a fault to an endpoint for so long.
pub(crate) fn at_endpoint(what: Injection, endpoint: &mut Endpoint, length: Duration) -> Result<Done> {
    let begin = Instant::now();
    match what {
        Injection::Killed => {
            endpoint.kill();
            sleep_until(begin + length);
            endpoint.restart()?;
        }
        Injection::Flapping => {
            while begin.elapsed() < length {
                endpoint.kill();
                sleep_until((Instant::now() + FLAP).min(begin + length));
                endpoint.restart()?;
                sleep_until((Instant::now() + FLAP).min(begin + length));
            }
        }
        Injection::BlackHole => {
            endpoint.cut_off()?;
            sleep_until(begin + length);
            endpoint.join_again();
        }
        _ => {
            let behaviour = what.behaviour();
            endpoint.behave(behaviour.ok_or_else(|| Fault::new("no fault of an endpoint"))?)?;
            sleep_until(begin + length);
            endpoint.behave("{}")?;
        }
    }
    Ok(Done::since(begin))
}

/// Puts a fault to a proxy for so long.
pub(crate) fn at_proxy(what: Injection, target: &Target, length: Duration) -> Result<Done> {
    thread::scope(|scope| {
        let hand = scope.spawn(|| {
            cpu::set_niceness(cpu::GIVES_WAY);
            by_hand(what, target, length)
        });
        hand.join().unwrap_or_else(|_| Err(Fault::new("who put the fault panicked; see above")))
    })
}

fn by_hand(what: Injection, target: &Target, length: Duration) -> Result<Done> {
    let begin = Instant::now();
    let until = begin + length;
    match what {
        Injection::SlowClients => clients::slow(target.address, until),
        Injection::Aborting => clients::visit(target.address, &[Kind::Aborted, Kind::Silent], until),
        Injection::Crowd => crowd::gather(target.address, crowd::CROWD, until),
        Injection::Keys => keys::flood(target.address, until),
        Injection::Descriptors => system::no_descriptors(target, until),
        Injection::Dns => system::no_names(file(&target.hosts)?, until),
        Injection::Reloads => reloads::storm(file(&target.included)?, until),
        _ => Err(Fault::new("no fault of a proxy")),
    }
}

fn file(path: &Option<PathBuf>) -> Result<&Path> {
    path.as_deref().ok_or_else(|| Fault::new("this proxy was not started for that"))
}

pub(crate) fn sleep_until(time: Instant) {
    thread::sleep(time.saturating_duration_since(Instant::now()));
}
