//! What is said about rules that are wrong, or not what was meant.

use super::{AROUND, check, good};
use crate::rule::Condition;

/// A rule of these lines, the first of which is line 4.
fn rule(lines: &str) -> String {
    format!(
        "listeners = [{{ name = \"web\", address = \"127.0.0.1:80\" }}]\n[[rules]]\nname = \"r\"\n{lines}\n\
         [[routes]]\nname = \"all\"\nrespond = {{}}\n"
    )
}

#[track_caller]
fn warnings(text: &str) -> Vec<String> {
    good(text)
        .warnings
        .iter()
        .map(|it| format!("{}:{} {}: {}", it.line, it.column, it.key, it.message))
        .collect()
}

#[test]
fn a_rule_does_something() {
    check(
        &rule(""),
        &["2:1 rules[0]: the rule does nothing | add one or more of `deny`, `drop`, `log` and `tag`"],
    );
    check(&rule("dney = {}"), &["4:1 rules[0].dney: unknown key | did you mean `deny`?"]);
    check(
        &rule("deny = {}\ndrop = true"),
        &["5:8 rules[0].drop: `drop` beside `deny` | a request is answered or it is not: leave one out"],
    );
    check(&rule("drop = false"), &["4:8 rules[0].drop: `drop = false` says nothing | leave it out"]);
    check(
        &rule("deny = { status = 200 }"),
        &["4:19 rules[0].deny.status: 200 is out of range | from 400 to 599"],
    );
    check(
        &rule("tag = \"a b\""),
        &[
            "4:7 rules[0].tag: ' ' can't be in a name | letters, digits and . _ : / - (names are labels of metrics)",
        ],
    );
}

#[test]
fn names_are_given_once() {
    check(
        &rule("drop = true\n[[rules]]\nname = \"r\"\ndrop = true"),
        &[
            "6:8 rules[1].name: the rule name `r` is given twice | logs and metrics tell them apart by name: give it another (the other is on line 3)",
        ],
    );
}

#[test]
fn conditions() {
    check(
        &rule(
            "drop = true\nmatch = { client = [\"10.1.2.3/8\", \"10.0.0.1:80\", \"::ffff:10.0.0.1\"], hosts = [] }",
        ),
        &[
            "5:21 rules[0].match.client[0]: `10.1.2.3/8` has bits set behind its first 8 | write 10.0.0.0/8 for all of that network, or 10.1.2.3 for the one address",
            "5:35 rules[0].match.client[1]: `10.0.0.1:80` is neither an address nor a network | give the address without a port",
            "5:50 rules[0].match.client[2]: `::ffff:10.0.0.1` is IPv4 written as IPv6 | clients of IPv4 are seen as such: write 10.0.0.1",
            "5:78 rules[0].match.hosts: an empty list would match nothing | leave out `hosts` to match any host",
        ],
    );
    check(
        &rule("drop = true\nmatch.headers = { host = \"a\", x = { present = true, regex = \"a\" } }"),
        &[
            "5:19 rules[0].match.headers.host: the host is no header here | use `hosts` beside `headers`",
            "5:35 rules[0].match.headers.x: both `present` and `regex` | a value that matches is present: leave out `present`",
        ],
    );
    // Wherever a regex stands, its size is bounded.
    check(
        &rule(
            "drop = true\nmatch.any = [{ path_regex = '\\w{1000}{1000}' }, { not.headers.x.regex = '\\w{1000}{1000}' }]",
        ),
        &[
            "5:29 rules[0].match.any[0].path_regex: the regex `\\w{1000}{1000}` compiles to more than 1048576 bytes | use fewer or smaller counted repetitions, or `(?-u)` where only ASCII is meant",
            "5:73 rules[0].match.any[1].not.headers.x.regex: the regex `\\w{1000}{1000}` compiles to more than 1048576 bytes | use fewer or smaller counted repetitions, or `(?-u)` where only ASCII is meant",
        ],
    );
}

#[test]
fn nesting() {
    check(
        &rule("drop = true\nmatch = { all = [], any = [{}], not = {} }"),
        &[
            "5:17 rules[0].match.all: an empty list of conditions | leave it out, or put tables into it",
            "5:28 rules[0].match.any[0]: there is no condition in it | add one, as { path_prefix = \"/api\" }, or leave it out",
            "5:39 rules[0].match.not: there is no condition in it | add one, as { path_prefix = \"/api\" }, or leave it out",
        ],
    );
    check(
        &rule("drop = true\nmatch.any = [{ pth = \"/\" }]"),
        &["5:16 rules[0].match.any[0].pth: unknown key | did you mean `path`?"],
    );
    let deep = |depth: usize| rule(&format!("drop = true\nmatch.{}path = \"/\"", "not.".repeat(depth)));
    good(&deep(8));
    check(
        &deep(9),
        &[
            "5:39 rules[0].match.not.not.not.not.not.not.not.not.not: nested more than 8 deep | leave out a level: `not` of `not` is nothing, and `all` within `all` is one `all`",
        ],
    );
    let wide =
        |count: usize| rule(&format!("drop = true\nmatch.any = [{}]", "{ path = \"/a\" },".repeat(count)));
    good(&wide(255));
    check(
        &wide(256),
        &[
            "5:1 rules[0].match: 257 conditions in one rule | at most 256: use lists and regexes, or make several rules",
        ],
    );
}

#[test]
fn log() {
    let with = |log: &str| rule(&format!("log = {{ {log} }}\n[access_log]\npath = \"stdout\""));
    for good_one in ["sample = 0", "sample = 1", "sample = 0.5", "headers = [\"user-agent\"]", ""] {
        assert_eq!(warnings(&with(good_one)), [""; 0], "{good_one}");
    }
    for (given, shown) in [("1.5", "1.5"), ("-1", "-1"), ("2", "2"), ("nan", "NaN"), ("inf", "inf")] {
        let error = format!(
            "4:18 rules[0].log.sample: {shown} is out of range | from 0 (none) to 1 (all), as 0.01 for one in a hundred"
        );
        check(&with(&format!("sample = {given}")), &[&error]);
    }
    check(
        &with("sample = \"1%\""),
        &["4:18 rules[0].log.sample: expected a number from 0 to 1, found a string"],
    );
    let many: Vec<String> = (0..17).map(|i| format!("x-{i}")).collect();
    check(
        &with(&format!("headers = {many:?}")),
        &["4:19 rules[0].log.headers: 17 headers are listed | at most 16"],
    );
    assert_eq!(
        warnings(&with("headers = [\"authorization\"]")),
        ["4:20 rules[0].log.headers[0]: the values of this field are credentials"]
    );
    assert_eq!(
        warnings(&rule("log = { sample = 0.5 }")),
        ["4:7 rules[0].log: `log` has no effect: the access log is off"]
    );
}

#[test]
fn so_many_tags_and_no_more() {
    let tagged = |count: usize| -> String {
        let rules = (0..count)
            .map(|i| format!("[[rules]]\nname = \"r{i}\"\nmatch.path = \"/{i}\"\ntag = \"t{}\"\n", i % 70));
        format!("{AROUND}{}", rules.collect::<String>())
    };
    good(&tagged(64));
    let errors = super::errors_of(&tagged(140));
    assert_eq!(errors.len(), 12, "{errors:#?}");
    assert!(errors[0].ends_with("rules[64].tag: `t64` is one tag too many | at most 64 different ones; several rules can give the same"), "{errors:#?}");
}

#[test]
fn what_comes_after_an_end_for_all_is_never_asked() {
    let rules = |first: &str| {
        format!("{AROUND}[[rules]]\nname = \"a\"\n{first}\n[[rules]]\nname = \"b\"\ntag = \"t\"\n")
    };
    for all in [
        "drop = true",
        "deny = {}",
        "deny.status = 404\ntag = \"t\"",
        "drop = true\nmatch.path_prefix = \"/\"",
    ] {
        let found = warnings(&rules(all));
        assert!(
            found.len() == 1 && found[0].ends_with("rules[1]: no request gets as far as this rule"),
            "{found:?}"
        );
    }
    assert_eq!(warnings(&rules("deny = {}\nmatch.path = \"/x\"")), [""; 0]);
    assert_eq!(warnings(&rules("tag = \"u\"")), [""; 0]);
}

#[test]
fn what_is_read_is_what_is_written() {
    let text = rule(
        "drop = true\n[rules.match]\nclient = [\"::1\"]\npath_prefix = \"/\"\npath_regex = \"x\"\nheaders.a.present = false\n\
         any = [{ query.q = \"1\" }, { methods = [\"GET\"], hosts = [\"*.a\"] }]\nnot.path = \"/{x}\"",
    );
    let config = good(&text);
    let rules = config.rules.as_ref().map(|it| &it.rules);
    let [rule] = rules.into_iter().flatten().collect::<Vec<_>>()[..] else { panic!("{rules:?}") };
    assert_eq!(
        rule.condition.to_string(),
        "client ::1 and any path and path ~ x and not (header a) and (query q = 1 or (host *.a and GET)) and not (path /{x})"
    );
    assert!(matches!(&rule.condition, Condition::All(list) if list.len() == 6));
    assert!(good(AROUND).rules.is_none());
}

#[test]
fn secrets_are_masked_however_deep() {
    let config = good(&rule(
        "drop = true\nmatch.any = [{ not.headers.x-api-key = \"s3cret\" }, { query.token.regex = \"s3cret\" }]",
    ));
    let shown = config.masked().to_string();
    assert!(!shown.contains("s3cret") && shown.matches("***").count() == 2, "{shown}");
}
