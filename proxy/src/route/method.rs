//! The method predicate: one of those listed.

use http::Method;

use super::predicate::alternatives;

/// Whether `method` is listed, or none is.
pub(super) fn accept(methods: &[Method], method: &Method) -> bool {
    methods.is_empty() || methods.contains(method)
}

/// Why it does not, in words.
pub(super) fn lost_on(methods: &[Method], method: &Method) -> Option<String> {
    (!accept(methods, method)).then(|| format!("method is not {}", alternatives(methods)))
}
