//! `GET /_security/audit`: events of the audit logs of all nodes. Ours.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use ringwall_api::security::{
    AuditCursor, AuditFilter, AuditPosition, FoundEvent, SearchAuditRequest, SearchAuditResponse,
};
use ringwall_api::{ActionRequest, ApiError, ApiResult, RequestContext};
use ringwall_security::Resolved;
use ringwall_transport::{DuplicateAction, NodeAction};
use serde::{Deserialize, Serialize};

use crate::actions::Handler;
use crate::actions::nodes::info::selected;
use crate::audit::Bounds;
use crate::node_actions::{Needs, for_users};
use crate::services::Services;

/// To every node: which of your events are meant?
const SEARCH_NODE: NodeAction<SearchNode, Found> =
    NodeAction::new("cluster:admin/xpack/security/audit/search[n]");

#[derive(Serialize, Deserialize)]
struct SearchNode {
    filter: AuditFilter,
    after: Option<AuditPosition>,
    size: usize,
    time_left_ms: u64,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Found {
    has_log: bool,
    /// Newest first.
    events: Vec<FoundEvent>,
    start: Option<AuditPosition>,
    /// Where there is more to read, and the moment of what was looked at last.
    stopped: Option<(AuditPosition, i64)>,
    unreadable: u64,
    is_truncated: bool,
}

/// Registers each node's side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        SEARCH_NODE,
        |_: &SearchNode| vec![Needs::Cluster(SearchAuditRequest::NAME)],
        async |services, _, request| search_here(&services, request).await,
    )
}

impl Handler<SearchAuditRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<SearchAuditRequest>,
    ) -> ApiResult<SearchAuditResponse> {
        let request = request.into_request();
        if !(1..=MAX_SIZE).contains(&request.size) {
            return Err(ApiError::illegal_argument(format!(
                "[size] must be between [1] and [{MAX_SIZE}] but was [{}]",
                request.size
            )));
        }
        let state = services.cluster.state();
        let limit = context.time_left(Duration::from_millis(request.timeout_ms).min(MAX_TIME));
        let has_more = |id: &String| {
            let after = request.after.as_ref();
            after.is_none_or(|after| after.contains_key(id))
        };
        let asked = selected(&services, &state, &request.nodes)
            .map(|node| (node, node.id.to_string()))
            .filter(|(_, id)| has_more(id))
            .map(|(node, id)| {
                let after = request.after.as_ref().and_then(|after| after.get(&id));
                let message = SearchNode {
                    filter: request.filter.clone(),
                    after: after.copied(),
                    size: request.size,
                    // What is found has to come back in time.
                    time_left_ms: (limit / 2).as_millis() as u64,
                };
                let (services, user) = (&services, &context.authentication);
                async move {
                    let found = services.call_as(user, node.id, SEARCH_NODE, message, limit);
                    (id, node.name.clone(), found.await)
                }
            });
        let answers = join_all(asked).await;
        let mut response = SearchAuditResponse {
            nodes_asked: answers.len(),
            ..SearchAuditResponse::default()
        };
        let mut found = BTreeMap::new();
        let mut failed = AuditCursor::new();
        for (id, name, answer) in answers {
            match answer {
                Ok(answer) => {
                    if !answer.has_log {
                        response.without_log.push(name.clone());
                    }
                    if answer.is_truncated {
                        response.truncated.push(name);
                    }
                    response.unreadable += answer.unreadable;
                    found.insert(id, answer);
                }
                Err(error) => {
                    // Asked again for the next page, if it was asked for one before.
                    let after = request.after.as_ref().and_then(|after| after.get(&id));
                    failed.extend(after.map(|position| (id.clone(), *position)));
                    response.failures.insert(id, error.reason);
                }
            }
        }
        let (events, mut next) = merged(found, request.size);
        next.extend(failed);
        response.events = events;
        response.next = (!next.is_empty()).then_some(next);
        Ok(response)
    }
}

async fn search_here(services: &Services, request: SearchNode) -> ApiResult<Found> {
    let place = services.audit_place.clone();
    let bounds = Bounds {
        events: request.size.min(MAX_SIZE),
        found_bytes: MAX_FOUND_BYTES,
        read_bytes: MAX_READ_BYTES,
        deadline: Instant::now() + Duration::from_millis(request.time_left_ms).min(MAX_TIME),
    };
    let read = move || place.scan(request.after, &request.filter, bounds);
    let scan = services.pools.disk.run(read).await?;
    let scan =
        scan.map_err(|error| ApiError::internal(format!("cannot read the audit log: {error}")))?;
    Ok(Found {
        has_log: services.audit.is_some(),
        events: scan.events,
        start: scan.start,
        stopped: scan.stopped,
        unreadable: scan.unreadable,
        is_truncated: scan.is_truncated,
    })
}

/// Returns the newest events of all nodes, newest first, and where each node goes on.
fn merged(found: BTreeMap<String, Found>, size: usize) -> (Vec<String>, AuditCursor) {
    // What a node has not looked at may be newer than what others have found before that.
    let cutoff = found
        .values()
        .filter_map(|node| node.stopped)
        .map(|(_, at)| at)
        .max();
    let is_ripe = |event: &FoundEvent| cutoff.is_none_or(|cutoff| event.at_ms >= cutoff);
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    let mut events = Vec::new();
    while events.len() < size {
        let heads = found.iter().filter_map(|(id, node)| {
            let event = node
                .events
                .get(taken.get(id.as_str()).copied().unwrap_or(0))?;
            is_ripe(event).then_some((id, event))
        });
        let Some((id, event)) = heads.max_by_key(|(_, event)| event.at_ms) else {
            break;
        };
        events.push(event.line.clone());
        *taken.entry(id).or_default() += 1;
    }
    let mut next = AuditCursor::new();
    for (id, node) in &found {
        let count = taken.get(id.as_str()).copied().unwrap_or(0);
        let position = match count {
            all if all == node.events.len() => node.stopped.map(|(position, _)| position),
            0 => node.start,
            some => Some(node.events[some - 1].position),
        };
        next.extend(position.map(|position| (id.clone(), position)));
    }
    (events, next)
}

/// Events of one page.
const MAX_SIZE: usize = 1000;
/// How long the nodes may read.
const MAX_TIME: Duration = Duration::from_secs(60);
/// Bytes of events that a node sends for one page.
const MAX_FOUND_BYTES: usize = 4 << 20;
/// Bytes of its log that a node looks at for one page.
const MAX_READ_BYTES: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at_ms: i64, name: &str) -> FoundEvent {
        FoundEvent {
            at_ms,
            line: name.to_owned(),
            position: position(at_ms),
        }
    }

    fn position(at_ms: i64) -> AuditPosition {
        AuditPosition {
            file: 1,
            begun: 0,
            offset: at_ms as u64,
        }
    }

    fn found(events: &[i64], stopped: Option<i64>) -> Found {
        Found {
            has_log: true,
            events: events
                .iter()
                .map(|at| event(*at, &at.to_string()))
                .collect(),
            start: Some(position(1000)),
            stopped: stopped.map(|at| (position(at), at)),
            unreadable: 0,
            is_truncated: false,
        }
    }

    #[test]
    fn events_of_nodes_are_put_together_and_each_goes_on_where_it_was() {
        let nodes = BTreeMap::from([
            ("a".to_owned(), found(&[9, 5, 1], None)),
            ("b".to_owned(), found(&[8, 7], None)),
            ("c".to_owned(), found(&[2], None)),
        ]);
        let (events, next) = merged(nodes.clone(), 4);
        assert_eq!(events, ["9", "8", "7", "5"]);
        // The second has no more, and the third has not begun.
        let expected = [("a", position(5)), ("c", position(1000))];
        let expected = expected.map(|(id, position)| (id.to_owned(), position));
        assert_eq!(next, AuditCursor::from(expected));
        let (events, next) = merged(nodes, 10);
        assert_eq!(events.len(), 6);
        assert!(next.is_empty());
    }

    #[test]
    fn what_is_older_than_what_a_node_has_not_looked_at_waits() {
        let nodes = BTreeMap::from([
            ("a".to_owned(), found(&[9, 5, 1], None)),
            ("b".to_owned(), found(&[8], Some(6))),
        ]);
        let (events, next) = merged(nodes, 10);
        assert_eq!(events, ["9", "8"]);
        let expected = [("a", position(9)), ("b", position(6))];
        let expected = expected.map(|(id, position)| (id.to_owned(), position));
        assert_eq!(next, AuditCursor::from(expected));
    }
}
