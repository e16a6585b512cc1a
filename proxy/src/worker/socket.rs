//! One stream socket, TCP or unix, as the worker uses it.
//!
//! Waiting is done by a *watch*: one `recv` on the ring with a small buffer of the socket's own, armed once and kept until
//! it fires. What it brings is the *inbox*, which the next read takes first; a read that finds it full goes on with
//! `recv(2)`, without waiting, into the caller's buffer. So most messages cost no system call of their own, an idle
//! connection holds little memory, a read that is given up loses no bytes, and the watch that is armed while a response is
//! awaited is the same one that notices a peer leaving. Writes go through the ring, where sends of many connections are
//! submitted together.
//!
//! While the watch is armed nothing else reads from the socket: bytes would overtake each other.

use std::{
    cell::{Cell, RefCell, UnsafeCell},
    future::{Future, poll_fn},
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::BytesMut;
use monoio::{buf::IoBuf, io::AsyncWriteRent, net::TcpStream};
use socket2::SockRef;

use super::{
    deadline::{Elapsed, Patience, Timer},
    pace::Takes,
    watch::{Taken, Watch},
};
use crate::upstream::Address;

/// Why a write did not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// The peer has closed or reset the connection.
    Closed,
    /// The peer does not read.
    Slow,
}

thread_local! {
    /// One bit for each descriptor that a `Socket` of this thread holds: touched when one comes and when one goes.
    static HELD: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

fn note_held(fd: RawFd, held: bool) {
    let (Ok(word), bit) = (usize::try_from(fd / 64), 1 << (fd % 64)) else { return };
    // While the thread ends there may be no list any more, and nobody who asks.
    let _ = HELD.try_with(|list| {
        let mut list = list.borrow_mut();
        if list.len() <= word {
            list.resize(word + 1, 0);
        }
        if let Some(word) = list.get_mut(word) {
            *word = if held { *word | bit } else { *word & !bit };
        }
    });
}

/// Ends every connection that this thread still holds. After a panic outside a connection the event loop is gone, but
/// its tasks, which wait, are never dropped: without this their peers would wait for ever as well.
pub fn end_all() {
    HELD.with_borrow(|list| {
        for (word, bits) in list.iter().enumerate() {
            for bit in (0..64).filter(|bit| bits & (1 << bit) != 0) {
                // Not closed: the tasks that are left behind own the descriptors.
                // SAFETY: a system call on a number; those in the list are open sockets of ours.
                unsafe { libc::shutdown((word * 64 + bit) as RawFd, libc::SHUT_RDWR) };
            }
        }
    });
}

/// A connected stream socket.
pub struct Socket {
    stream: Rc<UnsafeCell<TcpStream>>,
    watch: Watch,
    /// The last read took all that there was room for: more may be there already.
    full: Cell<bool>,
    /// How many have calls on the descriptor not wait at the moment: a body may pass each way.
    unblocked: Cell<u8>,
}

impl Socket {
    /// Takes over a connected socket. `epoll` says which driver runs this thread: the ring wants sockets that block
    /// (it waits by itself), epoll wants sockets that do not.
    pub fn from_fd(fd: OwnedFd, epoll: bool) -> io::Result<Socket> {
        SockRef::from(&fd).set_nonblocking(epoll)?;
        Self::from_ready_fd(fd)
    }

    /// As `from_fd`, for a socket whose blocking mode is right already.
    pub fn from_ready_fd(fd: OwnedFd) -> io::Result<Socket> {
        // monoio's TcpStream only sends and receives on the descriptor; of what it can do, only the look-ups of
        // addresses (which we do not call) are particular to TCP. So a unix socket is carried by it as well.
        Ok(Self::new(TcpStream::from_std(std::net::TcpStream::from(fd))?))
    }

    fn new(stream: TcpStream) -> Socket {
        note_held(stream.as_raw_fd(), true);
        Socket {
            stream: Rc::new(UnsafeCell::new(stream)),
            watch: Watch::default(),
            full: Cell::new(false),
            unblocked: Cell::new(0),
        }
    }

    /// Connects to `address`. A dropped connect closes the socket.
    pub async fn connect(address: &Address, epoll: bool) -> io::Result<Socket> {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect_addr(*address).await?;
                stream.set_nodelay(true)?;
                Ok(Self::new(stream))
            }
            Address::Unix(path) => {
                // Connecting to a unix socket never waits for a peer: it is done, or refused, at once.
                let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
                socket.set_nonblocking(true)?;
                socket.connect(&socket2::SockAddr::unix(path)?)?;
                Self::from_fd(socket.into(), epoll)
            }
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream owns the descriptor and outlives the borrow; only a shared reference is made.
        unsafe { BorrowedFd::borrow_raw((*self.stream.get()).as_raw_fd()) }
    }

    /// Ready when bytes, an end or an error can be read. Arms the watch when there is nothing; it then stays armed, across
    /// requests, until it fires.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.watch.poll(&self.stream, self.unblocked.get() > 0, cx)
    }

    /// Waits until something can be read.
    pub fn readable(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|cx| self.poll_readable(cx))
    }

    /// As `readable`, but takes nothing and holds no buffer: for one who may wait long, or who takes bytes past `try_read`.
    pub fn stirs(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|cx| self.watch.poll(&self.stream, true, cx))
    }

    /// Whether bytes may be with the watch, armed or in the inbox, and no longer in the descriptor.
    pub fn is_watched(&self) -> bool {
        !self.watch.is_idle()
    }

    /// Gives back what was read and belongs to whoever reads next. Only between two reads.
    pub fn unread(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.watch.put(bytes);
        }
    }

    /// Waits until something can be written, without writing it.
    pub async fn writable(&self) -> io::Result<()> {
        // SAFETY: as in `poll_readable`: only the descriptor is read.
        unsafe { &*self.stream.get() }.writable(false).await
    }

    /// Bytes were taken past `try_read`: whether more are there is not known.
    pub fn note_unread(&self) {
        self.full.set(true);
    }

    /// Has calls that are made on the descriptor itself not wait, until the guard is dropped. Under epoll they never do.
    pub fn unblocked(&self, epoll: bool) -> io::Result<Unblocked<'_>> {
        let users = &self.unblocked;
        if !epoll && users.get() == 0 {
            SockRef::from(&self.fd()).set_nonblocking(true)?;
        }
        users.set(users.get() + 1);
        Ok(Unblocked { socket: self, epoll })
    }

    /// Takes what is there into the spare capacity of `buf`, without waiting. `Ok(0)` is the end of the stream (or a
    /// buffer without room, which callers never pass); `WouldBlock` means nothing is there.
    pub fn try_read(&self, buf: &mut BytesMut) -> io::Result<usize> {
        match self.watch.take(buf) {
            Taken::Nothing => self.receive(buf),
            Taken::Pending => Err(io::ErrorKind::WouldBlock.into()),
            Taken::Last(last) => last.map(|()| 0).map_err(io::Error::from),
            Taken::Bytes { count, more: Some(more) } => {
                self.full.set(more);
                Ok(count)
            }
            Taken::Bytes { count, more: None } => match self.receive(buf) {
                Ok(read) => Ok(count + read),
                Err(error) => {
                    // Said once by the kernel: what it would say next is an end.
                    if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
                        self.watch.note_error(error.kind());
                    }
                    Ok(count)
                }
            },
        }
    }

    fn receive(&self, buf: &mut BytesMut) -> io::Result<usize> {
        let room = buf.spare_capacity_mut();
        let length = room.len();
        let result = SockRef::from(&self.fd()).recv_with_flags(room, libc::MSG_DONTWAIT);
        self.full.set(match &result {
            Ok(read) => *read == length,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        });
        let read = result?;
        // SAFETY: the kernel has filled `read` bytes of the spare capacity.
        unsafe { buf.set_len(buf.len() + read) };
        Ok(read)
    }

    /// Reads into the spare capacity of `buf`, waiting until there is something.
    pub async fn read(&self, buf: &mut BytesMut) -> io::Result<usize> {
        loop {
            match self.try_read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable().await,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Whether nothing more had come when the last read was done. That read shows it, unless it was full: then the
    /// socket is asked.
    pub fn is_drained(&self) -> bool {
        !self.full.get() || matches!(self.peek(), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// What a read would find, without taking anything: `WouldBlock`, an end (0), bytes, or an error.
    pub fn peek(&self) -> io::Result<usize> {
        if self.is_watched() {
            // It may have brought something that nobody has looked at yet. Whoever waits for it asks again.
            let _ = self.poll_readable(&mut Context::from_waker(Waker::noop()));
            if let Some(brought) = self.watch.peek() {
                return brought.map_err(io::Error::from);
            }
        }
        let mut byte = [std::mem::MaybeUninit::uninit()];
        SockRef::from(&self.fd()).recv_with_flags(&mut byte, libc::MSG_DONTWAIT | libc::MSG_PEEK)
    }

    /// Writes all of `buf` through the ring and gives it back, waiting at most `wait` for each part to go out. After an
    /// error some bytes may be out: the connection is of no more use.
    pub async fn write_all<B: IoBuf>(&self, timer: &Timer, wait: Takes<'_>, buf: B) -> Result<B, WriteError> {
        let total = buf.bytes_init();
        // Written, nothing would look like a peer that takes nothing.
        if total == 0 {
            return Ok(buf);
        }
        // SAFETY: one write at a time runs on a socket (its owner awaits it); see `poll_readable` for reads.
        let stream = unsafe { &mut *self.stream.get() };
        match timer.within(wait, stream.write(buf)).await {
            Ok((Ok(done), buf)) if done == total => {
                wait.moved(done);
                Ok(buf)
            }
            // Boxed, as is everything that few requests need: a future is as large as the largest of its branches.
            Ok((Ok(done @ 1..), buf)) => {
                wait.moved(done);
                Box::pin(self.write_rest(timer, wait, buf, done)).await
            }
            Ok((Err(error), buf)) if error.kind() == io::ErrorKind::WouldBlock => {
                Box::pin(self.write_rest(timer, wait, buf, 0)).await
            }
            Ok(_) => Err(WriteError::Closed),
            Err(Elapsed) => Err(WriteError::Slow),
        }
    }

    async fn write_rest<B: IoBuf>(
        &self,
        timer: &Timer,
        wait: Takes<'_>,
        mut buf: B,
        mut done: usize,
    ) -> Result<B, WriteError> {
        let total = buf.bytes_init();
        while done < total {
            // SAFETY: as in `write_all`.
            let stream = unsafe { &mut *self.stream.get() };
            match timer.within(wait, stream.write(buf.slice(done..total))).await {
                Ok((Ok(written @ 1..), slice)) => {
                    buf = slice.into_inner();
                    done += written;
                    wait.moved(written);
                }
                // The ring does not wait either while a body passes the other way (`unblocked`).
                Ok((Err(error), slice)) if error.kind() == io::ErrorKind::WouldBlock => {
                    buf = slice.into_inner();
                    match timer.within(wait, self.writable()).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return Err(WriteError::Closed),
                        Err(Elapsed) => return Err(WriteError::Slow),
                    }
                }
                Ok(_) => return Err(WriteError::Closed),
                Err(Elapsed) => return Err(WriteError::Slow),
            }
        }
        Ok(buf)
    }

    /// As `write_all`, without a deadline: for whoever bounds more than one write at once.
    pub async fn write_plain<B: IoBuf>(&self, buf: B) -> Result<B, WriteError> {
        let total = buf.bytes_init();
        let mut done = 0;
        let mut buf = buf;
        while done < total {
            // SAFETY: as in `write_all`.
            let stream = unsafe { &mut *self.stream.get() };
            let (result, slice) = stream.write(buf.slice(done..total)).await;
            buf = slice.into_inner();
            match result {
                Ok(written @ 1..) => done += written,
                _ => return Err(WriteError::Closed),
            }
        }
        Ok(buf)
    }

    /// Bytes that were written and have not reached the peer's kernel yet; 0 where that can't be told.
    pub fn unsent(&self) -> u64 {
        let mut count: libc::c_int = 0;
        // SAFETY: a system call on a descriptor of ours, which writes one integer.
        let told = unsafe { libc::ioctl(self.fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
        if told == 0 { u64::try_from(count).unwrap_or(0) } else { 0 }
    }

    /// Sends what fits without waiting: for last words to a peer that is being turned away.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        SockRef::from(&self.fd()).send_with_flags(bytes, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
    }

    /// Ends our direction of the stream; the peer reads an end after what was written.
    pub fn shutdown_write(&self) -> io::Result<()> {
        SockRef::from(&self.fd()).shutdown(std::net::Shutdown::Write)
    }

    /// Makes the close send a reset, so that the peer cannot take what it got for a complete message.
    pub fn reset_on_close(&self) {
        let _ = SockRef::from(&self.fd()).set_linger(Some(Duration::ZERO));
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

/// A socket whose calls do not wait, for as long as this lives.
pub struct Unblocked<'a> {
    socket: &'a Socket,
    epoll: bool,
}

impl Drop for Unblocked<'_> {
    fn drop(&mut self) {
        let users = &self.socket.unblocked;
        users.set(users.get() - 1);
        if !self.epoll && users.get() == 0 {
            let _ = SockRef::from(&self.socket.fd()).set_nonblocking(false);
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        note_held(self.fd().as_raw_fd(), false);
    }
}
