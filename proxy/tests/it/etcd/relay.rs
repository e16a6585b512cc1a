//! A TCP relay in front of etcd that can be cut, or made silent without being closed, as a dead network is.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// Passes bytes both ways, as long as it is let.
pub struct Relay {
    address: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// New connections are closed at once.
    refuses: AtomicBool,
    /// Nothing passes any more, on whatever connection.
    silent: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// To an address.
    pub fn to(target: String) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        // It ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.refuses.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&target) else { continue };
                let streams = [&client, &server].map(|it| it.try_clone().unwrap());
                shared.open.lock().unwrap().extend(streams);
                pass(client.try_clone().unwrap(), server.try_clone().unwrap(), &shared);
                pass(server, client, &shared);
            }
        });
        Relay { address, state }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes all connections, and all that come.
    pub fn cut(&self) {
        self.state.refuses.store(true, Ordering::SeqCst);
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.state.refuses.store(false, Ordering::SeqCst);
    }

    /// Lets nothing through, and closes nothing.
    pub fn silence(&self) {
        self.state.silent.store(true, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, state: &Arc<State>) {
    let state = Arc::clone(state);
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if state.silent.load(Ordering::SeqCst) {
                continue;
            }
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
