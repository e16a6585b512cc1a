//! The origin: answers that a client can verify, cheap enough that a proxy in front of it is the bottleneck.
//!
//! ```text
//!   connection (bytes in, answers in order) ──► route (path -> what to do) ──► answer (the bytes of a response)
//!        ├──► body (the request's body, piece by piece)
//!        └──► port (its counters; its behaviour, drawn for each request) ──► unruly (late, wrong, slow, cut short)
//!   control (GET and PUT /ports, on a listener of its own) ──► port
//! ```
//!
//! A port without a behaviour pays for the possibility with one comparison per request.
pub mod answer;
mod asked;
pub mod behaviour;
mod body;
mod connection;
mod control;
mod port;
pub mod random;
pub mod route;
pub mod stats;
mod unruly;

use std::{cell::RefCell, net::SocketAddr, path::PathBuf, rc::Rc};

use clap::Args;

use crate::{
    fault::{At, Fault, Result},
    pattern,
    runtime::{self, DriverChoice, Runtime},
    socket,
};
use answer::{Key, Prebuilt};
use port::{Assigned, Port};
use stats::Snapshot;

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
    /// How a port (or all of them) misbehaves: delay=20ms|uniform:5ms:50ms|lognormal:20ms:0.5, error_rate=0..1,
    /// error_status=N, drop_before_head=0..1, drop_in_body=0..1, garbage=0..1, reset=true, bytes_per_second=N,
    /// read_bytes_per_second=N, seed=N; can be repeated
    #[arg(long, value_name = "[PORT:]KEY=VALUE,..")]
    pub behave: Vec<String>,
    /// The same keys as TOML, in tables `all` and `ports.PORT`; --behave wins over it
    #[arg(long, value_name = "FILE")]
    pub behaviour_file: Option<PathBuf>,
    /// Connections that may wait to be accepted on each address
    #[arg(long, value_name = "N", default_value_t = socket::BACKLOG)]
    pub backlog: i32,
    /// Address of the control path: GET /ports, PUT /ports/PORT
    #[arg(long, value_name = "ADDR")]
    pub control: Option<SocketAddr>,
}

/// How many different answers are kept ready; a load test asks for one or two.
const PREBUILT_MAX: usize = 64;

/// What all connections of the one thread share.
pub(crate) struct Origin {
    ports: RefCell<Vec<Rc<Port>>>,
    prebuilt: RefCell<Vec<(Key, Prebuilt)>>,
    tile: Rc<Vec<u8>>,
}

impl Origin {
    fn new() -> Self {
        Self { ports: RefCell::default(), prebuilt: RefCell::default(), tile: pattern::tile() }
    }

    /// What all ports have counted.
    fn snapshot(&self) -> Snapshot {
        let mut sum = Snapshot::default();
        self.ports.borrow().iter().for_each(|port| sum.add(port.stats.snapshot()));
        sum
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
    let assigned = assigned(args)?;
    runtime.block_on(async move {
        let origin = Rc::new(Origin::new());
        let mut accepting = Vec::new();
        let listen = |&address: &SocketAddr| socket::listen_with(address, driver, args.backlog);
        let listeners: Vec<_> = args.listen.iter().map(listen).collect::<Result<_>>()?;
        for listener in listeners {
            let address = listener.local_addr().at("cannot read the address of a listener")?;
            let port = Rc::new(Port::new(address, assigned.of(address.port())));
            origin.ports.borrow_mut().push(port.clone());
            socket::announce("echo", &listener, driver)?;
            let origin = origin.clone();
            accepting.push(monoio::spawn(socket::accept_loop(listener, move |stream| {
                monoio::spawn(connection::serve(stream, origin.clone(), port.clone()));
            })));
        }
        if let Some(address) = args.control {
            let listener = socket::listen(address, driver)?;
            socket::announce("control", &listener, driver)?;
            accepting.push(monoio::spawn(socket::accept_loop(listener, move |stream| {
                monoio::spawn(control::serve(stream, origin.clone()));
            })));
        }
        for accept in accepting {
            accept.await;
        }
        Err(Fault::new("every listener of the echo origin ended"))
    })
}

/// Who behaves how, as the command line and its file say.
fn assigned(args: &EchoArgs) -> Result<Assigned> {
    let mut assigned = Assigned::default();
    if let Some(path) = &args.behaviour_file {
        assigned.add_file(path)?;
    }
    for text in &args.behave {
        assigned.add_text(text)?;
    }
    assigned.check(&args.listen.iter().map(SocketAddr::port).collect::<Vec<_>>())?;
    Ok(assigned)
}
