//! Whatever the text, there is an answer: a config, or errors with places that are in the text.

use proptest::prelude::*;

use crate::control::config::parse_str;

/// Reads `text` and looks at everything that comes out.
fn survives(text: &str) {
    match parse_str("any.toml", text) {
        Ok(config) => {
            let _ = (config.masked(), config.summary());
            config.warnings.iter().for_each(|it| assert!(!it.to_string().is_empty()));
        }
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a word: {text:?}");
            for error in errors {
                assert!(error.line >= 1 && error.line <= text.split('\n').count(), "{error}");
                assert!(error.column >= 1, "{error}");
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

/// Words that configs are made of, so that soup of them gets past the parser.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "[[listeners]]\n",
            "[[upstreams]]\n",
            "[[routes]]\n",
            "[runtime]\n",
            "[admin]\n",
            "[listeners.limits]\n",
            "[routes.match]\n",
            "[upstreams.pool]\n",
            "[upstreams]\n",
            "name = \"a\"\n",
            "name = \"b\"\n",
            "address = \"127.0.0.1:80\"\n",
            "address = \"unix:/x\"\n",
            "endpoints = [\"a:1\", { address = \"b:2\" }]\n",
            "upstream = \"a\"\n",
            "workers = 2\n",
            "respond = {}\n",
            "redirect = { path = \"/x\" }\n",
            "match = { path = \"/{a}/{*b}\" }\n",
            "match = { path_regex = \"a{1000}{1000}\" }\n",
            "match.hosts = [\"*.a\"]\n",
            "[[rules]]\n",
            "match.not.not.any = [{ client = [\"10.0.0.0/8\"] }]\n",
            "deny = {}\n",
            "drop = true\n",
            "log = { sample = 0.5 }\n",
            "tag = \"t\"\n",
            "rewrite.path_prefix = \"/\"\n",
            "split = [{ upstream = \"a\" }]\n",
            "headers = 5\n",
            "request_headers.set.x = \"y\"\n",
            "max_connections = 99999999999999999999\n",
            "path = \"/{\"\n",
            "path = \"/{{x}}\"\n",
            "# comment\n",
            "\n",
            "=",
            "{",
            "}",
            "[",
            "]",
            "\"",
            "'''",
            ",",
            ".",
        ])
        .prop_map(str::to_owned),
        "[ -~\\n]{0,12}",
    ]
}

proptest! {
    #[test]
    fn any_text(text in "\\PC{0,200}") {
        survives(&text);
    }

    #[test]
    fn any_soup_of_words(words in prop::collection::vec(word(), 0..40)) {
        survives(&words.concat());
    }

    /// The full config with a piece cut out and another put in.
    #[test]
    fn any_damage_to_a_good_config(at in 0_usize..6000, length in 0_usize..40, piece in "[\\PC\\n]{0,8}") {
        let text = super::files::text("full.toml");
        let chars: Vec<char> = text.chars().collect();
        let start = at.min(chars.len());
        let end = (start + length).min(chars.len());
        let damaged: String = chars[..start].iter().copied().chain(piece.chars()).chain(chars[end..].iter().copied()).collect();
        survives(&damaged);
    }
}

#[test]
fn odd_texts() {
    let deep = format!("a = {}{}", "[".repeat(5000), "]".repeat(5000));
    let dotted = format!("{}b = 1", "a.".repeat(5000));
    let nested = format!("[[rules]]\nname = \"a\"\nmatch.{}path = \"/\"", "not.".repeat(5000));
    for text in [
        &nested,
        "\0",
        "\u{feff}",
        "\r\n",
        "a",
        "=",
        "[",
        "[[",
        "\"",
        "'''",
        "x=1979-05-27",
        "x=nan",
        "x=0xffffffffffffffffffffff",
        &deep,
        &dotted,
    ] {
        survives(text);
    }
}
