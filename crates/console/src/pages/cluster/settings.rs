//! `/cluster/settings`: every setting with its value and where it is set, and a form that changes one.

use http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::failure::Failure;
use crate::forms;
use crate::listing::{Listed, Listing};
use crate::pages::overview::text;
use crate::rights::{self, MANAGE};
use crate::urlencoded::encode;

pub async fn list(context: &Context<'_>) -> PageResult {
    let call = Call::get("/_cluster/settings?include_defaults=true&flat_settings=true");
    let answer = context.ask(call).await?;
    let may_change = rights::suffice(&*context.privileges().await, MANAGE);
    // What is set comes before the default that it replaces.
    let settings = PLACES.iter().flat_map(|(key, told)| {
        let settings = answer[*key].as_object().into_iter().flatten();
        settings.map(|(name, value)| Setting {
            name,
            value,
            place: told,
        })
    });
    let listed = Listed::of(context.request, settings, |setting| setting.name);
    let listing = Listing {
        title: "Settings of the cluster",
        path: PATH,
        caption: "Settings",
        heads: &["Name", "Value", "Set", ""],
        create: None,
        switch: None,
    };
    let above = html! {
        (super::tabs(context).await)
        @if may_change { (form(context, &answer)?) }
    };
    let row = |setting: &Setting<'_>| {
        let change = format!("{PATH}?set={}", encode(setting.name));
        html! {
            th scope="row" { code { (setting.name) } }
            td { code { (shown(setting.value)) } }
            td { @if setting.place.is_empty() { "default" } @else { span.tag { (setting.place) } } }
            td {
                @if may_change {
                    a href=(context.link(&change)) aria-label={ "Change " (setting.name) } { "Change" }
                }
            }
        }
    };
    listing.page(context, &listed, above, row).await
}

struct Setting<'a> {
    name: &'a str,
    value: &'a Value,
    /// Empty for a default.
    place: &'static str,
}

/// The form that changes the setting that was picked, or any.
fn form(context: &Context<'_>, answer: &Value) -> Result<Markup, Failure> {
    let picked = context.request.query("set");
    let is_transient = !answer["transient"][picked].is_null();
    let mut places = PLACES.iter().map(|(key, _)| &answer[*key][picked]);
    let value = places
        .find(|value| !value.is_null())
        .unwrap_or(&Value::Null);
    Ok(html! {
        details open[!picked.is_empty()] {
            summary { "Change a setting" }
            form.stack method="post" action=(context.link(PATH)) {
                (forms::token(context.session()?))
                label for="name" { "Name of the setting" }
                input.mono id="name" name="name" value=(picked) required autocomplete="off" spellcheck="false";
                label for="value" { "Value" }
                input.mono id="value" name="value" value=(shown(value)) autocomplete="off" spellcheck="false"
                    aria-describedby="value-hint" autofocus[!picked.is_empty()];
                p.hint id="value-hint" { "Empty: it is taken back, and the default holds. Several: as a list of JSON." }
                label for="place" { "How long" }
                select id="place" name="place" {
                    option value="persistent" { "persistent: until it is changed" }
                    option value="transient" selected[is_transient] { "transient: until the whole cluster restarts" }
                }
                button.primary { "Set" }
            }
        }
    })
}

pub async fn change(context: &Context<'_>) -> PageResult {
    let request = context.request;
    let name = request.form("name").trim();
    let place = request.form("place");
    if name.is_empty() || !["persistent", "transient"].contains(&place) {
        let reason = "A change needs the name of a setting, and how long it holds.";
        return Err(Failure::Refused(StatusCode::BAD_REQUEST, reason.into()));
    }
    let value = match request.form("value").trim() {
        "" => Value::Null,
        list if list.starts_with('[') => forms::json(request, "value")?,
        value => value.into(),
    };
    let is_reset = value.is_null();
    let body = json!({place: {name: value}});
    context
        .ask(Call::json(Method::PUT, "/_cluster/settings", &body))
        .await?;
    let notice = match is_reset {
        true => format!("{name} is no longer set ({place})."),
        false => format!("{name} has been set ({place})."),
    };
    context.done(&format!("{PATH}?q={}", encode(name)), notice)
}

/// Returns a value as it is typed.
fn shown(value: &Value) -> String {
    text(value)
}

const PATH: &str = "/cluster/settings";

/// Parts of the answer, the one in force first, and what they are called.
const PLACES: &[(&str, &str)] = &[
    ("transient", "transient"),
    ("persistent", "persistent"),
    ("defaults", ""),
];
