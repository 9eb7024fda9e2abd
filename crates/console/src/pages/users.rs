//! `/users`: who the cluster knows.

use http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::overview::text;
use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::failure::Failure;
use crate::forms::{self, Listed};
use crate::layout;
use crate::urlencoded::encode;

pub async fn list(context: &Context<'_>) -> PageResult {
    let answer = context.ask(Call::get("/_security/user")).await?;
    let users = answer.as_object().cloned().unwrap_or_default();
    let listed = Listed::of(context.request, users.iter(), |(name, _)| name.as_str());
    let rows = html! {
        @for (name, user) in &listed.page {
            tr {
                th scope="row" { a href=(context.link(&path(name))) { (name) } }
                td { (text(&user["full_name"])) }
                td { (text(&user["email"])) }
                td { (forms::join(&user["roles"])) }
                td { @if user["enabled"] == false { span.status.yellow { "disabled" } } @else { "enabled" } }
                td { @if is_reserved(user) { span.tag { "reserved" } } }
            }
        }
    };
    let heads = ["Name", "Full name", "Email", "Roles", "State", ""];
    let content = html! {
        p { a href=(context.link("/new-user")) { "Create a user" } }
        (listed.filter(context, "/users"))
        (forms::table("Users of the cluster", &heads, rows))
        (listed.pager(context, "/users"))
    };
    Ok(layout::page(context, "Users", content).await)
}

/// The form of a new user.
pub async fn new(context: &Context<'_>) -> PageResult {
    let content = html! {
        form.stack method="post" action=(context.link("/new-user")) {
            (forms::token(context.session()?))
            label for="name" { "Name" }
            input id="name" name="name" required autocomplete="off";
            (fields(&Value::Null))
            label for="password" { "Password" }
            input id="password" name="password" type="password" required autocomplete="new-password";
            button.primary { "Create" }
        }
    };
    Ok(layout::page(context, "Create a user", content).await)
}

pub async fn create(context: &Context<'_>) -> PageResult {
    let name = context.request.form("name").trim();
    if name.is_empty() {
        return Err(Failure::Refused(
            StatusCode::BAD_REQUEST,
            "A user needs a name.".into(),
        ));
    }
    let mut body = entered(context);
    body["password"] = context.request.form("password").into();
    // An existing user is not replaced by a form that was meant for a new one.
    context.is_new(api(name), &format!("user [{name}]")).await?;
    context
        .ask_quietly(Call::json(Method::POST, api(name), &body))
        .await?;
    context.done("/users", format!("The user {name} has been created."))
}

/// One user, and what can be done with it.
pub async fn show(context: &Context<'_>) -> PageResult {
    let name = context.capture(0)?;
    let answer = context.ask(Call::get(api(name))).await?;
    let user = &answer[name];
    let session = context.session()?;
    let place = path(name);
    let action = |what: &str| context.link(&format!("{place}/{what}"));
    let is_enabled = user["enabled"] != false;
    let content = html! {
        @if is_reserved(user) {
            p { "This user is built in: only its password and whether it is enabled can be changed." }
        } @else {
            h2 { "Details" }
            form.stack method="post" action=(action("save")) {
                (forms::token(session))
                (fields(user))
                button.primary { "Save" }
            }
        }
        h2 { "Password" }
        form.stack method="post" action=(action("password")) {
            (forms::token(session))
            label for="password" { "New password" }
            input id="password" name="password" type="password" required autocomplete="new-password";
            button.primary { "Set the password" }
        }
        h2 { "State" }
        form.stack method="post" action=(action(if is_enabled { "disable" } else { "enable" })) {
            (forms::token(session))
            p { (if is_enabled { "The user is enabled." } else { "The user is disabled and cannot log in." }) }
            button.primary { (if is_enabled { "Disable" } else { "Enable" }) }
        }
        @if !is_reserved(user) {
            h2 { "Delete" }
            (forms::delete(context, &action("delete"), name)?)
        }
    };
    Ok(layout::page(context, &format!("User {name}"), content).await)
}

pub async fn save(context: &Context<'_>) -> PageResult {
    let name = context.capture(0)?;
    let user = &context.ask(Call::get(api(name))).await?[name];
    let mut body = entered(context);
    // What the form does not show stays as it is.
    body["metadata"] = user["metadata"].clone();
    body["enabled"] = user["enabled"].clone();
    context
        .ask(Call::json(Method::PUT, api(name), &body))
        .await?;
    context.done(&path(name), "The user has been saved.".into())
}

pub async fn password(context: &Context<'_>) -> PageResult {
    let name = context.capture(0)?;
    let body = json!({"password": context.request.form("password")});
    let call = Call::json(Method::POST, format!("{}/_password", api(name)), &body);
    context.ask_quietly(call).await?;
    context.done(&path(name), "The password has been set.".into())
}

pub async fn enable(context: &Context<'_>) -> PageResult {
    switch(context, "_enable", "The user is enabled.").await
}

pub async fn disable(context: &Context<'_>) -> PageResult {
    switch(context, "_disable", "The user is disabled.").await
}

async fn switch(context: &Context<'_>, what: &str, notice: &str) -> PageResult {
    let name = context.capture(0)?;
    let call = Call::new(Method::POST, format!("{}/{what}", api(name)), String::new());
    context.ask(call).await?;
    context.done(&path(name), notice.into())
}

pub async fn delete(context: &Context<'_>) -> PageResult {
    let name = context.capture(0)?;
    forms::check_name(context, name)?;
    context
        .ask(Call::new(Method::DELETE, api(name), String::new()))
        .await?;
    context.done("/users", format!("The user {name} has been deleted."))
}

fn fields(user: &Value) -> Markup {
    html! {
        label for="full_name" { "Full name" }
        input id="full_name" name="full_name" value=(text(&user["full_name"])) autocomplete="off";
        label for="email" { "Email" }
        input id="email" name="email" type="email" value=(text(&user["email"])) autocomplete="off";
        label for="roles" { "Roles" }
        input id="roles" name="roles" value=(forms::join(&user["roles"])) aria-describedby="roles-hint" autocomplete="off";
        p.hint id="roles-hint" { "Names of roles, with commas between." }
    }
}

fn entered(context: &Context<'_>) -> Value {
    let text = |name| match context.request.form(name).trim() {
        "" => Value::Null,
        text => text.into(),
    };
    json!({
        "roles": forms::split(context.request.form("roles")),
        "full_name": text("full_name"),
        "email": text("email"),
    })
}

fn is_reserved(user: &Value) -> bool {
    user["metadata"]["_reserved"] == true
}

fn path(name: &str) -> String {
    format!("/users/{}", encode(name))
}

fn api(name: &str) -> String {
    format!("/_security/user/{}", encode(name))
}
