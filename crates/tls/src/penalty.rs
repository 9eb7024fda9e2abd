//! Addresses whose handshakes fail again and again: their next ones wait.
//!
//! An address is not a peer: behind one may be a healthy node and an attacker, or a thousand clients. So nothing is
//! refused because of its address alone: handshakes wait, a bounded number at a time, and who is not let wait may come
//! again at once. A failure is forgotten within seconds, and half of them by each handshake that succeeds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::origin::origin;

/// The failures of the addresses that dialled one context.
#[derive(Debug)]
pub(crate) struct Penalties {
    /// Failures of one address that cost nothing, beside the one that is forgotten each second.
    free: usize,
    /// At most [`MAX_ADDRESSES`].
    addresses: Mutex<HashMap<IpAddr, Record>>,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    /// Failures that are not forgotten, as of `at`.
    failures: f64,
    at: Instant,
    /// Handshakes that wait.
    waiting: usize,
}

/// What is to be done with a peer that wants to begin a handshake.
#[derive(Debug)]
pub(crate) enum Admission {
    Now,
    /// After [`DELAY`], during which the place is held.
    Later(Place),
    /// Not now: as many of its address wait as may.
    Never,
}

/// One that waits.
#[derive(Debug)]
pub(crate) struct Place {
    penalties: Arc<Penalties>,
    origin: IpAddr,
}

impl Penalties {
    /// Returns that so many failures of one address cost nothing.
    pub(crate) fn new(free: usize) -> Arc<Self> {
        Arc::new(Self {
            free,
            addresses: Mutex::default(),
        })
    }

    /// Decides about a peer that has connected.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Admission {
        let origin = origin(peer);
        let mut addresses = self.addresses.lock();
        let Some(record) = addresses.get_mut(&origin) else {
            return Admission::Now;
        };
        record.forget(Instant::now());
        if record.failures <= self.free as f64 {
            return Admission::Now;
        }
        if record.waiting == MAX_WAITING {
            return Admission::Never;
        }
        record.waiting += 1;
        Admission::Later(Place {
            penalties: Arc::clone(self),
            origin,
        })
    }

    /// Takes note of a handshake that failed after this side had worked for it.
    pub(crate) fn failed(&self, peer: IpAddr) {
        let now = Instant::now();
        let mut addresses = self.addresses.lock();
        let origin = origin(peer);
        if addresses.len() >= MAX_ADDRESSES && !addresses.contains_key(&origin) {
            make_room(&mut addresses, now);
        }
        let record = addresses.entry(origin).or_insert(Record {
            failures: 0.0,
            at: now,
            waiting: 0,
        });
        record.forget(now);
        record.failures = (record.failures + 1.0).min(self.free as f64 + MAX_DEBT);
    }

    /// Takes note of a handshake that succeeded.
    pub(crate) fn succeeded(&self, peer: IpAddr) {
        if let Some(record) = self.addresses.lock().get_mut(&origin(peer)) {
            record.forget(Instant::now());
            record.failures /= 2.0;
        }
    }
}

impl Record {
    fn forget(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.failures = (self.failures - seconds).max(0.0);
        self.at = now;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = self.penalties.addresses.lock();
        if let Some(record) = addresses.get_mut(&self.origin) {
            record.waiting = record.waiting.saturating_sub(1);
        }
    }
}

/// Drops the addresses whose failures are forgotten, else the one that has fewest.
fn make_room(addresses: &mut HashMap<IpAddr, Record>, now: Instant) {
    addresses.retain(|_, record| {
        record.forget(now);
        record.waiting > 0 || record.failures > 0.0
    });
    if addresses.len() < MAX_ADDRESSES {
        return;
    }
    let fewest = addresses
        .iter()
        .filter(|(_, record)| record.waiting == 0)
        .min_by(|(_, one), (_, other)| one.failures.total_cmp(&other.failures))
        .map(|(origin, _)| *origin);
    if let Some(fewest) = fewest {
        addresses.remove(&fewest);
    }
}

/// How long a handshake of such an address waits.
pub(crate) const DELAY: Duration = Duration::from_millis(500);
/// Handshakes of one address that wait at once: with [`DELAY`], it has 32 each second.
const MAX_WAITING: usize = 16;
/// Failures beyond the free ones that are remembered, one for each second: so long after the last failure nobody waits.
const MAX_DEBT: f64 = 30.0;
const MAX_ADDRESSES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: usize = 3;

    fn penalties() -> (Arc<Penalties>, IpAddr) {
        (Penalties::new(FREE), IpAddr::from([192, 0, 2, 1]))
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_again_and_again_waits_and_is_soon_forgiven() {
        let (penalties, peer) = penalties();
        for _ in 0..1000 {
            penalties.failed(peer);
        }
        assert!(matches!(penalties.admit(peer), Admission::Later(_)));
        let other = IpAddr::from([192, 0, 2, 2]);
        assert!(matches!(penalties.admit(other), Admission::Now));
        tokio::time::advance(Duration::from_secs_f64(MAX_DEBT - 1.0)).await;
        assert!(matches!(penalties.admit(peer), Admission::Later(_)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(matches!(penalties.admit(peer), Admission::Now));
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_failures_cost_nothing_and_successes_make_up_for_them() {
        let (penalties, peer) = penalties();
        for _ in 0..FREE {
            penalties.failed(peer);
            assert!(matches!(penalties.admit(peer), Admission::Now));
        }
        penalties.failed(peer);
        assert!(matches!(penalties.admit(peer), Admission::Later(_)));
        penalties.succeeded(peer);
        assert!(matches!(penalties.admit(peer), Admission::Now));
        // As often as others succeed behind the same address, it may fail.
        for _ in 0..100 {
            penalties.failed(peer);
            penalties.succeeded(peer);
            assert!(matches!(penalties.admit(peer), Admission::Now));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn few_of_an_address_wait_at_once() {
        let (penalties, peer) = penalties();
        for _ in 0..=FREE {
            penalties.failed(peer);
        }
        let mut waiting: Vec<Admission> = (0..MAX_WAITING).map(|_| penalties.admit(peer)).collect();
        let all = waiting.iter();
        assert!(
            all.clone()
                .all(|admission| matches!(admission, Admission::Later(_)))
        );
        assert!(matches!(penalties.admit(peer), Admission::Never));
        waiting.pop();
        assert!(matches!(penalties.admit(peer), Admission::Later(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_keeps_who_fails_most() {
        let (penalties, peer) = penalties();
        for _ in 0..=FREE {
            penalties.failed(peer);
        }
        for number in 0..2 * MAX_ADDRESSES as u32 {
            penalties.failed(IpAddr::from(number.to_be_bytes()));
        }
        assert_eq!(penalties.addresses.lock().len(), MAX_ADDRESSES);
        assert!(matches!(penalties.admit(peer), Admission::Later(_)));
    }
}
