//! Creating, describing, changing and deleting indices.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::indices::{
    Acknowledged, CreateIndexRequest, CreateIndexResponse, DeleteIndexRequest,
    GetFieldMappingsRequest, GetFieldMappingsResponse, GetIndexRequest, GetIndexResponse,
    IndexDescription, PutMappingRequest, UpdateSettingsRequest,
};
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode, RequestContext, Through};
use ringwall_base::glob::{self, Syntax};
use ringwall_cluster::index_settings::{IndexSettings, Updated};
use ringwall_cluster::names::validate_index_name;
use ringwall_cluster::render::{render_default_settings, render_settings};
use ringwall_cluster::{AliasMetadata, Aliases, Change, ClusterState, IndexMetadata};
use ringwall_index::mapping::{MappingLimits, shown_of};
use ringwall_index::{FieldMask, Mapping};
use ringwall_search::filter::check_filter;
use ringwall_settings::registry::indices::MAX_SHARDS_PER_NODE;
use serde_json::{Map, Value, json};

use super::Handler;
use super::templates::{self, Asked, Composed};
use crate::acknowledge;
use crate::services::Services;
use crate::views;
use ringwall_security::{Authorized, Resolved, ResolvedIndices};

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
pub(super) async fn create_by_write(
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
pub(super) async fn checked(
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
    let mapping = Arc::new(Mapping::default().merge_limited(&composed.mappings, &limits)?);
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
pub(super) async fn check_filters(
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

pub(super) fn has_active(state: &ClusterState, name: &str, wanted: u32) -> bool {
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

impl Handler<DeleteIndexRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<DeleteIndexRequest>,
    ) -> ApiResult<Acknowledged> {
        let state = services.cluster.state();
        let indices = concrete(&state, request.indices())?
            .into_iter()
            .map(|index| index.id.clone())
            .collect();
        let change = Change::DeleteIndices { indices };
        let timeout = Duration::from_millis(request.timeout_ms);
        services.cluster.submit(change, timeout).await?;
        acknowledged(&services, timeout).await
    }
}

async fn acknowledged(services: &Services, timeout: Duration) -> ApiResult<Acknowledged> {
    let acknowledged = acknowledge::by_all(services, timeout).await;
    Ok(Acknowledged { acknowledged })
}

/// Returns the indices of a resolved target.
///
/// # Errors
/// One has been deleted since it was resolved.
pub(super) fn concrete<'a>(
    state: &'a ClusterState,
    target: &ResolvedIndices,
) -> ApiResult<Vec<&'a IndexMetadata>> {
    target
        .names()
        .iter()
        .map(|name| {
            state
                .indices
                .get(name)
                .ok_or_else(|| ApiError::index_not_found(name))
        })
        .collect()
}

impl Handler<GetIndexRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<GetIndexRequest>,
    ) -> ApiResult<GetIndexResponse> {
        let state = services.cluster.state();
        let reading = services.reading(&context.authentication, GetIndexRequest::NAME);
        let indices = concrete(&state, request.indices())?
            .into_iter()
            .map(|index| {
                let through = request.indices().through(&index.id.name);
                let mask = views::fields_shown(&index.id.name, &through, reading)?;
                let hides = views::is_narrowed(&index.id.name, &through, reading)?;
                let mut described = describe(
                    &services,
                    &state,
                    (index, &mask),
                    &through,
                    request.with_defaults,
                )?;
                if hides {
                    described.aliases = json!(without_filters(&index.aliases, &through));
                }
                Ok(described)
            })
            .collect::<ApiResult<_>>()?;
        Ok(GetIndexResponse { indices })
    }
}

impl Handler<GetFieldMappingsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<GetFieldMappingsRequest>,
    ) -> ApiResult<GetFieldMappingsResponse> {
        let state = services.cluster.state();
        let wanted = |path: &str| {
            let mut patterns = request.fields.iter();
            patterns.any(|pattern| glob::matches(pattern, path, Syntax::Star))
        };
        let mut indices = BTreeMap::new();
        let reading = services.reading(&context.authentication, GetFieldMappingsRequest::NAME);
        for index in concrete(&state, request.indices())? {
            let (_, mapping) = services.shards.mapping_in(&state, &index.id)?;
            let through = request.indices().through(&index.id.name);
            let mask = views::fields_shown(&index.id.name, &through, reading)?;
            let own = mapping
                .fields()
                .filter(|field| wanted(&field.path) && mask.shows(&field.path))
                .filter(|field| field.alias_of().is_none_or(|target| mask.shows(target)))
                .map(|field| {
                    let definition = field.definition(request.with_defaults);
                    let shown = shown_of(definition, &field.path, |path| mask.shows(path));
                    (field.path.to_string(), shown)
                });
            let metadata = ringwall_index::METADATA_FIELDS
                .into_iter()
                // Names that are kept free, of no field that is there.
                .filter(|name| !["_type", "_primary_term"].contains(name))
                .filter(|name| wanted(name))
                .map(|name| (name.to_owned(), Map::new()));
            indices.insert(index.id.name.clone(), own.chain(metadata).collect());
        }
        Ok(GetFieldMappingsResponse { indices })
    }
}

/// What is said of aliases to whom documents or fields are hidden: a filter names both.
fn without_filters(aliases: &Aliases, through: &Through) -> Aliases {
    let shown = aliases.iter().filter(|(name, _)| match through {
        Through::Aliases(names) => names.contains(name),
        Through::Itself => true,
    });
    let bare = |alias: &AliasMetadata| AliasMetadata {
        filter: None,
        ..alias.clone()
    };
    shown
        .map(|(name, alias)| (name.clone(), bare(alias)))
        .collect()
}

fn describe(
    services: &Services,
    state: &ClusterState,
    (index, mask): (&IndexMetadata, &FieldMask),
    through: &Through,
    with_defaults: bool,
) -> ApiResult<IndexDescription> {
    let (_, mapping) = services.shards.mapping_in(state, &index.id)?;
    // Who came by an alias learns nothing of the others: their filters may tell what they hide.
    let aliases: Aliases = match through {
        Through::Aliases(names) => {
            let shown = index
                .aliases
                .iter()
                .filter(|(name, _)| names.contains(name));
            shown
                .map(|(name, alias)| (name.clone(), alias.clone()))
                .collect()
        }
        Through::Itself => index.aliases.clone(),
    };
    Ok(IndexDescription {
        name: index.id.name.clone(),
        aliases: json!(aliases),
        mappings: mapping.to_json_of(|path| mask.shows(path)),
        settings: render_settings(index),
        defaults: with_defaults.then(|| render_default_settings(index)),
    })
}

impl Handler<PutMappingRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<PutMappingRequest>,
    ) -> ApiResult<Acknowledged> {
        let timeout = Duration::from_millis(request.timeout_ms);
        let state = services.cluster.state();
        for index in concrete(&state, request.indices())? {
            services
                .shards
                .put_mapping(&index.id, &request.mappings, timeout)
                .await?;
        }
        acknowledged(&services, timeout).await
    }
}

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
                // None of the settings that a closed index takes needs its copies to be opened anew.
                as_closed: request.reopen,
            };
            update_one(&services, &index.id.name, &changed, timeout).await?;
        }
        acknowledged(&services, timeout).await
    }
}

/// A change of settings as it was asked for.
pub(super) struct SettingsChange<'a> {
    pub(super) body: &'a Value,
    /// Settings that are set already stay as they are.
    pub(super) preserves: bool,
    /// An open index takes what a closed one takes.
    pub(super) as_closed: bool,
}

pub(super) async fn update_one(
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
        let change = Change::PutIndexSettings {
            index: index.id.clone(),
            base_version: index.settings_version,
            settings: index.settings.updated(
                changed.body,
                &Updated {
                    index: &index.id,
                    as_closed: index.is_closed || changed.as_closed,
                    preserves: changed.preserves,
                },
            )?,
        };
        let result = services.cluster.submit(change, timeout).await;
        let newest = services.cluster.state();
        let version = newest.index(&index.id).map(|index| index.settings_version);
        match result {
            // Somebody else's change came first: apply this one to its result.
            Err(_) if version.is_some() && version != Some(index.settings_version) => {}
            result => return result,
        }
    }
    Err(ApiError::new(
        ErrorCode::ProcessClusterEventTimeout,
        format!("the settings of [{name}] change too often; retry"),
    ))
}

const ATTEMPTS: usize = 16;
