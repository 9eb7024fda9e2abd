//! Users and passwords, kept in the cluster state.

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::auth::User;
use ringwall_api::security::{
    AuthenticateRequest, AuthenticateResponse, ChangePasswordRequest, DeleteUserRequest,
    DeleteUserResponse, Empty, GetUsersRequest, GetUsersResponse, PutUserRequest, PutUserResponse,
    SetUserEnabledRequest,
};
use ringwall_api::{ApiResult, ErrorCode, RequestContext};
use ringwall_cluster::Change;
use ringwall_cluster::metadata::{NativeUser, ReservedUser};
use ringwall_security::{reserved, users};

use super::ActionRegistry;
use crate::acknowledge;
use crate::services::Services;

pub(super) fn register(registry: &mut ActionRegistry) {
    registry.add(authenticate);
    registry.add(change_password);
    registry.add(put_user);
    registry.add(delete_user);
    registry.add(get_users);
    registry.add(set_enabled);
}

async fn authenticate(
    _services: Arc<Services>,
    context: RequestContext,
    _request: AuthenticateRequest,
) -> ApiResult<AuthenticateResponse> {
    Ok(AuthenticateResponse {
        authentication: context.authentication,
    })
}

async fn change_password(
    services: Arc<Services>,
    _context: RequestContext,
    request: ChangePasswordRequest,
) -> ApiResult<Empty> {
    let password_hash = services.passwords.stored_hash(request.password).await?;
    let name = request.username;
    let state = services.cluster.state();
    let change = if reserved::is_reserved(&name) {
        let enabled = state
            .security
            .reserved_users
            .get(&name)
            .is_none_or(|user| user.enabled);
        Change::PutReservedUser {
            username: name,
            user: ReservedUser {
                password_hash: Some(password_hash),
                enabled,
            },
        }
    } else {
        let Some(existing) = state.security.native_users.get(&name) else {
            return Err(users::unknown_user_password());
        };
        Change::PutUser {
            user: Box::new(NativeUser {
                user: existing.user.clone(),
                password_hash,
            }),
        }
    };
    services.cluster.submit(change, TIMEOUT).await?;
    acknowledge::by_all(&services, TIMEOUT).await;
    Ok(Empty)
}

async fn put_user(
    services: Arc<Services>,
    _context: RequestContext,
    request: PutUserRequest,
) -> ApiResult<PutUserResponse> {
    users::check_put_user(&request)?;
    let name = &request.username;
    let state = services.cluster.state();
    let existing = state.security.native_users.get(name);
    let created = existing.is_none();
    let password_hash = match (request.password, existing) {
        (Some(password), _) => services.passwords.stored_hash(password).await?,
        (None, Some(existing)) => existing.password_hash.clone(),
        (None, None) => {
            return Err(users::missing_password());
        }
    };
    let user = NativeUser {
        user: User {
            username: request.username,
            roles: request.roles,
            full_name: request.full_name,
            email: request.email,
            metadata: request.metadata,
            enabled: request.enabled,
        },
        password_hash,
    };
    let change = Change::PutUser {
        user: Box::new(user),
    };
    services.cluster.submit(change, TIMEOUT).await?;
    acknowledge::by_all(&services, TIMEOUT).await;
    Ok(PutUserResponse { created })
}

async fn delete_user(
    services: Arc<Services>,
    _context: RequestContext,
    request: DeleteUserRequest,
) -> ApiResult<DeleteUserResponse> {
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

async fn get_users(
    services: Arc<Services>,
    _context: RequestContext,
    request: GetUsersRequest,
) -> ApiResult<GetUsersResponse> {
    let state = services.cluster.state();
    let wanted =
        |name: &str| request.usernames.is_empty() || request.usernames.iter().any(|u| u == name);
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
    Ok(GetUsersResponse {
        users: reserved.flatten().chain(native).collect(),
    })
}

async fn set_enabled(
    services: Arc<Services>,
    context: RequestContext,
    request: SetUserEnabledRequest,
) -> ApiResult<Empty> {
    let name = request.username;
    users::check_set_enabled(&context.authentication, &name)?;
    let state = services.cluster.state();
    let change = if reserved::is_reserved(&name) {
        let password_hash = state
            .security
            .reserved_users
            .get(&name)
            .and_then(|user| user.password_hash.clone());
        Change::PutReservedUser {
            username: name,
            user: ReservedUser {
                password_hash,
                enabled: request.enabled,
            },
        }
    } else {
        let Some(existing) = state.security.native_users.get(&name) else {
            return Err(users::unknown_user_enabled(&name));
        };
        let mut user = existing.clone();
        user.user.enabled = request.enabled;
        Change::PutUser {
            user: Box::new(user),
        }
    };
    services.cluster.submit(change, TIMEOUT).await?;
    acknowledge::by_all(&services, TIMEOUT).await;
    Ok(Empty)
}

const TIMEOUT: Duration = Duration::from_secs(30);
