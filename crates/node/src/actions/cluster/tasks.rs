//! The task management API: every node is asked for its own tasks. Shapes as in Elasticsearch.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::cluster::{
    CancelTasksRequest, GetTaskRequest, GetTaskResponse, ListTasksRequest, TaskFilter, TaskInfo,
    TaskNode, TasksResponse,
};
use ringwall_api::search::RethrottleRequest;
use ringwall_api::{ActionRequest, ApiError, ApiResult, Authentication, ErrorCode, RequestContext};
use ringwall_base::NodeId;
use ringwall_cluster::NodeRecord;
use ringwall_security::Resolved;
use ringwall_transport::{DuplicateAction, NodeAction};
use serde::Serialize;

use crate::actions::Handler;
use crate::actions::nodes::info::selected;
use crate::node_actions::{Needs, for_users};
use crate::services::Services;
use crate::tasks::{KeptResult, Task};

const LIST: NodeAction<ListTasksRequest, Vec<TaskInfo>> =
    NodeAction::new("cluster:monitor/tasks/lists[n]");
const CANCEL: NodeAction<CancelTasksRequest, Vec<TaskInfo>> =
    NodeAction::new("cluster:admin/tasks/cancel[n]");
const RETHROTTLE: NodeAction<RethrottleRequest, Vec<TaskInfo>> =
    NodeAction::new("cluster:admin/reindex/rethrottle[n]");
const GET: NodeAction<GetTaskRequest, GetTaskResponse> =
    NodeAction::new("cluster:monitor/task/get[n]");

/// Registers each node's side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        LIST,
        |_: &ListTasksRequest| vec![Needs::Cluster(ListTasksRequest::NAME)],
        async |services, _, request| Ok(list_here(&services, &request).await),
    )?;
    for_users(
        services,
        CANCEL,
        |_: &CancelTasksRequest| vec![Needs::Cluster(CancelTasksRequest::NAME)],
        async |services, _, request| cancel_here(&services, &request).await,
    )?;
    for_users(
        services,
        RETHROTTLE,
        |_: &RethrottleRequest| vec![Needs::Cluster(RethrottleRequest::NAME)],
        async |services, _, request| rethrottle_here(&services, &request),
    )?;
    for_users(
        services,
        GET,
        |_: &GetTaskRequest| vec![Needs::Cluster(GetTaskRequest::NAME)],
        async |services, _, request| get_here(&services, &request).await,
    )
}

impl Handler<ListTasksRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<ListTasksRequest>,
    ) -> ApiResult<TasksResponse> {
        let request = request.into_request();
        let wait = match request.wait_for_completion {
            true => request.timeout_ms,
            false => 0,
        };
        let user = &context.authentication;
        Ok(ask_nodes(&services, user, LIST, &request.filter, &request, wait).await)
    }
}

impl Handler<CancelTasksRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<CancelTasksRequest>,
    ) -> ApiResult<TasksResponse> {
        let request = request.into_request();
        let wait = match request.wait_for_completion {
            true => request.timeout_ms,
            false => 0,
        };
        let user = &context.authentication;
        Ok(ask_nodes(&services, user, CANCEL, &request.filter, &request, wait).await)
    }
}

impl Handler<RethrottleRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<RethrottleRequest>,
    ) -> ApiResult<TasksResponse> {
        let request = request.into_request();
        let user = &context.authentication;
        Ok(ask_nodes(&services, user, RETHROTTLE, &request.filter, &request, 0).await)
    }
}

impl Handler<GetTaskRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<GetTaskRequest>,
    ) -> ApiResult<GetTaskResponse> {
        let request = request.into_request();
        let node: Option<NodeId> = request.task.node.parse().ok();
        let state = services.cluster.state();
        let Some(node) = node.filter(|node| state.nodes.contains_key(node)) else {
            return Err(ApiError::new(
                ErrorCode::ResourceNotFound,
                format!(
                    "task [{}] belongs to the node [{}] which isn't part of the cluster and there is no \
                     record of the task",
                    request.task, request.task.node
                ),
            ));
        };
        let timeout = patience(match request.wait_for_completion {
            true => request.timeout_ms,
            false => 0,
        });
        let user = &context.authentication;
        services.call_as(user, node, GET, request, timeout).await
    }
}

/// Asks the nodes of a filter at a time; one that does not answer is told as such.
async fn ask_nodes<Q: Serialize + Clone + Send + 'static>(
    services: &Arc<Services>,
    user: &Authentication,
    action: NodeAction<Q, Vec<TaskInfo>>,
    filter: &TaskFilter,
    request: &Q,
    wait_ms: u64,
) -> TasksResponse {
    let state = services.cluster.state();
    let its_node = filter.task.as_ref().map(|task| task.node.as_str());
    let nodes = selected(services, &state, &filter.nodes)
        .filter(|node| its_node.is_none_or(|id| id == node.id.to_string()));
    let asked = nodes.map(|node| async move {
        let answer: ApiResult<Vec<TaskInfo>> = services
            .call_as(user, node.id, action, request.clone(), patience(wait_ms))
            .await;
        (node, answer)
    });
    let mut response = TasksResponse::default();
    if let Some(id) = its_node
        && !state.nodes.keys().any(|node| node.to_string() == id)
    {
        let error = ApiError::new(ErrorCode::NoSuchNode, format!("No such node [{id}]"));
        let error = error.with("node_id", id);
        response.node_failures.push((id.to_owned(), error));
    }
    for (node, answer) in join_all(asked).await {
        match answer {
            Ok(tasks) => {
                if !tasks.is_empty() {
                    response.nodes.push(told(node));
                }
                response.tasks.extend(tasks);
            }
            Err(error) => response.node_failures.push((node.id.to_string(), error)),
        }
    }
    response
}

fn told(node: &NodeRecord) -> TaskNode {
    TaskNode {
        id: node.id.to_string(),
        name: node.name.clone(),
        transport_address: node.transport_address.clone(),
        roles: node.roles.clone(),
        attributes: node.attributes.clone(),
    }
}

async fn list_here(services: &Services, request: &ListTasksRequest) -> Vec<TaskInfo> {
    let tasks = services.tasks.matching(&request.filter);
    let infos: Vec<TaskInfo> = tasks
        .iter()
        .map(|task| task.info(request.detailed))
        .collect();
    if request.wait_for_completion {
        // Those that list do not wait for themselves.
        let others = tasks
            .iter()
            .filter(|task| !task.action().starts_with(LISTS));
        let ids: Vec<u64> = others.map(|task| task.id()).collect();
        drop(tasks);
        let within = Duration::from_millis(request.timeout_ms);
        services.tasks.wait_for_end(&ids, within).await;
    }
    infos
}

async fn cancel_here(
    services: &Services,
    request: &CancelTasksRequest,
) -> ApiResult<Vec<TaskInfo>> {
    let tasks = services.tasks.matching(&request.filter);
    if let Some(id) = &request.filter.task {
        match tasks.first() {
            None => {
                return Err(ApiError::new(
                    ErrorCode::ResourceNotFound,
                    format!("task [{id}] is not found"),
                ));
            }
            Some(task) if !task.is_cancellable() => {
                return Err(ApiError::illegal_argument(format!(
                    "task [{id}] doesn't support this operation"
                )));
            }
            _ => {}
        }
    }
    let cancelled: Vec<Arc<Task>> = tasks
        .into_iter()
        .filter(|task| task.cancel("by user request"))
        .collect();
    let infos = cancelled.iter().map(|task| task.info(false)).collect();
    if request.wait_for_completion {
        let ids: Vec<u64> = cancelled.iter().map(|task| task.id()).collect();
        drop(cancelled);
        let within = Duration::from_millis(request.timeout_ms);
        services.tasks.wait_for_end(&ids, within).await;
    }
    Ok(infos)
}

fn rethrottle_here(services: &Services, request: &RethrottleRequest) -> ApiResult<Vec<TaskInfo>> {
    let tasks = services.tasks.matching(&request.filter);
    match (&request.filter.task, tasks.first()) {
        (Some(id), None) => {
            return Err(ApiError::new(
                ErrorCode::ResourceNotFound,
                format!("task [{id}] is missing"),
            ));
        }
        (Some(id), Some(task)) if task.steering().is_none() => {
            return Err(ApiError::illegal_argument(format!(
                "task [{id}] doesn't support this operation"
            )));
        }
        _ => {}
    }
    let mut changed = Vec::new();
    for task in tasks {
        if let Some(steering) = task.steering() {
            steering.rethrottle(request.requests_per_second);
            changed.push(task.info(true));
        }
    }
    Ok(changed)
}

async fn get_here(services: &Services, request: &GetTaskRequest) -> ApiResult<GetTaskResponse> {
    let filter = TaskFilter {
        task: Some(request.task.clone()),
        ..TaskFilter::default()
    };
    let found = services.tasks.matching(&filter).pop();
    let Some(task) = found else {
        if let Some(kept) = services.tasks.kept(&request.task) {
            return Ok(ended(kept));
        }
        return Err(ApiError::new(
            ErrorCode::ResourceNotFound,
            format!(
                "task [{}] isn't running and hasn't stored its results",
                request.task
            ),
        ));
    };
    let (info, id) = (task.info(true), task.id());
    drop(task);
    let mut response = GetTaskResponse {
        completed: false,
        task: info,
        outcome: None,
    };
    if request.wait_for_completion {
        let within = Duration::from_millis(request.timeout_ms);
        if !services.tasks.wait_for_end(&[id], within).await {
            return Err(ApiError::new(
                ErrorCode::Timeout,
                format!(
                    "Timed out waiting for completion of task [{}]",
                    request.task
                ),
            ));
        }
        if let Some(kept) = services.tasks.kept(&request.task) {
            return Ok(ended(kept));
        }
        response.completed = true;
    }
    Ok(response)
}

fn ended(kept: KeptResult) -> GetTaskResponse {
    GetTaskResponse {
        completed: true,
        task: kept.task,
        outcome: Some(Arc::unwrap_or_clone(kept.outcome)),
    }
}

/// How long a node may take that is to wait for so long itself.
fn patience(wait_ms: u64) -> Duration {
    Duration::from_millis(wait_ms).saturating_add(Duration::from_secs(15))
}

const LISTS: &str = "cluster:monitor/tasks/lists";
