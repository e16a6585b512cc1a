//! The files of a config: their texts, and which they are.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, SourceText};

/// A config file's bytes. 50,000 routes take about 10 MB.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Files that a config includes.
const INCLUDED_MAX: usize = 10_000;

/// Two looks at the files, so far apart, that find the same: nobody is in the middle of writing them.
const SETTLED: Duration = Duration::from_millis(20);
/// Changes seen until then. Files that change all the time are taken as they are.
const CHANGES_MAX: usize = 10;
/// A file that has become empty is believed after this: whoever writes in place on a busy machine may rest in between.
const EMPTY_SETTLED: Duration = Duration::from_secs(1);

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileText {
    /// As people know it.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) text: Arc<str>,
}

/// All files of a config as they were at one moment, or what was in the way of reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub(super) main: Result<FileText, Box<ConfigError>>,
    /// In the order of their names. What is wrong here is wrong with `main`.
    pub(super) included: Result<Vec<Included>, Vec<ConfigError>>,
}

/// An included file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Included {
    pub(super) path: PathBuf,
    /// As people know it.
    pub(super) name: String,
    pub(super) text: Result<Arc<str>, Box<ConfigError>>,
}

impl Found {
    /// Reads all that is there now.
    pub fn now(path: &Path) -> Found {
        let main = read(path, &path.display().to_string());
        let included = main.as_ref().map_or(Ok(Vec::new()), included);
        let read = |path: PathBuf| {
            let name = path.display().to_string();
            let text = read(&path, &name).map(|it| it.text);
            Included { path, name, text }
        };
        Found { main, included: included.map(|paths| paths.into_iter().map(read).collect()) }
    }

    /// The same, when nobody is in the middle of writing: a file that is written in place is empty, and then half there,
    /// for a moment, which can be a good config of fewer routes.
    pub async fn settled(path: &Path) -> Found {
        let mut found = Found::now(path);
        let (mut changes, mut since) = (0, Instant::now());
        while changes < CHANGES_MAX {
            tokio::time::sleep(SETTLED).await;
            let again = Found::now(path);
            if again != found {
                (found, changes, since) = (again, changes + 1, Instant::now());
            } else if since.elapsed() >= EMPTY_SETTLED || !found.was_just_emptied() {
                break;
            }
        }
        found
    }

    /// Whether a file is empty, and was written not long ago.
    fn was_just_emptied(&self) -> bool {
        let main = self.main.as_ref().map(|it| (&it.path, &it.text)).ok();
        let included =
            self.included.iter().flatten().filter_map(|it| Some((&it.path, it.text.as_ref().ok()?)));
        main.into_iter().chain(included).any(|(path, text)| {
            let written = || std::fs::metadata(path).and_then(|it| it.modified());
            // A time in the future is one of a clock that was set back.
            let age = || written().ok()?.elapsed().ok();
            text.trim_ascii().is_empty() && age().is_some_and(|age| age < EMPTY_SETTLED)
        })
    }

    /// It as a number: another one means that something has changed.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = foldhash::quality::FixedState::default().build_hasher();
        let mut add = |path: &Path, text: Result<&Arc<str>, &Box<ConfigError>>| {
            path.hash(&mut hasher);
            text.map_err(ToString::to_string).hash(&mut hasher);
        };
        match &self.main {
            Ok(main) => add(&main.path, Ok(&main.text)),
            Err(error) => add(Path::new(""), Err(error)),
        }
        self.included.iter().flatten().for_each(|it| add(&it.path, it.text.as_ref()));
        hasher.finish()
    }
}

/// Reads the file at `path`, which people know as `name`.
fn read(path: &Path, name: &str) -> Result<FileText, Box<ConfigError>> {
    let unreadable = |error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound if path.is_relative() => {
                std::env::current_dir().ok().map(|it| format!("it was looked for in {}", it.display()))
            }
            io::ErrorKind::PermissionDenied => {
                Some("the user that runs ringlane must be able to read it".to_owned())
            }
            _ => None,
        };
        Box::new(ConfigError::of_file(name, format!("the file can't be read: {error}"), hint))
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_BYTES_MAX {
        let hint = format!("at most {} MiB", FILE_BYTES_MAX >> 20);
        return Err(Box::new(ConfigError::of_file(name, "the file is too large to be a config", Some(hint))));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(FileText { name: name.to_owned(), path: path.to_owned(), text: text.into() }),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes());
            let hint = "TOML is always UTF-8: save it so".to_owned();
            let source = SourceText::new(name, &text);
            Err(Box::new(source.error(
                good..good + 1,
                String::new(),
                "the file is not UTF-8".to_owned(),
                Some(hint),
            )))
        }
    }
}

/// The files that `main` includes, in the order of their names. What is wrong with `main` itself is not looked at, but
/// for its patterns.
fn included(main: &FileText) -> Result<Vec<PathBuf>, Vec<ConfigError>> {
    let mut paths = Vec::new();
    for (pattern, span) in patterns(&main.text) {
        let at_fault = |message: String, hint: &str| {
            let source = SourceText::new(&main.name, &main.text);
            vec![source.error(span.clone(), "include".to_owned(), message, Some(hint.to_owned()))]
        };
        let folder = main.path.parent().unwrap_or(Path::new(""));
        // The folder's own name is no pattern.
        let below = glob::Pattern::escape(&folder.to_string_lossy());
        let whole = if Path::new(&pattern).is_absolute() || below.is_empty() {
            pattern.clone()
        } else {
            format!("{below}/{pattern}")
        };
        let found = glob::glob(&whole)
            .map_err(|error| at_fault(format!("not a pattern: {}", error.msg), "as \"routes.d/*.toml\""))?;
        let before = paths.len();
        for path in found {
            let unreadable = |error: glob::GlobError| {
                let error = error.error();
                at_fault(
                    format!("the folder can't be read: {error}"),
                    "the user that runs ringlane must be able to",
                )
            };
            let path = path.map_err(unreadable)?;
            if path.is_file() {
                paths.push(path);
            }
        }
        // A pattern may find nothing; a file that is named must be there.
        if paths.len() == before && !pattern.contains(['*', '?', '[']) {
            return Err(at_fault("there is no such file".to_owned(), "paths are from this file's folder on"));
        }
        if paths.len() > INCLUDED_MAX {
            return Err(at_fault(
                format!("more than {INCLUDED_MAX} files"),
                "put several routes into one file",
            ));
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// The folders that `include` of the file at `main` looks into, as far as they have no pattern in their own names.
pub(super) fn folders(main: &Path) -> Vec<PathBuf> {
    let Ok(text) = read(main, "") else { return Vec::new() };
    let below = main.parent().unwrap_or(Path::new(""));
    let folder = |(pattern, _): (String, _)| {
        let whole = below.join(pattern);
        let plain: PathBuf = whole
            .components()
            .take_while(|it| !it.as_os_str().to_string_lossy().contains(['*', '?', '[']))
            .collect();
        // Without a pattern it is a file, whose folder counts.
        let folder = if plain == whole { plain.parent().map(Path::to_path_buf)? } else { plain };
        folder.is_dir().then_some(folder)
    };
    patterns(&text.text).into_iter().filter_map(folder).collect()
}

/// The strings of `include`, each with its place.
fn patterns(text: &str) -> Vec<(String, std::ops::Range<usize>)> {
    // Keys of the whole file come before its first table, so the rest need not be parsed for them; unless what looks like
    // a table is inside a value, which then has no end.
    let (mut table, errors) = DeTable::parse_recoverable(before_tables(text));
    if !errors.is_empty() {
        (table, _) = DeTable::parse_recoverable(text);
    }
    let Some(DeValue::Array(list)) = table.get_ref().get("include").map(|it| it.get_ref()) else {
        return Vec::new();
    };
    let text = |it: &toml::Spanned<DeValue<'_>>| Some((it.get_ref().as_str()?.to_owned(), it.span()));
    list.iter().filter_map(text).filter(|(text, _)| !text.is_empty()).collect()
}

/// What comes before the first line that begins with a bracket.
fn before_tables(text: &str) -> &str {
    let mut length = 0;
    let lines = text.split_inclusive('\n').take_while(|line| !line.trim_start().starts_with('['));
    lines.for_each(|line| length += line.len());
    text.get(..length).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_found_without_the_rest_of_the_file() {
        let found = |text: &str| patterns(text).into_iter().map(|(text, _)| text).collect::<Vec<_>>();
        assert_eq!(found("include = [\"a\",\n  \"b\"]\n[runtime]\nworkers = 1\n"), ["a", "b"]);
        // A line in a string or in a list that looks like a table.
        assert_eq!(found("x = \"\"\"\n[t]\n\"\"\"\ninclude = [\"a\"]\n"), ["a"]);
        assert_eq!(found("x = [\n[1]]\ninclude = [\"a\"]\n"), ["a"]);
        assert_eq!(found("include = [\n[1], \"a\"]\n"), ["a"]);
        // That of a table is none of the file's.
        assert_eq!(found("[runtime]\ninclude = [\"a\"]\n"), Vec::<String>::new());
        assert_eq!(found(""), Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_being_written_is_waited_for() {
        let dir = std::env::temp_dir().join(format!("ringlane-settled-{}", std::process::id()));
        let path = dir.join("main.toml");
        let write = |text: &str| std::fs::write(&path, text);
        assert!(std::fs::create_dir_all(&dir).is_ok() && write("").is_ok());
        let writer = async {
            let mut clock = tokio::time::interval(SETTLED * 2 / 3);
            for text in ["", "[a]\n", ""] {
                clock.tick().await;
                assert!(write(text).is_ok());
            }
            // Emptied, and not written for long.
            tokio::time::sleep(SETTLED * 20).await;
            assert!(write("[a]\nb = 1\n").is_ok());
        };
        let (found, ()) = tokio::join!(Found::settled(&path), writer);
        assert_eq!(found.main.map(|it| it.text.to_string()), Ok("[a]\nb = 1\n".to_owned()));
        // One that stays empty is; one that has been for long is at once.
        assert!(write(" \n").is_ok());
        let begun = Instant::now();
        let found = Found::settled(&path).await;
        assert_eq!(found.main.map(|it| it.text.to_string()), Ok(" \n".to_owned()));
        assert!(begun.elapsed() >= EMPTY_SETTLED);
        let old = std::time::SystemTime::now() - EMPTY_SETTLED;
        assert!(std::fs::File::open(&path).and_then(|file| file.set_modified(old)).is_ok());
        let begun = Instant::now();
        Found::settled(&path).await;
        assert!(begun.elapsed() < EMPTY_SETTLED / 2);
        assert!(std::fs::remove_dir_all(dir).is_ok());
    }
}
