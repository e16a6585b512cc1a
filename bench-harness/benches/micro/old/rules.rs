//! Ways to hold the regular expressions of rules.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use regex::Regex;

/// Compiled for every request.
pub fn per_request(patterns: &[String], path: &str) -> Option<usize> {
    patterns.iter().position(|pattern| Regex::new(pattern).is_ok_and(|regex| regex.is_match(path)))
}

/// Compiled when first needed, then found in a map behind a lock. Shared, not cloned: a clone starts with empty scratch
/// space, and filling that takes longer than matching.
#[derive(Default)]
pub struct Cached(Mutex<HashMap<String, Arc<Regex>>>);

impl Cached {
    fn get(&self, pattern: &str) -> Option<Arc<Regex>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(regex) = known.get(pattern) {
            return Some(Arc::clone(regex));
        }
        let regex = Arc::new(Regex::new(pattern).ok()?);
        known.insert(pattern.to_owned(), Arc::clone(&regex));
        Some(regex)
    }

    /// The first of `patterns` that matches.
    pub fn find(&self, patterns: &[String], path: &str) -> Option<usize> {
        patterns.iter().position(|pattern| self.get(pattern).is_some_and(|regex| regex.is_match(path)))
    }
}

/// Compiled once, tried one after the other.
pub fn precompiled(regexes: &[Regex], path: &str) -> Option<usize> {
    regexes.iter().position(|regex| regex.is_match(path))
}
