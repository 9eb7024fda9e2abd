//! Closing and opening indices, and blocks. Source: Elasticsearch reference, "Close index API", "Open index API" and "Add
//! index block API".
//!
//! A closed index keeps its copies where they are, and they are replaced as those of an open one. What the state says
//! is all there is to it: from the moment a node has applied it, the node refuses reads and writes. Whoever closes or
//! blocks is answered when all nodes have, and when the writes that began before are over: no write comes after it.

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::indices::{
    AddIndexBlockRequest, AddIndexBlockResponse, CloseIndexRequest, CloseIndexResponse,
    OpenIndexRequest, OpenIndexResponse,
};
use ringwall_api::{ApiError, ApiResult, RequestContext};
use ringwall_cluster::{Change, IndexMetadata};
use ringwall_security::Resolved;
use serde_json::{Value, json};

use crate::acknowledge;
use crate::actions::Handler;
use crate::actions::indices::concrete;
use crate::actions::indices::create::has_active;
use crate::actions::indices::refresh::{flush_closed, writes_are_over};
use crate::actions::indices::settings::{SettingsChange, update_one};
use crate::services::Services;

impl Handler<CloseIndexRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<CloseIndexRequest>,
    ) -> ApiResult<CloseIndexResponse> {
        let timeout = Duration::from_millis(request.timeout_ms);
        let state = services.cluster.state();
        let indices: Vec<&IndexMetadata> = concrete(&state, request.indices())?
            .into_iter()
            .filter(|index| !index.is_closed)
            .collect();
        if indices.is_empty() {
            return Ok(CloseIndexResponse {
                acknowledged: true,
                shards_acknowledged: false,
                indices: Vec::new(),
            });
        }
        set_closed(&services, &indices, true, timeout).await?;
        let mut acknowledged = acknowledge::by_all(&services, timeout).await;
        let user = &context.authentication;
        acknowledged &= writes_are_over(&services, user, &indices, true).await;
        let flushed = flush_closed(&services, user, &indices).await;
        let active = are_active(&services, &indices, request.wait_for_active_shards, timeout).await;
        Ok(CloseIndexResponse {
            acknowledged,
            shards_acknowledged: flushed && active,
            indices: indices.iter().map(|index| index.id.name.clone()).collect(),
        })
    }
}

impl Handler<OpenIndexRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<OpenIndexRequest>,
    ) -> ApiResult<OpenIndexResponse> {
        let timeout = Duration::from_millis(request.timeout_ms);
        let state = services.cluster.state();
        let indices = concrete(&state, request.indices())?;
        if indices.iter().any(|index| index.is_closed) {
            set_closed(&services, &indices, false, timeout).await?;
        }
        Ok(OpenIndexResponse {
            acknowledged: acknowledge::by_all(&services, timeout).await,
            shards_acknowledged: are_active(
                &services,
                &indices,
                request.wait_for_active_shards,
                timeout,
            )
            .await,
        })
    }
}

/// Closes or opens indices in the cluster state.
pub(crate) async fn set_closed(
    services: &Services,
    indices: &[&IndexMetadata],
    closed: bool,
    timeout: Duration,
) -> ApiResult<()> {
    let indices = indices.iter().map(|index| index.id.clone()).collect();
    let change = Change::SetClosed { indices, closed };
    services.cluster.submit(change, timeout).await
}

/// Waits until the indices have as many active copies as are asked for. Returns whether they had in time.
async fn are_active(
    services: &Services,
    indices: &[&IndexMetadata],
    wanted: Option<u32>,
    timeout: Duration,
) -> bool {
    let applied = services.cluster.applied();
    let active = applied.wait_for(timeout, |state| {
        let mut indices = indices.iter();
        let all = indices.all(|index| {
            let wanted = wanted.unwrap_or_else(|| index.settings.wait_for_active_shards());
            has_active(state, &index.id.name, wanted)
        });
        all.then_some(())
    });
    active.await.is_some()
}

impl Handler<AddIndexBlockRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<AddIndexBlockRequest>,
    ) -> ApiResult<AddIndexBlockResponse> {
        let timeout = Duration::from_millis(request.timeout_ms);
        let key = key_of(&request.block)?;
        let state = services.cluster.state();
        let mut indices = Vec::new();
        for index in concrete(&state, request.indices())? {
            if !index
                .settings
                .iter()
                .any(|(set, value)| set == key && value.text() == "true")
            {
                indices.push(index);
            }
        }
        let mut settings = json!({});
        settings[&key] = Value::Bool(true);
        for index in &indices {
            let change = SettingsChange {
                body: &settings,
                preserves: false,
                as_closed: false,
            };
            update_one(&services, &index.id.name, &change, timeout).await?;
        }
        let acknowledged = acknowledge::by_all(&services, timeout).await;
        let user = &context.authentication;
        let shards_acknowledged =
            acknowledged && writes_are_over(&services, user, &indices, false).await;
        Ok(AddIndexBlockResponse {
            acknowledged,
            shards_acknowledged,
            indices: indices.iter().map(|index| index.id.name.clone()).collect(),
        })
    }
}

/// Returns the setting of a block that users put on.
fn key_of(block: &str) -> ApiResult<String> {
    match block {
        "metadata" | "read" | "read_only" | "write" => Ok(format!("index.blocks.{block}")),
        "read_only_allow_delete" => Err(ApiError::validation(&[
            "read_only_allow_delete block is for internal use only",
        ])),
        other => Err(ApiError::illegal_argument(format!(
            "No block found with name {other}"
        ))),
    }
}
