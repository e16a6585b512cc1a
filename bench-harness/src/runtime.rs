//! One monoio runtime per thread, with the ring flags that decide everything, and pinning.
use std::{fmt, future::Future, io};

use clap::ValueEnum;
use monoio::{FusionRuntime, IoUringDriver, LegacyDriver, RuntimeBuilder, time::TimeDriver};

use crate::fault::{Fault, Result};

/// Enough that a thousand connections never overflow the completion queue (twice as many).
const RING_ENTRIES: u32 = 4096;

/// Which driver a command asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DriverChoice {
    /// The best the kernel allows: flagged ring, plain ring, epoll.
    #[default]
    Auto,
    /// io_uring with all flags, or an error.
    #[value(name = "io_uring")]
    IoUring,
    /// epoll.
    Epoll,
}

/// Which driver it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring with `SINGLE_ISSUER | COOP_TASKRUN | DEFER_TASKRUN`.
    FlaggedRing,
    /// io_uring without flags: the kernel is older than 6.1.
    PlainRing,
    /// epoll.
    Epoll,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FlaggedRing => "io_uring (SINGLE_ISSUER|COOP_TASKRUN|DEFER_TASKRUN)",
            Self::PlainRing => "io_uring (no flags)",
            Self::Epoll => "epoll",
        })
    }
}

/// A runtime with a timer on either driver.
pub struct Runtime {
    inner: FusionRuntime<TimeDriver<IoUringDriver>, TimeDriver<LegacyDriver>>,
    driver: Driver,
}

impl Runtime {
    /// Builds one on the calling thread, which must be the thread that runs it (the ring allows one submitter).
    pub fn new(choice: DriverChoice) -> Result<Self> {
        match choice {
            DriverChoice::Epoll => epoll(),
            DriverChoice::IoUring => ring(Driver::FlaggedRing).map_err(|error| {
                Fault::new(format!(
                    "cannot create an io_uring with SINGLE_ISSUER|COOP_TASKRUN|DEFER_TASKRUN: {error}; it takes Linux \
                     6.1 and a container profile that allows io_uring, or use --driver epoll"
                ))
            }),
            DriverChoice::Auto => {
                ring(Driver::FlaggedRing).or_else(|_| ring(Driver::PlainRing)).or_else(|_| epoll())
            }
        }
    }

    /// The driver in use.
    pub fn driver(&self) -> Driver {
        self.driver
    }

    /// Runs `future` to its end. Tasks it leaves behind are leaked, which suits a process or thread about to exit.
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.inner.block_on(future)
    }
}

fn ring(driver: Driver) -> io::Result<Runtime> {
    let mut flags = io_uring::IoUring::builder();
    if driver == Driver::FlaggedRing {
        flags.setup_single_issuer().setup_coop_taskrun().setup_defer_taskrun();
    }
    let inner = RuntimeBuilder::<IoUringDriver>::new()
        .with_entries(RING_ENTRIES)
        .uring_builder(flags)
        .enable_timer()
        .build()?;
    Ok(Runtime { inner: inner.into(), driver })
}

fn epoll() -> Result<Runtime> {
    let inner = RuntimeBuilder::<LegacyDriver>::new()
        .enable_timer()
        .build()
        .map_err(|error| Fault::new(format!("cannot create an epoll instance: {error}")))?;
    Ok(Runtime { inner: inner.into(), driver: Driver::Epoll })
}

/// Binds the calling thread to one core.
pub fn pin(core: usize) -> Result<()> {
    if core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        return Ok(());
    }
    Err(Fault::new(format!("cannot pin to core {core}: this process may use cores {:?}", allowed_cores())))
}

/// The cores this process may run on, in order.
pub fn allowed_cores() -> Vec<usize> {
    let mut cores: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
    cores.sort_unstable();
    cores
}
