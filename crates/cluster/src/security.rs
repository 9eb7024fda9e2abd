//! Applying changes of API keys and tokens.

use std::sync::Arc;

use ringwall_api::api_keys::StoredApiKey;
use ringwall_api::{ApiError, ErrorCode};

use crate::ClusterState;
use crate::metadata::ReservedUser;

pub(crate) fn init_reserved_user(
    state: &mut ClusterState,
    username: String,
    password_hash: String,
) {
    let user = state
        .security
        .reserved_users
        .entry(username)
        .or_insert(ReservedUser {
            password_hash: None,
            enabled: true,
        });
    if user.password_hash.is_none() {
        user.password_hash = Some(password_hash);
        state.security.generation += 1;
    }
}

pub(crate) fn put_api_key(
    state: &mut ClusterState,
    key: StoredApiKey,
    retention_ms: u64,
    limit: usize,
    now_ms: u64,
) -> Result<(), ApiError> {
    let keys = &mut state.security.api_keys;
    keys.retain(|_, key| {
        let ends = [key.info.expiration_ms, key.info.invalidation_ms];
        let end = ends.into_iter().flatten().min();
        end.is_none_or(|end| end.saturating_add(retention_ms) > now_ms)
    });
    if keys.len() >= limit && !keys.contains_key(&key.info.id) {
        return Err(ApiError::illegal_argument(format!(
            "this cluster has [{}] API keys, which is the limit of [xpack.security.authc.api_key.max_keys]; \
             invalidate some, or give keys an [expiration]",
            keys.len()
        )));
    }
    keys.insert(key.info.id.clone(), Arc::new(key));
    Ok(())
}

pub(crate) fn invalidate_api_keys(state: &mut ClusterState, ids: &[String], now_ms: u64) {
    for id in ids {
        if let Some(key) = state.security.api_keys.get_mut(id)
            && key.info.invalidation_ms.is_none()
        {
            Arc::make_mut(key).info.invalidation_ms = Some(now_ms);
        }
    }
}

pub(crate) fn put_service_token(
    state: &mut ClusterState,
    name: String,
    hash: String,
) -> Result<(), ApiError> {
    if state.security.service_tokens.contains_key(&name) {
        return Err(ApiError::new(
            ErrorCode::VersionConflict,
            format!("service account token [{name}] already exists"),
        ));
    }
    state.security.service_tokens.insert(name, hash);
    state.security.generation += 1;
    Ok(())
}

pub(crate) fn delete_service_token(state: &mut ClusterState, name: &str) -> Result<(), ApiError> {
    if state.security.service_tokens.remove(name).is_none() {
        return Err(ApiError::new(
            ErrorCode::ResourceNotFound,
            format!("service account token [{name}] not found"),
        ));
    }
    state.security.generation += 1;
    Ok(())
}
