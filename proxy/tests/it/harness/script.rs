//! What an origin does on a connection, as data.

use std::sync::Mutex;

use super::{Gate, Request, Wire};

/// One step.
#[derive(Debug, Clone)]
pub enum Step {
    /// Reads a whole request; it is found in `Origin::requests` then. A peer that has closed ends the script.
    Request,
    /// Reads a request's head only.
    Head,
    /// Reads up to and with these bytes.
    ReadUntil(Vec<u8>),
    /// Reads to the end of the stream.
    ReadToEnd,
    /// Writes these bytes.
    Reply(Vec<u8>),
    /// Waits until the test opens the gate.
    Hold(Gate),
    /// Ends its own direction; reading goes on.
    Finish,
    /// Closes in order. So does the end of a script.
    Close,
    /// Closes with a reset.
    Reset,
    /// Writes back what it reads, as it comes, until the peer's end.
    Echo,
}

impl Step {
    /// `Reply` from text.
    pub fn reply(bytes: impl AsRef<[u8]>) -> Step {
        Step::Reply(bytes.as_ref().to_vec())
    }
}

/// Runs `steps` on a connection.
pub fn run(mut wire: Wire, steps: &[Step], requests: &Mutex<Vec<Request>>) {
    for step in steps {
        match step {
            Step::Request => match wire.try_read_request() {
                Some(request) => requests.lock().unwrap().push(request),
                None => return,
            },
            Step::Head => {
                if wire.try_read_until(b"\r\n\r\n").is_none() {
                    return;
                }
            }
            Step::ReadUntil(pattern) => {
                if wire.try_read_until(pattern).is_none() {
                    return;
                }
            }
            Step::ReadToEnd => drop(wire.read_to_end()),
            Step::Reply(bytes) => {
                if !wire.try_send(bytes) {
                    return;
                }
            }
            Step::Hold(gate) => gate.wait(),
            Step::Finish => wire.finish(),
            Step::Close => return,
            Step::Reset => return wire.reset(),
            Step::Echo => echo(&mut wire),
        }
    }
}

fn echo(wire: &mut Wire) {
    while let Some(bytes) = wire.read_some() {
        if !wire.try_send(bytes) {
            return;
        }
    }
}
