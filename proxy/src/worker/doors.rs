//! The listening sockets of one worker, each a *door*: opened and given up while the worker runs, as the handover says.
//!
//! A connection belongs to the door that it came by. As long as there is the door, it goes on, under the settings of
//! whichever listener has the door now; a door that is given up lets its connections finish.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    io,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Bound, Worker,
    deadline::{Deadlines, Rest},
    listener::{self, Registered},
};
use crate::route::{Listener, RouteTable};

/// How long a client that has come by a door that is given up has for its first request.
const NEWCOMER_PATIENCE: Duration = Duration::from_secs(5);
/// Between two complaints that a socket can't be watched.
const COMPLAIN_EVERY: Duration = Duration::from_secs(1);

/// One listening socket, and who has come by it.
pub struct Door {
    /// See `Bound::number`.
    pub number: u32,
    listener: RefCell<Arc<Listener>>,
    /// Connections.
    pub taken: Rc<Cell<u32>>,
    /// Clients that are being told that there is no room.
    pub turned_away: Rc<Cell<u32>>,
    /// Whether its loop still accepts.
    pub accepting: Cell<bool>,
    left: Cell<Option<Instant>>,
    /// Given up, and clients without a request so far are still waited for.
    patient: Cell<bool>,
    /// The control thread no longer knows it.
    forgotten: Cell<bool>,
}

impl Door {
    /// An open one.
    pub fn new(number: u32, listener: Arc<Listener>) -> Rc<Door> {
        Rc::new(Door {
            number,
            listener: RefCell::new(listener),
            taken: Rc::default(),
            turned_away: Rc::default(),
            accepting: Cell::new(false),
            left: Cell::new(None),
            patient: Cell::new(false),
            forgotten: Cell::new(false),
        })
    }

    /// What is asked of its clients.
    pub fn listener(&self) -> Arc<Listener> {
        Arc::clone(&self.listener.borrow())
    }

    /// Since when it is given up, if it is.
    pub fn left(&self) -> Option<Instant> {
        self.left.get()
    }

    /// Whether it is given up.
    pub fn is_leaving(&self) -> bool {
        self.left.get().is_some()
    }

    /// Whether it is given up and who waits is somebody else's: the socket goes on as another door.
    pub fn is_forgotten(&self) -> bool {
        self.forgotten.get()
    }

    /// How long the first request of a client may take.
    pub fn first_request_within(&self, keep_alive: Duration) -> Duration {
        if self.is_leaving() { keep_alive.min(NEWCOMER_PATIENCE) } else { keep_alive }
    }

    /// Gives it up: who is idle goes now, the others when they are done.
    fn leave(&self, deadlines: &Deadlines, now: Instant) {
        if !self.is_leaving() {
            self.left.set(Some(now));
            self.patient.set(true);
            deadlines.fire_at(self.number, Rest::Next);
        }
    }

    fn is_empty(&self) -> bool {
        !self.accepting.get() && self.taken.get() == 0 && self.turned_away.get() == 0
    }
}

/// All doors of a worker.
#[derive(Default)]
pub struct Doors {
    all: RefCell<HashMap<u32, Rc<Door>>>,
    /// Changes of what is asked of clients: a connection that knows an older one looks again.
    revision: Cell<u64>,
    /// The handover that has been carried out.
    heard: Cell<u64>,
    /// Some door is being given up, or the control thread has not been told yet that none is.
    unsettled: Cell<bool>,
    /// A socket can't be watched so far.
    missing: Cell<bool>,
    complained: Cell<Option<Instant>>,
}

impl Doors {
    /// See the field.
    pub fn revision(&self) -> u64 {
        self.revision.get()
    }

    /// Takes over what a table says of each listener.
    pub fn renew(&self, table: &RouteTable) {
        let settings = by_id(table);
        for door in self.all.borrow().values() {
            let mut listener = door.listener.borrow_mut();
            if let Some(newer) = settings.get(&listener.id) {
                *listener = Arc::clone(newer);
            }
        }
        self.revision.set(self.revision.get() + 1);
    }

    fn complain(&self, error: &io::Error, now: Instant) {
        if self.complained.get().is_none_or(|last| now.duration_since(last) >= COMPLAIN_EVERY) {
            self.complained.set(Some(now));
            tracing::warn!("{error}; trying again with every tick");
        }
    }
}

fn by_id(table: &RouteTable) -> HashMap<u32, &Arc<Listener>> {
    table.listeners.iter().map(|listener| (listener.id, listener)).collect()
}

/// Accepts from a socket from now on.
pub fn open(worker: &Rc<Worker>, bound: &Bound, registered: Registered) {
    let adopted = worker.table();
    let newest = adopted.table.listeners.iter().find(|it| it.id == bound.listener.id);
    let door = Door::new(bound.number, Arc::clone(newest.unwrap_or(&bound.listener)));
    worker.doors.all.borrow_mut().insert(bound.number, Rc::clone(&door));
    listener::start(worker, door, registered);
}

/// Once a tick: does what the handover says, if that has changed, and lets go of doors that are done with.
pub fn keep(worker: &Rc<Worker>) {
    let doors = &worker.doors;
    if doors.heard.get() != worker.setup.handover.given() || doors.missing.get() {
        carry_out(worker);
    }
    if doors.unsettled.get() {
        settle(worker);
    }
}

#[cold]
fn carry_out(worker: &Rc<Worker>) {
    let (number, all) = worker.setup.handover.bound();
    let (doors, now) = (&worker.doors, worker.now());
    // The newest, so that a door that changes hands finds what its new listener asks for.
    let adopted = worker.table();
    let settings = by_id(&adopted.table);
    let mut missing = false;
    for bound in &all {
        if !doors.all.borrow().contains_key(&bound.number) {
            match listener::register(bound) {
                Ok(registered) => open(worker, bound, registered),
                Err(error) => {
                    missing = true;
                    doors.complain(&error, now);
                }
            }
        }
        let known = doors.all.borrow();
        let Some(door) = known.get(&bound.number) else { continue };
        if bound.leaving {
            door.leave(&worker.deadlines, now);
        } else {
            let listener = settings.get(&bound.listener.id).copied().unwrap_or(&bound.listener);
            *door.listener.borrow_mut() = Arc::clone(listener);
        }
    }
    let given: HashSet<u32> = all.iter().map(|bound| bound.number).collect();
    for door in doors.all.borrow().values().filter(|door| !given.contains(&door.number)) {
        door.forgotten.set(true);
        door.leave(&worker.deadlines, now);
    }
    doors.revision.set(doors.revision.get() + 1);
    doors.missing.set(missing);
    doors.heard.set(number);
    doors.unsettled.set(true);
}

fn settle(worker: &Rc<Worker>) {
    let (doors, now) = (&worker.doors, worker.now());
    let (mut leaving, mut accepting) = (false, doors.missing.get());
    doors.all.borrow_mut().retain(|_, door| {
        let Some(left) = door.left() else { return true };
        if door.patient.get() && now.duration_since(left) >= NEWCOMER_PATIENCE {
            door.patient.set(false);
            worker.deadlines.fire_at(door.number, Rest::First);
        }
        accepting |= door.accepting.get();
        // As long as the control thread names it, it is not to be opened again.
        let over = door.is_empty() && door.is_forgotten();
        leaving |= !over;
        !over
    });
    if !accepting {
        worker.setup.handover.done(doors.heard.get());
    }
    doors.unsettled.set(leaving || accepting);
}
