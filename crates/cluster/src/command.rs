//! The changes that consensus orders.

use std::collections::{BTreeMap, BTreeSet};

use ringwall_api::ApiError;
use ringwall_api::auth::User;
use ringwall_api::cluster::RerouteCommand;
use ringwall_api::security::StoredRole;
use ringwall_api::security::StoredRoleMapping;
use ringwall_api::security::StoredToken;
use ringwall_api::security::{ApiKeyOwner, StoredApiKey};
use ringwall_api::security::{OfApplication, StoredPrivilege};
use ringwall_base::{AllocationId, IndexId, NodeId, NodeKey, ShardId, Term};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::aliases::{AliasMetadata, Aliases};
use crate::disks::DiskLevel;
use crate::index_settings::IndexSettings;
use crate::known::KnownNodes;
use crate::metadata::{NativeUser, ReservedUser};
use crate::nodes::NodeRecord;
use crate::templates::TemplateChange;
use crate::tokens::TokensMeant;

/// A change, with the time and the randomness it may use: both chosen by the proposer, so that
/// every node applies it alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Milliseconds since the epoch.
    pub now_ms: u64,
    /// Names the identifiers that the change makes.
    pub seed: String,
    /// The rules that the proposer knew, [`RULES`] or fewer. A log is applied again at each start: what was taken
    /// then must not be refused by rules that came later.
    #[serde(default)]
    pub rules: u32,
    pub change: Change,
}

/// 1: names of new indices and aliases are checked against those that exist. 2: who joins holds the key that its id is
/// known by.
pub const RULES: u32 = 2;

/// A change of one alias of one index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AliasChange {
    /// Adds the alias, or replaces what it says.
    Add {
        index: IndexId,
        alias: String,
        metadata: AliasMetadata,
    },
    Remove {
        index: IndexId,
        alias: String,
    },
    RemoveIndex {
        index: IndexId,
    },
}

/// What changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Change {
    Bootstrap {
        cluster_name: String,
        cluster_uuid: String,
    },
    /// A node joined, or came back as a new process under its persistent id.
    NodeJoin {
        node: NodeRecord,
        /// What it has proved to hold; `None` of a version without keys.
        #[serde(default)]
        key: Option<NodeKey>,
        /// What its master knows, for nodes that ran such a version when the others joined.
        #[serde(default)]
        known: KnownNodes,
        /// The node is the only voter and has lost its key.
        #[serde(default)]
        rekeyed: bool,
    },
    /// Lets a node join that is new, where newcomers need that.
    ApproveNode {
        node: NodeId,
        name: String,
        key: NodeKey,
    },
    /// Forgets the key of a node that is not in the cluster: who comes next with its id is taken for it.
    ForgetNode {
        node: NodeId,
    },
    NodeLeave {
        node: NodeId,
        /// Ignored when the node has come back as another process meanwhile.
        ephemeral_id: Option<String>,
        reason: String,
    },
    CreateIndex {
        name: String,
        settings: IndexSettings,
        mapping: Value,
        aliases: Aliases,
    },
    DeleteIndices {
        indices: Vec<IndexId>,
    },
    /// Closes or opens indices; those that are so already stay as they are.
    SetClosed {
        indices: Vec<IndexId>,
        closed: bool,
    },
    /// Makes an index, and has an alias write to it that has written to another so far.
    Rollover {
        alias: String,
        /// Refused when the alias does not write to it any more.
        source: IndexId,
        name: String,
        settings: IndexSettings,
        mapping: Value,
        aliases: Aliases,
    },
    /// Replaces the mapping if it is still the version the proposer merged into.
    PutMapping {
        index: IndexId,
        base_version: u64,
        mapping: Value,
    },
    /// Replaces the settings if they are still the version the proposer changed.
    PutIndexSettings {
        index: IndexId,
        base_version: u64,
        /// Where they read texts in another way: the mapping must be the one that was tried with them, and the index closed.
        #[serde(default)]
        base_mapping: Option<u64>,
        settings: IndexSettings,
    },
    /// Replaces the cluster settings if they are still the version the proposer changed.
    PutClusterSettings {
        base_version: u64,
        persistent: BTreeMap<String, Value>,
        transient: BTreeMap<String, Value>,
    },
    /// A node reports that its copy has recovered.
    ShardStarted {
        shard: ShardId,
        allocation_id: AllocationId,
        primary_term: Term,
    },
    /// A copy is no more: its node lost it, or the primary could not reach it.
    ShardFailed {
        shard: ShardId,
        allocation_id: AllocationId,
        /// The term of the primary that asks, refused if there is a newer one. `None` when the
        /// copy's own node reports.
        primary_term: Option<Term>,
        /// Also leaves the in-sync set: the primary is about to acknowledge a write without it.
        mark_stale: bool,
        reason: String,
    },
    /// A node reports how full its disk is.
    DiskLevel {
        node: NodeId,
        /// Ignored when the node has come back as another process meanwhile.
        ephemeral_id: String,
        level: DiskLevel,
    },
    /// All of the changes, in order, or none.
    UpdateAliases {
        changes: Vec<AliasChange>,
    },
    /// Looks again at unassigned copies; proposed when a delay has passed.
    Reroute,
    /// What an operator decides about copies: all of the commands, or none when one is refused.
    RerouteCommands {
        commands: Vec<RerouteCommand>,
        /// Copies that failed too often are tried again at once.
        retry_failed: bool,
    },
    /// Of older logs: nothing proposes it any more, for it replaces what it has not looked at.
    PutUser {
        user: Box<NativeUser>,
    },
    /// Gives a native user everything that its record holds, apart from the password.
    PutNativeUser {
        user: Box<User>,
        /// `None` keeps the password there is.
        password_hash: Option<String>,
        /// Whether the proposer saw a user of this name; refused when it is otherwise now.
        exists: bool,
    },
    SetPassword {
        user: UserName,
        password_hash: String,
        /// The user itself asks, and this is what it logged in to.
        login: Option<Login>,
    },
    SetUserEnabled {
        user: UserName,
        enabled: bool,
    },
    DeleteUser {
        username: String,
    },
    /// Of older logs, as `PutUser`.
    PutReservedUser {
        username: String,
        user: ReservedUser,
    },
    /// Gives a reserved user its first password; refused silently when it has one.
    InitReservedUser {
        username: String,
        password_hash: String,
    },
    /// Of older logs, as `PutUser`.
    PutApiKey {
        key: Box<StoredApiKey>,
        retention_ms: u64,
        limit: usize,
    },
    /// Adds an API key, and forgets those that ended longer ago than the retention.
    CreateApiKey {
        key: Box<StoredApiKey>,
        retention_ms: u64,
        /// Refused when there are as many already.
        limit: usize,
        login: Option<Login>,
    },
    /// Changes what is given of a key that holds.
    UpdateApiKey {
        id: String,
        changes: Box<ApiKeyChanges>,
        login: Option<Login>,
    },
    /// Ends API keys for good; those that have ended or do not exist are passed over.
    InvalidateApiKeys {
        ids: Vec<String>,
    },
    PutServiceToken {
        /// `namespace/service/name`.
        name: String,
        hash: String,
    },
    DeleteServiceToken {
        name: String,
    },
    /// Adds a pair of access and refresh tokens.
    CreateToken {
        token: Box<StoredToken>,
        /// Refused when there are as many pairs already.
        limit: usize,
        /// Whom the tokens are for.
        login: Option<Login>,
    },
    /// Gives a new pair for a refresh token that was not used before.
    RefreshToken {
        id: String,
        into: Box<StoredToken>,
        /// As in [`ringwall_api::security::Refreshed`].
        nonce: String,
        limit: usize,
    },
    /// Ends access and refresh tokens for good.
    InvalidateTokens(TokensMeant),
    Templates(TemplateChange),
    /// Stores roles, each whole.
    PutRoles {
        roles: BTreeMap<String, StoredRole>,
        /// Those of them that were there when this was proposed; refused when that has changed, or the answer
        /// would say what is not so.
        existing: BTreeSet<String>,
    },
    /// Refused when one of them is not there.
    DeleteRoles {
        names: BTreeSet<String>,
    },
    /// Stores a role mapping, whole.
    PutRoleMapping {
        name: String,
        mapping: StoredRoleMapping,
        /// Whether it was there when this was proposed; refused when that has changed.
        exists: bool,
    },
    DeleteRoleMapping {
        name: String,
    },
    /// Stores privileges of applications, each whole.
    PutPrivileges {
        privileges: BTreeMap<String, OfApplication<StoredPrivilege>>,
        /// Which of them were not there when this was proposed; refused when that has changed.
        created: BTreeMap<String, OfApplication<bool>>,
    },
    /// Refused when one of them is not there.
    DeletePrivileges {
        application: String,
        names: BTreeSet<String>,
    },
}

impl Change {
    /// Returns what changes, in words for a person who waits for it. No secrets, and no names of users.
    pub fn summary(&self) -> String {
        let named = |what: &str, names: &mut dyn Iterator<Item = &str>| {
            let names: Vec<&str> = names.collect();
            format!("{what} [{}]", names.join(", "))
        };
        let one = |what: &str, name: &str| format!("{what} [{name}]");
        match self {
            Self::Bootstrap { .. } => "bootstrap".to_owned(),
            Self::NodeJoin { node, .. } => one("node-join", &node.name),
            Self::ApproveNode { name, .. } => one("approve-node", name),
            Self::ForgetNode { node } => one("forget-node", &node.to_string()),
            Self::NodeLeave { node, .. } => one("node-left", &node.to_string()),
            Self::CreateIndex { name, .. } => one("create-index", name),
            Self::DeleteIndices { indices } => named(
                "delete-index",
                &mut indices.iter().map(|index| index.name.as_str()),
            ),
            Self::SetClosed { indices, closed } => named(
                if *closed {
                    "close-indices"
                } else {
                    "open-indices"
                },
                &mut indices.iter().map(|index| index.name.as_str()),
            ),
            Self::Rollover { source, name, .. } => {
                format!("rollover_index source [{}] to target [{name}]", source.name)
            }
            Self::PutMapping { index, .. } => one("put-mapping", &index.name),
            Self::PutIndexSettings { index, .. } => one("update-settings", &index.name),
            Self::PutClusterSettings { .. } => "cluster-update-settings".to_owned(),
            Self::ShardStarted { shard, .. } => one("shard-started", &shard.to_string()),
            Self::ShardFailed { shard, .. } => one("shard-failed", &shard.to_string()),
            Self::DiskLevel { node, .. } => one("disk-level", &node.to_string()),
            Self::UpdateAliases { .. } => "index-aliases".to_owned(),
            Self::Reroute => "reroute".to_owned(),
            Self::RerouteCommands { .. } => "cluster-reroute".to_owned(),
            Self::Templates(_) => "update-templates".to_owned(),
            Self::PutRoles { .. } | Self::DeleteRoles { .. } => "update-roles".to_owned(),
            Self::PutRoleMapping { .. } | Self::DeleteRoleMapping { .. } => {
                "update-role-mappings".to_owned()
            }
            Self::PutPrivileges { .. } | Self::DeletePrivileges { .. } => {
                "update-privileges".to_owned()
            }
            Self::PutUser { .. }
            | Self::PutNativeUser { .. }
            | Self::SetPassword { .. }
            | Self::SetUserEnabled { .. }
            | Self::DeleteUser { .. }
            | Self::PutReservedUser { .. }
            | Self::InitReservedUser { .. } => "update-users".to_owned(),
            Self::PutApiKey { .. }
            | Self::CreateApiKey { .. }
            | Self::UpdateApiKey { .. }
            | Self::InvalidateApiKeys { .. }
            | Self::PutServiceToken { .. }
            | Self::DeleteServiceToken { .. }
            | Self::CreateToken { .. }
            | Self::RefreshToken { .. }
            | Self::InvalidateTokens(_) => "update-credentials".to_owned(),
        }
    }
}

/// A user of the cluster state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserName {
    Native(String),
    Reserved(String),
}

/// What a caller proved to be, and when. A change that it makes in its own name is refused when its
/// user has changed since: it may have been disabled, demoted or replaced, or its password reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    pub user: UserName,
    /// [`crate::SecurityMetadata::generation`] before the credentials were looked at.
    pub as_of: u64,
}

/// What an update gives an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyChanges {
    /// `None` keeps what there is, as in the two that follow.
    pub role_descriptors: Option<Map<String, Value>>,
    pub metadata: Option<Map<String, Value>>,
    pub expiration_ms: Option<u64>,
    pub limited_by: Map<String, Value>,
    pub owner: ApiKeyOwner,
}

/// What applying a command gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The state's version after the command.
    pub version: u64,
    /// `Err` when the command was refused and changed nothing.
    pub result: Result<(), ApiError>,
}
