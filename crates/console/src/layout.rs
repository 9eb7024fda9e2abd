//! The frame around every page.

use http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use crate::context::{Context, PageResponse};
use crate::curl;
use crate::failure::Failure;
use crate::forms;
use crate::routes;

/// Returns a whole page for who is logged in, around its content.
pub async fn page(context: &Context<'_>, title: &str, content: Markup) -> PageResponse {
    page_with(context, StatusCode::OK, title, content).await
}

/// As [`page`], with another status.
pub async fn page_with(
    context: &Context<'_>,
    status: StatusCode,
    title: &str,
    content: Markup,
) -> PageResponse {
    let privileges = context.privileges().await;
    let notice = context
        .session
        .as_ref()
        .and_then(|session| session.take_notice());
    let body = html! {
        header.top {
            a.brand href=(context.link("/")) { "Ringwall" }
            @if let Some(session) = &context.session {
                nav aria-label="Pages" {
                    ul {
                        @for (path, name) in routes::linked(&privileges) {
                            @let is_here = is_below(&context.request.path, path);
                            li {
                                a href=(context.link(path)) aria-current=[is_here.then_some("page")] { (name) }
                            }
                        }
                    }
                }
                form.logout method="post" action=(context.link("/logout")) {
                    (forms::token(session))
                    span { "Logged in as " strong { (session.user) } }
                    button name="all" value="false" { "Log out" }
                    button name="all" value="true" { "Log out everywhere" }
                }
            }
        }
        (unverified(context))
        main id="content" {
            h1 { (title) }
            @if let Some(notice) = notice {
                p.notice role="status" { (notice) }
            }
            (content)
            (requests(context))
        }
    };
    crate::context::html(status, document(context, title, body))
}

/// Returns the page of a failure.
pub async fn failure(context: &Context<'_>, failure: &Failure) -> PageResponse {
    let content = html! {
        p.problem role="alert" { (failure.detail()) }
        @if context.session.is_none() {
            p { a href=(context.link("/login")) { "Log in" } }
        }
    };
    page_with(context, failure.status(), failure.title(), content).await
}

/// Returns the document around the content of a page that needs no login.
pub fn document(context: &Context<'_>, title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " - Ringwall" }
                link rel="stylesheet" href=(context.link(routes::STYLE_SHEET));
            }
            body {
                a.skip href="#content" { "Skip to content" }
                (body)
            }
        }
    }
}

/// Warns, on every page, that anybody could pretend to be the cluster.
pub fn unverified(context: &Context<'_>) -> Markup {
    html! {
        @if context.app.cluster.config().is_unverified() {
            p.warning role="alert" {
                "The certificate of the cluster is not verified: whoever is between this console and the cluster can read "
                "and change everything, passwords included. Set elasticsearch.ssl.verificationMode to full or certificate, \
                 and name the CA in elasticsearch.ssl.certificateAuthorities."
            }
        }
    }
}

/// Returns the requests that the page made, ready to be run elsewhere.
fn requests(context: &Context<'_>) -> Markup {
    let calls = context.calls();
    let user = context
        .session
        .as_ref()
        .map(|session| session.user.as_str());
    html! {
        @if !calls.is_empty() {
            details.requests {
                summary { "Requests of this page" }
                @for call in &calls {
                    pre { (curl::command(&context.app.cluster, user.unwrap_or_default(), call)) }
                }
            }
        }
    }
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
