//! What somebody may have meant: near misses, and words that other proxies use for the same thing.

/// Words that people bring along, and ours.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("backend", "upstream"),
    ("backends", "upstreams"),
    ("bind", "address"),
    ("body_size", "request_body_bytes"),
    ("client_max_body_size", "request_body_bytes"),
    ("cluster", "upstream"),
    ("clusters", "upstreams"),
    ("domain", "hosts"),
    ("domains", "hosts"),
    ("frontends", "listeners"),
    ("host", "hosts"),
    ("hostnames", "hosts"),
    ("lb", "balance"),
    ("listen", "address"),
    ("location", "path_prefix"),
    ("locations", "routes"),
    ("max_conns", "max_connections"),
    ("method", "methods"),
    ("port", "address"),
    ("prefix", "path_prefix"),
    ("proxy_pass", "upstream"),
    ("regex", "path_regex"),
    ("return", "respond"),
    ("server_name", "hosts"),
    ("servers", "endpoints"),
    ("size", "request_body_bytes"),
    ("socket", "address"),
    ("targets", "endpoints"),
    ("threads", "workers"),
    ("uri", "path"),
    ("url", "address"),
];

/// The one of `known` that `given` most likely stands for.
pub(crate) fn nearest<'k>(given: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |text: &str| -> String {
        text.chars().filter(|it| !matches!(it, '_' | '-' | ' ' | '.')).flat_map(char::to_lowercase).collect()
    };
    let given_plain = plain(given);
    if let Some(same) = known.iter().find(|it| plain(it) == given_plain) {
        return Some(same);
    }
    let other = OTHER_WORDS.iter().filter(|(word, _)| *word == given).map(|(_, ours)| *ours);
    if let Some(ours) = other.into_iter().find(|it| known.contains(it)) {
        return known.iter().find(|it| **it == ours).copied();
    }
    if given_plain.chars().count() >= 3
        && let Some(longer) = known.iter().find(|it| plain(it).starts_with(&given_plain))
    {
        return Some(longer);
    }
    let by_distance = known.iter().map(|it| (distance(&given_plain, &plain(it)), it));
    let (distance, nearest) = by_distance.min_by_key(|(distance, _)| *distance)?;
    (distance <= (given.chars().count() / 3).clamp(1, 3)).then_some(*nearest)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[&str] = &["name", "address", "max_connections", "timeouts", "limits", "endpoints", "hosts"];

    #[test]
    fn near_misses() {
        for (given, meant) in [
            ("adress", Some("address")),
            ("maxConnections", Some("max_connections")),
            ("max-connections", Some("max_connections")),
            ("timeuot", Some("timeouts")),
            ("NAME", Some("name")),
            ("listen", Some("address")),
            ("servers", Some("endpoints")),
            ("host", Some("hosts")),
            ("max_conn", Some("max_connections")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(given, KEYS), meant, "{given}");
        }
    }
}
