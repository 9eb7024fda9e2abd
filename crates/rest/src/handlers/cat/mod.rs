//! `_cat/*`: tables for people. Each is a [`CatTable`] in a file of its own; all else is in [`table`].
//! Source: Elasticsearch reference, "Compact and aligned text (CAT) APIs".

mod aliases;
mod allocation;
mod certificates;
mod component_templates;
mod count;
mod fielddata;
mod health;
mod indices;
mod master;
mod nodeattrs;
mod nodes;
mod pending_tasks;
mod plugins;
mod recovery;
mod repositories;
mod segments;
mod shards;
mod table;
mod tasks;
mod templates;
mod thread_pool;

use ringwall_api::indices::{ShardTableRequest, ShardTableResponse};
use ringwall_api::nodes::{NodesInfoRequest, NodesInfoResponse};
use ringwall_api::{ApiResult, IndicesOptions};

use self::table::{Cell, Column, column, extra};
use crate::request::{RestRequest, RestResponse};

pub use self::aliases::Aliases;
pub use self::allocation::Allocation;
pub use self::certificates::Certificates;
pub use self::component_templates::ComponentTemplates;
pub use self::count::Count;
pub use self::fielddata::Fielddata;
pub use self::health::Health;
pub use self::indices::{INDICES_PARAMS, Indices};
pub use self::master::Master;
pub use self::nodeattrs::NodeAttributes;
pub use self::nodes::{NODES_PARAMS, Nodes};
pub use self::pending_tasks::PendingTasks;
pub use self::plugins::Plugins;
pub use self::recovery::Recovery;
pub use self::repositories::{Repositories, Snapshots};
pub use self::segments::Segments;
pub use self::shards::{SHARDS_PARAMS, Shards};
pub use self::table::{CAT_PARAMS, CatTable, table};
pub use self::tasks::{TASKS_PARAMS, Tasks};
pub use self::templates::Templates;
pub use self::thread_pool::ThreadPools;

/// `GET /_cat`: nothing but the list of paths.
pub async fn overview(_: RestRequest) -> ApiResult<RestResponse> {
    let mut text = "=^.^=\n".to_owned();
    let tables = crate::routes::ROUTES
        .iter()
        .filter(|row| row.family == "cat");
    for path in tables.flat_map(|row| row.paths) {
        if path.starts_with("/_cat/") {
            text.push_str(path);
            text.push('\n');
        }
    }
    Ok(RestResponse::text(text))
}

/// Returns the shards of the indices in the path.
async fn shard_table(request: &RestRequest) -> ApiResult<ShardTableResponse> {
    let indices = request.indices(all_indices())?;
    request.execute(ShardTableRequest { indices }).await
}

/// Tables show hidden and closed indices, too.
fn all_indices() -> IndicesOptions {
    IndicesOptions {
        expand_hidden: true,
        ..IndicesOptions::open_and_closed()
    }
}

/// Returns every node, as the one that answers knows it.
async fn all_nodes(request: &RestRequest) -> ApiResult<NodesInfoResponse> {
    let asked = NodesInfoRequest {
        nodes: Vec::new(),
        asks: false,
    };
    request.execute(asked).await
}

/// Returns one letter a role, sorted; `-` for none. Source: Elasticsearch reference, "cat nodes API".
fn role_letters(roles: &[String]) -> String {
    let mut letters: Vec<char> = roles
        .iter()
        .filter_map(|role| {
            let (_, letter) = ROLE_LETTERS.iter().find(|(name, _)| name == role)?;
            Some(*letter)
        })
        .collect();
    letters.sort_unstable();
    if letters.is_empty() {
        return "-".to_owned();
    }
    letters.into_iter().collect()
}

const ROLE_LETTERS: &[(&str, char)] = &[
    ("data_cold", 'c'),
    ("data", 'd'),
    ("data_frozen", 'f'),
    ("data_hot", 'h'),
    ("ingest", 'i'),
    ("ml", 'l'),
    ("master", 'm'),
    ("remote_cluster_client", 'r'),
    ("data_content", 's'),
    ("transform", 't'),
    ("voting_only", 'v'),
    ("data_warm", 'w'),
];
