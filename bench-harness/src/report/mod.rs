//! What is written down: figures, tables, distributions.
pub mod figures;
pub mod hgrm;
pub mod table;

pub use figures::Figures;
