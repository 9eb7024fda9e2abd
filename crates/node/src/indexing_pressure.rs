//! Bytes of documents that are being indexed, and the refusal of more than the node may hold.
//!
//! A write counts at each stage: where the client's request is split up, on the primary and on each copy. Copies may
//! hold half as much again as the other two stages, so that what a primary has begun can end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringwall_api::nodes::IndexingPressureStats;
use ringwall_api::{ApiError, ApiResult, ErrorCode};

/// The bytes of a node. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct IndexingPressure(Arc<Counts>);

struct Counts {
    limit: u64,
    /// Coordinating and primary, a write of both on this node once.
    combined: AtomicU64,
    stages: [Stage; 3],
    /// Since the start, counted as `combined`.
    combined_total: AtomicU64,
}

#[derive(Default)]
struct Stage {
    current: AtomicU64,
    total: AtomicU64,
    rejections: AtomicU64,
}

#[derive(Clone, Copy)]
enum At {
    Coordinating,
    Primary,
    Replica,
}

impl At {
    fn name(self) -> &'static str {
        match self {
            Self::Coordinating => "coordinating",
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

/// Bytes that count until this is dropped.
#[must_use = "the bytes count until this is dropped"]
pub struct Pressure {
    counts: Arc<Counts>,
    at: At,
    bytes: u64,
    combined: bool,
}

impl IndexingPressure {
    /// Returns the counts of a node that may hold so many bytes. Setting `indexing_pressure.memory.limit`.
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Counts {
            limit,
            combined: AtomicU64::new(0),
            stages: Default::default(),
            combined_total: AtomicU64::new(0),
        }))
    }

    /// Counts a request of a client.
    ///
    /// # Errors
    /// 429 `es_rejected_execution_exception`.
    pub fn coordinating(&self, bytes: u64) -> ApiResult<Pressure> {
        self.take(At::Coordinating, bytes, true)
    }

    /// Counts the writes of a primary. `here_already`: they come from a request that this node counts.
    ///
    /// # Errors
    /// 429 `es_rejected_execution_exception`, if they are not here already.
    pub fn primary(&self, bytes: u64, here_already: bool) -> ApiResult<Pressure> {
        self.take(At::Primary, bytes, !here_already)
    }

    /// Counts the writes of a copy.
    ///
    /// # Errors
    /// 429 `es_rejected_execution_exception`; the primary offers them again.
    pub fn replica(&self, bytes: u64) -> ApiResult<Pressure> {
        self.take(At::Replica, bytes, false)
    }

    fn take(&self, at: At, bytes: u64, combined: bool) -> ApiResult<Pressure> {
        let counts = &self.0;
        let stage = &counts.stages[at as usize];
        let pressure = Pressure {
            counts: counts.clone(),
            at,
            bytes,
            combined,
        };
        stage.current.fetch_add(bytes, Ordering::Relaxed);
        if combined {
            counts.combined.fetch_add(bytes, Ordering::Relaxed);
        }
        let combined_now = counts.combined.load(Ordering::Relaxed);
        let replica_now = counts.stages[At::Replica as usize]
            .current
            .load(Ordering::Relaxed);
        let (held, limit) = match at {
            At::Replica => (replica_now, counts.limit.saturating_add(counts.limit / 2)),
            _ if combined => (combined_now + replica_now, counts.limit),
            _ => (0, counts.limit),
        };
        if held <= limit {
            stage.total.fetch_add(bytes, Ordering::Relaxed);
            if combined {
                counts.combined_total.fetch_add(bytes, Ordering::Relaxed);
            }
            return Ok(pressure);
        }
        stage.rejections.fetch_add(1, Ordering::Relaxed);
        let without = |now: u64, counted: bool| now - if counted { bytes.min(now) } else { 0 };
        let combined_before = without(combined_now, combined);
        let replica_before = without(replica_now, matches!(at, At::Replica));
        let name = at.name();
        Err(ApiError::new(
            ErrorCode::Rejected,
            format!(
                "rejected execution of {name} operation [coordinating_and_primary_bytes={combined_before}, \
                 replica_bytes={replica_before}, all_bytes={}, {name}_operation_bytes={bytes}, \
                 max_{name}_bytes={limit}]",
                combined_before + replica_before
            ),
        ))
    }

    /// Returns the counts.
    pub fn stats(&self) -> IndexingPressureStats {
        let counts = &self.0;
        let read = |of: fn(&Stage) -> &AtomicU64| {
            let stage = |at: At| of(&counts.stages[at as usize]).load(Ordering::Relaxed);
            [At::Coordinating, At::Primary, At::Replica].map(stage)
        };
        IndexingPressureStats {
            limit: counts.limit,
            current_combined: counts.combined.load(Ordering::Relaxed),
            current: read(|stage| &stage.current),
            total_combined: counts.combined_total.load(Ordering::Relaxed),
            total: read(|stage| &stage.total),
            rejections: read(|stage| &stage.rejections),
        }
    }
}

impl Drop for Pressure {
    fn drop(&mut self) {
        let stage = &self.counts.stages[self.at as usize];
        stage.current.fetch_sub(self.bytes, Ordering::Relaxed);
        if self.combined {
            self.counts
                .combined
                .fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_idle(pressure: &IndexingPressure) -> bool {
        let stats = pressure.stats();
        stats.current_combined == 0 && stats.current == [0; 3]
    }

    #[test]
    fn a_write_of_both_stages_on_one_node_counts_once() {
        let pressure = IndexingPressure::new(100);
        let request = pressure.coordinating(80).unwrap();
        let primary = pressure.primary(80, true).unwrap();
        let stats = pressure.stats();
        assert_eq!((stats.current_combined, stats.current), (80, [80, 80, 0]));
        drop((request, primary));
        assert!(is_idle(&pressure));
        assert_eq!(pressure.stats().total, [80, 80, 0]);
        assert_eq!(pressure.stats().total_combined, 80);
    }

    #[test]
    fn what_would_be_too_much_is_refused_and_counts_no_more() {
        let pressure = IndexingPressure::new(100);
        let copy = pressure.replica(30).unwrap();
        let request = pressure.coordinating(50).unwrap();
        let Err(refused) = pressure.coordinating(21) else {
            panic!("taken beyond the limit");
        };
        assert_eq!(refused.status, 429);
        assert_eq!(
            refused.reason,
            "rejected execution of coordinating operation [coordinating_and_primary_bytes=50, replica_bytes=30, \
             all_bytes=80, coordinating_operation_bytes=21, max_coordinating_bytes=100]"
        );
        assert!(pressure.primary(21, false).is_err());
        assert!(pressure.primary(1000, true).is_ok(), "counted already");
        // Copies have room of their own.
        let more = pressure.replica(120).unwrap();
        assert!(pressure.replica(1).is_err());
        assert_eq!(pressure.stats().rejections, [1, 1, 1]);
        drop((copy, request, more));
        assert!(is_idle(&pressure));
        assert!(pressure.coordinating(100).is_ok());
    }
}
