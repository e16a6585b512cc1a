//! Places in a written report that can be filled later: between two comments, the same in Markdown and HTML.
use crate::fault::{Fault, Result};

/// What comments begin with, and nothing that is put into a slot holds.
pub const COMMENT: &str = "<!--";
const BEGIN: &str = "<!-- notes: ";
const BEGIN_END: &str = " -->\n";
const END: &str = "<!-- /notes -->\n";

/// A slot with something in it.
pub(crate) fn filled(name: &str, content: &str) -> String {
    format!("{BEGIN}{name}{BEGIN_END}{}\n{END}", content.trim_end())
}

/// Renders each slot of `text` anew; gives the whole and the names of the slots.
pub fn refill(text: &str, render: impl Fn(&str) -> String) -> Result<(String, Vec<String>)> {
    let (mut out, mut names, mut rest) = (String::with_capacity(text.len()), Vec::new(), text);
    while let Some((before, from_name)) = rest.split_once(BEGIN) {
        let parts = from_name
            .split_once(BEGIN_END)
            .and_then(|(name, content)| Some((name, content.split_once(END)?.1)));
        let (name, behind) = parts.ok_or_else(|| Fault::new("a place for notes begins and does not end"))?;
        out.push_str(before);
        out.push_str(&render(name));
        names.push(name.to_owned());
        rest = behind;
    }
    out.push_str(rest);
    Ok((out, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_filled_again_and_again_and_the_rest_stays() {
        let text = format!("a\n{}b\n{}c\n", filled("one", "old\n"), filled("two", "old"));
        let render = |name: &str| filled(name, &format!("new of {name}"));
        let (once, names) = refill(&text, render).unwrap();
        assert_eq!(names, ["one", "two"]);
        assert!(
            !once.contains("old")
                && once.contains("new of one\n")
                && once.ends_with("new of two\n<!-- /notes -->\nc\n")
        );
        assert_eq!(refill(&once, render).unwrap().0, once);
        assert_eq!(refill("nothing", render).unwrap(), ("nothing".into(), Vec::new()));
        assert!(refill("<!-- notes: one -->\nno end", render).is_err());
    }
}
