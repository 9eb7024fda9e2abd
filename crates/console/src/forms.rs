//! Forms and tables: what pages are built of.

use http::StatusCode;
use maud::{Markup, html};
use ringwall_base::SecretString;
use serde_json::Value;

use crate::context::Context;
use crate::failure::Failure;
use crate::request::Request;
use crate::sessions::Session;

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

/// Returns the beginning of a text that is too long to be shown, and how long it is.
pub fn cut(text: String, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}\n… {} bytes in all", &text[..end], text.len()),
        None => text,
    }
}

/// Returns a number of bytes with a unit, as tables of the cluster have it.
pub fn bytes(count: u64) -> String {
    let mut unit = 0;
    let mut rest = count as f64;
    while rest >= 1024.0 && unit + 1 < UNITS.len() {
        rest /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ => format!("{rest:.1} {}", UNITS[unit]),
    }
}

const UNITS: &[&str] = &["B", "kB", "MB", "GB", "TB", "PB"];

/// Returns milliseconds as a time for a reader, in its two largest units.
pub fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes, seconds) {
        (0, 0, 0, 0) => format!("{millis} ms"),
        (0, 0, 0, _) => format!("{seconds} s"),
        (0, 0, _, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Returns the texts between commas.
pub fn split(text: &str) -> Vec<&str> {
    let parts = text.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_units() {
        let sizes = [0, 1023, 1024, 1_572_864, u64::MAX].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 kB", "1.5 MB", "16384.0 PB"]);
        let times = [5, 5_000, 65_000, 3_660_000, 90_000_000].map(duration);
        assert_eq!(times, ["5 ms", "5 s", "1 min 5 s", "1 h 1 min", "1 d 1 h"]);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("äöü".to_owned(), 3), "äöü");
        assert_eq!(cut("äöü".to_owned(), 2), "äö\n… 6 bytes in all");
    }
}
