//! How soon a change takes effect: asks the changed route until it answers with the change's number, or a later one.
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::mpsc::{Receiver, TryRecvError},
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::changes::{Sent, Series};
use crate::{client::Client, cpu, fault::Result, load::tally::Tally};

/// From one question to the next: what a delay is exact to, besides the time of an answer.
const PROBE_EVERY: Duration = Duration::from_millis(1);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Rest after a question that was not answered.
const FAILURE_PAUSE: Duration = Duration::from_millis(20);
/// A little nearer to the core than those that make load: a prober that waits for its turn measures that.
const NICENESS: libc::c_int = -10;

/// What a prober saw.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Microseconds from a change's sending to the end of the first answer that had it.
    pub(super) delay: Histogram<u64>,
    /// Changes that never were in effect.
    pub(super) lost: u64,
    /// Answers with an older number than an answer before.
    pub(super) went_back: u64,
    /// Microseconds of one question and its answer.
    pub(super) probe: Histogram<u64>,
    /// Questions without an answer.
    pub(super) failures: u64,
    /// The first of them.
    pub(super) example: Option<String>,
}

/// Changes that were sent and are not in effect yet, and what each route answered last.
#[derive(Debug, Default)]
struct Pending {
    sent: BTreeMap<u64, Instant>,
    last: BTreeMap<usize, u64>,
}

impl Pending {
    /// Takes an answer with `number` of a route: gives when those changes were sent that it shows, and whether it is
    /// older than one before.
    fn answered(&mut self, series: &Series, slot: usize, number: u64) -> (Vec<Instant>, bool) {
        let shown: Vec<u64> =
            self.sent.range(..=number).map(|(n, _)| *n).filter(|n| series.slot(*n) == slot).collect();
        let sent = shown.iter().filter_map(|n| self.sent.remove(n)).collect();
        let last = self.last.insert(slot, number);
        (sent, last.is_some_and(|last| last > number))
    }
}

/// Asks at `address` until `until`, and on until every change of `told` is in effect, but not beyond `give_up`.
pub(super) fn watch(
    address: SocketAddr,
    series: &Series,
    told: &Receiver<Sent>,
    until: Instant,
    give_up: impl Fn(Instant) -> bool,
) -> Result<Seen> {
    cpu::set_niceness(NICENESS);
    let empty = Tally::new()?.latency;
    let mut seen =
        Seen { delay: empty.clone(), lost: 0, went_back: 0, probe: empty, failures: 0, example: None };
    let mut pending = Pending::default();
    let mut client = Client::new(address, TIMEOUT);
    loop {
        let all_told = take_all(told, &mut pending);
        let now = Instant::now();
        if (all_told && pending.sent.is_empty() && now >= until) || give_up(now) {
            break;
        }
        let slot = pending.sent.keys().next().map_or(0, |oldest| series.slot(*oldest));
        let answer = client.ask_well("GET", &series.path(slot), None);
        let answered = Instant::now();
        let number = answer.and_then(|answer| {
            answer.body.trim().parse::<u64>().map_err(|_| {
                crate::fault::Fault::new(format!("{} is answered {:.100}", series.path(slot), answer.body))
            })
        });
        let rest = match number {
            Ok(number) => {
                seen.probe.saturating_record(micros(now, answered));
                // A change may have been told and sent since.
                take_all(told, &mut pending);
                let (sent, back) = pending.answered(series, slot, number);
                sent.iter().for_each(|at| seen.delay.saturating_record(micros(*at, answered)));
                seen.went_back += u64::from(back);
                if sent.is_empty() { PROBE_EVERY } else { Duration::ZERO }
            }
            Err(fault) => {
                seen.failures += 1;
                seen.example.get_or_insert_with(|| fault.to_string());
                FAILURE_PAUSE
            }
        };
        thread::sleep(rest.saturating_sub(now.elapsed()));
    }
    seen.lost = pending.sent.len() as u64;
    Ok(seen)
}

/// Takes what was told; true when nothing more comes.
fn take_all(told: &Receiver<Sent>, pending: &mut Pending) -> bool {
    loop {
        match told.try_recv() {
            Ok(sent) => pending.sent.insert(sent.number, sent.at),
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) => return true,
        };
    }
}

fn micros(from: Instant, to: Instant) -> u64 {
    to.saturating_duration_since(from).as_micros() as u64
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        sync::mpsc,
    };

    use super::*;
    use crate::storm::changes::Source;

    fn series() -> Series {
        Series { source: Source::File("x.toml".into()), routes: 2 }
    }

    #[test]
    fn an_answer_shows_the_changes_of_its_route_up_to_its_number() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.sent.extend((10..16).map(|n| (n, now)));
        assert_eq!(pending.answered(&series(), 0, 12), (vec![now; 2], false));
        assert_eq!(pending.sent.keys().copied().collect::<Vec<_>>(), [11, 13, 14, 15]);
        assert_eq!(pending.answered(&series(), 1, 9), (vec![], false));
        assert_eq!(pending.answered(&series(), 0, 10), (vec![], true));
    }

    /// Answers each question with the next of `numbers`, and the last one for ever.
    fn server(numbers: &'static [u64]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let last = numbers.last().unwrap();
            for number in numbers.iter().chain(std::iter::repeat(last)) {
                if !matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
                    return;
                }
                let body = number.to_string();
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            }
        });
        address
    }

    #[test]
    fn it_asks_until_all_is_in_effect_and_counts_what_never_is() {
        let (tell, told) = mpsc::channel();
        let sent = |number| Sent { number, at: Instant::now() };
        [sent(2), sent(4)].into_iter().for_each(|it| tell.send(it).unwrap());
        drop(tell);
        let seen = watch(server(&[0, 0, 2, 4]), &series(), &told, Instant::now(), |_| false).unwrap();
        assert_eq!((seen.delay.len(), seen.lost, seen.went_back, seen.failures), (2, 0, 0, 0));
        assert_eq!(seen.probe.len(), 4);

        let (tell, told) = mpsc::channel();
        [sent(2), sent(6)].into_iter().for_each(|it| tell.send(it).unwrap());
        drop(tell);
        let asked = std::cell::Cell::new(0);
        let enough = |_| asked.replace(asked.get() + 1) > 4;
        let seen = watch(server(&[4, 2]), &series(), &told, Instant::now(), enough).unwrap();
        assert_eq!((seen.delay.len(), seen.lost, seen.went_back), (1, 1, 1));
    }
}
