//! `/indices`: what the cluster holds, and the form of a new index.

use http::{Method, StatusCode};
use maud::html;
use serde_json::{Value, json};

use super::index;
use super::overview::{status_class, text};
use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::failure::Failure;
use crate::listing::{self, Listed, Listing};
use crate::{forms, layout};

pub async fn list(context: &Context<'_>) -> PageResult {
    let listing = Listing {
        title: "Indices",
        path: "/indices",
        caption: "Indices of the cluster",
        heads: &[
            "Name",
            "Health",
            "State",
            "Documents",
            "Size",
            "Primaries",
            "Replicas of each",
            "Aliases",
        ],
        create: Some(("/new-index", "Create an index")),
        switch: Some((HIDDEN, "Hidden ones, too")),
    };
    let hidden = match listing::is_on(context.request, HIDDEN) {
        true => "all",
        false => "open,closed",
    };
    let (indices, aliases) = futures::try_join!(
        context.ask(Call::get(format!(
            "/_cat/indices?format=json&h={COLUMNS}&expand_wildcards={hidden}"
        ))),
        aliases(context, hidden),
    )?;
    let rows = indices.as_array().into_iter().flatten();
    let listed = Listed::of(context.request, rows, |row| {
        row["index"].as_str().unwrap_or_default()
    });
    let named = |name: &str| {
        let rows = aliases.as_array().into_iter().flatten();
        let own = rows.filter(|row| row["index"] == name);
        let names: Vec<String> = own.map(|row| text(&row["alias"])).collect();
        names.join(", ")
    };
    let row = |row: &&Value| {
        let name = text(&row["index"]);
        let health = text(&row["health"]);
        html! {
            th scope="row" { a href=(context.link(&index::path(&name))) { (name) } }
            td { span class={ "status " (status_class(&health)) } { (health) } }
            td { (state(row)) }
            td.number { (text(&row["docs.count"])) }
            td.number { (text(&row["store.size"])) }
            td.number { (text(&row["pri"])) }
            td.number { (text(&row["rep"])) }
            td { (named(&name)) }
        }
    };
    listing.page(context, &listed, html! {}, row).await
}

/// Returns the table of aliases; none where the user may not see them.
async fn aliases(context: &Context<'_>, hidden: &str) -> Result<Value, Failure> {
    let path = format!("/_cat/aliases?format=json&h=alias,index&expand_wildcards={hidden}");
    match context.ask(Call::get(path)).await {
        Err(Failure::Forbidden(_)) => Ok(Value::Null),
        answered => answered,
    }
}

pub async fn new(context: &Context<'_>) -> PageResult {
    let content = html! {
        form.stack method="post" action=(context.link("/new-index")) {
            (forms::token(context.session()?))
            label for="name" { "Name" }
            input id="name" name="name" required autocomplete="off" spellcheck="false" aria-describedby="name-hint";
            p.hint id="name-hint" { "Lowercase letters, digits, and . - _ within." }
            label for="definition" { "Definition" }
            textarea id="definition" name="definition" spellcheck="false" aria-describedby="definition-hint" { (EXAMPLE) }
            p.hint id="definition-hint" {
                "JSON with settings, mappings and aliases, as PUT of an index takes it. Empty: what templates and defaults give."
            }
            button.primary { "Create" }
        }
    };
    Ok(layout::page(context, "Create an index", content).await)
}

pub async fn create(context: &Context<'_>) -> PageResult {
    let name = context.request.form("name").trim();
    if !index::is_name(name) {
        let reason = format!("[{name}] is no name of an index.");
        return Err(Failure::Refused(StatusCode::BAD_REQUEST, reason));
    }
    let definition = match context.request.form("definition").trim() {
        "" => json!({}),
        _ => forms::json(context.request, "definition")?,
    };
    // The cluster refuses a name that is taken.
    context
        .ask(Call::json(Method::PUT, index::api(name), &definition))
        .await?;
    context.done(
        &index::path(name),
        format!("The index {name} has been created."),
    )
}

/// Returns whether an index of the table is open, in words.
pub fn state(row: &Value) -> &'static str {
    match row["status"] == "close" {
        true => "closed",
        false => "open",
    }
}

/// Of `_cat/indices`.
pub const COLUMNS: &str = "index,health,status,docs.count,store.size,pri,rep";
const HIDDEN: &str = "hidden";

const EXAMPLE: &str = r#"{
  "settings": { "number_of_shards": 1, "number_of_replicas": 1 },
  "mappings": {
    "properties": {
      "@timestamp": { "type": "date" },
      "message": { "type": "text" }
    }
  },
  "aliases": {}
}"#;
