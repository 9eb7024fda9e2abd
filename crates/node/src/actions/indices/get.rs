//! What indices are.

use std::sync::Arc;

use ringwall_api::indices::{GetIndexRequest, GetIndexResponse, IndexDescription};
use ringwall_api::{ActionRequest, ApiResult, RequestContext, Through};
use ringwall_cluster::render::{render_default_settings, render_settings};
use ringwall_cluster::{AliasMetadata, Aliases, ClusterState, IndexMetadata};
use ringwall_index::FieldMask;
use ringwall_security::Resolved;
use serde_json::json;

use crate::actions::Handler;
use crate::actions::indices::concrete;
use crate::services::Services;
use crate::views;

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
