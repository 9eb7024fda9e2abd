//! What a request changes of the cluster's security, without what is secret. Source: Elasticsearch reference, "Audit
//! event types" (security_config_change), and the lines that Elasticsearch writes.

use std::any::Any;

use ringwall_api::cluster::{ApproveNodeRequest, ForgetNodeRequest};
use ringwall_api::security::{
    ApiKeyFilter, BulkUpdateApiKeysRequest, ChangePasswordRequest, CreateApiKeyRequest,
    CreateServiceTokenRequest, DeletePrivilegesRequest, DeleteRoleMappingRequest,
    DeleteRolesRequest, DeleteServiceTokenRequest, DeleteUserRequest, EnrollKibanaRequest, Grant,
    GrantApiKeyRequest, InvalidateApiKeysRequest, PutPrivilegesRequest, PutRoleMappingRequest,
    PutRolesRequest, PutUserRequest, SetUserEnabledRequest, UpdateApiKeyRequest,
};
use ringwall_base::TimeValue;
use serde_json::{Map, Value, json};

use super::redact;
use crate::authz::RoleDescriptor;

/// One change, as its event tells it.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    /// `event.action`.
    pub action: &'static str,
    /// The member that has the content: `put`, `delete`, `change`, `create` or `invalidate`.
    pub member: &'static str,
    pub content: Value,
}

fn change(action: &'static str, member: &'static str, content: Value) -> Change {
    Change {
        action,
        member,
        content,
    }
}

type Reader = fn(&dyn Any) -> Option<Vec<Change>>;

/// Returns what a request of a security action changes; nothing for one that only reads.
pub(super) fn of(request: &dyn Any) -> Vec<Change> {
    let readers: [Reader; 5] = [users, roles, keys, accounts, nodes];
    let found = readers.iter().find_map(|reader| reader(request));
    found.unwrap_or_default()
}

fn users(request: &dyn Any) -> Option<Vec<Change>> {
    let named = |name: &str| json!({"user": {"name": name}});
    if let Some(put) = request.downcast_ref::<PutUserRequest>() {
        let mut user = json!({"name": put.username, "enabled": put.enabled, "roles": put.roles});
        let optional = [
            ("full_name", put.full_name.as_ref()),
            ("email", put.email.as_ref()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                user[name] = value.as_str().into();
            }
        }
        user["has_password"] = put.password.is_some().into();
        if !put.metadata.is_empty() {
            user["metadata"] = shown(&put.metadata);
        }
        return Some(vec![change("put_user", "put", json!({"user": user}))]);
    }
    if let Some(delete) = request.downcast_ref::<DeleteUserRequest>() {
        let content = named(&delete.username);
        return Some(vec![change("delete_user", "delete", content)]);
    }
    if let Some(password) = request.downcast_ref::<ChangePasswordRequest>() {
        let content = json!({"password": named(&password.username)});
        return Some(vec![change("change_password", "change", content)]);
    }
    let set = request.downcast_ref::<SetUserEnabledRequest>()?;
    let (action, word) = match set.enabled {
        true => ("change_enable_user", "enable"),
        false => ("change_disable_user", "disable"),
    };
    let content = json!({word: named(&set.username)});
    Some(vec![change(action, "change", content)])
}

fn roles(request: &dyn Any) -> Option<Vec<Change>> {
    if let Some(put) = request.downcast_ref::<PutRolesRequest>() {
        let roles = put.roles.iter().map(|(name, written)| {
            let role = json!({"name": name, "role_descriptor": descriptor(name, written)});
            change("put_role", "put", json!({"role": role}))
        });
        return Some(roles.collect());
    }
    if let Some(delete) = request.downcast_ref::<DeleteRolesRequest>() {
        let roles = delete.names.iter().map(|name| {
            let content = json!({"role": {"name": name}});
            change("delete_role", "delete", content)
        });
        return Some(roles.collect());
    }
    if let Some(put) = request.downcast_ref::<PutRoleMappingRequest>() {
        let mut mapping = Map::from_iter([("name".to_owned(), put.name.as_str().into())]);
        mapping.extend(put.mapping.clone());
        let content = json!({"role_mapping": shown(&mapping)});
        return Some(vec![change("put_role_mapping", "put", content)]);
    }
    if let Some(delete) = request.downcast_ref::<DeleteRoleMappingRequest>() {
        let content = json!({"role_mapping": {"name": delete.name}});
        return Some(vec![change("delete_role_mapping", "delete", content)]);
    }
    if let Some(put) = request.downcast_ref::<PutPrivilegesRequest>() {
        let mut privileges = Vec::new();
        for (application, of_application) in &put.privileges {
            for (name, privilege) in of_application {
                privileges.push(json!({
                    "application": application,
                    "name": name,
                    "actions": privilege.actions,
                    "metadata": shown(&privilege.metadata),
                }));
            }
        }
        let content = json!({"privileges": privileges});
        return Some(vec![change("put_privileges", "put", content)]);
    }
    let delete = request.downcast_ref::<DeletePrivilegesRequest>()?;
    let content =
        json!({"privileges": {"application": delete.application, "privileges": delete.names}});
    Some(vec![change("delete_privileges", "delete", content)])
}

/// Returns a descriptor in its normal form; one that is none as it is written.
fn descriptor(name: &str, written: &Value) -> Value {
    let role = RoleDescriptor::parse(name, written);
    redact::value(&role.map_or_else(|_| written.clone(), |role| role.to_json()))
}

/// Returns what a caller has written, and nobody has looked at yet, without what is secret.
fn shown(written: &Map<String, Value>) -> Value {
    redact::value(&Value::Object(written.clone()))
}

fn descriptors(written: &Map<String, Value>) -> Value {
    let roles = written.iter();
    roles.map(|(name, role)| descriptor(name, role)).collect()
}

fn lifetime(lifetime_ms: Option<u64>) -> Value {
    lifetime_ms.map_or(Value::Null, |ms| {
        TimeValue::from_millis(ms).to_string().into()
    })
}

fn created(key: &CreateApiKeyRequest) -> Value {
    let mut created = json!({
        "id": key.id,
        "name": key.name,
        "type": "rest",
        "expiration": lifetime(key.lifetime_ms),
        "role_descriptors": descriptors(&key.role_descriptors),
    });
    if !key.metadata.is_empty() {
        created["metadata"] = shown(&key.metadata);
    }
    created
}

fn keys(request: &dyn Any) -> Option<Vec<Change>> {
    if let Some(key) = request.downcast_ref::<CreateApiKeyRequest>() {
        let content = json!({"apikey": created(key)});
        return Some(vec![change("create_apikey", "create", content)]);
    }
    if let Some(GrantApiKeyRequest { grant, run_as, key }) = request.downcast_ref() {
        let mut granted = match grant {
            Grant::Password { username, .. } => json!({
                "type": "password",
                "user": {"name": username, "has_password": true},
            }),
            Grant::AccessToken { .. } => json!({"type": "access_token", "has_access_token": true}),
        };
        if let Some(run_as) = run_as {
            granted["run_as"] = run_as.as_str().into();
        }
        let content = json!({"apikey": created(key), "grant": granted});
        return Some(vec![change("create_apikey", "create", content)]);
    }
    if let Some(update) = request.downcast_ref::<UpdateApiKeyRequest>() {
        let mut key = json!({"id": update.id, "type": "rest"});
        add_update(
            &mut key,
            update.role_descriptors.as_ref(),
            update.metadata.as_ref(),
            update.lifetime_ms,
        );
        let content = json!({"apikey": key});
        return Some(vec![change("change_apikey", "change", content)]);
    }
    if let Some(update) = request.downcast_ref::<BulkUpdateApiKeysRequest>() {
        let mut keys = json!({"ids": update.ids, "type": "rest"});
        add_update(
            &mut keys,
            update.role_descriptors.as_ref(),
            update.metadata.as_ref(),
            update.lifetime_ms,
        );
        let content = json!({"apikeys": keys});
        return Some(vec![change("change_apikeys", "change", content)]);
    }
    let invalidate = request.downcast_ref::<InvalidateApiKeysRequest>()?;
    let content = json!({"apikeys": meant(&invalidate.filter)});
    Some(vec![change("invalidate_apikeys", "invalidate", content)])
}

fn add_update(
    key: &mut Value,
    roles: Option<&Map<String, Value>>,
    metadata: Option<&Map<String, Value>>,
    lifetime_ms: Option<u64>,
) {
    if let Some(roles) = roles {
        key["role_descriptors"] = descriptors(roles);
    }
    if let Some(metadata) = metadata {
        key["metadata"] = shown(metadata);
    }
    key["expiration"] = lifetime(lifetime_ms);
}

/// Returns which keys are meant.
fn meant(filter: &ApiKeyFilter) -> Value {
    let mut keys = json!({});
    if !filter.ids.is_empty() {
        keys["ids"] = json!(filter.ids);
    }
    if let Some(name) = &filter.name {
        keys["name"] = name.as_str().into();
    }
    keys["owned_by_authenticated_user"] = filter.owner.into();
    let mut user = Map::new();
    for (name, value) in [("name", &filter.username), ("realm", &filter.realm_name)] {
        if let Some(value) = value {
            user.insert(name.to_owned(), value.as_str().into());
        }
    }
    if !user.is_empty() {
        keys["user"] = user.into();
    }
    keys
}

fn accounts(request: &dyn Any) -> Option<Vec<Change>> {
    let token = |principal: &str, name: Option<&str>| {
        let (namespace, service) = principal.split_once('/').unwrap_or((principal, ""));
        let mut token = json!({"namespace": namespace, "service": service});
        if let Some(name) = name {
            token["name"] = name.into();
        }
        json!({"service_token": token})
    };
    if let Some(create) = request.downcast_ref::<CreateServiceTokenRequest>() {
        let content = token(&create.principal, create.name.as_deref());
        return Some(vec![change("create_service_token", "create", content)]);
    }
    if request.is::<EnrollKibanaRequest>() {
        let content = token("elastic/kibana", None);
        return Some(vec![change("create_service_token", "create", content)]);
    }
    let delete = request.downcast_ref::<DeleteServiceTokenRequest>()?;
    let content = token(&delete.principal, Some(&delete.name));
    Some(vec![change("delete_service_token", "delete", content)])
}

/// Ringwall's own.
fn nodes(request: &dyn Any) -> Option<Vec<Change>> {
    if let Some(approve) = request.downcast_ref::<ApproveNodeRequest>() {
        let content = json!({"node": {"id": approve.id, "key": approve.key}});
        return Some(vec![change("approve_node", "change", content)]);
    }
    let forget = request.downcast_ref::<ForgetNodeRequest>()?;
    let content = json!({"node": {"id": forget.id}});
    Some(vec![change("forget_node", "delete", content)])
}
