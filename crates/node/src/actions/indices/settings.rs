//! Settings of indices changed.

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::indices::{Acknowledged, UpdateSettingsRequest};
use ringwall_api::{ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_cluster::index_settings::{Updated, reads_texts_while_open};
use ringwall_cluster::{Change, IndexMetadata};
use ringwall_index::Mapping;
use ringwall_security::Resolved;
use serde_json::Value;

use crate::actions::Handler;
use crate::actions::indices::delete::acknowledged;
use crate::actions::indices::{analyze, concrete};
use crate::services::Services;

impl Handler<UpdateSettingsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<UpdateSettingsRequest>,
    ) -> ApiResult<Acknowledged> {
        let timeout = Duration::from_millis(request.timeout_ms);
        let (settings, preserves) = (&request.settings, request.preserve_existing);
        let state = services.cluster.state();
        for index in concrete(&state, request.indices())? {
            let changed = SettingsChange {
                body: settings,
                preserves,
                // What a closed index takes its copies take when they are told of it, without being opened anew; how texts are
                // read is not among it.
                as_closed: request.reopen,
            };
            update_one(&services, &index.id.name, &changed, timeout).await?;
        }
        acknowledged(&services, timeout).await
    }
}

/// A change of settings as it was asked for.
pub(crate) struct SettingsChange<'a> {
    pub(crate) body: &'a Value,
    /// Settings that are set already stay as they are.
    pub(crate) preserves: bool,
    /// An open index takes what a closed one takes.
    pub(crate) as_closed: bool,
}

pub(crate) async fn update_one(
    services: &Services,
    name: &str,
    changed: &SettingsChange<'_>,
    timeout: Duration,
) -> ApiResult<()> {
    for _ in 0..ATTEMPTS {
        let state = services.cluster.state();
        let index = state
            .indices
            .get(name)
            .ok_or_else(|| ApiError::index_not_found(name))?;
        let of = Updated {
            index: &index.id,
            as_closed: index.is_closed || changed.as_closed,
            preserves: changed.preserves,
        };
        let settings = index.settings.updated(changed.body, &of)?;
        let reads_anew = !settings.reads_texts_as(&index.settings);
        if reads_anew {
            if !index.is_closed {
                return Err(reads_texts_while_open(&index.id));
            }
            // Fields that name an analyzer must find it.
            let analysis = analyze::of_settings(services, &settings).await?;
            Mapping::parse_stored(&index.mapping)?.analyzed(analysis)?;
        }
        let change = Change::PutIndexSettings {
            index: index.id.clone(),
            base_version: index.settings_version,
            base_mapping: reads_anew.then_some(index.mapping_version),
            settings,
        };
        let result = services.cluster.submit(change, timeout).await;
        let newest = services.cluster.state();
        let versions = |index: &IndexMetadata| (index.settings_version, index.mapping_version);
        let newest = newest.index(&index.id).map(versions);
        match result {
            // Somebody else's change came first: apply this one to its result.
            Err(_) if newest.is_some() && newest != Some(versions(index)) => {}
            result => return result,
        }
    }
    Err(ApiError::new(
        ErrorCode::ProcessClusterEventTimeout,
        format!("the settings of [{name}] change too often; retry"),
    ))
}

const ATTEMPTS: usize = 16;
