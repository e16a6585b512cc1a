//! One port of the origin: its behaviour, which can be changed while it runs, and its counters.
use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    path::Path,
};

use serde_json::{Value, json};

use super::{
    behaviour::{Behaviour, Fate},
    random::Random,
    stats::Stats,
};
use crate::fault::{At, Fault, Result};

/// A port, shared by its connections.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    /// Whether there is a behaviour at all: the one question that the fast path asks.
    pub(crate) unruly: Cell<bool>,
    behaviour: RefCell<(Behaviour, Random)>,
    pub(crate) stats: Stats,
}

impl Port {
    pub(crate) fn new(address: SocketAddr, behaviour: Behaviour) -> Self {
        let this = Self {
            address,
            unruly: Cell::new(false),
            behaviour: RefCell::new((Behaviour::default(), Random::new(0))),
            stats: Stats::default(),
        };
        this.behave(behaviour);
        this
    }

    /// Takes a behaviour on, from the next request of any connection on.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.unruly.set(!behaviour.is_plain());
        let random = Random::new(behaviour.seed);
        *self.behaviour.borrow_mut() = (behaviour, random);
    }

    /// Whether what is dropped is reset.
    pub(crate) fn resets(&self) -> bool {
        self.behaviour.borrow().0.reset
    }

    /// What becomes of the next request.
    pub(crate) fn draw(&self) -> Fate {
        let (behaviour, random) = &mut *self.behaviour.borrow_mut();
        behaviour.draw(random)
    }

    /// What the control path tells of it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "address": self.address.to_string(),
            "behaviour": self.behaviour.borrow().0.to_json(),
            "stats": self.stats.snapshot(),
        })
    }
}

/// Which port behaves how from the start: for all ports (None), or for one.
#[derive(Debug, Default)]
pub(crate) struct Assigned(Vec<(Option<u16>, Behaviour)>);

impl Assigned {
    /// Takes `[PORT:]KEY=VALUE,..` from the command line.
    pub(crate) fn add_text(&mut self, text: &str) -> Result<()> {
        let (port, keys) = match text.split_once(':') {
            Some((port, keys)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (Some(port.parse().at(format!("--behave {text:?}: port"))?), keys)
            }
            _ => (None, text),
        };
        self.0.push((port, Behaviour::of_text(keys).at(format!("--behave {text:?}"))?));
        Ok(())
    }

    /// Takes tables `[ports.PORT]` and `[all]` from a TOML file.
    pub(crate) fn add_file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path).at(format!("cannot read {}", path.display()))?;
        let table: toml::Table = text.parse().at(path.display())?;
        for (name, value) in &table {
            let place = format!("{}: {name}", path.display());
            match (name.as_str(), value) {
                ("all", value) => self.0.push((None, of_toml(value).at(place)?)),
                ("ports", toml::Value::Table(ports)) => {
                    for (port, value) in ports {
                        let place = format!("{place}.{port}");
                        let port = port.parse().at(format!("{place}: a port"))?;
                        self.0.push((Some(port), of_toml(value).at(place)?));
                    }
                }
                _ => return Err(Fault::new(format!("{place}: not [all] or [ports.PORT]"))),
            }
        }
        Ok(())
    }

    /// The behaviour of a port; what was said last, and of this port rather than of all, holds.
    pub(crate) fn of(&self, port: u16) -> Behaviour {
        let last = |wanted| self.0.iter().rev().find(|(port, _)| *port == wanted);
        last(Some(port)).or_else(|| last(None)).map(|(_, it)| it.clone()).unwrap_or_default()
    }

    /// Fails unless every port that is named is one of `ports`.
    pub(crate) fn check(&self, ports: &[u16]) -> Result<()> {
        match self.0.iter().filter_map(|(port, _)| *port).find(|port| !ports.contains(port)) {
            Some(port) => {
                Err(Fault::new(format!("a behaviour for port {port}, which --listen does not have")))
            }
            None => Ok(()),
        }
    }
}

fn of_toml(value: &toml::Value) -> Result<Behaviour> {
    match serde_json::to_value(value).at("as JSON")? {
        Value::Object(map) => Behaviour::of(&map),
        _ => Err(Fault::new("not a table")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_a_port_holds() {
        let mut assigned = Assigned::default();
        for text in ["9001:seed=1", "seed=2", "9001:seed=3", "delay=uniform:1ms:2ms,seed=4"] {
            assigned.add_text(text).unwrap();
        }
        assert_eq!((assigned.of(9001).seed, assigned.of(9002).seed), (3, 4));
        assert!(assigned.check(&[9001]).is_ok());
        let fault = assigned.check(&[9002]).unwrap_err().to_string();
        assert!(fault.contains("port 9001"), "{fault}");
    }

    #[test]
    fn errors_name_the_place() {
        let mut assigned = Assigned::default();
        let fault = assigned.add_text("9001:error_rate=2").unwrap_err().to_string();
        assert_eq!(
            fault,
            "--behave \"9001:error_rate=2\": error_rate: 2 is not a share of the requests, 0 to 1"
        );
        let path = std::env::temp_dir().join(format!("ringlane-bench-behaviour-{}.toml", std::process::id()));
        for (text, wanted) in [
            ("[ports.9001]\ndelay = 1\n", ": ports.9001: delay: write 20ms"),
            ("[ports.x]\n", ": ports.x: a port: "),
            ("[ports]\n9001 = 1\n", ": ports.9001: not a table"),
            ("[other]\n", ": other: not [all] or [ports.PORT]"),
            ("[all]\ndelay = \n", "line 2"),
        ] {
            std::fs::write(&path, text).unwrap();
            let fault = assigned.add_file(&path).unwrap_err().to_string();
            assert!(fault.starts_with(&path.display().to_string()) && fault.contains(wanted), "{fault}");
        }
        std::fs::write(&path, "[all]\nseed = 5\n[ports.9001]\nerror_rate = 0.5\n").unwrap();
        assigned.add_file(&path).unwrap();
        assert_eq!((assigned.of(9001).error_rate, assigned.of(1).seed), (0.5, 5));
        std::fs::remove_file(&path).unwrap();
    }
}
