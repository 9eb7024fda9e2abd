//! `/cluster/tasks`: what the nodes are doing, and an end to it.

use http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::Value;

use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::failure::Failure;
use crate::forms;
use crate::listing::{Listed, Listing};
use crate::pages::overview::text;
use crate::rights::{self, CANCEL_TASKS};
use crate::sessions::Session;
use crate::urlencoded::encode;

pub async fn list(context: &Context<'_>) -> PageResult {
    let answer = context.ask(Call::get("/_tasks?detailed=true")).await?;
    let may_cancel = rights::suffice(&*context.privileges().await, CANCEL_TASKS);
    let canceller = match may_cancel {
        true => Some(context.session()?),
        false => None,
    };
    let tasks = answer["nodes"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, node)| {
            let tasks = node["tasks"].as_object().into_iter().flatten();
            tasks.map(move |(id, task)| Task { id, task, node })
        });
    let listed = Listed::of(context.request, tasks, |task| {
        task.task["action"].as_str().unwrap_or_default()
    });
    let listing = Listing {
        title: "Tasks",
        path: "/cluster/tasks",
        caption: "Tasks of the nodes",
        heads: &[
            "Action",
            "Node",
            "Task",
            "Description",
            "Running for",
            "Part of",
            "",
        ],
        create: None,
        switch: None,
    };
    let row = |task: &Task<'_>| row(context, task, canceller);
    listing
        .page(context, &listed, super::tabs(context).await, row)
        .await
}

struct Task<'a> {
    id: &'a str,
    task: &'a Value,
    node: &'a Value,
}

fn row(context: &Context<'_>, found: &Task<'_>, canceller: Option<&Session>) -> Markup {
    let task = found.task;
    let running = task["running_time_in_nanos"].as_u64().unwrap_or_default();
    html! {
        th scope="row" { code { (text(&task["action"])) } }
        td { (text(&found.node["name"])) }
        td { code { (found.id) } }
        td.wide { (forms::cut(text(&task["description"]), SHOWN_CHARS)) }
        td.number { (forms::duration(running / 1_000_000)) }
        td { code { (text(&task["parent_task_id"])) } }
        td {
            @if task["cancelled"] == true {
                span.status.yellow { "is being cancelled" }
            } @else if let Some(session) = canceller && task["cancellable"] == true {
                form method="post" action=(context.link("/cluster/tasks/cancel")) {
                    (forms::token(session))
                    input type="hidden" name="id" value=(found.id);
                    button.danger aria-label={ "Cancel the task " (found.id) } { "Cancel" }
                }
            }
        }
    }
}

pub async fn cancel(context: &Context<'_>) -> PageResult {
    let id = context.request.form("id");
    let path = format!("/_tasks/{}/_cancel", encode(id));
    let answer = context
        .ask(Call::new(Method::POST, path, String::new()))
        .await?;
    // It is a success to the cluster when the task has ended meanwhile.
    let failures = ["node_failures", "task_failures"].map(|failures| &answer[failures][0]);
    if let Some(failure) = failures.into_iter().find(|failure| !failure.is_null()) {
        let causes = [
            &failure["caused_by"]["reason"],
            &failure["reason"]["reason"],
            &failure["reason"],
        ];
        let reason = causes.into_iter().find_map(Value::as_str);
        let reason = reason.unwrap_or("The task cannot be cancelled.").to_owned();
        return Err(Failure::Refused(StatusCode::CONFLICT, reason));
    }
    context.done("/cluster/tasks", format!("The task {id} is told to end."))
}

/// Of a description, which holds a whole search.
const SHOWN_CHARS: usize = 400;
