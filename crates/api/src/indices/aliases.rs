//! Other names of indices. Source: Elasticsearch reference, "Aliases API".

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::IndicesTarget;

/// Changes aliases: all of the actions, or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateAliasesRequest {
    /// Of all actions together.
    pub indices: IndicesTarget,
    pub actions: Vec<AliasAction>,
    pub timeout_ms: u64,
}

/// One action of a change of aliases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AliasAction {
    pub kind: AliasActionKind,
    /// Index expressions.
    pub indices: Vec<String>,
    /// Names; patterns too where aliases are removed.
    pub aliases: Vec<String>,
    /// What an alias narrows, as at the creation of an index; an object.
    pub body: Value,
    /// Whether nothing to remove fails the whole change.
    pub must_exist: Option<bool>,
}

/// What an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AliasActionKind {
    Add,
    Remove,
    /// Deletes the index.
    RemoveIndex,
}

impl AliasActionKind {
    /// Returns its name in requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::RemoveIndex => "remove_index",
        }
    }
}

impl UpdateAliasesRequest {
    /// Names that the caller needs the right to. What a pattern matches is authorized where it is expanded.
    pub(crate) fn alias_names(&self) -> Vec<String> {
        let names = self.actions.iter().flat_map(|action| &action.aliases);
        names.filter(|name| !is_pattern(name)).cloned().collect()
    }
}

/// Returns whether the name of an alias to remove stands for several.
pub fn is_pattern(alias: &str) -> bool {
    alias == "_all" || alias.contains('*')
}

/// What became of each action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateAliasesResponse {
    pub acknowledged: bool,
    pub results: Vec<AliasActionResult>,
}

/// What became of an action: `missing` when there was no such alias to remove.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AliasActionResult {
    pub kind: AliasActionKind,
    pub indices: Vec<String>,
    pub aliases: Vec<String>,
    pub missing: bool,
}
