//! What the files say, checked: the base that all other sources add to.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    config::{Config, Route, Upstream},
    desired::twins::Twins,
    error::ConfigError,
    files::{FileText, Found, Included},
    included,
    read::{self, Failed},
    validate::Outside,
};

/// Times that bad included files are put aside before all of it is refused: one bad file may lead to another.
const TRIES_MAX: usize = 8;

/// The config of the files, or of what took their place.
#[derive(Debug)]
pub struct Base {
    /// With the routes and upstreams of the files alone.
    pub config: Config,
    /// The main file first; empty when it did not come from files.
    pub files: Vec<BaseFile>,
    /// Where routes and upstreams are, for people.
    pub(super) routes: HashMap<Arc<str>, Spot>,
    pub(super) upstreams: HashMap<Arc<str>, Spot>,
    /// What its routes ask of a request.
    pub(super) twins: Twins,
}

/// A place in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spot {
    /// Index into `Base::files`.
    pub file: usize,
    /// From 1; 0: it was no file.
    pub line: usize,
    /// Its place among all of its kind.
    pub at: usize,
}

/// One file.
#[derive(Debug)]
pub struct BaseFile {
    /// As people know it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What is in force of it.
    pub text: Arc<str>,
    /// Why what it holds now is not in force.
    pub refused: Vec<ConfigError>,
}

/// Nothing comes from elsewhere.
pub(super) struct Nothing;

impl Outside for Nothing {
    fn route(&self, _: &str) -> Option<String> {
        None
    }

    fn upstream(&self, _: &str) -> Option<String> {
        None
    }

    fn uses(&self, _: &str) -> bool {
        false
    }

    fn upstreams(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn is_empty(&self) -> bool {
        true
    }
}

impl Base {
    /// Checks the main file and what it includes. An included file that is bad has no say: what `before` had of it
    /// stays, and [`BaseFile::refused`] says why. At a start there is no before, and it is an error like any other.
    ///
    /// # Errors
    /// Every error, in the order of the files; never empty.
    pub(super) fn load(
        found: Found,
        before: Option<&Base>,
        outside: &dyn Outside,
    ) -> Result<Base, Vec<ConfigError>> {
        let main = found.main.map_err(|error| vec![*error])?;
        let main_name = main.name.clone();
        let mut texts = vec![main];
        let mut refused: HashMap<usize, Vec<ConfigError>> = HashMap::new();
        for Included { path, name, text } in found.included? {
            let text = match (text, before) {
                (Ok(text), _) => text,
                (Err(error), None) => return Err(vec![*error]),
                (Err(error), Some(before)) => {
                    refused.insert(texts.len(), vec![*error]);
                    before.text_of(&path)
                }
            };
            texts.push(FileText { name, path, text });
        }
        if let Some(read) = before.and_then(|before| included::read(before, &texts, outside)) {
            return Ok(Base::of(read, texts, refused));
        }
        for _ in 0..TRIES_MAX {
            let Failed { errors, at_fault } = match read::read(&texts, outside) {
                Ok(read) => return Ok(Base::of(read, texts, refused)),
                Err(failed) => failed,
            };
            let Some(before) = before.filter(|before| before.can_replace(&at_fault, &texts)) else {
                return Err(errors);
            };
            for at in at_fault {
                let Some(text) = texts.get_mut(at) else { continue };
                let of_it = errors.iter().filter(|it| it.file == text.name).cloned();
                refused.entry(at).or_default().extend(of_it);
                text.text = before.text_of(&text.path);
            }
        }
        let hint = "correct these files, or HUP once more".to_owned();
        let message = format!("included files are bad in more than {TRIES_MAX} ways that lead to each other");
        Err(vec![ConfigError::of_file(&main_name, message, Some(hint))])
    }

    /// Checks the text of one file.
    pub(super) fn of_text(name: &str, text: &str) -> Result<Base, Vec<ConfigError>> {
        let texts = vec![FileText { name: name.to_owned(), path: name.into(), text: text.into() }];
        let read = read::read(&texts, &Nothing).map_err(|failed| failed.errors)?;
        Ok(Base::of(read, texts, HashMap::new()))
    }

    /// Checks a config that came as JSON from `from`.
    pub(super) fn of_json(
        json: &serde_json::Value,
        from: &str,
        outside: &dyn Outside,
    ) -> Result<Base, Vec<ConfigError>> {
        let read = read::read_json(json, from, outside).map_err(|failed| failed.errors)?;
        Ok(Base::of(read, Vec::new(), HashMap::new()))
    }

    pub(super) fn of(
        read: read::Read,
        texts: Vec<FileText>,
        mut refused: HashMap<usize, Vec<ConfigError>>,
    ) -> Base {
        let file = |(at, it): (usize, FileText)| BaseFile {
            name: it.name,
            path: it.path,
            text: it.text,
            refused: refused.remove(&at).unwrap_or_default(),
        };
        let files = texts.into_iter().enumerate().map(file).collect();
        let read::Read { config, routes, upstreams, twins } = read;
        Base { config, files, routes, upstreams, twins }
    }

    /// What was in force of a file; nothing for one that is new.
    fn text_of(&self, path: &Path) -> Arc<str> {
        self.files.iter().find(|it| it.path == path).map_or_else(|| "".into(), |it| Arc::clone(&it.text))
    }

    /// Whether there is something better than each of these texts.
    fn can_replace(&self, at_fault: &BTreeSet<usize>, texts: &[FileText]) -> bool {
        let other = |text: &FileText| self.text_of(&text.path) != text.text;
        !at_fault.is_empty() && at_fault.iter().all(|at| *at > 0 && texts.get(*at).is_some_and(other))
    }

    /// Takes over what is the same in `before`, so that tables can tell it from what has changed.
    pub(super) fn share(&mut self, before: &Base) {
        // Just read, and nobody else's yet: nothing is copied.
        for (at, route) in Arc::make_mut(&mut self.config.routes).iter_mut().enumerate() {
            // Already the same, as nearly all are when little has changed: that is seen without looking it up.
            if before.config.routes.get(at).is_some_and(|it| Arc::ptr_eq(it, route)) {
                continue;
            }
            if let Some(same) = before.route(&route.name).filter(|it| it.written == route.written) {
                *route = Arc::clone(same);
            }
        }
        for upstream in &mut self.config.upstreams {
            // What is written is the same with another secret.
            let same = |it: &&Arc<Upstream>| it.written == upstream.written && it.sticky == upstream.sticky;
            if let Some(same) = before.upstream(&upstream.name).filter(same) {
                *upstream = Arc::clone(same);
            }
        }
    }

    /// Where a route is, for a sentence.
    pub(super) fn place_of_route(&self, name: &str) -> Option<String> {
        self.routes.get(name).map(|it| self.place(it))
    }

    /// Where an upstream is, for a sentence.
    pub(super) fn place_of_upstream(&self, name: &str) -> Option<String> {
        self.upstreams.get(name).map(|it| self.place(it))
    }

    fn place(&self, spot: &Spot) -> String {
        match self.files.get(spot.file) {
            Some(file) => format!("{}, line {}", file.name, spot.line),
            None => "the config that was PUT".to_owned(),
        }
    }

    /// The files that are bad now, with why.
    pub fn refused(&self) -> impl Iterator<Item = &BaseFile> {
        self.files.iter().filter(|it| !it.refused.is_empty())
    }

    /// The route of this name.
    pub(super) fn route(&self, name: &str) -> Option<&Arc<Route>> {
        self.config.routes.get(self.routes.get(name)?.at)
    }

    /// The upstream of this name.
    pub(super) fn upstream(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.config.upstreams.get(self.upstreams.get(name)?.at)
    }
}
