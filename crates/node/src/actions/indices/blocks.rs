//! Which blocks each action minds, in one place: it is looked up before the action begins.

use std::any::Any;

use ringwall_api::cluster::PutClusterSettingsRequest;
use ringwall_api::indices::{DeleteIndexRequest, UpdateSettingsRequest};
use ringwall_api::{ActionRequest, ApiResult};
use ringwall_cluster::ClusterState;
use ringwall_cluster::blocks::{Attempt, Level, are_blocks_of_cluster, are_blocks_of_index};
use ringwall_security::Resolved;

/// What an action does, as far as blocks are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mind {
    /// The blocks of each of its indices, and of the cluster.
    Indices(Level),
    /// Those of the cluster; of indices it looks at item by item.
    Cluster(Level),
    /// None: it reads the cluster, or tends what is there.
    Nothing,
}

/// By the name of the action, or its begin; the first that fits counts. What changes something and is not named is
/// refused under a block, so that a new action is on the safe side.
const MINDS: &[(&str, Mind)] = &[
    ("indices:data/read/mget", Mind::Nothing),
    ("indices:data/read/", Mind::Indices(Level::Read)),
    ("indices:admin/validate/query", Mind::Indices(Level::Read)),
    ("indices:data/write/", Mind::Cluster(Level::Write)),
    (
        "indices:monitor/segments",
        Mind::Indices(Level::MetadataRead),
    ),
    ("indices:monitor/", Mind::Nothing),
    ("indices:admin/refresh", Mind::Nothing),
    ("indices:admin/flush", Mind::Nothing),
    ("indices:admin/resolve/", Mind::Nothing),
    ("indices:admin/analyze", Mind::Indices(Level::Read)),
    ("indices:admin/get", Mind::Indices(Level::MetadataRead)),
    (
        "indices:admin/mappings/fields/get",
        Mind::Indices(Level::MetadataRead),
    ),
    ("indices:admin/index_template/get", Mind::Nothing),
    ("indices:admin/index_template/simulate", Mind::Nothing),
    ("indices:admin/template/get", Mind::Nothing),
    // Templates belong to the cluster, whatever their names say.
    (
        "indices:admin/index_template/",
        Mind::Cluster(Level::MetadataWrite),
    ),
    (
        "indices:admin/template/",
        Mind::Cluster(Level::MetadataWrite),
    ),
    ("indices:admin/", Mind::Indices(Level::MetadataWrite)),
    ("cluster:monitor/", Mind::Nothing),
    ("cluster:admin/analyze", Mind::Nothing),
    ("cluster:admin/component_template/get", Mind::Nothing),
    ("cluster:admin/repository/get", Mind::Nothing),
    ("cluster:admin/snapshot/get", Mind::Nothing),
    ("cluster:admin/features/get", Mind::Nothing),
    ("cluster:admin/xpack/deprecation/info", Mind::Nothing),
    ("cluster:admin/migration/get_system_feature", Mind::Nothing),
    ("cluster:admin/nodes/", Mind::Nothing),
    ("cluster:admin/indices/scroll/", Mind::Nothing),
    ("cluster:admin/tasks/", Mind::Nothing),
    ("cluster:admin/reindex/", Mind::Nothing),
    (
        "cluster:admin/xpack/security/user/authenticate",
        Mind::Nothing,
    ),
    ("cluster:admin/xpack/security/user/get", Mind::Nothing),
    (
        "cluster:admin/xpack/security/user/list_privileges",
        Mind::Nothing,
    ),
    ("cluster:admin/xpack/security/role/get", Mind::Nothing),
    (
        "cluster:admin/xpack/security/role_mapping/get",
        Mind::Nothing,
    ),
    ("cluster:admin/xpack/security/privilege/get", Mind::Nothing),
    (
        "cluster:admin/xpack/security/privilege/builtin/get",
        Mind::Nothing,
    ),
    (
        "cluster:admin/xpack/security/realm/cache/clear",
        Mind::Nothing,
    ),
    (
        "cluster:admin/xpack/security/user/has_privileges",
        Mind::Nothing,
    ),
    ("cluster:admin/xpack/security/api_key/get", Mind::Nothing),
    ("cluster:admin/xpack/security/api_key/query", Mind::Nothing),
    ("cluster:admin/xpack/security/role/query", Mind::Nothing),
    ("cluster:admin/xpack/security/user/query", Mind::Nothing),
    (
        "cluster:admin/xpack/security/service_account/get",
        Mind::Nothing,
    ),
    (
        "cluster:admin/xpack/security/service_account/credential/get",
        Mind::Nothing,
    ),
    ("cluster:admin/xpack/security/enroll/node", Mind::Nothing),
];

fn mind(action: &str) -> Mind {
    let found = MINDS.iter().find(|(name, _)| action.starts_with(name));
    found.map_or(Mind::Cluster(Level::MetadataWrite), |(_, mind)| *mind)
}

/// Refuses a request that a block stands against.
///
/// # Errors
/// `cluster_block_exception`: 429 where a disk is full, else 403.
pub(crate) fn check<R: ActionRequest>(
    state: &ClusterState,
    resolved: &Resolved<R>,
) -> ApiResult<()> {
    let request: &R = resolved;
    if lifts_blocks_of_cluster(request) {
        return Ok(());
    }
    let deletes = (request as &dyn Any).is::<DeleteIndexRequest>();
    let (level, of_indices) = match mind(R::NAME) {
        Mind::Nothing => return Ok(()),
        Mind::Cluster(level) => (level, false),
        Mind::Indices(level) => (level, true),
    };
    let attempt = Attempt { level, deletes };
    let only_cluster = !of_indices || lifts_blocks_of_index(request);
    match resolved.if_on_indices() {
        Some(indices) if !only_cluster => indices
            .names()
            .iter()
            .try_for_each(|index| state.check_blocks(index, attempt)),
        _ => state.check_cluster_blocks(attempt),
    }
}

/// A block would otherwise never be taken off.
fn lifts_blocks_of_cluster<R: ActionRequest>(request: &R) -> bool {
    let request = (request as &dyn Any).downcast_ref::<PutClusterSettingsRequest>();
    request.is_some_and(|request| {
        are_blocks_of_cluster(request.persistent.keys().chain(request.transient.keys()))
    })
}

fn lifts_blocks_of_index<R: ActionRequest>(request: &R) -> bool {
    let request = (request as &dyn Any).downcast_ref::<UpdateSettingsRequest>();
    request.is_some_and(|request| are_blocks_of_index(&request.settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_anything_minds_blocks() {
        use Level::{MetadataRead, MetadataWrite, Read, Write};
        for (action, expected) in [
            ("indices:data/read/search", Mind::Indices(Read)),
            ("indices:data/write/bulk", Mind::Cluster(Write)),
            ("indices:admin/get", Mind::Indices(MetadataRead)),
            ("indices:admin/delete", Mind::Indices(MetadataWrite)),
            ("indices:admin/flush", Mind::Nothing),
            ("indices:admin/forcemerge", Mind::Indices(MetadataWrite)),
            ("indices:admin/cache/clear", Mind::Indices(MetadataWrite)),
            ("indices:monitor/segments", Mind::Indices(MetadataRead)),
            ("cluster:monitor/health", Mind::Nothing),
            (
                "cluster:admin/settings/update",
                Mind::Cluster(MetadataWrite),
            ),
            (
                "cluster:admin/xpack/security/user/put",
                Mind::Cluster(MetadataWrite),
            ),
            (
                "cluster:admin/xpack/security/api_key/invalidate",
                Mind::Cluster(MetadataWrite),
            ),
            ("cluster:admin/xpack/security/user/get", Mind::Nothing),
            ("cluster:admin/new", Mind::Cluster(MetadataWrite)),
            ("indices:admin/new", Mind::Indices(MetadataWrite)),
        ] {
            assert_eq!(mind(action), expected, "{action}");
        }
    }
}
