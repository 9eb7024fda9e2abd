//! An index of a few shards in memory, and searches as the node runs them.

use std::sync::Arc;

use bytes::Bytes;
use ringwall_api::ApiError;
use ringwall_base::encoding;
use ringwall_index::{
    Analysis, AnalysisLimits, Mapping, Searcher, Similarities, View, parse_document,
};
use ringwall_search::{
    MAX_BUCKETS, SearchSource, ShardContext, ShardQueryResult, Unlimited, fetch_phase,
    parse_search, query_phase, reduce,
};
use serde_json::{Map, Value, json};

/// 2024-03-15T13:45:30.123Z
pub const NOW: i64 = 1_710_510_330_123;

pub struct Index {
    shards: Vec<Searcher>,
}

impl Index {
    /// One shard of one segment.
    pub fn new(mapping: Value, docs: &[Value]) -> Self {
        Self::split(mapping, &[&[docs]])
    }

    /// Shards of segments of documents. A document's `_id` is taken out, or is its number.
    pub fn split(mapping: Value, shards: &[&[&[Value]]]) -> Self {
        Self::of_mapping(Mapping::parse(&mapping).unwrap(), shards)
    }

    /// One shard of one segment, of an index with these settings of `analysis` and `similarity`.
    pub fn with_settings(settings: &Value, mapping: &Value, docs: &[Value]) -> Self {
        let limits = AnalysisLimits {
            ngrams: 10,
            ..AnalysisLimits::default()
        };
        let analysis = Analysis::parse(&settings["analysis"], limits).unwrap();
        let similarities = Similarities::parse(&settings["similarity"]).unwrap();
        let analysis = Arc::new(analysis.scored_by(similarities));
        let mapping = Mapping::with_analysis(analysis).merge(mapping).unwrap();
        Self::of_mapping(mapping, &[&[docs]])
    }

    fn of_mapping(mapping: Mapping, shards: &[&[&[Value]]]) -> Self {
        let mapping = Arc::new(mapping);
        let mut number = 0;
        let shards = shards
            .iter()
            .map(|segments| {
                let owned: Vec<Vec<(String, String)>> = segments
                    .iter()
                    .map(|docs| {
                        docs.iter()
                            .map(|doc| {
                                let mut doc = doc.clone();
                                let id = doc
                                    .as_object_mut()
                                    .and_then(|members| members.shift_remove("_id"));
                                number += 1;
                                let id = match id {
                                    Some(Value::String(id)) => id,
                                    _ => number.to_string(),
                                };
                                (id, doc.to_string())
                            })
                            .collect()
                    })
                    .collect();
                let borrowed: Vec<Vec<(&str, &str)>> = owned
                    .iter()
                    .map(|docs| docs.iter().map(|(i, d)| (i.as_str(), d.as_str())).collect())
                    .collect();
                let slices: Vec<&[(&str, &str)]> = borrowed.iter().map(Vec::as_slice).collect();
                Searcher::in_memory(Arc::clone(&mapping), &slices).unwrap()
            })
            .collect();
        Self { shards }
    }

    /// The shards of this index and of another.
    pub fn and(&self, other: &Self) -> Self {
        Self {
            shards: self.shards.iter().chain(&other.shards).cloned().collect(),
        }
    }

    /// One of the shards.
    pub fn shard(&self, number: usize) -> &Searcher {
        &self.shards[number]
    }

    /// Shards that somebody else filled.
    pub fn of(shards: Vec<Searcher>) -> Self {
        Self { shards }
    }

    /// The same, as one sees it who has this view.
    pub fn seen_by(&self, view: &View) -> Self {
        let shards = self.shards.iter().cloned();
        Self {
            shards: shards.map(|shard| shard.narrowed(view).unwrap()).collect(),
        }
    }

    /// One shard whose fields are mapped as they appear, as the first write of a field does.
    pub fn dynamic(docs: &[Value]) -> Self {
        let mut mapping = Mapping::parse(&json!({})).unwrap();
        for doc in docs {
            let mut doc = doc.clone();
            doc.as_object_mut()
                .and_then(|members| members.shift_remove("_id"));
            let text = Bytes::from(doc.to_string());
            let parsed = parse_document(&mapping, "1", None, text).unwrap();
            if let Some(update) = parsed.mapping_update {
                mapping = mapping.merge(&update).unwrap();
            }
        }
        Self::new(mapping.to_json(), docs)
    }

    /// Runs a search and returns `{"total","relation","max_score","hits","aggregations"}`.
    pub fn try_search(&self, body: &Value) -> Result<Value, ApiError> {
        let source = parse_search(body)?;
        self.run(&source)
    }

    pub fn run(&self, source: &SearchSource) -> Result<Value, ApiError> {
        self.run_limited(source, MAX_BUCKETS)
    }

    pub fn run_limited(
        &self,
        source: &SearchSource,
        max_buckets: usize,
    ) -> Result<Value, ApiError> {
        let context = ShardContext {
            index: "test",
            now_millis: NOW,
            ..ShardContext::default()
        };
        let results = self
            .shards
            .iter()
            .map(|shard| {
                let result = query_phase(shard, source, &context)?;
                // Every answer crosses the wire.
                let decoded: ShardQueryResult =
                    encoding::decode(&encoding::encode(&result)).unwrap();
                assert_eq!(result, decoded);
                Ok(decoded)
            })
            .collect::<Result<Vec<_>, ApiError>>()?;
        let reduced = reduce(source, results, max_buckets, &Unlimited)?;
        let mut hits = Vec::new();
        for winner in reduced.winners {
            let fetched = {
                let shard = &self.shards[winner.shard];
                fetch_phase(shard, source, &[winner.address], &context)?
            };
            let hit = fetched.into_iter().next().unwrap();
            let mut object = Map::new();
            object.insert("_id".into(), hit.id.into());
            object.insert("_score".into(), winner.score.into());
            if let Some(text) = hit.source {
                object.insert("_source".into(), serde_json::from_slice(&text).unwrap());
            }
            for (name, value) in [
                ("sort", winner.sort.map(Value::Array)),
                ("fields", hit.fields),
                ("ignored_field_values", hit.ignored_values),
                ("highlight", hit.highlight),
                ("_version", hit.version.map(Value::from)),
                ("_seq_no", hit.seq_no.map(Value::from)),
                ("_primary_term", hit.primary_term.map(Value::from)),
            ] {
                if let Some(value) = value {
                    object.insert(name.into(), value);
                }
            }
            hits.push(Value::Object(object));
        }
        let mut response = json!({"max_score": reduced.max_score, "hits": hits});
        if let Some(total) = reduced.total {
            response["total"] = total.value.into();
            response["relation"] = if total.exact { "eq" } else { "gte" }.into();
        }
        if let Some(aggregations) = reduced.aggregations {
            response["aggregations"] = aggregations;
        }
        if let Some(early) = reduced.terminated_early {
            response["terminated_early"] = early.into();
        }
        Ok(response)
    }

    pub fn search(&self, body: Value) -> Value {
        self.try_search(&body)
            .unwrap_or_else(|error| panic!("{body}: {error}"))
    }

    /// What each shard answers.
    pub fn shard_results(&self, source: &SearchSource) -> Vec<ShardQueryResult> {
        let context = ShardContext {
            index: "test",
            now_millis: NOW,
            ..ShardContext::default()
        };
        let shards = self.shards.iter();
        shards
            .map(|shard| query_phase(shard, source, &context).unwrap())
            .collect()
    }

    /// The ids of the hits of a query, in order.
    pub fn ids(&self, query: Value) -> Vec<String> {
        let found = self.search(json!({"query": query, "size": 100}));
        ids_of(&found)
    }

    /// The ids of the hits of a query, sorted.
    pub fn set(&self, query: Value) -> Vec<String> {
        let mut ids = self.ids(query.clone());
        ids.sort();
        // However documents are found, as many are counted.
        assert_eq!(self.count(&query), ids.len() as u64, "{query}");
        ids
    }

    pub fn count(&self, query: &Value) -> u64 {
        let source = json!({"query": query, "size": 0, "track_total_hits": true});
        let source = parse_search(&source).unwrap();
        let context = ShardContext {
            index: "test",
            now_millis: NOW,
            ..ShardContext::default()
        };
        self.shards
            .iter()
            .map(|shard| query_phase(shard, &source, &context).unwrap().total)
            .sum()
    }

    /// The aggregations of a search without hits.
    pub fn aggs(&self, aggs: Value) -> Value {
        let found = self.search(json!({"size": 0, "aggs": aggs}));
        found["aggregations"].clone()
    }

    pub fn error(&self, body: Value) -> ApiError {
        match self.try_search(&body) {
            Ok(found) => panic!("{body} should fail but found {found}"),
            Err(error) => error,
        }
    }
}

pub fn ids_of(found: &Value) -> Vec<String> {
    found["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["_id"].as_str().unwrap().to_owned())
        .collect()
}
