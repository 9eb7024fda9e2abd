//! `/templates`: what new indices are made of.

use maud::html;
use serde_json::Value;

use super::overview::text;
use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::forms;
use crate::listing::{Listed, Listing};

pub async fn list(context: &Context<'_>) -> PageResult {
    let (index, component, legacy) = futures::try_join!(
        context.ask(Call::get("/_index_template")),
        context.ask(Call::get("/_component_template")),
        context.ask(Call::get("/_template")),
    )?;
    let templates = of_list(&index["index_templates"], "index", "index_template")
        .chain(of_list(
            &component["component_templates"],
            "component",
            "component_template",
        ))
        .chain(
            legacy
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, content)| Template {
                    name,
                    kind: "legacy",
                    content,
                }),
        );
    let listed = Listed::of(context.request, templates, |template| template.name);
    let listing = Listing {
        title: "Templates",
        path: "/templates",
        caption: "Templates of indices",
        heads: &[
            "Name",
            "Kind",
            "Patterns",
            "Priority",
            "Made of",
            "Definition",
        ],
        create: None,
        switch: None,
    };
    let row = |template: &Template<'_>| {
        let content = template.content;
        let priority = match template.kind {
            "legacy" => &content["order"],
            _ => &content["priority"],
        };
        let pretty = serde_json::to_string_pretty(content).unwrap_or_default();
        html! {
            th scope="row" { (template.name) }
            td { (template.kind) }
            td { (forms::join(&content["index_patterns"])) }
            td.number { (text(priority)) }
            td { (forms::join(&content["composed_of"])) }
            td {
                details {
                    summary aria-label={ "Definition of " (template.name) } { "Show" }
                    pre { (forms::cut(pretty, SHOWN_CHARS)) }
                }
            }
        }
    };
    listing.page(context, &listed, html! {}, row).await
}

struct Template<'a> {
    name: &'a str,
    kind: &'static str,
    content: &'a Value,
}

fn of_list<'a>(
    list: &'a Value,
    kind: &'static str,
    content: &'static str,
) -> impl Iterator<Item = Template<'a>> {
    let list = list.as_array().into_iter().flatten();
    list.map(move |template| Template {
        name: template["name"].as_str().unwrap_or_default(),
        kind,
        content: &template[content],
    })
}

/// Of a definition: a page has fifty.
const SHOWN_CHARS: usize = 4_000;
