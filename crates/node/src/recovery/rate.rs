//! The bound on the traffic of recoveries into this node: `indices.recovery.max_bytes_per_sec`.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Shares a number of bytes per second among all recoveries. A pause comes after the bytes it pays for.
#[derive(Default)]
pub struct RecoveryRate {
    /// When what has been taken so far is paid for.
    paid_until: Mutex<Option<Instant>>,
}

impl RecoveryRate {
    /// Takes bytes, and waits as long as they need at this rate; 0 is no bound.
    pub async fn take(&self, bytes: u64, per_second: u64) {
        if per_second == 0 {
            return;
        }
        let cost = Duration::from_secs_f64(bytes as f64 / per_second as f64);
        let until = {
            let mut paid_until = self.paid_until.lock();
            let now = Instant::now();
            let until = paid_until.map_or(now, |until| until.max(now)) + cost;
            *paid_until = Some(until);
            until
        };
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_recoveries_together_keep_to_the_rate() {
        let rate = RecoveryRate::default();
        let begun = Instant::now();
        let one = async {
            for _ in 0..10 {
                rate.take(1_000, 10_000).await;
            }
        };
        let other = async {
            for _ in 0..10 {
                rate.take(1_000, 10_000).await;
            }
        };
        tokio::join!(one, other);
        assert_eq!(begun.elapsed().as_millis(), 2_000);
        rate.take(1 << 40, 0).await;
        assert_eq!(begun.elapsed().as_millis(), 2_000, "0 is no bound");
    }
}
