//! `POST /_cluster/reroute`.

use ringwall_api::cluster::{
    ClusterRerouteRequest, ClusterStateRequest, ForcedPrimary, RerouteCommand,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesTarget};
use serde_json::{Map, Value, json};

use crate::handlers::indices::ack_timeout;
use crate::json::check_keys;
use crate::request::{RestRequest, RestResponse};

/// Query parameters.
pub const PARAMS: &[&str] = &[
    "dry_run",
    "explain",
    "master_timeout",
    "metric",
    "retry_failed",
    "timeout",
];

/// Carries out the commands, and shows the state that came of it unless `metric` is `none`.
pub async fn reroute(request: RestRequest) -> ApiResult<RestResponse> {
    let body = request.body_object()?;
    check_keys("cluster_reroute", &body, &["commands", "dry_run"])?;
    let commands = commands(&body)?;
    let shown = commands.clone();
    let metrics = request.params.list("metric");
    let in_body = matches!(body.get("dry_run"), Some(Value::Bool(true)));
    let answer = request
        .execute(ClusterRerouteRequest {
            commands,
            dry_run: request.params.flag("dry_run", in_body)?,
            explain: request.params.flag("explain", false)?,
            retry_failed: request.params.flag("retry_failed", false)?,
            timeout_ms: ack_timeout(&request)?,
        })
        .await?;
    let mut response = json!({"acknowledged": answer.acknowledged});
    if metrics != ["none"] {
        let metrics = match metrics.is_empty() {
            true => SHOWN.iter().map(|metric| (*metric).to_owned()).collect(),
            false => metrics,
        };
        let state = request
            .execute(ClusterStateRequest {
                metrics,
                indices: IndicesTarget::default(),
            })
            .await?;
        response["state"] = state.state;
    }
    if let Some(refusals) = answer.explanations {
        let explained = shown.iter().zip(refusals);
        response["explanations"] = explained
            .map(|(command, refusal)| explanation(command, refusal))
            .collect();
    }
    Ok(RestResponse::json(response))
}

fn explanation(command: &RerouteCommand, refusal: Option<String>) -> Value {
    let name = command.kind.as_str();
    let decision = match refusal {
        None => ("YES", "ignore deciders".to_owned()),
        Some(reason) => {
            let own = format!("[{name}] ");
            (
                "NO",
                reason.strip_prefix(&own).unwrap_or(&reason).to_owned(),
            )
        }
    };
    json!({
        "command": name,
        "parameters": {
            "index": command.index,
            "shard": command.shard,
            "node": command.node,
            "accept_data_loss": command.accept_data_loss,
        },
        "decisions": [{
            "decider": format!("{name} (allocation command)"),
            "decision": decision.0,
            "explanation": decision.1,
        }],
    })
}

fn commands(body: &Map<String, Value>) -> ApiResult<Vec<RerouteCommand>> {
    let commands = match body.get("commands") {
        None => return Ok(Vec::new()),
        Some(Value::Array(commands)) => commands,
        Some(_) => return Err(failed("[commands] must be an array")),
    };
    commands.iter().map(command).collect()
}

fn command(value: &Value) -> ApiResult<RerouteCommand> {
    let one = value.as_object().filter(|object| object.len() == 1);
    let Some((name, body)) = one.and_then(|object| object.iter().next()) else {
        return Err(failed("a command must be an object with one name"));
    };
    let kind = match name.as_str() {
        "allocate_stale_primary" => ForcedPrimary::Stale,
        "allocate_empty_primary" => ForcedPrimary::Empty,
        "move" | "cancel" | "allocate_replica" => {
            return Err(ApiError::illegal_argument(format!(
                "[{name}] is not supported: copies are placed by the rules alone; supported are \
                 [allocate_stale_primary] and [allocate_empty_primary]"
            )));
        }
        _ => {
            return Err(ApiError::new(
                ErrorCode::XContentParse,
                format!(
                    "[cluster_reroute] failed to parse field [commands]: unknown field [{name}]"
                ),
            ));
        }
    };
    let Some(body) = body.as_object() else {
        return Err(failed(&format!("[{name}] must be an object")));
    };
    check_keys(name, body, &["index", "shard", "node", "accept_data_loss"])?;
    let text = |key: &str| match body.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(failed(&format!("Argument [{key}] must be defined"))),
    };
    Ok(RerouteCommand {
        kind,
        index: text("index")?,
        shard: body
            .get("shard")
            .and_then(number)
            .ok_or_else(|| failed("Argument [shard] must be defined and non-negative"))?,
        node: text("node")?,
        accept_data_loss: match body.get("accept_data_loss") {
            None => false,
            Some(Value::Bool(accepts)) => *accepts,
            Some(_) => return Err(failed("[accept_data_loss] must be true or false")),
        },
    })
}

/// Tutorials have the number as text, too.
fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => u32::try_from(value.as_u64()?).ok(),
    }
}

fn failed(reason: &str) -> ApiError {
    ApiError::new(
        ErrorCode::XContentParse,
        format!("[cluster_reroute] failed to parse field [commands]: {reason}"),
    )
}

/// What is shown unless something else is asked for.
const SHOWN: &[&str] = &["version", "master_node", "nodes", "routing_table"];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: Value) -> ApiResult<Vec<RerouteCommand>> {
        commands(body.as_object().unwrap())
    }

    #[test]
    fn commands_are_read_strictly() {
        let good = json!({"commands": [{"allocate_stale_primary":
            {"index": "i", "shard": "0", "node": "n", "accept_data_loss": true}}]});
        let found = parse(good).unwrap();
        assert_eq!(found[0].kind, ForcedPrimary::Stale);
        assert!(found[0].accept_data_loss && found[0].shard == 0);
        for (bad, said) in [
            (json!({"move": {}}), "[move] is not supported"),
            (json!({"foo": {}}), "unknown field [foo]"),
            (
                json!({"allocate_empty_primary": {"index": "i", "node": "n"}}),
                "Argument [shard] must be defined",
            ),
            (
                json!({"allocate_empty_primary": {"index": "i", "node": "n", "shard": 0, "x": 1}}),
                "[x]",
            ),
            (json!([]), "one name"),
        ] {
            let error = parse(json!({"commands": [bad]})).unwrap_err();
            assert_eq!(error.status, 400);
            assert!(error.reason.contains(said), "{}", error.reason);
        }
    }
}
