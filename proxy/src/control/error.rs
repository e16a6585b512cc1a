//! One thing that is wrong with a config, with its place, in words for the person who wrote it.

use std::{fmt, ops::Range};

/// An error (or, in `Config::warnings`, a warning) about a config file, or about an object that came as JSON.
///
/// `Display` writes it as compilers do (for JSON `FILE` is where it came from, followed by a pointer, RFC 6901):
///
/// ```text
/// ringlane.toml:7:1: listeners[0].adress: unknown key
///     7 | adress = "0.0.0.0:8080"
///       | ^^^^^^
///   hint: did you mean `address`?
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Whether the config can be used all the same.
    pub severity: Severity,
    /// The file as it was named on the command line.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Where in JSON, which has no lines: a JSON pointer, empty for the whole. `None`: it is a file.
    pub pointer: Option<String>,
    /// Path of the key, as `listeners[0].timeouts.keep_alive`; empty for an error of the file as a whole.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The text at fault; `None` where there is no text to show.
    pub excerpt: Option<Excerpt>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The config can't be used.
    Error,
    /// It can be used, but is probably not what was meant.
    Warning,
}

/// The line of a file that an error points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, without its end, control characters made spaces, cut to what fits a screen.
    pub text: String,
    /// Characters before the fault.
    pub start: usize,
    /// Characters at fault, at least 1.
    pub width: usize,
}

/// Characters of a line that an excerpt shows.
const EXCERPT_CHARS_MAX: usize = 100;
/// Stands for what is cut off.
const CUT: &str = "...";
/// Characters shown before the fault in a line that is cut.
const EXCERPT_CHARS_BEFORE: usize = 60;

impl ConfigError {
    /// An error about a file that has no text to point into.
    pub fn of_file(file: &str, message: impl Into<String>, hint: Option<String>) -> ConfigError {
        let (file, message) = (file.to_owned(), message.into());
        let severity = Severity::Error;
        let (key, excerpt) = (String::new(), None);
        ConfigError { severity, file, line: 1, column: 1, pointer: None, key, message, hint, excerpt }
    }

    /// An error at `pointer` in JSON that came from `from`.
    pub fn of_json(
        from: &str,
        pointer: String,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> ConfigError {
        ConfigError { pointer: Some(pointer), ..ConfigError::of_file(from, message, hint) }
    }

    /// It in one line, for a log: `FILE:LINE:COLUMN: key: message (hint)`.
    pub fn one_line(&self) -> String {
        let plain = ConfigError { excerpt: None, hint: None, ..self.clone() };
        let hint = self.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
        format!("{plain}{hint}")
    }

    /// Writes it with `paint` applied to each part, for a terminal.
    pub fn write(&self, f: &mut dyn fmt::Write, paint: &dyn Fn(Part, &str) -> String) -> fmt::Result {
        let place = match self.pointer.as_deref() {
            None => format!("{}:{}:{}", self.file, self.line, self.column),
            Some("") => self.file.clone(),
            Some(pointer) => format!("{}: {pointer}", self.file),
        };
        write!(f, "{}: ", paint(Part::Place, &place))?;
        if self.severity == Severity::Warning {
            write!(f, "{}: ", paint(Part::Severity, "warning"))?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", paint(Part::Key, &self.key))?;
        }
        write!(f, "{}", paint(Part::Message, &self.message))?;
        if let Some(excerpt) = &self.excerpt {
            let bar = paint(Part::Margin, "|");
            let number = paint(Part::Margin, &format!("{:>5}", self.line));
            let carets = paint(Part::Caret, &"^".repeat(excerpt.width));
            write!(f, "\n{number} {bar} {}", excerpt.text)?;
            write!(f, "\n{:5} {bar} {:start$}{carets}", "", "", start = excerpt.start)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  {} {hint}", paint(Part::Hint, "hint:"))?;
        }
        Ok(())
    }
}

/// A part of an error's text, for colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `FILE:LINE:COLUMN`.
    Place,
    /// The word `warning`.
    Severity,
    /// The key path.
    Key,
    /// What is wrong.
    Message,
    /// The line number and the bar beside an excerpt.
    Margin,
    /// What underlines the fault.
    Caret,
    /// The word `hint:`.
    Hint,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &|_, text| text.to_owned())
    }
}

impl std::error::Error for ConfigError {}

/// A file's name and text, to turn byte offsets into lines and columns.
pub(crate) struct SourceText<'t> {
    pub(crate) file: &'t str,
    text: &'t str,
    line_starts: Vec<usize>,
}

impl<'t> SourceText<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        SourceText { file, text, line_starts }
    }

    /// An error about the bytes of `span`, of which the first line is shown.
    pub(crate) fn error(
        &self,
        span: Range<usize>,
        key: String,
        message: String,
        hint: Option<String>,
    ) -> ConfigError {
        let start = floor(self.text, span.start);
        let line = self.line(start);
        let line_text = self.line_text(line);
        let before = self.text.get(self.line_starts[line - 1]..start).unwrap_or("");
        let column = before.chars().count() + 1;
        let end = floor(self.text, span.end.max(start));
        let at_fault = self.text.get(start..end).unwrap_or("");
        let width = at_fault.lines().next().map_or(0, |it| it.trim_end().chars().count());
        let excerpt = (!line_text.trim().is_empty()).then(|| excerpt(line_text, column - 1, width));
        ConfigError {
            severity: Severity::Error,
            file: self.file.to_owned(),
            line,
            column,
            pointer: None,
            key,
            message,
            hint,
            excerpt,
        }
    }

    /// The line, from 1, that holds the byte at `offset`.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).max(1)
    }

    fn line_text(&self, line: usize) -> &'t str {
        let start = self.line_starts[line - 1];
        let end = self.line_starts.get(line).map_or(self.text.len(), |next| next - 1);
        self.text.get(start..end).unwrap_or("").trim_end_matches('\r')
    }
}

/// The largest character boundary of `text` that is not beyond `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|it| text.is_char_boundary(*it)).unwrap_or(0)
}

fn excerpt(line: &str, start: usize, width: usize) -> Excerpt {
    let plain: Vec<char> = line.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    if plain.len() <= EXCERPT_CHARS_MAX {
        let width = width.min(plain.len().saturating_sub(start)).max(1);
        return Excerpt { text: plain.into_iter().collect(), start, width };
    }
    let from = start.saturating_sub(EXCERPT_CHARS_BEFORE).min(plain.len() - EXCERPT_CHARS_MAX);
    let to = from + EXCERPT_CHARS_MAX;
    let (before, after) = (if from > 0 { CUT } else { "" }, if to < plain.len() { CUT } else { "" });
    let shown: String = plain[from..to].iter().collect();
    let start = start - from;
    let width = width.min(EXCERPT_CHARS_MAX.saturating_sub(start)).max(1);
    Excerpt { text: format!("{before}{shown}{after}"), start: start + before.len(), width }
}
