//! `/sessions`: where oneself is logged in, and an end to it.

use std::time::{Duration, Instant};

use http::StatusCode;
use maud::html;

use crate::context::{Context, PageResult};
use crate::failure::Failure;
use crate::{forms, layout};

pub async fn list(context: &Context<'_>) -> PageResult {
    let session = context.session()?;
    let now = Instant::now();
    let own = context.app.sessions.of(&session.user, now);
    let ago = |age: Duration| {
        let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        format!("{} ago", forms::duration(millis / 1000 * 1000))
    };
    let rows = html! {
        @for (number, other) in own.iter().enumerate() {
            @let (begun, used) = other.ages(now);
            @let is_this = other.handle == session.handle;
            tr {
                th scope="row" { (number + 1) @if is_this { " " span.tag { "this one" } } }
                td { (other.origin.client) }
                td.wide { (other.origin.agent) }
                td { (ago(begun)) }
                td { (ago(used)) }
                td {
                    @if !is_this {
                        form method="post" action=(context.link("/sessions/end")) {
                            (forms::token(session))
                            input type="hidden" name="session" value=(other.handle.expose());
                            button.danger aria-label={ "End session " (number + 1) } { "End" }
                        }
                    }
                }
            }
        }
    };
    let heads = ["Session", "Address", "Browser", "Began", "Used", ""];
    let content = html! {
        p { "These are the sessions of " strong { (session.user) } " with this console. Whoever is not you: end it, and change the password." }
        (forms::table("Your sessions", &heads, rows))
        form method="post" action=(context.link("/logout")) {
            (forms::token(session))
            button.danger name="all" value="true" { "End all, this one too" }
        }
    };
    Ok(layout::page(context, "Your sessions", content).await)
}

/// Ends another session of the same user.
pub async fn end(context: &Context<'_>) -> PageResult {
    let session = context.session()?;
    let handle = context.request.secret("session");
    match context.app.sessions.end_of(&session.user, &handle) {
        true => context.done("/sessions", "The session has been ended.".into()),
        false => Err(Failure::Refused(
            StatusCode::NOT_FOUND,
            "You have no such session; it may have ended by itself.".into(),
        )),
    }
}
