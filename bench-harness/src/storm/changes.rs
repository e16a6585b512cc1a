//! Changes, each with a number that the changed route then answers with; sent when they are due.
use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::mpsc::Sender,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::etcd;
use crate::{
    client::Client,
    cpu,
    fault::{At, Result},
    load::tally::Tally,
};

/// How long the answer to a change may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Where changes go in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The admin API.
    Api(SocketAddr),
    /// An included file, which the proxy watches.
    File(PathBuf),
    /// The JSON gateway of an etcd that it follows.
    Etcd(SocketAddr),
}

impl Source {
    /// For tables, and for the names of its routes: a name belongs to one source.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Api(_) => "api",
            Self::File(_) => "file",
            Self::Etcd(_) => "etcd",
        }
    }
}

/// Some routes of one source, changed in turn.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) source: Source,
    /// How many routes.
    pub(super) routes: usize,
}

/// Which changes of a series are sent, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// The number of the first.
    pub(super) first: u64,
    /// How many there are.
    pub(super) count: u64,
    /// When that is due.
    pub(super) begin: Instant,
    /// From one to the next.
    pub(super) every: Duration,
    /// Connections that take turns, so that one slow answer does not hold up the next change. A route is always changed
    /// by the same one if this divides the number of routes; of a file there is one.
    pub(super) senders: u64,
}

/// A change that is about to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) at: Instant,
}

/// What came of sending changes.
pub(super) struct Counts {
    /// Those that were taken.
    pub(super) accepted: u64,
    /// Those that were not.
    pub(super) refused: u64,
    /// The first refusal.
    pub(super) example: Option<String>,
    /// Microseconds from when a change was due to when it was sent.
    pub(super) lateness: Histogram<u64>,
    /// Microseconds from then until it was answered.
    pub(super) answer: Histogram<u64>,
}

impl Counts {
    pub(super) fn new() -> Result<Self> {
        let empty = Tally::new()?.latency;
        Ok(Self { accepted: 0, refused: 0, example: None, lateness: empty.clone(), answer: empty })
    }

    pub(super) fn add(&mut self, other: Self) -> Result<()> {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.example = self.example.take().or(other.example);
        self.lateness.add(other.lateness).at("histograms do not add up")?;
        self.answer.add(other.answer).at("histograms do not add up")
    }

    /// Counts one.
    pub(super) fn count(&mut self, due: Instant, sent: Instant, result: Result<()>) {
        let micros = |time: Duration| time.as_micros() as u64;
        // Saturating, because an hour is the most that a histogram holds.
        self.lateness.saturating_record(micros(sent.saturating_duration_since(due)));
        self.answer.saturating_record(micros(sent.elapsed()));
        match result {
            Ok(()) => self.accepted += 1,
            Err(fault) => {
                self.refused += 1;
                self.example.get_or_insert_with(|| fault.to_string());
            }
        }
    }
}

impl Series {
    /// Which route a change is of.
    pub(super) fn slot(&self, number: u64) -> usize {
        (number % self.routes.max(1) as u64) as usize
    }

    /// Where that route is asked.
    pub(super) fn path(&self, slot: usize) -> String {
        format!("/storm/{}/{slot}", self.source.name())
    }

    fn route_name(&self, slot: usize) -> String {
        format!("storm-{}-{slot}", self.source.name())
    }

    /// A route as JSON, without its name.
    fn route(&self, slot: usize, number: u64) -> String {
        route_json(&self.path(slot), number)
    }

    /// The text of a file whose routes have the last numbers up to `number`.
    pub(super) fn file(&self, number: u64) -> String {
        let routes = self.routes.max(1) as u64;
        let last = |slot: u64| {
            let back = (number % routes + routes - slot) % routes;
            number.saturating_sub(back)
        };
        (0..routes)
            .map(|slot| {
                let (name, path) = (self.route_name(slot as usize), self.path(slot as usize));
                format!(
                    "[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"{path}\" }}\nrespond = {{ body = \"{}\" }}\n",
                    last(slot)
                )
            })
            .collect()
    }

    /// Sends those changes of a schedule that are the turn of one sender, and tells of each beforehand.
    pub(super) fn send(&self, schedule: &Schedule, sender: u64, tell: &Sender<Sent>) -> Result<Counts> {
        // Who writes a file in place must not rest between emptying and filling it.
        if !matches!(self.source, Source::File(_)) {
            cpu::set_niceness(cpu::GIVES_WAY);
        }
        let mut counts = Counts::new()?;
        let mut client = match self.source {
            Source::Api(address) | Source::Etcd(address) => Some(Client::new(address, ANSWER_TIMEOUT)),
            Source::File(_) => None,
        };
        let senders = schedule.senders.max(1);
        for turn in (0..schedule.count).filter(|turn| (schedule.first + turn) % senders == sender) {
            let due = schedule.begin + schedule.every * turn as u32;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let sent = Sent { number: schedule.first + turn, at: Instant::now() };
            // Nobody may be interested.
            let _ = tell.send(sent);
            let result = self.change(sent.number, client.as_mut());
            counts.count(due, sent.at, result);
        }
        Ok(counts)
    }

    /// Makes one change.
    pub(super) fn change(&self, number: u64, client: Option<&mut Client>) -> Result<()> {
        let slot = self.slot(number);
        match (&self.source, client) {
            (Source::Api(_), Some(client)) => {
                let path = format!("/routes/{}", self.route_name(slot));
                client.ask_well("PUT", &path, Some(&self.route(slot, number))).map(drop)
            }
            (Source::Etcd(_), Some(client)) => {
                let key = format!("{}/routes/{}", etcd::PREFIX, self.route_name(slot));
                etcd::put(client, &key, &self.route(slot, number))
            }
            (Source::File(path), _) => {
                let text = self.file(number);
                // Both ways of saving: by renaming another file over it, and in place.
                if number.is_multiple_of(2) {
                    let new = path.with_extension("new");
                    fs::write(&new, text).at(format!("cannot write {}", new.display()))?;
                    fs::rename(&new, path).at(format!("cannot rename {}", new.display()))
                } else {
                    fs::write(path, text).at(format!("cannot write {}", path.display()))
                }
            }
            (Source::Api(_) | Source::Etcd(_), None) => Ok(()),
        }
    }
}

/// A route that answers a path with a number.
pub(super) fn route_json(path: &str, number: u64) -> String {
    serde_json::json!({ "match": { "path": path }, "respond": { "body": number.to_string() } }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_last_number_of_each_route() {
        let series = Series { source: Source::File("x.toml".into()), routes: 4 };
        let bodies = |number| {
            let table: toml::Table = series.file(number).parse().unwrap();
            let routes = table["routes"].as_array().unwrap().clone();
            let body = |it: &toml::Value| it["respond"]["body"].as_str().unwrap().to_owned();
            routes.iter().map(body).collect::<Vec<_>>()
        };
        assert_eq!(bodies(103), ["100", "101", "102", "103"]);
        assert_eq!(bodies(105), ["104", "105", "102", "103"]);
        assert_eq!(series.slot(105), 1);
        assert_eq!(series.path(1), "/storm/file/1");
    }

    #[test]
    fn each_change_is_sent_once_and_each_route_has_one_sender() {
        let dir = std::env::temp_dir().join(format!("ringlane-bench-changes-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let series = Series { source: Source::File(dir.join("a.toml")), routes: 4 };
        let schedule =
            Schedule { first: 10, count: 9, begin: Instant::now(), every: Duration::ZERO, senders: 2 };
        let mut numbers = Vec::new();
        for sender in 0..2 {
            let (tell, told) = std::sync::mpsc::channel();
            let counts = series.send(&schedule, sender, &tell).unwrap();
            drop(tell);
            let of_it: Vec<_> = told.iter().map(|sent| sent.number).collect();
            assert_eq!((counts.accepted, counts.refused), (of_it.len() as u64, 0));
            assert!(of_it.iter().all(|number| number % 2 == sender), "{of_it:?}");
            numbers.extend(of_it);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (10..19).collect::<Vec<u64>>());
        fs::remove_dir_all(dir).unwrap();
    }
}
