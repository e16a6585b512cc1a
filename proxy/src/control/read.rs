//! The texts of files, or JSON, to a `Config`, or every error in it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use serde_json::Value as Json;
use toml::de::DeTable;

use super::{
    base::Spot,
    compile::compile,
    config::Config,
    desired::twins::Twins,
    error::{ConfigError, SourceText},
    files::FileText,
    identities::Identities,
    raw::{
        document::{Document, Place},
        findings::{Findings, Part, Text},
        section::Section,
        sections::{Included, Root},
        spec::Item,
    },
    resolve::Resolved,
    validate::{Files, Outside, validate},
};

/// What was read.
pub(super) struct Read {
    pub(super) config: Config,
    pub(super) routes: HashMap<Arc<str>, Spot>,
    pub(super) upstreams: HashMap<Arc<str>, Spot>,
    pub(super) twins: Twins,
}

/// Why it can't be used.
#[derive(Debug)]
pub(super) struct Failed {
    /// Never empty.
    pub(super) errors: Vec<ConfigError>,
    /// The texts that they are in.
    pub(super) at_fault: BTreeSet<usize>,
}

/// Checks the texts of the main file and of those it includes. Never panics, whatever the texts.
pub(super) fn read<'t>(texts: &'t [FileText], outside: &dyn Outside) -> Result<Read, Failed> {
    let mut failed = Failed { errors: Vec::new(), at_fault: BTreeSet::new() };
    let mut documents = Vec::with_capacity(texts.len());
    for (part, file) in texts.iter().enumerate() {
        let (table, errors) = DeTable::parse_recoverable(&file.text);
        if !errors.is_empty() {
            let source = SourceText::new(&file.name, &file.text);
            failed.errors.extend(syntax_errors(&source, &file.text, &errors));
            failed.at_fault.insert(part);
        }
        documents.push(Document::from_toml(table.get_ref(), part));
    }
    if !failed.errors.is_empty() {
        return Err(failed);
    }
    let part = |(document, file): (_, &'t FileText)| {
        let text = Text::File(SourceText::new(&file.name, &file.text));
        Part { document, text }
    };
    let parts: Vec<_> = documents.iter().zip(texts).map(part).collect();
    read_parts(&parts, outside)
}

/// Checks a config that is JSON from `from`. It can't include files.
pub(super) fn read_json(json: &Json, from: &str, outside: &dyn Outside) -> Result<Read, Failed> {
    let document = Document::from_json(json, 0);
    if json.get("include").and_then(Json::as_array).is_some_and(|it| !it.is_empty()) {
        let hint = "put what they hold into it".to_owned();
        let error =
            ConfigError::of_json(from, "/include".to_owned(), "only a file can include files", Some(hint));
        return Err(Failed { errors: vec![error], at_fault: BTreeSet::from([0]) });
    }
    read_parts(&[Part { document: &document, text: Text::Json(from) }], outside)
}

fn read_parts(parts: &[Part<'_>], outside: &dyn Outside) -> Result<Read, Failed> {
    let mut findings = Findings::default();
    let mut roots = parts.iter().map(|it| it.document.root());
    let root = roots.next().and_then(|it| Root::read(it, &mut findings));
    let included: Vec<_> = roots.map(|it| Included::read(it, &mut findings)).collect();
    let written = |place: Place| -> Arc<str> {
        parts
            .get(place.part)
            .map_or_else(|| "{}".into(), |it| it.document.at(place).to_json().to_string().into())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let checked = root.as_ref().and_then(|root| {
        let files = Files { root, included: included.iter().flatten().collect(), written: &written };
        let config = validate(&files, outside, cores, &mut findings)?;
        try_table(&config, &files, &mut findings);
        let spots = |it: &Place| parts.get(it.part).map(|part| part.spot(*it)).unwrap_or_default();
        let routes = names(&config.routes, files.routes(), spots, |it| &it.name);
        let upstreams = names(&config.upstreams, files.upstreams(), spots, |it| &it.name);
        let twins = Twins::of_all(&config.routes);
        Some(Read { config, routes, upstreams, twins })
    });
    let at_fault = findings.parts_at_fault();
    let (errors, warnings) = findings.report(parts);
    match (checked, parts.first()) {
        (Some(read), Some(main)) if errors.is_empty() => {
            let mut settings = main.document.root().to_json();
            for key in ["routes", "upstreams"] {
                settings.as_object_mut().and_then(|it| it.shift_remove(key));
            }
            let config = Config { warnings, written: settings.to_string().into(), ..read.config };
            Ok(Read { config, ..read })
        }
        // Nothing is refused without a word; were it so, these are better than none.
        _ if errors.is_empty() => {
            let hint = "this is a fault of ringlane: please report it with the config".to_owned();
            let error = ConfigError::of_file("", "the config can't be used", Some(hint));
            Err(Failed { errors: vec![error], at_fault: BTreeSet::from([0]) })
        }
        _ => Err(Failed { errors, at_fault }),
    }
}

/// Where each name is.
fn names<'i, T, R: 'i>(
    good: &[Arc<T>],
    items: impl Iterator<Item = &'i Item<R>>,
    spot: impl Fn(&Place) -> Spot,
    name: impl Fn(&T) -> &Arc<str>,
) -> HashMap<Arc<str>, Spot> {
    let named = good.iter().zip(items).enumerate();
    named.map(|(at, (it, item))| (Arc::clone(name(it)), Spot { at, ..spot(&item.place) })).collect()
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
fn try_table(config: &Config, files: &Files<'_>, findings: &mut Findings) {
    let Err(errors) = compile(config, &Resolved::new(), &mut Identities::new(), 0, None) else { return };
    let place = |index: usize| {
        let route = files.routes().nth(index)?.value.as_ref()?;
        Some(if route.r#match.given { route.r#match.place } else { route.place })
    };
    for error in errors {
        // The later one of two is in the way of the earlier.
        let at = error.routes.last().and_then(|it| place(*it)).unwrap_or(files.root.routes.place);
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
