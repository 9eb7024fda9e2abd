//! `/api-keys`: keys of programs. A key is shown once, when it is made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use maud::html;
use ringwall_base::SecretString;
use serde_json::{Value, json};

use super::overview::text;
use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::failure::Failure;
use crate::listing::{Listed, Listing};
use crate::{forms, layout};

pub async fn list(context: &Context<'_>) -> PageResult {
    let sees_all = sees_all(context).await;
    let call = Call::get(format!("/_security/api_key?owner={}", !sees_all));
    let answer = context.ask(call).await?;
    let keys = answer["api_keys"].as_array().into_iter().flatten();
    let listed = Listed::of(context.request, keys, |key| {
        key["name"].as_str().unwrap_or_default()
    });
    let listing = Listing {
        title: "API keys",
        path: "/api-keys",
        caption: "API keys",
        heads: &["Name", "Id", "Of", "Made", "Ends", "State", ""],
        create: Some(("/new-api-key", "Create an API key")),
        switch: None,
    };
    let session = context.session()?;
    let row = |key: &&Value| {
        let is_active = key["invalidated"] != true;
        html! {
            th scope="row" { (text(&key["name"])) }
            td { code { (text(&key["id"])) } }
            td { (text(&key["username"])) }
            td { (date(&key["creation"])) }
            td { (date(&key["expiration"])) }
            td { @if is_active { "active" } @else { span.status.yellow { "invalidated" } } }
            td {
                @if is_active {
                    form method="post" action=(context.link("/api-keys/invalidate")) {
                        (forms::token(session))
                        input type="hidden" name="id" value=(text(&key["id"]));
                        button.danger aria-label={ "Invalidate the key " (text(&key["name"])) } { "Invalidate" }
                    }
                }
            }
        }
    };
    let above = html! { @if !sees_all { p.hint { "Your own keys." } } };
    listing.page(context, &listed, above, row).await
}

pub async fn new(context: &Context<'_>) -> PageResult {
    let content = html! {
        form.stack method="post" action=(context.link("/new-api-key")) {
            (forms::token(context.session()?))
            label for="name" { "Name" }
            input id="name" name="name" required autocomplete="off";
            label for="expiration" { "Ends after" }
            input id="expiration" name="expiration" placeholder="30d" aria-describedby="expiration-hint" autocomplete="off";
            p.hint id="expiration-hint" { "A number with d, h or m. Empty: never." }
            label for="roles" { "What it may do" }
            textarea id="roles" name="roles" spellcheck="false" aria-describedby="roles-hint" {}
            p.hint id="roles-hint" {
                "JSON with role descriptors by name, such as "
                code { r#"{"reader": {"indices": [{"names": ["logs-*"], "privileges": ["read"]}]}}"# }
                ". Empty: what you may do now."
            }
            button.primary { "Create" }
        }
    };
    Ok(layout::page(context, "Create an API key", content).await)
}

/// Makes a key and shows it, this once.
pub async fn create(context: &Context<'_>) -> PageResult {
    let request = context.request;
    let mut body = json!({"name": request.form("name").trim()});
    if !request.form("roles").trim().is_empty() {
        body["role_descriptors"] = forms::json(request, "roles")?;
    }
    match request.form("expiration").trim() {
        "" => {}
        time => body["expiration"] = time.into(),
    }
    let made = context
        .ask_unshown(Call::json(Method::POST, "/_security/api_key", &body))
        .await?;
    let (id, key) = (text(&made["id"]), SecretString::new(text(&made["api_key"])));
    let pair = SecretString::new(format!("{id}:{}", key.expose()));
    let encoded = SecretString::new(STANDARD.encode(pair.expose()));
    let content = html! {
        p.warning role="status" { "Copy the key now: it is shown this once, and the cluster keeps only its hash." }
        dl.diagnosis {
            dt { "Name" }
            dd { (text(&made["name"])) }
            dt { "Encoded, for the Authorization header" }
            dd { pre { "Authorization: ApiKey " (encoded.expose()) } }
            dt { "Beats and Logstash" }
            dd { pre { (pair.expose()) } }
            dt { "As JSON" }
            dd { pre { (json!({"id": id, "api_key": key.expose(), "encoded": encoded.expose()})) } }
        }
        p { a href=(context.link("/api-keys")) { "Back to the keys" } }
    };
    Ok(layout::page(context, "The key", content).await)
}

pub async fn invalidate(context: &Context<'_>) -> PageResult {
    let id = context.request.form("id");
    let owner = !sees_all(context).await;
    let body = json!({"ids": [id], "owner": owner});
    let call = Call::json(Method::DELETE, "/_security/api_key", &body);
    let answer = context.ask(call).await?;
    if answer["invalidated_api_keys"] != json!([id]) {
        let reason = match answer["error_details"][0]["reason"].as_str() {
            Some(reason) => reason.to_owned(),
            None => "No such key is active.".to_owned(),
        };
        return Err(Failure::Refused(StatusCode::CONFLICT, reason));
    }
    context.done("/api-keys", "The key has been invalidated.".into())
}

/// Returns whether the user manages all keys, and not only those of its own.
async fn sees_all(context: &Context<'_>) -> bool {
    context.privileges().await.contains("manage_api_key")
}

/// Returns milliseconds since 1970 as a date and time; empty where there are none.
pub fn date(millis: &Value) -> String {
    let time = millis
        .as_i64()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map(|time| format!("{time:.0}")).unwrap_or_default()
}
