//! Applying changes of users, API keys and tokens.
//!
//! A change names the fields that it is about and leaves the others as they are, whatever they have
//! become since it was proposed. What is gone or has ended does not come back by a change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringwall_api::auth::User;
use ringwall_api::security::StoredApiKey;
use ringwall_api::security::StoredRole;
use ringwall_api::security::StoredRoleMapping;
use ringwall_api::security::{OfApplication, StoredPrivilege};
use ringwall_api::{ApiError, ErrorCode};

use crate::ClusterState;
use crate::command::{ApiKeyChanges, Change, Login, UserName};
use crate::metadata::{NativeUser, SecurityMetadata};

pub(crate) fn apply(state: &mut ClusterState, change: Change, now_ms: u64) -> Result<(), ApiError> {
    let security = &mut state.security;
    match change {
        Change::PutUser { user } => {
            let generation = security.next_generation();
            let user = NativeUser {
                generation,
                ..*user
            };
            security
                .native_users
                .insert(user.user.username.clone(), user);
            Ok(())
        }
        Change::PutNativeUser {
            user,
            password_hash,
            exists,
        } => put_native_user(security, *user, password_hash, exists),
        Change::SetPassword {
            user,
            password_hash,
            login,
        } => set_password(security, &user, password_hash, login.as_ref()),
        Change::SetUserEnabled { user, enabled } => set_enabled(security, &user, enabled),
        Change::DeleteUser { username } => {
            if security.native_users.remove(&username).is_none() {
                return Err(no_user(&username));
            }
            security.tokens.forget_user(&username, NATIVE);
            security.generation += 1;
            Ok(())
        }
        Change::PutReservedUser { username, mut user } => {
            user.generation = security.next_generation();
            security.reserved_users.insert(username, user);
            Ok(())
        }
        Change::InitReservedUser {
            username,
            password_hash,
        } => {
            init_reserved_user(security, username, password_hash);
            Ok(())
        }
        Change::PutApiKey {
            key,
            retention_ms,
            limit,
        } => put_api_key(security, *key, retention_ms, limit, now_ms),
        Change::CreateApiKey {
            key,
            retention_ms,
            limit,
            login,
        } => {
            check_login(security, login.as_ref())?;
            if security.api_keys.contains_key(&key.info.id) {
                let id = &key.info.id;
                return Err(conflict(format!("an API key with the id [{id}] exists")));
            }
            put_api_key(security, *key, retention_ms, limit, now_ms)
        }
        Change::UpdateApiKey { id, changes, login } => {
            check_login(security, login.as_ref())?;
            update_api_key(security, &id, *changes, now_ms)
        }
        Change::InvalidateApiKeys { ids } => {
            invalidate_api_keys(security, &ids, now_ms);
            Ok(())
        }
        Change::PutServiceToken { name, hash } => put_service_token(security, name, hash),
        Change::DeleteServiceToken { name } => delete_service_token(security, &name),
        Change::CreateToken {
            token,
            limit,
            login,
        } => {
            check_login(security, login.as_ref())?;
            security.tokens.create(*token, limit, now_ms)
        }
        Change::RefreshToken {
            id,
            into,
            nonce,
            limit,
        } => security.tokens.refresh(&id, *into, nonce, limit, now_ms),
        Change::InvalidateTokens(meant) => {
            security.tokens.invalidate(&meant);
            Ok(())
        }
        Change::PutRoles { roles, existing } => put_roles(security, roles, &existing),
        Change::DeleteRoles { names } => delete_roles(security, &names),
        Change::PutRoleMapping {
            name,
            mapping,
            exists,
        } => put_role_mapping(security, name, mapping, exists),
        Change::DeleteRoleMapping { name } => delete_role_mapping(security, &name),
        Change::PutPrivileges {
            privileges,
            created,
        } => put_privileges(security, privileges, &created),
        Change::DeletePrivileges { application, names } => {
            delete_privileges(security, &application, &names)
        }
        other => Err(ApiError::internal(format!(
            "a change that is not about security: {other:?}"
        ))),
    }
}

impl SecurityMetadata {
    fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }
}

fn put_native_user(
    security: &mut SecurityMetadata,
    user: User,
    password_hash: Option<String>,
    exists: bool,
) -> Result<(), ApiError> {
    let name = user.username.clone();
    let present = security.native_users.get(&name);
    if present.is_some() != exists {
        return Err(conflict(format!(
            "the user [{name}] was created or deleted meanwhile"
        )));
    }
    let kept = present.map(|present| present.password_hash.clone());
    let Some(password_hash) = password_hash.or(kept) else {
        return Err(ApiError::illegal_argument(format!(
            "user [{name}] has no password"
        )));
    };
    let user = NativeUser {
        user,
        password_hash,
        generation: security.next_generation(),
    };
    security.native_users.insert(name, user);
    Ok(())
}

fn set_password(
    security: &mut SecurityMetadata,
    user: &UserName,
    password_hash: String,
    login: Option<&Login>,
) -> Result<(), ApiError> {
    check_login(security, login)?;
    let next = security.generation + 1;
    match user {
        UserName::Native(name) => {
            let user = security.native_users.get_mut(name);
            let user = user.ok_or_else(|| no_user(name))?;
            (user.password_hash, user.generation) = (password_hash, next);
        }
        UserName::Reserved(name) => {
            let user = security.reserved_users.entry(name.clone()).or_default();
            (user.password_hash, user.generation) = (Some(password_hash), next);
        }
    }
    security.generation = next;
    Ok(())
}

fn set_enabled(
    security: &mut SecurityMetadata,
    user: &UserName,
    enabled: bool,
) -> Result<(), ApiError> {
    let next = security.generation + 1;
    match user {
        UserName::Native(name) => {
            let user = security.native_users.get_mut(name);
            let user = user.ok_or_else(|| no_user(name))?;
            (user.user.enabled, user.generation) = (enabled, next);
        }
        UserName::Reserved(name) => {
            let user = security.reserved_users.entry(name.clone()).or_default();
            (user.enabled, user.generation) = (enabled, next);
        }
    }
    security.generation = next;
    Ok(())
}

fn check_login(security: &SecurityMetadata, login: Option<&Login>) -> Result<(), ApiError> {
    let Some(Login { user, as_of }) = login else {
        return Ok(());
    };
    let (name, changed) = match user {
        UserName::Native(name) => (name, security.native_users.get(name).map(|u| u.generation)),
        UserName::Reserved(name) => {
            let user = security.reserved_users.get(name);
            (name, Some(user.map_or(0, |user| user.generation)))
        }
    };
    match changed {
        None => Err(no_user(name)),
        Some(changed) if changed > *as_of => Err(conflict(format!(
            "the user [{name}] changed after it was authenticated for this request"
        ))),
        Some(_) => Ok(()),
    }
}

fn no_user(name: &str) -> ApiError {
    ApiError::new(
        ErrorCode::ResourceNotFound,
        format!("user [{name}] not found"),
    )
}

fn conflict(reason: String) -> ApiError {
    ApiError::new(ErrorCode::VersionConflict, reason)
}

fn init_reserved_user(security: &mut SecurityMetadata, username: String, password_hash: String) {
    let next = security.generation + 1;
    let user = security.reserved_users.entry(username).or_default();
    if user.password_hash.is_none() {
        (user.password_hash, user.generation) = (Some(password_hash), next);
        security.generation = next;
    }
}

fn put_api_key(
    security: &mut SecurityMetadata,
    key: StoredApiKey,
    retention_ms: u64,
    limit: usize,
    now_ms: u64,
) -> Result<(), ApiError> {
    let keys = &mut security.api_keys;
    // Looking at each of a hundred thousand keys whenever one is made would cost more than the rest.
    let is_due = now_ms >= security.api_keys_swept_ms.saturating_add(SWEEP_EVERY_MS);
    if is_due || keys.len() >= limit {
        security.api_keys_swept_ms = now_ms;
        keys.retain(|_, key| {
            let ends = [key.info.expiration_ms, key.info.invalidation_ms];
            let end = ends.into_iter().flatten().min();
            end.is_none_or(|end| end.saturating_add(retention_ms) > now_ms)
        });
    }
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

/// How often keys are looked at of which the retention is over.
const SWEEP_EVERY_MS: u64 = 60_000;

fn update_api_key(
    security: &mut SecurityMetadata,
    id: &str,
    changes: ApiKeyChanges,
    now_ms: u64,
) -> Result<(), ApiError> {
    let Some(key) = security.api_keys.get_mut(id) else {
        return Err(ApiError::new(
            ErrorCode::ResourceNotFound,
            format!("no API key owned by requesting user found for ID [{id}]"),
        ));
    };
    let problem = match &key.info {
        key if key.invalidation_ms.is_some() => Some("invalidated"),
        key if key.is_expired(now_ms) => Some("expired"),
        _ => None,
    };
    if let Some(problem) = problem {
        return Err(ApiError::illegal_argument(format!(
            "cannot update {problem} API key [{id}]"
        )));
    }
    changes.apply_to(Arc::make_mut(key));
    Ok(())
}

impl ApiKeyChanges {
    /// Puts the changes into a key.
    pub fn apply_to(self, key: &mut StoredApiKey) {
        let info = &mut key.info;
        if let Some(descriptors) = self.role_descriptors {
            info.role_descriptors = descriptors;
        }
        if let Some(metadata) = self.metadata {
            info.metadata = metadata;
        }
        if self.expiration_ms.is_some() {
            info.expiration_ms = self.expiration_ms;
        }
        info.limited_by = self.limited_by;
        info.owner = self.owner;
    }
}

fn invalidate_api_keys(security: &mut SecurityMetadata, ids: &[String], now_ms: u64) {
    for id in ids {
        if let Some(key) = security.api_keys.get_mut(id)
            && key.info.invalidation_ms.is_none()
        {
            Arc::make_mut(key).info.invalidation_ms = Some(now_ms);
        }
    }
}

fn put_service_token(
    security: &mut SecurityMetadata,
    name: String,
    hash: String,
) -> Result<(), ApiError> {
    if security.service_tokens.contains_key(&name) {
        return Err(conflict(format!(
            "service account token [{name}] already exists"
        )));
    }
    security.service_tokens.insert(name, hash);
    security.generation += 1;
    Ok(())
}

fn delete_service_token(security: &mut SecurityMetadata, name: &str) -> Result<(), ApiError> {
    if security.service_tokens.remove(name).is_none() {
        return Err(ApiError::new(
            ErrorCode::ResourceNotFound,
            format!("service account token [{name}] not found"),
        ));
    }
    security.generation += 1;
    Ok(())
}

fn put_roles(
    security: &mut SecurityMetadata,
    roles: BTreeMap<String, StoredRole>,
    existing: &BTreeSet<String>,
) -> Result<(), ApiError> {
    let changed = |name: &&String| security.roles.contains_key(*name) != existing.contains(*name);
    if let Some(name) = roles.keys().find(changed) {
        return Err(conflict(format!(
            "the role [{name}] was created or deleted meanwhile"
        )));
    }
    let roles = roles.into_iter().map(|(name, role)| (name, Arc::new(role)));
    security.roles.extend(roles);
    Ok(())
}

fn delete_roles(security: &mut SecurityMetadata, names: &BTreeSet<String>) -> Result<(), ApiError> {
    if let Some(name) = names
        .iter()
        .find(|name| !security.roles.contains_key(*name))
    {
        return Err(ApiError::new(
            ErrorCode::ResourceNotFound,
            format!("role [{name}] not found"),
        ));
    }
    security.roles.retain(|name, _| !names.contains(name));
    Ok(())
}

fn put_role_mapping(
    security: &mut SecurityMetadata,
    name: String,
    mapping: StoredRoleMapping,
    exists: bool,
) -> Result<(), ApiError> {
    if security.role_mappings.contains_key(&name) != exists {
        return Err(conflict(format!(
            "the role mapping [{name}] was created or deleted meanwhile"
        )));
    }
    security.role_mappings.insert(name, Arc::new(mapping));
    Ok(())
}

fn delete_role_mapping(security: &mut SecurityMetadata, name: &str) -> Result<(), ApiError> {
    match security.role_mappings.remove(name) {
        Some(_) => Ok(()),
        None => Err(ApiError::new(
            ErrorCode::ResourceNotFound,
            format!("role mapping [{name}] not found"),
        )),
    }
}

fn put_privileges(
    security: &mut SecurityMetadata,
    privileges: BTreeMap<String, OfApplication<StoredPrivilege>>,
    created: &BTreeMap<String, OfApplication<bool>>,
) -> Result<(), ApiError> {
    for (application, privileges) in &privileges {
        let there = security.privileges.get(application);
        for name in privileges.keys() {
            let is_new = there.is_none_or(|there| !there.contains_key(name));
            let told = created.get(application).and_then(|told| told.get(name));
            if told != Some(&is_new) {
                return Err(conflict(format!(
                    "the privilege [{name}] of [{application}] was created or deleted meanwhile"
                )));
            }
        }
    }
    for (application, privileges) in privileges.into_iter().filter(|(_, p)| !p.is_empty()) {
        let there = security.privileges.entry(application).or_default();
        Arc::make_mut(there).extend(privileges);
    }
    Ok(())
}

fn delete_privileges(
    security: &mut SecurityMetadata,
    application: &str,
    names: &BTreeSet<String>,
) -> Result<(), ApiError> {
    let gone = |name: &String| {
        conflict(format!(
            "the privilege [{name}] of [{application}] was deleted meanwhile"
        ))
    };
    let Some(there) = security.privileges.get_mut(application) else {
        return names.first().map_or(Ok(()), |name| Err(gone(name)));
    };
    if let Some(name) = names.iter().find(|name| !there.contains_key(*name)) {
        return Err(gone(name));
    }
    Arc::make_mut(there).retain(|name, _| !names.contains(name));
    if there.is_empty() {
        security.privileges.remove(application);
    }
    Ok(())
}

/// Type of the realm of the users that the cluster keeps.
const NATIVE: &str = "native";

#[cfg(test)]
#[path = "security_tests.rs"]
mod tests;
