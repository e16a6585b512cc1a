//! Lines that a process writes, as they come.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

/// Everything read so far from one stream.
#[derive(Clone, Default)]
pub struct Log(Arc<(Mutex<Lines>, Condvar)>);

impl Log {
    /// Reads `stream` to its end, on a thread of its own.
    pub fn of(stream: impl Read + Send + 'static) -> Log {
        Log::until(stream, None)
    }

    /// Reads `stream` to its end, or to a line with `last` in it, and closes it then.
    pub fn until(stream: impl Read + Send + 'static, last: Option<&'static str>) -> Log {
        let log = Log::default();
        let shared = Arc::clone(&log.0);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                shared
                    .0
                    .lock()
                    .unwrap()
                    .lines
                    .push(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
                shared.1.notify_all();
                if last.is_some_and(|last| String::from_utf8_lossy(&line).contains(last)) {
                    break;
                }
                line.clear();
            }
            drop(reader);
            shared.0.lock().unwrap().ended = true;
            shared.1.notify_all();
        });
        log
    }

    /// Of a stream that nobody reads.
    pub fn ended_already() -> Log {
        Log::of(std::io::empty())
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.0.lock().unwrap().lines.clone()
    }

    /// Waits for a line that `wanted` makes something of. `None`: the stream ended, or `bound` passed, without one.
    pub fn find<T>(&self, bound: Duration, mut wanted: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let mut found = None;
        let mut seen = 0;
        let lines = self.0.0.lock().unwrap();
        let _ = self.0.1.wait_timeout_while(lines, bound, |state| {
            while found.is_none() && seen < state.lines.len() {
                found = wanted(&state.lines[seen]);
                seen += 1;
            }
            found.is_none() && !state.ended
        });
        found
    }

    /// Waits for the stream's end.
    pub fn ended(&self, bound: Duration) -> bool {
        let lines = self.0.0.lock().unwrap();
        self.0.1.wait_timeout_while(lines, bound, |state| !state.ended).unwrap().0.ended
    }
}
