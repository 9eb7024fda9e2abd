//! `/login` and `/logout`: who comes, and who goes.

use std::time::Instant;

use http::header::{HeaderName, RETRY_AFTER};
use http::{HeaderValue, Method, StatusCode};
use maud::{Markup, html};
use ringwall_base::SecretString;

use crate::cluster::{Call, Health, Unreachable, basic};
use crate::context::{self, Context, PageResponse, PageResult};
use crate::failure::Failure;
use crate::routes::SESSION;
use crate::sessions::{Origin, random_id};
use crate::{forms, headers, layout, urlencoded};

/// The cookie of the login form.
const FORM: &str = "login";

pub async fn show(context: &Context<'_>) -> PageResult {
    let next = context.request.query("next");
    Ok(form(context, StatusCode::OK, None, "", next).await)
}

/// Takes a name and password, and begins a session if the cluster knows them.
pub async fn submit(context: &Context<'_>) -> PageResult {
    let request = context.request;
    let server = &context.app.config.server;
    let cookie = request.cookie(&headers::cookie_name(server, FORM));
    forms::check(context, &SecretString::from(cookie.unwrap_or_default()))?;
    let (user, password) = (request.form("username").trim(), request.secret("password"));
    let next = request.form("next");
    let throttle = &context.app.throttle;
    if let Err(wait) = throttle.begin(request.client, user, Instant::now()) {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        tracing::warn!(client = %request.client, "logins wait: too many failed");
        let problem = format!("Too many logins have failed. Try again in {seconds} seconds.");
        let status = StatusCode::TOO_MANY_REQUESTS;
        let mut response = form(context, status, Some(&problem), user, next).await;
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
        return Ok(response);
    }
    let authorization = basic(user, &password);
    let call = Call::get("/_security/_authenticate");
    let sent = context.app.cluster.send(Some(&authorization), &call).await;
    let (status, problem) = match sent {
        // A colon would end the name where a node reads it.
        Ok(answer) if answer.status.is_success() && !user.contains(':') => {
            throttle.forgive(request.client, user, true);
            let name = answer.json()["username"]
                .as_str()
                .unwrap_or(user)
                .to_owned();
            return Ok(begin(context, name, authorization, next));
        }
        Ok(answer) if answer.status.is_success() || answer.status == StatusCode::UNAUTHORIZED => {
            tracing::warn!(client = %request.client, "a login failed");
            let problem = "The cluster does not know this name with this password.";
            (StatusCode::UNAUTHORIZED, problem.to_owned())
        }
        Ok(answer) => {
            throttle.forgive(request.client, user, false);
            (StatusCode::BAD_GATEWAY, answer.reason())
        }
        Err(Unreachable(reason)) => {
            throttle.forgive(request.client, user, false);
            (
                StatusCode::BAD_GATEWAY,
                format!("The cluster cannot be reached: {reason}"),
            )
        }
    };
    Ok(form(context, status, Some(&problem), user, next).await)
}

fn begin(
    context: &Context<'_>,
    user: String,
    authorization: SecretString,
    next: &str,
) -> PageResponse {
    let app = context.app;
    let server = &app.config.server;
    // Whatever session the browser had before is not the new user's.
    if let Some(id) = context
        .request
        .cookie(&headers::cookie_name(server, SESSION))
    {
        app.sessions.end(id);
    }
    let origin = Origin {
        client: context.request.client,
        agent: context.request.agent(),
    };
    let id = app
        .sessions
        .begin(user, authorization, origin, Instant::now());
    let mut response = context.redirect(if is_local(next) { next } else { "/" });
    headers::set_cookie(&mut response, server, SESSION, Some(id.expose()));
    headers::set_cookie(&mut response, server, FORM, None);
    response
}

/// Ends this session, or all of the user.
pub async fn leave(context: &Context<'_>) -> PageResult {
    let app = context.app;
    let session = context.session()?;
    if context.request.form("all") == "true" {
        let ended = app.sessions.end_all(&session.user, Instant::now());
        tracing::info!("[{ended}] sessions of one user ended by logging out everywhere");
    }
    let server = &app.config.server;
    if let Some(id) = context
        .request
        .cookie(&headers::cookie_name(server, SESSION))
    {
        app.sessions.end(id);
    }
    let mut response = context.redirect("/login");
    headers::set_cookie(&mut response, server, SESSION, None);
    let name = HeaderName::from_static("clear-site-data");
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static("\"cache\""));
    Ok(response)
}

/// Sends a browser without a session to the login page, and back to where it wanted to go.
pub fn send_there(context: &Context<'_>) -> PageResponse {
    let request = context.request;
    let path = match request.method == Method::GET && request.path != "/" {
        true => format!("/login?next={}", urlencoded::encode(&request.path)),
        false => "/login".to_owned(),
    };
    let mut response = context.redirect(&path);
    headers::set_cookie(&mut response, &context.app.config.server, SESSION, None);
    response
}

/// Returns whether it is a path of the console, and not of another site (`//other`).
fn is_local(path: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_graphic() && c != '\\';
    path.starts_with('/') && !path.starts_with("//") && path.chars().all(is_plain)
}

async fn form(
    context: &Context<'_>,
    status: StatusCode,
    problem: Option<&str>,
    user: &str,
    next: &str,
) -> PageResponse {
    let health = context.app.cluster.probe().await;
    let server = &context.app.config.server;
    let token = random_id();
    let body = html! {
        (layout::unverified(context))
        main.login id="content" {
            h1 { "Ringwall" }
            (told(&health))
            @if let Some(problem) = problem {
                p.problem role="alert" { (problem) }
            }
            form method="post" action=(context.link("/login")) {
                input type="hidden" name=(forms::TOKEN) value=(token.expose());
                input type="hidden" name="next" value=(next);
                label for="username" { "Name" }
                input id="username" name="username" value=(user) autocomplete="username" autofocus required;
                label for="password" { "Password" }
                input id="password" name="password" type="password" autocomplete="current-password" required;
                button.primary { "Log in" }
            }
        }
    };
    let mut response = context::html(status, layout::document(context, "Log in", body));
    headers::set_cookie(&mut response, server, FORM, Some(token.expose()));
    response
}

fn told(health: &Health) -> Markup {
    html! {
        @match health {
            Health::Usable => {},
            Health::AccountRefused(reason) => {
                p.warning role="status" {
                    (reason) ". Users can log in all the same. Set it anew with kibana-keystore, or take it out of kibana.yml."
                }
            }
            Health::Unreachable(reason) => {
                p.problem role="alert" { (Failure::Unreachable(String::new()).title()) ": " (reason) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for path in ["/", "/users", "/users/a%2Fb"] {
            assert!(is_local(path), "{path}");
        }
        for path in [
            "",
            "users",
            "//evil",
            "/\\evil",
            "https://evil",
            "/a\r\nb",
            "/ü",
        ] {
            assert!(!is_local(path), "{path}");
        }
    }
}
