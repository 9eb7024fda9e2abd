//! Writes: grouped by shard, sent to the primaries, tried again where the cluster changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::auth::Authentication;
use ringwall_api::document::{
    BulkItemResponse, BulkRequest, BulkResponse, OpType, WriteItem, WriteOutcome, WriteResult,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode, RequestContext, Unauthorized};
use ringwall_base::glob::{self, Syntax};
use ringwall_base::{NodeId, ShardId, random_bytes};
use ringwall_cluster::ClusterState;
use ringwall_cluster::blocks::Level;
use ringwall_security::{Authorized, Resolved};
use ringwall_settings::registry::cluster::NO_MASTER_WRITE_WAIT;
use ringwall_settings::registry::indices::AUTO_CREATE_INDEX;
use tokio::time::Instant;

use crate::actions::Handler;
use crate::actions::indices::create::create_by_write;
use crate::actions::indices::templates;
use crate::replication::messages::{SHARD_BULK, ShardBulkRequest, ShardBulkResponse};
use crate::routing::{is_broken_link, is_stale_routing, shard_of, write_index};
use crate::services::Services;
use crate::shards::writes::ShardItem;
use crate::views;

type Outcome = Result<WriteOutcome, ApiError>;

impl Handler<BulkRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<BulkRequest>,
    ) -> ApiResult<BulkResponse> {
        let begun = Instant::now();
        let timeout = context.time_left(Duration::from_millis(request.timeout_ms));
        let deadline = begun + timeout;
        let options = Options {
            refresh: request.refresh,
            wait_for_active_shards: request.wait_for_active_shards,
            deadline,
        };
        let problems = request.problems();
        if !problems.is_empty() {
            return Err(ApiError::validation(&problems));
        }
        let _pressure = services.indexing_pressure.coordinating(request.bytes())?;
        let mut answers: Vec<Answer> = request.unanswered().into_iter().map(Answer::of).collect();
        let mut items = authorized(
            &services,
            &context.authentication,
            request.into_request().items,
            &mut answers,
        );
        create_missing(
            &services,
            &context.authentication,
            &items,
            &mut answers,
            timeout,
        )
        .await;
        items.retain(|(position, _)| answers[*position].outcome.is_none());
        let state = services.cluster.state();
        let groups = by_shard(&state, items, &mut answers);
        let sent = groups.into_iter().map(|(shard, group)| {
            let services = &services;
            let authentication = &context.authentication;
            async move {
                let positions: Vec<usize> = group.iter().map(|(position, _)| *position).collect();
                let items = group.into_iter().map(|(_, item)| item).collect();
                let outcomes = write(services, authentication, shard, items, options).await;
                (positions, outcomes)
            }
        });
        for (positions, outcomes) in join_all(sent).await {
            for (position, outcome) in positions.into_iter().zip(outcomes) {
                answers[position].outcome = Some(outcome);
            }
        }
        Ok(BulkResponse {
            took_ms: begun.elapsed().as_millis() as u64,
            items: answers.into_iter().map(Answer::into_response).collect(),
        })
    }
}

#[derive(Clone, Copy)]
struct Options {
    refresh: ringwall_api::document::RefreshPolicy,
    wait_for_active_shards: Option<u32>,
    deadline: Instant,
}

/// What is known of an item's answer so far.
struct Answer {
    op: OpType,
    index: String,
    id: Option<String>,
    outcome: Option<Outcome>,
}

impl Answer {
    fn of(unanswered: BulkItemResponse) -> Self {
        Self {
            op: unanswered.op,
            index: unanswered.index,
            id: unanswered.id,
            outcome: None,
        }
    }

    fn into_response(self) -> BulkItemResponse {
        let unanswered = || Err(ApiError::internal("the shard gave no answer to the item"));
        BulkItemResponse {
            op: self.op,
            index: self.index,
            id: self.id,
            outcome: self.outcome.unwrap_or_else(unanswered),
        }
    }
}

/// Items with their position in the request.
type Items = Vec<(usize, Authorized<WriteItem>)>;

/// Every item is authorized for its own index; the others are answered.
fn authorized(
    services: &Services,
    authentication: &Authentication,
    items: Unauthorized<Vec<WriteItem>>,
    answers: &mut [Answer],
) -> Items {
    let decided = services.authorizer.authorize_items(authentication, items);
    let mut authorized = Vec::with_capacity(decided.len());
    for (position, item) in decided.into_iter().enumerate() {
        match item {
            Ok(item) => authorized.push((position, item)),
            Err(error) => answers[position].outcome = Some(Err(error)),
        }
    }
    authorized
}

/// Creates the indices that are written to and missing, where settings and rights allow it.
async fn create_missing(
    services: &Arc<Services>,
    authentication: &Authentication,
    items: &Items,
    answers: &mut [Answer],
    timeout: Duration,
) {
    let state = services.cluster.state();
    let mut missing: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (position, item) in items {
        let exists = match write_index(&state, &item.index) {
            Ok(found) => found.is_some(),
            Err(error) => {
                answers[*position].outcome = Some(Err(error));
                continue;
            }
        };
        if item.require_alias && (!exists || state.indices.contains_key(&item.index)) {
            let reason = format!(
                "[require_alias] request flag is [true] and [{}] is not an alias",
                item.index
            );
            let error = ApiError::new(ErrorCode::IndexNotFound, reason);
            answers[*position].outcome = Some(Err(error.with("index", item.index.clone())));
        } else if !exists && item.op == OpType::Delete && !creates_on_delete(item) {
            let error = ApiError::index_not_found(&item.index);
            answers[*position].outcome = Some(Err(error));
        } else if !exists {
            missing.entry(&item.index).or_default().push(*position);
        }
    }
    for (name, positions) in missing {
        let created = tokio::select! {
            biased;
            created = create_one(services, authentication, name, timeout) => created,
            () = services.cluster.without_master(no_master_wait(services)) => Err(no_master_block()),
        };
        if let Err(error) = created {
            for position in positions {
                answers[position].outcome = Some(Err(error.clone()));
            }
        }
    }
}

/// A delete with an external version leaves a tombstone, so that it needs its index.
fn creates_on_delete(item: &WriteItem) -> bool {
    item.version_type != ringwall_api::document::VersionType::Internal
}

async fn create_one(
    services: &Arc<Services>,
    authentication: &Authentication,
    name: &str,
    timeout: Duration,
) -> ApiResult<()> {
    let setting = services.settings.get(&AUTO_CREATE_INDEX);
    let by_template = templates::auto_create(&services.cluster.state().templates, name);
    if let Some(Err(patterns)) = &by_template {
        let reason = format!(
            "no such index [composable template [{}] forbids index auto creation]",
            patterns.join(", ")
        );
        let error = ApiError::new(ErrorCode::IndexNotFound, reason);
        return Err(error.with("index", name));
    }
    if by_template.is_none() && !may_create(&setting, name) {
        let reason = format!(
            "no such index [{name}] and [action.auto_create_index] ([{setting}]) doesn't match"
        );
        let error = ApiError::new(ErrorCode::IndexNotFound, reason);
        return Err(error.with("index", name));
    }
    let name = services
        .authorizer
        .authorize_name(authentication, AUTO_CREATE_ACTION, name)?;
    create_by_write(services, &name, timeout).await
}

const AUTO_CREATE_ACTION: &str = "indices:admin/auto_create";

/// `true`, `false`, or patterns of which the first that matches decides: `+a*,-b*`.
fn may_create(setting: &str, name: &str) -> bool {
    match setting {
        "true" => return true,
        "false" => return false,
        _ => {}
    }
    for pattern in setting.split(',').map(str::trim) {
        let (allowed, pattern) = match pattern.strip_prefix('-') {
            Some(rest) => (false, rest),
            None => (true, pattern.strip_prefix('+').unwrap_or(pattern)),
        };
        if glob::matches(pattern, name, Syntax::Star) {
            return allowed;
        }
    }
    false
}

fn by_shard(
    state: &ClusterState,
    items: Items,
    answers: &mut [Answer],
) -> BTreeMap<ShardId, Vec<(usize, ShardItem)>> {
    let mut groups: BTreeMap<ShardId, Vec<(usize, ShardItem)>> = BTreeMap::new();
    let mut ids = NewIds::default();
    let count = items.len();
    for (position, item) in items {
        let mut item = item.into_part();
        let index = match write_index(state, &item.index) {
            Ok(Some(index)) => index,
            Ok(None) => {
                answers[position].outcome = Some(Err(ApiError::index_not_found(&item.index)));
                continue;
            }
            Err(error) => {
                answers[position].outcome = Some(Err(error));
                continue;
            }
        };
        if let Err(error) = state.check_blocks(&index.id.name, Level::Write) {
            answers[position].outcome = Some(Err(error));
            continue;
        }
        let given = item.routing.take();
        match views::document_routing(index, &item.index, given) {
            Ok(routing) => item.routing = routing,
            Err(error) => {
                answers[position].outcome = Some(Err(error));
                continue;
            }
        }
        let new_id = item.id.is_none();
        let id = item.id.get_or_insert_with(|| ids.next()).clone();
        let shard = shard_of(index, &id, item.routing.as_deref());
        let alias = (item.index != index.id.name).then(|| item.index.clone());
        item.index.clone_from(&index.id.name);
        answers[position].index.clone_from(&item.index);
        answers[position].id = Some(id);
        let item = ShardItem {
            item,
            new_id,
            alias,
        };
        let shards = index.settings.number_of_shards() as usize;
        groups
            .entry(shard)
            .or_insert_with(|| Vec::with_capacity(count / shards + 1))
            .push((position, item));
    }
    groups
}

/// Ids of documents that come without: twenty URL-safe characters, as clients expect. The operating system is asked for
/// many at a time.
#[derive(Default)]
struct NewIds {
    bytes: Vec<u8>,
}

impl NewIds {
    fn next(&mut self) -> String {
        use base64::Engine;
        if self.bytes.is_empty() {
            self.bytes = random_bytes::<{ Self::LENGTH * 64 }>().to_vec();
        }
        let rest = self.bytes.len() - Self::LENGTH;
        let id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&self.bytes[rest..]);
        self.bytes.truncate(rest);
        id
    }

    const LENGTH: usize = 15;
}

/// Writes the items of one shard. Goes on through changes of the cluster until the deadline.
async fn write(
    services: &Arc<Services>,
    authentication: &Authentication,
    shard: ShardId,
    items: Vec<ShardItem>,
    options: Options,
) -> Vec<Outcome> {
    let count = items.len();
    let mut made_up = vec![false; count];
    let mut request = ShardBulkRequest {
        shard,
        request: u64::from_le_bytes(random_bytes()),
        relay: false,
        items: Arc::new(items),
        refresh: options.refresh,
        wait_for_active_shards: options.wait_for_active_shards,
    };
    let mut way = Way::default();
    let result = loop {
        let mut changes = services.cluster.applied().subscribe();
        changes.borrow_and_update();
        // Before it is sent nothing has happened: that, and only that, is what a block says.
        tokio::select! {
            biased;
            () = services.cluster.without_master(no_master_wait(services)) => {
                break Err(no_master_block());
            }
            () = std::future::ready(()) => {}
        }
        let attempt = attempt(
            services,
            authentication,
            &mut request,
            options.deadline,
            &mut way,
        );
        let answer = tokio::select! {
            biased;
            answer = attempt => answer,
            () = services.cluster.without_master(no_master_wait(services)) => {
                break Err(unknown(&request.shard));
            }
        };
        let error = match answer {
            Ok(response) => break Ok(response.outcomes),
            Err(error)
                if !is_stale_routing(&error) && error.code != ErrorCode::UnavailableShards =>
            {
                break Err(error);
            }
            Err(error) => error,
        };
        // Some of the items may have been written: their ids are no longer new, and to write the same under
        // an id that was made up here is no conflict.
        for (item, made_up) in Arc::make_mut(&mut request.items)
            .iter_mut()
            .zip(&mut made_up)
        {
            *made_up |= item.new_id;
            item.new_id = false;
            if *made_up && item.item.op == OpType::Create {
                item.item.op = OpType::Index;
            }
        }
        if Instant::now() >= options.deadline {
            break Err(unavailable(&request.shard, &error));
        }
        let wait = tokio::time::timeout(RETRY, changes.changed());
        let _ = tokio::time::timeout_at(options.deadline, wait).await;
        // Not once more without time: that would only tell that there was none.
        if Instant::now() >= options.deadline {
            break Err(unavailable(&request.shard, &error));
        }
    };
    match result {
        Ok(outcomes) if outcomes.len() == count => outcomes
            .into_iter()
            .zip(made_up)
            .map(|(outcome, made_up)| outcome.map(|outcome| as_created(outcome, made_up)))
            .collect(),
        Ok(_) => vec![Err(ApiError::internal("the shard answered to other items")); count],
        Err(error) => vec![Err(error); count],
    }
}

/// The document of an id that was made up for it is new, though an attempt before may have written it.
fn as_created(outcome: WriteOutcome, made_up: bool) -> WriteOutcome {
    match (made_up, outcome.result) {
        (true, WriteResult::Updated) => WriteOutcome {
            result: WriteResult::Created,
            ..outcome
        },
        _ => outcome,
    }
}

/// How the primary's node is reached.
#[derive(Default)]
struct Way {
    /// The node that the last attempt did not get through to.
    unreachable: Option<NodeId>,
    turn: usize,
}

impl Way {
    /// Returns the node to send to: the primary's, or another to pass it on when that was not reached just now.
    fn next(&mut self, state: &ClusterState, primary: NodeId, local: NodeId) -> NodeId {
        if self.unreachable.take() != Some(primary) {
            return primary;
        }
        let others: Vec<NodeId> = state
            .nodes
            .keys()
            .copied()
            .filter(|node| *node != primary && *node != local)
            .collect();
        self.turn += 1;
        let other = others.get(self.turn % others.len().max(1));
        other.copied().unwrap_or(primary)
    }
}

async fn attempt(
    services: &Services,
    authentication: &Authentication,
    request: &mut ShardBulkRequest,
    deadline: Instant,
    way: &mut Way,
) -> ApiResult<ShardBulkResponse> {
    let state = services.cluster.state();
    if state.index(&request.shard.index).is_none() {
        return Err(ApiError::index_not_found(&request.shard.index.name));
    }
    let primary = state.shard(&request.shard).and_then(|r| r.active_primary());
    let Some((node, _)) = primary else {
        return Err(ApiError::new(
            ErrorCode::UnavailableShards,
            "primary shard is not active",
        ));
    };
    let asked = way.next(&state, node, services.local_node());
    request.relay = asked != node;
    let timeout = deadline.saturating_duration_since(Instant::now());
    let answer = services
        .call_as(authentication, asked, SHARD_BULK, request.clone(), timeout)
        .await;
    if let Err(error) = &answer
        && asked == node
        && is_broken_link(error)
    {
        way.unreachable = Some(node);
    }
    answer
}

fn no_master_wait(services: &Services) -> Duration {
    let wait = services.settings.get(&NO_MASTER_WRITE_WAIT);
    wait.duration().unwrap_or_default()
}

/// Source: the published text of the block.
fn no_master_block() -> ApiError {
    let reason = "blocked by: [SERVICE_UNAVAILABLE/2/no master];";
    ApiError::new(ErrorCode::ClusterBlock, reason)
}

/// The write may go on where it was sent, and nobody here can learn what becomes of it.
fn unknown(shard: &ShardId) -> ApiError {
    let reason = format!("{shard} there is no master; the write may have been applied");
    ApiError::new(ErrorCode::UnavailableShards, reason)
}

fn unavailable(shard: &ShardId, error: &ApiError) -> ApiError {
    let reason = format!(
        "{shard} {}; the request timed out waiting for it",
        error.reason
    );
    ApiError::new(ErrorCode::UnavailableShards, reason)
}

/// How long to wait for a change of the cluster before trying again anyway.
const RETRY: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_decide_which_indices_are_made() {
        for (setting, name, expected) in [
            ("true", "a", true),
            ("false", "a", false),
            ("-logs-x*,+logs-*", "logs-xy", false),
            ("-logs-x*,+logs-*", "logs-a", true),
            ("logs-*", "other", false),
            ("logs-*", "logs-1", true),
        ] {
            assert_eq!(may_create(setting, name), expected, "{setting} {name}");
        }
    }

    #[test]
    fn made_up_ids_have_twenty_characters() {
        let mut ids = NewIds::default();
        let made: std::collections::BTreeSet<String> = (0..200).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 200);
        assert!(made.iter().all(|id| id.len() == 20));
    }

    #[test]
    fn a_primary_that_is_not_reached_is_asked_through_others_in_turn() {
        let [local, primary, other, another] = [1, 2, 3, 4].map(NodeId::from_bits);
        let mut state = ClusterState::default();
        for id in [local, primary, other, another] {
            let node = ringwall_cluster::NodeRecord {
                id,
                ephemeral_id: "first".into(),
                name: id.to_string(),
                transport_address: "127.0.0.1:9300".into(),
                http_address: None,
                version: "1".into(),
                roles: vec!["data".into()],
                attributes: BTreeMap::new(),
            };
            state.nodes.insert(id, node);
        }
        let mut way = Way::default();
        assert_eq!(way.next(&state, primary, local), primary);
        let mut others = Vec::new();
        for _ in 0..2 {
            way.unreachable = Some(primary);
            others.push(way.next(&state, primary, local));
            // Then the straight way again: it may be open by now.
            assert_eq!(way.next(&state, primary, local), primary);
        }
        others.sort();
        assert_eq!(others, [other, another]);
        // Another primary has nothing to do with it.
        way.unreachable = Some(other);
        assert_eq!(way.next(&state, primary, local), primary);
        state.nodes.retain(|id, _| *id == local || *id == primary);
        way.unreachable = Some(primary);
        assert_eq!(way.next(&state, primary, local), primary);
    }
}
