//! Selection by the index equals a linear scan in order of precedence, for any table and request.

use proptest::prelude::*;

use super::{
    random,
    reference::{Reference, twins},
    spec::{Request, Spec, build},
};
use crate::route::{Built, Outcome};

/// Builds a table, leaving out the later one of each pair of twins; twins are what the reference says, no more and no
/// fewer.
fn build_without_twins(mut specs: Vec<Spec>) -> (Vec<Spec>, Built) {
    loop {
        let errors = match build(&specs) {
            Ok(table) => {
                for (i, a) in specs.iter().enumerate() {
                    assert!(!specs[i + 1..].iter().any(|b| twins(a, b)), "{a:?} has an unseen twin");
                }
                return (specs, table);
            }
            Err(errors) => errors,
        };
        let [first, ..] = &*errors else { panic!("an error without errors") };
        let [one, other] = *first.routes else { panic!("{first}") };
        assert!(twins(&specs[one], &specs[other]), "{first}");
        assert!(first.message.contains(&format!("\"r{one}\" and \"r{other}\"")), "{first}");
        specs.remove(other);
    }
}

fn check(specs: &[Spec], reference: &Reference<'_>, table: &Built, request: &Request) {
    let view = request.view();
    let got = table.table().select(&view).map(|selected| (selected.route.id as usize, selected.prefix_len));
    let want = reference.select(request);
    assert_eq!(
        got,
        want,
        "{request:?}\ngot  {:?}\nwant {:?}",
        got.map(|(id, _)| &specs[id]),
        want.map(|(id, _)| &specs[id])
    );
    let verdicts = table.explain(&view);
    assert_eq!(verdicts.len(), specs.len());
    for verdict in verdicts {
        let id = verdict.route.id as usize;
        let won = want.is_some_and(|(winner, _)| winner == id);
        match verdict.outcome {
            Outcome::Won => assert!(won, "{id} did not win"),
            Outcome::Shadowed => assert!(!won && reference.matches(id, request), "{id} is not shadowed"),
            Outcome::LostOn(reason) => {
                assert!(!reference.matches(id, request), "{id} did not lose: {reason}")
            }
        }
    }
}

proptest! {
    #[test]
    fn selection_equals_a_linear_scan(specs in random::specs(), requests in random::requests()) {
        let (specs, table) = build_without_twins(specs);
        let reference = Reference::new(&specs);
        for request in &requests {
            check(&specs, &reference, &table, request);
        }
    }
}
