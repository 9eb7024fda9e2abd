//! `top_hits`: the best documents of each bucket, with their content. Source: Elasticsearch reference, "Top hits
//! aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tantivy::{DocId, Score};

use super::block::Entry;
use super::build::Builder;
use super::collector::Collector;
use super::kind::{Definition, Kind, Parsed, Shape};
use super::partial::Partial;
use super::render::Renderer;
use super::spec::Agg;
use crate::SearchSource;
use crate::result::DocAddress;
use crate::sort::{self, SortBy, SortValue};
use crate::top::{After, SegmentKey, TopCollector};

#[derive(Debug)]
struct TopHits {
    source: SearchSource,
}

pub(super) fn parse(given: &Definition<'_>) -> Parsed {
    let source = crate::request::parse_top_hits(given.body)?;
    Ok(Arc::new(TopHits { source }))
}

impl Kind for TopHits {
    fn shape(&self) -> Shape {
        Shape::Values
    }

    fn hits(&self) -> Option<&SearchSource> {
        Some(&self.source)
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        let sort = &self.source.sort;
        let keys =
            crate::phase::segment_keys(builder.shard, sort, builder.reader, builder.segment)?;
        Ok(Box::new(TopHitsCollector {
            source: self.source.clone(),
            segment: builder.segment,
            keys,
            collectors: Vec::new(),
            failure: None,
        }))
    }

    fn render(
        &self,
        _: &Agg,
        merged: &Partial,
        _: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let hits = match merged {
            Partial::TopHits(hits) => hits.to_json()?,
            _ => json!({"total": {"value": 0, "relation": "eq"}, "max_score": null, "hits": []}),
        };
        body.insert("hits".to_owned(), hits);
        Ok(())
    }
}

/// The best documents of one bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopHitsPartial {
    pub total: u64,
    pub hits: Vec<TopHit>,
    /// Where the answer begins and how many it shows.
    pub from: usize,
    pub size: usize,
}

/// One document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopHit {
    pub score: Option<f32>,
    /// Values of the sort keys; the score when the sort is by score.
    pub sort: Vec<SortValue>,
    pub address: DocAddress,
    /// The hit as JSON text, once the shard has read it.
    pub hit: Option<String>,
}

impl TopHitsPartial {
    /// Adds the documents of another part and keeps the best.
    pub fn merge(&mut self, source: &SearchSource, other: Self) {
        self.total = self.total.saturating_add(other.total);
        self.hits.extend(other.hits);
        self.hits.sort_by(|left, right| {
            if sort::is_score_only(&source.sort) {
                let score = |hit: &TopHit| hit.score.unwrap_or(0.0);
                score(right).total_cmp(&score(left))
            } else {
                sort::compare(&source.sort, &left.sort, &right.sort)
            }
        });
        self.hits.truncate(source.from.saturating_add(source.size));
    }

    /// Returns the `hits` object.
    fn to_json(&self) -> Result<Value, ApiError> {
        let max_score = self
            .hits
            .iter()
            .filter_map(|hit| hit.score)
            .fold(None, |best: Option<f32>, score| {
                Some(best.map_or(score, |best| best.max(score)))
            });
        let hits = self
            .hits
            .iter()
            .skip(self.from)
            .take(self.size)
            .map(|hit| {
                let text = hit.hit.as_deref().unwrap_or("{}");
                ringwall_base::json::parse(text.as_bytes())
                    .map_err(|_| ApiError::internal("a hit of [top_hits] is not JSON"))
            })
            .collect::<Result<Vec<Value>, ApiError>>()?;
        Ok(json!({
            "total": {"value": self.total, "relation": "eq"},
            "max_score": max_score.map(crate::score_json),
            "hits": hits,
        }))
    }
}

/// Collects the best documents of every bucket of a segment.
struct TopHitsCollector {
    source: SearchSource,
    segment: u32,
    /// Makes the sort keys anew for each bucket.
    keys: Box<dyn Fn() -> Result<Vec<SegmentKey>, ApiError>>,
    collectors: Vec<(u64, TopCollector)>,
    failure: Option<ApiError>,
}

impl TopHitsCollector {
    fn collect_one(&mut self, doc: DocId, score: Score, place: usize) {
        while self.collectors.len() <= place {
            let limit = self.source.from.saturating_add(self.source.size);
            let made = (self.keys)().and_then(|keys| {
                TopCollector::new(keys, limit, &After::Nothing, tracks_scores(&self.source))
            });
            match made {
                Ok(collector) => self.collectors.push((0, collector)),
                Err(error) => {
                    self.failure = Some(error);
                    return;
                }
            }
        }
        let (total, collector) = &mut self.collectors[place];
        *total += 1;
        collector.collect(doc, score);
    }
}

impl Collector for TopHitsCollector {
    fn bytes_each(&self) -> u64 {
        BUCKET_BYTES
    }

    fn collect(&mut self, block: &[Entry]) {
        for entry in block {
            self.collect_one(entry.doc, entry.score, entry.bucket as usize);
        }
    }

    fn finish(self: Box<Self>, _: &Agg, _: usize, _: bool) -> Result<Vec<Partial>, ApiError> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        let (from, size, segment) = (self.source.from, self.source.size, self.segment);
        self.collectors
            .into_iter()
            .map(|(total, collector)| {
                let hits = collector
                    .finish()?
                    .into_iter()
                    .map(|top| TopHit {
                        score: top.score,
                        sort: top.sort,
                        address: DocAddress {
                            segment,
                            doc: top.doc,
                        },
                        hit: None,
                    })
                    .collect();
                Ok(Partial::TopHits(TopHitsPartial {
                    total,
                    hits,
                    from,
                    size,
                }))
            })
            .collect()
    }
}

/// The best documents of a bucket.
const BUCKET_BYTES: u64 = 512;

/// Tells whether an aggregation needs the scores of documents.
pub(crate) fn uses_scores(aggs: &[Agg]) -> bool {
    aggs.iter().any(|agg| {
        let own = agg.kind.hits().is_some_and(|source| {
            tracks_scores(source) || source.sort.iter().any(|sort| sort.by == SortBy::Score)
        });
        own || uses_scores(&agg.subs)
    })
}

/// Tells whether hits of this request show scores.
fn tracks_scores(source: &SearchSource) -> bool {
    source.track_scores || sort::is_score_only(&source.sort)
}

/// Reads one document as a hit.
type ReadHit<'a> = dyn Fn(&SearchSource, DocAddress) -> Result<Map<String, Value>, ApiError> + 'a;

/// Reads the documents that are left in `top_hits` partials of a shard. `fetch` returns a hit
/// without score and sort values.
pub(crate) fn resolve(
    aggs: &[Agg],
    partials: &mut [Partial],
    fetch: &ReadHit<'_>,
) -> Result<(), ApiError> {
    for (agg, partial) in aggs.iter().zip(partials) {
        match (agg.kind.hits(), partial) {
            (Some(source), Partial::TopHits(hits)) => {
                for hit in &mut hits.hits {
                    let mut object = fetch(source, hit.address)?;
                    object.insert(
                        "_score".to_owned(),
                        hit.score.map_or(Value::Null, crate::score_json),
                    );
                    if !sort::is_score_only(&source.sort) {
                        let values = sort::values_json(&source.sort, &hit.sort);
                        object.insert("sort".to_owned(), Value::Array(values));
                    }
                    hit.hit = Some(Value::Object(object).to_string());
                }
            }
            (_, Partial::Buckets(buckets)) => {
                for bucket in &mut buckets.buckets {
                    resolve(&agg.subs, &mut bucket.subs, fetch)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}
