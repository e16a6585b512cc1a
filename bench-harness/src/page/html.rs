//! The document as one HTML page that needs nothing else.
use std::fmt::Write;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{
    document::{Block, Cell, Chart, Document, NO_NOTES, Series, Table, Tone},
    slot,
};

const STYLE: &str = include_str!("style.css");

/// Renders a document.
pub fn render(document: &Document) -> String {
    let title = escape(&document.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{title}</h1>\n\
         <p class=\"subtitle\">{}</p>\n</header>\n",
        escape(&document.subtitle)
    );
    let mut sections = 0;
    for block in &document.blocks {
        if matches!(block, Block::Section(_)) {
            if sections == 0 {
                page.push_str(&contents(document));
            }
            sections += 1;
        }
        page.push_str(&render_block(block, sections));
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn contents(document: &Document) -> String {
    let titles = document.blocks.iter().filter_map(|block| match block {
        Block::Section(title) => Some(title),
        _ => None,
    });
    let items: String = (1..)
        .zip(titles)
        .map(|(number, title)| format!("<li><a href=\"#s{number}\">{}</a></li>\n", escape(title)))
        .collect();
    format!("<nav aria-label=\"Contents\">\n<ol>\n{items}</ol>\n</nav>\n")
}

fn render_block(block: &Block, section: usize) -> String {
    match block {
        Block::Section(title) => format!("<h2 id=\"s{section}\">{}</h2>\n", escape(title)),
        Block::Heading(title) => format!("<h3>{}</h3>\n", escape(title)),
        Block::Text(words) => format!("<p>{}</p>\n", escape(words)),
        Block::Note(tone, words) => {
            format!("<p class=\"note{}\">{}</p>\n", class(*tone), escape(words))
        }
        Block::Table(table) => render_table(table),
        Block::Charts(charts) => {
            format!("<div class=\"charts\">\n{}</div>\n", charts.iter().map(figure).collect::<String>())
        }
        Block::Notes { target, text } => notes(target, text.as_deref()),
        Block::Code(lines) => format!("<pre><code>{}</code></pre>\n", escape(lines.trim_end())),
    }
}

/// Notes on a target, of Markdown, in a slot of their own.
pub fn notes(target: &str, text: Option<&str>) -> String {
    let content = match text {
        Some(text) => format!("<div class=\"notes\">\n{}</div>", of_markdown(text)),
        None => format!("<p class=\"note doubtful\">{}</p>", escape(NO_NOTES)),
    };
    slot::filled(target, &content)
}

/// Markup in it is text like any other, and of a picture there are its words: the page loads nothing.
fn of_markdown(text: &str) -> String {
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Html(markup) | Event::InlineHtml(markup) => Some(Event::Text(markup)),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        other => Some(other),
    });
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, events);
    out
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "",
        Tone::Good => " good",
        Tone::Bad => " bad",
        Tone::Doubtful => " doubtful",
    }
}

fn render_table(table: &Table) -> String {
    let kind = if table.prose { "prose" } else { "figures" };
    // Writing to a String cannot fail.
    let mut text = format!("<div class=\"scroll\" tabindex=\"0\">\n<table class=\"{kind}\">\n<thead>\n<tr>");
    for title in &table.header {
        let _ = write!(text, "<th scope=\"col\">{}</th>", escape(title));
    }
    text.push_str("</tr>\n</thead>\n<tbody>\n");
    for row in &table.rows {
        text.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            text.push_str(&render_cell(cell, index == 0));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table>\n</div>\n");
    text
}

fn render_cell(cell: &Cell, first: bool) -> String {
    let words = escape(&cell.text);
    let words = match cell.tone {
        Tone::Plain => words,
        tone => format!("<span class=\"verdict{}\">{words}</span>", class(tone)),
    };
    if first { format!("<th scope=\"row\">{words}</th>") } else { format!("<td>{words}</td>") }
}

fn figure(chart: &Chart) -> String {
    let title = escape(&chart.title);
    // What a screen reader reads in place of the lines; the figures are in the table above.
    let svg =
        chart.svg.replacen("<svg ", &format!("<svg class=\"chart\" role=\"img\" aria-label=\"{title}\" "), 1);
    let legend: String = chart.legend.iter().map(legend_item).collect();
    let legend =
        if legend.is_empty() { String::new() } else { format!("<ul class=\"legend\">{legend}</ul>\n") };
    format!(
        "<figure>\n<figcaption>{title}</figcaption>\n{legend}<div class=\"scroll\">{svg}</div>\n</figure>\n"
    )
}

fn legend_item(series: &Series) -> String {
    let dashed = if series.reference { " dashed" } else { "" };
    format!("<li><i class=\"swatch c{}{dashed}\"></i>{}</li>", series.colour, escape(&series.name))
}

/// Text as it stands, between tags and within quotes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "</style><script>alert('1')</script>\"&";

    #[test]
    fn nothing_that_is_said_becomes_markup() {
        let table = Table {
            header: vec![EVIL.into()],
            rows: vec![vec![Cell { text: EVIL.into(), tone: Tone::Bad }]],
            prose: false,
        };
        let series = Series { name: EVIL.into(), colour: 0, reference: false };
        let chart = Chart { title: EVIL.into(), svg: "<svg width=\"1\"></svg>".into(), legend: vec![series] };
        let page = render(&Document {
            title: EVIL.into(),
            subtitle: EVIL.into(),
            blocks: vec![
                Block::Section(EVIL.into()),
                Block::Heading(EVIL.into()),
                Block::Text(EVIL.into()),
                Block::Note(Tone::Good, EVIL.into()),
                Block::Table(table),
                Block::Charts(vec![chart]),
                Block::Code(EVIL.into()),
                Block::Notes { target: "a".into(), text: Some(EVIL.into()) },
            ],
        });
        assert!(!page.contains("<script") && !page.contains("alert('1')</script"), "{page}");
        assert_eq!(page.matches("&lt;/style&gt;&lt;script&gt;").count(), 15);
        assert_eq!(page.matches("</style>").count(), 1);
    }

    #[test]
    fn nothing_is_loaded_from_anywhere() {
        let page = render(&Document { title: "t".into(), ..Document::default() });
        for word in ["http://", "https://", "src=", "url(", "@import", "<link"] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn notes_are_markdown_that_loads_nothing() {
        let text =
            "Half of it is `tcp_ack`.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n![a picture](http://x/y.png)";
        let page = notes("13b-64: p99 / best peer", Some(text));
        for part in
            ["<code>tcp_ack</code>", "<td>2</td>", "a picture", "<!-- notes: 13b-64: p99 / best peer -->"]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("<img") && !page.contains("http"), "{page}");
        assert!(notes("a", None).contains("No notes"));
    }

    #[test]
    fn verdicts_are_words_and_colours() {
        let cell = Cell { text: "MISSED".into(), tone: Tone::Bad };
        assert_eq!(render_cell(&cell, false), "<td><span class=\"verdict bad\">MISSED</span></td>");
    }
}
