//! Who is logged in. Kept in memory: a restart logs everybody out.
//!
//! The browser has a random id of 256 bits. The console knows only its hash, so that nothing in its memory but the
//! credentials themselves is worth stealing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use ringwall_base::{SecretString, random_bytes};
use sha2::{Digest, Sha256};

use crate::config::SessionConfig;

/// One login.
pub struct Session {
    pub user: String,
    /// The `Authorization` header of the user's requests.
    pub authorization: SecretString,
    /// What forms of this session carry.
    pub form_token: SecretString,
    started: Instant,
    state: Mutex<State>,
}

struct State {
    used: Instant,
    /// What is told once, on the next page.
    notice: Option<String>,
    /// Cluster privileges that the user has of those that pages need, and when that was asked.
    privileges: Option<(Instant, Arc<BTreeSet<String>>)>,
}

impl Session {
    pub fn set_notice(&self, text: String) {
        self.state.lock().notice = Some(text);
    }

    pub fn take_notice(&self) -> Option<String> {
        self.state.lock().notice.take()
    }

    /// Returns the privileges that were found last, and when.
    pub fn privileges(&self) -> Option<(Instant, Arc<BTreeSet<String>>)> {
        self.state.lock().privileges.clone()
    }

    pub fn set_privileges(&self, now: Instant, privileges: Arc<BTreeSet<String>>) {
        self.state.lock().privileges = Some((now, privileges));
    }
}

/// All logins.
pub struct Sessions {
    config: SessionConfig,
    by_hash: Mutex<HashMap<[u8; 32], Arc<Session>>>,
}

impl Sessions {
    pub fn new(config: SessionConfig) -> Self {
        Self {
            config,
            by_hash: Mutex::default(),
        }
    }

    /// Begins a session and returns its id for the browser. The one that was used least recently ends where there are
    /// too many.
    pub fn begin(&self, user: String, authorization: SecretString, now: Instant) -> SecretString {
        let id = random_id();
        let session = Arc::new(Session {
            user,
            authorization,
            form_token: random_id(),
            started: now,
            state: Mutex::new(State {
                used: now,
                notice: None,
                privileges: None,
            }),
        });
        let mut sessions = self.by_hash.lock();
        sessions.retain(|_, session| !self.has_ended(session, now));
        if sessions.len() >= self.config.max {
            let oldest = sessions
                .iter()
                .min_by_key(|(_, session)| session.state.lock().used)
                .map(|(hash, _)| *hash);
            oldest.and_then(|hash| sessions.remove(&hash));
        }
        sessions.insert(hash(id.expose()), session);
        id
    }

    /// Returns the session of an id, and counts as a use of it.
    pub fn find(&self, id: &str, now: Instant) -> Option<Arc<Session>> {
        let mut sessions = self.by_hash.lock();
        let key = hash(id);
        let session = Arc::clone(sessions.get(&key)?);
        if self.has_ended(&session, now) {
            sessions.remove(&key);
            return None;
        }
        session.state.lock().used = now;
        Some(session)
    }

    /// Ends one session.
    pub fn end(&self, id: &str) {
        self.by_hash.lock().remove(&hash(id));
    }

    /// Ends all sessions of a user; returns how many there were.
    pub fn end_all(&self, user: &str, now: Instant) -> usize {
        let mut sessions = self.by_hash.lock();
        sessions.retain(|_, session| !self.has_ended(session, now));
        let before = sessions.len();
        sessions.retain(|_, session| session.user != user);
        before - sessions.len()
    }

    fn has_ended(&self, session: &Session, now: Instant) -> bool {
        let since = |then| now.saturating_duration_since(then);
        let used = session.state.lock().used;
        self.config.idle.is_some_and(|idle| since(used) > idle)
            || self
                .config
                .lifespan
                .is_some_and(|life| since(session.started) > life)
    }
}

/// Returns 256 random bits as text for a cookie or a form.
pub fn random_id() -> SecretString {
    SecretString::new(URL_SAFE_NO_PAD.encode(random_bytes::<32>()))
}

fn hash(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sessions(max: usize) -> Sessions {
        Sessions::new(SessionConfig {
            idle: Some(Duration::from_secs(10)),
            lifespan: Some(Duration::from_secs(25)),
            max,
        })
    }

    #[test]
    fn a_session_ends_idle_and_after_its_life_however_busy() {
        let sessions = sessions(10);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let idle = sessions.begin("ann".into(), "x".into(), start);
        assert!(sessions.find(idle.expose(), at(10)).is_some());
        assert!(sessions.find(idle.expose(), at(21)).is_none());
        let busy = sessions.begin("ann".into(), "x".into(), start);
        for seconds in [9, 18, 25] {
            assert!(sessions.find(busy.expose(), at(seconds)).is_some());
        }
        assert!(sessions.find(busy.expose(), at(26)).is_none());
        assert!(sessions.find("guess", start).is_none());
        assert!(sessions.find("", start).is_none());
    }

    #[test]
    fn logging_out_ends_one_or_all() {
        let sessions = sessions(10);
        let now = Instant::now();
        let ids: Vec<SecretString> = ["ann", "ann", "bob"]
            .map(|user| sessions.begin(user.into(), "x".into(), now))
            .into();
        sessions.end(ids[0].expose());
        assert!(sessions.find(ids[0].expose(), now).is_none());
        assert!(sessions.find(ids[1].expose(), now).is_some());
        assert_eq!(sessions.end_all("ann", now), 1);
        assert!(sessions.find(ids[1].expose(), now).is_none());
        assert!(sessions.find(ids[2].expose(), now).is_some());
    }

    #[test]
    fn one_too_many_ends_the_one_used_least_recently() {
        let sessions = sessions(2);
        let now = Instant::now();
        let first = sessions.begin("a".into(), "x".into(), now);
        let second = sessions.begin("b".into(), "x".into(), now);
        let later = now + Duration::from_secs(1);
        assert!(sessions.find(first.expose(), later).is_some());
        sessions.begin("c".into(), "x".into(), later);
        assert!(sessions.find(first.expose(), later).is_some());
        assert!(sessions.find(second.expose(), later).is_none());
    }
}
