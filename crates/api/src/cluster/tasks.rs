//! Tasks: what runs on the nodes, on whose account, and how it is stopped.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::indices::BroadcastResponse;
use crate::search::{ByQueryResult, ByQueryStatus};
use crate::{ApiError, ApiResult};

/// The number of a task on a node, written `node:number`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskId {
    pub node: String,
    pub id: u64,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.node, self.id)
    }
}

impl FromStr for TaskId {
    type Err = ApiError;

    fn from_str(text: &str) -> ApiResult<Self> {
        let parts = text.split_once(':');
        let parsed = parts.and_then(|(node, id)| Some((node, id.parse().ok()?)));
        match parsed {
            Some((node, id)) if !node.is_empty() => Ok(Self {
                node: node.to_owned(),
                id,
            }),
            _ => Err(ApiError::illegal_argument(format!(
                "malformed task id {text}"
            ))),
        }
    }
}

/// A task as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskInfo {
    pub task: TaskId,
    pub action: String,
    /// Present when asked for in detail.
    pub description: Option<String>,
    /// How far it is, where it tells and that was asked for in detail.
    pub status: Option<ByQueryStatus>,
    pub start_time_ms: u64,
    pub running_time_ns: u64,
    pub cancellable: bool,
    pub cancelled: bool,
    /// The task it is a part of.
    pub parent: Option<TaskId>,
    /// What the client called its request.
    pub opaque_id: Option<String>,
}

/// Which tasks are meant. Empty and `None`: any.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskFilter {
    /// Ids, names and patterns of nodes.
    pub nodes: Vec<String>,
    /// Names and patterns of actions.
    pub actions: Vec<String>,
    pub parent: Option<TaskId>,
    pub task: Option<TaskId>,
}

/// `GET /_tasks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListTasksRequest {
    pub filter: TaskFilter,
    pub detailed: bool,
    /// Answer when those that run now have ended, or the time is up.
    pub wait_for_completion: bool,
    pub timeout_ms: u64,
}

/// `POST /_tasks/_cancel` and `POST /_tasks/{id}/_cancel`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CancelTasksRequest {
    pub filter: TaskFilter,
    /// Answer when they have ended.
    pub wait_for_completion: bool,
    pub timeout_ms: u64,
}

/// The tasks listed or cancelled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TasksResponse {
    pub nodes: Vec<TaskNode>,
    pub tasks: Vec<TaskInfo>,
    /// Node and why it told nothing.
    pub node_failures: Vec<(String, ApiError)>,
}

/// A node with tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskNode {
    pub id: String,
    pub name: String,
    pub transport_address: String,
    pub roles: Vec<String>,
    pub attributes: std::collections::BTreeMap<String, String>,
}

/// `GET /_tasks/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetTaskRequest {
    pub task: TaskId,
    /// Answer when it has ended.
    pub wait_for_completion: bool,
    pub timeout_ms: u64,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetTaskResponse {
    pub completed: bool,
    pub task: TaskInfo,
    /// Of a task whose result is kept.
    pub outcome: Option<Result<TaskResult, ApiError>>,
}

/// What a task came to that nobody waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TaskResult {
    ByQuery(Box<ByQueryResult>),
    Broadcast(BroadcastResponse),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_written() {
        let id: TaskId = "n-_1:12".parse().unwrap();
        assert_eq!((id.node.as_str(), id.id), ("n-_1", 12));
        assert_eq!(id.to_string(), "n-_1:12");
        for bad in ["", "foo", "n:", ":1", "n:x", "n:-1", "n:1:2"] {
            let error = bad.parse::<TaskId>().unwrap_err();
            assert_eq!(error.reason, format!("malformed task id {bad}"));
        }
    }
}
