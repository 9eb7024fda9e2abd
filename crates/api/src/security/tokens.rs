//! Access and refresh tokens. Source: Elasticsearch reference, "Get token API" and "Invalidate token API".

use ringwall_base::SecretString;
use serde::{Deserialize, Serialize};

use crate::auth::{Authentication, RealmRef, User};

/// Which of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenKind {
    Access,
    Refresh,
}

/// An identity by its names alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    pub username: String,
    /// Where the user is; of an API key, that of keys.
    pub realm: RealmRef,
    /// Id of the API key that it is.
    pub api_key: Option<String>,
}

impl Principal {
    /// Returns the names of who acts: of the user that is acted as, where one is.
    pub fn of(identity: &Authentication) -> Self {
        Self {
            username: identity.user.username.clone(),
            realm: identity.realm.clone(),
            api_key: identity.api_key.as_ref().map(|key| key.id.clone()),
        }
    }
}

/// Whose a token is. With each use its user is looked up again, so that the token is worth what the user is by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenHolder {
    pub who: Principal,
    /// What the realm said of the user, for a realm that tells of nobody who does not show a credential.
    pub user: Option<User>,
    /// Who acted as this user when the token was made, and must be allowed to with each use.
    pub run_by: Option<Box<TokenHolder>>,
}

impl TokenHolder {
    /// Returns whether the token lives on this user, of that realm type, in any part.
    pub fn involves(&self, username: &str, realm_type: &str) -> bool {
        let who = &self.who;
        (who.username == username && who.realm.realm_type == realm_type)
            || self
                .run_by
                .as_ref()
                .is_some_and(|by| by.involves(username, realm_type))
    }
}

/// A pair of tokens as the cluster keeps it: with the hashes of the secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredToken {
    /// 20 characters of URL-safe base64; both tokens of the pair have it.
    pub id: String,
    pub holder: TokenHolder,
    /// Who asked for the pair, and alone may refresh it.
    pub client: Principal,
    pub access: StoredSecret,
    /// `None` where the client can come again with its own credentials.
    pub refresh: Option<StoredSecret>,
    /// Set once the refresh token was used.
    pub refreshed: Option<Refreshed>,
}

impl std::fmt::Debug for StoredToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredToken")
            .field("id", &self.id)
            .field("holder", &self.holder)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// One token of a pair.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSecret {
    pub hash: String,
    /// Milliseconds since the epoch.
    pub expires_ms: u64,
    pub is_invalidated: bool,
}

impl StoredSecret {
    /// Returns whether it is good at that moment, in milliseconds since the epoch.
    pub fn holds(&self, now_ms: u64) -> bool {
        !self.is_invalidated && self.expires_ms > now_ms
    }
}

/// What a refresh token was given for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refreshed {
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    /// Id of the pair.
    pub into: String,
    /// What makes the secrets of that pair out of the one of the refresh token; worth nothing alone.
    pub nonce: String,
}

impl StoredToken {
    /// Returns when nothing of the pair can be good any more, in milliseconds since the epoch.
    pub fn ends_ms(&self) -> u64 {
        let refresh = self.refresh.as_ref().map_or(0, |token| token.expires_ms);
        self.access.expires_ms.max(refresh)
    }

    /// Returns whether both tokens of the pair were ended by somebody, or by their time.
    pub fn is_over(&self, now_ms: u64) -> bool {
        let holds = |token: &StoredSecret| token.holds(now_ms);
        !holds(&self.access) && !self.refresh.as_ref().is_some_and(holds)
    }

    /// Returns whether nothing of the pair is good any more.
    pub fn is_spent(&self, now_ms: u64) -> bool {
        let refreshes = match (&self.refresh, &self.refreshed) {
            (Some(token), None) => token.holds(now_ms),
            (Some(token), Some(refreshed)) => {
                token.holds(now_ms) && refreshed.at_ms.saturating_add(REUSE_MS) > now_ms
            }
            (None, _) => false,
        };
        !refreshes && !self.access.holds(now_ms)
    }
}

/// How long after its use a refresh token still gives what it gave, for clients that refresh twice at once; milliseconds.
/// Source: Elasticsearch, as it answers.
pub const REUSE_MS: u64 = 30_000;

/// `POST /_security/oauth2/token` with credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CreateTokenRequest {
    /// For the user who has this password.
    Password {
        username: String,
        #[serde(with = "crate::secret_text")]
        password: SecretString,
    },
    /// For the caller itself.
    ClientCredentials,
}

/// The only time that the tokens are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IssuedTokens {
    #[serde(with = "crate::secret_text")]
    pub access_token: SecretString,
    /// Seconds for which the access token is good.
    pub expires_in_s: u64,
    #[serde(with = "crate::secret_text::optional")]
    pub refresh_token: Option<SecretString>,
    /// Whose they are, as it was authenticated for this.
    pub authentication: Authentication,
}

/// `POST /_security/oauth2/token` with a refresh token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefreshTokenRequest {
    #[serde(with = "crate::secret_text")]
    pub refresh_token: SecretString,
}

/// What a refresh token was good for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RefreshTokenResponse {
    Issued(Box<IssuedTokens>),
    /// Nothing, and why: the `invalid_grant` of RFC 6749.
    InvalidGrant(String),
}

/// `DELETE /_security/oauth2/token`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum InvalidateTokensRequest {
    /// One token; the other of its pair goes on.
    One {
        kind: TokenKind,
        #[serde(with = "crate::secret_text")]
        token: SecretString,
    },
    /// Those of a user, of a realm, or of a user of a realm.
    Of {
        username: Option<String>,
        realm_name: Option<String>,
    },
}

/// What became of the tokens meant. `found: false` goes with status 404.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidateTokensResponse {
    pub found: bool,
    pub invalidated: u64,
    pub previously_invalidated: u64,
}
