//! `/documents/{index}/{id}`: one document, field by field and as it came.

use maud::html;
use serde_json::Value;

use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::pages::overview::text;
use crate::urlencoded::encode;
use crate::{forms, layout};

pub async fn show(context: &Context<'_>) -> PageResult {
    let (index, id) = (context.capture(0)?, context.capture(1)?);
    let path = format!("/{}/_doc/{}", encode(index), encode(id));
    let found = context.ask(Call::get(path)).await?;
    let mut fields = Vec::new();
    flatten("", &found["_source"], &mut fields);
    let pretty = serde_json::to_string_pretty(&found["_source"]).unwrap_or_default();
    let rows = html! {
        @for (name, value) in fields.iter().take(FIELDS) {
            tr {
                th scope="row" { code { (name) } }
                td.wide { (forms::cut(value.clone(), VALUE_CHARS)) }
            }
        }
    };
    let content = html! {
        dl.figures {
            @for (name, key) in [("Index", "_index"), ("Id", "_id"), ("Version", "_version")] {
                div {
                    dt { (name) }
                    dd { (text(&found[key])) }
                }
            }
        }
        h2 { "Fields" }
        (forms::table("Fields of the document", &["Field", "Value"], rows))
        @if fields.len() > FIELDS { p.hint { "The first " (FIELDS) " of " (fields.len()) " fields." } }
        h2 { "As JSON" }
        pre tabindex="0" aria-label="The document as JSON" { (forms::cut(pretty, JSON_CHARS)) }
    };
    Ok(layout::page(context, "Document", content).await)
}

/// Returns where the page of a document is.
pub fn path(index: &str, id: &str) -> String {
    format!("/documents/{}/{}", encode(index), encode(id))
}

/// Adds the leaves of a document by their paths; a list is one leaf.
fn flatten(path: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                flatten(&path, value, into);
            }
        }
        leaf => into.push((path.to_owned(), text(leaf))),
    }
}

const FIELDS: usize = 500;
const VALUE_CHARS: usize = 2_000;
const JSON_CHARS: usize = 100_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn leaves_are_named_by_their_paths() {
        let mut fields = Vec::new();
        let document = json!({"a": {"b": 1, "c": ["x", 2]}, "d": null});
        flatten("", &document, &mut fields);
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(fields, [("a.b", "1"), ("a.c", "[\"x\",2]"), ("d", "")]);
    }
}
