//! Making and checking API keys. Source: Elasticsearch reference, "Create API key API".

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ringwall_api::auth::{ApiKeyRef, Authentication, AuthenticationType, RealmRef, User};
use ringwall_api::security::{ApiKeyInfo, ApiKeyOwner, StoredApiKey};
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::SecretString;
use ringwall_base::ids::random_bytes;
use ringwall_base::visible::unseen_character;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::authz::RoleDescriptor;
use crate::token_hash;

/// A key as its holder has it.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKeyCredential {
    pub id: String,
    pub secret: SecretString,
}

/// Returns the id of a new key.
pub fn new_id() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<15>())
}

impl ApiKeyCredential {
    /// Returns an id with a new secret.
    pub fn generate(id: String) -> Self {
        let secret = Zeroizing::new(random_bytes::<16>());
        Self {
            id,
            secret: URL_SAFE_NO_PAD.encode(*secret).into(),
        }
    }

    /// Returns the text that goes behind `Authorization: ApiKey`.
    pub fn encoded(&self) -> SecretString {
        let text = Zeroizing::new(format!("{}:{}", self.id, self.secret.expose()));
        STANDARD.encode(text.as_bytes()).into()
    }

    /// Reads what stands behind `Authorization: ApiKey`; `None` when it is no key.
    pub fn parse(encoded: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
        let (id, secret) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        (!id.is_empty()).then(|| Self {
            id: id.to_owned(),
            secret: secret.into(),
        })
    }

    /// Returns the hash to keep of the secret.
    pub fn hash(&self) -> String {
        token_hash::hash(&self.secret)
    }

    /// Returns whom the key stands for. Errors: why it does not hold, in Elasticsearch's words.
    pub fn check(
        &self,
        stored: Option<&StoredApiKey>,
        now_ms: u64,
    ) -> Result<Authentication, String> {
        let id = &self.id;
        let stored = stored.ok_or_else(|| format!("unable to find apikey with id {id}"))?;
        if !token_hash::matches(&self.secret, &stored.hash) {
            return Err(format!("invalid credentials for API key [{id}]"));
        }
        if stored.info.invalidation_ms.is_some() {
            return Err(format!("api key [{id}] has been invalidated"));
        }
        if stored.info.is_expired(now_ms) {
            return Err("api key is expired".to_owned());
        }
        Ok(identity(&stored.info))
    }
}

pub(crate) fn identity(key: &ApiKeyInfo) -> Authentication {
    let owner = &key.owner;
    Authentication {
        user: Arc::new(User {
            username: owner.principal.clone(),
            roles: Vec::new(),
            full_name: owner.full_name.clone(),
            email: owner.email.clone(),
            metadata: owner.metadata.clone(),
            enabled: true,
        }),
        realm: RealmRef {
            name: REALM.to_owned(),
            realm_type: REALM.to_owned(),
        },
        authentication_type: AuthenticationType::ApiKey,
        token: None,
        api_key: Some(ApiKeyRef {
            id: key.id.clone(),
            name: key.name.clone(),
        }),
        run_by: None,
        asked: None,
    }
}

/// Returns whom a key that the caller makes will belong to. `key` is the one the caller came with, if any.
pub fn owner(caller: &Authentication, key: Option<&StoredApiKey>) -> ApiKeyOwner {
    if let Some(key) = key {
        return key.info.owner.clone();
    }
    let user = &caller.user;
    ApiKeyOwner {
        principal: user.username.clone(),
        full_name: user.full_name.clone(),
        email: user.email.clone(),
        metadata: user.metadata.clone(),
        realm: caller.realm.clone(),
    }
}

/// Returns whether both are the same user of the same realm.
pub fn is_same_owner(left: &ApiKeyOwner, right: &ApiKeyOwner) -> bool {
    left.principal == right.principal && left.realm == right.realm
}

/// Checks the name of a new key. Errors: 400.
pub fn check_name(name: &str) -> ApiResult<()> {
    let problem = match name {
        "" => "api key name is required",
        _ if name.chars().count() > MAX_NAME_CHARS => {
            "api key name may not be more than 256 characters long"
        }
        _ if name.trim() != name => "api key name may not begin or end with whitespace",
        _ if name.starts_with('_') => "api key name may not begin with an underscore",
        _ if unseen_character(name).is_some() => {
            "api key name may not contain control characters or characters that cannot be seen"
        }
        _ => return Ok(()),
    };
    Err(ApiError::validation(&[problem]))
}

/// Returns the descriptors in their normal form. Errors: 400 for a descriptor that is not valid; with a
/// key for a caller, for one that allows anything.
pub fn role_descriptors(
    written: &Map<String, Value>,
    caller: &Authentication,
) -> ApiResult<Map<String, Value>> {
    let mut normal = Map::new();
    let mut is_powerless = !written.is_empty();
    for (name, value) in written {
        let descriptor = RoleDescriptor::parse(name, value)?;
        is_powerless &= descriptor.is_empty();
        normal.insert(name.clone(), descriptor.to_json());
    }
    if caller.is_by_api_key() && !is_powerless {
        return Err(ApiError::illegal_argument(
            "creating derived api keys requires an explicit role descriptor that is empty (has no privileges)",
        ));
    }
    Ok(normal)
}

const MAX_NAME_CHARS: usize = 256;
/// Name and type of the realm of keys.
const REALM: &str = "_es_api_key";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(credential: &ApiKeyCredential) -> StoredApiKey {
        let caller = crate::system::identity();
        StoredApiKey {
            hash: credential.hash(),
            info: ApiKeyInfo {
                id: credential.id.clone(),
                name: "k".to_owned(),
                creation_ms: 5,
                expiration_ms: Some(100),
                invalidation_ms: None,
                role_descriptors: Map::new(),
                limited_by: Map::new(),
                metadata: Map::new(),
                owner: owner(&caller, None),
            },
        }
    }

    #[test]
    fn a_key_holds_until_its_end() {
        let credential = ApiKeyCredential::generate(new_id());
        assert_eq!(
            (credential.id.len(), credential.secret.char_count()),
            (20, 22)
        );
        assert_eq!(credential.encoded().char_count(), 60);
        assert_eq!(
            ApiKeyCredential::parse(credential.encoded().expose()).unwrap(),
            credential
        );
        let mut key = stored(&credential);
        let who = credential.check(Some(&key), 99).unwrap();
        assert_eq!(who.api_key.unwrap().id, credential.id);
        let other = ApiKeyCredential {
            secret: "other".into(),
            ..credential.clone()
        };
        for (credential, key, now, part) in [
            (&credential, Some(&key), 100, "expired"),
            (&other, Some(&key), 99, "invalid credentials"),
            (&credential, None, 99, "unable to find"),
        ] {
            assert!(credential.check(key, now).unwrap_err().contains(part));
        }
        key.info.invalidation_ms = Some(7);
        assert!(
            credential
                .check(Some(&key), 99)
                .unwrap_err()
                .contains("invalidated")
        );
        for text in ["", "?", "YWJj", "Og=="] {
            assert!(ApiKeyCredential::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn names_have_rules() {
        for bad in [
            "",
            " a",
            "a ",
            "_a",
            "a\u{7}b",
            "a\u{202e}b",
            &"x".repeat(257),
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        check_name("my key").unwrap();
    }

    #[test]
    fn a_key_makes_powerless_keys_only() {
        let credential = ApiKeyCredential::generate(new_id());
        let caller = credential.check(Some(&stored(&credential)), 1).unwrap();
        let read = |value: Value| role_descriptors(value.as_object().unwrap(), &caller);
        assert!(read(json!({})).is_err());
        assert!(read(json!({"r": {"cluster": ["all"]}})).is_err());
        assert_eq!(read(json!({"r": {}})).unwrap().len(), 1);
    }
}
