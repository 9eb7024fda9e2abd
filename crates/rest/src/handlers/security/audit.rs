//! `GET /_security/audit`. Ours.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use ringwall_api::security::{AuditCursor, AuditFilter, SearchAuditRequest, SearchAuditResponse};
use ringwall_api::{ApiError, ApiResult};
use serde_json::{Value, json};

use crate::request::{RestRequest, RestResponse};

/// Query parameters.
pub const PARAMS: &[&str] = &[
    "type", "user", "action", "index", "from", "to", "node", "size", "after", "timeout",
];

/// `GET /_security/audit`.
pub async fn search(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let asked = SearchAuditRequest {
        filter: AuditFilter {
            types: params.list("type"),
            users: params.list("user"),
            actions: params.list("action"),
            indices: params.list("index"),
            from_ms: moment(&request, "from")?,
            to_ms: moment(&request, "to")?,
        },
        nodes: params.list("node"),
        size: params.number("size")?.unwrap_or(DEFAULT_SIZE),
        after: params.text("after").map(cursor).transpose()?,
        timeout_ms: params.time_ms("timeout", DEFAULT_TIMEOUT_MS)?,
    };
    let answer = request.execute(asked).await?;
    Ok(RestResponse::raw(written(&answer).into_bytes()))
}

/// Writes the answer with the events as they stand in the files.
fn written(answer: &SearchAuditResponse) -> String {
    let failures = answer.failures.iter();
    let failures: Vec<Value> = failures
        .map(|(node, reason)| {
            json!({"type": "failed_node_exception", "reason": reason, "node_id": node})
        })
        .collect();
    let mut nodes = json!({
        "total": answer.nodes_asked,
        "successful": answer.nodes_asked - failures.len(),
        "failed": failures.len(),
    });
    if !failures.is_empty() {
        nodes["failures"] = failures.into();
    }
    let next = answer.next.as_ref().map(token);
    format!(
        "{{\"_nodes\":{nodes},\"nodes_without_log\":{},\"unreadable_lines\":{},\"truncated\":{},\"next\":{},\"events\":[{}]}}",
        json!(answer.without_log),
        answer.unreadable,
        json!(answer.truncated),
        json!(next),
        answer.events.join(",")
    )
}

fn token(cursor: &AuditCursor) -> String {
    URL_SAFE_NO_PAD.encode(json!(cursor).to_string())
}

/// Reads what [`token`] made. It proves nothing: who asks is authorized for each page.
fn cursor(token: &str) -> ApiResult<AuditCursor> {
    let invalid = || ApiError::illegal_argument("[after] is not the [next] of an answer");
    let text = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    serde_json::from_slice(&text).map_err(|_| invalid())
}

/// Reads a moment: milliseconds since the epoch, a date, or a date and time with its zone.
fn moment(request: &RestRequest, name: &str) -> ApiResult<Option<i64>> {
    let Some(text) = request.params.text(name) else {
        return Ok(None);
    };
    let of_date = || {
        let date: Date = text.parse().ok()?;
        Some(date.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp())
    };
    let found = match text.parse::<i64>() {
        Ok(ms) => Some(ms),
        Err(_) => {
            let found = text.parse::<Timestamp>().ok().or_else(of_date);
            found.map(|at| at.as_millisecond())
        }
    };
    match found {
        Some(ms) => Ok(Some(ms)),
        None => Err(ApiError::illegal_argument(format!(
            "[{name}] is [{text}], which is no moment: expected milliseconds since 1970, a date as [2026-01-31], or a time \
             with its zone as [2026-01-31T12:00:00Z]"
        ))),
    }
}

const DEFAULT_SIZE: usize = 100;
const DEFAULT_TIMEOUT_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use ringwall_api::security::AuditPosition;

    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_made_and_nothing_else_is() {
        let position = AuditPosition {
            file: u64::MAX,
            begun: -1,
            offset: 7,
        };
        let made = AuditCursor::from([("n1".to_owned(), position)]);
        assert_eq!(cursor(&token(&made)).unwrap(), made);
        for wrong in ["", "x", "eyJhIjoxfQ"] {
            assert_eq!(cursor(wrong).unwrap_err().status, 400, "{wrong}");
        }
    }
}
