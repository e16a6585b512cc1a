//! What events and lists make of what is known.

use super::*;
use crate::control::etcd::Update;

fn listed(known: &mut Known, held: &[(&str, &str)]) -> Vec<Fault> {
    let mut listing = Listing::over(known);
    for (key, value) in held {
        listing.add(Held { key: key.as_bytes(), value: value.as_bytes() }, known).unwrap();
    }
    listing.finish(7, 1, known)
}

fn texts(known: &Known) -> Vec<String> {
    known.objects().into_iter().map(|it| format!("{} {}", it.key, it.value)).collect()
}

/// What an event has sent, in short.
fn event(known: &mut Known, key: &str, value: Option<&str>) -> Vec<String> {
    let mut batch = Batch::default();
    known.event(8, key.as_bytes(), value.map(str::as_bytes), &mut batch).unwrap();
    std::iter::from_fn(|| batch.pop())
        .map(|it| match it {
            Update::Bad { key, why } => format!("bad {key}: {why}"),
            Update::Mended { key } => format!("mended {key}"),
            Update::Changes { changes, .. } => {
                let text = |it: &super::super::Change| {
                    format!("{} {}={}", it.0, it.1, it.2.as_ref().map_or(String::new(), ToString::to_string))
                };
                changes.iter().map(text).collect::<Vec<_>>().join(" ")
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_list_replaces_what_was_known() {
    let mut known = Known::new("/r");
    let faults = listed(&mut known, &[("/r/routes/a", "{}"), ("/r/upstreams/b", "{\"x\":1}"), ("/r/x", "?")]);
    assert_eq!(faults, []);
    assert_eq!(texts(&known), [r#"/r/routes/a {"name":"a"}"#, r#"/r/upstreams/b {"name":"b","x":1}"#]);
    assert_eq!((known.revision, known.cluster), (7, 1));
    listed(&mut known, &[("/r/upstreams/b", "{\"x\":2}")]);
    assert_eq!(texts(&known), [r#"/r/upstreams/b {"name":"b","x":2}"#]);
    assert_eq!(known.bytes, r#"{"x":2}"#.len());
}

#[test]
fn a_bad_value_keeps_the_last_good_one() {
    let mut known = Known::new("/r");
    listed(&mut known, &[("/r/routes/a", "{\"x\":1}")]);
    let said = event(&mut known, "/r/routes/a", Some("{"));
    assert!(said.len() == 1 && said[0].starts_with("bad /r/routes/a: not JSON"), "{said:?}");
    assert_eq!(texts(&known), [r#"/r/routes/a {"name":"a","x":1}"#]);
    // A list that finds it still bad keeps it too.
    let faults = listed(&mut known, &[("/r/routes/a", "{"), ("/r/routes/b", "[]")]);
    assert_eq!(faults.iter().map(|it| it.0.as_str()).collect::<Vec<_>>(), ["/r/routes/a", "/r/routes/b"]);
    assert_eq!(texts(&known), [r#"/r/routes/a {"name":"a","x":1}"#]);
    let said = event(&mut known, "/r/routes/a", Some("{\"x\":2}"));
    assert_eq!(said, ["mended /r/routes/a", r#"route a={"name":"a","x":2}"#]);
    assert_eq!(event(&mut known, "/r/routes/b", None), ["mended /r/routes/b", "route b="]);
}

#[test]
fn a_bad_name_is_bad_until_it_is_gone() {
    let mut known = Known::new("/r");
    let said = event(&mut known, "/r/routes/a b", Some("{}"));
    assert!(said.len() == 1 && said[0].starts_with("bad /r/routes/a b: ' '"), "{said:?}");
    assert_eq!(event(&mut known, "/r/routes/a b", None), ["mended /r/routes/a b"]);
    assert_eq!(event(&mut known, "/r/else", Some("{}")), [""; 0]);
}

#[test]
fn what_passes_a_bound_changes_nothing() {
    let mut known = Known::new("/r");
    let text = format!("{{\"x\":\"{}\"}}", "y".repeat(super::super::VALUE_BYTES_MAX - 8));
    let mut batch = Batch::default();
    let fit = TOTAL_BYTES_MAX / text.len();
    for index in 0..fit {
        known.insert(Kind::Route, &format!("r{index}"), text.as_bytes()).unwrap();
    }
    let error = known.event(9, b"/r/routes/more", Some(text.as_bytes()), &mut batch).unwrap_err();
    assert!(error.contains("nothing more is taken up"), "{error}");
    assert!(batch.is_empty() && known.entries.len() == fit);
    known.event(9, b"/r/routes/r0", None, &mut batch).unwrap();
    known.event(9, b"/r/routes/more", Some(text.as_bytes()), &mut batch).unwrap();
    assert_eq!(known.entries.len(), fit);
}

#[test]
fn no_more_keys_than_the_bound() {
    let known = Known::new("/r");
    let mut listing = Listing::over(&known);
    for index in 0..KEYS_MAX {
        let key = format!("/r/routes/r{index}");
        listing.add(Held { key: key.as_bytes(), value: b"{}" }, &known).unwrap();
    }
    let one_more = Held { key: b"/r/routes/one-more", value: b"{}" };
    assert!(listing.add(one_more, &known).is_err());
    let mut full = Known::new("/r");
    listing.finish(1, 1, &mut full);
    let mut batch = Batch::default();
    assert!(full.event(2, b"/r/routes/one-more", Some(b"{}"), &mut batch).is_err());
    assert!(full.event(2, b"/r/routes/b d", Some(b"{}"), &mut batch).is_err());
    full.event(2, b"/r/routes/r1", Some(b"{\"x\":1}"), &mut batch).unwrap();
}
