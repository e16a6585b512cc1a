//! The config's JSON schema, for editors (`ringlane schema`). It comes from the declarations in `raw`, so it can't say
//! anything else than the reader does; only relations between keys are added here.

use schemars::generate::SchemaSettings;
use serde_json::{Value as Json, json};

use super::raw::sections::Root;

/// The schema, draft 7: what editors' TOML plugins understand.
pub fn schema() -> Json {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<Root>().to_value();
    schema["title"] = json!("ringlane.toml");
    let one_of =
        |keys: &[&str]| -> Vec<Json> { keys.iter().map(|key| json!({ "required": [key] })).collect() };
    let route = &mut schema["definitions"]["Route"];
    route["oneOf"] = one_of(&["upstream", "split", "redirect", "respond"]).into();
    let paths = [["path", "path_prefix"], ["path", "path_regex"], ["path_prefix", "path_regex"]];
    let two_paths: Vec<Json> = paths.iter().map(|pair| json!({ "required": pair })).collect();
    schema["definitions"]["Match"]["not"] = json!({ "anyOf": two_paths });
    let rule = &mut schema["definitions"]["Rule"];
    rule["anyOf"] = one_of(&["deny", "drop", "log", "tag"]).into();
    rule["not"] = json!({ "required": ["deny", "drop"] });
    schema["definitions"]["ValueTable"]["oneOf"] = one_of(&["present", "regex"]).into();
    schema
}
