//! What clients that do little make Ringlane hold in memory: ten thousand that say nothing more, and one that takes a
//! gibibyte and takes its time. Each is measured on a proxy that has just started.
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    Cores,
    environment::Environment,
    goals::Verdict,
    measured::Spread,
    options::LoadtestArgs,
    origin,
    routes::Entrance,
    scenario::Setup,
    subject::{Subject, Subjects},
};
use crate::{
    fault::{At, Fault, Result},
    page::{Block, Table},
    resident,
};

/// Clients that are connected, have had one answer, and say nothing more.
const IDLE_CLIENTS: usize = 10_000;
/// What they may cost together, in MiB.
const IDLE_CLIENTS_MIB_MAX: f64 = 20.0;
/// What the slow client asks for.
const SLOW_BYTES: u64 = 1 << 30;
/// What it may cost meanwhile, in MiB.
const SLOW_MIB_MAX: f64 = 4.0;
/// How long it is watched; the rest of what it asked for it would take at the same pace.
const SLOW_TIME: Duration = Duration::from_secs(4);
/// It takes so much, and rests.
const SLOW_READ_BYTES: usize = 16 << 10;
const SLOW_REST: Duration = Duration::from_millis(4);

/// Resident memory of one Ringlane, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Held {
    /// Before and with the idle clients.
    idle_clients: [u64; 2],
    /// Before and, at its most, with the slow client.
    slow_client: [u64; 2],
}

/// Measures both; None where that is not asked for. What goes wrong costs a run nothing that it has already.
pub(super) fn measure(
    args: &LoadtestArgs,
    cores: Cores,
    dir: &Path,
    environment: &mut Environment,
) -> Option<Result<Held>> {
    if !args.measures_memory() || args.skip_ringlane || args.target.is_some() {
        return None;
    }
    eprintln!("memory with idle and with slow clients");
    let held = measure_both(args, cores, dir, environment);
    if let Err(fault) = &held {
        eprintln!("ERROR: {fault}");
    }
    Some(held)
}

fn measure_both(
    args: &LoadtestArgs,
    cores: Cores,
    dir: &Path,
    environment: &mut Environment,
) -> Result<Held> {
    let alone = LoadtestArgs { floor: false, epoll: false, peers: Vec::new(), ..args.clone() };
    let start = || Subjects::start(&alone, cores, dir, Setup::PLAIN);
    let subjects = start()?;
    if environment.commands.is_empty() {
        environment.note(&subjects);
    }
    let idle_clients = with_ringlane(&subjects, idle_clients).at("memory with idle clients")?;
    drop(subjects);
    let slow_client = with_ringlane(&start()?, slow_client).at("memory with a slow client")?;
    Ok(Held { idle_clients, slow_client })
}

/// Memory before, and what `load` has found.
fn with_ringlane(subjects: &Subjects, load: impl Fn(SocketAddr, u32) -> Result<u64>) -> Result<[u64; 2]> {
    let is_ringlane = |subject: &&Subject| subject.info.is_some();
    let subject =
        subjects.all.iter().find(is_ringlane).ok_or_else(|| Fault::new("Ringlane was not started"))?;
    let pid = subject.pid.ok_or_else(|| Fault::new("Ringlane is somebody else's process"))?;
    let before = resident::process_tree(pid)?;
    Ok([before, load(subject.address, pid)?])
}

fn idle_clients(address: SocketAddr, pid: u32) -> Result<u64> {
    let mut clients = Vec::with_capacity(IDLE_CLIENTS);
    for n in 0..IDLE_CLIENTS {
        let place = format!("client {n} of {IDLE_CLIENTS}");
        let mut client = origin::connect(address).at(&place)?;
        origin::ask(&mut client, address, &Entrance::default(), "/bytes/13").at(&place)?;
        clients.push(client);
    }
    let held = resident::process_tree(pid)?;
    // One that the proxy has closed would be held by nobody.
    for mut client in clients {
        client.set_nonblocking(true).at("an idle client")?;
        if !client.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
            return Err(Fault::new("an idle client was closed, or sent something, while others came"));
        }
    }
    Ok(held)
}

fn slow_client(address: SocketAddr, pid: u32) -> Result<u64> {
    let mut client: TcpStream = origin::connect(address)?;
    let request = format!("GET /bytes/{SLOW_BYTES} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    client.write_all(request.as_bytes()).at("a slow client")?;
    let (mut piece, mut largest) = (vec![0; SLOW_READ_BYTES], 0);
    let until = Instant::now() + SLOW_TIME;
    while Instant::now() < until {
        let n = client.read(&mut piece).at("a slow client")?;
        if n == 0 {
            return Err(Fault::new("the slow client was cut off"));
        }
        largest = largest.max(resident::process_tree(pid)?);
        thread::sleep(SLOW_REST);
    }
    Ok(largest)
}

impl Held {
    /// Both as they are, in bytes, by name, for the guard: what is above idle is little, and its share would jump.
    pub(super) fn figures(&self) -> [(String, u64); 2] {
        [
            ("memory with 10,000 idle clients".to_owned(), self.idle_clients[1]),
            ("memory with a slow client".to_owned(), self.slow_client[1]),
        ]
    }

    /// Both above idle, in bytes, by target.
    fn above_idle(&self) -> [(String, u64); 2] {
        let above = |[before, with]: [u64; 2]| with.saturating_sub(before);
        [
            ("memory: 10,000 idle clients, above idle".to_owned(), above(self.idle_clients)),
            ("memory: a client that slowly takes 1 GiB, above idle".to_owned(), above(self.slow_client)),
        ]
    }

    /// Their targets.
    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        let verdict = |((name, bytes), limit): ((String, u64), f64)| {
            let mib = mib(bytes);
            Verdict {
                what: format!("{name}, MiB"),
                name,
                scenario: "memory".into(),
                rival: String::new(),
                target: format!("<= {limit:.2}"),
                ratio: Spread { median: mib, min: mib, max: mib },
                met: mib <= limit,
                beyond: mib / limit - 1.0,
                noisy: false,
            }
        };
        self.above_idle().into_iter().zip([IDLE_CLIENTS_MIB_MAX, SLOW_MIB_MAX]).map(verdict).collect()
    }

    /// For the report.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let row = |what: &str, [before, with]: [u64; 2]| {
            let texts = [before, with, with.saturating_sub(before)].map(|bytes| format!("{:.1}", mib(bytes)));
            [what.to_owned()].into_iter().chain(texts).map(Into::into).collect()
        };
        vec![
            Block::Section("Memory".into()),
            Block::Text(format!(
                "Resident MiB of Ringlane with one worker on io_uring, just started: with {IDLE_CLIENTS} clients that had \
                 one answer and stay connected, and the most while a client takes {SLOW_BYTES} bytes at {SLOW_READ_BYTES} \
                 every {SLOW_REST:?}, for {SLOW_TIME:?}."
            )),
            Block::Table(Table {
                header: ["clients", "before", "with them", "above idle"].map(String::from).into(),
                rows: vec![row("10,000 idle", self.idle_clients), row("a slow one", self.slow_client)],
                prose: false,
            }),
        ]
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_idle_is_held_against_its_target() {
        let held = Held { idle_clients: [10 << 20, 30 << 20], slow_client: [10 << 20, 15 << 20] };
        let verdicts = held.verdicts();
        assert_eq!(verdicts.iter().map(|it| it.met).collect::<Vec<_>>(), [true, false]);
        assert_eq!(verdicts[1].by(), "25.0 %");
        let shrunk = Held { idle_clients: [10 << 20, 9 << 20], ..held };
        assert_eq!(shrunk.above_idle()[0].1, 0);
    }
}
