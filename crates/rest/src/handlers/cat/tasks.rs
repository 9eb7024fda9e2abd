//! `GET /_cat/tasks`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ringwall_api::ApiResult;
use ringwall_api::cluster::{ListTasksRequest, TaskInfo, TaskNode};

use super::super::nodes::host_of;
use super::{CatTable, Cell, Column, column, extra};
use crate::handlers::cluster::tasks::{TIMEOUT_MS, filter};
use crate::request::RestRequest;

pub const TASKS_PARAMS: &[&str] = &[
    "actions",
    "detailed",
    "nodes",
    "parent_task_id",
    "timeout",
    "wait_for_completion",
];

/// What nodes are doing.
pub struct Tasks;

pub struct Row {
    task: TaskInfo,
    /// `None` of one that is no node of the cluster any more.
    node: Option<TaskNode>,
}

impl Row {
    fn started(&self) -> Option<Timestamp> {
        let millis = i64::try_from(self.task.start_time_ms).ok()?;
        Timestamp::from_millisecond(millis).ok()
    }

    fn of_node(&self, cell: impl Fn(&TaskNode) -> String) -> Cell {
        self.node.as_ref().map(cell).into()
    }
}

impl CatTable for Tasks {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        extra("id", &[], "number of the task on its node", |row| {
            Cell::Number(row.task.task.id)
        }),
        column("action", &["ac"], "what it does", |row| {
            row.task.action.clone().into()
        }),
        column("task_id", &["ti"], "id of the task", |row| {
            row.task.task.to_string().into()
        }),
        column(
            "parent_task_id",
            &["pti"],
            "id of the task that it is a part of",
            |row| match &row.task.parent {
                Some(parent) => parent.to_string().into(),
                None => "-".into(),
            },
        ),
        column("type", &["ty"], "kind of the task", |_| "transport".into()),
        column(
            "start_time",
            &["start"],
            "when it began, in milliseconds since 1970-01-01",
            |row| Cell::Number(row.task.start_time_ms),
        ),
        column(
            "timestamp",
            &["ts", "hms", "hhmmss"],
            "when it began, HH:MM:SS",
            |row| {
                let started = row.started();
                started.map(|at| at.strftime("%H:%M:%S").to_string()).into()
            },
        ),
        extra(
            "running_time_ns",
            &[],
            "how long it has run, in nanoseconds",
            |row| Cell::Number(row.task.running_time_ns),
        ),
        column("running_time", &["time"], "how long it has run", |row| {
            Cell::Nanos(row.task.running_time_ns)
        }),
        extra("node_id", &["ni"], "id of its node", |row| {
            row.task.task.node.clone().into()
        }),
        column("ip", &["i"], "ip address of its node", |row| {
            row.of_node(|node| host_of(&node.transport_address).to_owned())
        }),
        extra("port", &["po"], "transport port of its node", |row| {
            row.of_node(|node| {
                let port = node.transport_address.rsplit_once(':');
                port.map_or_else(String::new, |(_, port)| port.to_owned())
            })
        }),
        column("node", &["n"], "name of its node", |row| {
            row.of_node(|node| node.name.clone())
        }),
        extra(
            "x_opaque_id",
            &["x"],
            "what the client called its request",
            |row| row.task.opaque_id.clone().into(),
        ),
        extra("description", &["desc"], "what it is about", |row| {
            row.task.description.clone().into()
        }),
    ];

    fn is_shown(request: &RestRequest, column: &str) -> ApiResult<bool> {
        Ok(column == "description" && request.params.flag("detailed", false)?)
    }

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        let params = &request.params;
        // Read before anything is done; it shows a column.
        params.hint_flags(&["detailed"])?;
        let listed = request
            .execute(ListTasksRequest {
                filter: filter(params)?,
                // The description may be asked for by the name of its column alone.
                detailed: true,
                wait_for_completion: params.flag("wait_for_completion", false)?,
                timeout_ms: params.time_ms("timeout", TIMEOUT_MS)?,
            })
            .await?;
        let nodes: BTreeMap<String, TaskNode> = listed
            .nodes
            .into_iter()
            .map(|node| (node.id.clone(), node))
            .collect();
        let rows = listed.tasks.into_iter().map(|task| Row {
            node: nodes.get(&task.task.node).cloned(),
            task,
        });
        Ok(rows.collect())
    }
}
