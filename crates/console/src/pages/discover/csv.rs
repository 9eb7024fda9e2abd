//! `/discover.csv`: the hits as a table for other programs, as many as [`ROWS`].

use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

use super::asked::{self, Asked};
use super::shown;
use crate::context::{Context, PageResult};
use crate::failure::Failure;

pub async fn export(context: &Context<'_>) -> PageResult {
    let asked = Asked::of(context.request);
    if asked.target.is_empty() {
        let reason = "An export needs an index.";
        return Err(Failure::Refused(StatusCode::BAD_REQUEST, reason.into()));
    }
    let fields = asked::fields(context, &asked).await?;
    let time = asked::time_field(&fields);
    let body = asked.search(time, 0, ROWS);
    let answer = context.ask(asked.call("_search", &body)).await?;
    let columns: Vec<&str> = match asked.columns.as_slice() {
        [] => fields.iter().map(|field| field.name.as_str()).collect(),
        columns => columns.iter().map(String::as_str).collect(),
    };
    let mut text = line(["_index", "_id"].into_iter().chain(columns.iter().copied()));
    for hit in answer["hits"]["hits"].as_array().into_iter().flatten() {
        let names = ["_index", "_id"].map(|name| hit[name].as_str().unwrap_or_default());
        let cells: Vec<String> = columns
            .iter()
            .map(|column| shown(&hit["fields"][*column]))
            .collect();
        text.push_str(&line(
            names.into_iter().chain(cells.iter().map(String::as_str)),
        ));
    }
    let mut response = Response::new(Full::new(Bytes::from(text)));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/csv; charset=utf-8"),
    );
    headers.insert(
        CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"discover.csv\""),
    );
    Ok(response)
}

/// Returns a line. Source: RFC 4180.
fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let cells: Vec<String> = cells.map(cell).collect();
    format!("{}\r\n", cells.join(","))
}

/// Returns a cell. One that a spreadsheet would run as a formula begins with a quote, by which it is text (OWASP, CSV
/// Injection); numbers stay numbers.
fn cell(text: &str) -> String {
    let is_formula =
        text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let text = match is_formula {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// Rows of an export.
pub const ROWS: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_cell_and_no_formula() {
        for (text, expected) in [
            ("a", "a"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("=1+1", "'=1+1"),
            ("@x,", "\"'@x,\""),
            ("-5.2", "-5.2"),
            ("-x", "'-x"),
        ] {
            assert_eq!(cell(text), expected);
        }
        assert_eq!(line(["a", "b,"].into_iter()), "a,\"b,\"\r\n");
    }
}
