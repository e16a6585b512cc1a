//! Literals that a text must have for a pattern to match it.

use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind},
};

use crate::route::parameters::{Segment, Segments};

/// Shorter ones are in nearly every text.
const LITERAL_BYTES_MIN: usize = 2;
/// More of them for one pattern find too much.
const LITERALS_MAX: usize = 32;

/// Literals in lower case, of which at least one is, in some case, in every text that the regex matches. `None`: there
/// are none that are of use.
pub(super) fn of_regex(regex: &str) -> Option<Vec<Vec<u8>>> {
    // Looser than either kind of regex that comes here, and of the same meaning where it is as strict.
    let hir = ParserBuilder::new().utf8(false).build().parse(regex).ok()?;
    let literals = needed(&hir)?;
    literals.iter().all(|it| it.len() >= LITERAL_BYTES_MIN).then_some(literals)
}

/// The longest text that every path of this form has.
pub(super) fn of_path(segments: &Segments) -> Option<Vec<Vec<u8>>> {
    let mut run = String::new();
    let mut runs = Vec::new();
    for segment in &segments.0 {
        run.push('/');
        match segment {
            Segment::Literal(text) => run.push_str(text),
            Segment::Parameter { before, after } => {
                run.push_str(before);
                runs.push(std::mem::replace(&mut run, after.clone()));
            }
            Segment::CatchAll { before } => {
                run.push_str(before);
                runs.push(std::mem::take(&mut run));
            }
        }
    }
    runs.push(run);
    let longest = runs.into_iter().max_by_key(String::len)?.to_ascii_lowercase().into_bytes();
    (longest.len() >= LITERAL_BYTES_MIN).then(|| vec![longest])
}

/// As `of_regex`, however short they are.
fn needed(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => Some(vec![vec![letter(class)?]]),
        HirKind::Capture(capture) => needed(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => needed(&repetition.sub),
        HirKind::Alternation(sides) => {
            let mut all = Vec::new();
            for side in sides {
                all.extend(needed(side)?);
                if all.len() > LITERALS_MAX {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Concat(parts) => best_of(parts),
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// The best that one of `parts`, or several that follow each other, need.
fn best_of(parts: &[Hir]) -> Option<Vec<Vec<u8>>> {
    let mut best: Option<Vec<Vec<u8>>> = None;
    let mut run = Vec::new();
    let mut consider = |literals: Vec<Vec<u8>>| {
        if worth(&literals) > best.as_deref().map_or((0, 0), worth) {
            best = Some(literals);
        }
    };
    for part in parts {
        match part.kind() {
            HirKind::Literal(literal) => run.extend(literal.0.to_ascii_lowercase()),
            // Takes no room: what is before and behind it stands side by side.
            HirKind::Look(_) | HirKind::Empty => {}
            HirKind::Class(class) if letter(class).is_some() => run.extend(letter(class)),
            _ => {
                consider(vec![std::mem::take(&mut run)]);
                if let Some(literals) = needed(part) {
                    consider(literals);
                }
            }
        }
    }
    consider(vec![run]);
    best
}

/// Long ones first, then few.
fn worth(literals: &[Vec<u8>]) -> (usize, usize) {
    let shortest = literals.iter().map(Vec::len).min().unwrap_or(0);
    (shortest, LITERALS_MAX.saturating_sub(literals.len()))
}

/// The one ASCII letter, in lower case, of which a class has nothing but the two cases.
fn letter(class: &Class) -> Option<u8> {
    let members: Vec<u32> = match class {
        Class::Unicode(class) => {
            let ranges = class.ranges();
            let single = ranges.iter().all(|range| range.start() == range.end());
            (single && ranges.len() <= 2).then(|| ranges.iter().map(|it| it.start().into()).collect())?
        }
        Class::Bytes(class) => {
            let ranges = class.ranges();
            let single = ranges.iter().all(|range| range.start() == range.end());
            (single && ranges.len() <= 2).then(|| ranges.iter().map(|it| it.start().into()).collect())?
        }
    };
    let lower =
        |member: &u32| u8::try_from(*member).ok().filter(u8::is_ascii).map(|it| it.to_ascii_lowercase());
    let first = lower(members.first()?)?;
    members.iter().all(|member| lower(member) == Some(first)).then_some(first)
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    fn shown(literals: Option<Vec<Vec<u8>>>) -> Vec<String> {
        literals.into_iter().flatten().map(|it| String::from_utf8_lossy(&it).into_owned()).collect()
    }

    #[test]
    fn of_regexes() {
        for (regex, want) in [
            ("abc", &["abc"] as &[&str]),
            ("^/service-[0-9]+/v2$", &["/service-"]),
            ("^/[a-z]+/orders/[0-9]+$", &["/orders/"]),
            ("\\.(php|aspx?)$", &["php", "asp"]),
            ("(?i)EvilBot", &["evilbot"]),
            // Other letters than these two are a long s and a Kelvin sign.
            ("(?i)desktop", &["top"]),
            ("(?i-u)desktop", &["desktop"]),
            ("(?:ab)+x{2,}", &["ab"]),
            ("a\\bb.*cdé", &["cdé"]),
            ("abc|.*", &[]),
            ("(abc)?", &[]),
            ("[0-9]+", &[]),
            ("a.b.c", &[]),
            ("", &[]),
            ("^$", &[]),
            (".*", &[]),
        ] {
            assert_eq!(shown(of_regex(regex)), want, "{regex}");
        }
    }

    #[test]
    fn of_paths() {
        for (path, want) in [
            ("/users/{id}", &["/users/"] as &[&str]),
            ("/{tenant}/Admin/x", &["/admin/x"]),
            ("/a/img-{n}.jpeg/{*rest}", &["/a/img-"]),
            ("/{a}-{{x}}/{b}", &["-{x}/"]),
            ("/{a}/{b}", &[]),
            ("/{*all}", &[]),
        ] {
            assert_eq!(shown(of_path(&Segments::parse(path).expect(path))), want, "{path}");
        }
    }
}
