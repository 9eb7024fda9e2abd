//! A bounded pool for password hashing: tens of milliseconds of CPU that a stranger can ask for.

use std::sync::Arc;

use ringwall_api::{ApiError, ApiResult, ErrorCode};
use tokio::sync::Semaphore;

/// Sizes of the pool.
#[derive(Debug, Clone, Copy)]
pub struct HashPoolConfig {
    /// Hashes computed at once; half the processors by default, at least one.
    pub workers: usize,
    /// Hashes that may wait; more are refused with 429.
    pub queue: usize,
}

impl Default for HashPoolConfig {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
        Self {
            workers: processors.div_ceil(2),
            queue: 1000,
        }
    }
}

/// Runs hashing on blocking threads: few at once, a bounded number waiting. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HashPool {
    workers: Arc<Semaphore>,
    /// One permit per hash running or waiting.
    places: Arc<Semaphore>,
    config: HashPoolConfig,
}

impl HashPool {
    /// Returns a pool.
    pub fn new(config: HashPoolConfig) -> Self {
        let workers = config.workers.max(1);
        Self {
            workers: Arc::new(Semaphore::new(workers)),
            places: Arc::new(Semaphore::new(workers + config.queue)),
            config,
        }
    }

    /// Runs the work on a blocking thread. Errors: 429 `es_rejected_execution_exception` when the
    /// queue is full.
    ///
    /// The permits travel with the work: a caller that hangs up does not free a place whose thread
    /// is still busy.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> ApiResult<T> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| self.rejected())?;
        let worker = Arc::clone(&self.workers)
            .acquire_owned()
            .await
            .map_err(|_| ApiError::internal("the password hashing pool is closed"))?;
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop((worker, place));
            result
        })
        .await
        .map_err(|_| ApiError::internal("password hashing was interrupted"))
    }

    fn rejected(&self) -> ApiError {
        ApiError::new(
            ErrorCode::Rejected,
            format!(
                "rejected execution of password hashing: [{}] workers are busy and [{}] requests wait",
                self.config.workers.max(1),
                self.config.queue
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_and_recovers() {
        let pool = HashPool::new(HashPoolConfig {
            workers: 1,
            queue: 0,
        });
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
        let busy = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.run(move || {
                    started.send(()).unwrap();
                    gate.recv().unwrap();
                })
                .await
            }
        });
        running.await.unwrap();
        let refused = pool.run(|| ()).await.unwrap_err();
        assert_eq!((refused.code, refused.status), (ErrorCode::Rejected, 429));
        release.send(()).unwrap();
        busy.await.unwrap().unwrap();
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }
}
