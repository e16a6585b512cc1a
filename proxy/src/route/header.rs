//! The header predicate: all fields listed are there with their values. A field with several lines matches if one of
//! its lines does; lines are not joined or split at commas.

use http::{HeaderMap, HeaderName};

use super::predicate::ValuePattern;

/// Whether every field is there with a value that matches.
pub(super) fn accept(wanted: &[(HeaderName, ValuePattern)], headers: &HeaderMap) -> bool {
    wanted
        .iter()
        .all(|(name, pattern)| headers.get_all(name).iter().any(|value| pattern.matches(value.as_bytes())))
}

/// The first field that is missing or wrong, in words.
pub(super) fn lost_on(wanted: &[(HeaderName, ValuePattern)], headers: &HeaderMap) -> Option<String> {
    let lost = wanted.iter().find(|one| !accept(std::slice::from_ref(one), headers))?;
    let (name, pattern) = lost;
    if headers.contains_key(name) {
        return Some(format!("header {name} {}", pattern.lacks()));
    }
    Some(format!("header {name} is absent"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn lines_and_reasons() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-a", HeaderValue::from_static("2, 3"));
        let name = |text: &'static str| HeaderName::from_static(text);
        for (name, pattern, want) in [
            (name("x-a"), ValuePattern::Present, None),
            (name("x-a"), ValuePattern::Exact("1".into()), None),
            (name("x-a"), ValuePattern::Exact("2, 3".into()), None),
            (name("x-a"), ValuePattern::Exact("2".into()), Some("header x-a is not 2")),
            (name("x-a"), ValuePattern::regex("^2").unwrap(), None),
            (name("x-a"), ValuePattern::regex("^3").unwrap(), Some("header x-a does not match the regex ^3")),
            (name("x-b"), ValuePattern::Present, Some("header x-b is absent")),
            (name("x-b"), ValuePattern::Exact("1".into()), Some("header x-b is absent")),
        ] {
            let wanted = [(name, pattern)];
            assert_eq!(lost_on(&wanted, &headers).as_deref(), want);
            assert_eq!(accept(&wanted, &headers), want.is_none());
        }
    }
}
