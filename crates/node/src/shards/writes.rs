//! The items of a bulk on the primary: one after the other, without waiting for anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ringwall_api::document::{
    GetResult, OpType, ShardCounts, WriteItem, WriteOutcome, WriteResult,
};
use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::{SeqNo, Term};
use ringwall_index::engine::{Applied, Condition, RecentWrite, RequestItem};
use ringwall_index::translog::OperationKind;
use ringwall_index::{IndexError, Operation, View, parse_document};
use ringwall_search::source_filter;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::LocalShard;
use super::update::{UpdateBody, Updated};

/// An item and where its id comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShardItem {
    pub item: WriteItem,
    /// The id was made for this request and was never sent before: no document can have it.
    pub new_id: bool,
    /// The alias through which the index was reached. What it hides, an update does not find.
    pub alias: Option<String>,
}

/// What updates see that came through an alias, or by the index's own name (`None`); or why they are refused.
pub type UpdateViews = BTreeMap<Option<String>, Result<View, ApiError>>;

/// The items of a bulk, and how far they have come.
#[derive(Default)]
pub struct AppliedItems {
    /// [`crate::replication::messages::ShardBulkRequest::request`].
    request: u64,
    items: Arc<Vec<ShardItem>>,
    views: UpdateViews,
    outcomes: Vec<Result<Done, ApiError>>,
    /// The body of the current item, if it is an update: read once, however often the item is tried.
    update: Option<UpdateBody>,
    /// What was written, to be replicated.
    pub operations: Vec<Operation>,
    /// The current item needs these fields; it is tried again after they were added.
    pub mapping_update: Option<Value>,
    /// The same with the fields that later items need too, so that not each of them waits for the master.
    pub mapping_ahead: Option<Value>,
}

/// An item that is applied here but not yet acknowledged.
struct Done {
    version: u64,
    seq_no: SeqNo,
    primary_term: Term,
    result: WriteResult,
    get: Option<GetResult>,
}

impl AppliedItems {
    /// Returns items of which none has been applied.
    pub fn new(request: u64, items: Arc<Vec<ShardItem>>, views: UpdateViews) -> Self {
        Self {
            request,
            views,
            outcomes: Vec::with_capacity(items.len()),
            operations: Vec::with_capacity(items.len()),
            items,
            update: None,
            mapping_update: None,
            mapping_ahead: None,
        }
    }

    /// Returns how many items have been dealt with.
    pub fn done(&self) -> usize {
        self.outcomes.len()
    }

    /// Gives up the current item and goes on with the next.
    pub fn fail_current(&mut self, error: ApiError) {
        if self.outcomes.len() < self.items.len() {
            self.update = None;
            self.outcomes.push(Err(error));
        }
    }

    /// Gives up every item that has not been applied.
    pub fn fail_rest(&mut self, error: &ApiError) {
        while self.outcomes.len() < self.items.len() {
            self.outcomes.push(Err(error.clone()));
        }
    }

    /// Returns the answer to each item, all copies having taken what was written.
    pub fn into_outcomes(
        self,
        shards: ShardCounts,
        forced_refresh: bool,
    ) -> Vec<Result<WriteOutcome, ApiError>> {
        let outcome = |done: Done| WriteOutcome {
            version: done.version,
            seq_no: done.seq_no,
            primary_term: done.primary_term,
            shards: match done.result {
                WriteResult::Noop => ShardCounts::default(),
                _ => shards,
            },
            forced_refresh: forced_refresh && done.result != WriteResult::Noop,
            result: done.result,
            get: done.get,
        };
        self.outcomes
            .into_iter()
            .map(|result| result.map(outcome))
            .collect()
    }
}

/// Applies items from where they stand, until done or until one needs a new mapping. Blocks.
///
/// # Errors
/// The copy has failed; nothing of the bulk may be acknowledged.
pub fn apply_items(
    shard: &LocalShard,
    term: Term,
    look_ahead: bool,
    applied: &mut AppliedItems,
) -> Result<(), ApiError> {
    while let Some(current) = applied.items.get(applied.outcomes.len()) {
        let by = RequestItem {
            request: applied.request,
            item: u32::try_from(applied.outcomes.len()).unwrap_or(u32::MAX),
        };
        let update = &mut applied.update;
        let outcome = match apply_item(shard, term, current, by, &applied.views, update) {
            Ok(Step::Written(done, operation)) => {
                applied.operations.push(operation);
                Ok(done)
            }
            Ok(Step::Unchanged(done)) => Ok(done),
            Ok(Step::NeedsMapping(update)) => {
                let later = &applied.items[applied.outcomes.len() + 1..];
                applied.mapping_ahead = look_ahead
                    .then(|| with_fields_of(shard, &update, later))
                    .flatten();
                applied.mapping_update = Some(update);
                return Ok(());
            }
            Err(error) if error.is_fatal() => return Err(error.into()),
            Err(error) => Err(error.into()),
        };
        applied.update = None;
        applied.outcomes.push(outcome);
    }
    Ok(())
}

/// Returns an update with the fields of later items, as far as they go together: of a field that several define the
/// first counts. What they cannot be read with is theirs to tell when it is their turn.
fn with_fields_of(shard: &LocalShard, update: &Value, later: &[ShardItem]) -> Option<Value> {
    let mapping = shard.engine.mapping();
    let mut together = update.clone();
    let (mut grew, mut bytes) = (false, 0);
    let whole = |item: &&ShardItem| matches!(item.item.op, OpType::Index | OpType::Create);
    for item in later.iter().filter(whole).take(LOOK_AHEAD) {
        let (item, source) = (&item.item, item.item.source.clone());
        bytes += source.len();
        if bytes > LOOK_AHEAD_BYTES {
            break;
        }
        let id = item.id.as_deref().unwrap_or_default();
        let parsed = parse_document(&mapping, id, item.routing.as_deref(), source);
        if let Some(needed) = parsed.ok().and_then(|document| document.mapping_update) {
            grew |= add_fields(&mut together, needed);
        }
    }
    grew.then_some(together)
}

/// Adds the fields of one object that the other lacks. Returns whether there were any.
fn add_fields(base: &mut Value, other: Value) -> bool {
    let (Value::Object(base), Value::Object(mut other)) = (base, other) else {
        return false;
    };
    let (Some(Value::Object(base)), Some(Value::Object(other))) =
        (base.get_mut("properties"), other.remove("properties"))
    else {
        return false;
    };
    let mut grew = false;
    for (name, definition) in other {
        match base.get_mut(&name) {
            Some(there) => grew |= add_fields(there, definition),
            None => {
                base.insert(name, definition);
                grew = true;
            }
        }
    }
    grew
}

/// Items that are looked at for fields to come, and their bytes.
const LOOK_AHEAD: usize = 1000;
const LOOK_AHEAD_BYTES: usize = 4 << 20;

enum Step {
    Written(Done, Operation),
    Unchanged(Done),
    NeedsMapping(Value),
}

fn apply_item(
    shard: &LocalShard,
    term: Term,
    current: &ShardItem,
    by: RequestItem,
    views: &UpdateViews,
    body: &mut Option<UpdateBody>,
) -> Result<Step, IndexError> {
    let item = &current.item;
    let Some(id) = item.id.as_deref() else {
        return Err(ApiError::internal("a write without an id reached its shard").into());
    };
    let condition = Condition {
        create: item.op == OpType::Create,
        if_seq_no: item.if_seq_no,
        if_primary_term: item.if_primary_term,
        version: item.version,
        version_type: item.version_type,
        by: Some(by),
    };
    match item.op {
        OpType::Index | OpType::Create => {
            let source = item.source.clone();
            let written = index(shard, term, item, id, source, condition, current.new_id)?;
            Ok(written)
        }
        OpType::Delete => Ok(written(shard.engine.delete(term, id, condition)?, None)),
        OpType::Update => {
            let mut attempts_left = item.retry_on_conflict;
            let view = views.get(&current.alias);
            let view =
                view.ok_or_else(|| ApiError::internal("what an update sees was not looked up"))?;
            let view = view.as_ref().map_err(ApiError::clone)?;
            loop {
                match update(shard, term, item, id, by, view, body) {
                    Err(error) if attempts_left > 0 && is_conflict(&error) => attempts_left -= 1,
                    result => return result,
                }
            }
        }
    }
}

fn index(
    shard: &LocalShard,
    term: Term,
    item: &WriteItem,
    id: &str,
    source: Bytes,
    condition: Condition,
    new_id: bool,
) -> Result<Step, IndexError> {
    let mapping = shard.engine.mapping();
    if mapping.routing_required() && item.routing.is_none() {
        let reason = format!("routing is required for [{}]/[{id}]", item.index);
        return Err(ApiError::new(ErrorCode::RoutingMissing, reason).into());
    }
    let mut document = parse_document(&mapping, id, item.routing.as_deref(), source)?;
    if let Some(update) = document.mapping_update.take() {
        return Ok(Step::NeedsMapping(update));
    }
    let applied = shard.engine.index(term, document, condition, new_id)?;
    Ok(written(applied, None))
}

fn update(
    shard: &LocalShard,
    term: Term,
    item: &WriteItem,
    id: &str,
    by: RequestItem,
    view: &View,
    body: &mut Option<UpdateBody>,
) -> Result<Step, IndexError> {
    if let Some((write, operation)) = shard.engine.repeated(by)? {
        return updated_before(item, id, write, operation);
    }
    let body = match body {
        Some(read) => read,
        None => body.insert(UpdateBody::of(item)?),
    };
    if item.if_seq_no.is_some() {
        body.check_conditional()?;
    }
    let current = shard.engine.get(id, view)?;
    let mut condition = Condition {
        if_seq_no: item.if_seq_no,
        if_primary_term: item.if_primary_term,
        by: Some(by),
        ..Condition::default()
    };
    let source = match &current {
        None => {
            condition.create = condition.if_seq_no.is_none();
            body.insert(&item.index, id)?
        }
        Some(current) => {
            check_condition(item, id, current.seq_no, current.primary_term)?;
            if condition.if_seq_no.is_none() {
                condition.if_seq_no = Some(current.seq_no);
                condition.if_primary_term = Some(current.primary_term);
            }
            match body.merge(&current.source)? {
                Updated::Source(source) => source,
                Updated::Noop => {
                    let mut done = Done {
                        version: current.version,
                        seq_no: current.seq_no,
                        primary_term: current.primary_term,
                        result: WriteResult::Noop,
                        get: None,
                    };
                    done.get = returned(item, id, &done, &current.source)?;
                    return Ok(Step::Unchanged(done));
                }
            }
        }
    };
    let mut step = index(shard, term, item, id, source.clone(), condition, false)?;
    if let Step::Written(done, _) = &mut step {
        done.get = returned(item, id, done, &source)?;
    }
    Ok(step)
}

/// Whether the document is the one that the update is for, even if it would change nothing.
fn check_condition(
    item: &WriteItem,
    id: &str,
    seq_no: SeqNo,
    primary_term: Term,
) -> Result<(), ApiError> {
    let (Some(wanted), Some(term)) = (item.if_seq_no, item.if_primary_term) else {
        return Ok(());
    };
    if (wanted, term) == (seq_no, primary_term) {
        return Ok(());
    }
    let reason = format!(
        "[{id}]: version conflict, required seqNo [{wanted}], primary term [{term}]. current document \
         has seqNo [{seq_no}] and primary term [{primary_term}]"
    );
    Err(ApiError::new(ErrorCode::VersionConflict, reason).with("index", item.index.as_str()))
}

/// Answers an update that was applied before; what it merged then is what counts.
fn updated_before(
    item: &WriteItem,
    id: &str,
    write: RecentWrite,
    operation: Option<Operation>,
) -> Result<Step, IndexError> {
    let mut done = Done {
        version: write.version,
        seq_no: write.seq_no,
        primary_term: write.primary_term,
        result: match write.existed {
            true => WriteResult::Updated,
            false => WriteResult::Created,
        },
        get: None,
    };
    if let Some(OperationKind::Index { source, .. }) = operation.as_ref().map(|o| &o.kind) {
        done.get = returned(item, id, &done, source)?;
    }
    Ok(match operation {
        Some(operation) => Step::Written(done, operation),
        None => Step::Unchanged(done),
    })
}

fn returned(
    item: &WriteItem,
    id: &str,
    done: &Done,
    source: &Bytes,
) -> Result<Option<GetResult>, IndexError> {
    let Some(filter) = &item.return_source else {
        return Ok(None);
    };
    Ok(Some(GetResult {
        index: item.index.clone(),
        id: id.to_owned(),
        found: true,
        version: done.version,
        seq_no: done.seq_no,
        primary_term: done.primary_term,
        routing: item.routing.clone(),
        source: source_filter::apply(source, filter)?,
    }))
}

fn written(applied: Applied, get: Option<GetResult>) -> Step {
    let done = Done {
        version: applied.version,
        seq_no: applied.operation.seq_no,
        primary_term: applied.operation.primary_term,
        result: applied.result,
        get,
    };
    Step::Written(done, applied.operation)
}

fn is_conflict(error: &IndexError) -> bool {
    matches!(error, IndexError::Request(request) if request.code == ErrorCode::VersionConflict)
}

#[cfg(test)]
mod tests {
    use ringwall_api::document::RefreshPolicy;
    use ringwall_base::encoding;
    use serde_json::json;

    use super::*;
    use crate::replication::messages::ShardBulkRequest;
    use crate::replication::replica::decode_operations;
    use crate::shards::local::tests::primary_of;

    fn primary(directory: &std::path::Path) -> Arc<LocalShard> {
        let mapping = json!({"properties": {"n": {"type": "long"}}});
        primary_of(directory, &mapping)
    }

    fn items() -> Vec<ShardItem> {
        [
            (OpType::Create, "a", r#"{"n":1}"#),
            (OpType::Update, "a", r#"{"doc":{"n":2}}"#),
            (OpType::Index, "a", r#"{"n":3}"#),
            (OpType::Delete, "a", ""),
            (OpType::Create, "b", r#"{"n":4}"#),
            (OpType::Create, "b", r#"{"n":5}"#),
            (
                OpType::Update,
                "c",
                r#"{"doc":{"n":6},"doc_as_upsert":true}"#,
            ),
        ]
        .map(|(op, id, source)| {
            let mut item = WriteItem::new(op, "logs", Some(id.into()), source.into());
            item.return_source = (op == OpType::Update).then(Default::default);
            ShardItem {
                item,
                new_id: false,
                alias: None,
            }
        })
        .to_vec()
    }

    fn whole() -> UpdateViews {
        BTreeMap::from([(None, Ok(View::whole()))])
    }

    fn send(shard: &LocalShard, request: u64) -> (Vec<Result<String, u16>>, Vec<Operation>) {
        let mut applied = AppliedItems::new(request, items().into(), whole());
        apply_items(shard, 1, true, &mut applied).unwrap();
        let operations = applied.operations.clone();
        let outcomes = applied.into_outcomes(ShardCounts::default(), false);
        let outcomes = outcomes
            .into_iter()
            .map(|outcome| match outcome {
                Ok(done) => Ok(format!("{done:?}")),
                Err(error) => Err(error.status),
            })
            .collect();
        (outcomes, operations)
    }

    #[test]
    fn a_source_is_a_slice_of_what_was_sent_as_far_as_the_copies() {
        let directory = tempfile::tempdir().unwrap();
        let shard = primary(&directory.path().join("0"));
        let is_within = |part: &Bytes, whole: &Bytes| {
            let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
            whole.start <= part.start && part.end <= whole.end
        };
        let source = |operation: &Operation| match &operation.kind {
            OperationKind::Index { source, .. } => Some(source.clone()),
            _ => None,
        };
        // As the primary's node gets it from another.
        let request = ShardBulkRequest {
            shard: shard.id.clone(),
            request: 7,
            relay: false,
            items: items().into(),
            refresh: RefreshPolicy::None,
            wait_for_active_shards: None,
        };
        let sent = Bytes::from(encoding::encode(&request));
        let request: ShardBulkRequest = encoding::decode_shared(&sent).unwrap();
        let mut applied = AppliedItems::new(7, request.items, whole());
        apply_items(&shard, 1, true, &mut applied).unwrap();
        let whole = applied.operations.iter().filter_map(source);
        let of_request = whole.filter(|source| is_within(source, &sent)).count();
        assert_eq!(of_request, 3, "all but what two updates merged");
        // As a copy gets the operations.
        let sent = Bytes::from(encoding::encode(&applied.operations));
        let received = decode_operations(&sent).unwrap();
        let mut sources = received.iter().filter_map(source);
        assert!(sources.all(|source| is_within(&source, &sent)));
    }

    #[test]
    fn the_body_of_an_update_is_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let shard = primary(&directory.path().join("0"));
        // What the edge has read counts; of the text nothing is left to read.
        let mut item = WriteItem::new(OpType::Update, "logs", Some("a".into()), "no JSON".into());
        let Value::Object(body) = json!({"doc": {"n": 1, "new": "x"}, "doc_as_upsert": true})
        else {
            unreachable!()
        };
        item.body = Some(Arc::new(body));
        let item = ShardItem {
            item,
            new_id: false,
            alias: None,
        };
        let mut applied = AppliedItems::new(7, vec![item].into(), whole());
        apply_items(&shard, 1, true, &mut applied).unwrap();
        // It waits for the mapping to grow, and keeps what it has read meanwhile.
        assert!(applied.mapping_update.is_some() && applied.update.is_some());
        applied.fail_current(ApiError::internal("no"));
        assert!(applied.update.is_none());
    }

    #[test]
    fn a_request_that_is_sent_again_is_answered_as_the_first_time_and_replicated_again() {
        let directory = tempfile::tempdir().unwrap();
        let shard = primary(&directory.path().join("0"));
        let (first, operations) = send(&shard, 7);
        assert_eq!(operations.len(), 6, "all but the second create of [b]");
        assert_eq!(first[5], Err(409));
        let again = send(&shard, 7);
        assert_eq!(again, (first.clone(), operations));
        assert_eq!(shard.engine.max_seq_no(), 5);
        // Another request with the same items is other writes.
        let (other, _) = send(&shard, 8);
        assert_eq!(other[4], Err(409));
        assert_ne!(other[0], first[0]);
    }
}
