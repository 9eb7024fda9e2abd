//! The node: its names, roles, attributes and directories.

use super::Section;
use crate::host;
use crate::setting::{AffixSetting, SecureSetting, Setting};
use crate::types::NodeRoles;

pub static CLUSTER_NAME: Setting<String> = Setting::new(
    "cluster.name",
    "Name of the cluster; nodes join only nodes that name the same. Must not contain a colon.",
)
.default("elasticsearch")
.example("logging-prod")
.cluster_wide();

pub static NODE_NAME: Setting<String> = Setting::new(
    "node.name",
    "Name of the node, as `cluster.initial_master_nodes` and the APIs show it.",
)
.computed(host::name, "(the host name)")
.example("es01");

pub static NODE_ROLES: Setting<NodeRoles> = Setting::new(
    "node.roles",
    "What the node does. An empty list makes a coordinating-only node; \
     `voting_only` needs `master` as well.",
)
.default(
    "master, data, data_content, data_hot, data_warm, data_cold, data_frozen, ingest, ml, \
     remote_cluster_client, transform",
)
.example("[ master, data ]");

pub static NODE_ATTRIBUTES: AffixSetting<String> = AffixSetting::new(
    Setting::new(
        "node.attr.",
        "Free attributes of the node, for awareness of racks or zones.",
    )
    .example("rack1"),
    "",
);

pub static PATH_DATA: Setting<String> = Setting::new(
    "path.data",
    "Directory of the indices and the cluster state; a relative path starts at the home.",
)
.default("data")
.example("/var/lib/elasticsearch");

pub static PATH_LOGS: Setting<String> = Setting::new(
    "path.logs",
    "Directory of the log files; a relative path starts at the home.",
)
.default("logs")
.example("/var/log/elasticsearch");

pub static MEMORY_LOCK: Setting<bool> = Setting::new(
    "bootstrap.memory_lock",
    "Whether what the node has in memory when it starts, its keys and passwords among it, is kept from being \
     swapped out. Not what it needs later, and not the index files: for these, disable swap on the host.",
)
.default("false")
.example("true");

pub static KEYSTORE_SEED: SecureSetting = SecureSetting::new(
    "keystore.seed",
    "Random text made with the keystore; the bootstrap password unless `bootstrap.password` is set.",
);

pub(super) static SECTION: Section = Section {
    title: "Node",
    intro: "Names, roles and directories.",
    settings: &[
        &CLUSTER_NAME,
        &NODE_NAME,
        &NODE_ROLES,
        &NODE_ATTRIBUTES,
        &PATH_DATA,
        &PATH_LOGS,
        &MEMORY_LOCK,
        &KEYSTORE_SEED,
    ],
};
