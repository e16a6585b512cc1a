//! Which driver runs the workers, found out by trying, and a thread that runs one.

use std::{io, rc::Rc};

use monoio::{IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder, time::TimeDriver};

use super::{Setup, Worker, listener, socket, ticker::Ticker};
use crate::{control::config::Driver, observe::AccessLogHandle};

/// Submission entries of a ring: what one turn of a loop can hand over with one call.
const RING_ENTRIES: u32 = 1024;
/// Completion entries: an idle connection holds one operation, and many may complete at once.
const RING_COMPLETIONS: u32 = 16 * 1024;

/// A driver that has been tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// io_uring with SINGLE_ISSUER, COOP_TASKRUN and DEFER_TASKRUN.
    Ring,
    /// io_uring without flags: the kernel is older than 6.1.
    PlainRing,
    /// epoll.
    Epoll,
}

impl Chosen {
    /// Its name for people and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Chosen::Ring => "io_uring (SINGLE_ISSUER|COOP_TASKRUN|DEFER_TASKRUN)",
            Chosen::PlainRing => "io_uring (no flags)",
            Chosen::Epoll => "epoll",
        }
    }

    /// Whether sockets must not block.
    pub fn is_epoll(self) -> bool {
        self == Chosen::Epoll
    }
}

/// Tries drivers from the best down. Returns the one to use and why it is that one.
pub fn choose(wanted: Driver) -> Result<(Chosen, String), String> {
    if wanted == Driver::Epoll {
        return Ok((Chosen::Epoll, "the config asks for it".to_owned()));
    }
    let refused = match ring_builder(Chosen::Ring).build(RING_ENTRIES) {
        Ok(_) => return Ok((Chosen::Ring, "the kernel offers all flags".to_owned())),
        Err(error) => error,
    };
    match ring_builder(Chosen::PlainRing).build(RING_ENTRIES) {
        Ok(_) => {
            Ok((Chosen::PlainRing, format!("the kernel refuses the flags ({refused}); they need Linux 6.1")))
        }
        Err(error) => {
            let why = explain(&error);
            match wanted {
                Driver::IoUring => {
                    Err(format!("runtime.driver is \"io_uring\", but io_uring can't be had: {error} ({why})"))
                }
                _ => Ok((Chosen::Epoll, format!("io_uring can't be had: {error} ({why})"))),
            }
        }
    }
}

fn explain(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => "refused by a seccomp profile or by the sysctl kernel.io_uring_disabled",
        Some(libc::ENOSYS) => "this kernel is built without it, or a seccomp profile hides it",
        Some(libc::ENOMEM) => "the limit on locked memory is too low: raise `ulimit -l`",
        Some(libc::EMFILE | libc::ENFILE) => "no descriptor is free: raise `ulimit -n`",
        _ => "`ringlane doctor` tells more",
    }
}

fn ring_builder(chosen: Chosen) -> io_uring::Builder {
    let mut builder = io_uring::IoUring::builder();
    if chosen == Chosen::Ring {
        builder.setup_single_issuer().setup_coop_taskrun().setup_defer_taskrun();
    }
    builder.setup_cqsize(RING_COMPLETIONS);
    builder
}

/// An event loop, on the thread that built it.
pub(super) enum Loop {
    Ring(Runtime<TimeDriver<IoUringDriver>>),
    Epoll(Runtime<TimeDriver<LegacyDriver>>),
}

impl Loop {
    pub(super) fn build(chosen: Chosen) -> io::Result<Loop> {
        match chosen {
            Chosen::Epoll => Ok(Loop::Epoll(RuntimeBuilder::<LegacyDriver>::new().enable_timer().build()?)),
            ring => {
                let builder = RuntimeBuilder::<IoUringDriver>::new().uring_builder(ring_builder(ring));
                Ok(Loop::Ring(builder.with_entries(RING_ENTRIES).enable_timer().build()?))
            }
        }
    }

    pub(super) fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        match self {
            Loop::Ring(runtime) => runtime.block_on(future),
            Loop::Epoll(runtime) => runtime.block_on(future),
        }
    }
}

/// Ends what a worker leaves behind that a panic has ended, and nothing when it has ended in order.
struct LastWill;

impl Drop for LastWill {
    fn drop(&mut self) {
        socket::end_all();
    }
}

/// Runs one worker on this thread until it has been told to end. The ring is built here, on the thread that uses it;
/// once it is there and watches all listeners, `started` is called.
pub fn run(
    chosen: Chosen,
    setup: Setup,
    log: Option<AccessLogHandle>,
    started: impl FnOnce(),
) -> io::Result<()> {
    let _last_will = LastWill;
    let mut event_loop = Loop::build(chosen)?;
    event_loop.block_on(async move {
        let (_, bound) = setup.handover.bound();
        let watched = bound.iter().map(listener::register).collect::<io::Result<Vec<_>>>()?;
        let ticker = Ticker::new()?;
        let worker: Rc<Worker> = Worker::new(setup, log);
        started();
        worker.run(bound.into_iter().zip(watched).collect(), ticker).await;
        Ok(())
    })
}
