//! Remembering logins, and sharing the slow verification between those that arrive together.
//! Source: Elasticsearch reference, "Controlling the user cache".

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ringwall_api::ApiResult;
use ringwall_api::auth::Authentication;
use ringwall_base::SecretString;
use ringwall_base::ids::random_bytes;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::OnceCell;

use super::credential::Basic;
use super::passwords::verify_stored;
use crate::HashPool;

/// The last good password of each user, as a fast salted hash, with what it was checked against.
pub(super) struct SuccessCache {
    /// `None` when turned off.
    entries: Option<moka::sync::Cache<String, Arc<Entry>>>,
}

struct Entry {
    salt: [u8; 16],
    digest: [u8; 32],
    stored_hash: Arc<str>,
    generation: u64,
    authentication: Authentication,
}

impl SuccessCache {
    pub(super) fn new(ttl: Duration, max_users: u64) -> Self {
        let entries = (!ttl.is_zero() && max_users > 0).then(|| {
            moka::sync::Cache::builder()
                .max_capacity(max_users)
                .time_to_live(ttl)
                .build()
        });
        Self { entries }
    }

    /// Returns the identity of a remembered login, if no user has changed since and the password is
    /// the remembered one.
    pub(super) fn find(&self, basic: &Basic, generation: u64) -> Option<Authentication> {
        let entry = self.entries.as_ref()?.get(&basic.username)?;
        (entry.generation == generation && entry.matches(&basic.password))
            .then(|| entry.authentication.clone())
    }

    /// Returns whether the password was already verified against this very stored hash: some user
    /// changed since, but not the password of this one.
    pub(super) fn still_holds(&self, basic: &Basic, stored_hash: &str) -> bool {
        let entry = self
            .entries
            .as_ref()
            .and_then(|entries| entries.get(&basic.username));
        entry.is_some_and(|entry| {
            bool::from(entry.stored_hash.as_bytes().ct_eq(stored_hash.as_bytes()))
                && entry.matches(&basic.password)
        })
    }

    /// Remembers a login. The generation is the one read before the user was looked up.
    pub(super) fn remember(
        &self,
        basic: &Basic,
        stored_hash: &Arc<str>,
        generation: u64,
        authentication: Authentication,
    ) {
        let Some(entries) = &self.entries else {
            return;
        };
        let salt = random_bytes();
        let entry = Entry {
            salt,
            digest: fast_digest(&salt, &basic.password),
            stored_hash: Arc::clone(stored_hash),
            generation,
            authentication,
        };
        entries.insert(basic.username.clone(), Arc::new(entry));
    }
}

impl Entry {
    fn matches(&self, password: &SecretString) -> bool {
        !password.is_empty() && bool::from(fast_digest(&self.salt, password).ct_eq(&self.digest))
    }
}

/// Slow verifications under way. Those of one user, password and stored hash run once.
pub(super) struct Verifications {
    /// Keys the digests below, so that they are worth nothing outside this process.
    salt: [u8; 16],
    running: Arc<Mutex<Running>>,
}

type Key = (String, [u8; 32], Arc<str>);
type Running = HashMap<Key, Arc<OnceCell<bool>>>;

impl Default for Verifications {
    fn default() -> Self {
        Self {
            salt: random_bytes(),
            running: Arc::default(),
        }
    }
}

impl Verifications {
    /// Returns whether the password has the stored hash, after a slow verification of its own or of
    /// a caller that asks the same. Errors: 429 when too many wait.
    pub(super) async fn verify(
        &self,
        pool: &HashPool,
        basic: &Basic,
        hash: Arc<str>,
    ) -> ApiResult<bool> {
        let key = (
            basic.username.clone(),
            fast_digest(&self.salt, &basic.password),
            Arc::clone(&hash),
        );
        let share = Share::join(&self.running, key);
        let verdict = share.cell.get_or_try_init(|| {
            let (username, password) = (basic.username.clone(), basic.password.clone());
            pool.run(move || verify_stored(&username, &password, &hash))
        });
        verdict.await.copied()
    }
}

/// A part in a running verification; the last to leave removes it.
struct Share {
    running: Arc<Mutex<Running>>,
    key: Key,
    cell: Arc<OnceCell<bool>>,
}

impl Share {
    fn join(running: &Arc<Mutex<Running>>, key: Key) -> Self {
        let cell = Arc::clone(running.lock().entry(key.clone()).or_default());
        Self {
            running: Arc::clone(running),
            key,
            cell,
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut running = self.running.lock();
        // Two owners: the map and this share. Joining takes the same lock, so nobody slips in.
        if Arc::strong_count(&self.cell) <= 2 {
            running.remove(&self.key);
        }
    }
}

fn fast_digest(salt: &[u8; 16], password: &SecretString) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(password.expose().as_bytes())
        .finalize()
        .into()
}
