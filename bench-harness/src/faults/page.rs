//! The page in the documentation that shows a run: written by hand, but for what is between two markers.
use std::{fs, path::Path};

use crate::{
    fault::{At, Fault, Result},
    page::slot,
};

/// What the place in the page is called.
const SLOT: &str = "faults";

/// Puts `tables` into the page.
pub(super) fn fill(page: &Path, tables: &str) -> Result<()> {
    let place = page.display();
    let text = fs::read_to_string(page).at(format!("cannot read {place}"))?;
    fs::write(page, filled(&text, tables).at(&place)?).at(format!("cannot write {place}"))
}

fn filled(text: &str, tables: &str) -> Result<String> {
    let (filled, names) = slot::refill(text, |name| slot::filled(name, tables))?;
    if names == [SLOT] {
        return Ok(filled);
    }
    Err(Fault::new(format!(
        "not one place for tables, `<!-- notes: {SLOT} -->` to `<!-- /notes -->`: {names:?}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_replaced_and_the_rest_stays() {
        let page = "# Faults\n\n<!-- notes: faults -->\nold\n<!-- /notes -->\nend\n";
        let new = filled(page, "new\n").unwrap();
        assert_eq!(new, "# Faults\n\n<!-- notes: faults -->\nnew\n<!-- /notes -->\nend\n");
        assert!(filled("# Faults\n", "new").is_err());
    }

    #[test]
    fn the_page_of_the_repository_has_its_place() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/faults.md");
        let text = fs::read_to_string(page).unwrap();
        assert!(filled(&text, "tables").is_ok());
    }
}
