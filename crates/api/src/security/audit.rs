//! The audit log, read over HTTP. Ringwall's own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which events are meant. Every criterion that is there must hold; of each list one entry, which may have `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFilter {
    /// Of `event.action` or `event.type`.
    pub types: Vec<String>,
    /// Whoever acts, is acted as, or has let somebody act.
    pub users: Vec<String>,
    pub actions: Vec<String>,
    pub indices: Vec<String>,
    /// Milliseconds since the epoch, from there on.
    pub from_ms: Option<i64>,
    /// Milliseconds since the epoch, before that.
    pub to_ms: Option<i64>,
}

/// A place in the audit log of a node: lines that begin before it come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPosition {
    /// What the system calls the file, whatever its name is by now.
    pub file: u64,
    /// The moment of its first event, milliseconds since the epoch.
    pub begun: i64,
    /// Bytes.
    pub offset: u64,
}

/// An event of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundEvent {
    pub at_ms: i64,
    /// A JSON object, as it stands in the file.
    pub line: String,
    pub position: AuditPosition,
}

/// Where the next page begins, by node. A node that is not there has no more.
pub type AuditCursor = BTreeMap<String, AuditPosition>;

/// `GET /_security/audit`: events of all nodes, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchAuditRequest {
    pub filter: AuditFilter,
    /// As the nodes of other requests are named; empty for all.
    pub nodes: Vec<String>,
    pub size: usize,
    /// Of the page before.
    pub after: Option<AuditCursor>,
    pub timeout_ms: u64,
}

/// A page of events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchAuditResponse {
    pub nodes_asked: usize,
    /// Why a node told nothing, by its id.
    pub failures: BTreeMap<String, String>,
    /// Names of nodes that write no audit log.
    pub without_log: Vec<String>,
    /// JSON objects as they stand in the files.
    pub events: Vec<String>,
    /// Lines that cannot be read, as a crash may leave.
    pub unreadable: u64,
    /// Names of nodes on which the file is gone in which the page should have begun.
    pub truncated: Vec<String>,
    pub next: Option<AuditCursor>,
}
