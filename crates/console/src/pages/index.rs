//! `/indices/{}`: one index, where its shards are, and what can be done with it.

use http::Method;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::indices::{COLUMNS, state};
use super::overview::{status_class, text};
use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::failure::Failure;
use crate::urlencoded::encode;
use crate::{forms, layout};

pub async fn show(context: &Context<'_>) -> PageResult {
    let name = name(context)?;
    let found = context
        .ask(Call::get(format!(
            "/_cat/indices/{}?format=json&h={COLUMNS}&expand_wildcards=all",
            encode(name)
        )))
        .await?;
    // A name of another kind, an alias, leads to its index.
    let row = &found[0];
    if row["index"] != name {
        return match row["index"].as_str().filter(|_| found[1].is_null()) {
            Some(behind) => Ok(context.redirect(&path(behind))),
            None => Err(Failure::NotFound),
        };
    }
    let (shards, definition, rights) = futures::try_join!(
        context.ask(Call::get(format!(
            "/_cat/shards/{}?format=json&h={SHARD_COLUMNS}",
            encode(name)
        ))),
        definition(context, name),
        context.ask_unshown(rights(name)),
    )?;
    let may = |what: &str| rights["index"][name][what] == true;
    let content = html! {
        (summary(row))
        h2 { "Shards" }
        (shard_table(&shards))
        (told(name, &definition))
        @if may("manage") { (open_or_close(context, name, row)?) }
        @if may("delete_index") {
            h2 { "Delete" }
            p { "Its documents are lost; only a snapshot brings them back." }
            (forms::delete(context, &context.link(&format!("{}/delete", path(name))), name)?)
        }
    };
    Ok(layout::page(context, &format!("Index {name}"), content).await)
}

/// Asks what can be done with the index, for the forms; the cluster is asked again when one is sent.
fn rights(name: &str) -> Call {
    let body = json!({"index": [{"names": [name], "privileges": ["manage", "delete_index"]}]});
    Call::json(Method::POST, "/_security/user/_has_privileges", &body)
}

/// Returns mappings, settings and aliases, or why the user may not see them.
async fn definition(context: &Context<'_>, name: &str) -> Result<Result<Value, String>, Failure> {
    match context.ask(Call::get(api(name))).await {
        Ok(answer) => Ok(Ok(answer)),
        Err(Failure::Forbidden(reason)) => Ok(Err(reason)),
        Err(failure) => Err(failure),
    }
}

fn summary(row: &Value) -> Markup {
    let health = text(&row["health"]);
    let figures = [
        ("State", state(row).to_owned()),
        ("Documents", text(&row["docs.count"])),
        ("Size", text(&row["store.size"])),
        ("Primaries", text(&row["pri"])),
        ("Replicas of each", text(&row["rep"])),
    ];
    html! {
        dl.figures {
            div {
                dt { "Health" }
                dd { span class={ "status " (status_class(&health)) } { (health) } }
            }
            @for (name, figure) in figures {
                div {
                    dt { (name) }
                    dd { @if figure.is_empty() { "-" } @else { (figure) } }
                }
            }
        }
    }
}

fn shard_table(shards: &Value) -> Markup {
    let shards = shards.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = html! {
        @for shard in shards.iter().take(SHARDS) {
            tr {
                th scope="row" { (text(&shard["shard"])) }
                td { (copy(shard)) }
                td { (shard_state(shard)) }
                td { (text(&shard["node"])) }
                td.number { (text(&shard["docs"])) }
                td.number { (text(&shard["store"])) }
                td { (text(&shard["unassigned.reason"])) }
            }
        }
    };
    let heads = [
        "Shard",
        "Copy",
        "State",
        "Node",
        "Documents",
        "Size",
        "Why unassigned",
    ];
    html! {
        (forms::table("Copies of the shards", &heads, rows))
        @if shards.len() > SHARDS { p.hint { "The first " (SHARDS) " of " (shards.len()) " copies." } }
    }
}

/// Returns which copy of a shard a row of `_cat/shards` tells of.
pub fn copy(shard: &Value) -> &'static str {
    match shard["prirep"] == "p" {
        true => "primary",
        false => "replica",
    }
}

/// Returns the state of a copy, in words and a colour.
pub fn shard_state(shard: &Value) -> Markup {
    let state = text(&shard["state"]);
    let class = match state.as_str() {
        "STARTED" => "status green",
        "UNASSIGNED" => "status red",
        _ => "status yellow",
    };
    html! { span class=(class) { (state) } }
}

fn told(name: &str, definition: &Result<Value, String>) -> Markup {
    let definition = match definition {
        Ok(answer) => &answer[name],
        Err(reason) => {
            return html! {
                h2 { "Mapping, settings, aliases" }
                p.hint { "They are not shown: " (reason) }
            };
        }
    };
    let pretty = |part: &str| {
        let text = serde_json::to_string_pretty(&definition[part]).unwrap_or_default();
        forms::cut(text, SHOWN_CHARS)
    };
    html! {
        @for (title, part) in [("Mapping", "mappings"), ("Settings", "settings"), ("Aliases", "aliases")] {
            h2 { (title) }
            @if definition[part].as_object().is_none_or(|part| part.is_empty()) {
                p { "None." }
            } @else {
                pre tabindex="0" aria-label=(title) { (pretty(part)) }
            }
        }
    }
}

fn open_or_close(context: &Context<'_>, name: &str, row: &Value) -> Result<Markup, Failure> {
    let is_open = state(row) == "open";
    let what = if is_open { "close" } else { "open" };
    Ok(html! {
        h2 { "Close and open" }
        form.stack method="post" action=(context.link(&format!("{}/{what}", path(name)))) {
            (forms::token(context.session()?))
            p {
                @if is_open { "A closed index keeps its documents, and neither finds nor takes any until it is opened." }
                @else { "The index is closed: it neither finds nor takes documents." }
            }
            button.primary { (if is_open { "Close the index" } else { "Open the index" }) }
        }
    })
}

pub async fn close(context: &Context<'_>) -> PageResult {
    switch(context, "_close", "The index has been closed.").await
}

pub async fn open(context: &Context<'_>) -> PageResult {
    switch(context, "_open", "The index has been opened.").await
}

async fn switch(context: &Context<'_>, what: &str, notice: &str) -> PageResult {
    let name = name(context)?;
    let call = Call::new(Method::POST, format!("{}/{what}", api(name)), String::new());
    context.ask(call).await?;
    context.done(&path(name), notice.into())
}

pub async fn delete(context: &Context<'_>) -> PageResult {
    let name = name(context)?;
    forms::check_name(context, name)?;
    context
        .ask(Call::new(Method::DELETE, api(name), String::new()))
        .await?;
    context.done("/indices", format!("The index {name} has been deleted."))
}

/// Returns the name in the path. An expression that stands for several indices is none.
fn name<'a>(context: &'a Context<'_>) -> Result<&'a str, Failure> {
    let name = context.capture(0)?;
    match is_name(name) {
        true => Ok(name),
        false => Err(Failure::NotFound),
    }
}

/// Returns whether a text can be the name of one index, and is no expression.
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['_', '-', '+'])
        && !text.contains(|c: char| r#"\/*?"<>|,#:"#.contains(c) || c.is_whitespace())
        && text != "."
        && text != ".."
}

/// Returns where the page of an index is.
pub fn path(name: &str) -> String {
    format!("/indices/{}", encode(name))
}

/// Returns where the cluster has an index.
pub fn api(name: &str) -> String {
    format!("/{}", encode(name))
}

const SHARD_COLUMNS: &str = "shard,prirep,state,node,docs,store,unassigned.reason";
/// Rows of the table, so that the page stays one to read.
const SHARDS: usize = 200;
/// Of a mapping, so that the browser stays quick.
const SHOWN_CHARS: usize = 40_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// What is typed to confirm a deletion must not stand for more than one index.
    #[test]
    fn an_expression_is_no_name() {
        for name in ["logs", "logs-1", ".hidden", "a.b_c"] {
            assert!(is_name(name), "{name}");
        }
        for expression in [
            "",
            "_all",
            "*",
            "a*",
            "a,b",
            "-a",
            "+a",
            "<a-{now}>",
            "a b",
            "..",
            "a/b",
            "c:a",
            "?",
        ] {
            assert!(!is_name(expression), "{expression}");
        }
    }
}
