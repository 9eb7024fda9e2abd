//! `/dev-tools`: any request, its answer, and the command that repeats it.

use std::time::Instant;

use http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::value::RawValue;

use crate::cluster::{Answer, Call};
use crate::context::{Context, PageResult};
use crate::failure::Failure;
use crate::{curl, forms, layout};

pub async fn show(context: &Context<'_>) -> PageResult {
    let content = form(context, "GET", "/_cluster/health", "", html! {})?;
    Ok(layout::page(context, "Dev tools", content).await)
}

/// Sends what was typed and shows what came, whatever its status.
pub async fn send(context: &Context<'_>) -> PageResult {
    let request = context.request;
    let (method, path, body) = (
        request.form("method"),
        request.form("path").trim(),
        request.form("body"),
    );
    let Some(known) = METHODS.iter().find(|known| known.as_str() == method) else {
        return Err(Failure::Refused(
            StatusCode::BAD_REQUEST,
            "There is no such method.".into(),
        ));
    };
    let path = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    };
    let is_path = |c: char| c.is_ascii_graphic() && c != '#';
    if !path.chars().all(is_path) {
        let reason = "A path is of ASCII characters; encode the others as %20 and so on.";
        return Err(Failure::Refused(StatusCode::BAD_REQUEST, reason.into()));
    }
    // What lines of JSON are sent as must end with one.
    let mut body = body.replace("\r\n", "\n").trim().to_owned();
    if body.contains('\n') {
        body.push('\n');
    }
    let call = Call::new(known.clone(), path.clone(), body.clone());
    let command = curl::command(&context.app.cluster, &context.session()?.user, &call);
    let begun = Instant::now();
    let answer = context.send(call).await?;
    let took = begun.elapsed().as_millis();
    let shown = html! {
        h2 { "Answer" }
        p { strong { (answer.status) } ", after " (took) " ms" }
        pre tabindex="0" { (readable(&answer)) }
        h2 { "As curl" }
        pre { (command) }
    };
    let content = form(context, method, &path, &body, shown)?;
    Ok(layout::page(context, "Dev tools", content).await)
}

fn form(
    context: &Context<'_>,
    method: &str,
    path: &str,
    body: &str,
    answer: Markup,
) -> Result<Markup, Failure> {
    Ok(html! {
        form.stack method="post" action=(context.link("/dev-tools")) {
            (forms::token(context.session()?))
            label for="method" { "Method" }
            select id="method" name="method" {
                @for known in METHODS {
                    option selected[known.as_str() == method] { (known) }
                }
            }
            label for="path" { "Path" }
            input.mono id="path" name="path" value=(path) required spellcheck="false" autocomplete="off";
            label for="body" { "Body" }
            textarea id="body" name="body" spellcheck="false" { (body) }
            button.primary { "Send" }
        }
        (answer)
    })
}

/// Returns the body for reading: JSON with line ends, its numbers as they came; what is too long is cut.
fn readable(answer: &Answer) -> String {
    let is_json = serde_json::from_slice::<&RawValue>(&answer.body).is_ok();
    let text = match is_json {
        true => serde_json::to_string_pretty(&answer.json()).unwrap_or_default(),
        false => String::from_utf8_lossy(&answer.body).into_owned(),
    };
    forms::cut(text, SHOWN_CHARS)
}

const METHODS: &[Method] = &[
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::HEAD,
];

/// Of an answer; the browser is to stay quick.
const SHOWN_CHARS: usize = 200_000;
