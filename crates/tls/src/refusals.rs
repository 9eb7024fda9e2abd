//! The log of peers that were refused or that refused us: one line per peer, certificate and cause,
//! repetitions counted and told later, because a misconfigured peer dials again every second.
//!
//! The last lines are remembered, so that they can be asked for where nobody reads the log.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use ringwall_pki::CertificateInfo;
use tokio::time::Instant;

use crate::display;
use crate::failure::{HandshakeFailure, PeerRole};
use crate::stream::PeerIdentity;

/// Limits repeated warnings about peers of one layer, and remembers the last ones.
#[derive(Debug)]
pub struct RefusalLog {
    /// Not told again within this time.
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    /// Oldest first.
    told: VecDeque<ToldRefusal>,
}

/// A line that was logged about a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldRefusal {
    pub at: Timestamp,
    /// The address that dialled us, or `-> host:port` that we dialled.
    pub peer: String,
    /// A short constant name of the cause, such as `untrusted_issuer`.
    pub why: &'static str,
    pub line: String,
}

/// What makes two warnings the same: who, showing what, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    /// The address dialled, or the IP address that dialled us.
    who: String,
    /// SHA-1 of the certificate shown, where there was one: two nodes may share an address.
    certificate: Option<String>,
    why: &'static str,
}

#[derive(Debug)]
struct Entry {
    logged: Instant,
    suppressed: u64,
}

/// What is to be said of a refusal.
#[derive(Debug, PartialEq, Eq)]
enum Admitted {
    /// Nothing yet.
    Later,
    /// The line, and that there were so many more like it since the last.
    Now { more: u64 },
}

impl Default for RefusalLog {
    fn default() -> Self {
        Self::new(INTERVAL)
    }
}

impl RefusalLog {
    /// Returns a log that repeats a line about the same peer and cause after `interval` at the earliest.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            state: Mutex::default(),
        }
    }

    /// Warns about a peer that dialled us. Its port changes with each attempt and does not count.
    pub fn inbound(&self, peer: SocketAddr, why: &'static str, line: impl fmt::Display) {
        self.warn(peer.ip().to_string(), &peer.to_string(), None, why, &line);
    }

    /// Warns about a peer that dialled a transport profile other than the one of all nodes.
    pub fn inbound_at(
        &self,
        profile: &str,
        peer: SocketAddr,
        why: &'static str,
        line: impl fmt::Display,
    ) {
        let who = format!("{} [{profile}]", peer.ip());
        let line = format!("{line} (transport profile [{profile}])");
        self.warn(who, &peer.to_string(), None, why, &line);
    }

    /// Warns about a peer that we dialled.
    pub fn outbound(&self, address: &str, why: &'static str, line: impl fmt::Display) {
        self.warn(format!("-> {address}"), address, None, why, &line);
    }

    /// Warns about a handshake that failed; of peers that merely went away only at debug level. A transport
    /// profile is named that is not the one of all nodes.
    pub fn handshake(&self, failure: &HandshakeFailure, profile: Option<&str>) {
        let peer = failure.peer();
        if failure.is_routine() {
            tracing::debug!(peer.address = %peer, %failure, "connection closed during handshake");
            return;
        }
        let who = match failure.peer_role() {
            PeerRole::Client => peer.ip().to_string(),
            PeerRole::Server => format!("-> {peer}"),
        };
        let certificate = failure
            .certificate()
            .map(|leaf| leaf.fingerprint_sha1.clone());
        let why = failure.reason().kind();
        match profile {
            None => self.warn(who, &peer.to_string(), certificate, why, failure),
            Some(profile) => {
                let who = format!("{who} [{profile}]");
                let line = format!("{failure} (transport profile [{profile}])");
                self.warn(who, &peer.to_string(), certificate, why, &line);
            }
        }
    }

    /// Returns the last lines, oldest first.
    pub fn told(&self) -> Vec<ToldRefusal> {
        self.state.lock().told.iter().cloned().collect()
    }

    /// Tells, now and then until the log is dropped, of repetitions whose peer has gone quiet.
    pub fn spawn_summaries(self: &Arc<Self>) {
        let log = Arc::downgrade(self);
        tokio::spawn(summarise(log, self.interval));
    }

    fn warn(
        &self,
        who: String,
        address: &str,
        certificate: Option<String>,
        why: &'static str,
        line: &dyn fmt::Display,
    ) {
        let key = Key {
            who,
            certificate,
            why,
        };
        let mut state = self.state.lock();
        let admitted = state.admit(key, Instant::now(), self.interval);
        // Names in certificates are chosen by others.
        let line = display::one_line(|f| write!(f, "{line}"));
        let Admitted::Now { more } = admitted else {
            drop(state);
            tracing::debug!(peer.address = address, reason = why, "{line}");
            return;
        };
        let line = match more {
            0 => line,
            more => format!("{line} (and {more} more like it)"),
        };
        state.remember(address, why, &line);
        drop(state);
        tracing::warn!(peer.address = address, reason = why, "{line}");
    }

    /// Returns who was refused how often since the last line about it, and forgets those that are quiet.
    fn overdue(&self, now: Instant) -> Vec<(Key, u64)> {
        let mut told = Vec::new();
        self.state.lock().entries.retain(|key, entry| {
            if now.duration_since(entry.logged) < self.interval {
                return true;
            }
            let more = std::mem::take(&mut entry.suppressed);
            entry.logged = now;
            if more > 0 {
                told.push((key.clone(), more));
            }
            more > 0
        });
        told
    }
}

impl State {
    fn admit(&mut self, key: Key, now: Instant, interval: Duration) -> Admitted {
        let entries = &mut self.entries;
        if !entries.contains_key(&key) && entries.len() >= MAX_ENTRIES {
            entries.retain(|_, entry| now.duration_since(entry.logged) < interval);
        }
        // A flood from more addresses than are remembered counts as one peer.
        let key = if entries.contains_key(&key) || entries.len() < MAX_ENTRIES {
            key
        } else {
            Key {
                who: "many".to_owned(),
                certificate: None,
                why: key.why,
            }
        };
        match entries.get_mut(&key) {
            Some(entry) if now.duration_since(entry.logged) < interval => {
                entry.suppressed += 1;
                Admitted::Later
            }
            Some(entry) => {
                entry.logged = now;
                let more = std::mem::take(&mut entry.suppressed);
                Admitted::Now { more }
            }
            None => {
                let entry = Entry {
                    logged: now,
                    suppressed: 0,
                };
                entries.insert(key, entry);
                Admitted::Now { more: 0 }
            }
        }
    }

    fn remember(&mut self, peer: &str, why: &'static str, line: &str) {
        if self.told.len() >= REMEMBERED {
            self.told.pop_front();
        }
        self.told.push_back(ToldRefusal {
            at: Timestamp::now(),
            peer: peer.to_owned(),
            why,
            line: line.to_owned(),
        });
    }
}

async fn summarise(log: Weak<RefusalLog>, interval: Duration) {
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(100)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(log) = log.upgrade() else {
            return;
        };
        for (key, more) in log.overdue(Instant::now()) {
            tracing::warn!(
                peer.address = key.who,
                reason = key.why,
                "refused [{}] {more} more times for the same reason ({})",
                key.who,
                key.why
            );
        }
    }
}

/// Writes ` with certificate [subject], ...`, or nothing for a peer without one.
pub fn with_certificate(peer: Option<&PeerIdentity>) -> String {
    match peer.and_then(|peer| peer.info.as_ref()) {
        Some(info) => format!(" with certificate {}", Named(info)),
        None => String::new(),
    }
}

/// A certificate as log lines name it.
pub(crate) struct Named<'a>(pub(crate) &'a CertificateInfo);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.0;
        write!(
            f,
            "[{}] (fingerprint [{}], serial number [{}], subject alternative names [",
            info.subject, info.fingerprint_sha1, info.serial
        )?;
        for (position, name) in info.subject_alternative_names.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            write!(f, "{name}")?;
        }
        f.write_str("])")
    }
}

/// A line about one peer, certificate and cause is logged at most once in this time, unless configured otherwise.
const INTERVAL: Duration = Duration::from_secs(30);
const MAX_ENTRIES: usize = 1024;
const REMEMBERED: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Admitted = Admitted::Later;
    const NOW: Admitted = Admitted::Now { more: 0 };

    fn key(who: &str) -> Key {
        Key {
            who: who.to_owned(),
            certificate: None,
            why: "cluster_name",
        }
    }

    fn admit(log: &RefusalLog, key: Key, now: Instant) -> Admitted {
        log.state.lock().admit(key, now, log.interval)
    }

    #[test]
    fn repetitions_are_counted_and_told_later() {
        let log = RefusalLog::default();
        let start = Instant::now();
        assert_eq!(admit(&log, key("a"), start), NOW);
        assert_eq!(admit(&log, key("b"), start), NOW);
        for second in 1..30 {
            let at = start + Duration::from_secs(second);
            assert_eq!(admit(&log, key("a"), at), LATER);
        }
        let again = start + INTERVAL;
        assert_eq!(admit(&log, key("a"), again), Admitted::Now { more: 29 });
        assert_eq!(admit(&log, key("a"), again), LATER);
    }

    #[test]
    fn another_certificate_behind_the_same_address_is_another_peer() {
        let log = RefusalLog::default();
        let start = Instant::now();
        let showing = |fingerprint: &str| Key {
            certificate: Some(fingerprint.to_owned()),
            ..key("a")
        };
        assert_eq!(admit(&log, showing("01"), start), NOW);
        assert_eq!(admit(&log, showing("02"), start), NOW);
        assert_eq!(admit(&log, showing("01"), start), LATER);
    }

    #[test]
    fn who_stops_is_summarised_and_forgotten() {
        let log = RefusalLog::default();
        let start = Instant::now();
        for _ in 0..8 {
            admit(&log, key("a"), start);
        }
        admit(&log, key("once"), start);
        assert!(log.overdue(start).is_empty());
        assert_eq!(log.overdue(start + INTERVAL), [(key("a"), 7)]);
        assert_eq!(log.overdue(start + 2 * INTERVAL), []);
        assert!(log.state.lock().entries.is_empty());
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let log = RefusalLog::default();
        let start = Instant::now();
        let admitted = (0..3 * MAX_ENTRIES)
            .filter(|i| admit(&log, key(&i.to_string()), start) == NOW)
            .count();
        assert_eq!(admitted, MAX_ENTRIES + 1);
        assert!(log.state.lock().entries.len() <= MAX_ENTRIES + 8);
        assert_eq!(admit(&log, key("fresh"), start + INTERVAL), NOW);
    }

    #[test]
    fn the_last_lines_are_remembered() {
        let log = RefusalLog::default();
        for port in 0..100 {
            let peer = SocketAddr::from(([192, 0, 2, port], 1));
            log.inbound(peer, "plaintext", format!("line {port}"));
        }
        let told = log.told();
        assert_eq!(told.len(), REMEMBERED);
        assert_eq!(told.last().unwrap().line, "line 99");
        assert_eq!(told.last().unwrap().peer, "192.0.2.99:1");
    }
}
