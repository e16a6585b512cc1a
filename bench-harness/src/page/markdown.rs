//! The document as Markdown, for repositories and terminals.
use super::{
    document::{Block, Document, NO_NOTES, Table},
    slot,
};
use crate::report::table;

/// Renders a document.
pub fn render(document: &Document) -> String {
    let mut text = format!("# {}\n\n{}\n", escape(&document.title), escape(&document.subtitle));
    for block in &document.blocks {
        let part = match block {
            Block::Section(title) => format!("## {}", escape(title)),
            Block::Heading(title) => format!("### {}", escape(title)),
            Block::Text(words) => escape(words),
            Block::Note(_, words) => format!("> **{}**", escape(words)),
            Block::Table(table) => render_table(table).trim_end().to_owned(),
            Block::Charts(_) => continue,
            Block::Code(lines) => fenced(lines),
            Block::Notes { target, text } => notes(target, text.as_deref()),
        };
        text.push('\n');
        text.push_str(part.trim_end());
        text.push('\n');
    }
    text
}

/// Notes on a target as they were written, in a slot of their own.
pub fn notes(target: &str, text: Option<&str>) -> String {
    slot::filled(target, &text.map_or_else(|| escape(NO_NOTES), str::to_owned))
}

fn render_table(of: &Table) -> String {
    let header: Vec<String> = of.header.iter().map(|title| escape(title)).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let rows: Vec<Vec<String>> =
        of.rows.iter().map(|row| row.iter().map(|cell| escape(&cell.text)).collect()).collect();
    let text = table::markdown(&header, &rows);
    if of.prose { text.replacen("--:", ":--", of.header.len()) } else { text }
}

/// A fence longer than any run of backquotes within.
fn fenced(lines: &str) -> String {
    let longest = lines.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{}\n{fence}", lines.trim_end())
}

/// Text that a reader of Markdown sees as it is, on one line: also between the bars of a table.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '|' | '*' | '`' | '[' | ']' | '<' | '&' => {
                out.push('\\');
                out.push(character);
            }
            '\n' | '\r' => out.push(' '),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::document::Tone;

    #[test]
    fn what_could_be_markup_is_shown_as_it_is() {
        assert_eq!(escape("<b>|`x`\n[a](b)"), "\\<b>\\|\\`x\\` \\[a\\](b)");
        assert_eq!(fenced("a ``` b"), "````\na ``` b\n````");
    }

    #[test]
    fn figures_stand_to_the_right_and_prose_to_the_left() {
        let table = |prose| Table {
            header: vec!["a".into(), "b".into()],
            rows: vec![vec!["1".into(), "2".into()]],
            prose,
        };
        assert_eq!(render_table(&table(false)), "| a | b |\n| :-- | --: |\n| 1 | 2 |\n");
        assert_eq!(render_table(&table(true)), "| a | b |\n| :-- | :-- |\n| 1 | 2 |\n");
    }

    #[test]
    fn blocks_follow_each_other() {
        let blocks = vec![
            Block::Section("S".into()),
            Block::Note(Tone::Doubtful, "noisy".into()),
            Block::Charts(Vec::new()),
            Block::Code("x -y".into()),
            Block::Notes { target: "a: b".into(), text: Some("Because of `x`.".into()) },
            Block::Text("end".into()),
        ];
        let document = Document { title: "T".into(), subtitle: "s".into(), blocks };
        assert_eq!(
            render(&document),
            "# T\n\ns\n\n## S\n\n> **noisy**\n\n```\nx -y\n```\n\n\
             <!-- notes: a: b -->\nBecause of `x`.\n<!-- /notes -->\n\nend\n"
        );
    }
}
