//! Config files: no text panics, what is refused is refused with words that can be written, and what is accepted
//! compiles and can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlane::control::{
    Identities, Resolved, compile,
    config::{Config, parse_str},
    error::ConfigError,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse_str("fuzz.toml", text) {
        Ok(config) => accepted(&config),
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a word");
            written(&errors);
        }
    }
});

fn accepted(config: &Config) {
    written(&config.warnings);
    if let Err(errors) = compile(config, &Resolved::new(), &mut Identities::new(), 1, None) {
        panic!("accepted, but can't be compiled: {errors:?}");
    }
    let shown = config.masked();
    assert!(shown.is_object());
    assert!(shown.to_string().starts_with('{'));
}

/// Both forms of every message, the excerpt of the long one with it.
fn written(errors: &[ConfigError]) {
    for error in errors {
        assert!(!error.one_line().is_empty());
        assert!(!error.to_string().is_empty());
    }
}
