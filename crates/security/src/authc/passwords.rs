//! Logins with passwords: the users of each realm, one after the other. Source: Elasticsearch reference, "Realm chains".

use std::sync::Arc;

use ringwall_api::ApiResult;
use ringwall_api::auth::{Authentication, RealmRef, User};
use ringwall_base::SecretString;

use super::credential::Basic;
use super::{FILE, NATIVE, PasswordRealm, RESERVED, Realms, Refusal, identity, realm_ref};
use crate::hash::verify;
use crate::{StoredUser, reserved};

/// What a realm knows about a name before looking at the password.
struct Candidate {
    /// `None` when the name cannot log in: unknown, disabled, internal, or without a password.
    user: Option<Arc<User>>,
    realm: RealmRef,
    secret: StoredSecret,
}

#[derive(Clone)]
enum StoredSecret {
    Hash(Arc<str>),
    /// Compared as it is, in constant time.
    Bootstrap(SecretString),
}

impl Realms {
    /// Returns who has this name and password; `None` when nobody has.
    ///
    /// # Errors
    /// 429 when too many logins wait.
    pub(super) async fn log_in(
        &self,
        basic: &Basic,
        refusals: &mut Vec<Refusal>,
    ) -> ApiResult<Option<Authentication>> {
        let generation = self.generation();
        if let Some(found) = self.cache.find(basic, generation) {
            return Ok(Some(found));
        }
        for candidate in self.candidates(&basic.username) {
            if let Some(found) = self.try_candidate(basic, candidate, generation).await? {
                self.tell_realms(&basic.username, Some(&found.realm.name), refusals);
                return Ok(Some(found));
            }
        }
        self.tell_realms(&basic.username, None, refusals);
        Ok(None)
    }

    async fn try_candidate(
        &self,
        basic: &Basic,
        candidate: Candidate,
        generation: u64,
    ) -> ApiResult<Option<Authentication>> {
        let Candidate {
            user,
            realm,
            secret,
        } = candidate;
        let remember = |user: Arc<User>, hash: &Arc<str>| {
            let authentication = identity(user, realm.clone());
            self.cache
                .remember(basic, hash, generation, authentication.clone());
            authentication
        };
        if let (Some(user), StoredSecret::Hash(hash)) = (&user, &secret)
            && self.cache.still_holds(basic, hash)
        {
            return Ok(Some(remember(Arc::clone(user), hash)));
        }
        let matches = self.verify(basic, &secret).await?;
        match (user, &secret) {
            (Some(user), StoredSecret::Hash(hash)) if matches => Ok(Some(remember(user, hash))),
            (Some(user), StoredSecret::Bootstrap(_)) if matches => Ok(Some(identity(user, realm))),
            (user, _) => {
                tracing::info!(
                    user.name = %basic.username,
                    realm = realm.name,
                    known = user.is_some(),
                    "authentication failed"
                );
                Ok(None)
            }
        }
    }

    /// Looks the name up in each realm, in their order. The reserved realm terminates: a user of a
    /// reserved name in another realm is never reached. A name that cannot log in anywhere gets the
    /// dummy hash, so that refusing it takes as long.
    fn candidates(&self, username: &str) -> Vec<Candidate> {
        if reserved::is_internal(username) || self.is_anonymous(username) {
            return vec![self.nobody()];
        }
        if reserved::is_reserved(username) {
            return vec![self.reserved_candidate(username)];
        }
        let found: Vec<Candidate> = self
            .password_realms
            .iter()
            .filter_map(|realm| match realm {
                PasswordRealm::File(realm) => {
                    let stored = realm.user(username)?;
                    Some(candidate(stored, realm_ref(realm.name(), FILE)))
                }
                PasswordRealm::Native { name } => {
                    let stored = self.store.native_user(username)?;
                    let enabled = stored.user.enabled;
                    enabled.then(|| candidate(stored, realm_ref(name, NATIVE)))
                }
            })
            .collect();
        match found.is_empty() {
            true => vec![self.nobody()],
            false => found,
        }
    }

    fn nobody(&self) -> Candidate {
        Candidate {
            user: None,
            realm: realm_ref("none", "none"),
            secret: StoredSecret::Hash(Arc::clone(&self.dummy_hash)),
        }
    }

    fn reserved_candidate(&self, username: &str) -> Candidate {
        let stored = self.store.reserved_user(username);
        let enabled = stored.as_ref().is_none_or(|stored| stored.enabled);
        let hash = stored.and_then(|stored| stored.password_hash);
        let secret = match hash {
            Some(hash) => Some(StoredSecret::Hash(hash.into())),
            None if username == reserved::ELASTIC => self.first_password(),
            None => None,
        };
        let user = reserved::user(username, true).filter(|_| enabled && secret.is_some());
        Candidate {
            user: user.map(Arc::new),
            realm: realm_ref(RESERVED, RESERVED),
            secret: secret.unwrap_or_else(|| StoredSecret::Hash(Arc::clone(&self.dummy_hash))),
        }
    }

    /// Returns what `elastic` logs in with while no password is stored.
    fn first_password(&self) -> Option<StoredSecret> {
        if let Some(hash) = &self.autoconfiguration_hash {
            return Some(StoredSecret::Hash(hash.expose().into()));
        }
        let bootstrap = self.bootstrap_password.as_ref()?;
        Some(StoredSecret::Bootstrap(bootstrap.clone()))
    }

    async fn verify(&self, basic: &Basic, secret: &StoredSecret) -> ApiResult<bool> {
        match secret {
            StoredSecret::Hash(hash) => {
                self.verifications
                    .verify(&self.pool, basic, Arc::clone(hash))
                    .await
            }
            StoredSecret::Bootstrap(bootstrap) => {
                if basic.password == *bootstrap {
                    return Ok(true);
                }
                // A guess at the bootstrap password must not be cheaper than one at a stored one.
                self.verifications
                    .verify(&self.pool, basic, Arc::clone(&self.dummy_hash))
                    .await?;
                Ok(false)
            }
        }
    }
}

/// Verifies on the calling (blocking) thread. A stored hash that cannot be read verifies nothing.
pub(super) fn verify_stored(username: &str, password: &SecretString, hash: &str) -> bool {
    verify(password, hash).unwrap_or_else(|_| {
        tracing::error!(user.name = %username, "stored password hash is not of a supported algorithm");
        false
    })
}

fn candidate(stored: StoredUser, realm: RealmRef) -> Candidate {
    Candidate {
        user: Some(Arc::new(stored.user)),
        realm,
        secret: StoredSecret::Hash(stored.password_hash.into()),
    }
}
