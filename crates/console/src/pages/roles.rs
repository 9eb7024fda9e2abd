//! `/roles`: what users may do.

use http::Method;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::role_mappings::MAPPINGS;
use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::definitions::{Kind, is_reserved};
use crate::failure::Failure;
use crate::forms;
use crate::listing::{Listed, Listing};

pub async fn list(context: &Context<'_>) -> PageResult {
    let answer = context.ask(Call::get("/_security/role")).await?;
    let roles = answer.as_object().into_iter().flatten();
    let listed = Listed::of(context.request, roles, |(name, _)| name.as_str());
    let listing = Listing {
        title: "Roles",
        path: "/roles",
        caption: "Roles of the cluster",
        heads: &["Name", "Cluster privileges", "Index privileges", ""],
        create: Some(("/new-role", "Create a role")),
        switch: None,
    };
    let row = |(name, role): &(&String, &Value)| {
        html! {
            th scope="row" { a href=(context.link(&ROLES.page(name))) { (name) } }
            td { (forms::join(&role["cluster"])) }
            td {
                @for index in role["indices"].as_array().into_iter().flatten() {
                    div {
                        code { (forms::join(&index["names"])) } ": " (forms::join(&index["privileges"]))
                        @if !index["query"].is_null() { " " span.tag { "documents" } }
                        @if !index["field_security"].is_null() { " " span.tag { "fields" } }
                    }
                }
            }
            td { @if is_reserved(role) { span.tag { "reserved" } } }
        }
    };
    listing.page(context, &listed, html! {}, row).await
}

pub async fn new(context: &Context<'_>) -> PageResult {
    ROLES.form(context).await
}

pub async fn create(context: &Context<'_>) -> PageResult {
    ROLES.create(context).await
}

pub async fn show(context: &Context<'_>) -> PageResult {
    let name = context.capture(0)?;
    let found = ROLES.find(context, name).await?;
    let used_by = used_by(context, name).await?;
    ROLES.show(context, name, &found, used_by).await
}

pub async fn save(context: &Context<'_>) -> PageResult {
    ROLES.save(context).await
}

pub async fn delete(context: &Context<'_>) -> PageResult {
    ROLES.delete(context).await
}

/// Returns who has the role: users, and the mappings that give it.
async fn used_by(context: &Context<'_>, name: &str) -> Result<Markup, Failure> {
    let query = json!({"query": {"term": {"roles": name}}, "sort": ["username"], "size": USERS});
    let (users, mappings) = futures::try_join!(
        context.ask(Call::json(Method::POST, "/_security/_query/user", &query)),
        context.ask(Call::get("/_security/role_mapping")),
    )?;
    let mappings: Vec<&String> = mappings
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, mapping)| {
            let mut roles = mapping["roles"].as_array().into_iter().flatten();
            roles.any(|role| role == name)
        })
        .map(|(name, _)| name)
        .take(USERS)
        .collect();
    let total = users["total"].as_u64().unwrap_or_default();
    let users: Vec<&str> = users["users"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|user| user["username"].as_str())
        .collect();
    Ok(html! {
        h2 { "Used by" }
        @if users.is_empty() && mappings.is_empty() { p { "No user and no role mapping." } }
        @if !users.is_empty() {
            h3 { "Users" }
            ul { @for user in &users { li { a href=(context.link(&super::users::path(user))) { (user) } } } }
            @if total > users.len() as u64 { p.hint { "The first " (users.len()) " of " (total) "." } }
        }
        @if !mappings.is_empty() {
            h3 { "Role mappings" }
            ul { @for mapping in mappings { li { a href=(context.link(&MAPPINGS.page(mapping))) { (mapping) } } } }
        }
        p.hint { "Built-in users, which have the roles of their names, and API keys are not counted." }
    })
}

const ROLES: Kind = Kind {
    what: "role",
    path: "/roles",
    new: "/new-role",
    api: "/_security/role",
    hint: "JSON, as PUT _security/role takes it.",
    example: EXAMPLE,
    only_told: Some("transient_metadata"),
};

/// Users and mappings that are listed.
const USERS: usize = 50;

const EXAMPLE: &str = r#"{
  "cluster": [ "monitor" ],
  "indices": [
    {
      "names": [ "logs-*" ],
      "privileges": [ "read", "view_index_metadata" ],
      "field_security": { "grant": [ "*" ], "except": [ "secret" ] },
      "query": { "term": { "team": "a" } }
    }
  ]
}"#;
