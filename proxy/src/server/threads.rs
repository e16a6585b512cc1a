//! Worker threads: started on their cores, and started again when they die.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use core_affinity::CoreId;
use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    oneshot::{Receiver, channel},
};

use super::{
    bind::BindError,
    sockets::{Change, Prepared, Sockets},
};
use crate::{
    control::{config, publish::Published},
    limit::Shared,
    limits::TICK,
    observe::{AccessLogHandle, Board},
    route::Listener,
    worker::{
        Orders, Setup,
        runtime::{self, Chosen},
    },
};

/// A worker that dies sooner than this after its start is not started again at once.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// What all workers share, from which one can be started.
pub struct Threads {
    chosen: Chosen,
    cores: Vec<CoreId>,
    setups: Vec<Setup>,
    sockets: Sockets,
    running: Vec<Option<JoinHandle<()>>>,
    started: Vec<Instant>,
    ended_tx: UnboundedSender<Ended>,
    ended_rx: UnboundedReceiver<Ended>,
}

/// A worker's thread has ended.
pub struct Ended {
    /// Which.
    pub index: usize,
    /// As it should, or by a fault.
    pub fault: Option<String>,
}

impl Threads {
    /// Prepares `runtime.workers` workers.
    pub fn new(
        runtime: &config::Runtime,
        chosen: Chosen,
        sockets: Sockets,
        (published, orders, board): (&Arc<Published>, &Arc<Orders>, &Arc<Board>),
    ) -> Threads {
        let (ended_tx, ended_rx) = unbounded_channel();
        let limits = Arc::new(Shared::new(runtime.workers));
        let setups = (0..runtime.workers).map(|index| Setup {
            index,
            workers: runtime.workers,
            epoll: chosen.is_epoll(),
            published: Arc::clone(published),
            orders: Arc::clone(orders),
            handover: sockets.handover(index).unwrap_or_default(),
            limits: Arc::clone(&limits),
            slot: board.slot(index),
        });
        // What the affinity mask of this process leaves us, not what the machine has.
        let cores =
            if runtime.pin_cores { core_affinity::get_core_ids().unwrap_or_default() } else { Vec::new() };
        Threads {
            chosen,
            cores,
            setups: setups.collect(),
            sockets,
            running: (0..runtime.workers).map(|_| None).collect(),
            started: vec![Instant::now(); runtime.workers],
            ended_tx,
            ended_rx,
        }
    }

    /// The core that a worker is pinned to, if any. More workers than cores share them in turn.
    pub fn core(&self, index: usize) -> Option<usize> {
        self.cores.get(index.checked_rem(self.cores.len())?).map(|core| core.id)
    }

    /// Starts one worker, with its end of the access log when there is one. What is returned tells when its event loop
    /// is there, and fails when there is none: the next to end is this worker, then, and says why.
    pub fn start(&mut self, index: usize, log: Option<AccessLogHandle>) -> std::io::Result<Receiver<()>> {
        let (started, running) = channel();
        let Some(setup) = self.setups.get(index).cloned() else { return Ok(running) };
        let (chosen, ended) = (self.chosen, self.ended_tx.clone());
        let core = self.core(index).map(|id| CoreId { id });
        let run = move || {
            if let Some(core) = core
                && !core_affinity::set_for_current(core)
            {
                tracing::warn!(worker = index, core = core.id, "can't pin the worker to its core");
            }
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                // Nobody waits for a worker that is started again.
                runtime::run(chosen, setup, log, || {
                    let _ = started.send(());
                })
            }));
            let fault = match result {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("a panic outside a connection".to_owned()),
            };
            let _ = ended.send(Ended { index, fault });
        };
        let handle = thread::Builder::new().name(format!("worker-{index}")).spawn(run)?;
        if let Some(slot) = self.running.get_mut(index) {
            *slot = Some(handle);
        }
        if let Some(started) = self.started.get_mut(index) {
            *started = Instant::now();
        }
        Ok(running)
    }

    /// How long to wait before a worker that has died is started again: it is to be no busy loop.
    pub fn pause_before_restart(&self, index: usize) -> Duration {
        let lived = self.started.get(index).map_or(Duration::ZERO, Instant::elapsed);
        RESTART_PAUSE.saturating_sub(lived)
    }

    /// Gets hold of all that `listeners` need, so that `commit` can't fail. Nothing changes yet.
    ///
    /// # Errors
    /// An address that can't be had.
    pub fn prepare(&self, listeners: &[Arc<Listener>]) -> Result<Prepared, BindError> {
        self.sockets.prepare(listeners)
    }

    /// Has workers accept where the new listeners are, and let go of what is no longer one. To be called when the table
    /// with the listeners is published.
    pub fn commit(&mut self, prepared: Prepared) -> Vec<Change> {
        self.sockets.commit(prepared)
    }

    /// No listener lets anybody in from now on who has not begun to connect.
    pub fn refuse_newcomers(&self) {
        self.sockets.refuse_newcomers();
    }

    /// The next thread that ends. Whoever waits for it also has sockets closed that are done with.
    pub async fn ended(&mut self) -> Option<Ended> {
        loop {
            self.sockets.tidy();
            tokio::select! {
                ended = self.ended_rx.recv() => return ended,
                () = tokio::time::sleep(TICK), if self.sockets.is_closing() => {}
            }
        }
    }

    /// How many workers there are.
    pub fn len(&self) -> usize {
        self.setups.len()
    }

    /// Where listeners listen.
    pub fn addresses(&self) -> Vec<(Arc<str>, Arc<str>)> {
        self.sockets.addresses()
    }
}
