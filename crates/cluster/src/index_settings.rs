//! Settings of an index: which exist, which may change, and their typed values.
//!
//! Source: Elasticsearch reference, "Index modules".

use std::collections::BTreeMap;
use std::time::Duration;

use ringwall_api::ApiError;
use ringwall_base::{ByteSizeValue, IndexId, TimeValue, routing, suggest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::blocks::FLOOD_KEY;
use crate::deciders::{ENABLE, INDEX_ALLOCATION_ENABLE, check_node_attribute};

/// The settings that someone set, as flat `index.` keys with text values; the rest is defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IndexSettings {
    values: BTreeMap<String, Given>,
}

/// The value of a setting as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Given {
    Text(String),
    /// Only settings of analysis have lists.
    List(Vec<String>),
}

impl Given {
    /// Returns the text; a list has none.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::List(_) => "",
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.as_slice().into(),
        }
    }
}

/// How the text of a setting is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int {
        min: i64,
        max: i64,
    },
    Bool,
    Time,
    Bytes,
    /// At most so many.
    BytesUpTo(u64),
    Choice(&'static [&'static str]),
    /// Which copies may be assigned; upper case is as good.
    Enable,
    /// A number of copies, or `all`.
    ActiveShards,
    /// Values of an attribute of nodes, whose name ends the key.
    NodeAttribute,
    /// Parts of analyzers, or similarities, whose names and parameters end the key. They are read by who makes them.
    Analysis,
    Text,
}

/// When a setting can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changes {
    /// Not after creation.
    Never,
    /// While the index is closed.
    Closed,
    Always,
}

struct Spec {
    key: &'static str,
    kind: Kind,
    changes: Changes,
    default: &'static str,
}

const fn last(key: &'static str, kind: Kind, default: &'static str) -> Spec {
    Spec {
        key,
        kind,
        changes: Changes::Never,
        default,
    }
}

const fn fixed(key: &'static str, kind: Kind, default: &'static str) -> Spec {
    Spec {
        key,
        kind,
        changes: Changes::Closed,
        default,
    }
}

const fn dynamic(key: &'static str, kind: Kind, default: &'static str) -> Spec {
    Spec {
        key,
        kind,
        changes: Changes::Always,
        default,
    }
}

const COUNT: Kind = Kind::Int {
    min: 0,
    max: i32::MAX as i64,
};

const ANALYSIS: &str = "index.analysis.";
const SIMILARITY: &str = "index.similarity.";
/// All that defines the analyzers of an index.
const MAX_ANALYSIS_BYTES: usize = 4 << 20;
/// What analyzers may make of a document: who makes an index does not decide how much memory each of its documents takes.
const MAX_ANALYZED_BYTES: u64 = 256 << 20;

static SPECS: &[Spec] = &[
    last(
        "index.number_of_shards",
        Kind::Int { min: 1, max: 1024 },
        "1",
    ),
    last(
        "index.number_of_routing_shards",
        Kind::Int {
            min: 1,
            max: 1 << 30,
        },
        "",
    ),
    // Says how small stored documents are to be, not what they say: one way of storing them serves all.
    fixed(
        "index.codec",
        Kind::Choice(&["default", "best_compression"]),
        "default",
    ),
    last("index.provided_name", Kind::Text, ""),
    fixed(ANALYSIS, Kind::Analysis, ""),
    fixed(SIMILARITY, Kind::Analysis, ""),
    // What the log and the copies hold was taken by the one that was in force.
    last(
        "index.mapping.analyzed_bytes.limit",
        Kind::BytesUpTo(MAX_ANALYZED_BYTES),
        "64mb",
    ),
    dynamic("index.max_ngram_diff", COUNT, "1"),
    dynamic("index.max_shingle_diff", COUNT, "3"),
    dynamic("index.analyze.max_token_count", COUNT, "10000"),
    dynamic(
        "index.number_of_replicas",
        Kind::Int { min: 0, max: 1024 },
        "1",
    ),
    dynamic("index.refresh_interval", Kind::Time, "1s"),
    dynamic("index.search.idle.after", Kind::Time, "30s"),
    dynamic(
        "index.max_result_window",
        Kind::Int {
            min: 1,
            max: i32::MAX as i64,
        },
        "10000",
    ),
    dynamic("index.max_docvalue_fields_search", COUNT, "100"),
    dynamic(
        "index.highlight.max_analyzed_offset",
        Kind::Int {
            min: 1,
            max: i32::MAX as i64,
        },
        "1000000",
    ),
    dynamic(
        "index.highlight.weight_matches_mode.enabled",
        Kind::Bool,
        "true",
    ),
    dynamic(
        "index.max_slices_per_scroll",
        Kind::Int {
            min: 1,
            max: i32::MAX as i64,
        },
        "1024",
    ),
    dynamic(
        "index.max_terms_count",
        Kind::Int {
            min: 1,
            max: i32::MAX as i64,
        },
        "65536",
    ),
    dynamic(
        "index.max_regex_length",
        Kind::Int {
            min: 1,
            max: i32::MAX as i64,
        },
        "1000",
    ),
    dynamic("index.max_refresh_listeners", COUNT, "1000"),
    dynamic("index.hidden", Kind::Bool, "false"),
    dynamic("index.gc_deletes", Kind::Time, "60s"),
    // Copies begin to recover all at once, as far as a node lets them in.
    dynamic("index.priority", COUNT, "1"),
    dynamic("index.allocation.max_retries", COUNT, "5"),
    dynamic(
        "index.unassigned.node_left.delayed_timeout",
        Kind::Time,
        "1m",
    ),
    dynamic(
        "index.translog.durability",
        Kind::Choice(&["request"]),
        "request",
    ),
    dynamic("index.translog.flush_threshold_size", Kind::Bytes, "512mb"),
    dynamic("index.translog.retention.size", Kind::Bytes, "512mb"),
    dynamic(
        "index.write.wait_for_active_shards",
        Kind::ActiveShards,
        "1",
    ),
    dynamic(
        "index.mapping.total_fields.limit",
        Kind::Int {
            min: 1,
            max: i32::MAX as i64,
        },
        "1000",
    ),
    dynamic(
        "index.mapping.depth.limit",
        Kind::Int { min: 1, max: 1000 },
        "20",
    ),
    // What the log and the copies hold was taken by the one that was in force.
    last("index.mapping.ignore_malformed", Kind::Bool, "false"),
    dynamic("index.blocks.read_only", Kind::Bool, "false"),
    dynamic(FLOOD_KEY, Kind::Bool, "false"),
    dynamic("index.blocks.read", Kind::Bool, "false"),
    dynamic("index.blocks.write", Kind::Bool, "false"),
    dynamic("index.blocks.metadata", Kind::Bool, "false"),
    dynamic(INDEX_ALLOCATION_ENABLE, Kind::Enable, "all"),
    dynamic("index.routing.allocation.require.", Kind::NodeAttribute, ""),
    dynamic("index.routing.allocation.include.", Kind::NodeAttribute, ""),
    dynamic("index.routing.allocation.exclude.", Kind::NodeAttribute, ""),
];

/// Says that how texts are read changes only while nobody writes: copies that take the change at other times, and what the log
/// replays, would read the same text in another way.
pub fn reads_texts_while_open(index: &IndexId) -> ApiError {
    ApiError::illegal_argument(format!(
        "Can't update settings of [index.analysis] and [index.similarity] for open indices [[{}/{}]], also with the `reopen` \
         query parameter: Ringwall does not support it. Close the indices, apply the settings changes, and reopen the indices",
        index.name, index.uuid
    ))
}

/// What settings are changed of.
pub struct Updated<'a> {
    pub index: &'a IndexId,
    /// Whether what only a closed index takes may be changed.
    pub as_closed: bool,
    /// Whether settings stay as they are that somebody has set.
    pub preserves: bool,
}

impl IndexSettings {
    /// Reads settings from a request body: nested or flat keys, with or without `index.`.
    ///
    /// # Errors
    /// `illegal_argument_exception` for an unknown key (with the nearest known one) or a value of
    /// the wrong form.
    pub fn parse(body: &Value) -> Result<Self, ApiError> {
        let mut settings = Self::default();
        for (key, value) in flatten(body)? {
            let spec = find(&key)?;
            let Some(value) = value else { continue };
            check(spec, &key, &value)?;
            settings.values.insert(key, value);
        }
        settings.check_all()?;
        Ok(settings)
    }

    /// Returns the settings with those of a later template or of a request laid over them; `null` takes one away.
    ///
    /// # Errors
    /// As [`IndexSettings::parse`].
    pub fn overlaid(&self, body: &Value) -> Result<Self, ApiError> {
        let mut settings = self.clone();
        for (key, value) in flatten(body)? {
            let spec = find(&key)?;
            match value {
                Some(value) => {
                    check(spec, &key, &value)?;
                    settings.values.insert(key, value);
                }
                None => drop(settings.values.remove(&key)),
            }
        }
        settings.check_all()?;
        Ok(settings)
    }

    /// Returns `{"index": {...}}` with nested keys and text leaves: what was set, and no more.
    pub fn to_json(&self) -> Value {
        let mut nested = serde_json::Map::new();
        for (key, value) in self.iter() {
            let key = key.strip_prefix("index.").unwrap_or(key);
            crate::render::insert_nested(&mut nested, key, value.to_json());
        }
        match nested.is_empty() {
            true => Value::Object(nested),
            false => serde_json::json!({"index": nested}),
        }
    }

    /// Returns the settings with the changes of a request body applied; `null` resets a key.
    ///
    /// # Errors
    /// As [`IndexSettings::parse`], and for settings that cannot change after creation, or while the index is open.
    pub fn updated(&self, body: &Value, of: &Updated<'_>) -> Result<Self, ApiError> {
        let mut settings = self.clone();
        for (key, value) in flatten(body)? {
            let spec = find(&key)?;
            if of.preserves && self.values.contains_key(&key) {
                continue;
            }
            if !of.as_closed && spec.changes != Changes::Always {
                return Err(ApiError::illegal_argument(format!(
                    "Can't update non dynamic settings [[{key}]] for open indices [[{}/{}]] unless the `reopen` \
                     query parameter is set to true. Alternatively, close the indices, apply the settings changes, and \
                     reopen the indices",
                    of.index.name, of.index.uuid
                )));
            }
            if spec.changes == Changes::Never {
                return Err(ApiError::illegal_argument(format!(
                    "final {} setting [{key}], not updateable",
                    of.index.name
                )));
            }
            match value {
                Some(value) => {
                    check(spec, &key, &value)?;
                    settings.values.insert(key, value);
                }
                None => {
                    settings.values.remove(&key);
                }
            }
        }
        settings.check_analysis()?;
        Ok(settings)
    }

    /// Returns whether a switch is on.
    pub(crate) fn is_true(&self, key: &str) -> bool {
        self.value(key) == Some("true")
    }

    /// Returns the value of a key that someone set.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(Given::text)
    }

    /// Turns a switch on, or takes it out.
    pub(crate) fn set_flag(&mut self, key: &str, on: bool) {
        match on {
            true => self
                .values
                .insert(key.to_owned(), Given::Text("true".to_owned())),
            false => self.values.remove(key),
        };
    }

    /// Returns the number of primaries.
    pub fn number_of_shards(&self) -> u32 {
        self.int("index.number_of_shards")
    }

    /// Returns the number of copies beside each primary.
    pub fn number_of_replicas(&self) -> u32 {
        self.int("index.number_of_replicas")
    }

    /// Returns the number of hash slots that shards divide among them.
    pub fn number_of_routing_shards(&self) -> u32 {
        match self.values.get("index.number_of_routing_shards") {
            Some(_) => self.int("index.number_of_routing_shards"),
            None => routing::default_routing_shards(self.number_of_shards()),
        }
    }

    /// Returns how often writes become visible to search; `None` means only on request.
    pub fn refresh_interval(&self) -> Option<Duration> {
        self.time("index.refresh_interval")
    }

    /// Returns whether the refresh interval was set, which opts out of search-idle behaviour.
    pub fn has_explicit_refresh_interval(&self) -> bool {
        self.values.contains_key("index.refresh_interval")
    }

    /// Returns how long after its last search a shard stops refreshing by itself.
    pub fn search_idle_after(&self) -> Option<Duration> {
        self.time("index.search.idle.after")
    }

    /// Returns how long a departed node's copies wait for it.
    pub fn delayed_timeout(&self) -> Duration {
        self.time("index.unassigned.node_left.delayed_timeout")
            .unwrap_or_default()
    }

    /// Returns how often allocation of a failing copy is tried.
    pub fn max_allocation_retries(&self) -> u32 {
        self.int("index.allocation.max_retries")
    }

    /// Returns the largest `from + size` of a search.
    pub fn max_result_window(&self) -> u64 {
        u64::from(self.int("index.max_result_window"))
    }

    /// Returns `index.max_terms_count`.
    pub fn max_terms_count(&self) -> usize {
        self.int("index.max_terms_count") as usize
    }

    /// Returns `index.max_regex_length`, characters.
    pub fn max_regex_length(&self) -> usize {
        self.int("index.max_regex_length") as usize
    }

    /// Returns `index.max_docvalue_fields_search`.
    pub fn max_docvalue_fields(&self) -> usize {
        self.int("index.max_docvalue_fields_search") as usize
    }

    /// Returns `index.highlight.max_analyzed_offset`, characters.
    pub fn max_analyzed_offset(&self) -> usize {
        self.int("index.highlight.max_analyzed_offset") as usize
    }

    /// Returns whether a match is highlighted as a whole, `index.highlight.weight_matches_mode.enabled`.
    pub fn highlights_whole_matches(&self) -> bool {
        self.text("index.highlight.weight_matches_mode.enabled") == "true"
    }

    /// Returns `index.max_slices_per_scroll`.
    pub fn max_slices_per_scroll(&self) -> usize {
        self.int("index.max_slices_per_scroll") as usize
    }

    /// Returns whether wildcards skip the index.
    pub fn hidden(&self) -> bool {
        self.text("index.hidden") == "true"
    }

    /// Returns the translog size, in bytes, that triggers a flush.
    pub fn flush_threshold_bytes(&self) -> u64 {
        self.bytes("index.translog.flush_threshold_size")
    }

    /// Returns the translog bytes kept after a flush, for recovery by operations.
    pub fn translog_retention_bytes(&self) -> u64 {
        self.bytes("index.translog.retention.size")
    }

    /// Returns how long deleted documents' versions are remembered.
    pub fn gc_deletes(&self) -> Duration {
        self.time("index.gc_deletes").unwrap_or_default()
    }

    /// Returns how many copies a write waits for that does not say so itself; `u32::MAX` for all.
    pub fn wait_for_active_shards(&self) -> u32 {
        match self.text("index.write.wait_for_active_shards") {
            "all" => u32::MAX,
            number => number.parse().unwrap_or(1),
        }
    }

    /// Returns how many writes may wait for a refresh of a shard before it is made for them.
    pub fn max_refresh_listeners(&self) -> usize {
        self.int("index.max_refresh_listeners") as usize
    }

    /// Returns how deep objects of a mapping may nest.
    pub fn mapping_depth_limit(&self) -> usize {
        self.int("index.mapping.depth.limit") as usize
    }

    /// Returns whether fields leave out values that they cannot read, unless their mapping says otherwise.
    pub fn ignore_malformed(&self) -> bool {
        self.is_true("index.mapping.ignore_malformed")
    }

    /// Returns the number of fields a mapping may have.
    pub fn total_fields_limit(&self) -> usize {
        self.int("index.mapping.total_fields.limit") as usize
    }

    /// Returns the keys that nobody set and that have a default, with it; for rendering.
    pub fn defaults(&self) -> impl Iterator<Item = (&str, &str)> {
        SPECS
            .iter()
            .filter(|spec| !spec.default.is_empty() && !self.values.contains_key(spec.key))
            .map(|spec| (spec.key, spec.default))
    }

    /// Returns the set keys with their values; for rendering.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Given)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Returns what defines the analyzers: `{"analyzer": {...}, "filter": {...}, ...}`; null for nothing.
    pub fn analysis(&self) -> Value {
        self.nested(ANALYSIS)
    }

    /// Returns what defines the similarities: `{"name": {"type": ..., ...}, ...}`; null for nothing.
    pub fn similarities(&self) -> Value {
        self.nested(SIMILARITY)
    }

    /// Returns whether texts are analyzed and scored alike.
    pub fn reads_texts_as(&self, other: &Self) -> bool {
        self.analysis() == other.analysis() && self.similarities() == other.similarities()
    }

    fn nested(&self, prefix: &str) -> Value {
        let mut nested = Map::new();
        for (key, value) in &self.values {
            if let Some(key) = key.strip_prefix(prefix) {
                crate::render::insert_nested(&mut nested, key, value.to_json());
            }
        }
        match nested.is_empty() {
            true => Value::Null,
            false => Value::Object(nested),
        }
    }

    /// Returns what each part of an analyzer may make of the texts of one document, bytes.
    pub fn analyzed_bytes_limit(&self) -> usize {
        let bytes = self.bytes("index.mapping.analyzed_bytes.limit");
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Returns `index.max_ngram_diff`.
    pub fn max_ngram_diff(&self) -> usize {
        self.int("index.max_ngram_diff") as usize
    }

    /// Returns `index.max_shingle_diff`.
    pub fn max_shingle_diff(&self) -> usize {
        self.int("index.max_shingle_diff") as usize
    }

    /// Returns `index.analyze.max_token_count`.
    pub fn max_analyzed_tokens(&self) -> usize {
        self.int("index.analyze.max_token_count") as usize
    }

    fn text(&self, key: &str) -> &str {
        self.values.get(key).map_or_else(
            || {
                SPECS
                    .iter()
                    .find(|spec| spec.key == key)
                    .map_or("", |spec| spec.default)
            },
            Given::text,
        )
    }

    // Values were checked when they were set, so the defaults below are never reached.
    fn int(&self, key: &str) -> u32 {
        self.text(key).parse().unwrap_or_default()
    }

    fn time(&self, key: &str) -> Option<Duration> {
        self.text(key)
            .parse::<TimeValue>()
            .ok()
            .and_then(TimeValue::duration)
    }

    fn bytes(&self, key: &str) -> u64 {
        self.text(key)
            .parse::<ByteSizeValue>()
            .map_or(0, ByteSizeValue::bytes)
    }

    fn check_all(&self) -> Result<(), ApiError> {
        self.check_routing_shards()?;
        self.check_analysis()
    }

    /// Analyzers are part of the cluster state, and every node makes them.
    fn check_analysis(&self) -> Result<(), ApiError> {
        let sizes = self.values.iter().map(|(key, value)| {
            let bytes = match value {
                Given::Text(text) => text.len(),
                Given::List(items) => items.iter().map(|item| item.len() + 2).sum(),
            };
            if key.starts_with(ANALYSIS) || key.starts_with(SIMILARITY) {
                key.len() + bytes
            } else {
                0
            }
        });
        let bytes: usize = sizes.sum();
        if bytes > MAX_ANALYSIS_BYTES {
            return Err(ApiError::illegal_argument(format!(
                "settings of [index.analysis] of more than [{MAX_ANALYSIS_BYTES}] bytes are not supported by Ringwall: there \
                 are [{bytes}]"
            )));
        }
        Ok(())
    }

    fn check_routing_shards(&self) -> Result<(), ApiError> {
        let (shards, slots) = (self.number_of_shards(), self.number_of_routing_shards());
        if slots < shards || !slots.is_multiple_of(shards) {
            return Err(ApiError::illegal_argument(format!(
                "the number of source shards [{shards}] must be a factor of [{slots}]"
            )));
        }
        Ok(())
    }
}

fn find(key: &str) -> Result<&'static Spec, ApiError> {
    let is_meant = |spec: &&Spec| match spec.kind {
        Kind::NodeAttribute | Kind::Analysis => {
            key.len() > spec.key.len() && key.starts_with(spec.key)
        }
        _ => spec.key == key,
    };
    if let Some(spec) = SPECS.iter().find(is_meant) {
        return Ok(spec);
    }
    let nearest = suggest::nearest(key, SPECS.iter().map(|spec| spec.key));
    let advice = match nearest.first() {
        Some(known) => format!("did you mean [{known}]?"),
        None => "please check that any required plugins are installed, or check the breaking \
                 changes documentation for removed settings"
            .to_owned(),
    };
    Err(ApiError::illegal_argument(format!(
        "unknown setting [{key}] {advice}"
    )))
}

fn check(spec: &Spec, key: &str, value: &Given) -> Result<(), ApiError> {
    let value = match value {
        _ if spec.kind == Kind::Analysis => return Ok(()),
        Given::Text(text) => text.as_str(),
        Given::List(_) => {
            return Err(ApiError::illegal_argument(format!(
                "setting [{key}] takes one value, not a list"
            )));
        }
    };
    match spec.kind {
        Kind::Int { min, max } => {
            let number: i64 = value.parse().map_err(|_| {
                ApiError::illegal_argument(format!(
                    "Failed to parse value [{value}] for setting [{key}]"
                ))
            })?;
            let bound = if number < min {
                Some(format!(">= {min}"))
            } else if number > max {
                Some(format!("<= {max}"))
            } else {
                None
            };
            bound.map_or(Ok(()), |bound| {
                Err(ApiError::illegal_argument(format!(
                    "Failed to parse value [{value}] for setting [{key}] must be {bound}"
                )))
            })
        }
        Kind::Bool if value == "true" || value == "false" => Ok(()),
        Kind::Bool => Err(ApiError::illegal_argument(format!(
            "Failed to parse value [{value}] as only [true] or [false] are allowed."
        ))),
        Kind::Time => value.parse::<TimeValue>().map(|_| ()).map_err(|_| {
            ApiError::illegal_argument(format!(
                "failed to parse setting [{key}] with value [{value}] as a time value: \
                 unit is missing or unrecognized"
            ))
        }),
        Kind::Bytes | Kind::BytesUpTo(_) => {
            let size = value.parse::<ByteSizeValue>().map_err(|_| {
                ApiError::illegal_argument(format!(
                    "failed to parse setting [{key}] with value [{value}] as a size in bytes: \
                     unit is missing or unrecognized"
                ))
            })?;
            match spec.kind {
                Kind::BytesUpTo(most) if size.bytes() > most => {
                    Err(ApiError::illegal_argument(format!(
                        "failed to parse setting [{key}] with value [{value}], must be <= [{}]",
                        ByteSizeValue::from_bytes(most)
                    )))
                }
                _ => Ok(()),
            }
        }
        Kind::Choice(choices) if choices.contains(&value) => Ok(()),
        Kind::Choice(choices) => Err(ApiError::illegal_argument(format!(
            "unknown value [{value}] for setting [{key}], must be one of [{}]",
            choices.join(", ")
        ))),
        Kind::Enable if ENABLE.contains(&value.to_ascii_lowercase().as_str()) => Ok(()),
        Kind::Enable => Err(ApiError::illegal_argument(format!(
            "unknown value [{value}] for setting [{key}], must be one of [{}]",
            ENABLE.join(", ")
        ))),
        Kind::NodeAttribute => check_node_attribute(key, value).map_err(ApiError::illegal_argument),
        Kind::ActiveShards if value == "all" || value.parse::<u16>().is_ok() => Ok(()),
        Kind::ActiveShards => Err(ApiError::illegal_argument(format!(
            "cannot parse ActiveShardCount[{value}]"
        ))),
        Kind::Text | Kind::Analysis => Ok(()),
    }
}

/// Returns the flat keys of a request body; `None` for one that is no object of settings.
pub(crate) fn keys(body: &Value) -> Option<Vec<String>> {
    let flat = flatten(body).ok()?;
    Some(flat.into_iter().map(|(key, _)| key).collect())
}

/// Returns `index.`-prefixed flat keys with text values; `None` for `null`.
fn flatten(body: &Value) -> Result<Vec<(String, Option<Given>)>, ApiError> {
    let mut flat = Vec::new();
    match body {
        Value::Null => {}
        Value::Object(object) => flatten_into(object, "", &mut flat)?,
        _ => {
            return Err(ApiError::illegal_argument(
                "the settings must be an object of setting names and values",
            ));
        }
    }
    let prefixed = flat
        .into_iter()
        .map(|(key, value)| {
            if key.starts_with("index.") {
                (key, value)
            } else {
                (format!("index.{key}"), value)
            }
        })
        .collect();
    Ok(prefixed)
}

fn flatten_into(
    object: &Map<String, Value>,
    prefix: &str,
    flat: &mut Vec<(String, Option<Given>)>,
) -> Result<(), ApiError> {
    for (name, value) in object {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        let text = match value {
            Value::Object(inner) => {
                flatten_into(inner, &key, flat)?;
                continue;
            }
            Value::Null => None,
            Value::Array(items) => {
                let items = items.iter().map(|item| scalar(&key, item));
                Some(Given::List(items.collect::<Result<_, _>>()?))
            }
            one => Some(Given::Text(scalar(&key, one)?)),
        };
        flat.push((key, text));
    }
    Ok(())
}

fn scalar(key: &str, value: &Value) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(ApiError::illegal_argument(format!(
            "the list of setting [{key}] may have texts only, not [{value}]"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn analyzers_are_kept_as_they_are_given() {
        let body = json!({"analysis": {"analyzer": {"a": {"tokenizer": "standard", "filter": ["lowercase", "f"]}},
            "filter": {"f": {"type": "length", "max": 3}}}});
        let settings = IndexSettings::parse(&body).unwrap();
        let kept = serde_json::to_value(&settings).unwrap();
        let settings: IndexSettings = serde_json::from_value(kept).unwrap();
        let given = json!({"analyzer": {"a": {"tokenizer": "standard", "filter": ["lowercase", "f"]}},
            "filter": {"f": {"type": "length", "max": "3"}}});
        assert_eq!(settings.analysis(), given);
        assert_eq!(settings.to_json(), json!({"index": {"analysis": given}}));
        assert_eq!(IndexSettings::default().analysis(), Value::Null);
    }

    #[test]
    fn every_spelling_means_the_same() {
        for body in [
            json!({"number_of_shards": 3, "number_of_replicas": "2"}),
            json!({"index": {"number_of_shards": "3", "number_of_replicas": 2}}),
            json!({"index.number_of_shards": 3, "index.number_of_replicas": 2}),
        ] {
            let settings = IndexSettings::parse(&body).unwrap();
            assert_eq!(settings.number_of_shards(), 3);
            assert_eq!(settings.number_of_replicas(), 2);
            assert_eq!(settings.number_of_routing_shards(), 768);
        }
    }

    #[test]
    fn bad_settings_are_refused_by_name() {
        for (body, expected) in [
            (
                json!({"number_of_shardz": 1}),
                "did you mean [index.number_of_shards]?",
            ),
            (json!({"number_of_shards": 0}), "must be >= 1"),
            (
                json!({"number_of_shards": "x"}),
                "Failed to parse value [x]",
            ),
            (json!({"refresh_interval": "5"}), "unit is missing"),
            (json!({"hidden": "yes"}), "only [true] or [false]"),
            (
                json!({"translog.durability": "async"}),
                "must be one of [request]",
            ),
            (
                json!({"number_of_shards": 3, "number_of_routing_shards": 4}),
                "must be a factor of",
            ),
            (json!({"number_of_shards": [1]}), "takes one value"),
            (
                json!({"mapping.analyzed_bytes.limit": "257mb"}),
                "must be <= [256mb]",
            ),
            (json!(7), "must be an object"),
        ] {
            let error = IndexSettings::parse(&body).unwrap_err();
            assert!(error.reason.contains(expected), "{body}: {}", error.reason);
        }
    }

    #[test]
    fn updates_change_dynamic_settings_only() {
        let settings = IndexSettings::parse(&json!({"refresh_interval": "5s"})).unwrap();
        let index = IndexId {
            name: "i".to_owned(),
            uuid: "u".to_owned(),
        };
        let open = Updated {
            index: &index,
            as_closed: false,
            preserves: false,
        };
        let updated = settings
            .updated(
                &json!({"index": {"refresh_interval": null, "number_of_replicas": 0}}),
                &open,
            )
            .unwrap();
        assert_eq!(updated.number_of_replicas(), 0);
        assert!(!updated.has_explicit_refresh_interval());
        for key in ["number_of_shards", "codec"] {
            let error = settings.updated(&json!({key: "2"}), &open).unwrap_err();
            assert!(error.reason.contains("non dynamic settings"));
        }
        let closed = Updated {
            as_closed: true,
            ..open
        };
        let error = settings
            .updated(&json!({"number_of_shards": 2}), &closed)
            .unwrap_err();
        assert_eq!(
            error.reason,
            "final i setting [index.number_of_shards], not updateable"
        );
        let body = json!({"codec": "best_compression", "refresh_interval": "1s"});
        let updated = settings.updated(&body, &closed).unwrap();
        assert_eq!(updated.value("index.codec"), Some("best_compression"));
        let preserving = Updated {
            preserves: true,
            ..closed
        };
        let kept = settings.updated(&body, &preserving).unwrap();
        assert_eq!(kept.value("index.refresh_interval"), Some("5s"));
        assert_eq!(kept.value("index.codec"), Some("best_compression"));
    }
}
