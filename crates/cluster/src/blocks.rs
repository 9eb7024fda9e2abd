//! What must not be done to an index, or to all, for now. Source: Elasticsearch reference, "Index blocks".

use ringwall_api::{ApiError, ErrorCode};
use serde_json::{Map, Value, json};

use crate::metadata::IndexMetadata;
use crate::{ClusterState, index_settings};

/// Kinds of operations that a block refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Read,
    Write,
    MetadataRead,
    MetadataWrite,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::MetadataRead => "metadata_read",
            Self::MetadataWrite => "metadata_write",
        }
    }
}

/// A block: the setting that puts it on, and what it refuses.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    pub key: &'static str,
    id: u8,
    status: u16,
    text: &'static str,
    levels: &'static [Level],
    /// Deleting an index, which frees space, is allowed all the same.
    allows_delete: bool,
}

const WRITES: &[Level] = &[Level::Write, Level::MetadataWrite];

/// The setting of an index that a full disk turns on.
pub const FLOOD_KEY: &str = "index.blocks.read_only_allow_delete";

/// Blocks of an index, by the text that Elasticsearch gives them.
pub static INDEX_BLOCKS: &[Block] = &[
    Block {
        key: "index.blocks.read_only",
        id: 5,
        status: 403,
        text: "index read-only (api)",
        levels: WRITES,
        allows_delete: false,
    },
    Block {
        key: "index.blocks.read",
        id: 7,
        status: 403,
        text: "index read (api)",
        levels: &[Level::Read],
        allows_delete: false,
    },
    Block {
        key: "index.blocks.write",
        id: 8,
        status: 403,
        text: "index write (api)",
        levels: &[Level::Write],
        allows_delete: false,
    },
    Block {
        key: "index.blocks.metadata",
        id: 9,
        status: 403,
        text: "index metadata (api)",
        levels: &[Level::MetadataRead, Level::MetadataWrite],
        allows_delete: false,
    },
    Block {
        key: FLOOD_KEY,
        id: 12,
        status: 429,
        text: "disk usage exceeded flood-stage watermark, index has read-only-allow-delete block",
        levels: &[Level::Write],
        allows_delete: true,
    },
];

/// Of an index that is closed. No setting takes it off.
static CLOSED: Block = Block {
    key: "",
    id: 4,
    status: 403,
    text: "index closed",
    levels: &[Level::Read, Level::Write],
    allows_delete: false,
};

/// Blocks of the whole cluster.
pub static CLUSTER_BLOCKS: &[Block] = &[
    Block {
        key: "cluster.blocks.read_only",
        id: 6,
        status: 403,
        text: "cluster read-only (api)",
        levels: WRITES,
        allows_delete: false,
    },
    Block {
        key: "cluster.blocks.read_only_allow_delete",
        id: 13,
        status: 403,
        text: "cluster read-only / allow delete (api)",
        levels: WRITES,
        allows_delete: true,
    },
];

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    pub level: Level,
    /// It frees space: an index is deleted.
    pub deletes: bool,
}

impl From<Level> for Attempt {
    fn from(level: Level) -> Self {
        Self {
            level,
            deletes: false,
        }
    }
}

impl Block {
    fn refuses(&self, attempt: Attempt) -> bool {
        self.levels.contains(&attempt.level) && !(attempt.deletes && self.allows_delete)
    }

    fn shown(&self) -> String {
        let name = match self.status {
            429 => "TOO_MANY_REQUESTS",
            _ => "FORBIDDEN",
        };
        format!("{name}/{}/{}", self.id, self.text)
    }

    fn render(&self) -> (String, Value) {
        let levels: Vec<&str> = self.levels.iter().map(|level| level.as_str()).collect();
        let body = json!({"description": self.text, "retryable": false, "levels": levels});
        (self.id.to_string(), body)
    }
}

/// Returns whether keys of cluster settings are blocks and nothing else.
pub fn are_blocks_of_cluster<'a>(mut keys: impl Iterator<Item = &'a String>) -> bool {
    keys.all(|key| CLUSTER_BLOCKS.iter().any(|block| block.key == key))
}

/// Returns whether settings of an index, in any spelling, are blocks and nothing else.
pub fn are_blocks_of_index(settings: &Value) -> bool {
    let keys = index_settings::keys(settings);
    keys.is_some_and(|keys| {
        let mut keys = keys.iter();
        keys.all(|key| INDEX_BLOCKS.iter().any(|block| block.key == key))
    })
}

impl ClusterState {
    /// Refuses what a block of the whole cluster stands against.
    ///
    /// # Errors
    /// `cluster_block_exception` with the status of the block.
    pub fn check_cluster_blocks(&self, attempt: impl Into<Attempt>) -> Result<(), ApiError> {
        let attempt = attempt.into();
        let blocks: Vec<&Block> = self
            .cluster_blocks()
            .filter(|block| block.refuses(attempt))
            .collect();
        refuse(None, &blocks)
    }

    /// Refuses what a block of an index, or of the cluster, stands against. The index need not exist.
    ///
    /// # Errors
    /// As [`ClusterState::check_cluster_blocks`]; the text names the index. `index_closed_exception` of one that is
    /// closed.
    pub fn check_blocks(&self, index: &str, attempt: impl Into<Attempt>) -> Result<(), ApiError> {
        let attempt = attempt.into();
        if let Some(closed) = self.indices.get(index)
            && closed.is_closed
            && CLOSED.refuses(attempt)
        {
            return Err(ApiError::index_closed(index, &closed.id.uuid));
        }
        let own = self.indices.get(index).into_iter().flat_map(index_blocks);
        let blocks: Vec<&Block> = own
            .chain(self.cluster_blocks())
            .filter(|block| block.refuses(attempt))
            .collect();
        refuse(Some(index), &blocks)
    }

    fn cluster_blocks(&self) -> impl Iterator<Item = &'static Block> {
        CLUSTER_BLOCKS.iter().filter(|block| {
            let value = self.settings.get(block.key);
            value.is_some_and(|value| value == "true" || *value == Value::Bool(true))
        })
    }

    /// Returns the blocks in force, as `GET /_cluster/state/blocks` shows them.
    pub(crate) fn render_blocks(&self, chosen: impl Fn(&str) -> bool) -> Value {
        let mut body = Map::new();
        let global: Map<String, Value> = self.cluster_blocks().map(Block::render).collect();
        if !global.is_empty() {
            body.insert("global".to_owned(), Value::Object(global));
        }
        let indices: Map<String, Value> = self
            .indices
            .values()
            .filter(|index| chosen(&index.id.name))
            .map(|index| {
                let blocks: Map<String, Value> = index_blocks(index).map(Block::render).collect();
                (index.id.name.clone(), blocks)
            })
            .filter(|(_, blocks)| !blocks.is_empty())
            .map(|(name, blocks)| (name, Value::Object(blocks)))
            .collect();
        if !indices.is_empty() {
            body.insert("indices".to_owned(), Value::Object(indices));
        }
        Value::Object(body)
    }
}

fn index_blocks(index: &IndexMetadata) -> impl Iterator<Item = &'static Block> {
    let set = INDEX_BLOCKS.iter();
    let set = set.filter(|block| index.settings.is_true(block.key));
    index.is_closed.then_some(&CLOSED).into_iter().chain(set)
}

/// The status is the one that promises least.
fn refuse(index: Option<&str>, blocks: &[&Block]) -> Result<(), ApiError> {
    let Some(status) = blocks.iter().map(|block| block.status).min() else {
        return Ok(());
    };
    let shown: Vec<String> = blocks.iter().map(|block| block.shown()).collect();
    let shown = shown.join(", ");
    let reason = match index {
        Some(index) => format!("index [{index}] blocked by: [{shown}];"),
        None => format!("blocked by: [{shown}];"),
    };
    Err(ApiError::new(ErrorCode::ClusterBlock, reason).with_status(status))
}
