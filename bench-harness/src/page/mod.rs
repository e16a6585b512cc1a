//! A report as one document, rendered twice: a self-contained HTML page and its Markdown twin.
//!
//! ```text
//!   whoever measured ──► document (headings, sentences, tables, charts) ──► html      (charts as inline SVG)
//!                                      ▲                               └──► markdown (tables only)
//!                                   chart (figures to SVG)
//! ```
//!
//! The page loads nothing: no script, no font, no picture from anywhere, and its content policy forbids it to. All text
//! is escaped where it is written, in `html` and `markdown` and nowhere else; notes by hand are Markdown already.
pub mod chart;
pub mod document;
pub mod html;
pub mod markdown;
pub mod slot;

pub use document::{Block, Cell, Chart, Document, Series, Table, Tone};
