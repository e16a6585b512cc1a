//! One endpoint of an upstream: an echo origin in a process of its own, that can be killed, be cut off, and misbehave.
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use serde_json::Value;

use crate::{
    client::Client,
    fault::{At, Fault, Result},
    loadtest::process::{Launch, Process},
};

/// Connections that wait to be accepted: few enough that the queue can be filled.
const BACKLOG: usize = 1_024;
/// Connects beyond that which are tried; others may leave the queue meanwhile.
const FILL_SPARE: usize = 256;
/// A connect on loopback that takes longer found the queue full.
const FILL_TIMEOUT: Duration = Duration::from_millis(200);
const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);
/// A look at the counters, which is one of many.
const COUNT_TIMEOUT: Duration = Duration::from_millis(200);

/// It, running or not.
pub(crate) struct Endpoint {
    /// Where it is asked, whatever becomes of its process.
    pub(crate) address: SocketAddr,
    /// Where its counters are.
    pub(crate) control: SocketAddr,
    name: String,
    dir: PathBuf,
    cores: Vec<usize>,
    process: Option<Process>,
    /// Connections that keep its queue full.
    fillers: Vec<TcpStream>,
}

impl Endpoint {
    /// Starts one.
    pub(crate) fn start(name: &str, cores: &[usize], dir: &Path) -> Result<Self> {
        let mut this = Self {
            address: lasting_address()?,
            control: lasting_address()?,
            name: name.to_owned(),
            dir: dir.to_owned(),
            cores: cores.to_vec(),
            process: None,
            fillers: Vec::new(),
        };
        this.restart()?;
        Ok(this)
    }

    /// Its process, while there is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Ends it at once: its connections end, and others are refused.
    pub(crate) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal(libc::SIGKILL);
        }
    }

    /// Starts it again, where it was.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.kill();
        let (address, control) = (self.address.to_string(), self.control.to_string());
        let backlog = BACKLOG.to_string();
        let words = ["echo", "--listen", &address, "--control", &control, "--backlog", &backlog];
        let launch =
            Launch { name: &self.name, cores: &self.cores, dir: &self.dir, death_signal: libc::SIGKILL };
        let (process, _) = Process::start_own(&words.map(String::from), &launch)?;
        self.process = Some(process);
        Ok(())
    }

    /// Cuts it off, without the rights that a packet filter takes: its process is stopped, so that what is sent on its
    /// connections is never answered, and its queue filled, so that the kernel drops every SYN.
    pub(crate) fn cut_off(&mut self) -> Result<()> {
        if let Some(process) = &self.process {
            process.signal(libc::SIGSTOP);
        }
        for _ in 0..BACKLOG + FILL_SPARE {
            match TcpStream::connect_timeout(&self.address, FILL_TIMEOUT) {
                Ok(filler) => self.fillers.push(filler),
                Err(_) => return Ok(()),
            }
        }
        self.join_again();
        Err(Fault::new(format!("the queue of {} never filled: SYNs are not dropped here", self.name)))
    }

    /// Ends that.
    pub(crate) fn join_again(&mut self) {
        self.fillers.clear();
        if let Some(process) = &self.process {
            process.signal(libc::SIGCONT);
        }
    }

    /// Takes a behaviour on, as `echo`'s control path has it; `{}` is none.
    pub(crate) fn behave(&self, behaviour: &str) -> Result<()> {
        let path = format!("/ports/{}", self.address.port());
        Client::new(self.control, CONTROL_TIMEOUT).ask_well("PUT", &path, Some(behaviour)).map(drop)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // One that is stopped would not hear that it is to end.
        self.join_again();
    }
}

/// Ports from here on, below those that the kernel gives to whoever connects: nobody takes one while its endpoint is down,
/// and no connect to it finds itself.
const PORTS_FROM: u16 = 12_000;
const PORTS: u16 = 20_000;

/// An address that nobody listens on, to be kept.
fn lasting_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes begin at different places.
    let from = (std::process::id().wrapping_mul(97) % u32::from(PORTS)) as u16;
    for _ in 0..PORTS {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let address = (Ipv4Addr::LOCALHOST, PORTS_FROM + from.wrapping_add(next) % PORTS).into();
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(Fault::new("no free port on 127.0.0.1"))
}

/// Requests whose heads have come to the endpoint with this control address since its process began; None: it does not say.
pub(crate) fn asked(control: SocketAddr) -> Option<u64> {
    let answer = Client::new(control, COUNT_TIMEOUT).ask_well("GET", "/ports", None).ok()?;
    read_asked(&answer.body).ok()
}

fn read_asked(ports: &str) -> Result<u64> {
    let ports: Value = serde_json::from_str(ports).at("ports as JSON")?;
    let asked = ports.pointer("/0/stats/asked").and_then(Value::as_u64);
    asked.ok_or_else(|| Fault::new(format!("no counter in {ports:.200}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_read_where_the_control_path_has_it() {
        assert_eq!(read_asked(r#"[{"address": "a", "stats": {"asked": 7}}]"#).unwrap(), 7);
        assert!(read_asked("[]").is_err() && read_asked("x").is_err());
    }
}
