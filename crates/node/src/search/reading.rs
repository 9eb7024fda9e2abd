//! The body of a search, read once on a node for all of the node's shards.

use std::sync::{Arc, OnceLock};

use ringwall_api::{ApiError, ApiResult};
use ringwall_base::breaker::{Account, Breakers, Purpose};
use ringwall_base::json_size::tree_size;
use ringwall_search::{SearchSource, parse_search};
use serde_json::Value;

/// A search body that has been read.
#[derive(Debug)]
pub struct ReadSearch {
    pub source: Arc<SearchSource>,
    /// How hits are ordered, as in the body.
    pub sort: Value,
    /// For what was read, as long as anybody holds it.
    _account: Account,
}

impl ReadSearch {
    /// Reads a body.
    ///
    /// # Errors
    /// 429 for too little memory; what [`parse_search`] says of the body.
    pub fn parse(breakers: &Breakers, text: &[u8]) -> ApiResult<Self> {
        let account = Account::open(breakers, Purpose::Request);
        // The tree of its text, and the query made of it.
        account.charge(2 * tree_size(text).bytes, "<shard_query>")?;
        let body: Value =
            serde_json::from_slice(text).map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(Self {
            source: Arc::new(parse_search(&body)?),
            sort: body.get("sort").cloned().unwrap_or_default(),
            _account: account,
        })
    }

    /// Returns what this node has read as the one that coordinates the search; `text` is what it was read from.
    ///
    /// # Errors
    /// 429 for too little memory.
    pub fn of(
        breakers: &Breakers,
        source: SearchSource,
        sort: Value,
        text: &[u8],
    ) -> ApiResult<Self> {
        let account = Account::open(breakers, Purpose::Request);
        account.charge(tree_size(text).bytes, "<search_request>")?;
        Ok(Self {
            source: Arc::new(source),
            sort,
            _account: account,
        })
    }
}

/// A body that is read by the first shard that needs it. It does not travel: every node reads for itself.
#[derive(Debug, Default)]
pub struct Reading(OnceLock<ApiResult<Arc<ReadSearch>>>);

impl Reading {
    /// Returns a body that has been read already.
    pub fn done(read: Arc<ReadSearch>) -> Self {
        Self(Ok(read).into())
    }

    /// Returns the body as read from its text. Blocks while another shard reads it.
    ///
    /// # Errors
    /// As [`ReadSearch::parse`], for every shard.
    pub fn get(&self, breakers: &Breakers, text: &[u8]) -> ApiResult<Arc<ReadSearch>> {
        let read = || ReadSearch::parse(breakers, text).map(Arc::new);
        self.0.get_or_init(read).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_once_and_charged_until_the_last_shard_lets_go() {
        let breakers = Breakers::unlimited();
        let text = br#"{"size": 3, "sort": ["_doc"]}"#;
        let reading = Reading::default();
        let first = reading.get(&breakers, text).unwrap();
        assert_eq!((first.source.size, &first.sort[0]), (3, &"_doc".into()));
        let again = reading.get(&breakers, b"never looked at").unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        drop((reading, first));
        assert!(breakers.used(Purpose::Request) > 0);
        drop(again);
        assert_eq!(breakers.used(Purpose::Request), 0);
        // What is wrong is said to every shard.
        let reading = Reading::default();
        for _ in 0..2 {
            let error = reading.get(&breakers, br#"{"sise": 3}"#).unwrap_err();
            assert_eq!(error.status, 400);
        }
    }
}
