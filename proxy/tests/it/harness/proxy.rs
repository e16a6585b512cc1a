//! The proxy under test: the real binary in a process of its own, on ports that the kernel chooses.

use std::{
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use super::{
    Client, Confine, Driver, PATIENCE, Response,
    log::Log,
    wait::{becomes, eventually},
};

/// How a proxy is started.
#[derive(Debug, Clone)]
pub struct Launch {
    driver: &'static str,
    workers: usize,
    pin_cores: bool,
    env: Vec<(String, String)>,
    confined: Vec<Confine>,
    stdout: bool,
    deaf: bool,
    watching: bool,
}

/// A running proxy. Killed when dropped.
pub struct Proxy {
    child: Child,
    stderr: Log,
    stdout: Log,
    dir: PathBuf,
    exit: Option<ExitStatus>,
}

impl Launch {
    /// So many workers; 1 unless said otherwise.
    pub fn workers(mut self, workers: usize) -> Launch {
        self.workers = workers;
        self
    }

    /// `driver = "auto"`, whatever the test's driver.
    pub fn auto(mut self) -> Launch {
        self.driver = "auto";
        self
    }

    /// Each worker on one core.
    pub fn pinned(mut self) -> Launch {
        self.pin_cores = true;
        self
    }

    /// Takes something from the process before it starts.
    pub fn confined(mut self, confine: Confine) -> Launch {
        self.confined.push(confine);
        self
    }

    /// Nobody reads what it writes to stdout.
    pub fn without_stdout(mut self) -> Launch {
        self.stdout = false;
        self
    }

    /// Nobody reads its log any more once it is ready.
    pub fn deaf_after_start(mut self) -> Launch {
        self.deaf = true;
        self
    }

    /// Takes in changed files by itself, as it does unless told otherwise; tests tell it by HUP, once and no sooner.
    pub fn watching(mut self) -> Launch {
        self.watching = true;
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Launch {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The text of a whole config: `toml` after `[runtime]` and `[admin]`.
    pub fn config(&self, toml: &str) -> String {
        let Launch { workers, driver, pin_cores, .. } = self;
        let control = if self.watching { "" } else { "[control]\nwatch = false\n" };
        format!(
            "[runtime]\nworkers = {workers}\npin_cores = {pin_cores}\ndriver = \"{driver}\"\n\
             [admin]\naddress = \"127.0.0.1:0\"\n{control}{toml}"
        )
    }

    /// Starts the binary on `toml` and waits until it is ready.
    #[track_caller]
    pub fn start(&self, toml: &str) -> Proxy {
        self.start_whole(&self.config(toml))
    }

    /// As `start`, on the text of a whole config.
    #[track_caller]
    pub fn start_whole(&self, config: &str) -> Proxy {
        self.start_in(config, |_| ())
    }

    /// As `start_whole`, after `prepare` has put more files into the folder.
    #[track_caller]
    pub fn start_in(&self, config: &str, prepare: impl FnOnce(&std::path::Path)) -> Proxy {
        let proxy = self.spawn_in(config, prepare);
        let ready = |line: &str| line.contains("ready").then_some(());
        assert!(proxy.stderr.find(PATIENCE, ready).is_some(), "not ready: {:#?}", proxy.logs());
        proxy
    }

    /// Starts the binary on `toml`, whether it will be ready or not.
    #[track_caller]
    pub fn spawn(&self, toml: &str) -> Proxy {
        self.spawn_whole(&self.config(toml))
    }

    /// As `spawn`, on the text of a whole config.
    #[track_caller]
    pub fn spawn_whole(&self, config: &str) -> Proxy {
        self.spawn_in(config, |_| ())
    }

    fn spawn_in(&self, config: &str, prepare: impl FnOnce(&std::path::Path)) -> Proxy {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("it-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("ringlane.toml"), config).unwrap();
        prepare(&dir);
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringlane"));
        command
            .args(["run", "--config"])
            .arg(dir.join("ringlane.toml"))
            .current_dir(&dir)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: prctl is a plain system call: safe between fork and exec.
        unsafe {
            // Nothing stays behind, however the tests end.
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        self.confined.iter().for_each(|confine| confine.put_on(&mut command));
        let mut child = command.spawn().unwrap();
        let last = if self.deaf { Some("ready") } else { None };
        let stderr = Log::until(child.stderr.take().unwrap(), last);
        let stdout =
            child.stdout.take().filter(|_| self.stdout).map(Log::of).unwrap_or_else(Log::ended_already);
        Proxy { child, stderr, stdout, dir, exit: None }
    }
}

impl Proxy {
    /// How to start one.
    pub fn launch(driver: Driver) -> Launch {
        Launch {
            driver: driver.name(),
            workers: 1,
            pin_cores: false,
            env: Vec::new(),
            confined: Vec::new(),
            stdout: true,
            deaf: false,
            watching: false,
        }
    }

    /// Starts one with one worker on `toml` (without `[runtime]` and `[admin]`) and waits until it is ready.
    #[track_caller]
    pub fn start(driver: Driver, toml: &str) -> Proxy {
        Proxy::launch(driver).start(toml)
    }

    /// The address of the first listener.
    #[track_caller]
    pub fn address(&self) -> String {
        self.address_after("listener \"")
    }

    /// The address of the listener with this name.
    #[track_caller]
    pub fn address_of(&self, listener: &str) -> String {
        self.address_after(&format!("listener \"{listener}\""))
    }

    /// The address of the admin listener.
    #[track_caller]
    pub fn admin_address(&self) -> String {
        self.address_after("admin: ")
    }

    /// What the start-up line with `start` in it says before its comma.
    #[track_caller]
    fn address_after(&self, start: &str) -> String {
        let find = |line: &str| {
            // Quotes are escaped where the log is JSON.
            let line = line.replace('\\', "");
            let rest = &line[line.find(start)?..];
            let rest = &rest[rest.find(": ")? + 2..];
            Some(rest.split([',', '"', ' ']).next().unwrap_or_default().to_owned())
        };
        let found = self.stderr.find(PATIENCE, find);
        found.unwrap_or_else(|| panic!("no line with {start}: {:#?}", self.logs()))
    }

    /// Connects a client to the first listener.
    #[track_caller]
    pub fn connect(&self) -> Client {
        Client::connect(&self.address())
    }

    /// Sends one request to the first listener, on a connection of its own.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        let mut client = self.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        client.read_response()
    }

    /// Asks the admin listener.
    #[track_caller]
    pub fn admin_get(&self, path: &str) -> Response {
        let mut client = Client::connect(&self.admin_address());
        client.send(format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n"));
        client.read_response()
    }

    /// The sum of all series of a metric that have these labels: `metric("ringlane_responses_total", "class=\"2xx\"")`,
    /// several with commas between them.
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &str) -> u64 {
        let text = self.admin_get("/metrics").text();
        let mut found = false;
        let mut sum = 0.0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (its_name, its_labels) = series.split_once('{').unwrap_or((series, ""));
            let wanted = labels.split(',').filter(|label| !label.is_empty());
            if its_name == name && wanted.into_iter().all(|label| its_labels.contains(label)) {
                found = true;
                sum += value.parse::<f64>().unwrap();
            }
        }
        assert!(found, "no metric {name} with {labels}");
        sum as u64
    }

    /// Waits until a metric has this value.
    #[track_caller]
    pub fn await_metric(&self, name: &str, labels: &str, value: u64) {
        becomes(&format!("{name}{{{labels}}}"), &value, || self.metric(name, labels));
    }

    /// Connections that were opened to upstreams.
    #[track_caller]
    pub fn upstream_connects(&self) -> u64 {
        self.metric("ringlane_upstream_connects_total", "")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: the child has not been waited for, so its id is still its own.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// Waits until the process has ended.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        assert!(self.stderr.ended(PATIENCE), "still running: {:#?}", self.logs());
        eventually("it ends", || {
            self.exit = self.exit.or_else(|| self.child.try_wait().unwrap());
            self.exit.is_some()
        });
        let exit = self.exit.unwrap();
        assert!(self.stdout.ended(PATIENCE));
        exit
    }

    /// Lines on stderr so far.
    pub fn logs(&self) -> Vec<String> {
        self.stderr.lines()
    }

    /// Waits for a line on stderr with `text` in it.
    #[track_caller]
    pub fn await_log(&self, text: &str) -> String {
        let found = self.stderr.find(PATIENCE, |line| line.contains(text).then(|| line.to_owned()));
        found.unwrap_or_else(|| panic!("no line with {text:?}: {:#?}", self.logs()))
    }

    /// Whether it gets ready. False: it ended before.
    pub fn is_ready(&self) -> bool {
        self.stderr.find(PATIENCE, |line| line.contains("ready").then_some(())).is_some()
    }

    /// What it writes to stdout.
    pub fn stdout(&self) -> &Log {
        &self.stdout
    }

    /// Its working directory, which holds `ringlane.toml`; removed with it.
    pub fn dir(&self) -> &std::path::Path {
        &self.dir
    }

    /// The number of the line of its config, from 0, that has `text` in it.
    #[track_caller]
    pub fn config_line(&self, text: &str) -> usize {
        let config = std::fs::read_to_string(self.dir.join("ringlane.toml")).unwrap();
        config.lines().position(|line| line.contains(text)).unwrap()
    }

    /// Its resident memory.
    #[track_caller]
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if self.exit.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the proxy's log:\n{}", self.logs().join("\n"));
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
