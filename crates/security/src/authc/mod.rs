//! Authentication: from an `Authorization` header to an identity. Source: security.md section 1.

mod cache;
mod challenge;
mod credential;

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::auth::{Authentication, AuthenticationType, RealmRef, User};
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::SecretString;

use self::cache::{SuccessCache, Verifications};
use self::challenge::{bad_basic, bad_user, missing, unsupported_scheme};
use self::credential::{Basic, Credential};
use crate::hash::{Hasher, verify};
use crate::{HashPool, HashPoolConfig, SecurityStore, reserved};

/// How logins are checked and remembered.
#[derive(Debug, Clone)]
pub struct AuthenticatorConfig {
    /// The algorithm of new passwords, which decides how long a refusal takes for unknown users.
    pub hasher: Hasher,
    /// How long a successful login is remembered; zero turns the cache off.
    /// Setting `xpack.security.authc.realms.native.*.cache.ttl`, 20 minutes.
    pub cache_ttl: Duration,
    /// The number of users remembered. Setting `...cache.max_users`, 100,000.
    pub cache_max_users: u64,
    pub pool: HashPoolConfig,
    /// The password of `elastic` until one is stored: keystore value `bootstrap.password`.
    pub bootstrap_password: Option<SecretString>,
}

impl Default for AuthenticatorConfig {
    fn default() -> Self {
        Self {
            hasher: Hasher::default(),
            cache_ttl: Duration::from_secs(20 * 60),
            cache_max_users: 100_000,
            pool: HashPoolConfig::default(),
            bootstrap_password: None,
        }
    }
}

/// Checks credentials against the reserved and native realms.
pub struct Authenticator {
    /// `None` when security is off: everyone is the same anonymous superuser.
    realms: Option<Realms>,
}

struct Realms {
    store: Arc<dyn SecurityStore>,
    pool: HashPool,
    dummy_hash: Arc<str>,
    bootstrap_password: Option<SecretString>,
    cache: SuccessCache,
    verifications: Verifications,
}

impl Authenticator {
    /// Returns an authenticator over the users of the store.
    pub fn new(store: Arc<dyn SecurityStore>, config: AuthenticatorConfig) -> Self {
        let pool = HashPool::new(config.pool);
        Self::with_pool(store, config, pool)
    }

    /// As [`Authenticator::new`], sharing a pool with the [`crate::PasswordService`].
    pub fn with_pool(
        store: Arc<dyn SecurityStore>,
        config: AuthenticatorConfig,
        pool: HashPool,
    ) -> Self {
        Self {
            realms: Some(Realms {
                store,
                pool,
                dummy_hash: config.hasher.dummy_hash().into(),
                bootstrap_password: config
                    .bootstrap_password
                    .filter(|password| !password.is_empty()),
                cache: SuccessCache::new(config.cache_ttl, config.cache_max_users),
                verifications: Verifications::default(),
            }),
        }
    }

    /// Returns an authenticator for `xpack.security.enabled: false`: it accepts every request, with
    /// or without credentials, as one anonymous superuser.
    pub fn disabled() -> Self {
        Self { realms: None }
    }

    /// Returns the identity behind an `Authorization` header value.
    ///
    /// `uri` is only quoted in refusals. Errors: 401 with `WWW-Authenticate` (section 1.4; the same
    /// body for unknown users, wrong passwords and disabled users), 429 when too many logins wait.
    pub async fn authenticate(
        &self,
        authorization: Option<&str>,
        uri: &str,
    ) -> ApiResult<Authentication> {
        let Some(realms) = &self.realms else {
            return Ok(anonymous_superuser());
        };
        match credential::parse(authorization) {
            Credential::None => Err(missing(uri)),
            Credential::Unsupported => Err(unsupported_scheme()),
            Credential::BadBasic(reason) => Err(bad_basic(reason)),
            Credential::Basic(basic) => realms.authenticate(basic, uri).await,
        }
    }
}

/// What a realm knows about a name before looking at the password.
struct Candidate {
    /// `None` when the name cannot log in: unknown, disabled, internal, or without a password.
    user: Option<Arc<User>>,
    realm: &'static str,
    secret: StoredSecret,
}

#[derive(Clone)]
enum StoredSecret {
    Hash(Arc<str>),
    /// Compared as it is, in constant time.
    Bootstrap(SecretString),
}

impl Realms {
    async fn authenticate(&self, basic: Basic, uri: &str) -> ApiResult<Authentication> {
        let generation = self.store.generation();
        if let Some(found) = self.cache.find(&basic, generation) {
            return Ok(found);
        }
        let candidate = self.candidate(&basic.username);
        let secret = candidate.secret.clone();
        if let (Some(user), StoredSecret::Hash(hash)) = (&candidate.user, &secret)
            && self.cache.still_holds(&basic, hash)
        {
            let authentication = identity(Arc::clone(user), candidate.realm);
            self.cache
                .remember(&basic, hash, generation, authentication.clone());
            return Ok(authentication);
        }
        let matches = self.verify(&basic, &secret).await?;
        match candidate.user {
            Some(user) if matches => {
                let authentication = identity(user, candidate.realm);
                if let StoredSecret::Hash(hash) = &secret {
                    self.cache
                        .remember(&basic, hash, generation, authentication.clone());
                }
                Ok(authentication)
            }
            _ => {
                tracing::info!(
                    user.name = %basic.username,
                    realm = candidate.realm,
                    known = candidate.user.is_some(),
                    "authentication failed"
                );
                Err(bad_user(&basic.username, uri))
            }
        }
    }

    /// Looks the name up. The reserved realm terminates: a native user of a reserved name is never
    /// reached. Names that cannot log in get the dummy hash, so that refusing them takes as long.
    fn candidate(&self, username: &str) -> Candidate {
        let dummy = || StoredSecret::Hash(Arc::clone(&self.dummy_hash));
        if reserved::is_internal(username) {
            return Candidate {
                user: None,
                realm: NATIVE,
                secret: dummy(),
            };
        }
        if reserved::is_reserved(username) {
            return self.reserved_candidate(username);
        }
        match self.store.native_user(username) {
            Some(stored) if stored.user.enabled => Candidate {
                user: Some(Arc::new(stored.user)),
                realm: NATIVE,
                secret: StoredSecret::Hash(stored.password_hash.into()),
            },
            _ => Candidate {
                user: None,
                realm: NATIVE,
                secret: dummy(),
            },
        }
    }

    fn reserved_candidate(&self, username: &str) -> Candidate {
        let stored = self.store.reserved_user(username);
        let enabled = stored.as_ref().is_none_or(|stored| stored.enabled);
        let hash = stored.and_then(|stored| stored.password_hash);
        let secret = match (hash, &self.bootstrap_password) {
            (Some(hash), _) => Some(StoredSecret::Hash(hash.into())),
            (None, Some(bootstrap)) if username == reserved::ELASTIC => {
                Some(StoredSecret::Bootstrap(bootstrap.clone()))
            }
            _ => None,
        };
        let user = reserved::user(username, true).filter(|_| enabled && secret.is_some());
        Candidate {
            user: user.map(Arc::new),
            realm: RESERVED,
            secret: secret.unwrap_or_else(|| StoredSecret::Hash(Arc::clone(&self.dummy_hash))),
        }
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
fn verify_stored(username: &str, password: &SecretString, hash: &str) -> bool {
    verify(password, hash).unwrap_or_else(|_| {
        tracing::error!(user.name = %username, "stored password hash is not of a supported algorithm");
        false
    })
}

fn identity(user: Arc<User>, realm: &'static str) -> Authentication {
    let name = if realm == NATIVE { NATIVE_NAME } else { realm };
    Authentication {
        user,
        realm: RealmRef {
            name: name.to_owned(),
            realm_type: realm.to_owned(),
        },
        authentication_type: AuthenticationType::Realm,
    }
}

/// Returns the identity of every caller when security is off.
fn anonymous_superuser() -> Authentication {
    Authentication {
        user: Arc::new(User {
            username: "_anonymous".to_owned(),
            roles: vec!["superuser".to_owned()],
            full_name: None,
            email: None,
            metadata: serde_json::Map::new(),
            enabled: true,
        }),
        realm: RealmRef {
            name: "__anonymous".to_owned(),
            realm_type: "__anonymous".to_owned(),
        },
        authentication_type: AuthenticationType::Anonymous,
    }
}

/// Returns the 401 for a request that carries headers only nodes may send.
pub fn tampered_request(uri: &str) -> ApiError {
    challenge::tampered(uri)
}

const NATIVE: &str = "native";
const NATIVE_NAME: &str = "default_native";
const RESERVED: &str = "reserved";

#[cfg(test)]
mod tests;
