//! What is written down: figures, tables, distributions, logs.
pub mod csv;
pub mod figures;
pub mod hgrm;
pub mod hlog;
pub mod outputs;
pub(crate) mod sheet;
pub mod table;
pub mod text;

pub use figures::Figures;
pub use outputs::Outputs;
