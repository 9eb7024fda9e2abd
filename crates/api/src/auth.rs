//! Who is asking: the authenticated identity that travels with every request.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A user as authentication found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub username: String,
    pub roles: Vec<String>,
    pub full_name: Option<String>,
    pub email: Option<String>,
    /// A JSON object.
    pub metadata: serde_json::Map<String, Value>,
    pub enabled: bool,
}

/// The realm that accepted a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealmRef {
    pub name: String,
    #[serde(rename = "type")]
    pub realm_type: String,
}

/// How the identity was established. Source: Elasticsearch reference, "Authenticate API".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationType {
    Realm,
    ApiKey,
    Token,
    Anonymous,
    /// A node acting for itself; never comes from outside.
    Internal,
}

/// The token behind an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRef {
    pub name: String,
    /// Such as `_service_account_file`.
    #[serde(rename = "type")]
    pub token_type: String,
}

/// The API key behind an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyRef {
    pub id: String,
    pub name: String,
}

/// The request that somebody came with, as events of the audit log tell of it on every node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Random.
    pub request_id: String,
    /// Where the client is: `host:port`.
    pub address: String,
    /// The header `X-Opaque-Id`.
    pub opaque_id: Option<String>,
    /// Of the header `traceparent`.
    pub trace_id: Option<String>,
    /// The header `X-Forwarded-For`.
    pub forwarded_for: Option<String>,
}

/// An established identity. Cheap to clone; crosses the transport with the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    pub user: Arc<User>,
    pub realm: RealmRef,
    pub authentication_type: AuthenticationType,
    /// What was shown instead of a password, where `_authenticate` names it.
    #[serde(default)]
    pub token: Option<TokenRef>,
    /// Of an identity of type [`AuthenticationType::ApiKey`].
    #[serde(default)]
    pub api_key: Option<ApiKeyRef>,
    /// Who came with the credentials, where it acts as another user (`es-security-runas-user`). Whether it may is
    /// decided with every action.
    #[serde(default)]
    pub run_by: Option<Arc<Authentication>>,
    /// Where there is an audit log and a client behind it.
    #[serde(default)]
    pub asked: Option<Arc<Asked>>,
}

impl Authentication {
    /// Returns the identity under which a node acts for itself, for work no user asked for.
    pub fn system() -> Self {
        Self {
            user: Arc::new(User {
                username: "_system".to_owned(),
                roles: Vec::new(),
                full_name: None,
                email: None,
                metadata: serde_json::Map::new(),
                enabled: true,
            }),
            realm: RealmRef {
                name: "__attach".to_owned(),
                realm_type: "__attach".to_owned(),
            },
            authentication_type: AuthenticationType::Internal,
            token: None,
            api_key: None,
            run_by: None,
            asked: None,
        }
    }

    /// Returns the identity of a user that this one acts as. A user that is not there is disabled.
    pub fn run_as(self, user: Arc<User>, realm: RealmRef) -> Self {
        Self {
            user,
            realm,
            authentication_type: self.authentication_type,
            token: None,
            api_key: None,
            asked: self.asked.clone(),
            run_by: Some(Arc::new(self)),
        }
    }

    /// Returns whether what belongs to one identity belongs to the other: the same user of the same realm, whatever
    /// its roles are by now, and whether a password or a token was shown; or the same API key.
    pub fn is_same_owner(&self, other: &Self) -> bool {
        match (&self.api_key, &other.api_key) {
            (Some(one), Some(two)) => one.id == two.id,
            (None, None) => self.user.username == other.user.username && self.realm == other.realm,
            _ => false,
        }
    }

    /// Returns whether it all goes back to an API key: shown, behind an access token, or acting as a user.
    pub fn is_by_api_key(&self) -> bool {
        self.api_key.is_some() || self.run_by.as_ref().is_some_and(|by| by.is_by_api_key())
    }

    /// Returns whether a node acts for itself.
    pub fn is_system(&self) -> bool {
        self.authentication_type == AuthenticationType::Internal
    }
}
