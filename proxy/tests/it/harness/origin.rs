//! A server behind the proxy, on threads of its own or driven by the test itself.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
};

use super::{End, PATIENCE, Request, Step, Wire, script};

/// What is done with a connection.
enum Plan {
    /// The n-th connection runs the n-th script; the last one is for all after it.
    Scripts(Vec<Vec<Step>>),
    /// Each request, on whatever connection, is answered with the next reply; the last one is for all after it.
    Replies(Vec<Vec<u8>>),
    /// The test takes it.
    Manual(Sender<Wire>),
    /// A closure serves it.
    Serve(Box<dyn Fn(Wire) + Send + Sync>),
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    /// Everything received, per connection.
    received: Mutex<Vec<Arc<Mutex<Vec<u8>>>>>,
}

/// A server. Accepts no more once it is dropped; connections that are open run to the end of their scripts.
pub struct Origin {
    address: SocketAddr,
    seen: Arc<Seen>,
    ended: Arc<AtomicBool>,
    manual: Option<Receiver<Wire>>,
}

impl Origin {
    /// Answers each request with the next of `replies`, the last one for ever; keeps connections open.
    pub fn replies<B: AsRef<[u8]>>(replies: &[B]) -> Origin {
        let replies = replies.iter().map(|reply| reply.as_ref().to_vec()).collect();
        Origin::start(Plan::Replies(replies), None)
    }

    /// Runs one script on every connection.
    pub fn script(steps: &[Step]) -> Origin {
        Origin::scripts(&[steps])
    }

    /// Runs the first script on the first connection, and so on; the last one on all after it.
    pub fn scripts(scripts: &[&[Step]]) -> Origin {
        Origin::start(Plan::Scripts(scripts.iter().map(|steps| steps.to_vec()).collect()), None)
    }

    /// Hands each connection to the test, which takes it with `accept`.
    pub fn manual() -> Origin {
        let (sender, receiver) = mpsc::channel();
        Origin::start(Plan::Manual(sender), Some(receiver))
    }

    /// Runs `serve` on every connection, on a thread of its own.
    pub fn serve(serve: impl Fn(Wire) + Send + Sync + 'static) -> Origin {
        Origin::start(Plan::Serve(Box::new(serve)), None)
    }

    fn start(plan: Plan, manual: Option<Receiver<Wire>>) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, ended) = (Arc::<Seen>::default(), Arc::<AtomicBool>::default());
        let origin = Origin { address, seen: Arc::clone(&seen), ended: Arc::clone(&ended), manual };
        let plan = Arc::new(plan);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let wire = Wire::new(stream.into());
                let number = {
                    let mut received = seen.received.lock().unwrap();
                    received.push(wire.received());
                    received.len() - 1
                };
                let (plan, seen) = (Arc::clone(&plan), Arc::clone(&seen));
                std::thread::spawn(move || serve(wire, number, &plan, &seen));
            }
        });
        origin
    }

    /// Where it listens, "ADDRESS:PORT".
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The next connection of an origin made by `manual`.
    #[track_caller]
    pub fn accept(&self) -> Wire {
        let manual = self.manual.as_ref().expect("an origin made by `manual`");
        manual.recv_timeout(PATIENCE).expect("a connection from the proxy")
    }

    /// All requests that `Step::Request`, or an origin that replies, has read, in the order they were complete.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// Those requests whose bodies came to their end: what a server would have acted on.
    pub fn whole_requests(&self) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.end == End::Complete).collect()
    }

    /// The last request so far.
    #[track_caller]
    pub fn last_request(&self) -> Request {
        self.seen.requests.lock().unwrap().last().expect("a request").clone()
    }

    /// The only request so far.
    #[track_caller]
    pub fn request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// How many connections have been accepted.
    pub fn connections(&self) -> usize {
        self.seen.received.lock().unwrap().len()
    }

    /// Every byte received, per connection.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.seen.received.lock().unwrap().iter().map(|bytes| bytes.lock().unwrap().clone()).collect()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut wire: Wire, number: usize, plan: &Plan, seen: &Seen) {
    match plan {
        Plan::Scripts(scripts) => {
            if let Some(steps) = scripts.get(number).or(scripts.last()) {
                script::run(wire, steps, &seen.requests);
            }
        }
        Plan::Replies(replies) => {
            while let Some(request) = wire.try_read_request() {
                let number = {
                    let mut requests = seen.requests.lock().unwrap();
                    requests.push(request);
                    requests.len() - 1
                };
                let reply = replies.get(number).or(replies.last());
                if !reply.is_some_and(|reply| wire.try_send(reply)) {
                    return;
                }
            }
        }
        // The test may be over already.
        Plan::Manual(sender) => drop(sender.send(wire)),
        Plan::Serve(serve) => serve(wire),
    }
}
