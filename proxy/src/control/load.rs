//! A file's text to a `Config`, or every error in it.

use std::path::Path;

use toml::de::DeTable;

use super::{
    compile::compile,
    config::Config,
    error::{ConfigError, SourceText},
    identities::Identities,
    in_force,
    raw::{document::Document, findings::Findings, section::Section, sections::Root},
    resolve::Resolved,
    validate::validate,
};

/// A config file's bytes. 50,000 routes take about 10 MB.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Reads and checks a config file.
///
/// # Errors
/// Every error in the file, in the order of the file; never empty.
pub fn load(path: &Path) -> Result<Config, Vec<ConfigError>> {
    let file = path.display().to_string();
    let text = read(path, &file).map_err(|error| vec![*error])?;
    parse_str(&file, &text)
}

fn read(path: &Path, file: &str) -> Result<String, Box<ConfigError>> {
    let unreadable = |error: std::io::Error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound if path.is_relative() => {
                std::env::current_dir().ok().map(|it| format!("it was looked for in {}", it.display()))
            }
            std::io::ErrorKind::PermissionDenied => {
                Some("the user that runs ringlane must be able to read it".to_owned())
            }
            _ => None,
        };
        Box::new(ConfigError::of_file(file, format!("the file can't be read: {error}"), hint))
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_BYTES_MAX {
        let hint = format!("at most {} MiB", FILE_BYTES_MAX >> 20);
        return Err(Box::new(ConfigError::of_file(file, "the file is too large to be a config", Some(hint))));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes());
        let (message, hint) =
            ("the file is not UTF-8".to_owned(), "TOML is always UTF-8: save it so".to_owned());
        Box::new(SourceText::new(file, &text).error(good..good + 1, String::new(), message, Some(hint)))
    })
}

/// Checks the text of a config file. Never panics, whatever the text.
///
/// # Errors
/// As [`load`].
pub fn parse_str(file_name: &str, text: &str) -> Result<Config, Vec<ConfigError>> {
    let source = SourceText::new(file_name, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(syntax_errors(&source, text, &errors));
    }
    read_document(&Document::from_toml(table.get_ref()), &source)
}

/// Checks a config that has been parsed, from whatever syntax.
pub(super) fn read_document(
    document: &Document,
    source: &SourceText<'_>,
) -> Result<Config, Vec<ConfigError>> {
    let mut findings = Findings::default();
    let root = Root::read(document.root(), &mut findings);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let config = root.as_ref().and_then(|root| {
        let config = validate(root, cores, &mut findings)?;
        try_table(&config, root, &mut findings);
        Some(config)
    });
    let (errors, warnings) = findings.report(document, source);
    match config {
        Some(config) if errors.is_empty() => {
            let in_force = in_force::of(document.root(), &config);
            Ok(Config { warnings, in_force, ..config })
        }
        // Nothing is refused without a word; were it so, these are better than none.
        _ if errors.is_empty() => Err(vec![source.error(
            0..0,
            String::new(),
            "the config can't be used".to_owned(),
            Some("this is a fault of ringlane: please report it with the config".to_owned()),
        )]),
        _ => Err(errors),
    }
}

/// Errors of TOML itself are reported alone: what follows from a missing quote is not worth reading.
fn syntax_errors(source: &SourceText<'_>, text: &str, errors: &[toml::de::Error]) -> Vec<ConfigError> {
    let mut written: Vec<_> = errors
        .iter()
        .map(|error| {
            let span = error.span().unwrap_or(0..0);
            let (message, hint) = syntax_error(error.message(), text.get(span.clone()).unwrap_or(""));
            let yaml = text.get(span.start..).is_some_and(|it| it.starts_with(": ") || it.starts_with(":\n"));
            let hint = match text.trim_start().starts_with('{') || yaml {
                true => Some("the config is TOML: `key = value` and [tables]".to_owned()),
                false => hint,
            };
            source.error(span, String::new(), message, hint)
        })
        .collect();
    written.sort_by_key(|it| (it.line, it.column));
    written.dedup_by_key(|it| (it.line, it.column));
    written
}

/// The parser's words in ours; `at_fault` is what it points at.
fn syntax_error(message: &str, at_fault: &str) -> (String, Option<String>) {
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    match what {
        "duplicate key" => (
            "the key is given twice".to_owned(),
            Some("leave one out; for one more of a list write [[...]] with two brackets".to_owned()),
        ),
        "string values must be quoted" => {
            let one_word = !at_fault.is_empty() && !at_fault.contains(['"', ' ', '\n']);
            (format!("not TOML: {what}"), one_word.then(|| format!("write \"{at_fault}\"")))
        }
        _ => {
            let hint =
                (!expected.is_empty() && expected != "nothing").then(|| format!("expected {expected}"));
            (format!("not TOML: {what}"), hint)
        }
    }
}

/// Builds the table once for its errors: two routes that can't be told apart, patterns that it can't hold.
fn try_table(config: &Config, root: &Root, findings: &mut Findings) {
    let Err(errors) = compile(config, &Resolved::new(), &mut Identities::new(), 0, None) else { return };
    let place = |index: usize| {
        let route = root.routes.value.as_ref()?.get(index)?.value.as_ref()?;
        Some(if route.r#match.given { route.r#match.place } else { route.place })
    };
    for error in errors {
        // The later one of two is in the way of the earlier.
        let at = error.routes.last().and_then(|it| place(*it)).unwrap_or(root.routes.place);
        let (message, hint) = match error.message.split_once("; ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (error.message, None),
        };
        let mut made = findings.error(at, message);
        if let [first, _, ..] = error.routes.as_slice()
            && let Some(first) = place(*first)
        {
            made = made.other(first);
        }
        if let Some(hint) = hint {
            made.hint(hint);
        }
    }
}
