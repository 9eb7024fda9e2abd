//! The log of peers that were refused or that refused us: one line per cause and peer, repetitions
//! summarised, because a misconfigured peer dials again every second.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use parking_lot::Mutex;
use ringwall_tls::PeerIdentity;
use tokio::time::Instant;

/// Limits repeated warnings about peers.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog {
    recent: Mutex<HashMap<Key, Entry>>,
}

/// What makes two warnings the same: who and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    /// The address dialled, or the IP address that dialled us.
    who: String,
    why: &'static str,
}

#[derive(Debug)]
struct Entry {
    logged: Instant,
    suppressed: u64,
}

impl RefusalLog {
    /// Warns about a peer that dialled us. Its port changes with each attempt and does not count.
    /// A profile is named that is not the one of all nodes.
    pub(crate) fn inbound(
        &self,
        peer: SocketAddr,
        profile: Option<&str>,
        why: &'static str,
        line: impl fmt::Display,
    ) {
        let (who, address) = (peer.ip().to_string(), peer.to_string());
        match profile {
            None => self.warn(who, &address, why, &line),
            Some(profile) => {
                let line = format!("{line} (transport profile [{profile}])");
                self.warn(format!("{who} [{profile}]"), &address, why, &line);
            }
        }
    }

    /// Warns about a peer that we dialled.
    pub(crate) fn outbound(&self, address: &str, why: &'static str, line: impl fmt::Display) {
        self.warn(format!("-> {address}"), address, why, &line);
    }

    fn warn(&self, who: String, address: &str, why: &'static str, line: &dyn fmt::Display) {
        match self.admit(Key { who, why }, Instant::now()) {
            None => tracing::debug!(peer.address = address, reason = why, "{line}"),
            Some(0) => tracing::warn!(peer.address = address, reason = why, "{line}"),
            Some(more) => {
                tracing::warn!(
                    peer.address = address,
                    reason = why,
                    "{line} (and {more} more like it)"
                );
            }
        }
    }

    /// Returns how many like it went unlogged, or `None` when this one should too.
    fn admit(&self, key: Key, now: Instant) -> Option<u64> {
        let mut recent = self.recent.lock();
        if !recent.contains_key(&key) && recent.len() >= MAX_ENTRIES {
            recent.retain(|_, entry| now.duration_since(entry.logged) < INTERVAL);
        }
        // A flood from more addresses than are remembered counts as one peer.
        let key = if recent.contains_key(&key) || recent.len() < MAX_ENTRIES {
            key
        } else {
            Key {
                who: "many".to_owned(),
                why: key.why,
            }
        };
        match recent.get_mut(&key) {
            Some(entry) if now.duration_since(entry.logged) < INTERVAL => {
                entry.suppressed += 1;
                None
            }
            Some(entry) => {
                entry.logged = now;
                Some(std::mem::take(&mut entry.suppressed))
            }
            None => {
                let entry = Entry {
                    logged: now,
                    suppressed: 0,
                };
                recent.insert(key, entry);
                Some(0)
            }
        }
    }
}

/// Writes ` with certificate [subject]`, or nothing for a peer without one.
pub(crate) fn with_certificate(peer: Option<&PeerIdentity>) -> String {
    match peer.and_then(|peer| peer.info.as_ref()) {
        Some(info) => format!(" with certificate [{}]", info.subject),
        None => String::new(),
    }
}

/// What to do about links without TLS while both are let in.
pub(crate) const DUAL_STACK_REMEDY: &str = "turn TLS on there too \
    ([xpack.security.transport.ssl.enabled]), then end [xpack.security.transport.ssl.dual_stack.enabled]";

/// A line of one cause and peer is logged at most once in this time.
const INTERVAL: Duration = Duration::from_secs(30);
const MAX_ENTRIES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(who: &str) -> Key {
        Key {
            who: who.to_owned(),
            why: "cluster_name",
        }
    }

    #[test]
    fn repetitions_are_counted_and_told_later() {
        let log = RefusalLog::default();
        let start = Instant::now();
        assert_eq!(log.admit(key("a"), start), Some(0));
        assert_eq!(log.admit(key("b"), start), Some(0));
        for second in 1..30 {
            assert_eq!(
                log.admit(key("a"), start + Duration::from_secs(second)),
                None
            );
        }
        assert_eq!(log.admit(key("a"), start + INTERVAL), Some(29));
        assert_eq!(log.admit(key("a"), start + INTERVAL), None);
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let log = RefusalLog::default();
        let start = Instant::now();
        let admitted = (0..3 * MAX_ENTRIES)
            .filter(|i| log.admit(key(&i.to_string()), start).is_some())
            .count();
        assert_eq!(admitted, MAX_ENTRIES + 1);
        assert!(log.recent.lock().len() <= MAX_ENTRIES + 8);
        assert_eq!(log.admit(key("fresh"), start + INTERVAL), Some(0));
    }
}
