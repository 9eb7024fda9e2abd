//! The fetch phase as the coordinating node sees it: one message for each node that has a part of the page.

use std::collections::BTreeMap;

use futures::future::join_all;
use ringwall_api::search::{SearchHit, ShardFailure};
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::NodeId;
use ringwall_search::{DocAddress, FetchedHit, ReducedQuery};

use super::{
    Caller, Held, Opened, SCROLL_FETCH, ScrollFetchRequest, ShardFound, search_hit, shard_failure,
};
use crate::search::messages::{FETCH, FetchRequest, FetchResponse, ShardFetch};
use crate::search::readers::ReaderId;

/// The fetch phase of one search.
pub(crate) struct FetchPhase<'a> {
    pub(crate) caller: &'a Caller<'a>,
    pub(crate) reduced: &'a ReducedQuery,
    /// Knows what the nodes hold.
    pub(crate) opened: &'a Opened,
}

/// What is read of a shard: its ordinal, and the addresses of its documents.
type Part = (usize, ShardFetch);
/// The ordinal of a shard, and its documents.
type Read = (usize, ApiResult<Vec<FetchedHit>>);

impl FetchPhase<'_> {
    /// Reads the documents of the page, on the nodes that found them. Shards that fail are added to the failures.
    pub(crate) async fn read(
        &self,
        found: Vec<ShardFound>,
        failures: &mut Vec<ShardFailure>,
    ) -> Vec<SearchHit> {
        let mut places: Vec<Vec<usize>> = vec![Vec::new(); found.len()];
        for (place, winner) in self.reduced.winners.iter().enumerate() {
            places[winner.shard].push(place);
        }
        let mut read: Vec<Read> = Vec::new();
        let mut by_node: BTreeMap<NodeId, Vec<Part>> = BTreeMap::new();
        let mut scrolls = Vec::new();
        let mut found = found;
        for (ordinal, shard) in found.iter_mut().enumerate() {
            if let Some(page) = shard.page.take() {
                read.push((ordinal, Ok(page)));
                continue;
            }
            let docs: Vec<DocAddress> = places[ordinal]
                .iter()
                .map(|place| self.reduced.winners[*place].address)
                .collect();
            match shard.held {
                _ if docs.is_empty() => {}
                Held::Nothing => {}
                Held::Context(context) => {
                    let part = (ordinal, ShardFetch { context, docs });
                    by_node.entry(shard.node).or_default().push(part);
                }
                Held::Scroll(reader) => {
                    scrolls.push(self.read_scroll(ordinal, shard.node, reader, docs));
                }
            }
        }
        let nodes = by_node
            .into_iter()
            .map(|(node, parts)| self.read_node(node, parts));
        let (nodes, scrolls) = tokio::join!(join_all(nodes), join_all(scrolls));
        read.extend(nodes.into_iter().flatten().chain(scrolls));
        let mut page: Vec<Option<SearchHit>> = vec![None; self.reduced.winners.len()];
        for (ordinal, hits) in read {
            let shard = &found[ordinal];
            match hits {
                Ok(hits) => {
                    for (place, hit) in places[ordinal].iter().zip(hits) {
                        let winner = &self.reduced.winners[*place];
                        page[*place] = Some(search_hit(&shard.shard, winner, hit));
                    }
                }
                Err(reason) => {
                    failures.push(shard_failure(&shard.shard, Some(shard.node), reason));
                }
            }
        }
        page.into_iter().flatten().collect()
    }

    async fn read_node(&self, node: NodeId, parts: Vec<Part>) -> Vec<Read> {
        let (ordinals, shards): (Vec<usize>, Vec<ShardFetch>) = parts.into_iter().unzip();
        let is_alone = shards.len() == 1;
        let answers = self.send(node, &shards).await;
        let settled = answers
            .into_iter()
            .zip(&shards)
            .map(|(answer, shard)| async move {
                match answer {
                    // Together they are too long for one message.
                    Err(error) if error.code == ErrorCode::ContentTooLong && !is_alone => {
                        let alone = self.send(node, std::slice::from_ref(shard)).await;
                        alone.into_iter().next().unwrap_or(Err(error))
                    }
                    answer => answer,
                }
            });
        ordinals.into_iter().zip(join_all(settled).await).collect()
    }

    /// Returns as many answers as shards.
    async fn send(&self, node: NodeId, shards: &[ShardFetch]) -> Vec<ApiResult<Vec<FetchedHit>>> {
        let request = FetchRequest {
            shards: shards.to_vec(),
            time_left_ms: self.caller.time_left_ms(),
        };
        match self.caller.call(node, FETCH, request).await {
            Ok(answers) if answers.len() == shards.len() => {
                let answers = answers.into_iter().zip(shards);
                let each = answers.map(|(answer, shard)| {
                    if answer.is_ok() {
                        self.opened.fetched(node, shard.context);
                    }
                    answer.map(|response| response.hits)
                });
                each.collect()
            }
            Ok(_) => {
                vec![Err(ApiError::internal("the node answered for other shards")); shards.len()]
            }
            Err(error) => vec![Err(error); shards.len()],
        }
    }

    async fn read_scroll(
        &self,
        ordinal: usize,
        node: NodeId,
        reader: ReaderId,
        docs: Vec<DocAddress>,
    ) -> Read {
        let request = ScrollFetchRequest {
            reader,
            docs,
            time_left_ms: self.caller.time_left_ms(),
        };
        let response: ApiResult<FetchResponse> =
            self.caller.call(node, SCROLL_FETCH, request).await;
        (ordinal, response.map(|response| response.hits))
    }
}
