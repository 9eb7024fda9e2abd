//! Indices made, by request and by writes.

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::indices::{CreateIndexRequest, CreateIndexResponse};
use ringwall_api::{ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_cluster::index_settings::IndexSettings;
use ringwall_cluster::names::validate_index_name;
use ringwall_cluster::{Aliases, Change, ClusterState};
use ringwall_index::Mapping;
use ringwall_index::mapping::MappingLimits;
use ringwall_search::filter::check_filter;
use ringwall_security::{Authorized, Resolved};
use ringwall_settings::registry::indices::MAX_SHARDS_PER_NODE;
use serde_json::{Value, json};

use crate::acknowledge;
use crate::actions::Handler;
use crate::actions::indices::analyze;
use crate::actions::indices::templates::{self, Asked, Composed};
use crate::services::Services;

impl Handler<CreateIndexRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<CreateIndexRequest>,
    ) -> ApiResult<CreateIndexResponse> {
        let timeout = Duration::from_millis(request.timeout_ms);
        let [name] = request.indices().names() else {
            return Err(ApiError::illegal_argument("one index name is expected"));
        };
        let asked = Asked {
            settings: &request.settings,
            mappings: &request.mappings,
            aliases: &request.aliases,
        };
        let composed = templates::compose(&services.cluster.state().templates, name, &asked)?;
        let wanted = request.wait_for_active_shards;
        let wanted = wanted.unwrap_or_else(|| composed.settings.wait_for_active_shards());
        let result = submit_create(&services, name, composed, timeout).await;
        match result {
            Err(error) if request.auto && error.code == ErrorCode::ResourceAlreadyExists => {}
            result => result?,
        }
        let active = services
            .cluster
            .applied()
            .wait_for(timeout, |state| {
                has_active(state, name, wanted).then_some(())
            })
            .await;
        Ok(CreateIndexResponse {
            acknowledged: acknowledge::by_all(&services, timeout).await,
            shards_acknowledged: active.is_some(),
            index: name.clone(),
        })
    }
}

/// Creates an index that a write asks for. One that exists meanwhile is as good.
pub(crate) async fn create_by_write(
    services: &Arc<Services>,
    name: &Authorized<String>,
    timeout: Duration,
) -> ApiResult<()> {
    let nothing = json!({});
    let asked = Asked {
        settings: &nothing,
        mappings: &nothing,
        aliases: &nothing,
    };
    let composed = templates::compose(&services.cluster.state().templates, name, &asked)?;
    let result = submit_create(services, name, composed, timeout).await;
    match result {
        Err(error) if error.code == ErrorCode::ResourceAlreadyExists => Ok(()),
        result => result,
    }
}

async fn submit_create(
    services: &Services,
    name: &str,
    composed: Composed,
    timeout: Duration,
) -> ApiResult<()> {
    let mapping = checked(services, name, &composed).await?;
    let Composed {
        settings, aliases, ..
    } = composed;
    let change = Change::CreateIndex {
        name: name.to_owned(),
        settings,
        mapping,
        aliases,
    };
    services.cluster.submit(change, timeout).await
}

/// Checks an index that is about to be made. Returns its mapping in the stored form.
///
/// # Errors
/// 400 that says what is wrong with it.
pub(crate) async fn checked(
    services: &Services,
    name: &str,
    composed: &Composed,
) -> ApiResult<Value> {
    validate_index_name(name)?;
    check_shard_limit(services, &composed.settings)?;
    let limits = MappingLimits {
        total_fields: composed.settings.total_fields_limit(),
        depth: composed.settings.mapping_depth_limit(),
    };
    let analysis = analyze::of_settings(services, &composed.settings).await?;
    let empty = Mapping::with_analysis(analysis);
    let mapping = Arc::new(empty.merge_limited(&composed.mappings, &limits)?);
    check_filters(services, name, &mapping, &composed.aliases).await?;
    Ok(mapping.to_stored_json())
}

/// `cluster.max_shards_per_node` times the data nodes. Source: Elasticsearch reference, "Miscellaneous cluster
/// settings".
fn check_shard_limit(services: &Services, settings: &IndexSettings) -> ApiResult<()> {
    let state = services.cluster.state();
    let data_nodes = state.nodes.values().filter(|node| node.is_data()).count();
    let limit = services.settings.get(&MAX_SHARDS_PER_NODE) * data_nodes.max(1);
    let present = state
        .shards()
        .map(|(_, shard)| shard.copies.len())
        .sum::<usize>();
    let asked = settings.number_of_shards() as usize * (1 + settings.number_of_replicas() as usize);
    if present + asked <= limit {
        return Ok(());
    }
    Err(ApiError::validation(&[format!(
        "this action would add [{asked}] shards, but this cluster currently has \
         [{present}]/[{limit}] maximum normal shards open; raise [cluster.max_shards_per_node] or \
         delete indices"
    )]))
}

/// Checks that the filters of aliases can be used with the mapping. Errors: 400 that names the alias.
pub(crate) async fn check_filters(
    services: &Services,
    index: &str,
    mapping: &Arc<Mapping>,
    aliases: &Aliases,
) -> ApiResult<()> {
    for (name, alias) in aliases {
        let Some(filter) = alias.filter.clone() else {
            continue;
        };
        let (mapping, index) = (Arc::clone(mapping), index.to_owned());
        let check = move || check_filter(&filter, &mapping, &index);
        services.pools.search.run(check).await?.map_err(|error| {
            let reason = format!("failed to parse filter for alias [{name}]");
            ApiError::illegal_argument(reason).caused_by(error)
        })?;
    }
    Ok(())
}

pub(crate) fn has_active(state: &ClusterState, name: &str, wanted: u32) -> bool {
    let Some(routing) = state.routing.get(name) else {
        return false;
    };
    routing.shards.iter().all(|shard| {
        let active = shard.active().count();
        let needed = match wanted {
            u32::MAX => shard.copies.len(),
            wanted => (wanted as usize).min(shard.copies.len()),
        };
        active >= needed
    })
}
