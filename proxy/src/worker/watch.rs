//! The watch of a socket: waits for bytes, and brings the first of them along.

use std::{
    cell::{Cell, RefCell, UnsafeCell},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::BytesMut;
use monoio::{io::AsyncReadRent, net::TcpStream};
use reusable_box_future::ReusableLocalBoxFuture;

use crate::limits::WATCH_BYTES;

/// What a watch that only waits says when something is there.
const ONLY_READY: usize = usize::MAX;

/// How many bytes, and the buffer they are in.
type Brought = (io::Result<usize>, Vec<u8>);

/// One armed wait at most, and what the last one brought.
#[derive(Default)]
pub struct Watch {
    future: RefCell<Option<ReusableLocalBoxFuture<Brought>>>,
    inbox: RefCell<Inbox>,
    armed: Cell<bool>,
}

/// Bytes, an end or an error that nobody has read yet.
#[derive(Default)]
struct Inbox {
    /// The watch's buffer; away while it is armed.
    buf: Vec<u8>,
    /// How much of it has been read.
    taken: usize,
    /// The end of the stream, or an error, has come.
    last: Option<Result<(), io::ErrorKind>>,
}

/// What there was to take.
pub enum Taken {
    /// Nothing, and nothing is waited for: the socket may be asked itself.
    Nothing,
    /// Nothing so far.
    Pending,
    /// The end of the stream, or an error.
    Last(Result<(), io::ErrorKind>),
    /// So many bytes.
    Bytes {
        /// How many.
        count: usize,
        /// Whether there are more; `None` when only the socket can tell.
        more: Option<bool>,
    },
}

impl Inbox {
    fn is_empty(&self) -> bool {
        self.taken >= self.buf.len() && self.last.is_none()
    }

    fn fill(&mut self, (result, buf): Brought) {
        self.taken = 0;
        self.last = match &result {
            Ok(1..) => None,
            Ok(0) => Some(Ok(())),
            Err(error) => Some(Err(error.kind())),
        };
        self.buf = buf;
        if self.last.is_some() || matches!(result, Ok(ONLY_READY)) {
            self.buf.clear();
        }
    }
}

impl Watch {
    /// Ready when there is something to read. Arms the watch when there is not. `only_wait`: it is to take nothing along, and
    /// needs no buffer; on a socket that does not block it has to, because a `recv` would not wait.
    pub fn poll(
        &self,
        stream: &Rc<UnsafeCell<TcpStream>>,
        only_wait: bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut future = self.future.borrow_mut();
        if !self.armed.get() {
            let mut inbox = self.inbox.borrow_mut();
            if !inbox.is_empty() {
                return Poll::Ready(());
            }
            let mut buf = std::mem::take(&mut inbox.buf);
            buf.clear();
            if buf.capacity() > WATCH_BYTES {
                // What was put back was longer than what is ever brought.
                buf = Vec::new();
            }
            let stream = Rc::clone(stream);
            if only_wait {
                begin(&mut future, async move {
                    // SAFETY: by shared reference, and only the descriptor is read.
                    let ready = unsafe { &*stream.get() }.readable(false).await;
                    (ready.map(|()| ONLY_READY), buf)
                });
            } else {
                buf.reserve_exact(WATCH_BYTES);
                // SAFETY: reading and writing use the stream's descriptor and nothing else of it; they are as independent
                // as the halves that monoio's own `into_split` makes of a stream, which share it the same way.
                begin(&mut future, async move { unsafe { &mut *stream.get() }.read(buf).await });
            }
            self.armed.set(true);
        }
        let Some(future) = future.as_mut() else { return Poll::Pending };
        match Pin::new(future).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(brought) => {
                self.armed.set(false);
                self.inbox.borrow_mut().fill(brought);
                Poll::Ready(())
            }
        }
    }

    /// Not armed, and nothing brought.
    pub fn is_idle(&self) -> bool {
        !self.armed.get() && self.inbox.borrow().is_empty()
    }

    /// Moves what was brought to the end of `buf`, as far as there is room.
    pub fn take(&self, buf: &mut BytesMut) -> Taken {
        if self.armed.get() {
            return Taken::Pending;
        }
        let mut inbox = self.inbox.borrow_mut();
        if inbox.is_empty() {
            return Taken::Nothing;
        }
        if let Some(last) = inbox.last.take() {
            return Taken::Last(last);
        }
        let unread = inbox.buf.get(inbox.taken..).unwrap_or_default();
        let count = unread.len().min(buf.capacity() - buf.len());
        buf.extend_from_slice(unread.get(..count).unwrap_or_default());
        inbox.taken += count;
        let more = match inbox.is_empty() {
            false => Some(true),
            true if inbox.buf.len() < WATCH_BYTES => Some(false),
            true => None,
        };
        Taken::Bytes { count, more }
    }

    /// Puts bytes before everything that has not been read yet. Not while it is armed.
    pub fn put(&self, bytes: &[u8]) {
        debug_assert!(!self.armed.get());
        let mut inbox = self.inbox.borrow_mut();
        let unread = inbox.buf.get(inbox.taken..).unwrap_or_default();
        inbox.buf = [bytes, unread].concat();
        inbox.taken = 0;
    }

    /// An error that the next read is to meet.
    pub fn note_error(&self, error: io::ErrorKind) {
        self.inbox.borrow_mut().last = Some(Err(error));
    }

    /// What a read would find in the inbox.
    pub fn peek(&self) -> Option<Result<usize, io::ErrorKind>> {
        let inbox = self.inbox.borrow();
        match inbox.last {
            Some(last) => Some(last.map(|()| 0)),
            None if inbox.is_empty() => None,
            None => Some(Ok(inbox.buf.len() - inbox.taken)),
        }
    }
}

/// In the memory of the one before, where it fits.
fn begin(
    future: &mut Option<ReusableLocalBoxFuture<Brought>>,
    wait: impl Future<Output = Brought> + 'static,
) {
    match future {
        Some(future) => future.set(wait),
        None => *future = Some(ReusableLocalBoxFuture::new(wait)),
    }
}
