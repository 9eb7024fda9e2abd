//! `top_hits`: the best documents of each bucket, with their content. Source: Elasticsearch reference, "Top hits
//! aggregation".

use ringwall_api::ApiError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tantivy::{DocId, Score};

use super::partial::Partial;
use super::spec::{Agg, AggKind};
use crate::SearchSource;
use crate::result::DocAddress;
use crate::sort::{self, SortValue};
use crate::top::{After, SegmentKey, TopCollector};

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
    pub(super) fn to_json(&self) -> Result<Value, ApiError> {
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
pub(super) struct TopHitsCollector {
    pub(super) source: SearchSource,
    pub(super) segment: u32,
    /// Makes the sort keys anew for each bucket.
    pub(super) keys: Box<dyn Fn() -> Result<Vec<SegmentKey>, ApiError>>,
    pub(super) collectors: Vec<(u64, TopCollector)>,
    pub(super) failure: Option<ApiError>,
}

impl TopHitsCollector {
    pub(super) fn collect(&mut self, doc: DocId, score: Score, place: usize) {
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

    pub(super) fn finish(self) -> Result<Vec<Partial>, ApiError> {
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

/// Tells whether hits of this request show scores.
pub(super) fn tracks_scores(source: &SearchSource) -> bool {
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
        match (&agg.kind, partial) {
            (AggKind::TopHits(spec), Partial::TopHits(hits)) => {
                for hit in &mut hits.hits {
                    let mut object = fetch(&spec.source, hit.address)?;
                    object.insert(
                        "_score".to_owned(),
                        hit.score.map_or(Value::Null, crate::score_json),
                    );
                    if !sort::is_score_only(&spec.source.sort) {
                        let values = sort::values_json(&spec.source.sort, &hit.sort);
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
