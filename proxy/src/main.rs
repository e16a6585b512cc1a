//! The binary: everything is in the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let path = std::path::PathBuf::from(std::env::args().last().unwrap_or_default());
    match ringlane::control::config::load(&path) {
        Ok(config) => match ringlane::server::run(&path, config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::from(70)
            }
        },
        Err(errors) => {
            errors.iter().for_each(|it| eprintln!("{it}"));
            ExitCode::from(1)
        }
    }
}
