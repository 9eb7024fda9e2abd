//! Circuit breakers: the memory that requests may hold at once, and the refusal of what would be too much.
//!
//! Whoever is about to keep something large takes a [`Charge`] for it first. The charge lives as long as the thing
//! and gives back what it took when it is dropped, on every way out of a request.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::ByteSizeValue;

/// What a charge is for; each has a limit of its own within the common one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// What answering takes: the parsed request, the state of aggregations, hits, the answer.
    Request,
    /// The bytes of requests as they were sent.
    InFlight,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Request, Self::InFlight];

    /// Returns the name that errors and statistics give the breaker.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::InFlight => "inflight_requests",
        }
    }
}

/// The name of the breaker over all others.
pub const PARENT: &str = "parent";

/// A limit in bytes, and what each charged byte counts as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    pub bytes: u64,
    pub overhead: f64,
}

/// Limits of all breakers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Of all charges together.
    pub total: u64,
    pub request: Limit,
    pub in_flight: Limit,
    /// Whether the memory that the process holds counts where it is more than what is charged.
    pub real_memory: bool,
}

impl Limits {
    /// Returns limits that nothing meets, for tools and tests.
    pub fn none() -> Self {
        let limit = Limit {
            bytes: u64::MAX,
            overhead: 1.0,
        };
        Self {
            total: u64::MAX,
            request: limit,
            in_flight: limit,
            real_memory: false,
        }
    }
}

/// What a breaker has counted.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerStats {
    pub name: &'static str,
    pub limit: u64,
    /// Charged at the moment, with the overhead.
    pub estimated: u64,
    pub overhead: f64,
    /// How often it has refused.
    pub tripped: u64,
}

/// The breakers of a node. Cheap to clone; all clones are the same breakers.
#[derive(Clone)]
pub struct Breakers(Arc<Shared>);

struct Shared {
    limits: parking_lot::RwLock<Limits>,
    children: [Child; 2],
    tripped: AtomicU64,
    real: parking_lot::Mutex<Sample>,
}

#[derive(Default)]
struct Child {
    used: AtomicU64,
    tripped: AtomicU64,
}

/// The memory of the process, as it was a moment ago.
struct Sample {
    taken: Option<Instant>,
    bytes: u64,
    /// Charged when it was taken.
    charged: u64,
}

/// How old a sample may be: reading one takes some microseconds.
const SAMPLE_AGE: Duration = Duration::from_millis(20);

impl Breakers {
    /// Returns breakers with these limits.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared {
            limits: parking_lot::RwLock::new(limits),
            children: Default::default(),
            tripped: AtomicU64::new(0),
            real: parking_lot::Mutex::new(Sample {
                taken: None,
                bytes: 0,
                charged: 0,
            }),
        }))
    }

    /// Returns breakers that refuse nothing.
    pub fn unlimited() -> Self {
        Self::new(Limits::none())
    }

    /// Puts other limits in force. What is charged already stays.
    pub fn set_limits(&self, limits: Limits) {
        *self.0.limits.write() = limits;
    }

    /// Returns a charge of no bytes, to be grown.
    pub fn open(&self, purpose: Purpose) -> Charge {
        Charge {
            breakers: self.clone(),
            purpose,
            bytes: 0,
        }
    }

    /// Charges so many bytes. `label` says for what, as Elasticsearch does: `<http_request>`.
    ///
    /// # Errors
    /// [`Tripped`] when this breaker or the parent would be beyond its limit; nothing is charged then.
    pub fn charge(&self, purpose: Purpose, bytes: u64, label: &str) -> Result<Charge, Tripped> {
        let mut charge = self.open(purpose);
        charge.grow(bytes, label)?;
        Ok(charge)
    }

    /// Returns what is charged, without overhead, bytes.
    pub fn used(&self, purpose: Purpose) -> u64 {
        self.child(purpose).used.load(Ordering::Relaxed)
    }

    /// Returns the counts of all breakers, the parent last.
    pub fn stats(&self) -> Vec<BreakerStats> {
        let limits = *self.0.limits.read();
        let mut stats: Vec<BreakerStats> = Purpose::ALL
            .into_iter()
            .map(|purpose| {
                let limit = limits.of(purpose);
                BreakerStats {
                    name: purpose.name(),
                    limit: limit.bytes,
                    estimated: limit.counted(self.used(purpose)),
                    overhead: limit.overhead,
                    tripped: self.child(purpose).tripped.load(Ordering::Relaxed),
                }
            })
            .collect();
        stats.push(BreakerStats {
            name: PARENT,
            limit: limits.total,
            estimated: self.total(&limits, 0),
            overhead: 1.0,
            tripped: self.0.tripped.load(Ordering::Relaxed),
        });
        stats
    }

    fn child(&self, purpose: Purpose) -> &Child {
        &self.0.children[purpose as usize]
    }

    fn take(&self, purpose: Purpose, bytes: u64, label: &str) -> Result<(), Tripped> {
        let limits = *self.0.limits.read();
        let limit = limits.of(purpose);
        let child = self.child(purpose);
        let used = child.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let wanted = limit.counted(used);
        let refusal = if wanted > limit.bytes {
            child.tripped.fetch_add(1, Ordering::Relaxed);
            Tripped {
                breaker: purpose.name(),
                label: label.to_owned(),
                bytes_wanted: wanted,
                bytes_limit: limit.bytes,
                usages: None,
            }
        } else {
            let wanted = self.total(&limits, limit.counted(bytes));
            if wanted <= limits.total {
                return Ok(());
            }
            self.0.tripped.fetch_add(1, Ordering::Relaxed);
            Tripped {
                breaker: PARENT,
                label: label.to_owned(),
                bytes_wanted: wanted,
                bytes_limit: limits.total,
                usages: Some(self.usages(&limits, wanted, limit.counted(bytes))),
            }
        };
        child.used.fetch_sub(bytes, Ordering::Relaxed);
        Err(refusal)
    }

    /// Returns what all charges come to, or what the process holds if that counts and is more. `new`: bytes just
    /// charged that it does not hold yet.
    fn total(&self, limits: &Limits, new: u64) -> u64 {
        let charged = Purpose::ALL
            .into_iter()
            .map(|purpose| limits.of(purpose).counted(self.used(purpose)))
            .fold(0u64, u64::saturating_add);
        if !limits.real_memory {
            return charged;
        }
        let mut sample = self.0.real.lock();
        if sample
            .taken
            .is_none_or(|taken| taken.elapsed() > SAMPLE_AGE)
        {
            sample.taken = Some(Instant::now());
            // Without an answer what is charged is all that is known.
            sample.bytes = anonymous().unwrap_or(0);
            sample.charged = charged.saturating_sub(new);
        }
        let since = charged.saturating_sub(sample.charged);
        charged.max(sample.bytes.saturating_add(since))
    }

    fn usages(&self, limits: &Limits, wanted: u64, new: u64) -> String {
        let usages: Vec<String> = Purpose::ALL
            .into_iter()
            .map(|purpose| {
                let bytes = limits.of(purpose).counted(self.used(purpose));
                format!("{}={}", purpose.name(), both(bytes))
            })
            .collect();
        let usages = format!("usages [{}]", usages.join(", "));
        match limits.real_memory {
            true => format!(
                "real usage: [{}], new bytes reserved: [{}], {usages}",
                both(wanted.saturating_sub(new)),
                both(new)
            ),
            false => usages,
        }
    }
}

impl Limits {
    fn of(&self, purpose: Purpose) -> Limit {
        match purpose {
            Purpose::Request => self.request,
            Purpose::InFlight => self.in_flight,
        }
    }
}

impl Limit {
    fn counted(self, bytes: u64) -> u64 {
        if self.overhead == 1.0 {
            return bytes;
        }
        (bytes as f64 * self.overhead) as u64
    }
}

/// Bytes that are charged until this is dropped.
#[must_use = "a charge ends when it is dropped"]
pub struct Charge {
    breakers: Breakers,
    purpose: Purpose,
    bytes: u64,
}

impl Charge {
    /// Charges more.
    ///
    /// # Errors
    /// [`Tripped`]; the charge stays as it was.
    pub fn grow(&mut self, bytes: u64, label: &str) -> Result<(), Tripped> {
        if bytes == 0 {
            return Ok(());
        }
        self.breakers.take(self.purpose, bytes, label)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back a part, at most what is charged.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        let used = &self.breakers.child(self.purpose).used;
        used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Returns what is charged, bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the breakers that are charged.
    pub fn breakers(&self) -> &Breakers {
        &self.breakers
    }

    /// Returns bytes that are charged for as long as anybody holds any of them: a slice keeps the whole alive.
    pub fn hold(self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        if bytes.as_ref().is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(Held {
            bytes,
            _charge: self,
        })
    }
}

struct Held<T> {
    bytes: T,
    _charge: Charge,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Held<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

/// What one request is charged for on its way, in one account that many hold. It is settled when the last of them
/// lets go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Account(Arc<parking_lot::Mutex<Charge>>);

impl Account {
    /// Returns an account without a charge.
    pub fn open(breakers: &Breakers, purpose: Purpose) -> Self {
        Self(Arc::new(parking_lot::Mutex::new(breakers.open(purpose))))
    }

    /// Returns an account that is charged for nothing: of a node acting for itself.
    pub fn unlimited() -> Self {
        Self::open(&Breakers::unlimited(), Purpose::Request)
    }

    /// Charges more, until the account is settled.
    ///
    /// # Errors
    /// [`Tripped`]; the account stays as it was.
    pub fn charge(&self, bytes: u64, label: &str) -> Result<(), Tripped> {
        self.0.lock().grow(bytes, label)
    }

    /// Gives back a part of what was charged.
    pub fn release(&self, bytes: u64) {
        self.0.lock().shrink(bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Charge({}, {}b)", self.purpose.name(), self.bytes)
    }
}

impl fmt::Debug for Breakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.stats()).finish()
    }
}

/// A refused charge; its text is Elasticsearch's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Tripped {
    pub breaker: &'static str,
    /// What the bytes were for.
    pub label: String,
    pub bytes_wanted: u64,
    pub bytes_limit: u64,
    /// What breakers and process held, if the parent refused.
    pub usages: Option<String>,
}

impl fmt::Display for Tripped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[{}] Data too large, data for [{}] would be [{}], which is larger than the limit of [{}]",
            self.breaker,
            self.label,
            both(self.bytes_wanted),
            both(self.bytes_limit)
        )?;
        match &self.usages {
            Some(usages) => write!(f, ", {usages}"),
            None => Ok(()),
        }
    }
}

/// Returns a size in bytes and as people read it: `1536/1.5kb`.
fn both(bytes: u64) -> String {
    format!("{bytes}/{}", ByteSizeValue::from_bytes(bytes))
}

/// Returns the bytes of memory that the process holds and that no file backs; `None` where it cannot be told.
/// Pages of mapped index files are not in it: the system takes them back when it needs them.
fn anonymous() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breakers(total: u64, request: u64, in_flight: u64) -> Breakers {
        Breakers::new(Limits {
            total,
            request: Limit {
                bytes: request,
                overhead: 1.0,
            },
            in_flight: Limit {
                bytes: in_flight,
                overhead: 2.0,
            },
            real_memory: false,
        })
    }

    fn is_idle(breakers: &Breakers) -> bool {
        Purpose::ALL
            .iter()
            .all(|purpose| breakers.used(*purpose) == 0)
    }

    #[test]
    fn a_charge_lasts_as_long_as_it_is_held() {
        let breakers = breakers(1000, 500, 1000);
        let mut charge = breakers.charge(Purpose::Request, 400, "<a>").unwrap();
        charge.grow(100, "<b>").unwrap();
        assert_eq!(breakers.used(Purpose::Request), 500);
        let refused = charge.grow(1, "<c>").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "[request] Data too large, data for [<c>] would be [501/501b], which is larger than the limit of [500/500b]"
        );
        assert_eq!(charge.bytes(), 500, "a refusal takes nothing");
        charge.shrink(200);
        assert_eq!(breakers.used(Purpose::Request), 300);
        drop(charge);
        assert!(is_idle(&breakers));
        assert_eq!(breakers.stats()[0].tripped, 1);
    }

    #[test]
    fn overhead_counts_and_the_parent_sums() {
        let breakers = breakers(1000, 1000, 1000);
        assert!(
            breakers
                .charge(Purpose::InFlight, 501, "<http_request>")
                .is_err()
        );
        let _body = breakers
            .charge(Purpose::InFlight, 400, "<http_request>")
            .unwrap();
        let refused = breakers.charge(Purpose::Request, 300, "<agg>").unwrap_err();
        assert_eq!(refused.breaker, PARENT);
        assert_eq!(
            refused.to_string(),
            "[parent] Data too large, data for [<agg>] would be [1100/1kb], which is larger than the limit of \
             [1000/1000b], usages [request=300/300b, inflight_requests=800/800b]"
        );
        let stats = breakers.stats();
        assert_eq!(stats[2].estimated, 800);
        assert_eq!(
            [stats[0].tripped, stats[1].tripped, stats[2].tripped],
            [0, 1, 1]
        );
    }

    #[test]
    fn an_account_is_settled_by_the_last_who_holds_it() {
        let breakers = breakers(1000, 1000, 1000);
        let account = Account::open(&breakers, Purpose::Request);
        let other = account.clone();
        account.charge(400, "<a>").unwrap();
        other.charge(600, "<b>").unwrap();
        assert!(account.charge(1, "<c>").is_err());
        other.release(1);
        account.charge(1, "<c>").unwrap();
        drop(account);
        assert_eq!(breakers.used(Purpose::Request), 1000);
        drop(other);
        assert!(is_idle(&breakers));
    }

    #[test]
    fn limits_change_while_charges_stand() {
        let breakers = breakers(1000, 1000, 1000);
        let charge = breakers.charge(Purpose::Request, 900, "<a>").unwrap();
        breakers.set_limits(Limits {
            total: 800,
            ..Limits::none()
        });
        assert!(breakers.charge(Purpose::Request, 1, "<a>").is_err());
        drop(charge);
        assert!(breakers.charge(Purpose::Request, 800, "<a>").is_ok());
        assert!(is_idle(&breakers));
    }

    #[test]
    fn threads_leave_nothing_behind() {
        let breakers = breakers(5000, 5000, 5000);
        std::thread::scope(|scope| {
            for number in 0..8u64 {
                let breakers = &breakers;
                scope.spawn(move || {
                    for round in 0..1000u64 {
                        let bytes = 1 + (number * 7919 + round * 104_729) % 2000;
                        let Ok(mut charge) = breakers.charge(Purpose::Request, bytes, "<t>") else {
                            continue;
                        };
                        let _ = charge.grow(bytes, "<t>");
                        charge.shrink(bytes / 2);
                    }
                });
            }
        });
        assert!(is_idle(&breakers));
    }

    #[test]
    fn memory_in_use_counts_if_asked_for() {
        let limits = Limits {
            total: 1,
            real_memory: true,
            ..Limits::none()
        };
        let breakers = Breakers::new(limits);
        if anonymous().is_some() {
            let refused = breakers.charge(Purpose::Request, 1, "<a>").unwrap_err();
            assert!(refused.bytes_wanted > 1, "the test itself holds more");
        }
        assert!(is_idle(&breakers));
    }
}
