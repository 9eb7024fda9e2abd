//! Access tokens: who comes with one, and whose one may be. Source: Elasticsearch reference, "Token-based authentication
//! services".

use std::sync::Arc;

use ringwall_api::auth::{Authentication, AuthenticationType, RealmRef, User};
use ringwall_api::security::{Principal, TokenHolder, TokenKind};
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::SecretString;

use super::{ANONYMOUS, FILE, NATIVE, PKI, PasswordRealm, RESERVED, Realms, SERVICE_ACCOUNT};
use super::{identity, now_ms, realm_ref};
use crate::api_keys;
use crate::reserved;
use crate::tokens::Token;

/// Returns what to keep of the identity that a token is made for.
///
/// # Errors
/// 400 for service accounts, which have tokens of their own, and for who came without credentials.
pub(super) fn holder(identity: &Authentication) -> ApiResult<TokenHolder> {
    let realm_type = identity.realm.realm_type.as_str();
    let without = match realm_type {
        SERVICE_ACCOUNT => Some("service accounts"),
        ANONYMOUS => Some("anonymous users"),
        _ => None,
    };
    if let Some(whom) = without {
        return Err(ApiError::illegal_argument(format!(
            "OAuth2 token creation is not supported for {whom}"
        )));
    }
    let is_asked_again =
        identity.api_key.is_some() || [RESERVED, FILE, NATIVE].contains(&realm_type);
    let run_by = match &identity.run_by {
        Some(by) => Some(Box::new(holder(by)?)),
        None => None,
    };
    Ok(TokenHolder {
        who: Principal::of(identity),
        user: (!is_asked_again).then(|| User::clone(&identity.user)),
        run_by,
    })
}

impl Realms {
    /// Returns who comes with an access token.
    pub(super) fn access_token(&self, bearer: &SecretString) -> ApiResult<Authentication> {
        let invalid = || self.challenges.bad_token(Some(INVALID));
        let token = Token::parse(bearer.expose(), TokenKind::Access);
        let token = token.filter(|_| self.tokens).ok_or_else(invalid)?;
        let pair = self.store.token(&token.id);
        let pair = pair.filter(|pair| token.is_of(pair)).ok_or_else(invalid)?;
        if !pair.access.holds(now_ms()) {
            return Err(self.challenges.expired_token());
        }
        self.present(&pair.holder).map_err(|why| {
            tracing::info!(
                user.name = pair.holder.who.username,
                realm = pair.holder.who.realm.name,
                why,
                "authentication with an access token failed"
            );
            self.challenges
                .bad_token(Some(&format!("oauth2 token: {why}")))
        })
    }

    /// Returns the identity that a token stands for, as it is now. Errors: why it stands for nobody any more.
    pub(super) fn present(&self, holder: &TokenHolder) -> Result<Authentication, String> {
        let found = match &holder.who.api_key {
            Some(id) => self.key_of_token(id)?,
            None => {
                let user = self.user_of_token(holder)?;
                identity(Arc::new(user), holder.who.realm.clone())
            }
        };
        let found = Authentication {
            authentication_type: AuthenticationType::Token,
            ..found
        };
        let Some(by) = &holder.run_by else {
            return Ok(found);
        };
        // Whether it may act as that user is for the authorizer to say, with each action.
        Ok(self.present(by)?.run_as(found.user, found.realm))
    }

    fn key_of_token(&self, id: &str) -> Result<Authentication, String> {
        let key = self.store.api_key(id).filter(|_| self.api_keys);
        match key {
            Some(key) if key.info.is_active(now_ms()) => Ok(api_keys::identity(&key.info)),
            _ => Err(format!("the API key [{id}] has ended")),
        }
    }

    /// Looks the user up in the very realm that it is of: who has the name elsewhere is somebody else.
    fn user_of_token(&self, holder: &TokenHolder) -> Result<User, String> {
        let Principal {
            username, realm, ..
        } = &holder.who;
        let found = match &holder.user {
            Some(user) => Some(user.clone()).filter(|_| self.has_realm(realm)),
            None => self.look_up_in(username, realm),
        };
        match found {
            Some(user) if user.enabled => Ok(user),
            _ => Err(format!(
                "the user [{username}] of the realm [{}] is disabled or gone",
                realm.name
            )),
        }
    }

    fn look_up_in(&self, username: &str, realm: &RealmRef) -> Option<User> {
        if reserved::is_internal(username)
            || self.is_anonymous(username)
            || reserved::is_reserved(username) != (realm.realm_type == RESERVED)
        {
            return None;
        }
        if realm.realm_type == RESERVED {
            return self.reserved_user(username);
        }
        self.password_realms.iter().find_map(|known| match known {
            PasswordRealm::File(file) if *realm == realm_ref(file.name(), FILE) => {
                Some(file.user(username)?.user)
            }
            PasswordRealm::Native { name } if *realm == realm_ref(name, NATIVE) => {
                Some(self.store.native_user(username)?.user)
            }
            _ => None,
        })
    }

    /// Returns whether users of a realm that tells of nobody still come here.
    fn has_realm(&self, realm: &RealmRef) -> bool {
        let mut pki = self.pki_realms.iter();
        pki.any(|known| *realm == realm_ref(known.name(), PKI))
    }
}

/// Elasticsearch's words.
const INVALID: &str = "oauth2 token: invalid token";
