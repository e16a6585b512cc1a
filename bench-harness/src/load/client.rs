//! One connection of the load: request, response, request, until the end of the run.
use std::{rc::Rc, time::Instant};

use monoio::{
    io::Splitable,
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    receive::{Received, Receiver},
    slots::Slot,
    tally::{Failure, Kind},
    worker::Worker,
};
use crate::stream::write_all;

/// A request longer than this is written while the response is read: a server may answer before it has read it all,
/// and two sides that both only write wait for ever.
const WRITE_FIRST_BYTES_MAX: usize = 64 * 1024;

/// Rest after a failed connect, so that a server that is gone is not hammered.
const CONNECT_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// Sends requests until the run ends. `stream` is a connection opened before it began.
pub(super) async fn drive(worker: Rc<Worker>, index: usize, mut stream: Option<TcpStream>) {
    let mut receiver = Receiver::new(worker.plan.to_head);
    let mut now = Instant::now();
    while now < worker.end {
        let start = now;
        let result = one_request(&worker, &worker.slots[index], &mut receiver, &mut stream, start).await;
        now = Instant::now();
        match result {
            Ok(received) => worker.count(start, now, received.bytes),
            Err(failure) => {
                let refused = failure.kind == Kind::Connect;
                worker.fail(failure);
                stream = None;
                if refused {
                    sleep(CONNECT_PAUSE).await;
                    now = Instant::now();
                    continue;
                }
            }
        }
        if worker.plan.new_connection
            && let Some(mut spent) = stream.take()
            && let Err(failure) = wait_for_close(&worker, index, &mut receiver, &mut spent, now).await
        {
            worker.fail(failure);
        }
        if worker.plan.new_connection {
            now = Instant::now();
        }
    }
}

/// Sends one request, over `stream` or a new connection, and judges the answer.
async fn one_request(
    worker: &Worker,
    slot: &Slot,
    receiver: &mut Receiver,
    stream: &mut Option<TcpStream>,
    start: Instant,
) -> Result<Received, Failure> {
    let mut connection = match stream.take() {
        Some(connection) => connection,
        None => connect(worker).await?,
    };
    slot.begin(start, &connection);
    let result = if worker.request.len() > WRITE_FIRST_BYTES_MAX {
        let (reunited, result) = write_and_receive(worker, receiver, connection).await;
        connection = match reunited {
            Some(connection) => connection,
            None => return Err(Failure::new(Kind::Write, "the halves of a connection did not match")),
        };
        result
    } else {
        write_then_receive(worker, receiver, &mut connection).await
    };
    if slot.end() {
        return Err(Failure::new(
            Kind::Timeout,
            format!("no whole response within {:?}", worker.plan.timeout),
        ));
    }
    let received = result?;
    // With a new connection per request the caller sees to the end of this one.
    if received.keep_alive || worker.plan.new_connection {
        *stream = Some(connection);
    }
    Ok(received)
}

async fn connect(worker: &Worker) -> Result<TcpStream, Failure> {
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

async fn write_then_receive(
    worker: &Worker,
    receiver: &mut Receiver,
    connection: &mut TcpStream,
) -> Result<Received, Failure> {
    let (written, _) = write_all(connection, worker.request.clone()).await;
    written.map_err(|error| Failure::new(Kind::Write, error))?;
    receiver.receive(connection, &worker.plan.expect).await
}

async fn write_and_receive(
    worker: &Worker,
    receiver: &mut Receiver,
    connection: TcpStream,
) -> (Option<TcpStream>, Result<Received, Failure>) {
    let (mut reading, mut writing) = connection.into_split();
    let expect = &worker.plan.expect;
    let ((written, _), received) = monoio::join!(
        write_all(&mut writing, worker.request.clone()),
        receiver.receive(&mut reading, expect)
    );
    // What the server said comes first: it may well refuse a request that it did not read to the end.
    let result =
        received.and_then(|ok| written.map(|()| ok).map_err(|error| Failure::new(Kind::Write, error)));
    (reading.reunite(writing).ok(), result)
}

/// Lets the server close, as it must after `Connection: close`; whoever closes first keeps the port in TIME_WAIT.
async fn wait_for_close(
    worker: &Worker,
    index: usize,
    receiver: &mut Receiver,
    spent: &mut TcpStream,
    now: Instant,
) -> Result<(), Failure> {
    let slot = &worker.slots[index];
    slot.begin(now, spent);
    let result = receiver.closed(spent).await;
    if slot.end() {
        return Err(Failure::new(Kind::Timeout, "the server did not close after Connection: close"));
    }
    result
}
