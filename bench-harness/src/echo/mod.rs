//! The origin: answers that a client can verify, cheap enough that a proxy in front of it is the bottleneck.
//!
//! ```text
//!   connection (bytes in, answers in order) ──► route (path -> what to do) ──► answer (the bytes of a response)
//!        └──► body (the request's body, piece by piece)
//! ```
pub mod answer;
mod body;
mod connection;
pub mod route;
pub mod stats;

use std::{cell::RefCell, net::SocketAddr, rc::Rc};

use clap::Args;

use crate::{
    fault::{Fault, Result},
    pattern,
    runtime::{self, DriverChoice, Runtime},
    socket,
};
use answer::{Key, Prebuilt};
use stats::Stats;

/// `ringlane-bench echo`
#[derive(Args, Debug)]
pub struct EchoArgs {
    /// Addresses to accept on; port 0 picks a free one, which is printed
    #[arg(long, value_name = "ADDR", value_delimiter = ',', required = true)]
    pub listen: Vec<SocketAddr>,
    /// Core to run on; unpinned without it
    #[arg(long, value_name = "N")]
    pub core: Option<usize>,
    /// I/O driver
    #[arg(long, value_enum, default_value_t)]
    pub driver: DriverChoice,
}

/// How many different answers are kept ready; a load test asks for one or two.
const PREBUILT_MAX: usize = 64;

/// What all connections of the one thread share.
pub(crate) struct Origin {
    stats: Stats,
    prebuilt: RefCell<Vec<(Key, Prebuilt)>>,
    tile: Rc<Vec<u8>>,
}

impl Origin {
    fn new() -> Self {
        Self { stats: Stats::default(), prebuilt: RefCell::default(), tile: pattern::tile() }
    }

    /// The answer for `key`, built the first time it is asked for.
    fn prebuilt(&self, key: Key) -> Prebuilt {
        let mut known = self.prebuilt.borrow_mut();
        if let Some((_, answer)) = known.iter().find(|(other, _)| *other == key) {
            return answer.clone();
        }
        if known.len() == PREBUILT_MAX {
            known.remove(0);
        }
        let answer = answer::build(key);
        known.push((key, answer.clone()));
        answer
    }
}

/// Answers until the process is ended.
pub fn run(args: &EchoArgs) -> Result<()> {
    if let Some(core) = args.core {
        runtime::pin(core)?;
    }
    socket::raise_open_files();
    let mut runtime = Runtime::new(args.driver)?;
    let driver = runtime.driver();
    runtime.block_on(async move {
        let origin = Rc::new(Origin::new());
        let mut accepting = Vec::new();
        for &address in &args.listen {
            let listener = socket::listen(address, driver)?;
            socket::announce("echo", &listener, driver)?;
            let origin = origin.clone();
            accepting.push(monoio::spawn(socket::accept_loop(listener, move |stream| {
                monoio::spawn(connection::serve(stream, origin.clone()));
            })));
        }
        for accept in accepting {
            accept.await;
        }
        Err(Fault::new("every listener of the echo origin ended"))
    })
}
