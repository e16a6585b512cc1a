//! One connection of the load with several requests under way at a time (HTTP/1.1 pipelining).
//!
//! Requests go out as many at a time as answers came in, in one write, so the depth is kept. They are few and short
//! enough to fit into the sockets' buffers (`options` sees to it), so nobody waits for the other to read.
use std::{collections::VecDeque, rc::Rc, time::Instant};

use monoio::net::TcpStream;

use super::{
    client::{connect, expired, pause},
    order::Order,
    receive::Receiver,
    tally::{Failure, Kind},
    worker::Worker,
};
use crate::stream::write_all;

struct Pipeline {
    worker: Rc<Worker>,
    index: usize,
    receiver: Receiver,
    order: Order,
    /// Sent and not answered, the oldest first; at most the plan's depth.
    under_way: VecDeque<Sent>,
    out: Vec<u8>,
}

struct Sent {
    request: usize,
    start: Instant,
}

/// Sends requests until the run ends. `stream` is a connection opened before it began.
pub(super) async fn drive(worker: Rc<Worker>, index: usize, mut stream: Option<TcpStream>) {
    let mut pipeline = Pipeline {
        worker: worker.clone(),
        index,
        receiver: Receiver::new(),
        order: worker.order(index),
        under_way: VecDeque::with_capacity(worker.plan.pipeline),
        out: Vec::new(),
    };
    let mut now = Instant::now();
    while now < worker.window.end || !pipeline.under_way.is_empty() {
        let mut connection = match stream.take() {
            Some(connection) => connection,
            None => match Box::pin(connect(&worker)).await {
                Ok(connection) => connection,
                Err(failure) => {
                    worker.fail(&failure, now);
                    Box::pin(pause()).await;
                    now = Instant::now();
                    continue;
                }
            },
        };
        let kept = pipeline.turn(now, &mut connection).await;
        let timed_out = worker.slots[index].end();
        match kept {
            _ if timed_out => pipeline.give_up(&expired(&worker)),
            Ok(true) => stream = Some(connection),
            Ok(false) => pipeline.give_up(&Failure::new(Kind::Closed, "after an earlier response")),
            Err(failure) => pipeline.give_up(&failure),
        }
        now = Instant::now();
    }
}

impl Pipeline {
    /// Fills the pipeline, then takes what has been answered, one response at least. Says whether the connection is kept.
    async fn turn(&mut self, now: Instant, connection: &mut TcpStream) -> Result<bool, Failure> {
        if now < self.worker.window.end {
            self.fill(now);
        }
        self.watch(connection);
        let (written, out) = write_all(connection, std::mem::take(&mut self.out)).await;
        self.out = out;
        self.out.clear();
        written.map_err(|error| Failure::io(Kind::Write, &error))?;
        while let Some(sent) = self.under_way.front() {
            let (request, start) = (sent.request, sent.start);
            let last = self.under_way.len() == 1;
            let asked = &self.worker.plan.requests[request];
            let received = self.receiver.receive(connection, asked, last).await?;
            self.under_way.pop_front();
            match received.wrong {
                None => self.worker.count(request, start, Instant::now(), received.bytes),
                Some(failure) => self.worker.fail(&failure, start),
            }
            if !received.keep_alive {
                return Ok(false);
            }
            if self.receiver.is_empty() {
                break;
            }
            self.watch(connection);
        }
        Ok(true)
    }

    /// Puts together as many requests as the depth has room for.
    fn fill(&mut self, now: Instant) {
        while self.under_way.len() < self.worker.plan.pipeline {
            let request = self.order.next();
            self.out.extend_from_slice(&self.worker.wire[request]);
            self.under_way.push_back(Sent { request, start: now });
        }
    }

    /// The oldest request's time runs.
    fn watch(&self, connection: &TcpStream) {
        if let Some(oldest) = self.under_way.front() {
            self.worker.slots[self.index].begin(oldest.start, connection);
        }
    }

    /// The connection is lost: the oldest request failed by `failure`, and the others with it.
    fn give_up(&mut self, failure: &Failure) {
        self.receiver.reset();
        for (n, sent) in self.under_way.drain(..).enumerate() {
            if n == 0 {
                self.worker.fail(failure, sent.start);
            } else {
                let failure = Failure::new(Kind::Closed, "with the connection, behind a request that failed");
                self.worker.fail(&failure, sent.start);
            }
        }
    }
}
