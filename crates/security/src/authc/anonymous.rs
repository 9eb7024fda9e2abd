//! Requests without credentials, where they are let in. Source: Elasticsearch reference, "Enabling anonymous access".

use std::sync::Arc;

use ringwall_api::ApiResult;
use ringwall_api::auth::{Authentication, AuthenticationType, User};

use super::{ANONYMOUS, Realms, SERVICE_ACCOUNT, identity, realm_ref};

/// The user of requests without credentials. Source: Elasticsearch reference, "Enabling anonymous access".
#[derive(Debug, Clone)]
pub struct AnonymousAccess {
    pub username: String,
    /// Every other user has these, too.
    pub roles: Vec<String>,
}

impl Realms {
    /// Returns whether the name is that of requests without credentials, which nobody else has.
    pub(super) fn is_anonymous(&self, username: &str) -> bool {
        let anonymous = self.anonymous.as_ref();
        anonymous.is_some_and(|user| user.username == username)
    }

    /// Returns who comes without credentials. Errors: 401 where nobody may.
    pub(super) fn without_credentials(&self, uri: &str) -> ApiResult<Authentication> {
        let user = self
            .anonymous
            .as_ref()
            .ok_or_else(|| self.challenges.missing(uri))?;
        Ok(Authentication {
            authentication_type: AuthenticationType::Anonymous,
            ..identity(Arc::clone(user), realm_ref(ANONYMOUS, ANONYMOUS))
        })
    }

    /// Gives users what everybody may do. Keys and service accounts have what they were made with.
    pub(super) fn with_anonymous_roles(&self, mut found: Authentication) -> Authentication {
        let is_user = match found.authentication_type {
            AuthenticationType::Realm => true,
            AuthenticationType::Token => {
                found.api_key.is_none() && found.realm.realm_type != SERVICE_ACCOUNT
            }
            _ => false,
        };
        if is_user {
            found.user = self.with_roles_of_anonymous(found.user);
        }
        found
    }

    pub(super) fn with_roles_of_anonymous(&self, user: Arc<User>) -> Arc<User> {
        let Some(anonymous) = &self.anonymous else {
            return user;
        };
        let mut user = User::clone(&user);
        for role in &anonymous.roles {
            if !user.roles.contains(role) {
                user.roles.push(role.clone());
            }
        }
        Arc::new(user)
    }
}

pub(super) fn user(access: AnonymousAccess) -> User {
    let AnonymousAccess { username, roles } = access;
    User {
        username,
        roles,
        full_name: None,
        email: None,
        metadata: [("_reserved".to_owned(), true.into())]
            .into_iter()
            .collect(),
        enabled: true,
    }
}
