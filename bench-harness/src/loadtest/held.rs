//! What clients that do little make Ringlane hold in memory: ten thousand that say nothing more, and one that takes a
//! gibibyte and takes its time. Each is measured some times, on a proxy that has just started.
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
    document::or_dash,
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
    page::{Block, Cell, Table},
    resident,
};

/// How often each is measured.
const ROUNDS: usize = 3;
/// Clients that are connected, have had one answer, and say nothing more.
const IDLE_CLIENTS: usize = 10_000;
/// How long the last of them has said nothing when memory is read: who has just been served is not idle yet.
const IDLE_FOR: Duration = Duration::from_secs(5);
/// What they may cost together, in MiB.
const IDLE_CLIENTS_MIB_MAX: f64 = 20.0;
/// What the slow client asks for.
const SLOW_BYTES: u64 = 1 << 30;
/// What it may cost meanwhile, in MiB.
const SLOW_MIB_MAX: f64 = 4.0;
/// How long it is watched; the rest of what it asked for it would take at the same pace.
const SLOW_TIME: Duration = Duration::from_secs(3);
/// It takes so much, and rests.
const SLOW_READ_BYTES: usize = 16 << 10;
const SLOW_REST: Duration = Duration::from_millis(4);

/// Resident memory of Ringlane, in bytes, round by round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Held {
    /// Before and with the idle clients.
    idle_clients: Vec<[u64; 2]>,
    /// Before and, at its most, with the slow client.
    slow_client: Vec<[u64; 2]>,
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
    let mut held = Held { idle_clients: Vec::new(), slow_client: Vec::new() };
    for _ in 0..ROUNDS {
        let subjects = start()?;
        if environment.commands.is_empty() {
            environment.note(&subjects);
        }
        held.idle_clients.push(with_ringlane(&subjects, idle_clients).at("memory with idle clients")?);
        drop(subjects);
        held.slow_client.push(with_ringlane(&start()?, slow_client).at("memory with a slow client")?);
    }
    Ok(held)
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
    thread::sleep(IDLE_FOR);
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
    pub(super) fn figures(&self) -> Vec<(&'static str, Spread)> {
        let with = |rounds: &[[u64; 2]]| Spread::of(rounds.iter().map(|[_, with]| *with as f64));
        let figures = [
            ("memory with 10,000 idle clients", with(&self.idle_clients)),
            ("memory with a slow client", with(&self.slow_client)),
        ];
        figures.into_iter().filter_map(|(name, spread)| Some((name, spread?))).collect()
    }

    /// Their targets.
    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        [
            ("memory: 10,000 idle clients, above idle", &self.idle_clients, IDLE_CLIENTS_MIB_MAX),
            ("memory: a client that slowly takes 1 GiB, above idle", &self.slow_client, SLOW_MIB_MAX),
        ]
        .into_iter()
        .filter_map(|(name, rounds, limit)| {
            let ratio = Spread::of(rounds.iter().copied().map(above_idle))?;
            Some(Verdict {
                name: name.into(),
                scenario: "memory".into(),
                rival: String::new(),
                what: format!("{name}, MiB"),
                target: format!("<= {limit:.2}"),
                ratio,
                met: ratio.median <= limit,
                beyond: ratio.median / limit - 1.0,
                noisy: false,
            })
        })
        .collect()
    }

    /// For the report.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let row = |what: &str, rounds: &[[u64; 2]]| {
            let [before, with] = [0, 1].map(|at| cell(rounds.iter().map(|round| mib(round[at]))));
            let above = cell(rounds.iter().copied().map(above_idle));
            vec![what.into(), before, with, above]
        };
        vec![
            Block::Section("Memory".into()),
            Block::Text(format!(
                "Resident MiB of Ringlane with one worker on io_uring, just started: with {IDLE_CLIENTS} clients that had \
                 one answer and have said nothing for {IDLE_FOR:?}, and the most while a client takes \
                 {SLOW_BYTES} bytes at {SLOW_READ_BYTES} every {SLOW_REST:?}, for {SLOW_TIME:?}. Medians of \
                 {ROUNDS} rounds, with the smallest and the largest."
            )),
            Block::Table(Table {
                header: ["clients", "before", "with them", "above idle"].map(String::from).into(),
                rows: vec![row("10,000 idle", &self.idle_clients), row("a slow one", &self.slow_client)],
                prose: false,
            }),
        ]
    }
}

fn above_idle([before, with]: [u64; 2]) -> f64 {
    mib(with.saturating_sub(before))
}

fn cell(mib: impl Iterator<Item = f64>) -> Cell {
    or_dash(Spread::of(mib).map(|it| format!("{:.1} ({:.1} to {:.1})", it.median, it.min, it.max)))
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_idle_is_held_against_its_target() {
        const MIB: u64 = 1 << 20;
        let round = |with: u64| [10 * MIB, with * MIB];
        let held = Held {
            idle_clients: vec![round(30), round(50), round(12)],
            slow_client: vec![round(15), round(15), round(9)],
        };
        let verdicts = held.verdicts();
        let found: Vec<_> = verdicts.iter().map(|it| (it.ratio.median, it.ratio.min, it.met)).collect();
        assert_eq!(found, [(20.0, 2.0, true), (5.0, 0.0, false)]);
        assert_eq!(verdicts[1].by(), "25.0 %");
        assert_eq!(held.figures()[0].1.median, 30.0 * MIB as f64);
        assert!(Held { idle_clients: Vec::new(), slow_client: Vec::new() }.verdicts().is_empty());
    }
}
