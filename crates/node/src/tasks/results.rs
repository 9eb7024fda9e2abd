//! What tasks that nobody waited for came to. Kept in memory on the node that did them, the newest ones, for a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringwall_api::ApiError;
use ringwall_api::cluster::{TaskId, TaskInfo, TaskResult};

/// The task as it was when it ended, and its result.
#[derive(Debug, Clone)]
pub struct KeptResult {
    pub task: TaskInfo,
    pub outcome: Arc<Result<TaskResult, ApiError>>,
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct ResultLimits {
    pub count: usize,
    /// Of all results together, by the length of their encoding.
    pub bytes: u64,
    pub age: Duration,
}

/// The oldest first.
#[derive(Default)]
pub(super) struct Results {
    kept: VecDeque<Kept>,
    bytes: u64,
}

struct Kept {
    result: KeptResult,
    bytes: u64,
    until: Instant,
}

impl Results {
    pub(super) fn keep(&mut self, result: KeptResult, limits: &ResultLimits) {
        let bytes = ringwall_base::encoding::size(&(&result.task, &*result.outcome));
        let now = Instant::now();
        let until = now.checked_add(limits.age).unwrap_or(now);
        self.bytes += bytes;
        self.kept.push_back(Kept {
            result,
            bytes,
            until,
        });
        while self.kept.len() > limits.count || self.bytes > limits.bytes {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes;
        }
    }

    pub(super) fn get(&mut self, task: &TaskId) -> Option<KeptResult> {
        let now = Instant::now();
        let bytes = &mut self.bytes;
        self.kept.retain(|kept| {
            let stays = kept.until > now;
            if !stays {
                *bytes -= kept.bytes;
            }
            stays
        });
        let found = self.kept.iter().find(|kept| kept.result.task.task == *task);
        found.map(|kept| kept.result.clone())
    }
}

#[cfg(test)]
mod tests {
    use ringwall_api::ErrorCode;

    use super::*;

    fn result(id: u64, words: usize) -> KeptResult {
        KeptResult {
            task: TaskInfo {
                task: TaskId {
                    node: "n".to_owned(),
                    id,
                },
                action: "a".to_owned(),
                description: None,
                status: None,
                start_time_ms: 0,
                running_time_ns: 0,
                cancellable: true,
                cancelled: false,
                parent: None,
                opaque_id: None,
            },
            outcome: Arc::new(Err(ApiError::new(
                ErrorCode::IllegalState,
                "x".repeat(words),
            ))),
        }
    }

    #[test]
    fn the_newest_are_kept_by_number_size_and_age() {
        // Room for a long one alone.
        let long = result(3, 900);
        let limits = ResultLimits {
            count: 2,
            bytes: ringwall_base::encoding::size(&(&long.task, &*long.outcome)),
            age: Duration::from_secs(3_600),
        };
        let mut results = Results::default();
        let kept = |results: &mut Results| -> Vec<u64> {
            let id = |id| TaskId {
                node: "n".to_owned(),
                id,
            };
            let found = (0..9).filter_map(|number| results.get(&id(number)));
            found.map(|kept| kept.task.task.id).collect()
        };
        for id in 0..3 {
            results.keep(result(id, 1), &limits);
        }
        assert_eq!(kept(&mut results), [1, 2]);
        results.keep(long, &limits);
        assert_eq!(kept(&mut results), [3]);
        // What has no room at all is not kept.
        results.keep(result(4, 2_000), &limits);
        assert_eq!((kept(&mut results), results.bytes), (vec![], 0));
        let at_once = ResultLimits {
            age: Duration::ZERO,
            ..limits
        };
        results.keep(result(5, 1), &at_once);
        assert_eq!((kept(&mut results), results.bytes), (vec![], 0));
    }
}
