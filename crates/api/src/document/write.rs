//! One document written. Source: Elasticsearch reference, "Index API", "Delete API", "Update API".

use std::sync::Arc;

use bytes::Bytes;
use ringwall_base::{SeqNo, Term};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::access::RequestItem;
use crate::document::GetResult;

/// What a write does with the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpType {
    Index,
    /// Refused with 409 when the document exists.
    Create,
    Update,
    Delete,
}

impl OpType {
    /// Returns the name used in bulk requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Who sets `_version`. Source: Elasticsearch reference, "Index API" (versioning).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionType {
    #[default]
    Internal,
    External,
    ExternalGte,
}

/// When a write becomes visible to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RefreshPolicy {
    #[default]
    None,
    /// Refresh the touched shards before answering.
    Immediate,
    /// Answer after the next refresh.
    WaitFor,
}

/// Selects parts of `_source`: `true`/`false`, or patterns over dotted paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFilter {
    pub enabled: bool,
    pub includes: Vec<String>,
    pub excludes: Vec<String>,
}

impl Default for SourceFilter {
    fn default() -> Self {
        Self {
            enabled: true,
            includes: Vec::new(),
            excludes: Vec::new(),
        }
    }
}

/// One write. Single-document APIs are a bulk of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WriteItem {
    pub op: OpType,
    pub index: String,
    /// Assigned by the coordinating node when absent.
    pub id: Option<String>,
    pub routing: Option<String>,
    /// Condition on the stored document, together with `if_primary_term`.
    pub if_seq_no: Option<SeqNo>,
    pub if_primary_term: Option<Term>,
    pub version: Option<u64>,
    pub version_type: VersionType,
    /// Index and create: the document. Update: the body (`doc`, `upsert`, ...). JSON text.
    #[serde(with = "ringwall_base::encoding::shared")]
    pub source: Bytes,
    /// Update: the body as a tree, where this node has read it already. Other nodes get the text.
    #[serde(skip)]
    pub body: Option<Arc<Map<String, Value>>>,
    pub retry_on_conflict: u32,
    pub require_alias: bool,
    /// Update only: the parts of the new `_source` to return under `get`.
    pub return_source: Option<SourceFilter>,
}

impl WriteItem {
    /// Returns a plain write with every option at its default.
    pub fn new(op: OpType, index: impl Into<String>, id: Option<String>, source: Bytes) -> Self {
        Self {
            op,
            index: index.into(),
            id,
            routing: None,
            if_seq_no: None,
            if_primary_term: None,
            version: None,
            version_type: VersionType::Internal,
            source,
            body: None,
            retry_on_conflict: 0,
            require_alias: false,
            return_source: None,
        }
    }
}

impl WriteItem {
    /// Returns about how many bytes of memory the item takes.
    pub fn bytes(&self) -> u64 {
        let texts = [&self.id, &self.routing].into_iter().flatten();
        let texts: usize = texts.map(String::len).sum();
        (size_of::<Self>() + self.index.len() + texts + self.source.len()) as u64
    }

    /// Returns what is wrong with the combination of options. Source: Elasticsearch reference, "Index API"
    /// (versioning).
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut add = |problem: &str| problems.push(problem.to_owned());
        let is_external = self.version_type != VersionType::Internal;
        if is_external && self.op == OpType::Create {
            add("create operations only support internal versioning. use index instead");
        } else if is_external && self.op == OpType::Update {
            add("external versioning is not supported by the update API");
        } else if is_external && self.version.is_none() {
            add("a version is missing, which external versioning needs");
        }
        if !is_external && self.version.is_some() {
            add(
                "internal versioning can not be used for optimistic concurrency control. Please use \
                 `if_seq_no` and `if_primary_term` instead",
            );
        }
        match (self.if_seq_no, self.if_primary_term) {
            (Some(_), None) => add("ifSeqNo is set, but primary term is [0]"),
            (None, Some(term)) => {
                problems.push(format!(
                    "ifSeqNo is unassigned, but primary term is [{term}]"
                ));
            }
            (Some(_), Some(_)) if self.op == OpType::Create => {
                add("create operations do not support compare and set. use index instead");
            }
            (Some(_), Some(_)) if self.version.is_some() || is_external => {
                add("compare and write operations can not use versioning");
            }
            _ => {}
        }
        problems
    }
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteResult {
    Created,
    Updated,
    Deleted,
    NotFound,
    Noop,
}

impl WriteResult {
    /// Returns the value of `result` in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::NotFound => "not_found",
            Self::Noop => "noop",
        }
    }
}

/// How many copies took a write, or how many shards answered a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ShardCounts {
    pub total: u32,
    pub successful: u32,
    #[serde(default)]
    pub skipped: u32,
    pub failed: u32,
}

/// A write that was acknowledged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WriteOutcome {
    pub version: u64,
    pub seq_no: SeqNo,
    pub primary_term: Term,
    pub result: WriteResult,
    pub shards: ShardCounts,
    pub forced_refresh: bool,
    /// Update with `return_source`: the new document.
    pub get: Option<GetResult>,
}

impl RequestItem for WriteItem {
    fn action(&self) -> &'static str {
        item_action(self.op)
    }

    fn index(&self) -> &str {
        &self.index
    }
}

/// Returns the action that a write of this kind is authorized as, on its own index.
/// Source: Elasticsearch reference, "Security privileges".
pub fn item_action(op: OpType) -> &'static str {
    match op {
        OpType::Index => "indices:data/write/index:op_type/index",
        OpType::Create => "indices:data/write/index:op_type/create",
        OpType::Update => "indices:data/write/update",
        OpType::Delete => "indices:data/write/delete",
    }
}

/// Parses a JSON document kept as text.
pub fn parse_source(source: &[u8]) -> Result<Value, serde_json::Error> {
    ringwall_base::json::parse(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_do_not_go_together_are_named() {
        let item = |op| WriteItem::new(op, "i", Some("1".into()), Bytes::new());
        assert_eq!(item(OpType::Index).problems(), [""; 0]);
        let external = |op, version| WriteItem {
            version,
            version_type: VersionType::External,
            ..item(op)
        };
        let guarded = |op, if_seq_no, if_primary_term| WriteItem {
            if_seq_no,
            if_primary_term,
            ..item(op)
        };
        assert_eq!(external(OpType::Delete, Some(0)).problems(), [""; 0]);
        assert_eq!(
            guarded(OpType::Update, Some(0), Some(1)).problems(),
            [""; 0]
        );
        for (bad, expected) in [
            (
                external(OpType::Create, Some(0)),
                "create operations only support internal",
            ),
            (
                external(OpType::Update, Some(0)),
                "external versioning is not supported",
            ),
            (external(OpType::Index, None), "a version is missing"),
            (
                guarded(OpType::Index, Some(0), None),
                "ifSeqNo is set, but primary term is [0]",
            ),
            (
                guarded(OpType::Index, None, Some(3)),
                "ifSeqNo is unassigned, but primary term is [3]",
            ),
            (
                guarded(OpType::Create, Some(0), Some(1)),
                "create operations do not support",
            ),
        ] {
            let problems = bad.problems();
            assert!(
                problems.len() == 1 && problems[0].starts_with(expected),
                "{problems:?}"
            );
        }
    }
}
