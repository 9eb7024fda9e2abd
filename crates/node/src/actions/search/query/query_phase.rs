//! The query phase as the coordinating node sees it: one message for each node that is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use ringwall_api::search::ShardFailure;
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::breaker::Account;
use ringwall_base::{NodeId, encoding};
use ringwall_search::ShardPlace;

use super::{Caller, HEAP_FACTOR, Opened, Run, Target, is_fault_of_request, lost, shard_failure};
use crate::read::{self, Unread};
use crate::search::context_ids::OpenShard;
use crate::search::messages::{NodeSearch, QUERY, QueryRequest, QueryResponse, ShardQuery};
use crate::search::reading::{ReadSearch, Reading};

/// What came of a shard, and of which node.
pub(crate) type ShardAnswer = Result<(NodeId, QueryResponse), ShardFailure>;

/// The query phase of one search.
pub(crate) struct QueryPhase<'a> {
    pub(crate) caller: &'a Caller<'a>,
    pub(crate) run: &'a Run,
    pub(crate) read: &'a Arc<ReadSearch>,
    pub(crate) allow_partial: bool,
    /// Where it is noted what shards hold open.
    pub(crate) opened: &'a Opened,
    /// For the answers.
    pub(crate) account: &'a Account,
}

impl QueryPhase<'_> {
    /// Asks one copy of every shard: those whose first copies are on the same node together, and the others of a
    /// shard in turn where that one does not answer.
    ///
    /// # Errors
    /// 429 when the answers take too much memory. What a shard answers with is a part of the result.
    pub(crate) async fn ask_all(&self) -> ApiResult<Vec<ShardAnswer>> {
        let state = self.caller.services.cluster.state();
        let mut by_node: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
        let mut alone = Vec::new();
        for (ordinal, target) in self.run.targets.iter().enumerate() {
            let preference = &self.run.preference;
            let first = match &target.open {
                Some(open) => Some(open.node),
                None => preference
                    .copies(&state, &target.shard, self.caller.services.local_node())
                    .ok()
                    .and_then(|nodes| nodes.first().copied()),
            };
            match first {
                Some(node) => by_node.entry(node).or_default().push(ordinal),
                // Why there is none, and whether there will be one, is told where each is asked for itself.
                None => alone.push(ordinal),
            }
        }
        let version = state.version;
        let together = by_node
            .into_iter()
            .map(|(node, ordinals)| self.ask_node(node, ordinals, version));
        let alone = alone
            .into_iter()
            .map(|ordinal| async move { (ordinal, self.ask_copies(ordinal, None).await) });
        let (together, alone) = tokio::join!(join_all(together), join_all(alone));
        let mut answers: Vec<Option<ShardAnswer>> = self.run.targets.iter().map(|_| None).collect();
        for (ordinal, answer) in together.into_iter().flatten().chain(alone) {
            answers[ordinal] = Some(answer?);
        }
        let mut all = Vec::with_capacity(answers.len());
        for (answer, target) in answers.into_iter().zip(&self.run.targets) {
            all.push(match answer {
                Some(answer) => answer,
                None => Err(shard_failure(&target.shard, None, no_answer())),
            });
        }
        Ok(all)
    }

    async fn ask_node(
        &self,
        node: NodeId,
        ordinals: Vec<usize>,
        state_version: u64,
    ) -> Vec<(usize, ApiResult<ShardAnswer>)> {
        let answers = self.send(node, &ordinals, state_version).await;
        let is_alone = ordinals.len() == 1;
        let settled = ordinals
            .into_iter()
            .zip(answers)
            .map(|(ordinal, answer)| async move {
                let answer = match answer {
                    // Together they are too long for one message.
                    Err(error) if error.code == ErrorCode::ContentTooLong && !is_alone => {
                        self.send_one(node, ordinal, state_version).await
                    }
                    answer => answer,
                };
                (ordinal, self.settle(ordinal, node, answer).await)
            });
        join_all(settled).await
    }

    /// Takes the answer of the first copy, or turns to the others.
    async fn settle(
        &self,
        ordinal: usize,
        node: NodeId,
        answer: ApiResult<QueryResponse>,
    ) -> ApiResult<ShardAnswer> {
        let target = &self.run.targets[ordinal];
        let error = match answer {
            Ok(response) => return self.take(target, node, response),
            Err(error) => error,
        };
        let error = match &target.open {
            Some(open) => lost(self.caller.services, open, error),
            None if is_fault_of_request(&error) => error,
            None => {
                let node = Some(node);
                return self.ask_copies(ordinal, Some(Unread { node, error })).await;
            }
        };
        Ok(Err(shard_failure(&target.shard, Some(node), error)))
    }

    /// Asks one copy of a shard after the other, but the one that was `tried`.
    async fn ask_copies(&self, ordinal: usize, tried: Option<Unread>) -> ApiResult<ShardAnswer> {
        let target = &self.run.targets[ordinal];
        let answer = read::from_copy_after(
            tried,
            self.caller.services,
            &target.shard,
            &self.run.preference,
            self.caller.deadline.into(),
            is_fault_of_request,
            |node, state_version| self.send_one(node, ordinal, state_version),
        )
        .await;
        match answer {
            Ok((node, response)) => self.take(target, node, response),
            Err(unread) => Ok(Err(shard_failure(&target.shard, unread.node, unread.error))),
        }
    }

    /// Charges for an answer as it comes, not when all are there.
    fn take(
        &self,
        target: &Target,
        node: NodeId,
        response: QueryResponse,
    ) -> ApiResult<ShardAnswer> {
        if let Some(reader) = response.reader {
            self.opened.note(OpenShard {
                shard: target.shard.clone(),
                node,
                reader,
            });
        }
        if let Some(context) = response.context {
            self.opened.note_context(node, context);
        }
        let bytes = encoding::size(&response) * HEAP_FACTOR;
        self.account.charge(bytes, "<reduce_aggs>")?;
        Ok(Ok((node, response)))
    }

    async fn send_one(
        &self,
        node: NodeId,
        ordinal: usize,
        state_version: u64,
    ) -> ApiResult<QueryResponse> {
        let mut answers = self.send(node, &[ordinal], state_version).await;
        answers.pop().unwrap_or_else(|| Err(no_answer()))
    }

    /// Sends a node the search for some of its shards. Returns as many answers.
    async fn send(
        &self,
        node: NodeId,
        ordinals: &[usize],
        state_version: u64,
    ) -> Vec<ApiResult<QueryResponse>> {
        let (run, caller) = (self.run, self.caller);
        let pit = self.read.source.pit.as_ref();
        let search = NodeSearch {
            body: run.body.clone(),
            read: Reading::done(Arc::clone(self.read)),
            now_ms: caller.now_ms,
            fetch: run.targets.len() == 1,
            time_left_ms: caller.time_left_ms(),
            allow_partial: self.allow_partial,
            scroll_ms: run.scroll_ms,
            keep_alive_ms: pit.and_then(|pit| pit.keep_alive_ms),
        };
        let shards = ordinals.iter().map(|ordinal| {
            let target = &run.targets[*ordinal];
            ShardQuery {
                shard: target.shard.clone(),
                state_version: match target.open {
                    Some(_) => 0,
                    None => state_version,
                },
                through: target.through.clone(),
                place: ShardPlace {
                    ordinal: *ordinal as u32,
                    of: run.targets.len() as u32,
                },
                reader: target.open.as_ref().map(|open| open.reader),
            }
        });
        let request = QueryRequest {
            search: Arc::new(search),
            shards: shards.collect(),
        };
        match caller.call(node, QUERY, request).await {
            Ok(answers) if answers.len() == ordinals.len() => answers,
            Ok(_) => vec![Err(no_answer()); ordinals.len()],
            Err(error) => vec![Err(error); ordinals.len()],
        }
    }
}

pub(crate) fn no_answer() -> ApiError {
    ApiError::internal("the node answered for other shards")
}
