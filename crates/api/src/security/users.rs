//! Users and passwords. Source: Elasticsearch reference, "Create or update users API", "Change passwords API".

use ringwall_base::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::auth::User;

/// A new password, as given or already hashed. Nodes send it to one another over the encrypted
/// transport; it is wiped when dropped and never printed.
#[derive(Debug, Clone, PartialEq)]
pub enum NewPassword {
    Plain(SecretString),
    Hash(SecretString),
}

impl Serialize for NewPassword {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(secret) => ("plain", secret.expose()).serialize(serializer),
            Self::Hash(secret) => ("hash", secret.expose()).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for NewPassword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (kind, secret): (String, String) = Deserialize::deserialize(deserializer)?;
        match kind.as_str() {
            "plain" => Ok(Self::Plain(secret.into())),
            "hash" => Ok(Self::Hash(secret.into())),
            _ => Err(serde::de::Error::custom("unknown kind of password")),
        }
    }
}

/// `PUT /_security/user/{name}/_password`. A user may change its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangePasswordRequest {
    pub username: String,
    pub password: NewPassword,
}

/// An empty answer, `{}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Empty;

/// `PUT /_security/user/{name}`: creates or replaces a native user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutUserRequest {
    pub username: String,
    /// Required for a new user; `None` keeps the stored one.
    pub password: Option<NewPassword>,
    pub roles: Vec<String>,
    pub full_name: Option<String>,
    pub email: Option<String>,
    pub metadata: serde_json::Map<String, Value>,
    pub enabled: bool,
}

/// `created: false` means an existing user was replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutUserResponse {
    pub created: bool,
}

/// `DELETE /_security/user/{name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteUserRequest {
    pub username: String,
}

/// `found: false` goes with status 404.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteUserResponse {
    pub found: bool,
}

/// `GET /_security/user[/{names}]`; empty means all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetUsersRequest {
    pub usernames: Vec<String>,
}

/// Users without their password hashes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetUsersResponse {
    pub users: Vec<User>,
}

/// `PUT /_security/user/{name}/_enable` and `_disable`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetUserEnabledRequest {
    pub username: String,
    pub enabled: bool,
}
