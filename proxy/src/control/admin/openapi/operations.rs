//! Every operation of the admin API.

use serde_json::{Value as Json, json};

use super::{Operation, name, schema_of};
use crate::control::raw::text;

/// Of a change of one thing.
const OF_A_CHANGE: &[&str] = &["400", "403", "404", "409", "412", "503"];
/// Of one that brings a body.
const OF_A_BODY: &[&str] = &["400", "403", "404", "408", "409", "412", "413", "415", "422", "503"];
const JSON: &[&str] = &["application/json"];
const PATCH: &[&str] = &["application/merge-patch+json", "application/json"];

/// All of them.
pub(super) fn operations() -> Vec<Operation> {
    let mut all = Vec::from(reports());
    all.extend(whole());
    all.extend(objects("/routes", "/routes/{name}", "Route"));
    all.extend(objects("/upstreams", "/upstreams/{name}", "Upstream"));
    all.extend(endpoints());
    all
}

fn reports() -> [Operation; 7] {
    let format = parameter(
        "query",
        "format",
        json!({ "type": "string", "enum": ["text", "json", "hlog"] }),
        "How the report is written.",
    );
    let fields = json!({ "type": "array", "items": { "type": "string" } });
    let asked = vec![
        json!({ "in": "query", "name": "url", "required": true, "schema": { "type": "string" },
                "description": "The request's URL, or its path alone.", "example": "http://example.com/api" }),
        parameter("query", "method", json!({ "type": "string" }), "Its method."),
        parameter("query", "header", fields, "Its header fields, each as `name: value`."),
        parameter(
            "query",
            "client",
            json!({ "type": "string" }),
            "The client's IP address, for rules that ask for it.",
        ),
    ];
    let both = json!({
        "description": "Which route wins, and why the others don't.",
        "content": { "application/json": { "schema": { "type": "object" } }, "text/plain": { "schema": { "type": "string" } } },
    });
    [
        Operation { good: vec![("200", plain())], open: true, ..Operation::get("/healthz", "Lives.") },
        Operation {
            good: vec![("200", plain()), ("503", plain())],
            open: true,
            ..Operation::get("/readyz", "Accepts connections.")
        },
        Operation { good: vec![("200", plain())], ..Operation::get("/metrics", "All metrics.") },
        Operation {
            good: vec![(
                "200",
                json!({
                    "description": "Percentiles by phase and by route, and how much upstreams have to do.",
                    "content": { "text/plain": { "schema": { "type": "string" } }, "application/json": { "schema": { "type": "object" } } },
                }),
            )],
            parameters: vec![format],
            bad: &["400"],
            ..Operation::get("/latency", "Latencies.")
        },
        Operation {
            good: vec![("200", both)],
            parameters: asked,
            bad: &["400"],
            ..Operation::get("/explain", "Which route a request takes, and why.")
        },
        Operation {
            good: vec![("200", answer("This description.", json!({ "type": "object" })))],
            ..Operation::get("/openapi.json", "This description.")
        },
        Operation { good: vec![("200", plain())], ..Operation::get("/", "All paths.") },
    ]
}

fn whole() -> Vec<Operation> {
    let object = || json!({ "type": "object" });
    let revision = json!({
        "in": "path", "name": "revision", "required": true,
        "schema": { "type": "integer", "minimum": 0, "maximum": i64::MAX },
    });
    vec![
        Operation {
            good: vec![
                ("200", tagged("The config, credentials masked.", schema_of("Config"))),
                not_modified(),
            ],
            parameters: vec![if_none_match()],
            bad: &["400"],
            ..Operation::get("/config", "The config, with changes that wait.")
        },
        Operation {
            method: "put",
            body: Some((JSON, schema_of("Config"))),
            good: changed("Changed"),
            parameters: conditions(),
            bad: OF_A_BODY,
            ..Operation::get("/config", "A config in place of the files' and of what the API added.")
        },
        Operation {
            good: vec![("200", answer("How changes went.", object()))],
            bad: &["400"],
            ..Operation::get("/config/status", "How the last changes went, which files are bad.")
        },
        Operation {
            method: "post",
            good: changed("Reloaded"),
            parameters: conditions(),
            bad: &["400", "403", "409", "412", "422", "503"],
            ..Operation::get("/config/reload", "Reads the files again.")
        },
        Operation {
            good: vec![("200", answer("The last revisions, the newest first.", object()))],
            bad: &["400"],
            ..Operation::get("/config/revisions", "The last revisions.")
        },
        Operation {
            method: "post",
            good: changed("Changed"),
            parameters: [vec![revision], conditions()].concat(),
            bad: OF_A_CHANGE,
            ..Operation::get("/config/rollback/{revision}", "Back to a revision.")
        },
    ]
}

fn objects(all: &'static str, one: &'static str, kind: &str) -> Vec<Operation> {
    let named = || json!({ "in": "path", "name": "name", "required": true, "schema": name() });
    let with = |more: Vec<Json>| [vec![named()], more].concat();
    vec![
        Operation {
            good: vec![(
                "200",
                answer("All of them, with whose they are.", schema_of(&format!("{kind}List"))),
            )],
            bad: &["400"],
            ..Operation::get(all, "All of them.")
        },
        Operation {
            good: vec![("200", tagged("It, credentials masked.", schema_of(kind))), not_modified()],
            parameters: with(vec![if_none_match()]),
            bad: &["400", "404"],
            ..Operation::get(one, "One of them.")
        },
        Operation {
            method: "put",
            body: Some((JSON, schema_of(&format!("{kind}Put")))),
            good: linked(created("Changed"), all.trim_start_matches('/')),
            parameters: with(conditions()),
            bad: OF_A_BODY,
            ..Operation::get(one, "Adds or replaces one.")
        },
        Operation {
            method: "patch",
            body: Some((PATCH, schema_of(&format!("{kind}Patch")))),
            good: changed("Changed"),
            parameters: with(conditions()),
            bad: OF_A_BODY,
            ..Operation::get(one, "Changes some keys of one.")
        },
        Operation {
            method: "delete",
            good: changed("Changed"),
            parameters: with(conditions()),
            bad: OF_A_CHANGE,
            ..Operation::get(one, "Removes one.")
        },
    ]
}

fn endpoints() -> Vec<Operation> {
    const PATH: &str = "/upstreams/{name}/endpoints/{address}";
    let of = |more: Vec<Json>| {
        let upstream = json!({ "in": "path", "name": "name", "required": true, "schema": name() });
        let address = json!({
            "in": "path", "name": "address", "required": true,
            "schema": { "type": "string", "pattern": text::ENDPOINT.pattern },
        });
        [vec![upstream, address], more].concat()
    };
    let put = || Some((JSON, schema_of("EndpointPut")));
    vec![
        Operation {
            good: vec![("200", answer("How each is doing, why and since when.", schema_of("UpstreamState")))],
            parameters: vec![json!({ "in": "path", "name": "name", "required": true, "schema": name() })],
            bad: &["400", "404"],
            ..Operation::get("/upstreams/{name}/endpoints", "How its endpoints and its breaker are doing.")
        },
        Operation {
            good: vec![("200", tagged("Its weight.", schema_of("Endpoint"))), not_modified()],
            parameters: of(vec![if_none_match()]),
            bad: &["400", "404"],
            ..Operation::get(PATH, "An endpoint's weight.")
        },
        Operation {
            method: "put",
            body: put(),
            good: created("Changed"),
            parameters: of(conditions()),
            bad: OF_A_BODY,
            ..Operation::get(PATH, "Sets the weight; adds the endpoint to an upstream of the API's own.")
        },
        Operation {
            method: "patch",
            body: put().map(|(_, schema)| (PATCH, schema)),
            good: changed("Changed"),
            parameters: of(conditions()),
            bad: OF_A_BODY,
            ..Operation::get(PATH, "Sets the weight of an endpoint that is there.")
        },
        Operation {
            method: "delete",
            good: changed("Changed"),
            parameters: of(conditions()),
            bad: &["400", "403", "404", "409", "412", "422", "503"],
            ..Operation::get(
                PATH,
                "Lifts the weight; removes the endpoint from an upstream of the API's own.",
            )
        },
    ]
}

fn parameter(place: &str, name: &str, schema: Json, description: &str) -> Json {
    json!({ "in": place, "name": name, "schema": schema, "description": description })
}

/// What any change can be asked with.
fn conditions() -> Vec<Json> {
    let etags = json!({ "type": "string", "minLength": 1 });
    vec![
        parameter("query", "dry_run", json!({ "type": "boolean" }), "Only say what would come of it."),
        parameter("header", "If-Match", etags, "Only if it is there, with one of these tags."),
        parameter("header", "If-None-Match", json!({ "const": "*" }), "Only if it is not there."),
    ]
}

fn if_none_match() -> Json {
    parameter("header", "If-None-Match", json!({ "type": "string" }), "304 if it still has this tag.")
}

fn not_modified() -> (&'static str, Json) {
    ("304", json!({ "description": "It still has that tag." }))
}

fn plain() -> Json {
    json!({ "description": "Text.", "content": { "text/plain": { "schema": { "type": "string" } } } })
}

fn answer(description: &str, schema: Json) -> Json {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn tagged(description: &str, schema: Json) -> Json {
    let mut answer = answer(description, schema);
    answer["headers"] = json!({
        "ETag": { "required": true, "schema": schema_of("Etag") },
        "Ringlane-Owner": { "schema": schema_of("Owner") },
    });
    answer
}

fn changed(schema: &str) -> Vec<(&'static str, Json)> {
    vec![
        ("200", answer("Done, or it makes no difference, or a dry run.", schema_of(schema))),
        ("202", answer("Accepted; in force after control.rebuild_min_interval.", schema_of(schema))),
    ]
}

fn created(schema: &str) -> Vec<(&'static str, Json)> {
    let mut good = changed(schema);
    good.push(("201", answer("Added.", schema_of(schema))));
    good
}

/// What was added can be had, changed and removed.
fn linked(mut good: Vec<(&'static str, Json)>, collection: &str) -> Vec<(&'static str, Json)> {
    let link = |method: &str| {
        let name = json!({ "name": "$request.path.name" });
        json!({ "operationId": format!("{method}_{collection}_name"), "parameters": name })
    };
    for (_, response) in good.iter_mut().filter(|(status, _)| *status == "201") {
        response["links"] = json!({ "get": link("get"), "patch": link("patch"), "delete": link("delete") });
    }
    good
}
