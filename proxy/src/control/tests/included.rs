//! Files that changed beside others that did not: the base comes out as if all had been read.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use proptest::prelude::*;

use crate::control::{
    base::{Base, Nothing},
    files::FileText,
    included, read,
};

const MAIN: &str = r#"
include = ["routes.d/*.toml"]
[[listeners]]
name = "http"
address = "127.0.0.1:8080"
[[upstreams]]
name = "app"
endpoints = ["127.0.0.1:9000"]
[[routes]]
name = "main"
match = { path = "/main" }
upstream = "app"
"#;

/// What an included file holds: upstreams, and routes with their paths and upstreams.
type Held = (Vec<u8>, Vec<(u8, u8, u8)>);

fn held() -> impl Strategy<Value = Held> {
    let routes =
        prop::collection::vec((0..12_u8, 0..12_u8, prop_oneof![4 => Just(0_u8), 1 => 1..3_u8]), 0..4);
    (prop::collection::vec(1..3_u8, 0..2), routes)
}

fn text((upstreams, routes): &Held) -> String {
    let mut text = String::new();
    for it in upstreams {
        let _ = write!(text, "[[upstreams]]\nname = \"u{it}\"\nendpoints = [\"127.0.0.1:900{it}\"]\n");
    }
    for (name, path, upstream) in routes {
        let upstream = if *upstream == 0 { "app".to_owned() } else { format!("u{upstream}") };
        let _ = write!(
            text,
            "[[routes]]\nname = \"r{name}\"\nmatch.path = \"/{path}\"\nupstream = \"{upstream}\"\n"
        );
    }
    text
}

fn file(name: &str, text: &str) -> FileText {
    FileText { name: name.to_owned(), path: name.into(), text: text.into() }
}

/// All of it, in an order.
fn all(base: &Base) -> String {
    let (routes, upstreams): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (base.routes.iter().collect(), base.upstreams.iter().collect());
    format!("{:?}\n{routes:?}\n{upstreams:?}\n{:?}\n{:?}", base.config, base.twins.sorted(), base.files)
}

fn whole(texts: &[FileText]) -> Option<Base> {
    let read = read::read(texts, &Nothing).ok()?;
    Some(Base::of(read, texts.to_vec(), HashMap::new()))
}

fn upon(before: &Base, texts: &[FileText]) -> Option<Base> {
    let read = included::read(before, texts, &Nothing)?;
    Some(Base::of(read, texts.to_vec(), HashMap::new()))
}

proptest! {
    #[test]
    fn it_is_as_if_all_had_been_read(
        steps in prop::collection::vec((0..3_usize, held()), 1..16),
    ) {
        let mut texts = vec![file("main", MAIN)];
        texts.extend((0..3).map(|at| file(&format!("{at}"), "")));
        let mut before = whole(&texts);
        for (at, held) in steps {
            texts[at + 1] = file(&format!("{at}"), &text(&held));
            let whole = whole(&texts);
            if let Some(base) = &before {
                let plain = |it: &Base| it.config.warnings.is_empty();
                match (upon(base, &texts), &whole) {
                    (Some(base), Some(whole)) => prop_assert_eq!(all(&base), all(whole)),
                    (Some(_), None) => prop_assert!(false, "taken, though it is wrong: {:?}", texts),
                    // What is good, and was, needs no reading of the whole.
                    (None, Some(whole)) => prop_assert!(!plain(base) || !plain(whole), "not taken: {:?}", texts),
                    (None, None) => {}
                }
            }
            before = whole.or(before);
        }
    }
}

#[test]
fn a_file_more_or_another_main_file_needs_the_whole() {
    let texts = vec![file("main", MAIN), file("a", &text(&(vec![], vec![(1, 1, 0)])))];
    let Some(before) = whole(&texts) else { panic!("it is good") };
    assert!(upon(&before, &texts).is_some());
    assert!(upon(&before, &texts[..1]).is_none());
    let more = [texts.clone(), vec![file("b", "")]].concat();
    assert!(upon(&before, &more).is_none());
    let other = vec![file("main", &MAIN.replace("8080", "8081")), texts[1].clone()];
    assert!(upon(&before, &other).is_none());
    // One that can't be read as TOML is the reader's of the whole to speak about.
    assert!(upon(&before, &[texts[0].clone(), file("a", "[[routes")]).is_none());
}
