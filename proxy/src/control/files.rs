//! The files of a config: their texts, and which they are.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, SourceText};

/// A config file's bytes. 50,000 routes take about 10 MB.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Files that a config includes.
const INCLUDED_MAX: usize = 10_000;

/// A file that was read.
#[derive(Debug, Clone)]
pub(super) struct FileText {
    /// As people know it.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) text: Arc<str>,
}

/// Reads the file at `path`, which people know as `name`.
pub(super) fn read(path: &Path, name: &str) -> Result<FileText, Box<ConfigError>> {
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
pub(super) fn included(main: &FileText) -> Result<Vec<PathBuf>, Vec<ConfigError>> {
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

/// The strings of `include`, each with its place.
fn patterns(text: &str) -> Vec<(String, std::ops::Range<usize>)> {
    let (table, _) = DeTable::parse_recoverable(text);
    let Some(DeValue::Array(list)) = table.get_ref().get("include").map(|it| it.get_ref()) else {
        return Vec::new();
    };
    let text = |it: &toml::Spanned<DeValue<'_>>| Some((it.get_ref().as_str()?.to_owned(), it.span()));
    list.iter().filter_map(text).filter(|(text, _)| !text.is_empty()).collect()
}
