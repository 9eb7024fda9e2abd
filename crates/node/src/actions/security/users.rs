//! Users and passwords.

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::auth::{AuthenticationType, User};
use ringwall_api::security::{
    ChangePasswordRequest, DeleteUserRequest, DeleteUserResponse, Empty, GetUsersRequest,
    GetUsersResponse, PutUserRequest, PutUserResponse, SetUserEnabledRequest,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_cluster::Change;
use ringwall_cluster::command::{Login, UserName};
use ringwall_security::{Resolved, reserved, users};

use crate::acknowledge;
use crate::actions::Handler;
use crate::services::Services;

impl Handler<ChangePasswordRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<ChangePasswordRequest>,
    ) -> ApiResult<Empty> {
        let request = request.into_request();
        refuse_anonymous(
            &services,
            &request.username,
            "cannot be modified via the API",
        )?;
        let password_hash = services.passwords.stored_hash(request.password).await?;
        let name = request.username;
        // Who changes its own password must still be who it was when it logged in; an administrator
        // changes that of others as they are.
        let login = login(&context).filter(|_| context.authentication.user.username == name);
        let change = Change::SetPassword {
            user: user_name(&name),
            password_hash,
            login,
        };
        match services.cluster.submit(change, TIMEOUT).await {
            Err(error) if error.code == ErrorCode::ResourceNotFound => {
                return Err(users::unknown_user_password());
            }
            result => result?,
        }
        acknowledge::by_all(&services, TIMEOUT).await;
        Ok(Empty)
    }
}

/// The user of requests without credentials is made by settings.
fn refuse_anonymous(services: &Services, name: &str, rule: &str) -> ApiResult<()> {
    match services.authenticator.anonymous_user() {
        Some(user) if user.username == name => Err(ApiError::illegal_argument(format!(
            "user [{name}] is anonymous and {rule}"
        ))),
        _ => Ok(()),
    }
}

/// Returns which user the caller logged in as, if it is one of the cluster state's and came with its
/// own credentials.
pub(crate) fn login(context: &RequestContext) -> Option<Login> {
    let caller = &context.authentication;
    let is_user = match caller.authentication_type {
        AuthenticationType::Realm => true,
        // The user of an access token is looked up with each use of it.
        AuthenticationType::Token => !caller.is_by_api_key(),
        _ => false,
    };
    if !is_user {
        return None;
    }
    let name = caller.user.username.clone();
    let user = match caller.realm.realm_type.as_str() {
        "native" => UserName::Native(name),
        "reserved" => UserName::Reserved(name),
        _ => return None,
    };
    Some(Login {
        user,
        as_of: context.authenticated_as_of?,
    })
}

fn user_name(name: &str) -> UserName {
    match reserved::is_reserved(name) {
        true => UserName::Reserved(name.to_owned()),
        false => UserName::Native(name.to_owned()),
    }
}

impl Handler<PutUserRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<PutUserRequest>,
    ) -> ApiResult<PutUserResponse> {
        let request = request.into_request();
        let refused = refuse_anonymous(
            &services,
            &request.username,
            "cannot be modified via the API",
        );
        // Elasticsearch has it among the problems of the request itself.
        refused.map_err(|error| ApiError::validation(&[error.reason]))?;
        users::check_put_user(&request)?;
        let password_hash = match request.password {
            Some(password) => Some(services.passwords.stored_hash(password).await?),
            None => None,
        };
        let user = Box::new(User {
            username: request.username,
            roles: request.roles,
            full_name: request.full_name,
            email: request.email,
            metadata: request.metadata,
            enabled: request.enabled,
        });
        for _ in 0..ATTEMPTS {
            let state = services.cluster.state();
            let exists = state.security.native_users.contains_key(&user.username);
            if !exists && password_hash.is_none() {
                return Err(users::missing_password());
            }
            let change = Change::PutNativeUser {
                user: user.clone(),
                password_hash: password_hash.clone(),
                exists,
            };
            match services.cluster.submit(change, TIMEOUT).await {
                // It was created or deleted meanwhile: the answer would say what is not so.
                Err(error) if error.code == ErrorCode::VersionConflict => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    acknowledge::by_all(&services, TIMEOUT).await;
                    return Ok(PutUserResponse { created: !exists });
                }
            }
        }
        Err(ApiError::new(
            ErrorCode::VersionConflict,
            format!(
                "the user [{}] is created and deleted too often; retry",
                user.username
            ),
        ))
    }
}

impl Handler<DeleteUserRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<DeleteUserRequest>,
    ) -> ApiResult<DeleteUserResponse> {
        let request = request.into_request();
        refuse_anonymous(&services, &request.username, "cannot be deleted")?;
        users::check_delete_user(&request.username)?;
        let change = Change::DeleteUser {
            username: request.username,
        };
        match services.cluster.submit(change, TIMEOUT).await {
            Ok(()) => {
                acknowledge::by_all(&services, TIMEOUT).await;
                Ok(DeleteUserResponse { found: true })
            }
            Err(error) if error.code == ErrorCode::ResourceNotFound => {
                Ok(DeleteUserResponse { found: false })
            }
            Err(error) => Err(error),
        }
    }
}

impl Handler<GetUsersRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<GetUsersRequest>,
    ) -> ApiResult<GetUsersResponse> {
        let state = services.cluster.state();
        let wanted = |name: &str| {
            request.usernames.is_empty() || request.usernames.iter().any(|u| u == name)
        };
        let reserved = reserved::names().filter(|name| wanted(name)).map(|name| {
            let enabled = state
                .security
                .reserved_users
                .get(name)
                .is_none_or(|user| user.enabled);
            reserved::user(name, enabled)
        });
        let native = state
            .security
            .native_users
            .values()
            .filter(|user| wanted(&user.user.username))
            .map(|user| user.user.clone());
        let anonymous = services.authenticator.anonymous_user();
        let anonymous = anonymous.filter(|user| wanted(&user.username)).cloned();
        Ok(GetUsersResponse {
            users: reserved.flatten().chain(anonymous).chain(native).collect(),
        })
    }
}

impl Handler<SetUserEnabledRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<SetUserEnabledRequest>,
    ) -> ApiResult<Empty> {
        let request = request.into_request();
        let name = request.username;
        refuse_anonymous(&services, &name, "cannot be modified using the api")?;
        users::check_set_enabled(&context.authentication, &name)?;
        let change = Change::SetUserEnabled {
            user: user_name(&name),
            enabled: request.enabled,
        };
        match services.cluster.submit(change, TIMEOUT).await {
            Err(error) if error.code == ErrorCode::ResourceNotFound => {
                return Err(users::unknown_user_enabled(&name));
            }
            result => result?,
        }
        acknowledge::by_all(&services, TIMEOUT).await;
        Ok(Empty)
    }
}

/// How often to look again when somebody else was first.
const ATTEMPTS: usize = 16;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
