//! The binary: everything is in the library.

fn main() {
    for file in std::env::args().skip(1) {
        match ringlane::control::config::load(file.as_ref()) {
            Ok(config) => println!("{config:#?}"),
            Err(errors) => errors.iter().for_each(|it| eprintln!("{it}")),
        }
    }
}
