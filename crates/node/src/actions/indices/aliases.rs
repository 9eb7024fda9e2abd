//! Changing aliases of indices that exist. Source: Elasticsearch reference, "Update aliases".

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::auth::Authentication;
use ringwall_api::indices::{
    AliasAction, AliasActionKind, AliasActionResult, DeleteIndexRequest, UpdateAliasesRequest,
    UpdateAliasesResponse, is_pattern,
};
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode, RequestContext, Through};
use ringwall_base::glob::{self, Syntax};
use ringwall_cluster::aliases::{AliasMetadata, validate_alias_name};
use ringwall_cluster::command::AliasChange;
use ringwall_cluster::{Aliases, Change, ClusterState, IndexMetadata};
use ringwall_security::{Resolved, ResolvedIndices};

use crate::acknowledge;
use crate::actions::Handler;
use crate::actions::indices::concrete;
use crate::actions::indices::create::check_filters;
use crate::services::Services;

impl Handler<UpdateAliasesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<UpdateAliasesRequest>,
    ) -> ApiResult<UpdateAliasesResponse> {
        let state = services.cluster.state();
        refuse_aliases(request.indices())?;
        let authorized = concrete(&state, request.indices())?;
        let mut changes = Vec::new();
        let mut results = Vec::with_capacity(request.actions.len());
        for action in &request.actions {
            let indices = selected(&state, &authorized, &action.indices)?;
            let before = changes.len();
            match action.kind {
                AliasActionKind::Add => {
                    for (index, alias) in pairs(&indices, &action.aliases) {
                        let caller = &context.authentication;
                        services
                            .authorizer
                            .authorize_alias_of(caller, index, alias)?;
                    }
                    add(&services, &indices, action, &mut changes).await?;
                }
                AliasActionKind::Remove => {
                    remove(
                        &services,
                        &context.authentication,
                        &indices,
                        action,
                        &mut changes,
                    );
                }
                AliasActionKind::RemoveIndex => {
                    let names: Vec<String> = indices.iter().map(|i| i.id.name.clone()).collect();
                    let delete = DeleteIndexRequest::NAME;
                    services
                        .authorizer
                        .recheck(&context.authentication, delete, &names)?;
                    let gone = indices.iter().map(|index| AliasChange::RemoveIndex {
                        index: index.id.clone(),
                    });
                    changes.extend(gone);
                }
            }
            let missing = changes.len() == before;
            if missing && action.must_exist == Some(true) {
                return Err(not_found(&action.aliases));
            }
            results.push(AliasActionResult {
                kind: action.kind,
                indices: indices.iter().map(|index| index.id.name.clone()).collect(),
                aliases: action.aliases.clone(),
                missing,
            });
        }
        if changes.is_empty() {
            let names: Vec<String> = results.iter().flat_map(|r| r.aliases.clone()).collect();
            return Err(not_found(&names));
        }
        // What is removed as an index goes first: an alias may take its name.
        changes.sort_by_key(|change| !matches!(change, AliasChange::RemoveIndex { .. }));
        let timeout = Duration::from_millis(request.timeout_ms);
        let change = Change::UpdateAliases { changes };
        services.cluster.submit(change, timeout).await?;
        Ok(UpdateAliasesResponse {
            acknowledged: acknowledge::by_all(&services, timeout).await,
            results,
        })
    }
}

/// Who may use an alias has no say about what is behind it.
fn refuse_aliases(target: &ResolvedIndices) -> ApiResult<()> {
    for index in target.names() {
        if let Through::Aliases(names) = target.through(index) {
            return Err(is_alias(&names.join(",")));
        }
    }
    Ok(())
}

fn is_alias(name: &str) -> ApiError {
    ApiError::illegal_argument(format!(
        "The provided expression [{name}] matches an alias, specify the corresponding concrete indices instead."
    ))
}

/// Returns the indices of one action, out of those that the request may change.
pub(crate) fn selected<'a>(
    state: &ClusterState,
    authorized: &[&'a IndexMetadata],
    expressions: &[String],
) -> ApiResult<Vec<&'a IndexMetadata>> {
    let mut selected: Vec<&IndexMetadata> = Vec::new();
    for expression in expressions {
        let before = selected.len();
        for index in authorized {
            let name = &index.id.name;
            let is_meant = match is_pattern(expression) {
                true => expression == "_all" || glob::matches(expression, name, Syntax::Star),
                false => name == expression,
            };
            if is_meant && !selected.iter().any(|known| known.id == index.id) {
                selected.push(index);
            }
        }
        let behind = || {
            state
                .indices
                .values()
                .any(|i| i.aliases.contains_key(expression))
        };
        if selected.len() == before && !is_pattern(expression) && behind() {
            return Err(is_alias(expression));
        }
    }
    match selected.is_empty() {
        true => Err(ApiError::index_not_found(&expressions.join(","))),
        false => Ok(selected),
    }
}

fn pairs<'a>(
    indices: &'a [&IndexMetadata],
    aliases: &'a [String],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    indices.iter().flat_map(move |index| {
        let index = index.id.name.as_str();
        aliases.iter().map(move |alias| (index, alias.as_str()))
    })
}

async fn add(
    services: &Arc<Services>,
    indices: &[&IndexMetadata],
    action: &AliasAction,
    changes: &mut Vec<AliasChange>,
) -> ApiResult<()> {
    for alias in &action.aliases {
        validate_alias_name(alias)?;
        let metadata = AliasMetadata::parse(alias, &action.body)?;
        let one = Aliases::from([(alias.clone(), metadata.clone())]);
        for index in indices {
            let (_, mapping) = services.shards.mapping(&index.id)?;
            check_filters(services, &index.id.name, &mapping, &one).await?;
            changes.push(AliasChange::Add {
                index: index.id.clone(),
                alias: alias.clone(),
                metadata: metadata.clone(),
            });
        }
    }
    Ok(())
}

/// A pattern removes what it matches and the caller has the right to.
fn remove(
    services: &Services,
    authentication: &Authentication,
    indices: &[&IndexMetadata],
    action: &AliasAction,
    changes: &mut Vec<AliasChange>,
) {
    let name = UpdateAliasesRequest::NAME;
    for index in indices {
        for alias in index.aliases.keys() {
            let is_meant = action.aliases.iter().any(|meant| match is_pattern(meant) {
                true => {
                    (meant == "_all" || glob::matches(meant, alias, Syntax::Star))
                        && services.authorizer.allows_name(authentication, name, alias)
                }
                false => meant == alias,
            });
            if is_meant {
                changes.push(AliasChange::Remove {
                    index: index.id.clone(),
                    alias: alias.clone(),
                });
            }
        }
    }
}

fn not_found(aliases: &[String]) -> ApiError {
    let names = aliases.join(",");
    ApiError::new(
        ErrorCode::AliasesNotFound,
        format!("aliases [{names}] missing"),
    )
    .with("resource.type", "aliases")
    .with("resource.id", names)
}
