//! Programs of others that tests run as clients.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use super::{PATIENCE, driver::skip, log::Log};

/// A program that is installed.
pub struct Tool {
    child: Child,
    name: String,
    stdout: Log,
    stderr: Log,
}

/// A program that has ended.
pub struct Ran {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Tool {
    /// Starts a program. `None`: it is not installed, and the test was skipped, which CI does not allow.
    pub fn start(name: &str, arguments: &[&str]) -> Option<Tool> {
        Tool::start_in(None, name, arguments)
    }

    /// The same in a folder where it may leave files.
    pub fn start_in(folder: Option<&Path>, name: &str, arguments: &[&str]) -> Option<Tool> {
        let mut command = Command::new(name);
        folder.into_iter().for_each(|folder| {
            command.current_dir(folder);
        });
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: prctl is a plain system call: safe between fork and exec.
        unsafe {
            // Nothing stays behind, however the tests end.
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                skip(&format!("{name} can't be started: {error}"));
                return None;
            }
        };
        let stdout = Log::of(child.stdout.take().unwrap());
        let stderr = Log::of(child.stderr.take().unwrap());
        Some(Tool { child, name: name.to_owned(), stdout, stderr })
    }

    /// Runs a program to its end.
    #[track_caller]
    pub fn run(name: &str, arguments: &[&str]) -> Option<Ran> {
        Tool::start(name, arguments).map(Tool::finish)
    }

    /// Writes a line to its standard input.
    pub fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Waits for a line that starts with `start`, and gives the rest of it. `None`: it ended without one.
    pub fn hear(&self, start: &str) -> Option<String> {
        self.stdout.find(PATIENCE, |line| line.strip_prefix(start).map(str::to_owned))
    }

    /// As `hear`, for a line of its standard error with `words` in it. False: it ended without one.
    pub fn hear_error(&self, words: &str) -> bool {
        self.stderr.find(PATIENCE, |line| line.contains(words).then_some(())).is_some()
    }

    /// What it has written to standard error so far.
    pub fn errors(&self) -> String {
        self.stderr.lines().join("\n")
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Ends it at once, as a power failure would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(self) -> Ran {
        self.finish_within(PATIENCE)
    }

    /// The same, for one that takes its time.
    #[track_caller]
    pub fn finish_within(mut self, patience: Duration) -> Ran {
        drop(self.child.stdin.take());
        let ended = self.stdout.ended(patience) && self.stderr.ended(patience);
        if !ended {
            let _ = self.child.kill();
        }
        let status = self.child.wait().unwrap();
        let [stdout, stderr] = [&self.stdout, &self.stderr].map(|log| log.lines().join("\n"));
        assert!(ended, "{} did not end: {stdout}\n{stderr}", self.name);
        Ran { status, stdout, stderr }
    }
}

impl Ran {
    /// Fails unless it succeeded. Gives what it wrote to stdout.
    #[track_caller]
    pub fn expect_success(self) -> String {
        assert!(self.status.success(), "{}: {}\n{}", self.status, self.stdout, self.stderr);
        self.stdout
    }
}
