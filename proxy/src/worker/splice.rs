//! Long bodies that pass as they are go from socket to socket through a pipe, `splice(2)`: their bytes never come to
//! user space, so they are copied neither in nor out.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    task::Poll,
    time::Instant,
};

use super::{
    body::BodyReader,
    connection::Client,
    deadline::{Patience, Timer},
    socket::Socket,
};
use crate::{
    error::Failure,
    limits::{SPLICE_BYTES_MIN, SPLICE_PIPE_BYTES, SPLICE_PIPES_MAX},
};

/// A pipe that is empty between two bodies.
pub struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
}

impl Pipe {
    fn new() -> io::Result<Pipe> {
        let mut ends = [-1; 2];
        // SAFETY: the array has room for the two descriptors that the call writes.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has just opened both, and nobody else knows of them.
        let [out, into] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        // Refused once the user's pipes are too large together (pipe(7)): then this one keeps the size it has.
        // SAFETY: a system call on a descriptor of ours.
        let _ =
            unsafe { libc::fcntl(into.as_raw_fd(), libc::F_SETPIPE_SZ, SPLICE_PIPE_BYTES as libc::c_int) };
        Ok(Pipe { out, into })
    }
}

/// The pipes of one worker.
#[derive(Default)]
pub struct Pipes {
    free: RefCell<Vec<Pipe>>,
    lent: Cell<usize>,
    /// The system does not splice.
    refused: Cell<bool>,
}

/// A pipe on loan. It goes back only by `give_back`: one that still holds bytes of a body must never carry another.
pub struct Loan<'a> {
    pipes: &'a Pipes,
    pipe: Option<Pipe>,
}

impl Pipes {
    /// A pipe for the rest of a body, where one pays and can be had; otherwise the bytes are copied.
    pub fn take(&self, left: u64) -> Option<Loan<'_>> {
        if left < SPLICE_BYTES_MIN || self.refused.get() || self.lent.get() >= SPLICE_PIPES_MAX {
            return None;
        }
        let free = self.free.borrow_mut().pop();
        let pipe = free.or_else(|| Pipe::new().ok())?;
        self.lent.set(self.lent.get() + 1);
        Some(Loan { pipes: self, pipe: Some(pipe) })
    }
}

impl Loan<'_> {
    /// The body is through, and the pipe empty.
    pub fn give_back(mut self) {
        if let Some(pipe) = self.pipe.take() {
            self.pipes.free.borrow_mut().push(pipe);
        }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.pipes.lent.set(self.pipes.lent.get() - 1);
    }
}

/// Why bytes did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    /// The sender has closed or reset the connection.
    SenderGone,
    /// The sender does not send.
    SenderSlow,
    /// The receiver has closed or reset the connection.
    ReceiverGone,
    /// The receiver does not read.
    ReceiverSlow,
    /// Nothing was taken: the system does not splice.
    Refused,
}

/// Why a body did not pass to its end.
pub enum Broken {
    /// By one of its ends; never `Refused`.
    Stuck(Stuck),
    /// The whole request has no time left.
    Late(Failure),
}

/// From where to where, and how long either may take to do something.
pub struct Way<'a, F, T> {
    /// Who sends.
    pub from: &'a Socket,
    /// How long it may send nothing.
    pub from_idle: F,
    /// Who receives.
    pub to: &'a Socket,
    /// How long it may take nothing.
    pub to_idle: T,
    /// The slot of both waits.
    pub timer: &'a Timer,
}

/// Passes the rest of `body` on, a pipe's fill at a time, and tells `note` of each. Leaves what is left to be copied where
/// the system does not splice.
pub async fn pass_all<F: Patience + Copy, T: Patience + Copy>(
    client: &Client,
    loan: Loan<'_>,
    way: &Way<'_, F, T>,
    body: &mut BodyReader,
    waited_us: &mut u64,
    mut note: impl FnMut(u64, &BodyReader),
) -> Result<(), Broken> {
    while let Some(left @ 1..) = body.remaining() {
        let passed = match pass(&loan, way, left, waited_us).await {
            Err(Stuck::Refused) => return Ok(()),
            passed => passed.map_err(Broken::Stuck)?,
        };
        body.advance(passed as usize);
        note(passed, body);
        yield_now().await;
        client.in_time().map_err(Broken::Late)?;
    }
    loan.give_back();
    Ok(())
}

/// Lets the others of this core have a turn: both ends of a body may be faster than we are, and never make us wait.
async fn yield_now() {
    let mut done = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut done, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Passes on what is there, at most `left` bytes and at most a pipe's fill, waiting for the first of them. Gives how
/// many these were; `waited_us` grows by the time spent waiting.
async fn pass<F: Patience + Copy, T: Patience + Copy>(
    loan: &Loan<'_>,
    way: &Way<'_, F, T>,
    left: u64,
    waited_us: &mut u64,
) -> Result<u64, Stuck> {
    let Some(pipe) = &loan.pipe else { return Err(Stuck::Refused) };
    let most = usize::try_from(left).unwrap_or(usize::MAX).min(SPLICE_PIPE_BYTES);
    let taken = loop {
        match splice(way.from, &pipe.into, most) {
            Ok(0) => return Err(Stuck::SenderGone),
            Ok(taken) => break taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let ready = timed(way.timer.within(way.from_idle, way.from.stirs()), waited_us).await;
                ready.map_err(|_| Stuck::SenderSlow)?;
            }
            Err(error) if is_refusal(&error) => {
                loan.pipes.refused.set(true);
                return Err(Stuck::Refused);
            }
            Err(_) => return Err(Stuck::SenderGone),
        }
    };
    way.from.note_unread();
    way.from_idle.moved(taken);
    let mut inside = taken;
    while inside > 0 {
        match splice(&pipe.out, way.to, inside) {
            Ok(passed @ 1..) => {
                inside = inside.saturating_sub(passed);
                way.to_idle.moved(passed);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let ready = timed(way.timer.within(way.to_idle, way.to.writable()), waited_us).await;
                ready.map_err(|_| Stuck::ReceiverSlow)?.map_err(|_| Stuck::ReceiverGone)?;
            }
            _ => return Err(Stuck::ReceiverGone),
        }
    }
    Ok(taken as u64)
}

async fn timed<F: Future>(waiting: F, waited_us: &mut u64) -> F::Output {
    let started = Instant::now();
    let output = waiting.await;
    *waited_us += started.elapsed().as_micros() as u64;
    output
}

/// Moves at most `most` bytes. Neither end waits: the pipe and, for as long as a body passes, both sockets are set so.
fn splice(from: &impl AsFd, to: &impl AsFd, most: usize) -> io::Result<usize> {
    let (from, to) = (from.as_fd().as_raw_fd(), to.as_fd().as_raw_fd());
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    loop {
        // SAFETY: a system call on two open descriptors; no memory of ours is involved.
        let moved =
            unsafe { libc::splice(from, std::ptr::null_mut(), to, std::ptr::null_mut(), most, flags) };
        match usize::try_from(moved) {
            Ok(moved) => return Ok(moved),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EPERM | libc::EOPNOTSUPP))
}
