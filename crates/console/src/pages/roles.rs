//! `/roles`: what users may do.

use http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::Value;

use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::failure::Failure;
use crate::forms::{self, Listed};
use crate::layout;
use crate::urlencoded::encode;

pub async fn list(context: &Context<'_>) -> PageResult {
    let answer = context.ask(Call::get("/_security/role")).await?;
    let roles = answer.as_object().cloned().unwrap_or_default();
    let listed = Listed::of(context.request, roles.iter(), |(name, _)| name.as_str());
    let rows = html! {
        @for (name, role) in &listed.page {
            tr {
                th scope="row" { a href=(context.link(&path(name))) { (name) } }
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
        }
    };
    let content = html! {
        p { a href=(context.link("/new-role")) { "Create a role" } }
        (listed.filter(context, "/roles"))
        (forms::table("Roles of the cluster", &["Name", "Cluster privileges", "Index privileges", ""], rows))
        (listed.pager(context, "/roles"))
    };
    Ok(layout::page(context, "Roles", content).await)
}

pub async fn new(context: &Context<'_>) -> PageResult {
    let content = html! {
        form.stack method="post" action=(context.link("/new-role")) {
            (forms::token(context.session()?))
            label for="name" { "Name" }
            input id="name" name="name" required autocomplete="off";
            (editor(EXAMPLE))
            button.primary { "Create" }
        }
    };
    Ok(layout::page(context, "Create a role", content).await)
}

pub async fn create(context: &Context<'_>) -> PageResult {
    let name = context.request.form("name").trim();
    if name.is_empty() {
        return Err(Failure::Refused(
            StatusCode::BAD_REQUEST,
            "A role needs a name.".into(),
        ));
    }
    context.is_new(api(name), &format!("role [{name}]")).await?;
    put(context, name).await?;
    context.done("/roles", format!("The role {name} has been created."))
}

pub async fn show(context: &Context<'_>) -> PageResult {
    let name = context.capture(0)?;
    let answer = context.ask(Call::get(api(name))).await?;
    let role = &answer[name];
    let mut definition = role.clone();
    if let Some(fields) = definition.as_object_mut() {
        // It is told, not set.
        fields.shift_remove("transient_metadata");
    }
    let shown = serde_json::to_string_pretty(&definition).unwrap_or_default();
    let action = |what: &str| context.link(&format!("{}/{what}", path(name)));
    let content = html! {
        @if is_reserved(role) {
            p { "This role is built in and cannot be changed." }
            pre { (shown) }
        } @else {
            form.stack method="post" action=(action("save")) {
                (forms::token(context.session()?))
                (editor(&shown))
                button.primary { "Save" }
            }
            h2 { "Delete" }
            (forms::delete(context, &action("delete"), name)?)
        }
    };
    Ok(layout::page(context, &format!("Role {name}"), content).await)
}

pub async fn save(context: &Context<'_>) -> PageResult {
    let name = context.capture(0)?;
    put(context, name).await?;
    context.done(&path(name), "The role has been saved.".into())
}

pub async fn delete(context: &Context<'_>) -> PageResult {
    let name = context.capture(0)?;
    forms::check_name(context, name)?;
    context
        .ask(Call::new(Method::DELETE, api(name), String::new()))
        .await?;
    context.done("/roles", format!("The role {name} has been deleted."))
}

async fn put(context: &Context<'_>, name: &str) -> Result<Value, Failure> {
    let definition = forms::json(context.request, "definition")?;
    context
        .ask(Call::json(Method::PUT, api(name), &definition))
        .await
}

fn editor(definition: &str) -> Markup {
    html! {
        label for="definition" { "Definition" }
        textarea id="definition" name="definition" spellcheck="false" aria-describedby="definition-hint" { (definition) }
        p.hint id="definition-hint" { "JSON, as PUT _security/role takes it." }
    }
}

fn is_reserved(role: &Value) -> bool {
    role["metadata"]["_reserved"] == true
}

fn path(name: &str) -> String {
    format!("/roles/{}", encode(name))
}

fn api(name: &str) -> String {
    format!("/_security/role/{}", encode(name))
}

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
