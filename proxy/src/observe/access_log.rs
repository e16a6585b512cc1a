//! The access log: lines are formatted on the worker into a buffer of its own, and buffers go to one writer thread.
//!
//! A worker never waits for the log. When the writer falls behind, a worker runs out of buffers and drops lines, and
//! counts them. Buffers come back to the worker that filled them, so none is allocated at steady state.
//!
//! The channels are the exception to the rule against sharing: they are touched once per buffer, not per request.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    mem,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::{
    board::Board,
    line::{self, LINE_BYTES_MAX, Stamp},
    metrics::Counters,
    outcome::Outcome,
};

/// A buffer is handed over once this full.
const BUFFER_BYTES: usize = 64 * 1024;
/// Or once its first line is this old, in ticks: 100 ms.
const BUFFER_AGE_TICKS_MAX: u32 = 5;
/// Buffers of one worker, the one being filled included: 2 MiB of lines that the writer may lag behind by. Allocated as
/// they are needed.
const BUFFERS_PER_WORKER_MAX: usize = 32;
/// Buffers on their way to the writer, over all workers.
const QUEUE_BUFFERS_MAX: usize = 256;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file, appended to, and opened again on `AccessLog::reopen`.
    File(PathBuf),
}

enum Message {
    /// Full lines, and where the buffer goes back to.
    Lines(Vec<u8>, SyncSender<Vec<u8>>),
    /// Look at the flag.
    Reopen,
    /// End, after all that came before.
    Close,
}

/// The access log of the process. The control thread owns it and gives every worker a handle.
#[derive(Debug)]
pub struct AccessLog {
    queue: SyncSender<Message>,
    reopen: Arc<AtomicBool>,
    done: Receiver<()>,
}

impl AccessLog {
    /// Opens the target and starts the writer thread.
    ///
    /// # Errors
    /// When the file cannot be opened for appending or the thread cannot be started.
    pub fn start(target: LogTarget, board: &Arc<Board>) -> io::Result<Self> {
        let sink = Sink::open(&target)?;
        let (queue, messages) = sync_channel(QUEUE_BUFFERS_MAX);
        let (ended, done) = sync_channel(1);
        let reopen = Arc::new(AtomicBool::new(false));
        let writer =
            Writer { target, sink, reopen: Arc::clone(&reopen), board: Arc::clone(board), failing: false };
        thread::Builder::new().name("access-log".into()).spawn(move || {
            writer.run(&messages);
            let _ = ended.send(()); // nobody listens when the log was dropped rather than closed
        })?;
        Ok(Self { queue, reopen, done })
    }

    /// A handle for one worker.
    pub fn handle(&self) -> AccessLogHandle {
        AccessLogHandle::new(self.queue.clone())
    }

    /// Has the writer open the file again, after whatever rotates it has moved it away. Never waits.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        // A full queue is as good: the writer looks at the flag before every buffer.
        let _ = self.queue.try_send(Message::Reopen);
    }

    /// Writes what workers have handed over and ends the writer; waits for it no longer than `timeout`. True when all
    /// is written. Workers retire their recorders first.
    pub fn close(self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut message = Message::Close;
        while let Err(TrySendError::Full(back)) = self.queue.try_send(message) {
            if Instant::now() >= deadline {
                return false;
            }
            message = back;
            thread::sleep(Duration::from_millis(5));
        }
        self.done.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok()
    }
}

/// One worker's end of the access log.
#[derive(Debug)]
pub struct AccessLogHandle {
    buffer: Vec<u8>,
    /// Lines in `buffer`.
    lines: u64,
    /// Ticks since `buffer` was empty.
    age_ticks: u32,
    stamp: Stamp,
    queue: SyncSender<Message>,
    /// Buffers that came back.
    spare: Receiver<Vec<u8>>,
    /// Goes along with every buffer.
    home: SyncSender<Vec<u8>>,
    /// Buffers allocated so far.
    buffers: usize,
}

impl AccessLogHandle {
    fn new(queue: SyncSender<Message>) -> Self {
        let (home, spare) = sync_channel(BUFFERS_PER_WORKER_MAX);
        Self {
            buffer: new_buffer(),
            lines: 0,
            age_ticks: 0,
            stamp: Stamp::new(),
            queue,
            spare,
            home,
            buffers: 1,
        }
    }

    /// Appends the line of one exchange.
    pub(super) fn write(&mut self, outcome: &Outcome<'_>, counters: &Counters) {
        line::write(&mut self.buffer, &mut self.stamp, SystemTime::now(), outcome);
        self.lines += 1;
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush(counters);
        }
    }

    /// Hands the buffer over when its first line is old enough.
    pub(super) fn tick(&mut self, counters: &Counters) {
        if self.lines > 0 {
            self.age_ticks += 1;
            if self.age_ticks >= BUFFER_AGE_TICKS_MAX {
                self.flush(counters);
            }
        }
    }

    /// Hands the buffer over, or drops its lines when the writer is too far behind.
    pub(super) fn flush(&mut self, counters: &Counters) {
        if self.lines == 0 {
            return;
        }
        if self.hand_over() {
            counters.access_log_lines.add(self.lines);
        } else {
            counters.access_log_lines_dropped.add(self.lines);
        }
        self.lines = 0;
        self.age_ticks = 0;
    }

    /// Leaves an empty buffer in place; true when the full one is on its way.
    fn hand_over(&mut self) -> bool {
        let Some(fresh) = self.fresh() else {
            self.buffer.clear();
            return false;
        };
        let full = mem::replace(&mut self.buffer, fresh);
        let Err(refused) = self.queue.try_send(Message::Lines(full, self.home.clone())) else {
            return true;
        };
        if let TrySendError::Full(Message::Lines(full, home))
        | TrySendError::Disconnected(Message::Lines(full, home)) = refused
        {
            send_home(full, &home);
        }
        false
    }

    /// A buffer that came back, or a new one while there may be more.
    fn fresh(&mut self) -> Option<Vec<u8>> {
        if let Ok(buffer) = self.spare.try_recv() {
            return Some(buffer);
        }
        if self.buffers == BUFFERS_PER_WORKER_MAX {
            return None;
        }
        self.buffers += 1;
        Some(new_buffer())
    }
}

/// Room for a full buffer and the line that fills it.
fn new_buffer() -> Vec<u8> {
    Vec::with_capacity(BUFFER_BYTES + LINE_BYTES_MAX)
}

fn send_home(mut buffer: Vec<u8>, home: &SyncSender<Vec<u8>>) {
    buffer.clear();
    // There is room for every buffer of the worker; when the worker has gone, so may the buffer.
    let _ = home.try_send(buffer);
}

enum Sink {
    Stdout,
    File(File),
}

impl Sink {
    fn open(target: &LogTarget) -> io::Result<Self> {
        match target {
            LogTarget::Stdout => Ok(Self::Stdout),
            LogTarget::File(path) => {
                OpenOptions::new().append(true).create(true).open(path).map(Self::File).map_err(|error| {
                    io::Error::new(error.kind(), format!("access log {}: {error}", path.display()))
                })
            }
        }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(lines)?;
                stdout.flush()
            }
            Self::File(file) => file.write_all(lines),
        }
    }
}

/// The writer thread.
struct Writer {
    target: LogTarget,
    sink: Sink,
    reopen: Arc<AtomicBool>,
    board: Arc<Board>,
    /// The last write failed: one warning for a run of failures.
    failing: bool,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        for message in messages {
            if self.reopen.swap(false, Ordering::AcqRel) {
                let opened = Sink::open(&self.target).map(|sink| self.sink = sink);
                self.note(opened);
            }
            match message {
                Message::Lines(lines, home) => {
                    let written = self.sink.write(&lines);
                    self.note(written);
                    send_home(lines, &home);
                }
                Message::Reopen => {}
                Message::Close => return,
            }
        }
    }

    fn note(&mut self, result: io::Result<()>) {
        match result {
            Ok(()) => self.failing = false,
            Err(error) => {
                self.board.process().access_log_write_errors.inc();
                if !mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "cannot write the access log");
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
