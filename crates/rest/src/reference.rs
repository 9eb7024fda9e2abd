//! The table of routes as documents: for people, and for tools.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ringwall_api::{AccessKind, ActionSpec};
use ringwall_security::authz::{cluster_privileges_granting, index_privileges_granting};
use serde_json::{Map, Value, json};

use crate::glossary::{Kind, meaning};
use crate::router::{COMMON_PARAMS, Route, TakesBody};
use crate::routes::ROUTES;
use crate::unsupported;

/// Returns `docs/api.md`.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n| parameter | values | |\n|---|---|---|\n");
    for name in COMMON_PARAMS {
        text.push_str(&parameter_row(&["/"], name));
    }
    for (family, routes) in families() {
        let _ = write!(text, "\n## {family}\n");
        for route in routes {
            text.push_str(&section(route));
        }
    }
    text.push_str(REFUSED);
    for name in unsupported::names() {
        let _ = writeln!(text, "- `{name}`");
    }
    text
}

const REFUSED: &str = "
## Refused by name

These APIs of Elasticsearch are not here. A request to one is answered with 400 and `[...] is not supported by Ringwall`,
and with what to do instead where there is something. `docs/compatibility.md` tells how answers differ.

";

const HEAD: &str = "# The HTTP API

Generated from the table of routes; do not edit. `docs/openapi.json` is the same for tools.

Every endpoint wants credentials: a stranger gets 401, and a caller without the right to the first action of the
endpoint 403. `HEAD` is taken where it is listed, `OPTIONS` everywhere.

Every endpoint takes these parameters:
";

fn families() -> BTreeMap<&'static str, Vec<&'static Route>> {
    let mut families: BTreeMap<&str, Vec<&Route>> = BTreeMap::new();
    for route in ROUTES {
        families.entry(route.family).or_default().push(route);
    }
    families
}

fn section(route: &Route) -> String {
    let methods: Vec<&str> = route.methods.iter().map(|method| method.as_str()).collect();
    let mut text = format!("\n### {}\n\n", route.summary.trim_end_matches('.'));
    for path in route.paths {
        let _ = writeln!(text, "- `{} {path}`", methods.join("|"));
    }
    let _ = writeln!(text, "\nNeeds: {}.", access(route));
    if route.takes_body != TakesBody::Never {
        text.push_str("\nTakes a body.\n");
    }
    let own: Vec<&str> = own_params(route).collect();
    if !own.is_empty() {
        text.push_str("\n| parameter | values | |\n|---|---|---|\n");
        for name in own {
            text.push_str(&parameter_row(route.paths, name));
        }
    }
    text
}

fn parameter_row(paths: &[&str], name: &str) -> String {
    let (kind, words) = described(paths, name);
    format!("| `{name}` | {} | {words} |\n", values(kind))
}

fn described(paths: &[&str], name: &str) -> (Kind, &'static str) {
    // A test finds every name that has no meaning.
    meaning(paths, name).unwrap_or((Kind::Text, ""))
}

fn own_params(route: &Route) -> impl Iterator<Item = &'static str> {
    let own = route.params.iter().copied().flatten().copied();
    own.filter(|name| !COMMON_PARAMS.contains(name))
}

fn values(kind: Kind) -> String {
    match kind {
        Kind::Flag => "`true`, `false`".to_owned(),
        Kind::Number => "a number".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::List => "a list".to_owned(),
        Kind::Time => "a time".to_owned(),
        Kind::Choice(choices) => format!("`{}`", choices.join("`, `")),
    }
}

/// Returns what a caller needs for every action of an endpoint.
fn access(route: &Route) -> String {
    let needs: Vec<String> = route.actions.iter().map(|action| need(action)).collect();
    match needs.is_empty() {
        true => "nothing but to be known".to_owned(),
        false => needs.join("; "),
    }
}

fn need(action: &ActionSpec) -> String {
    let name = action.name;
    match action.access {
        AccessKind::Cluster => {
            let granting = cluster_privileges_granting(name, true);
            format!(
                "a cluster privilege of `{}` (`{name}`)",
                granting.join("`, `")
            )
        }
        AccessKind::Applications => {
            let granting = cluster_privileges_granting(name, false);
            format!(
                "to manage privileges of these applications, or a cluster privilege of `{}` (`{name}`)",
                granting.join("`, `")
            )
        }
        AccessKind::Indices => {
            let granting = index_privileges_granting(name);
            format!(
                "a privilege on the indices of `{}` (`{name}`)",
                granting.join("`, `")
            )
        }
        AccessKind::Items => format!("for each part a privilege on its own index (`{name}`)"),
        AccessKind::SelfService => {
            format!("nothing for what is the caller's own (`{name}`)")
        }
    }
}

/// Returns `docs/openapi.json`, with one line per path.
pub fn openapi() -> String {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        for path in route.paths {
            let methods = paths.entry(path).or_default();
            for method in route.methods {
                let name = method.as_str().to_ascii_lowercase();
                methods.insert(name, operation(route, path));
            }
        }
    }
    let common = COMMON_PARAMS.iter();
    let common: Map<_, _> = common
        .map(|name| ((*name).to_owned(), parameter(&["/"], name, "query")))
        .collect();
    let components = json!({
        "parameters": common,
        "securitySchemes": {
            "basic": {"type": "http", "scheme": "basic"},
            "authorization": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "ApiKey or Bearer"},
        },
    });
    let mut text = String::from("{\n\"openapi\": \"3.0.3\",\n");
    text.push_str("\"info\": {\"title\": \"Ringwall\", \"version\": \"8\"},\n");
    text.push_str("\"security\": [{\"basic\": []}, {\"authorization\": []}],\n");
    let _ = write!(text, "\"components\": {components},\n\"paths\": {{\n");
    let paths = paths.iter();
    let lines: Vec<String> = paths
        .map(|(path, methods)| format!("\"{path}\": {}", json!(methods)))
        .collect();
    text.push_str(&lines.join(",\n"));
    text.push_str("\n}\n}\n");
    text
}

fn operation(route: &Route, path: &str) -> Value {
    let variables = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = variables.map(|name| parameter(route.paths, name, "path"));
    let in_query = own_params(route).map(|name| parameter(route.paths, name, "query"));
    let common = COMMON_PARAMS
        .iter()
        .map(|name| json!({"$ref": format!("#/components/parameters/{name}")}));
    let actions: Vec<&str> = route.actions.iter().map(|action| action.name).collect();
    let mut operation = json!({
        "tags": [route.family],
        "summary": route.summary,
        "description": format!("Needs: {}.", access(route)),
        "parameters": in_path.chain(in_query).chain(common).collect::<Vec<_>>(),
        "responses": {
            "200": {"description": "Done."},
            "400": {"description": "The request is not one."},
            "401": {"description": "Nobody is known by these credentials."},
            "403": {"description": "The caller has not the right."},
        },
        "x-actions": actions,
    });
    if route.takes_body != TakesBody::Never {
        operation["requestBody"] = json!({"content": {"application/json": {"schema": {}}}});
    }
    operation
}

fn parameter(paths: &[&str], name: &str, place: &str) -> Value {
    let (kind, words) = described(paths, name);
    let schema = match kind {
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Number => json!({"type": "integer"}),
        Kind::Text | Kind::List | Kind::Time => json!({"type": "string"}),
        Kind::Choice(choices) => json!({"type": "string", "enum": choices}),
    };
    let mut parameter = json!({"name": name, "in": place, "description": words, "schema": schema});
    if place == "path" {
        parameter["required"] = true.into();
    }
    parameter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_and_variable_has_a_meaning() {
        for route in ROUTES {
            let variables = route.paths.iter().flat_map(|path| path.split('/'));
            let variables = variables.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            for name in variables.chain(route.all_params()) {
                let known = meaning(route.paths, name).is_some();
                assert!(known, "{:?} [{name}] is in no glossary", route.paths);
            }
            assert!(route.summary.ends_with('.'), "{:?}", route.paths);
        }
    }

    #[test]
    fn the_document_for_tools_has_every_path() {
        let document: Value = serde_json::from_str(&openapi()).unwrap();
        for route in ROUTES {
            for path in route.paths {
                for method in route.methods {
                    let name = method.as_str().to_ascii_lowercase();
                    assert!(document["paths"][path][name].is_object(), "{method} {path}");
                }
            }
        }
    }
}
