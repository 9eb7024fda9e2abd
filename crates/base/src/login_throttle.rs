//! Failed logins make the next ones wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// What failed logins cost.
#[derive(Debug, Clone, Copy)]
pub struct LoginLimits {
    /// Failures of a name at an address before each further try waits, twice as long each time.
    pub free_failures: u32,
    /// The same of an address, whatever the names.
    pub free_of_address: u32,
    /// The longest wait. A count is forgotten after twice that time.
    pub max_wait: Duration,
}

/// Counts the logins that failed, by address and by name at that address.
///
/// By name alone nobody is held up: who fails on purpose would lock others out. The cluster bounds what all logins
/// together cost.
pub struct LoginThrottle {
    limits: LoginLimits,
    counts: Mutex<HashMap<Who, Count>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Who {
    address: IpAddr,
    name: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: u32,
    last: Instant,
    /// What `last` was before.
    before: Instant,
}

impl LoginThrottle {
    /// Returns a count of nothing.
    pub fn new(limits: LoginLimits) -> Self {
        Self {
            limits,
            counts: Mutex::default(),
        }
    }

    /// Counts a login as failed before it is tried, so that tries at the same time do not pass together.
    /// Fails with the time to wait, and then counts nothing.
    pub fn begin(&self, address: IpAddr, name: &str, now: Instant) -> Result<(), Duration> {
        let mut counts = self.counts.lock();
        if counts.len() >= MOST {
            counts.retain(|_, count| !self.is_forgotten(*count, now));
        }
        let both = keys(address, name);
        let wait = both
            .iter()
            .map(|who| self.wait(who, counts.get(who), now))
            .max();
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        for who in both {
            // When every place is taken by somebody who failed of late, who comes new is let through unseen:
            // refusing him would let few addresses lock out all others.
            if counts.len() >= MOST && !counts.contains_key(&who) {
                continue;
            }
            let count = counts.entry(who).or_insert(Count {
                failures: 0,
                last: now,
                before: now,
            });
            if self.is_forgotten(*count, now) {
                count.failures = 0;
            }
            count.failures = count.failures.saturating_add(1);
            (count.before, count.last) = (count.last, now);
        }
        Ok(())
    }

    /// Takes back what [`LoginThrottle::begin`] counted: the login succeeded, or the cluster did not answer.
    pub fn forgive(&self, address: IpAddr, name: &str, succeeded: bool) {
        let mut counts = self.counts.lock();
        let [alone, named] = keys(address, name);
        if succeeded {
            counts.remove(&named);
        }
        for who in [alone, named] {
            if let Some(count) = counts.get_mut(&who) {
                count.failures = count.failures.saturating_sub(1);
                // Others at the address do not wait longer for it.
                count.last = count.before;
            }
        }
    }

    fn wait(&self, who: &Who, count: Option<&Count>, now: Instant) -> Duration {
        let Some(count) = count.filter(|count| !self.is_forgotten(**count, now)) else {
            return Duration::ZERO;
        };
        let free = match who.name {
            Some(_) => self.limits.free_failures,
            None => self.limits.free_of_address,
        };
        let Some(over) = count.failures.checked_sub(free) else {
            return Duration::ZERO;
        };
        let wait = Duration::from_secs(1 << over.min(20)).min(self.limits.max_wait);
        (count.last + wait).saturating_duration_since(now)
    }

    fn is_forgotten(&self, count: Count, now: Instant) -> bool {
        now.saturating_duration_since(count.last) > self.limits.max_wait * 2
    }
}

/// An IPv6 host has a network of its own: its first half counts.
fn keys(address: IpAddr, name: &str) -> [Who; 2] {
    let address = match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    };
    let name = name.chars().take(NAME_CHARS).collect();
    [
        Who {
            address,
            name: None,
        },
        Who {
            address,
            name: Some(name),
        },
    ]
}

/// Counts kept at once.
const MOST: usize = 20_000;

/// Of a name; no user's is longer.
const NAME_CHARS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn throttle() -> LoginThrottle {
        LoginThrottle::new(LoginLimits {
            free_failures: 2,
            free_of_address: 8,
            max_wait: Duration::from_secs(3),
        })
    }

    #[test]
    fn failures_of_a_name_wait_longer_each_time_and_are_forgotten() {
        let throttle = throttle();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(throttle.begin(HERE, "ann", start), Ok(()));
        assert_eq!(throttle.begin(HERE, "ann", start), Ok(()));
        assert_eq!(
            throttle.begin(HERE, "ann", start),
            Err(Duration::from_secs(1))
        );
        // Others, and the same name from elsewhere, do not wait.
        assert_eq!(throttle.begin(HERE, "bob", start), Ok(()));
        assert_eq!(throttle.begin(ELSEWHERE, "ann", start), Ok(()));
        assert_eq!(throttle.begin(HERE, "ann", at(1)), Ok(()));
        assert_eq!(
            throttle.begin(HERE, "ann", at(1)),
            Err(Duration::from_secs(2))
        );
        assert_eq!(throttle.begin(HERE, "ann", at(3)), Ok(()));
        assert_eq!(
            throttle.begin(HERE, "ann", at(3)),
            Err(Duration::from_secs(3))
        );
        assert_eq!(throttle.begin(HERE, "ann", at(10)), Ok(()));
        assert_eq!(throttle.begin(HERE, "ann", at(10)), Ok(()));
        assert!(throttle.begin(HERE, "ann", at(10)).is_err());
    }

    #[test]
    fn an_address_that_tries_many_names_waits() {
        let throttle = throttle();
        let now = Instant::now();
        for number in 0..8 {
            assert_eq!(throttle.begin(HERE, &format!("user-{number}"), now), Ok(()));
        }
        assert!(throttle.begin(HERE, "another", now).is_err());
        assert_eq!(throttle.begin(ELSEWHERE, "another", now), Ok(()));
    }

    #[test]
    fn a_success_makes_nobody_wait_longer() {
        let throttle = throttle();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for number in 0..8 {
            assert_eq!(
                throttle.begin(HERE, &format!("user-{number}"), start),
                Ok(())
            );
        }
        assert_eq!(throttle.begin(HERE, "ann", at(1)), Ok(()));
        throttle.forgive(HERE, "ann", true);
        assert_eq!(throttle.begin(HERE, "bob", at(1)), Ok(()));
    }

    #[test]
    fn who_succeeds_starts_anew() {
        let throttle = throttle();
        let now = Instant::now();
        for _ in 0..20 {
            assert_eq!(throttle.begin(HERE, "ann", now), Ok(()));
            throttle.forgive(HERE, "ann", true);
        }
        for _ in 0..20 {
            assert_eq!(throttle.begin(HERE, "ann", now), Ok(()));
            throttle.forgive(HERE, "ann", false);
        }
    }
}
