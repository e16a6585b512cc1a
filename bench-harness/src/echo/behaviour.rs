//! How a port misbehaves: what can be asked for, in one notation for the command line, a file and the control path.
use std::{num::NonZeroU64, time::Duration};

use serde_json::{Map, Value, json};

use crate::{
    fault::{Fault, Result},
    load::options::parse_duration,
};

use super::random::Random;

/// The longest delay that is taken or drawn.
const DELAY_MAX: Duration = Duration::from_secs(3600);
/// The largest sigma of a log-normal delay: beyond it every other draw is nothing or [`DELAY_MAX`].
const SIGMA_MAX: f64 = 10.0;
const ERROR_STATUS_DEFAULT: u16 = 500;

/// Time between a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// Always the same.
    Constant(Duration),
    /// Anything between two bounds.
    Uniform(Duration, Duration),
    /// Around a median, with a long tail: what real services show.
    LogNormal(Duration, f64),
}

/// What a port does beyond answering. Default: nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Behaviour {
    /// Before each answer.
    pub delay: Option<Delay>,
    /// Share of requests that are answered with `error_status`, 0 to 1.
    pub error_rate: f64,
    /// With an error rate: which status, else 500.
    pub error_status: Option<u16>,
    /// Share of requests that are answered by closing the connection.
    pub drop_before_head: f64,
    /// Share of requests whose answer ends, with its connection, in the middle of the body.
    pub drop_in_body: f64,
    /// Share of requests that are answered with bytes that are no HTTP, and the end of the connection.
    pub garbage: f64,
    /// Connections that are dropped are reset, in place of an orderly end.
    pub reset: bool,
    /// How fast answers are written at most.
    pub bytes_per_second: Option<NonZeroU64>,
    /// How fast bodies of requests are read at most.
    pub read_bytes_per_second: Option<NonZeroU64>,
    /// Start of the random numbers; the same requests in the same order meet the same fate.
    pub seed: u64,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Wait before the answer.
    pub delay: Duration,
    /// An answer of this status, whatever was asked for.
    pub error: Option<u16>,
    /// Where the connection is dropped, if it is.
    pub cut: Option<Cut>,
    /// How fast the answer is written.
    pub bytes_per_second: Option<NonZeroU64>,
    /// How fast the request's body is read.
    pub read_bytes_per_second: Option<NonZeroU64>,
}

/// Where an answer ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before its first byte.
    BeforeHead,
    /// Half way through its body.
    InBody,
    /// Before its first byte, with something else in its place.
    Garbage,
}

impl Behaviour {
    /// Reads keys and values; an error names the key.
    pub fn of(map: &Map<String, Value>) -> Result<Self> {
        let mut this = Self::default();
        for (key, value) in map {
            this.set(key, value).map_err(|problem| Fault::new(format!("{key}: {problem}")))?;
        }
        Ok(this)
    }

    /// Reads `KEY=VALUE,KEY=VALUE`.
    pub fn of_text(text: &str) -> Result<Self> {
        let mut map = Map::new();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(Fault::new(format!("{pair:?} is not KEY=VALUE")));
            };
            let number = value.parse::<serde_json::Number>();
            let value = number.map_or_else(|_| Value::String(value.to_owned()), Value::Number);
            if map.insert(key.to_owned(), value).is_some() {
                return Err(Fault::new(format!("{key}: given twice")));
            }
        }
        Self::of(&map)
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), String> {
        match key {
            "delay" => self.delay = Some(delay(value)?),
            "error_rate" => self.error_rate = rate(value)?,
            "error_status" => {
                let status = value.as_u64().filter(|status| (200..1000).contains(status));
                self.error_status = Some(status.ok_or("a status is 200 to 999")? as u16);
            }
            "drop_before_head" => self.drop_before_head = rate(value)?,
            "drop_in_body" => self.drop_in_body = rate(value)?,
            "garbage" => self.garbage = rate(value)?,
            "reset" => self.reset = flag(value)?,
            "bytes_per_second" => self.bytes_per_second = Some(above_zero(value)?),
            "read_bytes_per_second" => self.read_bytes_per_second = Some(above_zero(value)?),
            "seed" => self.seed = value.as_u64().ok_or("a whole number")?,
            _ => {
                return Err("no such key; there are delay, error_rate, error_status, drop_before_head, \
                            drop_in_body, garbage, reset, bytes_per_second, read_bytes_per_second, seed"
                    .to_owned());
            }
        }
        Ok(())
    }

    /// The same keys and values that it was read from.
    pub fn to_json(&self) -> Value {
        let delay = self.delay.map(|delay| match delay {
            Delay::Constant(time) => micros(time),
            Delay::Uniform(from, to) => format!("uniform:{}:{}", micros(from), micros(to)),
            Delay::LogNormal(median, sigma) => format!("lognormal:{}:{sigma}", micros(median)),
        });
        let all = json!({
            "delay": delay,
            "error_rate": self.error_rate,
            "error_status": self.error_status,
            "drop_before_head": self.drop_before_head,
            "drop_in_body": self.drop_in_body,
            "garbage": self.garbage,
            "reset": self.reset,
            "bytes_per_second": self.bytes_per_second,
            "read_bytes_per_second": self.read_bytes_per_second,
            "seed": self.seed,
        });
        let is_set =
            |value: &Value| !value.is_null() && value.as_f64() != Some(0.0) && value != &Value::Bool(false);
        match all {
            Value::Object(map) => map.into_iter().filter(|(_, value)| is_set(value)).collect(),
            other => other,
        }
    }

    /// Whether answers are as if there were no behaviour.
    pub fn is_plain(&self) -> bool {
        Self { seed: 0, error_status: None, reset: false, ..self.clone() } == Self::default()
    }

    /// Draws what becomes of the next request. Takes as many numbers whatever comes of them, so that a rate that is
    /// changed leaves the other draws of the same seed alone.
    pub fn draw(&self, random: &mut Random) -> Fate {
        let delay = self.delay.map_or(Duration::ZERO, |delay| delay.draw(random));
        let [error, before, inside, garbage] = [(); 4].map(|()| random.unit());
        let cut = if before < self.drop_before_head {
            Some(Cut::BeforeHead)
        } else if inside < self.drop_in_body {
            Some(Cut::InBody)
        } else if garbage < self.garbage {
            Some(Cut::Garbage)
        } else {
            None
        };
        let status = self.error_status.unwrap_or(ERROR_STATUS_DEFAULT);
        let error = (error < self.error_rate).then_some(status);
        let Self { bytes_per_second, read_bytes_per_second, .. } = *self;
        Fate { delay, error, cut, bytes_per_second, read_bytes_per_second }
    }
}

impl Delay {
    fn draw(self, random: &mut Random) -> Duration {
        match self {
            Self::Constant(time) => time,
            Self::Uniform(from, to) => from + (to - from).mul_f64(random.unit()),
            Self::LogNormal(median, sigma) => {
                let seconds = median.as_secs_f64() * (sigma * random.normal()).exp();
                Duration::try_from_secs_f64(seconds).unwrap_or(DELAY_MAX).min(DELAY_MAX)
            }
        }
    }
}

fn micros(time: Duration) -> String {
    format!("{}us", time.as_micros())
}

fn rate(value: &Value) -> Result<f64, String> {
    let rate = value.as_f64().filter(|rate| (0.0..=1.0).contains(rate));
    rate.ok_or_else(|| format!("{value} is not a share of the requests, 0 to 1"))
}

fn above_zero(value: &Value) -> Result<NonZeroU64, String> {
    value.as_u64().and_then(NonZeroU64::new).ok_or_else(|| "a whole number above 0".to_owned())
}

/// On the command line it is a word.
fn flag(value: &Value) -> Result<bool, String> {
    match value.as_bool().map_or_else(|| value.as_str().and_then(|text| text.parse().ok()), Some) {
        Some(flag) => Ok(flag),
        None => Err(format!("{value} is neither true nor false")),
    }
}

fn delay(value: &Value) -> Result<Delay, String> {
    const FORMS: &str = "write 20ms, uniform:5ms:50ms or lognormal:20ms:0.5 (median and sigma)";
    let text = value.as_str().ok_or(FORMS)?;
    let time = |text: &str| {
        let time = parse_duration(text).map_err(|problem| format!("{text:?}: {problem}"))?;
        if time > DELAY_MAX { Err(format!("{text:?} is longer than an hour")) } else { Ok(time) }
    };
    match text.split(':').collect::<Vec<_>>()[..] {
        [constant] => Ok(Delay::Constant(time(constant)?)),
        ["uniform", from, to] => match (time(from)?, time(to)?) {
            (from, to) if from <= to => Ok(Delay::Uniform(from, to)),
            _ => Err(format!("{from} is more than {to}")),
        },
        ["lognormal", median, sigma] => {
            let sigma = sigma.parse().ok().filter(|sigma| (0.0..=SIGMA_MAX).contains(sigma));
            Ok(Delay::LogNormal(time(median)?, sigma.ok_or("sigma is a number from 0 to 10")?))
        }
        _ => Err(format!("{text:?}: {FORMS}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_written_again() {
        let text = "delay=lognormal:20ms:0.5,error_rate=0.25,error_status=503,drop_in_body=1,bytes_per_second=100,seed=7,\
                    garbage=0.5,reset=true,read_bytes_per_second=5";
        let behaviour = Behaviour::of_text(text).unwrap();
        assert_eq!(behaviour.delay, Some(Delay::LogNormal(Duration::from_millis(20), 0.5)));
        assert_eq!((behaviour.error_rate, behaviour.error_status), (0.25, Some(503)));
        let again = behaviour.to_json();
        assert_eq!(Behaviour::of(again.as_object().unwrap()).unwrap(), behaviour);
        assert_eq!(Behaviour::default().to_json(), json!({}));
        assert!(Behaviour::of_text("seed=1,error_status=503").unwrap().is_plain() && !behaviour.is_plain());
    }

    #[test]
    fn errors_name_the_key_and_the_fix() {
        for (text, wanted) in [
            ("delay", "\"delay\" is not KEY=VALUE"),
            ("delay=5", "delay: write 20ms, uniform"),
            ("delay=5h", "delay: \"5h\": unknown unit"),
            ("delay=90m", "delay: \"90m\" is longer than an hour"),
            ("delay=normal:1ms:2", "delay: \"normal:1ms:2\": write 20ms"),
            ("delay=uniform:9ms:1ms", "delay: 9ms is more than 1ms"),
            ("delay=lognormal:9ms:-1", "delay: sigma is a number"),
            ("error_rate=1.5", "error_rate: 1.5 is not a share"),
            ("error_rate=x", "error_rate: \"x\" is not a share"),
            ("error_status=99", "error_status: a status is 200"),
            ("bytes_per_second=0", "bytes_per_second: a whole number above 0"),
            ("reset=1", "reset: 1 is neither true nor false"),
            ("sed=1", "sed: no such key; there are delay,"),
            ("seed=1,seed=2", "seed: given twice"),
        ] {
            let fault = Behaviour::of_text(text).unwrap_err().to_string();
            assert!(fault.starts_with(wanted), "{text}: {fault}");
        }
    }

    fn fates(text: &str, count: usize) -> Vec<Fate> {
        let behaviour = Behaviour::of_text(text).unwrap();
        let mut random = Random::new(behaviour.seed);
        (0..count).map(|_| behaviour.draw(&mut random)).collect()
    }

    #[test]
    fn rates_are_kept_and_a_seed_repeats_itself() {
        let text = "error_rate=0.2,drop_before_head=0.1,drop_in_body=0.3,seed=3";
        let fates = fates(text, 10_000);
        let share = |is: fn(&Fate) -> bool| fates.iter().filter(|fate| is(fate)).count();
        assert!((1800..2200).contains(&share(|fate| fate.error == Some(500))));
        assert!((850..1150).contains(&share(|fate| fate.cut == Some(Cut::BeforeHead))));
        // Of those that are left.
        assert!((2500..2900).contains(&share(|fate| fate.cut == Some(Cut::InBody))));
        assert_eq!(self::fates(text, 100), fates[..100]);
        assert_ne!(self::fates(&text.replace("seed=3", "seed=4"), 100), fates[..100]);
    }

    #[test]
    fn delays_follow_their_distribution() {
        let sorted = |text| {
            let mut delays: Vec<_> = fates(text, 10_000).into_iter().map(|fate| fate.delay).collect();
            delays.sort();
            delays
        };
        let ms = Duration::from_millis;
        let constant = sorted("delay=20ms");
        assert!(constant.iter().all(|delay| *delay == ms(20)));
        let uniform = sorted("delay=uniform:10ms:20ms");
        assert!(uniform[0] < ms(11) && uniform[9999] > ms(19) && uniform[9999] <= ms(20));
        assert!((ms(14)..ms(16)).contains(&uniform[5000]), "{:?}", uniform[5000]);
        let normal = sorted("delay=lognormal:20ms:0.5");
        assert!((ms(19)..ms(21)).contains(&normal[5000]), "{:?}", normal[5000]);
        // e^(0.5 * 1.2816) of the median at the ninth decile, the inverse at the first.
        assert!((ms(36)..ms(40)).contains(&normal[9000]), "{:?}", normal[9000]);
        assert!((ms(10)..ms(11)).contains(&normal[1000]), "{:?}", normal[1000]);
    }
}
