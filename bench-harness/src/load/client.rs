//! One connection of the load: request, response, request, until the end of the run.
use std::{rc::Rc, time::Instant};

use monoio::{
    io::Splitable,
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    order::Order,
    receive::{Received, Receiver},
    tally::{Failure, Kind},
    worker::Worker,
};
use crate::stream::write_all;

/// A request longer than this is written while the response is read: a server may answer before it has read it all,
/// and two sides that both only write wait for ever.
const WRITE_FIRST_BYTES_MAX: usize = 64 * 1024;

/// Rest after a failed connect, so that a server that is gone is not hammered.
const CONNECT_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// One connection after the other, each for as long as the server keeps it.
struct Client {
    worker: Rc<Worker>,
    index: usize,
    stream: Option<TcpStream>,
    receiver: Receiver,
    order: Order,
}

/// Sends requests until the run ends. `stream` is a connection opened before it began.
pub(super) async fn drive(worker: Rc<Worker>, index: usize, stream: Option<TcpStream>) {
    let order = worker.order(index);
    let mut client = Client { worker: worker.clone(), index, stream, receiver: Receiver::new(), order };
    let mut now = Instant::now();
    while let Some(start) = worker.next_start(index, now).await {
        let request = client.order.next();
        let sent = if worker.is_open_loop() { Instant::now() } else { start };
        let result = client.one_request(request, sent).await;
        now = Instant::now();
        match result {
            Ok(received) => match received.wrong {
                None => worker.count(request, start, now, received.bytes),
                Some(failure) => worker.fail(&failure, start),
            },
            Err(failure) => {
                worker.fail(&failure, start);
                client.stream = None;
                if failure.kind == Kind::Connect {
                    Box::pin(pause()).await;
                    now = Instant::now();
                }
            }
        }
        if worker.plan.new_connection {
            if let Err(failure) = Box::pin(client.wait_for_close(now)).await {
                worker.fail(&failure, now);
            }
            now = Instant::now();
        }
    }
}

impl Client {
    /// Sends one request, over the connection at hand or a new one, and judges the answer.
    async fn one_request(&mut self, request: usize, sent: Instant) -> Result<Received, Failure> {
        let mut connection = match self.stream.take() {
            Some(connection) => connection,
            None => {
                self.receiver.reset();
                Box::pin(connect(&self.worker)).await?
            }
        };
        let worker = self.worker.clone();
        let slot = &worker.slots[self.index];
        slot.begin(sent, &connection);
        let result = if worker.wire[request].len() > WRITE_FIRST_BYTES_MAX {
            let (reunited, result) = Box::pin(self.write_and_receive(request, connection)).await;
            connection = match reunited {
                Some(connection) => connection,
                None => {
                    slot.end();
                    return Err(Failure::new(Kind::Write, "the halves of a connection did not match"));
                }
            };
            result
        } else {
            self.write_then_receive(request, &mut connection).await
        };
        if slot.end() {
            return Err(expired(&worker));
        }
        let received = result?;
        // With a new connection per request the caller sees to the end of this one.
        if received.keep_alive || worker.plan.new_connection {
            self.stream = Some(connection);
        }
        Ok(received)
    }

    async fn write_then_receive(
        &mut self,
        request: usize,
        connection: &mut TcpStream,
    ) -> Result<Received, Failure> {
        let (written, _) = write_all(connection, self.worker.wire[request].clone()).await;
        written.map_err(|error| Failure::io(Kind::Write, &error))?;
        self.receiver.receive(connection, &self.worker.plan.requests[request], true).await
    }

    async fn write_and_receive(
        &mut self,
        request: usize,
        connection: TcpStream,
    ) -> (Option<TcpStream>, Result<Received, Failure>) {
        let (mut reading, mut writing) = connection.into_split();
        let ((written, _), received) = monoio::join!(
            write_all(&mut writing, self.worker.wire[request].clone()),
            self.receiver.receive(&mut reading, &self.worker.plan.requests[request], true)
        );
        // What the server said comes first: it may well refuse a request that it did not read to the end.
        let result =
            received.and_then(|ok| written.map(|()| ok).map_err(|error| Failure::io(Kind::Write, &error)));
        (reading.reunite(writing).ok(), result)
    }

    /// Lets the server close, as it must after `Connection: close`; whoever closes first keeps the port in TIME_WAIT.
    async fn wait_for_close(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(mut spent) = self.stream.take() else { return Ok(()) };
        let slot = &self.worker.slots[self.index];
        slot.begin(now, &spent);
        let result = self.receiver.closed(&mut spent).await;
        if slot.end() {
            return Err(Failure::new(Kind::Timeout, "the server did not close after Connection: close"));
        }
        result
    }
}

/// Opens a connection, in time.
pub(super) async fn connect(worker: &Worker) -> Result<TcpStream, Failure> {
    let connecting = TcpStream::connect_addr(worker.plan.address);
    let stream = match timeout(worker.plan.timeout, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Failure::new(Kind::Connect, error)),
        Err(_) => return Err(Failure::new(Kind::Timeout, "no connection in time")),
    };
    stream.set_nodelay(true).map_err(|error| Failure::new(Kind::Connect, error))?;
    worker.connected();
    Ok(stream)
}

/// Rests after a failed connect.
pub(super) async fn pause() {
    sleep(CONNECT_PAUSE).await;
}

/// A request took too long.
pub(super) fn expired(worker: &Worker) -> Failure {
    Failure::new(Kind::Timeout, format!("no whole response within {:?}", worker.plan.timeout))
}
