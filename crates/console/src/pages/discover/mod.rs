//! `/discover`: documents by query and time.

mod asked;
pub mod csv;
pub mod document;
mod histogram;

use http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

use self::asked::{Asked, BETWEEN, Field, RANGES};
use super::overview::text;
use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::failure::Failure;
use crate::{forms, layout};

pub async fn show(context: &Context<'_>) -> PageResult {
    let asked = Asked::of(context.request);
    let targets = context
        .ask(Call::get("/_resolve/index/*?expand_wildcards=open"))
        .await?;
    let mut status = StatusCode::OK;
    let found = match asked.target.is_empty() {
        true => {
            html! { p { "Pick an index, an alias, or a pattern such as " code { "logs-*" } "." } }
        }
        false => match found(context, &asked).await {
            // What was typed stays to be mended.
            Err(Failure::Refused(refused, reason)) => {
                status = refused;
                html! { p.problem role="alert" { (reason) } }
            }
            found => found?,
        },
    };
    let content = html! {
        (form(context, &asked, &targets))
        (found)
    };
    Ok(layout::page_with(context, status, "Discover", content).await)
}

fn form(context: &Context<'_>, asked: &Asked, targets: &Value) -> Markup {
    let names = ["indices", "aliases", "data_streams"]
        .into_iter()
        .flat_map(|kind| targets[kind].as_array().into_iter().flatten())
        .filter_map(|target| target["name"].as_str());
    html! {
        form.discover method="get" action=(context.link(PATH)) role="search" {
            div {
                label for="index" { "Index, alias or pattern" }
                input id="index" name="index" value=(asked.target) list="targets" required autocomplete="off" spellcheck="false";
                datalist id="targets" { @for name in names.take(TARGETS) { option value=(name) {} } }
            }
            div.grow {
                label for="query" { "Query" }
                input.mono id="query" name="query" value=(asked.query) type="search" autocomplete="off" spellcheck="false"
                    aria-describedby="query-hint";
                p.hint id="query-hint" { "Lucene's syntax: " code { "status:500 AND message:\"not found\"" } }
            }
            div {
                label for="range" { "Time" }
                select id="range" name="range" {
                    @for (name, told, _) in RANGES {
                        option value=(name) selected[asked.range == *name] { (told) }
                    }
                    option value=(BETWEEN) selected[asked.range == BETWEEN] { "between these, in UTC" }
                }
            }
            div {
                label for="after" { "From" }
                input id="after" name="after" type="datetime-local" step="1" value=(asked.after);
            }
            div {
                label for="before" { "To" }
                input id="before" name="before" type="datetime-local" step="1" value=(asked.before);
            }
            div {
                label for="columns" { "Columns" }
                input id="columns" name="columns" value=(asked.columns.join(", ")) autocomplete="off" spellcheck="false";
            }
            button.primary { "Search" }
        }
    }
}

async fn found(context: &Context<'_>, asked: &Asked) -> Result<Markup, Failure> {
    let fields = asked::fields(context, asked).await?;
    let time = asked::time_field(&fields);
    let body = asked.search(time, asked.from, HITS);
    let answer = context.ask(asked.call("_search", &body)).await?;
    let picture = match time {
        Some(time) => histogram::picture(context, asked, time).await?,
        None => html! { p.hint { "There is no field of a date, by which time could go." } },
    };
    let total = answer["hits"]["total"]["value"]
        .as_u64()
        .unwrap_or_default();
    let hits = answer["hits"]["hits"].as_array();
    let hits = hits.map(Vec::as_slice).unwrap_or_default();
    Ok(html! {
        (failures(&answer))
        p role="status" { strong { (total) } " hits, in " (text(&answer["took"])) " ms" }
        (picture)
        (columns(context, asked, &fields))
        (table(context, asked, time, hits))
        (pager(context, asked, hits.len(), total))
        @if total > 0 {
            p {
                a href=(context.link(&asked.at(0).link("/discover.csv"))) download { "Download as CSV" }
                " (the first " (csv::ROWS) " hits at most)"
            }
        }
    })
}

/// Returns which shards did not answer: what they hold is missing.
fn failures(answer: &Value) -> Markup {
    let failures = answer["_shards"]["failures"].as_array();
    let reasons = failures.into_iter().flatten().take(3);
    html! {
        @if answer["_shards"]["failed"].as_u64().unwrap_or_default() > 0 {
            p.warning role="alert" {
                (text(&answer["_shards"]["failed"])) " of " (text(&answer["_shards"]["total"])) " shards did not answer: "
                @for failure in reasons { (text(&failure["reason"]["reason"])) ". " }
            }
        }
        @if answer["timed_out"] == true { p.warning role="alert" { "The search took too long and was cut." } }
    }
}

/// Returns the fields, each a link that makes it a column or takes it away.
fn columns(context: &Context<'_>, asked: &Asked, fields: &[Field]) -> Markup {
    html! {
        details {
            summary { "Fields (" (fields.len()) ")" }
            ul.fields {
                @for field in fields.iter().take(FIELDS) {
                    @let is_column = asked.columns.contains(&field.name);
                    li {
                        a href=(context.link(&asked.with_column_toggled(&field.name).link(PATH))) {
                            (if is_column { "Without " } else { "Column " }) code { (field.name) }
                        }
                        " " span.tag { (field.kind) }
                    }
                }
            }
            @if fields.len() > FIELDS { p.hint { "The first " (FIELDS) "; type others in Columns." } }
        }
    }
}

fn table(context: &Context<'_>, asked: &Asked, time: Option<&str>, hits: &[Value]) -> Markup {
    let columns = asked.columns.iter().map(String::as_str);
    let mut heads = vec!["Document"];
    heads.extend(time.filter(|time| !asked.columns.iter().any(|column| column == time)));
    let before = heads.len();
    heads.extend(columns);
    if asked.columns.is_empty() {
        heads.push("Fields");
    }
    let cell = |hit: &Value, column: &str| forms::cut(shown(&hit["fields"][column]), CELL_CHARS);
    let rows = html! {
        @for hit in hits {
            @let (index, id) = (text(&hit["_index"]), text(&hit["_id"]));
            tr {
                th scope="row" { a href=(context.link(&document::path(&index, &id))) { (forms::cut(id.clone(), ID_CHARS)) } }
                @for column in &heads[1..before] { td { (cell(hit, column)) } }
                @if asked.columns.is_empty() {
                    td.wide { (summary(hit)) }
                } @else {
                    @for column in &asked.columns { td { (cell(hit, column)) } }
                }
            }
        }
    };
    forms::table("Hits", &heads, rows)
}

/// Returns the beginning of all fields of a hit.
fn summary(hit: &Value) -> Markup {
    let mut left = CELL_CHARS;
    let mut parts = Vec::new();
    for (name, values) in hit["fields"].as_object().into_iter().flatten() {
        if left == 0 {
            break;
        }
        let value: String = shown(values).chars().take(left).collect();
        left = left.saturating_sub(value.chars().count() + name.chars().count());
        parts.push((name, value));
    }
    html! { @for (name, value) in parts { span.field { (name) } " " (value) " " } }
}

/// Returns the values of a field as one text.
fn shown(values: &Value) -> String {
    match values {
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(text).collect();
            values.join(", ")
        }
        other => text(other),
    }
}

fn pager(context: &Context<'_>, asked: &Asked, hits: usize, total: u64) -> Markup {
    let (from, end) = (asked.from, asked.from + hits);
    let link = |from: usize| context.link(&asked.at(from).link(PATH));
    html! {
        nav.pager aria-label="Parts of the hits" {
            @if hits > 0 { (from + 1) " to " (end) " of " (total) ". " }
            @if from > 0 { a href=(link(from.saturating_sub(HITS))) { "Back" } " " }
            @if (end as u64) < total && hits == HITS && end <= asked::LAST { a href=(link(end)) { "On" } }
        }
    }
}

const PATH: &str = "/discover";
/// Hits of a page.
const HITS: usize = 50;
/// Names that are suggested, and fields that are linked: the page is to stay small.
const TARGETS: usize = 200;
const FIELDS: usize = 60;
const CELL_CHARS: usize = 300;
const ID_CHARS: usize = 40;
