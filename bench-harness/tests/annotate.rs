//! Notes that come later than a report are put into it, Markdown and page alike, as often as they change.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use ringlane_bench::page::{Block, Document, html, markdown};

const TARGETS: [&str; 2] = ["13b-64: p99 / best peer", "new-32: CPU per request / best peer"];

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("annotate-{name}"))
}

fn report(prefix: &str) -> [PathBuf; 2] {
    let notes = TARGETS.map(|target| Block::Notes { target: target.into(), text: None });
    let document = Document { title: "T".into(), subtitle: "s".into(), blocks: notes.into() };
    let files = ["report.md", "report.html"].map(|name| scratch(&format!("{prefix}-{name}")));
    fs::write(&files[0], markdown::render(&document)).unwrap();
    fs::write(&files[1], html::render(&document)).unwrap();
    files
}

fn annotate(notes: &Path, reports: &[PathBuf]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ringlane-bench"))
        .args(["annotate", "--notes"])
        .arg(notes)
        .args(reports)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn notes_take_the_place_of_none_and_of_older_ones() {
    let (files, notes) = (report("twice"), scratch("twice.md"));
    fs::write(&notes, format!("# Notes\n\n## {}\n\nIt is **tardy**.\n\n## other\nx\n", TARGETS[0])).unwrap();
    let (code, text) = annotate(&notes, &files);
    assert_eq!(code, Some(1), "one has none: {text}");
    assert!(
        text.contains(&format!("no notes: {}", TARGETS[1])) && text.contains("not missed: other"),
        "{text}"
    );
    let read = || files.each_ref().map(|file| fs::read_to_string(file).unwrap());
    let [plain, page] = read();
    assert!(plain.contains("It is **tardy**.") && page.contains("It is <strong>tardy</strong>."));
    assert!([&plain, &page].iter().all(|text| text.matches("No notes").count() == 1));

    fs::write(&notes, format!("## {}\nIt was early.\n## {}\nAccepting costs.\n", TARGETS[0], TARGETS[1]))
        .unwrap();
    assert_eq!(annotate(&notes, &files).0, Some(0));
    for text in read() {
        assert!(text.contains("It was early.") && text.contains("Accepting costs."), "{text}");
        assert!(!text.contains("tardy") && !text.contains("No notes"), "{text}");
    }
}

#[test]
fn what_cannot_be_annotated_is_named() {
    let (files, notes) = (report("bad"), scratch("bad.md"));
    fs::write(&notes, "## a\nx <!-- y -->\n").unwrap();
    for (notes, report, reason) in [
        (Path::new("/nonexistent/notes.md"), files[0].as_path(), "/nonexistent/notes.md"),
        (&notes, &files[0], "bad.md: notes hold no comments"),
        (&files[1].with_extension("none"), &files[0], "there is no file"),
    ] {
        let (code, text) = annotate(notes, &[report.to_owned()]);
        assert!(code == Some(1) && text.contains(reason), "{text}");
    }
    fs::write(&notes, "## a\nx\n").unwrap();
    let (code, text) = annotate(&notes, &[notes.with_extension("txt")]);
    assert!(code == Some(1) && text.contains("bad.txt"), "{text}");
}
