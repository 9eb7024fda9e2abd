//! `/users`: who the cluster knows.

use http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::overview::text;
use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::definitions::is_reserved;
use crate::failure::Failure;
use crate::listing::{Listed, Listing};
use crate::rights::{self, MANAGE_SECURITY};
use crate::urlencoded::encode;
use crate::{forms, layout};

pub async fn list(context: &Context<'_>) -> PageResult {
    let answer = context.ask(Call::get("/_security/user")).await?;
    let users = answer.as_object().into_iter().flatten();
    let listed = Listed::of(context.request, users, |(name, _)| name.as_str());
    let listing = Listing {
        title: "Users",
        path: "/users",
        caption: "Users of the cluster",
        heads: &["Name", "Full name", "Email", "Roles", "State", ""],
        create: Some(("/new-user", "Create a user")),
        switch: None,
    };
    let row = |(name, user): &(&String, &Value)| {
        html! {
            th scope="row" { a href=(context.link(&path(name))) { (name) } }
            td { (text(&user["full_name"])) }
            td { (text(&user["email"])) }
            td { (forms::join(&user["roles"])) }
            td { @if user["enabled"] == false { span.status.yellow { "disabled" } } @else { "enabled" } }
            td { @if is_reserved(user) { span.tag { "reserved" } } }
        }
    };
    listing.page(context, &listed, html! {}, row).await
}

/// The form of a new user; with `like`, of one that begins with the roles of another.
pub async fn new(context: &Context<'_>) -> PageResult {
    let like = match context.request.query("like") {
        "" => Value::Null,
        like => {
            let answer = context.ask(Call::get(api(like))).await?;
            let user = answer.get(like).ok_or(Failure::NotFound)?;
            json!({"roles": user["roles"]})
        }
    };
    let content = html! {
        form.stack method="post" action=(context.link("/new-user")) {
            (forms::token(context.session()?))
            label for="name" { "Name" }
            input id="name" name="name" required autocomplete="off";
            (fields(&like))
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
        .ask_unshown(Call::json(Method::POST, api(name), &body))
        .await?;
    context.done("/users", format!("The user {name} has been created."))
}

/// One user, and what can be done with it.
pub async fn show(context: &Context<'_>) -> PageResult {
    let name = context.capture(0)?;
    let answer = context.ask(Call::get(api(name))).await?;
    // Commas and stars in a name would find others.
    let user = answer.get(name).ok_or(Failure::NotFound)?;
    let may_change = rights::suffice(&*context.privileges().await, MANAGE_SECURITY);
    let content = match may_change {
        true => change(context, name, user)?,
        false => told(user),
    };
    Ok(layout::page(context, &format!("User {name}"), content).await)
}

/// What somebody sees who may look and not change.
fn told(user: &Value) -> Markup {
    html! {
        dl.diagnosis {
            @for (title, value) in [
                ("Full name", text(&user["full_name"])),
                ("Email", text(&user["email"])),
                ("Roles", forms::join(&user["roles"])),
            ] {
                dt { (title) }
                dd { @if value.is_empty() { "-" } @else { (value) } }
            }
            dt { "State" }
            dd { @if user["enabled"] == false { "disabled" } @else { "enabled" } }
        }
    }
}

fn change(context: &Context<'_>, name: &str, user: &Value) -> Result<Markup, Failure> {
    let session = context.session()?;
    let place = path(name);
    let action = |what: &str| context.link(&format!("{place}/{what}"));
    let is_enabled = user["enabled"] != false;
    Ok(html! {
        @if is_reserved(user) {
            p { "This user is built in: only its password and whether it is enabled can be changed." }
        } @else {
            h2 { "Details" }
            form.stack method="post" action=(action("save")) {
                (forms::token(session))
                (fields(user))
                button.primary { "Save" }
            }
            p { a href=(context.link(&format!("/new-user?like={}", encode(name)))) { "Create another with these roles" } }
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
    })
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
    context.ask_unshown(call).await?;
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

/// Returns where the page of a user is.
pub fn path(name: &str) -> String {
    format!("/users/{}", encode(name))
}

fn api(name: &str) -> String {
    format!("/_security/user/{}", encode(name))
}
