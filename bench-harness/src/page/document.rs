//! What a report says, whatever it is rendered as.

/// How a cell or a note is meant. Its text says the same in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// A target met.
    Good,
    /// A target missed, an error.
    Bad,
    /// To be taken with care.
    Doubtful,
}

/// One cell of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// What it says; not escaped.
    pub text: String,
    /// How that is meant.
    pub tone: Tone,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }
}

/// A table; all rows are as long as its header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Above the columns.
    pub header: Vec<String>,
    /// From top to bottom.
    pub rows: Vec<Vec<Cell>>,
    /// Columns behind the first hold prose and are not aligned as figures.
    pub prose: bool,
}

/// A kind of line or bar, with the same colour in every chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Who it is of.
    pub name: String,
    /// Place in the palette.
    pub colour: usize,
    /// A reference and not a contender: drawn thin and dashed.
    pub reference: bool,
}

/// A picture of figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// What it shows, with its unit.
    pub title: String,
    /// An `<svg>` element, already escaped.
    pub svg: String,
    /// What its colours mean; empty where its labels say it.
    pub legend: Vec<Series>,
}

/// One part of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A section begins, which the contents list.
    Section(String),
    /// A part of a section begins.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// A sentence that must not be missed.
    Note(Tone, String),
    /// A table.
    Table(Table),
    /// Pictures side by side; Markdown leaves them out.
    Charts(Vec<Chart>),
    /// What a person wrote on a missed target, as Markdown; it may come later than the report.
    Notes {
        /// The target.
        target: String,
        /// None: nothing yet.
        text: Option<String>,
    },
    /// Lines as they were typed.
    Code(String),
}

/// What stands in the place of notes that nobody wrote yet.
pub(super) const NO_NOTES: &str =
    "No notes on this target: why it is missed and what was tried is not written down.";

/// A report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// What it is.
    pub title: String,
    /// When, of what.
    pub subtitle: String,
    /// From top to bottom.
    pub blocks: Vec<Block>,
}
