//! The description of the admin API for programs, OpenAPI 3.1. What it says of routes, upstreams and configs comes from
//! the declarations that the config's reader works by; a test holds that it has every path, and a fuzzer
//! (schemathesis) that the API does what it says.

mod operations;

use serde_json::{Map, Value as Json, json};

use crate::control::{health::State, raw::text, schema};
use operations::operations;

/// The whole. `guarded`: a token is asked for.
pub(super) fn describe(guarded: bool) -> Json {
    let mut paths = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = operation.json(guarded);
    }
    let mut components = json!({ "schemas": schemas() });
    let mut whole = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ringlane's admin API",
            "version": crate::VERSION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
    });
    if guarded {
        components["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer" } });
        whole["security"] = json!([{ "token": [] }]);
    }
    whole["components"] = components;
    whole
}

/// One method of one path.
struct Operation {
    path: &'static str,
    method: &'static str,
    summary: &'static str,
    parameters: Vec<Json>,
    /// Kinds of content, and the schema of each.
    body: Option<(&'static [&'static str], Json)>,
    /// Statuses of success with what they bring.
    good: Vec<(&'static str, Json)>,
    /// Statuses of problems beside those of any request.
    bad: &'static [&'static str],
    /// Needs no token.
    open: bool,
}

impl Operation {
    fn get(path: &'static str, summary: &'static str) -> Operation {
        let (parameters, good) = (Vec::new(), Vec::new());
        Operation { path, method: "get", summary, parameters, body: None, good, bad: &[], open: false }
    }

    fn json(&self, guarded: bool) -> Json {
        let mut responses = Map::new();
        for (status, response) in &self.good {
            responses.insert((*status).to_owned(), response.clone());
        }
        let always: &[&str] = if guarded && !self.open { &["401"] } else { &[] };
        for status in self.bad.iter().chain(always) {
            responses.insert((*status).to_owned(), problem(status));
        }
        let words = self.path.split(['/', '{', '}', '.']).filter(|it| !it.is_empty());
        let id = [self.method].into_iter().chain(words).collect::<Vec<_>>().join("_");
        let mut operation = json!({
            "operationId": id, "summary": self.summary, "parameters": self.parameters, "responses": responses,
        });
        if let Some((kinds, schema)) = &self.body {
            let content: Map<_, _> =
                kinds.iter().map(|kind| ((*kind).to_owned(), json!({ "schema": schema }))).collect();
            operation["requestBody"] = json!({ "required": true, "content": content });
        }
        if guarded && self.open {
            operation["security"] = json!([]);
        }
        operation
    }
}

fn problem(status: &str) -> Json {
    let why = match status {
        "400" => "The request can't be understood.",
        "401" => "The token is missing or wrong.",
        "403" => "A web page asks for a change, and there is no token.",
        "404" => "It is not there.",
        "409" => "It belongs to another source, is in use, or needs what is not there.",
        "412" => "If-Match or If-None-Match does not hold.",
        "413" => "The body is too large.",
        "415" => "The body is of the wrong type.",
        "422" => "The config would be wrong: every error with its place.",
        _ => "It can't be done now.",
    };
    json!({
        "description": why,
        "content": {
            "application/json": { "schema": schema_of("Problem") },
            "text/plain": { "schema": { "type": "string" } },
        },
    })
}

fn schema_of(name: &str) -> Json {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn schemas() -> Map<String, Json> {
    let mut schemas = schema::components();
    for kind in ["Route", "Upstream"] {
        let Some(whole) = schemas.get(kind).cloned() else { continue };
        // The path says the name.
        let mut put = whole.clone();
        if let Some(required) = put["required"].as_array_mut() {
            required.retain(|it| it != "name");
        }
        schemas.insert(format!("{kind}Put"), put);
        // Any key, with a part of it, or null to remove it.
        let keys = whole["properties"].as_object().into_iter().flatten();
        let any =
            |(key, schema): (&String, &Json)| (key.clone(), json!({ "description": schema["description"] }));
        let patch = json!({
            "type": "object",
            "description": "A JSON merge patch (RFC 7396).",
            "properties": keys.map(any).collect::<Map<_, _>>(),
            "additionalProperties": false,
        });
        schemas.insert(format!("{kind}Patch"), patch);
        schemas.insert(format!("{kind}List"), list(kind));
    }
    let nullable = |kind: &str| json!({ "type": [kind, "null"] });
    let errors = json!({ "type": "array", "items": schema_of("Error") });
    let more = [
        (
            "Error",
            object(&[
                ("pointer", nullable("string")),
                ("key", nullable("string")),
                ("message", json!({ "type": "string" })),
                ("hint", nullable("string")),
                ("file", nullable("string")),
                ("line", nullable("integer")),
                ("column", nullable("integer")),
            ]),
        ),
        ("Problem", object(&[("error", json!({ "type": "string" })), ("errors", errors.clone())])),
        ("Changed", changed(None)),
        ("Reloaded", changed(Some(errors))),
        (
            "Endpoint",
            object(&[
                ("address", json!({ "type": "string" })),
                ("weight", weight()),
                ("written_weight", weight()),
                ("drain", json!({ "type": "boolean" })),
            ]),
        ),
        (
            "EndpointPut",
            json!({ "oneOf": [
                object(&[("weight", weight())]), object(&[("drain", json!({ "type": "boolean" }))]),
            ] }),
        ),
        ("EndpointState", endpoint_state()),
        (
            "UpstreamState",
            object(&[
                ("breaker", json!({ "anyOf": [breaker_state(), { "type": "null" }] })),
                ("endpoints", json!({ "type": "array", "items": schema_of("EndpointState") })),
            ]),
        ),
        ("Etag", json!({ "type": "string", "pattern": "^\"[0-9a-f]{16}\"$" })),
        ("Owner", json!({ "type": "string", "enum": ["files", "api", "etcd"] })),
    ];
    schemas.extend(more.map(|(name, schema)| (name.to_owned(), schema)));
    schemas
}

fn list(kind: &str) -> Json {
    let mut keys = vec![
        ("name", name()),
        ("owner", schema_of("Owner")),
        ("etag", schema_of("Etag")),
        ("value", schema_of(kind)),
    ];
    if kind == "Upstream" {
        // `null`: it is not in force yet.
        keys.push(("health", json!({ "anyOf": [schema_of("UpstreamState"), { "type": "null" }] })));
    }
    let one = object(&keys);
    let key = if kind == "Route" { "routes" } else { "upstreams" };
    object(&[(key, json!({ "type": "array", "items": one }))])
}

/// What a change answers.
fn changed(errors: Option<Json>) -> Json {
    let flag = || json!({ "type": "boolean" });
    let mut schema = object(&[
        ("changed", flag()),
        ("created", flag()),
        ("in_force", flag()),
        ("dry_run", flag()),
        ("revision", json!({ "type": "integer", "minimum": 1 })),
        ("etag", json!({ "anyOf": [schema_of("Etag"), { "type": "null" }] })),
    ]);
    if let Some(errors) = errors {
        schema["properties"]["errors"] = errors;
    }
    schema
}

/// An object with these keys and no others.
fn object(keys: &[(&str, Json)]) -> Json {
    let names: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
    let properties: Map<_, _> =
        keys.iter().map(|(key, schema)| ((*key).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": names, "additionalProperties": false })
}

fn endpoint_state() -> Json {
    let words: Vec<_> = State::ALL.iter().map(|it| it.word()).collect();
    object(&[
        ("address", json!({ "type": "string" })),
        ("weight", weight()),
        ("share", weight()),
        ("state", json!({ "type": "string", "enum": words })),
        ("why", json!({ "type": "string" })),
        ("since", json!({ "type": ["string", "null"] })),
    ])
}

fn breaker_state() -> Json {
    object(&[
        ("state", json!({ "type": "string", "enum": ["closed", "open", "half_open"] })),
        ("why", json!({ "type": "string" })),
        ("since", json!({ "type": "string" })),
    ])
}

fn weight() -> Json {
    json!({ "type": "integer", "minimum": 0, "maximum": 1000 })
}

fn name() -> Json {
    json!({ "type": "string", "pattern": text::NAME.pattern })
}
