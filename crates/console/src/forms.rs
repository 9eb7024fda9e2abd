//! Forms and tables: what pages are built of.

use http::StatusCode;
use maud::{Markup, html};
use ringwall_base::SecretString;
use serde_json::Value;

use crate::context::Context;
use crate::failure::Failure;
use crate::request::Request;
use crate::sessions::Session;
use crate::urlencoded::encode;

/// The hidden field that every form of a session has.
pub fn token(session: &Session) -> Markup {
    html! { input type="hidden" name=(TOKEN) value=(session.form_token.expose()); }
}

/// Refuses a form that was not given to this session, or comes from another site's page.
pub fn check_token(context: &Context<'_>) -> Result<(), Failure> {
    check(context, &context.session()?.form_token)
}

/// As [`check_token`], against the token that the login page was given.
pub fn check(context: &Context<'_>, expected: &SecretString) -> Result<(), Failure> {
    let given = context.request.secret(TOKEN);
    let is_ours = context
        .request
        .is_of_this_origin(&context.app.config.server);
    match is_ours && !expected.is_empty() && given == *expected {
        true => Ok(()),
        false => Err(Failure::ForeignForm),
    }
}

/// The name of the hidden field.
pub const TOKEN: &str = "csrf";

/// A table that scrolls sideways where it is too wide.
pub fn table(caption: &str, heads: &[&str], rows: Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { (rows) }
            }
        }
    }
}

/// The form that deletes something, once its name was typed.
pub fn delete(context: &Context<'_>, action: &str, name: &str) -> Result<Markup, Failure> {
    Ok(html! {
        form.stack method="post" action=(action) {
            (token(context.session()?))
            label for="confirm" { "Type " code { (name) } " to confirm" }
            input id="confirm" name="confirm" required autocomplete="off";
            button.danger { "Delete" }
        }
    })
}

/// Refuses to delete what was not named.
pub fn check_name(context: &Context<'_>, name: &str) -> Result<(), Failure> {
    match context.request.form("confirm").trim() == name {
        true => Ok(()),
        false => Err(Failure::Refused(
            StatusCode::BAD_REQUEST,
            "The name that was typed is another.".to_owned(),
        )),
    }
}

/// Returns the JSON of a field.
pub fn json(request: &Request, field: &str) -> Result<Value, Failure> {
    serde_json::from_str(request.form(field)).map_err(|error| {
        let reason = format!("This is no JSON: {error}.");
        Failure::Refused(StatusCode::BAD_REQUEST, reason)
    })
}

/// Returns a list of texts as one.
pub fn join(list: &Value) -> String {
    let texts = list.as_array().into_iter().flatten();
    let texts: Vec<&str> = texts.filter_map(Value::as_str).collect();
    texts.join(", ")
}

/// Returns the texts between commas.
pub fn split(text: &str) -> Vec<&str> {
    let parts = text.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).collect()
}

/// Returns the part of a list that a page shows: what has the words of `q` in its name, from `from` on.
pub struct Listed<T> {
    pub page: Vec<T>,
    found: usize,
    from: usize,
    filter: String,
}

impl<T> Listed<T> {
    pub fn of(request: &Request, all: impl Iterator<Item = T>, name: impl Fn(&T) -> &str) -> Self {
        let filter = request.query("q").to_lowercase();
        let mut found: Vec<T> = all
            .filter(|item| name(item).to_lowercase().contains(&filter))
            .collect();
        found.sort_by(|a, b| name(a).cmp(name(b)));
        let from = request.query("from").parse().unwrap_or(0).min(found.len());
        let count = found.len();
        Self {
            page: found.into_iter().skip(from).take(PAGE).collect(),
            found: count,
            from,
            filter: request.query("q").to_owned(),
        }
    }

    /// The field that narrows the list.
    pub fn filter(&self, context: &Context<'_>, path: &str) -> Markup {
        html! {
            form.bar method="get" action=(context.link(path)) role="search" {
                label for="q" { "Name" }
                input id="q" name="q" value=(self.filter) type="search";
                button { "Filter" }
            }
        }
    }

    /// What is shown of how much, and the way on.
    pub fn pager(&self, context: &Context<'_>, path: &str) -> Markup {
        let link = |from: usize| {
            let filter = encode(&self.filter);
            context.link(&format!("{path}?q={filter}&from={from}"))
        };
        let end = self.from + self.page.len();
        html! {
            p {
                @if self.found == 0 { "None." } @else { (self.from + 1) " to " (end) " of " (self.found) ". " }
                @if self.from > 0 { a href=(link(self.from.saturating_sub(PAGE))) { "Back" } " " }
                @if end < self.found { a href=(link(end)) { "On" } }
            }
        }
    }
}

/// Rows of a page.
const PAGE: usize = 50;
