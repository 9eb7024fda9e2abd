//! `_tasks`.

use std::collections::{BTreeMap, BTreeSet};

use ringwall_api::cluster::{
    CancelTasksRequest, GetTaskRequest, ListTasksRequest, TaskFilter, TaskId, TaskInfo, TaskResult,
    TasksResponse,
};
use ringwall_api::{ApiError, ApiResult};
use serde_json::{Map, Value, json};

use crate::handlers::indices::broadcast_json;
use crate::handlers::search::by_query::{result_json, status_json};
use crate::params::Params;
use crate::render::humanize;
use crate::request::{RestRequest, RestResponse};

/// Query parameters of `GET /_tasks`.
pub const LIST_PARAMS: &[&str] = &[
    "actions",
    "detailed",
    "group_by",
    "nodes",
    "parent_task_id",
    "timeout",
    "wait_for_completion",
];

/// Query parameters of `_cancel`.
pub const CANCEL_PARAMS: &[&str] = &[
    "actions",
    "group_by",
    "nodes",
    "parent_task_id",
    "timeout",
    "wait_for_completion",
];

/// Query parameters of `GET /_tasks/{task_id}`.
pub const GET_PARAMS: &[&str] = &["timeout", "wait_for_completion"];

/// `GET /_tasks`.
pub async fn list(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let grouping = Grouping::of(params)?;
    let human = params.flag("human", false)?;
    let list = ListTasksRequest {
        filter: filter(params)?,
        detailed: params.flag("detailed", false)?,
        wait_for_completion: params.flag("wait_for_completion", false)?,
        timeout_ms: params.time_ms("timeout", TIMEOUT_MS)?,
    };
    let response = request.execute(list).await?;
    let mut body = grouped(&response, grouping);
    if human {
        humanize(&mut body);
    }
    Ok(RestResponse::json(body))
}

/// `GET /_tasks/{task_id}`.
pub async fn get(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let get = GetTaskRequest {
        task: request.required("task_id")?.parse()?,
        wait_for_completion: params.flag("wait_for_completion", false)?,
        timeout_ms: params.time_ms("timeout", TIMEOUT_MS)?,
    };
    let response = request.execute(get).await?;
    let mut body = json!({
        "completed": response.completed,
        "task": task_json(&response.task),
    });
    match &response.outcome {
        None => {}
        Some(Ok(TaskResult::ByQuery(result))) => body["response"] = result_json(result),
        Some(Ok(TaskResult::Broadcast(result))) => body["response"] = broadcast_json(result),
        Some(Err(error)) => body["error"] = error.object_with_cause().into(),
    }
    Ok(RestResponse::json(body))
}

/// `POST /_tasks/_cancel` and `POST /_tasks/{task_id}/_cancel`.
pub async fn cancel(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let grouping = Grouping::of(params)?;
    let task: Option<TaskId> = request.path("task_id").map(str::parse).transpose()?;
    let cancel = CancelTasksRequest {
        filter: TaskFilter {
            task,
            ..filter(params)?
        },
        wait_for_completion: params.flag("wait_for_completion", false)?,
        timeout_ms: params.time_ms("timeout", TIMEOUT_MS)?,
    };
    let response = request.execute(cancel).await?;
    Ok(RestResponse::json(grouped(&response, grouping)))
}

pub(crate) fn filter(params: &Params) -> ApiResult<TaskFilter> {
    Ok(TaskFilter {
        nodes: params.list("nodes"),
        actions: params.list("actions"),
        parent: params.text("parent_task_id").map(str::parse).transpose()?,
        task: None,
    })
}

#[derive(Clone, Copy)]
pub(crate) enum Grouping {
    Nodes,
    Parents,
    None,
}

impl Grouping {
    pub(crate) fn of(params: &Params) -> ApiResult<Self> {
        match params.text("group_by") {
            None | Some("nodes") => Ok(Self::Nodes),
            Some("parents") => Ok(Self::Parents),
            Some("none") => Ok(Self::None),
            Some(other) => Err(ApiError::illegal_argument(format!(
                "[group_by] must be one of [nodes], [parents] or [none] but was [{other}]"
            ))),
        }
    }
}

pub(crate) fn grouped(response: &TasksResponse, grouping: Grouping) -> Value {
    let mut body = Map::new();
    if !response.node_failures.is_empty() {
        let failures = response.node_failures.iter().map(|(node, reason)| {
            json!({
                "type": "failed_node_exception",
                "reason": format!("Failed node [{node}]"),
                "node_id": node,
                "caused_by": reason.object_with_cause(),
            })
        });
        body.insert("node_failures".to_owned(), failures.collect());
    }
    match grouping {
        Grouping::Nodes => body.insert("nodes".to_owned(), by_node(response)),
        Grouping::Parents => body.insert("tasks".to_owned(), by_parent(&response.tasks)),
        Grouping::None => {
            let tasks = response.tasks.iter().map(task_json).collect();
            body.insert("tasks".to_owned(), Value::Array(tasks))
        }
    };
    Value::Object(body)
}

fn by_node(response: &TasksResponse) -> Value {
    let nodes = response.nodes.iter().map(|node| {
        let own = response
            .tasks
            .iter()
            .filter(|task| task.task.node == node.id);
        let tasks: Map<String, Value> = own
            .map(|task| (task.task.to_string(), task_json(task)))
            .collect();
        let host = crate::handlers::nodes::host_of(&node.transport_address);
        let told = json!({
            "name": node.name,
            "transport_address": node.transport_address,
            "host": host,
            "ip": node.transport_address,
            "roles": node.roles,
            "attributes": node.attributes,
            "tasks": tasks,
        });
        (node.id.clone(), told)
    });
    Value::Object(nodes.collect())
}

/// Tasks whose parent is not among them, with their parts inside.
fn by_parent(tasks: &[TaskInfo]) -> Value {
    let known: BTreeSet<&TaskId> = tasks.iter().map(|task| &task.task).collect();
    let mut children: BTreeMap<&TaskId, Vec<&TaskInfo>> = BTreeMap::new();
    let mut top = Vec::new();
    for task in tasks {
        match &task.parent {
            Some(parent) if known.contains(parent) => {
                children.entry(parent).or_default().push(task);
            }
            _ => top.push(task),
        }
    }
    let tree = top
        .iter()
        .map(|task| (task.task.to_string(), tree_json(task, &children)));
    Value::Object(tree.collect())
}

fn tree_json(task: &TaskInfo, children: &BTreeMap<&TaskId, Vec<&TaskInfo>>) -> Value {
    let mut told = task_json(task);
    if let Some(own) = children.get(&task.task) {
        let below = own.iter().map(|child| tree_json(child, children));
        told["children"] = below.collect();
    }
    told
}

fn task_json(task: &TaskInfo) -> Value {
    let mut body = json!({
        "node": task.task.node,
        "id": task.task.id,
        "type": "transport",
        "action": task.action,
    });
    if let Some(status) = &task.status {
        body["status"] = status_json(status);
    }
    if let Some(description) = &task.description {
        body["description"] = description.as_str().into();
    }
    body["start_time_in_millis"] = task.start_time_ms.into();
    body["running_time_in_nanos"] = task.running_time_ns.into();
    body["cancellable"] = task.cancellable.into();
    if task.cancellable {
        body["cancelled"] = task.cancelled.into();
    }
    if let Some(parent) = &task.parent {
        body["parent_task_id"] = parent.to_string().into();
    }
    let mut headers = Map::new();
    if let Some(id) = &task.opaque_id {
        headers.insert("X-Opaque-Id".to_owned(), id.as_str().into());
    }
    body["headers"] = Value::Object(headers);
    body
}

/// Default of `timeout`, milliseconds.
pub(crate) const TIMEOUT_MS: u64 = 30_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, parent: Option<&str>) -> TaskInfo {
        TaskInfo {
            task: id.parse().unwrap(),
            action: "indices:data/read/search".to_owned(),
            description: None,
            status: None,
            start_time_ms: 1,
            running_time_ns: 2,
            cancellable: true,
            cancelled: false,
            parent: parent.map(|parent| parent.parse().unwrap()),
            opaque_id: Some("mine".to_owned()),
        }
    }

    #[test]
    fn parts_stand_inside_what_they_are_part_of() {
        let tasks = [
            task("a:1", None),
            task("b:2", Some("a:1")),
            task("b:3", Some("b:2")),
            task("c:4", Some("gone:1")),
        ];
        let tree = by_parent(&tasks);
        assert_eq!(tree["a:1"]["children"][0]["id"], 2);
        assert_eq!(tree["a:1"]["children"][0]["children"][0]["id"], 3);
        assert_eq!(tree["c:4"]["parent_task_id"], "gone:1");
        assert_eq!(tree.as_object().unwrap().len(), 2);
    }

    #[test]
    fn a_task_is_told_as_elasticsearch_tells_it() {
        assert_eq!(
            task_json(&task("a:1", Some("b:2"))),
            json!({
                "node": "a", "id": 1, "type": "transport", "action": "indices:data/read/search",
                "start_time_in_millis": 1, "running_time_in_nanos": 2, "cancellable": true,
                "cancelled": false, "parent_task_id": "b:2", "headers": {"X-Opaque-Id": "mine"},
            })
        );
    }
}
