//! The config's JSON schema: for editors (`ringlane schema`) and for the admin API's description. It comes from the
//! declarations in `raw`, so it can't say anything else than the reader does; only relations between keys are added
//! here.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value as Json, json};

use super::raw::{
    routes::Route,
    sections::{Root, Upstream},
};

/// The schema, draft 7: what editors' TOML plugins understand.
pub fn schema() -> Json {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<Root>().to_value();
    schema["title"] = json!("ringlane.toml");
    relate(&mut schema["definitions"]);
    schema
}

/// The schemas `Config`, `Route`, `Upstream` and all that they are made of, for an OpenAPI 3.1 description.
pub(super) fn components() -> Map<String, Json> {
    let at = |it: &mut SchemaSettings| it.definitions_path = "/components/schemas".into();
    let mut generator = SchemaSettings::draft2020_12().with(at).into_generator();
    generator.subschema_for::<Root>();
    generator.subschema_for::<Route>();
    generator.subschema_for::<Upstream>();
    let mut schemas = generator.take_definitions(true);
    if let Some(root) = schemas.shift_remove(&*Root::schema_name()) {
        schemas.insert("Config".to_owned(), root);
    }
    let mut schemas = Json::Object(schemas);
    relate(&mut schemas);
    match schemas {
        Json::Object(schemas) => schemas,
        _ => Map::new(),
    }
}

/// Keys that go together, or don't.
fn relate(schemas: &mut Json) {
    let one_of =
        |keys: &[&str]| -> Vec<Json> { keys.iter().map(|key| json!({ "required": [key] })).collect() };
    let route = &mut schemas["Route"];
    route["oneOf"] = one_of(&["upstream", "split", "redirect", "respond"]).into();
    let paths = [["path", "path_prefix"], ["path", "path_regex"], ["path_prefix", "path_regex"]];
    let two_paths: Vec<Json> = paths.iter().map(|pair| json!({ "required": pair })).collect();
    let rule = &mut schemas["Rule"];
    rule["anyOf"] = one_of(&["deny", "drop", "log", "tag"]).into();
    rule["not"] = json!({ "required": ["deny", "drop"] });
    schemas["Match"]["not"] = json!({ "anyOf": two_paths });
    schemas["ValueTable"]["oneOf"] = one_of(&["present", "regex"]).into();
}
