//! `--targets FILE`: a list of requests with weights.
//!
//! ```text
//! # weight method path        [body=BYTES] [status=CODE]
//! 90       GET    /bytes/13
//! 9        POST   /upload     body=1000
//! 1        GET    /status/503 status=503
//! ```
use std::{fs, path::Path};

use super::{
    order::{self, ORDER_LENGTH_MAX},
    plan::{Content, Expect, Request, build_request, known_body},
    values::Target,
};
use crate::{
    fault::{At, Fault, Result},
    http::fields::is_token,
};

const FILE_BYTES_MAX: u64 = 1 << 20;
const TARGETS_MAX: usize = 1000;

/// The most that the requests of one run hold in memory.
pub(super) const REQUEST_BYTES_MAX: usize = 1 << 30;

/// What all targets have in common.
pub(super) struct Common<'a> {
    pub(super) host: &'a str,
    pub(super) headers: &'a [String],
    pub(super) close: bool,
    pub(super) any_body: bool,
}

/// One request as it was asked for, on the command line or in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) weight: u32,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) body_bytes: Option<usize>,
    pub(super) status: u16,
}

/// Reads a file of targets; what is wrong is said with file and line.
pub(super) fn read(path: &Path) -> Result<Vec<Line>> {
    let place = path.display();
    let size = fs::metadata(path).at(format!("cannot read {place}"))?.len();
    if size > FILE_BYTES_MAX {
        return Err(Fault::new(format!("{place}: {size} bytes are too many for a list of targets")));
    }
    let text = fs::read_to_string(path).at(format!("cannot read {place}"))?;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words = line.split('#').next().unwrap_or_default();
        if words.trim().is_empty() {
            continue;
        }
        lines.push(parse_line(words).at(format!("{place}:{number}"))?);
        if lines.len() > TARGETS_MAX {
            return Err(Fault::new(format!("{place}:{number}: more than {TARGETS_MAX} targets")));
        }
    }
    let weights: Vec<u32> = lines.iter().map(|line| line.weight).collect();
    match order::length(&weights) {
        0 => Err(Fault::new(format!("{place}: no targets: write lines such as `1 GET /`"))),
        1..=ORDER_LENGTH_MAX => Ok(lines),
        sum => Err(Fault::new(format!(
            "{place}: the weights add up to {sum} after dividing by what they have in common; at most \
             {ORDER_LENGTH_MAX}: use smaller or rounder ones"
        ))),
    }
}

fn parse_line(line: &str) -> Result<Line, String> {
    let mut words = line.split_ascii_whitespace();
    let weight = words.next().unwrap_or_default();
    let weight: u32 = weight
        .parse()
        .ok()
        .filter(|&n| n > 0)
        .ok_or_else(|| format!("{weight:?} is not a weight: write a whole number above 0"))?;
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err("a target is `WEIGHT METHOD PATH [body=BYTES] [status=CODE]`".into());
    };
    let mut target =
        Line { weight, method: method.to_owned(), path: path.to_owned(), body_bytes: None, status: 200 };
    for word in words {
        match word.split_once('=') {
            Some(("body", n)) => {
                target.body_bytes =
                    Some(n.parse().map_err(|_| format!("{word:?}: a number of bytes is needed"))?);
            }
            Some(("status", n)) => {
                target.status =
                    n.parse().map_err(|_| format!("{word:?}: a status is three digits, as in 204"))?;
            }
            _ => return Err(format!("{word:?} is neither body=BYTES nor status=CODE")),
        }
    }
    target.check()?;
    Ok(target)
}

impl Line {
    /// Whether it makes a request; says which part does not.
    pub(super) fn check(&self) -> Result<(), String> {
        if !is_token(self.method.as_bytes()) {
            return Err(format!("{:?} is not a method: use letters, as in POST", self.method));
        }
        if !self.path.starts_with('/') && self.path != "*" {
            return Err(format!("path {:?} does not begin with a slash", self.path));
        }
        if self.path.bytes().any(|byte| byte <= b' ' || byte >= 0x7F) {
            return Err(format!("path {:?} holds what a path can't: percent-encode it", self.path));
        }
        if !(200..1000).contains(&self.status) {
            return Err(format!("status {} is not one of a final answer: 200 to 999", self.status));
        }
        if self.body_bytes.is_some_and(|n| n > REQUEST_BYTES_MAX) {
            return Err(format!("a request body has at most {REQUEST_BYTES_MAX} bytes"));
        }
        Ok(())
    }

    pub(super) fn request(&self, common: &Common<'_>) -> Request {
        let target = Target { host: common.host.to_owned(), path: self.path.clone() };
        let known = match common.any_body {
            true => Content::Any,
            false => known_body(&self.path, self.status, self.body_bytes),
        };
        Request {
            weight: self.weight,
            name: format!("{} {}", self.method, self.path),
            bytes: build_request(&self.method, &target, common.headers, self.body_bytes, common.close),
            to_head: self.method == "HEAD",
            expect: Expect { status: self.status, body_bytes: known.length(), content: known },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_weight_method_path_and_options() {
        let line = |text| parse_line(text);
        assert_eq!(
            line(" 9  POST /upload?a=b status=201 body=1000 "),
            Ok(Line {
                weight: 9,
                method: "POST".into(),
                path: "/upload?a=b".into(),
                body_bytes: Some(1000),
                status: 201
            })
        );
        assert_eq!(line("1 GET /").map(|it| (it.body_bytes, it.status)), Ok((None, 200)));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        for (text, word) in [
            ("0 GET /", "weight"),
            ("x GET /", "weight"),
            ("1 GET", "WEIGHT METHOD PATH"),
            ("1 G(T /", "method"),
            ("1 GET x", "slash"),
            ("1 GET /\u{e9}", "percent"),
            ("1 GET / body=-1", "bytes"),
            ("1 GET / body=99999999999", "at most"),
            ("1 GET / status=x", "status"),
            ("1 GET / status=100", "final"),
            ("1 GET / again", "neither"),
        ] {
            let error = parse_line(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
