//! Child processes that are pinned before they run and never outlive this one.
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        OnceLock,
        mpsc::{self, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use super::{origin, routes::Entrance};
use crate::fault::{At, Fault, Result};

/// How long a child has to answer its first request.
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a child has to end when asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(20);

/// A running child; dropping it ends it and all it started.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    command: String,
    /// Kept, or what it prints later would be an error to it.
    out: Option<BufReader<ChildStdout>>,
}

/// How a child is started.
pub(crate) struct Launch<'a> {
    /// Name for messages and its log file.
    pub(crate) name: &'a str,
    /// The cores it may use; none: any.
    pub(crate) cores: &'a [usize],
    /// Where its output goes.
    pub(crate) dir: &'a Path,
    /// What the kernel sends it when this process dies. A program with children of its own needs one that it handles.
    pub(crate) death_signal: libc::c_int,
}

impl Process {
    /// Starts `command` with its output in a log file.
    pub(crate) fn start(mut command: Command, launch: &Launch<'_>) -> Result<Self> {
        let log = launch.dir.join(format!("{}.log", launch.name));
        let file = File::create(&log).at(format!("cannot create {}", log.display()))?;
        let out = file.try_clone().at(log.display())?;
        command.stdin(Stdio::null()).stderr(file);
        if command.get_envs().all(|(key, _)| key != ANNOUNCES) {
            command.stdout(out);
        } else {
            command.stdout(Stdio::piped());
        }
        // Its own group, so that ending it ends what it started, and a Ctrl-C here does not reach it first.
        command.process_group(0);
        let typed = describe(&command, launch);
        prepare(&mut command, launch.cores.to_vec(), launch.death_signal);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = spawn(command).at(format!("cannot start {} ({program})", launch.name))?;
        Ok(Self { name: launch.name.to_owned(), child, log, command: typed, out: None })
    }

    /// Starts a subcommand of this very program, which prints where it listens; returns the address.
    pub(crate) fn start_own(arguments: &[String], launch: &Launch<'_>) -> Result<(Self, SocketAddr)> {
        let program = std::env::current_exe().at("cannot find this program's file")?;
        let mut command = Command::new(program);
        command.args(arguments).env(ANNOUNCES, "1");
        let mut process = Self::start(command, launch)?;
        let mut line = String::new();
        if let Some(out) = process.child.stdout.take() {
            let out = process.out.insert(BufReader::new(out));
            out.read_line(&mut line).at(format!("output of {}", launch.name))?;
        }
        match line.split([' ', ',']).find_map(|word| word.parse().ok()) {
            Some(address) => Ok((process, address)),
            None => Err(process.failure("ended before it listened")),
        }
    }

    /// How it was started, as it would be typed in the directory of its files.
    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it answers through to the origin.
    pub(crate) fn wait_until_it_answers(&mut self, address: SocketAddr, by: &Entrance) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let refused = match origin::answers(address, by) {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failure(&format!("ended with {status} before it answered")));
            }
            if Instant::now() >= deadline {
                return Err(
                    self.failure(&format!("did not answer on {address} within {START_TIMEOUT:?}: {refused}"))
                );
            }
            thread::sleep(POLL);
        }
    }

    fn failure(&self, what: &str) -> Fault {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<_> = log.lines().rev().take(10).collect();
        let tail: Vec<_> = tail.into_iter().rev().map(|line| format!("\n  {line}")).collect();
        Fault::new(format!("{} {what}; its output is in {}{}", self.name, self.log.display(), tail.concat()))
    }

    /// Sends a signal to it and to what it started.
    pub(crate) fn signal(&self, signal: libc::c_int) {
        // SAFETY: the group was made for this child, which is not reaped yet, so the number is still its own.
        unsafe { libc::kill(-(self.child.id() as libc::pid_t), signal) };
    }
}

/// Set for children whose first line of output is read.
const ANNOUNCES: &str = "RINGLANE_BENCH_CHILD";

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(libc::SIGTERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                eprintln!("{} did not end within {STOP_TIMEOUT:?} of SIGTERM and is killed", self.name);
                self.signal(libc::SIGKILL);
                let _ = self.child.wait();
                return;
            }
            thread::sleep(POLL);
        }
    }
}

/// Starts a child from a thread that never ends: the kernel ties a child's life to the thread that it was started by.
fn spawn(command: Command) -> io::Result<Child> {
    static STARTER: OnceLock<Sender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in orders {
                // Whoever asked may have gone.
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, child) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    starter.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// A command, and where its child is awaited.
type Order = (Command, Sender<io::Result<Child>>);

/// Without directories: where a program and its files were is no part of a result.
fn describe(command: &Command, launch: &Launch<'_>) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let dir = launch.dir.display().to_string();
    let words = std::iter::once(program).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy().replace(&dir, ".")).collect();
    let cores: Vec<_> = launch.cores.iter().map(usize::to_string).collect();
    let pinned = if cores.is_empty() { String::new() } else { format!("taskset -c {} ", cores.join(",")) };
    pinned + &words.join(" ")
}

/// Pins the child and ties its life to ours, between fork and exec.
fn prepare(command: &mut Command, cores: Vec<usize>, death_signal: libc::c_int) {
    let parent = std::process::id() as libc::pid_t;
    // SAFETY: the closure makes system calls only, as must a child between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if !cores.is_empty() {
                let mut set: libc::cpu_set_t = std::mem::zeroed();
                cores.iter().for_each(|core| libc::CPU_SET(*core, &mut set));
                if libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            if libc::prctl(libc::PR_SET_PDEATHSIG, death_signal) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            // The parent may have died before the kernel was told.
            if libc::getppid() != parent {
                return Err(std::io::Error::other("the parent is gone"));
            }
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch<'a>(name: &'a str, dir: &'a Path) -> Launch<'a> {
        Launch { name, cores: &[], dir, death_signal: libc::SIGKILL }
    }

    fn is_running(pid: u32) -> bool {
        fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z")))
    }

    #[test]
    fn dropping_a_process_ends_its_children_too() {
        let dir = std::env::temp_dir();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]).env(ANNOUNCES, "1");
        let mut process = Process::start(command, &launch("ringlane-bench-test-tree", &dir)).unwrap();
        let mut line = String::new();
        BufReader::new(process.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let grandchild: u32 = line.trim().parse().unwrap();
        let child = process.pid();
        assert!(is_running(child) && is_running(grandchild));
        drop(process);
        assert!(!is_running(child));
        // The grandchild got the same signal; its parent is gone, so only the system can tell when it has ended.
        let deadline = Instant::now() + STOP_TIMEOUT;
        while is_running(grandchild) {
            assert!(Instant::now() < deadline, "{grandchild} still runs");
            thread::yield_now();
        }
    }

    #[test]
    fn a_child_that_ends_early_is_reported_with_its_output() {
        let dir = std::env::temp_dir();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such option >&2; exit 3"]);
        let mut process = Process::start(command, &launch("ringlane-bench-test-early", &dir)).unwrap();
        let fault = process
            .wait_until_it_answers("127.0.0.1:1".parse().unwrap(), &Entrance::default())
            .unwrap_err()
            .to_string();
        assert!(fault.contains("no such option") && fault.contains("exit status: 3"), "{fault}");
    }
}
