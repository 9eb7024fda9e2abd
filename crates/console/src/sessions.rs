//! Who is logged in. Kept in memory: a restart logs everybody out.
//!
//! The browser has a random id of 256 bits. The console knows only its hash, so that nothing in its memory but the
//! credentials themselves is worth stealing.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use ringwall_base::{SecretString, random_bytes};
use sha2::{Digest, Sha256};

use crate::config::SessionConfig;

/// Where a login comes from, as its user is told.
#[derive(Debug, Clone)]
pub struct Origin {
    pub client: IpAddr,
    /// What the browser calls itself, cut.
    pub agent: String,
}

/// One login.
pub struct Session {
    /// Tells it apart on pages; it opens nothing.
    pub handle: SecretString,
    pub user: String,
    pub origin: Origin,
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
    /// Returns how long ago it began and how long ago it was used.
    pub fn ages(&self, now: Instant) -> (Duration, Duration) {
        let since = |then| now.saturating_duration_since(then);
        (since(self.started), since(self.state.lock().used))
    }

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
    pub fn begin(
        &self,
        user: String,
        authorization: SecretString,
        origin: Origin,
        now: Instant,
    ) -> SecretString {
        let id = random_id();
        let session = Arc::new(Session {
            handle: random_id(),
            user,
            origin,
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

    /// Returns the sessions of a user, those used last first.
    pub fn of(&self, user: &str, now: Instant) -> Vec<Arc<Session>> {
        let mut sessions = self.by_hash.lock();
        sessions.retain(|_, session| !self.has_ended(session, now));
        let own = sessions.values().filter(|session| session.user == user);
        let mut own: Vec<Arc<Session>> = own.cloned().collect();
        own.sort_by_key(|session| session.ages(now).1);
        own
    }

    /// Ends the session of a user that pages tell apart by this handle; returns whether there was one.
    pub fn end_of(&self, user: &str, handle: &SecretString) -> bool {
        let mut sessions = self.by_hash.lock();
        let before = sessions.len();
        sessions.retain(|_, session| session.user != user || session.handle != *handle);
        sessions.len() < before
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
    use super::*;

    fn origin() -> Origin {
        Origin {
            client: IpAddr::from([127, 0, 0, 1]),
            agent: String::new(),
        }
    }

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
        let idle = sessions.begin("ann".into(), "x".into(), origin(), start);
        assert!(sessions.find(idle.expose(), at(10)).is_some());
        assert!(sessions.find(idle.expose(), at(21)).is_none());
        let busy = sessions.begin("ann".into(), "x".into(), origin(), start);
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
            .map(|user| sessions.begin(user.into(), "x".into(), origin(), now))
            .into();
        sessions.end(ids[0].expose());
        assert!(sessions.find(ids[0].expose(), now).is_none());
        assert!(sessions.find(ids[1].expose(), now).is_some());
        assert_eq!(sessions.end_all("ann", now), 1);
        assert!(sessions.find(ids[1].expose(), now).is_none());
        assert!(sessions.find(ids[2].expose(), now).is_some());
    }

    #[test]
    fn a_user_lists_and_ends_the_own_ones_only() {
        let sessions = sessions(10);
        let now = Instant::now();
        let id = sessions.begin("ann".into(), "x".into(), origin(), now);
        let other = sessions.begin("bob".into(), "x".into(), origin(), now);
        let own = sessions.of("ann", now);
        assert_eq!(own.len(), 1);
        assert_ne!(own[0].handle, id);
        assert!(sessions.find(own[0].handle.expose(), now).is_none());
        let of_other = &sessions.of("bob", now)[0].handle;
        assert!(!sessions.end_of("ann", of_other));
        assert!(sessions.find(other.expose(), now).is_some());
        assert!(sessions.end_of("ann", &own[0].handle));
        assert!(sessions.find(id.expose(), now).is_none());
        assert!(sessions.of("bob", now + Duration::from_secs(11)).is_empty());
    }

    #[test]
    fn one_too_many_ends_the_one_used_least_recently() {
        let sessions = sessions(2);
        let now = Instant::now();
        let first = sessions.begin("a".into(), "x".into(), origin(), now);
        let second = sessions.begin("b".into(), "x".into(), origin(), now);
        let later = now + Duration::from_secs(1);
        assert!(sessions.find(first.expose(), later).is_some());
        sessions.begin("c".into(), "x".into(), origin(), later);
        assert!(sessions.find(first.expose(), later).is_some());
        assert!(sessions.find(second.expose(), later).is_none());
    }
}
