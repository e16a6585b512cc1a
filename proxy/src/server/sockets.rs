//! All listening sockets: made before any worker starts, changed while they run, kept by the control thread so that a
//! worker that dies leaves nobody waiting in a queue that no one reads.
//!
//! ```text
//! prepare   binds what is new; nothing else has changed, and a failure leaves it so
//! commit    workers are handed the new ones and told to let go of those that nobody wants
//! tidy      those that all workers have let go of are closed
//! ```

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::bind::{BindError, Entrance};
use crate::{
    control::config::address_text, limits::TICK, route::Listener, upstream::Address, worker::Handover,
};

/// How long a start waits for an address that is in use.
const BIND_PATIENCE: Duration = Duration::from_millis(500);

/// The sockets of all listeners.
pub struct Sockets {
    entrances: BTreeMap<u32, Entrance>,
    /// One per worker.
    handovers: Vec<Arc<Handover>>,
    last_number: u32,
}

/// What becomes of listeners, with all that it takes in hand. Dropped, it changes nothing.
pub struct Prepared(Vec<(Arc<Listener>, Source)>);

/// Where a listener's sockets come from.
enum Source {
    /// They are there.
    Kept(u32),
    /// They are new.
    Bound(Entrance),
}

/// What has become of one listener.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added(Arc<Listener>, Arc<str>),
    /// It has the sockets of one that is gone.
    Renamed(Arc<Listener>, Arc<str>, Arc<str>),
    /// It listens elsewhere.
    Moved(Arc<Listener>, Arc<str>, Arc<str>),
    /// It is gone.
    Removed(Arc<str>, Arc<str>),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = |listener: &Listener| format!("at most {} connections", listener.max_connections);
        match self {
            Change::Added(it, address) => write!(f, "listener {:?} added: {address}, {}", it.name, most(it)),
            Change::Renamed(it, address, was) => {
                write!(f, "listener {:?} added: {address}, {}; it was {was:?}", it.name, most(it))
            }
            Change::Moved(it, address, was) => {
                write!(f, "listener {:?} moved: {address}, {}; it was at {was}", it.name, most(it))
            }
            Change::Removed(name, address) => {
                write!(f, "listener {name:?} removed: {address}")
            }
        }
    }
}

impl Sockets {
    /// As `bind`, also where a process has the addresses that has just ended: what a ring of it held, the kernel
    /// closes a moment after its end.
    pub async fn bind_patiently(listeners: &[Arc<Listener>], workers: usize) -> Result<Sockets, BindError> {
        let deadline = Instant::now() + BIND_PATIENCE;
        loop {
            match Sockets::bind(listeners, workers) {
                Err(BindError::InUse { .. }) if Instant::now() < deadline => tokio::time::sleep(TICK).await,
                result => return result,
            }
        }
    }

    /// Binds every listener for `workers` workers.
    pub fn bind(listeners: &[Arc<Listener>], workers: usize) -> Result<Sockets, BindError> {
        let handovers = (0..workers).map(|_| Arc::default()).collect();
        let mut sockets = Sockets { entrances: BTreeMap::new(), handovers, last_number: 0 };
        let prepared = sockets.prepare(listeners)?;
        sockets.commit(prepared);
        Ok(sockets)
    }

    /// Where a worker finds its sockets.
    pub fn handover(&self, index: usize) -> Option<Arc<Handover>> {
        self.handovers.get(index).cloned()
    }

    /// Where each listener really listens: what a port 0 has become.
    pub fn addresses(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let open = self.entrances.values().filter(|it| !it.leaving);
        open.map(|it| (Arc::clone(&it.listener.name), Arc::clone(&it.address))).collect()
    }

    /// Finds or binds what `listeners` need. Nothing changes for those that are in force.
    ///
    /// # Errors
    /// The first address that can't be had.
    pub fn prepare(&self, listeners: &[Arc<Listener>]) -> Result<Prepared, BindError> {
        let kept = self.keep(listeners);
        let staying: HashSet<u32> = kept.iter().flatten().copied().collect();
        let sources = listeners.iter().zip(kept).map(|(listener, kept)| {
            let source = match kept {
                Some(number) => Source::Kept(number),
                None => Source::Bound(self.bind_one(listener, &staying)?),
            };
            Ok((Arc::clone(listener), source))
        });
        sources.collect::<Result<_, _>>().map(Prepared)
    }

    /// Which sockets that are there each listener goes on with. Those of its address: best its own, else those of
    /// whoever had it, else those that are leaving.
    fn keep(&self, listeners: &[Arc<Listener>]) -> Vec<Option<u32>> {
        let mut by_address: HashMap<&Address, Vec<&Entrance>> = HashMap::new();
        for entrance in self.entrances.values().filter(|it| !it.leaving || it.can_return()) {
            by_address.entry(&entrance.listener.address).or_default().push(entrance);
        }
        let mut kept = vec![None; listeners.len()];
        let wanted: [fn(&Entrance, &Listener) -> bool; 3] = [
            |entrance, listener| !entrance.leaving && entrance.listener.name == listener.name,
            |entrance, _| !entrance.leaving,
            |_, _| true,
        ];
        for fits in wanted {
            for (listener, kept) in listeners.iter().zip(&mut kept).filter(|(_, kept)| kept.is_none()) {
                let Some(free) = by_address.get_mut(&listener.address) else { continue };
                if let Some(at) = free.iter().position(|entrance| fits(entrance, listener)) {
                    *kept = Some(free.swap_remove(at).number);
                }
            }
        }
        kept
    }

    fn bind_one(&self, listener: &Arc<Listener>, staying: &HashSet<u32>) -> Result<Entrance, BindError> {
        let mut going = self.entrances.values().filter(|it| !staying.contains(&it.number));
        let shares = going.any(|it| it.listener.address.overlaps(&listener.address));
        Entrance::bind(listener, self.handovers.len(), shares).map_err(|error| {
            let (name, address) = (Arc::clone(&listener.name), address_text(&listener.address));
            match error.kind() {
                io::ErrorKind::AddrInUse => BindError::InUse { name, address },
                _ => BindError::Other { name, address, error },
            }
        })
    }

    /// Makes it so. Workers do their part with their next tick. What has changed, for a person to read.
    pub fn commit(&mut self, prepared: Prepared) -> Vec<Change> {
        let mut before = std::mem::take(&mut self.entrances);
        let open = before.values().filter(|it| !it.leaving);
        let was: BTreeMap<Arc<str>, (u32, Arc<str>)> =
            open.map(|it| (Arc::clone(&it.listener.name), (it.number, Arc::clone(&it.address)))).collect();
        let names: HashSet<Arc<str>> = prepared.0.iter().map(|(it, _)| Arc::clone(&it.name)).collect();
        let mut changes = Vec::new();
        let mut renamed = HashSet::new();
        for (listener, source) in prepared.0 {
            let (mut entrance, had) = match source {
                Source::Bound(entrance) => (self.numbered(entrance), None),
                Source::Kept(number) => match before.remove(&number) {
                    Some(entrance) if entrance.leaving => (self.take_back(entrance), None),
                    Some(entrance) => {
                        let name = Arc::clone(&entrance.listener.name);
                        (entrance, Some(name).filter(|name| !names.contains(name)))
                    }
                    None => continue,
                },
            };
            entrance.listener = Arc::clone(&listener);
            let address = Arc::clone(&entrance.address);
            match (was.get(&listener.name), had) {
                (Some((number, _)), _) if *number == entrance.number => {}
                (Some((_, old)), _) => changes.push(Change::Moved(listener, address, old.clone())),
                (None, None) => changes.push(Change::Added(listener, address)),
                (None, Some(had)) => {
                    changes.push(Change::Renamed(listener, address, Arc::clone(&had)));
                    renamed.insert(had);
                }
            }
            self.entrances.insert(entrance.number, entrance);
        }
        let gone = was.into_iter().filter(|(name, _)| !names.contains(name) && !renamed.contains(name));
        changes.extend(gone.map(|(name, (_, address))| Change::Removed(name, address)));
        for (number, mut entrance) in before {
            if !entrance.leaving {
                leave(&mut entrance);
            }
            self.entrances.insert(number, entrance);
        }
        if !changes.is_empty() {
            self.hand_over();
        }
        changes
    }

    /// Closes what no worker needs any more. To be called every now and then while `is_closing`.
    pub fn tidy(&mut self) {
        if self.is_closing() && self.handovers.iter().all(|handover| handover.is_done()) {
            let leaving = self.entrances.extract_if(.., |_, it| it.leaving);
            leaving.for_each(|(_, entrance)| {
                tracing::info!("listener {:?}: {} is closed", entrance.listener.name, entrance.address);
                entrance.close();
            });
            self.hand_over();
        }
    }

    /// Whether some socket is there only for those who have connected already.
    pub fn is_closing(&self) -> bool {
        self.entrances.values().any(|it| it.leaving)
    }

    /// Lets nobody in any more, and nobody who waits out.
    pub fn refuse_newcomers(&self) {
        for entrance in self.entrances.values().filter(|it| !it.leaving) {
            let _ = entrance.refuse_newcomers();
        }
    }

    fn numbered(&mut self, mut entrance: Entrance) -> Entrance {
        self.last_number += 1;
        entrance.number = self.last_number;
        entrance
    }

    /// Opens one again that was leaving. To workers it is another: connections of before go on leaving.
    fn take_back(&mut self, mut entrance: Entrance) -> Entrance {
        // ENOENT: they had not been refused.
        if let Err(error) = entrance.welcome_newcomers()
            && error.raw_os_error() != Some(libc::ENOENT)
        {
            tracing::error!("listener {:?} can't be opened again: {error}", entrance.listener.name);
        }
        entrance.leaving = false;
        self.numbered(entrance)
    }

    fn hand_over(&self) {
        for (index, handover) in self.handovers.iter().enumerate() {
            handover.give(self.entrances.values().filter_map(|it| it.for_worker(index)).collect());
        }
    }
}

fn leave(entrance: &mut Entrance) {
    if let Err(error) = entrance.refuse_newcomers() {
        let name = &entrance.listener.name;
        tracing::warn!("listener {name:?}: clients that connect at this moment may be reset: {error}");
    }
    entrance.remove_file();
    entrance.leaving = true;
}
