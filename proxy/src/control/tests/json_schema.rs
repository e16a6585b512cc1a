//! As much of a JSON schema validator as our schema needs. A keyword that it does not know fails the test.

use serde_json::Value as Json;

/// What is wrong with `value`.
pub(super) fn check(schema: &Json, value: &Json) -> Vec<String> {
    let mut wrong = Vec::new();
    walk(schema, schema, value, "", &mut wrong);
    wrong
}

fn good(root: &Json, schema: &Json, value: &Json) -> bool {
    let mut wrong = Vec::new();
    walk(root, schema, value, "", &mut wrong);
    wrong.is_empty()
}

fn walk(root: &Json, schema: &Json, value: &Json, path: &str, wrong: &mut Vec<String>) {
    for (keyword, is) in schema.as_object().into_iter().flatten() {
        let all = || is.as_array().into_iter().flatten();
        let holds = match keyword.as_str() {
            "$ref" => {
                let target = is.as_str().and_then(|it| root.pointer(it.trim_start_matches('#')));
                walk(root, target.unwrap_or_else(|| panic!("no {is}")), value, path, wrong);
                true
            }
            "allOf" => all().all(|it| good(root, it, value)),
            "anyOf" => all().any(|it| good(root, it, value)),
            "oneOf" => all().filter(|it| good(root, it, value)).count() == 1,
            "not" => !good(root, is, value),
            "enum" => all().any(|it| it == value),
            "const" => is == value,
            // Every integer is a number.
            "type" => kind(value) == is.as_str().unwrap_or("") || (is == "number" && value.is_number()),
            "minimum" => value.as_f64() >= is.as_f64() || !value.is_number(),
            "maximum" => value.as_f64() <= is.as_f64() || !value.is_number(),
            "minLength" => value.as_str().is_none_or(|it| it.len() as i64 >= is.as_i64().unwrap_or(0)),
            "pattern" => value.as_str().is_none_or(|text| {
                regex::Regex::new(is.as_str().unwrap_or("(")).is_ok_and(|pattern| pattern.is_match(text))
            }),
            "required" => all().filter_map(Json::as_str).all(|key| value.get(key).is_some()),
            "properties" | "additionalProperties" => entries(root, schema, value, path, wrong),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    walk(root, is, item, &format!("{path}[{index}]"), wrong);
                }
                true
            }
            "$schema" | "definitions" | "title" | "description" | "default" | "examples" => true,
            other => panic!("the schema uses {other}, which this validator does not know"),
        };
        if !holds {
            wrong.push(format!("{path}: {value} against {keyword} {is}"));
        }
    }
}

fn entries(root: &Json, schema: &Json, value: &Json, path: &str, wrong: &mut Vec<String>) -> bool {
    let mut known = true;
    for (key, child) in value.as_object().into_iter().flatten() {
        match (schema["properties"].get(key), schema.get("additionalProperties")) {
            (Some(of_key), _) => walk(root, of_key, child, &format!("{path}.{key}"), wrong),
            (None, Some(Json::Bool(false))) => known = false,
            (None, Some(of_all)) => walk(root, of_all, child, &format!("{path}.{key}"), wrong),
            (None, None) => {}
        }
    }
    known
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}
