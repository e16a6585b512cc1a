//! What came of a run, as text for the terminal, as Markdown and as JSON.
use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    fault::{At, Result},
    guard::record::{FORMAT, Figure, VERSION},
    loadtest::{environment::Environment, point_latest_at},
    release,
    report::table,
};

/// One table with what is to be said of it.
pub(crate) struct Part {
    pub(crate) title: String,
    pub(crate) header: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
    /// Below it.
    pub(crate) sentences: Vec<String>,
}

/// All of a run.
pub(crate) struct Sheet {
    pub(crate) title: &'static str,
    pub(crate) environment: Environment,
    /// What made the machine too noisy to tell.
    pub(crate) noise: Vec<String>,
    pub(crate) parts: Vec<Part>,
    /// What a comparison of two runs compares.
    pub(crate) figures: Vec<Figure>,
    /// Everything that was measured.
    pub(crate) results: Value,
}

impl Sheet {
    /// For the terminal.
    pub(crate) fn text(&self) -> String {
        let part = |part: &Part| {
            let sentences: String = part.sentences.iter().map(|it| format!("{it}\n")).collect();
            format!("{}\n\n{}\n{sentences}\n", part.title, table::render(&part.header, &part.rows))
        };
        let parts: String = self.parts.iter().map(part).collect();
        let noise: String = self.noise.iter().map(|it| format!("WARNING: {it}\n")).collect();
        format!("{}{parts}{noise}", self.mark().map_or(String::new(), |mark| format!("{mark}\n\n")))
    }

    /// For a report.
    pub(crate) fn markdown(&self) -> String {
        format!("# {}\n\n{}", self.title, self.markdown_body())
    }

    /// The same without its title, to be part of a page.
    pub(crate) fn markdown_body(&self) -> String {
        let mut text = String::new();
        let warnings = self.mark().into_iter().chain(self.noise.iter().map(String::as_str));
        warnings.for_each(|it| text.push_str(&format!("**{it}**\n\n")));
        for part in &self.parts {
            let rows = table::markdown(&part.header, &part.rows);
            text.push_str(&format!("## {}\n\n{rows}\n", part.title));
            part.sentences.iter().for_each(|it| text.push_str(&format!("{it}\n\n")));
        }
        text.push_str("## Where\n\n");
        let lines = self.environment.lines();
        lines.iter().for_each(|(name, value)| text.push_str(&format!("- {name}: {value}\n")));
        text
    }

    fn json(&self) -> Value {
        json!({
            "format": FORMAT,
            "version": VERSION,
            "warning": self.mark(),
            "environment": self.environment,
            "noise": self.noise,
            "figures": self.figures,
            "results": self.results,
        })
    }

    fn mark(&self) -> Option<&'static str> {
        self.environment.debug_build.then_some(release::MARK)
    }

    /// Prints it and writes it into `dir`.
    pub(crate) fn publish(&self, dir: &Path) -> Result<()> {
        print!("{}", self.text());
        let json = serde_json::to_string_pretty(&self.json()).at("results as JSON")? + "\n";
        for (name, text) in
            [("results.json", &json), ("report.md", &self.markdown()), ("report.txt", &self.text())]
        {
            let path = dir.join(name);
            fs::write(&path, text).at(format!("cannot write {}", path.display()))?;
        }
        point_latest_at(dir);
        println!("figures in {}", dir.display());
        Ok(())
    }
}
