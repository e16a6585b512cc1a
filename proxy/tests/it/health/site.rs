//! A server that can be broken and mended, and that can die and come back on the same address.

use std::{
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use crate::harness::{Gate, Request, Wire};

/// What is answered.
#[derive(Default)]
struct Manners {
    status: AtomicUsize,
    /// The status of `/up`, when it is another.
    of_check: AtomicUsize,
    body: Mutex<String>,
    /// Before an answer this is waited for.
    gate: Mutex<Option<Gate>>,
    requests: Mutex<Vec<Request>>,
}

/// A server. It dies when dropped.
pub struct Site {
    address: SocketAddr,
    manners: Arc<Manners>,
    life: Option<Life>,
}

struct Life {
    ended: Arc<AtomicBool>,
    wires: Arc<Mutex<Vec<Wire>>>,
    accepting: JoinHandle<()>,
}

impl Site {
    /// One that answers 200.
    pub fn new() -> Site {
        // An address that nobody else takes a port of meanwhile.
        let listener = TcpListener::bind("127.0.0.9:0").unwrap();
        let address = listener.local_addr().unwrap();
        let manners = Arc::new(Manners { status: AtomicUsize::new(200), ..Manners::default() });
        let life = Some(Life::begin(listener, &manners));
        Site { address, manners, life }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Has it answer with this status; `/up` too.
    pub fn answer(&self, status: usize) {
        self.manners.of_check.store(0, Ordering::Release);
        self.manners.status.store(status, Ordering::Release);
    }

    /// Has it answer `/up` with this status.
    pub fn answer_checks(&self, status: usize) {
        self.manners.of_check.store(status, Ordering::Release);
    }

    /// Has it answer with this body.
    pub fn say(&self, body: &str) {
        *self.manners.body.lock().unwrap() = body.to_owned();
    }

    /// Has it read requests and answer none before the gate is opened.
    pub fn hold(&self) -> Gate {
        let gate = Gate::new();
        *self.manners.gate.lock().unwrap() = Some(gate.clone());
        gate
    }

    /// Every request that it has read.
    pub fn requests(&self) -> Vec<Request> {
        self.manners.requests.lock().unwrap().clone()
    }

    /// How many requests it has read, checks left out.
    pub fn served(&self) -> usize {
        self.requests().iter().filter(|it| it.target() != "/up").count()
    }

    /// Ends all connections and takes no more.
    pub fn die(&mut self) {
        let Some(life) = self.life.take() else { return };
        life.ended.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        life.accepting.join().unwrap();
        for wire in life.wires.lock().unwrap().iter() {
            let _ = wire.socket().shutdown(Shutdown::Both);
        }
    }

    /// Is there again.
    pub fn revive(&mut self) {
        assert!(self.life.is_none());
        self.life = Some(Life::begin(TcpListener::bind(self.address).unwrap(), &self.manners));
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.die();
    }
}

impl Life {
    fn begin(listener: TcpListener, manners: &Arc<Manners>) -> Life {
        let (ended, wires) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<Wire>>>::default());
        let (manners, is_ended, all) = (Arc::clone(manners), Arc::clone(&ended), Arc::clone(&wires));
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_ended.load(Ordering::Acquire) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let wire = Wire::new(stream.into());
                all.lock().unwrap().push(wire.second());
                let manners = Arc::clone(&manners);
                std::thread::spawn(move || manners.serve(wire));
            }
        });
        Life { ended, wires, accepting }
    }
}

impl Manners {
    fn serve(&self, mut wire: Wire) {
        while let Some(request) = wire.try_read_request() {
            let is_check = request.target() == "/up";
            self.requests.lock().unwrap().push(request);
            let gate = self.gate.lock().unwrap().clone();
            if let Some(gate) = gate.filter(|_| !is_check) {
                gate.wait();
            }
            let of_check = self.of_check.load(Ordering::Acquire);
            let status =
                if is_check && of_check > 0 { of_check } else { self.status.load(Ordering::Acquire) };
            let body = self.body.lock().unwrap().clone();
            let head = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n\r\n", body.len());
            if !wire.try_send(head + &body) {
                return;
            }
        }
    }
}
