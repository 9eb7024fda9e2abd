//! Authentication: from an `Authorization` header or a client certificate to an identity. Source: Elasticsearch
//! reference, "User authentication".

mod anonymous;
mod cache;
mod challenge;
mod credential;
mod passwords;
mod tokens;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringwall_api::auth::{Authentication, AuthenticationType, RealmRef, TokenRef, User};
use ringwall_api::security::{Grant, TokenHolder};
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::SecretString;

pub use self::anonymous::AnonymousAccess;
use self::cache::{SuccessCache, Verifications};
pub(crate) use self::challenge::Challenges;
use self::credential::{Basic, Credential};
use crate::api_keys::ApiKeyCredential;
use crate::files::{SERVICE_ACCOUNTS, ServiceAccountToken, ServiceTokensFile, Watched};
use crate::hash::Hasher;
use crate::pki_realm::{ClientCertificates, PKI_DN, PkiRealm, PkiVerdict};
use crate::role_mapping::{RoleMappings, Subject};
use crate::token_hash;
use crate::{FileRealm, HashPool, HashPoolConfig, SecurityStore, reserved};

/// How logins are checked and remembered.
#[derive(Clone)]
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
    /// The hash of the password made for `elastic` at the first start, until one is stored: keystore
    /// value `autoconfiguration.password_hash`. Goes before the bootstrap password.
    pub autoconfiguration_hash: Option<SecretString>,
    /// The realms whose users have passwords, beside the reserved one before them, in their order.
    pub password_realms: Vec<PasswordRealm>,
    /// The realms whose users have certificates, in their order.
    pub pki_realms: Vec<Arc<PkiRealm>>,
    /// Tokens of service accounts in a file of this node.
    pub service_tokens: Option<Arc<Watched<ServiceTokensFile>>>,
    /// Setting `xpack.security.authc.api_key.enabled`, on by default.
    pub api_keys: bool,
    /// Setting `xpack.security.authc.run_as.enabled`, on by default.
    pub run_as: bool,
    /// Whether there are access tokens. Setting `xpack.security.authc.token.enabled`.
    pub tokens: bool,
    /// Who comes without credentials; `None` where nobody may.
    pub anonymous: Option<AnonymousAccess>,
}

impl Default for AuthenticatorConfig {
    fn default() -> Self {
        Self {
            hasher: Hasher::default(),
            cache_ttl: Duration::from_secs(20 * 60),
            cache_max_users: 100_000,
            pool: HashPoolConfig::default(),
            bootstrap_password: None,
            autoconfiguration_hash: None,
            password_realms: vec![PasswordRealm::Native {
                name: "default_native".to_owned(),
            }],
            pki_realms: Vec::new(),
            service_tokens: None,
            api_keys: true,
            run_as: true,
            tokens: false,
            anonymous: None,
        }
    }
}

/// A realm whose users have passwords.
#[derive(Clone)]
pub enum PasswordRealm {
    /// Users in files of this node.
    File(Arc<FileRealm>),
    /// Users in the cluster.
    Native { name: String },
}

/// Checks credentials against the reserved realm and those configured.
pub struct Authenticator {
    /// `None` when security is off: everyone is the same anonymous superuser.
    realms: Option<Realms>,
}

struct Realms {
    store: Arc<dyn SecurityStore>,
    pool: HashPool,
    dummy_hash: Arc<str>,
    bootstrap_password: Option<SecretString>,
    autoconfiguration_hash: Option<SecretString>,
    password_realms: Vec<PasswordRealm>,
    pki_realms: Vec<Arc<PkiRealm>>,
    role_mappings: RoleMappings,
    service_tokens: Option<Arc<Watched<ServiceTokensFile>>>,
    api_keys: bool,
    run_as: bool,
    tokens: bool,
    challenges: Challenges,
    anonymous: Option<Arc<User>>,
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
                role_mappings: RoleMappings::new(store.clone()),
                store,
                pool,
                dummy_hash: config.hasher.dummy_hash().into(),
                bootstrap_password: config
                    .bootstrap_password
                    .filter(|password| !password.is_empty()),
                autoconfiguration_hash: config.autoconfiguration_hash,
                password_realms: config.password_realms,
                pki_realms: config.pki_realms,
                service_tokens: config.service_tokens,
                api_keys: config.api_keys,
                run_as: config.run_as,
                tokens: config.tokens,
                challenges: Challenges {
                    bearer: config.tokens,
                },
                anonymous: config
                    .anonymous
                    .map(|access| Arc::new(anonymous::user(access))),
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

    /// Returns the number that changes with every user of the cluster, as of now; `None` without security.
    pub fn users_generation(&self) -> Option<u64> {
        let realms = self.realms.as_ref()?;
        Some(realms.store.generation())
    }

    /// Returns the user of requests without credentials, where they are allowed.
    pub fn anonymous_user(&self) -> Option<&User> {
        self.realms.as_ref()?.anonymous.as_deref()
    }

    /// Returns the identity behind an `Authorization` header value, or else behind the certificates of the
    /// connection: who sends a credential means it, so one that fails is never made up for by a certificate.
    ///
    /// `uri` is only quoted in refusals. Errors: 401 with `WWW-Authenticate` (section 1.4; the same
    /// body for unknown users, wrong passwords and disabled users), 429 when too many logins wait.
    pub async fn authenticate(
        &self,
        authorization: Option<&str>,
        certificates: Option<&ClientCertificates>,
        uri: &str,
    ) -> ApiResult<Authentication> {
        let mut refusals = Vec::new();
        self.authenticate_by(authorization, certificates, uri, &mut refusals)
            .await
    }

    /// As [`Authenticator::authenticate`], and tells which realms have refused whom.
    pub async fn authenticate_by(
        &self,
        authorization: Option<&str>,
        certificates: Option<&ClientCertificates>,
        uri: &str,
        refusals: &mut Vec<Refusal>,
    ) -> ApiResult<Authentication> {
        let Some(realms) = &self.realms else {
            return Ok(anonymous_superuser());
        };
        let found = match credential::parse(authorization) {
            // A header that holds no credential is a login that failed, not one by certificate or of nobody.
            Credential::None if authorization.is_some() => Err(realms.challenges.missing(uri)),
            Credential::None => match certificates {
                Some(certificates) => realms.certificates(certificates, uri, refusals),
                None => realms.without_credentials(uri),
            },
            Credential::ApiKey(key) => realms.api_key(&key),
            Credential::Bearer(bearer) => realms.bearer(&bearer).await,
            Credential::BadBasic(reason) => Err(realms.challenges.bad_basic(reason)),
            Credential::Basic(basic) => realms.authenticate(basic, uri, refusals).await,
        }?;
        Ok(realms.with_anonymous_roles(found))
    }
}

impl Authenticator {
    /// Returns who has these credentials, which came in the body of a request.
    ///
    /// # Errors
    /// 401 that names the action for those that do not hold, 429 when too many logins wait.
    pub async fn granted(&self, grant: &Grant, action: &str) -> ApiResult<Authentication> {
        let Some(realms) = &self.realms else {
            return Ok(anonymous_superuser());
        };
        match grant {
            Grant::Password { username, password } => {
                let basic = Basic {
                    username: username.clone(),
                    password: password.clone(),
                };
                let found = realms.log_in(&basic, &mut Vec::new()).await?;
                let refused = || realms.challenges.bad_user_for(username, action);
                Ok(realms.with_anonymous_roles(found.ok_or_else(refused)?))
            }
            Grant::AccessToken {
                client_secret: Some(_),
                ..
            } => Err(client_secret_unused()),
            Grant::AccessToken { token, .. } => {
                let found = realms.bearer(token).await;
                let found = found.map_err(|error| challenge::for_action(error, action))?;
                Ok(realms.with_anonymous_roles(found))
            }
        }
    }

    /// Returns what to keep of an identity that a token is made for.
    ///
    /// # Errors
    /// 400 for service accounts, which have tokens of their own.
    pub fn token_holder(&self, identity: &Authentication) -> ApiResult<TokenHolder> {
        tokens::holder(identity)
    }

    /// Returns the identity that a token stands for, as it is now. Errors: why it stands for nobody any more.
    pub fn present(&self, holder: &TokenHolder) -> Result<Authentication, String> {
        match &self.realms {
            Some(realms) => realms.present(holder),
            None => Err("there are no users".to_owned()),
        }
    }

    /// Returns whether there are access tokens.
    pub fn has_tokens(&self) -> bool {
        self.realms.as_ref().is_some_and(|realms| realms.tokens)
    }

    /// Returns the identity of the user of that name, for whom has authenticated and wants to act as it. Whether it may
    /// is for the authorizer to say, who treats a user that is not there as one that may not be acted as.
    ///
    /// # Errors
    /// 401 for no name and for a user who is disabled, 400 where nobody can act as another.
    pub fn run_as(
        &self,
        caller: Authentication,
        username: &str,
        uri: &str,
    ) -> ApiResult<Authentication> {
        let Some(realms) = self.realms.as_ref().filter(|realms| realms.run_as) else {
            return Err(ApiError::illegal_argument(
                "the header [es-security-runas-user] is not supported; send the credentials of the user meant in \
                 [Authorization]",
            ));
        };
        if caller.run_by.is_some() {
            return Err(ApiError::illegal_argument(
                "the header [es-security-runas-user] is not supported with an access token that was itself made by \
                 acting as another user",
            ));
        }
        if caller.authentication_type == AuthenticationType::Anonymous {
            return Err(realms.challenges.missing(uri));
        }
        let bad_user = || realms.challenges.bad_user(&caller.user.username, uri);
        if username.is_empty() {
            return Err(bad_user());
        }
        let (user, realm) = match realms.look_up(username) {
            Some((user, _)) if !user.enabled => return Err(bad_user()),
            Some(found) => found,
            None => (nobody_of(username), realm_ref("none", "none")),
        };
        let user = realms.with_roles_of_anonymous(Arc::new(user));
        Ok(caller.run_as(user, realm))
    }
}

/// Elasticsearch's words.
fn client_secret_unused() -> ApiError {
    ApiError::new(
        ErrorCode::Security,
        "[client_authentication] not supported with the supplied access_token type",
    )
    .with_status(400)
}

/// One realm's word about a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub realm: String,
    /// The name that came with the credential.
    pub username: String,
}

/// A user that is not there.
fn nobody_of(username: &str) -> User {
    User {
        username: username.to_owned(),
        roles: Vec::new(),
        full_name: None,
        email: None,
        metadata: serde_json::Map::new(),
        enabled: false,
    }
}

impl Realms {
    async fn authenticate(
        &self,
        basic: Basic,
        uri: &str,
        refusals: &mut Vec<Refusal>,
    ) -> ApiResult<Authentication> {
        let found = self.log_in(&basic, refusals).await?;
        found.ok_or_else(|| self.challenges.bad_user(&basic.username, uri))
    }

    /// Adds the realms that were asked for a user before the one that knew it, in their order. The reserved one is the
    /// last for its own.
    fn tell_realms(&self, username: &str, found: Option<&str>, refusals: &mut Vec<Refusal>) {
        let configured = self.password_realms.iter().map(|realm| match realm {
            PasswordRealm::File(realm) => realm.name(),
            PasswordRealm::Native { name } => name.as_str(),
        });
        let asked = match reserved::is_reserved(username) {
            true => vec![RESERVED],
            false => std::iter::once(RESERVED).chain(configured).collect(),
        };
        let refused = asked.into_iter().take_while(|realm| Some(*realm) != found);
        refusals.extend(refused.map(|realm| Refusal {
            realm: realm.to_owned(),
            username: username.to_owned(),
        }));
    }

    /// Asks the PKI realms one after the other. A certificate in which none finds a name is as good as none.
    fn certificates(
        &self,
        certificates: &ClientCertificates,
        uri: &str,
        refusals: &mut Vec<Refusal>,
    ) -> ApiResult<Authentication> {
        let now = i64::try_from(now_ms() / 1000).unwrap_or(i64::MAX);
        let mut refused = None;
        for realm in &self.pki_realms {
            match realm.authenticate(certificates, now) {
                PkiVerdict::User(user) => {
                    let user = self.with_mapped_roles(user, realm.name());
                    return Ok(identity(user, realm_ref(realm.name(), PKI)));
                }
                PkiVerdict::NotMine => {}
                PkiVerdict::Refused { username, reason } => {
                    tracing::info!(
                        user.name = username,
                        realm = realm.name(),
                        reason,
                        "authentication with a certificate failed"
                    );
                    refusals.push(Refusal {
                        realm: realm.name().to_owned(),
                        username: username.clone(),
                    });
                    refused.get_or_insert(username);
                }
            }
        }
        Err(match refused {
            Some(username) => self.challenges.bad_user(&username, uri),
            None => return self.without_credentials(uri),
        })
    }

    /// Adds to the roles that a file gives those of the cluster's role mappings, as they are now.
    fn with_mapped_roles(&self, user: Arc<User>, realm: &str) -> Arc<User> {
        let dn = user.metadata.get(PKI_DN).and_then(|dn| dn.as_str());
        let mut roles = self
            .role_mappings
            .roles_of(|| Subject::new(&user, dn, &[], realm));
        if roles.is_empty() {
            return user;
        }
        roles.extend(user.roles.iter().cloned());
        Arc::new(User {
            roles: roles.into_iter().collect(),
            ..User::clone(&user)
        })
    }

    /// Checks an API key. Its hash is a fast one, so nothing is remembered.
    fn api_key(&self, encoded: &SecretString) -> ApiResult<Authentication> {
        let Some(key) = ApiKeyCredential::parse(encoded.expose()).filter(|_| self.api_keys) else {
            return Err(self.challenges.bad_token(None));
        };
        let stored = self.store.api_key(&key.id);
        key.check(stored.as_deref(), now_ms()).map_err(|why| {
            tracing::info!(
                api_key.id = key.id,
                why,
                "authentication with an API key failed"
            );
            self.challenges.bad_token(Some(&format!("API key: {why}")))
        })
    }

    /// Checks a token of a service account, or an access token; no text is both.
    async fn bearer(&self, bearer: &SecretString) -> ApiResult<Authentication> {
        match ServiceAccountToken::parse_bearer(bearer.expose()) {
            Some(token) => self.service_account(token).await,
            None => self.access_token(bearer),
        }
    }

    /// Checks the token of a service account. Source: Elasticsearch reference, "Service accounts".
    async fn service_account(&self, token: ServiceAccountToken) -> ApiResult<Authentication> {
        let ServiceAccountToken {
            principal,
            name,
            secret,
        } = token;
        // Tokens in files go first.
        let in_file = self.service_tokens.as_ref().and_then(|tokens| {
            let hash = tokens.get().hash(&principal, &name)?.to_owned();
            Some(Arc::<str>::from(hash))
        });
        let stored = self.store.service_token(&principal, &name);
        if let (None, Some(stored)) = (&in_file, stored)
            && token_hash::matches(&secret, &stored)
        {
            return Ok(service_account(principal, name, "_service_account_index"));
        }
        let is_known = in_file.is_some() && SERVICE_ACCOUNTS.contains(&principal.as_str());
        let hash: Arc<str> = in_file.unwrap_or_else(|| Arc::clone(&self.dummy_hash));
        let basic = Basic {
            // No user has a slash and a colon in its name.
            username: format!("{principal}/{name}:"),
            password: secret,
        };
        let holds = self.cache.still_holds(&basic, &hash)
            || self
                .verifications
                .verify(&self.pool, &basic, Arc::clone(&hash))
                .await?;
        if !(is_known && holds) {
            tracing::info!(
                user.name = principal,
                token.name = name,
                known = is_known,
                "authentication of a service account failed"
            );
            return Err(self.challenges.bad_token(Some(&format!(
                "failed to authenticate service account [{principal}] with token name [{name}]"
            ))));
        }
        let authentication = service_account(principal, name, "_service_account_file");
        self.cache
            .remember(&basic, &hash, self.generation(), authentication.clone());
        Ok(authentication)
    }

    /// A number that changes whenever any user changes: both grow only.
    fn generation(&self) -> u64 {
        let files = self.password_realms.iter().map(|realm| match realm {
            PasswordRealm::File(realm) => realm.generation(),
            PasswordRealm::Native { .. } => 0,
        });
        files.fold(self.store.generation(), u64::wrapping_add)
    }

    /// Returns the user of a name without its credentials, and its realm. Users of certificates are not known before
    /// they come.
    fn look_up(&self, username: &str) -> Option<(User, RealmRef)> {
        if reserved::is_internal(username) || self.is_anonymous(username) {
            return None;
        }
        if reserved::is_reserved(username) {
            let user = self.reserved_user(username)?;
            return Some((user, realm_ref(RESERVED, RESERVED)));
        }
        self.password_realms.iter().find_map(|realm| match realm {
            PasswordRealm::File(realm) => {
                Some((realm.user(username)?.user, realm_ref(realm.name(), FILE)))
            }
            PasswordRealm::Native { name } => Some((
                self.store.native_user(username)?.user,
                realm_ref(name, NATIVE),
            )),
        })
    }

    fn reserved_user(&self, username: &str) -> Option<User> {
        let stored = self.store.reserved_user(username);
        reserved::user(username, stored.is_none_or(|stored| stored.enabled))
    }
}

fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| elapsed.as_millis() as u64)
}

fn identity(user: Arc<User>, realm: RealmRef) -> Authentication {
    Authentication {
        user,
        realm,
        authentication_type: AuthenticationType::Realm,
        token: None,
        api_key: None,
        run_by: None,
        asked: None,
    }
}

fn service_account(principal: String, name: String, token_type: &str) -> Authentication {
    let user = User {
        full_name: Some(format!("Service account - {principal}")),
        username: principal,
        roles: Vec::new(),
        email: None,
        metadata: [("_elastic_service_account".to_owned(), true.into())]
            .into_iter()
            .collect(),
        enabled: true,
    };
    Authentication {
        user: Arc::new(user),
        realm: realm_ref(SERVICE_ACCOUNT, SERVICE_ACCOUNT),
        authentication_type: AuthenticationType::Token,
        token: Some(TokenRef {
            name,
            token_type: token_type.to_owned(),
        }),
        api_key: None,
        run_by: None,
        asked: None,
    }
}

fn realm_ref(name: &str, realm_type: &str) -> RealmRef {
    RealmRef {
        name: name.to_owned(),
        realm_type: realm_type.to_owned(),
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
        realm: realm_ref(ANONYMOUS, ANONYMOUS),
        authentication_type: AuthenticationType::Anonymous,
        token: None,
        api_key: None,
        run_by: None,
        asked: None,
    }
}

/// Returns the 401 for a request that carries headers only nodes may send.
pub fn tampered_request(uri: &str) -> ApiError {
    challenge::tampered(uri)
}

/// Name and type of the realm of who comes without credentials.
const ANONYMOUS: &str = "__anonymous";
const FILE: &str = "file";
const NATIVE: &str = "native";
const PKI: &str = "pki";
const RESERVED: &str = "reserved";
/// Name and type of the realm of service accounts.
pub(crate) const SERVICE_ACCOUNT: &str = "_service_account";

#[cfg(test)]
mod tests;
