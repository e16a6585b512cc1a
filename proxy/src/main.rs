//! The binary: everything is in the library.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let path = std::path::PathBuf::from(std::env::args().last().unwrap_or_default());
    match ringlane::control::config::load(&path) {
        Ok(config) => {
            if let Err(error) = ringlane::server::run(&path, config) {
                eprintln!("{error}");
            }
        }
        Err(errors) => errors.iter().for_each(|it| eprintln!("{it}")),
    }
}
