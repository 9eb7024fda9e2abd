//! Fills an index of the new cluster.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::source::{Body, Source};
use crate::commands::online::refusal;
use crate::error::{CommandError, ExitCode};
use crate::terminal::Terminal;

/// What was loaded.
pub(super) struct Loaded {
    pub(super) index: String,
    pub(super) documents: u64,
}

/// Makes the index, loads all documents, makes them searchable and waits until the copies are there.
///
/// An index of that name is what an earlier load left that was broken off: it is deleted first.
pub(super) async fn load(
    source: &Source,
    cluster: &Cluster,
    nodes: usize,
    terminal: &mut Terminal,
) -> Result<Loaded, CommandError> {
    let index = source.index();
    let mut bodies = source.read()?;
    if !bodies.names_index() {
        create_index(source, cluster, nodes).await?;
    }
    let path = format!("/{index}/_bulk");
    let mut sent: u64 = 0;
    for turn in 0.. {
        let Some(body) = bodies.next()? else {
            break;
        };
        send(cluster, turn, &path, &body).await?;
        sent += body.operations as u64;
        terminal.status(format!("  loading: {sent} documents"));
    }
    if bodies.names_index() {
        return Ok(Loaded {
            index: "_all".to_owned(),
            documents: sent,
        });
    }
    let what = format!("refresh [{index}]");
    cluster
        .expect(&what, Method::POST, &format!("/{index}/_refresh"), None)
        .await?;
    let what = format!("wait for the copies of [{index}]");
    let path = format!(
        "/_cluster/health/{index}?wait_for_status=yellow&wait_for_no_initializing_shards=true&timeout=50s"
    );
    cluster.expect(&what, Method::GET, &path, None).await?;
    let what = format!("count [{index}]");
    let count = cluster
        .expect(&what, Method::GET, &format!("/{index}/_count"), None)
        .await?;
    Ok(Loaded {
        index: index.to_owned(),
        documents: count["count"].as_u64().unwrap_or(sent),
    })
}

async fn create_index(
    source: &Source,
    cluster: &Cluster,
    nodes: usize,
) -> Result<(), CommandError> {
    let index = source.index();
    let path = format!("/{index}");
    let deleted = cluster
        .request(0, Method::DELETE, &path, None, Vec::new())
        .await?;
    if !matches!(deleted.status, StatusCode::OK | StatusCode::NOT_FOUND) {
        let message = format!(
            "cannot delete the unfinished [{index}]: {}",
            refusal(&deleted)
        );
        return Err(CommandError::new(ExitCode::Failure, message));
    }
    let what = format!("create the index [{index}]");
    let definition = definition(source, nodes).to_string();
    cluster
        .expect(&what, Method::PUT, &path, Some(definition))
        .await?;
    Ok(())
}

/// Returns the settings of the index, and the mapping of the corpus.
fn definition(source: &Source, nodes: usize) -> Value {
    // A copy beside the primary, where there is a node for it.
    let replicas = usize::from(nodes > 1);
    let mut definition = json!({
        "settings": { "number_of_shards": 1, "number_of_replicas": replicas }
    });
    if *source == Source::Corpus {
        definition["mappings"] = json!({
            "dynamic": "strict",
            "properties": {
                "president": { "type": "keyword" },
                "party": { "type": "keyword" },
                "year": { "type": "date", "format": "yyyy" },
                "passage": { "type": "integer" },
                "words": { "type": "integer" },
                "text": { "type": "text" },
            }
        });
    }
    definition
}

/// Sends a body, again and again while the node says that it has too much to do.
async fn send(cluster: &Cluster, turn: usize, path: &str, body: &Body) -> Result<(), CommandError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let answer = cluster
            .request(
                turn,
                Method::POST,
                path,
                Some("application/x-ndjson"),
                body.lines.clone(),
            )
            .await?;
        let is_busy = answer.status == StatusCode::TOO_MANY_REQUESTS;
        if is_busy && pause <= LAST_PAUSE {
            tokio::time::sleep(pause).await;
            pause *= 2;
            continue;
        }
        let failure = match answer.status {
            StatusCode::OK => match first_failure(&answer.json()) {
                None => return Ok(()),
                Some((position, reason)) => {
                    format!(
                        "operation {} from line {}: {reason}",
                        position + 1,
                        body.first_line
                    )
                }
            },
            _ => refusal(&answer),
        };
        let message = format!("cannot load the documents: {failure}");
        return Err(CommandError::data(message));
    }
}

/// Returns the position and the reason of the first operation that failed.
fn first_failure(answer: &Value) -> Option<(usize, String)> {
    if answer["errors"] == Value::Bool(false) {
        return None;
    }
    let Some(items) = answer["items"].as_array() else {
        return Some((0, "the answer has no items".to_owned()));
    };
    items.iter().enumerate().find_map(|(position, item)| {
        let result = item.as_object()?.values().next()?;
        let error = result.get("error")?;
        let reason = error["reason"]
            .as_str()
            .map_or_else(|| error.to_string(), str::to_owned);
        Some((position, reason))
    })
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failed_operation_is_told() {
        let fine = json!({"errors": false, "items": [{"index": {"status": 201}}]});
        assert_eq!(first_failure(&fine), None);
        let failed = json!({"errors": true, "items": [
            {"index": {"status": 201}},
            {"create": {"status": 400, "error": {"reason": "no such field"}}},
        ]});
        assert_eq!(
            first_failure(&failed),
            Some((1, "no such field".to_owned()))
        );
        assert!(first_failure(&json!({})).is_some());
    }

    #[test]
    fn a_single_node_has_no_replicas_and_files_map_themselves() {
        let corpus = definition(&Source::Corpus, 3);
        assert_eq!(corpus["settings"]["number_of_replicas"], 1);
        assert_eq!(corpus["mappings"]["properties"]["year"]["format"], "yyyy");
        let file = Source::File {
            path: "x".into(),
            index: "x".into(),
        };
        let definition = definition(&file, 1);
        assert_eq!(definition["settings"]["number_of_replicas"], 0);
        assert!(definition.get("mappings").is_none());
    }
}
