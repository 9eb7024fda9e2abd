//! The rules of user management, for the node actions that change users.
//! Source: Elasticsearch reference, "Built-in users" and "Create or update users API".

use ringwall_api::auth::Authentication;
use ringwall_api::security::{NewPassword, PutUserRequest};
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::visible::shown;

use crate::hash::check_stored;
use crate::{HashPool, Hasher, SecurityError, reserved};

/// Turns new passwords into stored hashes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PasswordService {
    hasher: Hasher,
    pool: HashPool,
}

impl PasswordService {
    /// Returns a service that hashes with the configured algorithm.
    pub fn new(hasher: Hasher, pool: HashPool) -> Self {
        Self { hasher, pool }
    }

    /// Returns the hash to store for a new password. Errors: 400 for a password that is too short or
    /// too long, or a given hash that is none; 429 when too many hashes wait.
    pub async fn stored_hash(&self, password: NewPassword) -> ApiResult<String> {
        match password {
            NewPassword::Hash(hash) => {
                check_stored(hash.expose())?;
                Ok(hash.expose().to_owned())
            }
            NewPassword::Plain(plain) => {
                if plain.char_count() < MIN_PASSWORD_CHARS {
                    return Err(ApiError::validation(&[format!(
                        "passwords must be at least [{MIN_PASSWORD_CHARS}] characters long"
                    )]));
                }
                let hasher = self.hasher;
                let hashed = self.pool.run(move || hasher.hash(&plain)).await?;
                hashed.map_err(|error| match error {
                    SecurityError::PasswordTooLong { .. } => {
                        ApiError::validation(&[error.to_string()])
                    }
                    other => other.into(),
                })
            }
        }
    }
}

/// Checks a request to create or replace a native user, apart from what is stored already.
/// Errors: 400 naming every problem.
pub fn check_put_user(request: &PutUserRequest) -> ApiResult<()> {
    check_changeable(
        &request.username,
        "reserved and only the password can be changed",
    )?;
    let mut problems = Vec::new();
    problems.extend(name_problem(&request.username));
    for role in &request.roles {
        if role.is_empty() || role.chars().count() > MAX_NAME_CHARS {
            problems.push(format!(
                "role name [{role}] must be between 1 and {MAX_NAME_CHARS} characters"
            ));
        }
    }
    if let Some(key) = request.metadata.keys().find(|key| key.starts_with('_')) {
        problems.push(format!(
            "metadata keys may not start with [_], but found [{key}]"
        ));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(ApiError::validation(&problems))
    }
}

/// Checks that a user may be deleted: it is neither reserved nor internal.
pub fn check_delete_user(username: &str) -> ApiResult<()> {
    check_changeable(username, "reserved and cannot be deleted")
}

/// Checks that the caller may enable or disable this user: not itself, not an internal one.
pub fn check_set_enabled(caller: &Authentication, username: &str) -> ApiResult<()> {
    if reserved::is_internal(username) {
        return Err(internal_user(username));
    }
    let itself = caller.user.username == username
        && matches!(caller.realm.realm_type.as_str(), "native" | "reserved");
    if itself {
        return Err(ApiError::validation(&[
            "native and reserved realm users may not update the enabled status of their own account",
        ]));
    }
    Ok(())
}

/// Returns the 400 for a password change of a user that does not exist.
pub fn unknown_user_password() -> ApiError {
    ApiError::validation(&["user must exist in order to change password"])
}

/// Returns the 400 for creating a user without a password.
pub fn missing_password() -> ApiError {
    ApiError::validation(&["password must be specified unless you are updating an existing user"])
}

/// Returns the 400 for enabling or disabling a user that does not exist.
pub fn unknown_user_enabled(username: &str) -> ApiError {
    ApiError::validation(&[format!(
        "only existing users can be enabled or disabled; user [{username}] does not exist"
    )])
}

fn check_changeable(username: &str, rule: &str) -> ApiResult<()> {
    if reserved::is_internal(username) {
        return Err(internal_user(username));
    }
    if reserved::is_reserved(username) {
        return Err(ApiError::illegal_argument(format!(
            "user [{username}] is {rule}"
        )));
    }
    Ok(())
}

fn internal_user(username: &str) -> ApiError {
    ApiError::illegal_argument(format!("user [{username}] is internal"))
}

fn name_problem(name: &str) -> Option<String> {
    if name.starts_with('_') {
        // Such paths belong to the API: `_security/user/_privileges`.
        let name = shown(name);
        return Some(format!(
            "Username [{name}] is invalid: names must not begin with an underscore."
        ));
    }
    let length = name.chars().count();
    let charset = name.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    let fits = (1..=MAX_NAME_CHARS).contains(&length) && charset && name.trim() == name;
    (!fits).then(|| {
        format!(
            "Username [{}] is invalid: names must be at least 1 and no more than {MAX_NAME_CHARS} \
             characters. They can contain alphanumeric characters (a-z, A-Z, 0-9), spaces, punctuation, \
             and printable symbols in the Basic Latin (ASCII) block. Leading or trailing whitespace is \
             not allowed.",
            shown(name)
        )
    })
}

/// The least length of a password set through the API or the tools.
pub const MIN_PASSWORD_CHARS: usize = 6;
const MAX_NAME_CHARS: usize = 507;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::HashPoolConfig;
    use crate::hash::verify;

    fn request(username: &str) -> PutUserRequest {
        PutUserRequest {
            username: username.to_owned(),
            password: None,
            roles: vec!["viewer".to_owned()],
            full_name: None,
            email: None,
            metadata: serde_json::Map::new(),
            enabled: true,
        }
    }

    #[test]
    fn names_and_metadata_are_checked() {
        assert_eq!(check_put_user(&request("ann b.")), Ok(()));
        for (name, part) in [
            ("", "at least 1"),
            (" ann", "whitespace"),
            ("änn", "ASCII"),
            ("ann\u{202e}", "Username [ann<U+202E>] is invalid"),
            ("_ann", "must not begin with an underscore"),
            (
                "elastic",
                "user [elastic] is reserved and only the password can be changed",
            ),
            ("_system", "user [_system] is internal"),
        ] {
            let error = check_put_user(&request(name)).unwrap_err();
            assert!(error.reason.contains(part), "{name}: {}", error.reason);
            assert_eq!(error.status, 400);
        }
        let mut with_metadata = request("ann");
        with_metadata.metadata.insert("_x".to_owned(), json!(1));
        assert!(check_put_user(&with_metadata).is_err());
        assert!(check_delete_user("kibana").is_err());
        assert_eq!(check_delete_user("ann"), Ok(()));
    }

    #[tokio::test]
    async fn passwords_are_hashed_or_refused() {
        let service = PasswordService::new(
            Hasher::Bcrypt { cost: 4 },
            HashPool::new(HashPoolConfig::default()),
        );
        let hash = service
            .stored_hash(NewPassword::Plain("123456".into()))
            .await
            .unwrap();
        assert_eq!(verify(&"123456".into(), &hash), Ok(true));
        let kept = service
            .stored_hash(NewPassword::Hash(hash.clone().into()))
            .await;
        assert_eq!(kept, Ok(hash));
        for bad in [
            NewPassword::Plain("12345".into()),
            NewPassword::Plain("x".repeat(80).into()),
            NewPassword::Hash("changeme".into()),
        ] {
            assert_eq!(service.stored_hash(bad).await.unwrap_err().status, 400);
        }
    }
}
