//! Plain tables: first column to the left, the others to the right.

/// Renders rows of equal length under a header.
pub fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..header.len())
        .map(|i| rows.iter().map(|row| row[i].len()).chain([header[i].len()]).max().unwrap_or(0))
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<_> = cells
            .zip(&widths)
            .enumerate()
            .map(
                |(i, (cell, &width))| {
                    if i == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(&mut header.iter().copied());
    text.push_str(&line(
        &mut widths.iter().map(|&width| "-".repeat(width)).collect::<Vec<_>>().iter().map(String::as_str),
    ));
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// The same as Markdown.
pub fn markdown(header: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(header.to_vec());
    let rules = (0..header.len()).map(|i| if i == 0 { ":--" } else { "--:" });
    text.push_str(&line(rules.collect()));
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// Microseconds as a person reads them.
pub fn micros(us: u64) -> String {
    match us {
        0..10_000 => format!("{us} us"),
        10_000..10_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let text =
            render(&["target", "rate"], &[vec!["a".into(), "100".into()], vec!["longer".into(), "5".into()]]);
        assert_eq!(text, "target  rate\n------  ----\na        100\nlonger     5\n");
    }

    #[test]
    fn markdown_has_a_rule_below_its_header() {
        let text = markdown(&["target", "rate"], &[vec!["a".into(), "100".into()]]);
        assert_eq!(text, "| target | rate |\n| :-- | --: |\n| a | 100 |\n");
    }

    #[test]
    fn times_keep_their_digits() {
        assert_eq!([micros(999), micros(12_345), micros(12_345_678)], ["999 us", "12.3 ms", "12.3 s"]);
    }
}
