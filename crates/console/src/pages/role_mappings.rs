//! `/role-mappings`: which users of other realms, such as those with a certificate, have which roles.

use http::Method;
use maud::{Markup, html};
use serde_json::Value;

use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::definitions::Kind;
use crate::failure::Failure;
use crate::forms;
use crate::listing::{Listed, Listing};
use crate::rights::{self, MANAGE_SECURITY};

pub async fn list(context: &Context<'_>) -> PageResult {
    let answer = context.ask(Call::get(MAPPINGS.api)).await?;
    let mappings = answer.as_object().into_iter().flatten();
    let listed = Listed::of(context.request, mappings, |(name, _)| name.as_str());
    let listing = Listing {
        title: "Role mappings",
        path: MAPPINGS.path,
        caption: "Role mappings of the cluster",
        heads: &["Name", "State", "Roles", "Of whom"],
        create: Some((MAPPINGS.new, "Create a role mapping")),
        switch: None,
    };
    let row = |(name, mapping): &(&String, &Value)| {
        html! {
            th scope="row" { a href=(context.link(&MAPPINGS.page(name))) { (name) } }
            td { @if is_enabled(mapping) { "enabled" } @else { span.status.yellow { "disabled" } } }
            td { (forms::join(&mapping["roles"])) }
            td { code { (forms::cut(mapping["rules"].to_string(), SHOWN_CHARS)) } }
        }
    };
    listing.page(context, &listed, html! {}, row).await
}

pub async fn new(context: &Context<'_>) -> PageResult {
    MAPPINGS.form(context).await
}

pub async fn create(context: &Context<'_>) -> PageResult {
    MAPPINGS.create(context).await
}

pub async fn show(context: &Context<'_>) -> PageResult {
    let name = context.capture(0)?;
    let found = MAPPINGS.find(context, name).await?;
    let switch = switch_form(context, name, &found).await?;
    MAPPINGS.show(context, name, &found, switch).await
}

pub async fn save(context: &Context<'_>) -> PageResult {
    MAPPINGS.save(context).await
}

pub async fn delete(context: &Context<'_>) -> PageResult {
    MAPPINGS.delete(context).await
}

async fn switch_form(
    context: &Context<'_>,
    name: &str,
    mapping: &Value,
) -> Result<Markup, Failure> {
    if !rights::suffice(&*context.privileges().await, MANAGE_SECURITY) {
        return Ok(html! {});
    }
    let (what, text, button) = match is_enabled(mapping) {
        true => ("disable", "The mapping is enabled.", "Disable"),
        false => (
            "enable",
            "The mapping is disabled and gives no role.",
            "Enable",
        ),
    };
    let action = format!("{}/{what}", MAPPINGS.page(name));
    Ok(html! {
        h2 { "State" }
        form.stack method="post" action=(context.link(&action)) {
            (forms::token(context.session()?))
            p { (text) }
            button.primary { (button) }
        }
    })
}

pub async fn enable(context: &Context<'_>) -> PageResult {
    switch(context, true, "The mapping is enabled.").await
}

pub async fn disable(context: &Context<'_>) -> PageResult {
    switch(context, false, "The mapping is disabled.").await
}

async fn switch(context: &Context<'_>, enabled: bool, notice: &str) -> PageResult {
    let name = context.capture(0)?;
    let mut mapping = MAPPINGS.find(context, name).await?;
    mapping["enabled"] = enabled.into();
    let call = Call::json(Method::PUT, MAPPINGS.at(name), &mapping);
    context.ask(call).await?;
    context.done(&MAPPINGS.page(name), notice.into())
}

fn is_enabled(mapping: &Value) -> bool {
    mapping["enabled"] == true
}

pub const MAPPINGS: Kind = Kind {
    what: "role mapping",
    path: "/role-mappings",
    new: "/new-role-mapping",
    api: "/_security/role_mapping",
    hint: "JSON, as PUT _security/role_mapping takes it.",
    example: EXAMPLE,
    only_told: None,
};

const EXAMPLE: &str = r#"{
  "enabled": true,
  "roles": [ "monitoring_user" ],
  "rules": {
    "all": [
      { "field": { "realm.name": "pki1" } },
      { "field": { "dn": "CN=*,OU=operators,DC=example,DC=com" } }
    ]
  }
}"#;

/// Of the rules of one mapping.
const SHOWN_CHARS: usize = 300;
