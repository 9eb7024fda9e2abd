//! Lists of users, roles and API keys that a query finds.

use std::sync::Arc;

use ringwall_api::security::{
    ApiKeyInfo, Listed, QueryApiKeysRequest, QueryRolesRequest, QueryUsersRequest,
};
use ringwall_api::{ActionRequest, ApiError, ApiResult, RequestContext};
use ringwall_security::authz::reserved_roles;
use ringwall_security::listing::{Fields, ID, Item, list};
use ringwall_security::{Resolved, api_keys};
use serde_json::{Map, Value, json};

use crate::actions::Handler;
use crate::actions::security::api_keys::{check_enabled, owner};
use crate::services::Services;

const USERS: Fields = Fields {
    known: &["username", "roles", "full_name", "email", "enabled"],
    sortable: &["username", "roles", "enabled"],
    numbers: &[],
    words: &["full_name"],
    text: &["username", "roles", "full_name", "email"],
};

const ROLES: Fields = Fields {
    known: &["name", "description", "metadata.", "applications."],
    sortable: &["name", "metadata."],
    numbers: &[],
    words: &["description"],
    text: &["name", "description"],
};

const API_KEYS: Fields = Fields {
    known: &[
        "id",
        "name",
        "type",
        "creation",
        "expiration",
        "invalidated",
        "invalidation",
        "username",
        "realm",
        "metadata.",
    ],
    sortable: &[
        "id",
        "name",
        "type",
        "creation",
        "expiration",
        "invalidated",
        "invalidation",
        "username",
        "realm",
        "metadata.",
    ],
    numbers: &["creation", "expiration", "invalidation"],
    words: &[],
    text: &["id", "name", "username", "realm"],
};

impl Handler<QueryUsersRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<QueryUsersRequest>,
    ) -> ApiResult<Listed> {
        let state = services.cluster.state();
        let items = state.security.native_users.values().map(|stored| {
            let user = &stored.user;
            let shown = json!({
                "username": user.username, "roles": user.roles, "full_name": user.full_name, "email": user.email,
                "metadata": user.metadata, "enabled": user.enabled,
            });
            Item {
                fields: of(&shown, &user.username, &[]),
                shown,
            }
        });
        let items = items.collect();
        services
            .pools
            .search
            .run(move || list(items, &USERS, &request.list))
            .await?
    }
}

impl Handler<QueryRolesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<QueryRolesRequest>,
    ) -> ApiResult<Listed> {
        let state = services.cluster.state();
        let reserved = reserved_roles().map(|(name, role)| (name.to_owned(), role.to_json()));
        let stored = state.security.roles.iter();
        let stored =
            stored.map(|(name, role)| (name.clone(), Value::Object(role.descriptor.clone())));
        let items = reserved.chain(stored).map(|(name, mut shown)| {
            shown["name"] = name.as_str().into();
            let mut fields = of(&shown, &name, &["metadata"]);
            for part in ["application", "privileges", "resources"] {
                let groups = shown["applications"].as_array().into_iter().flatten();
                let values = groups.flat_map(|group| match &group[part] {
                    Value::Array(values) => values.clone(),
                    one => vec![one.clone()],
                });
                fields.insert(format!("applications.{part}"), values.collect());
            }
            Item { fields, shown }
        });
        let items = items.collect();
        services
            .pools
            .search
            .run(move || list(items, &ROLES, &request.list))
            .await?
    }
}

impl Handler<QueryApiKeysRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<QueryApiKeysRequest>,
    ) -> ApiResult<Listed> {
        check_enabled(&services)?;
        let caller = &context.authentication;
        let sees_all = services
            .authorizer
            .sees_all(caller, QueryApiKeysRequest::NAME);
        let state = services.cluster.state();
        let own = owner(&state, caller);
        // A key sees of its owner's only itself.
        let is_own = |key: &ApiKeyInfo| match &caller.api_key {
            Some(itself) => itself.id == key.id,
            None => api_keys::is_same_owner(&own, &key.owner),
        };
        let is_shown = |key: &&ApiKeyInfo| sees_all || is_own(key);
        let keys = state.security.api_keys.values().map(|key| &key.info);
        let keys: Vec<ApiKeyInfo> = keys.filter(is_shown).cloned().collect();
        let answer = move || {
            let items = keys.into_iter().map(key_item).collect::<ApiResult<_>>()?;
            list(items, &API_KEYS, &request.list)
        };
        services.pools.search.run(answer).await?
    }
}

fn key_item(key: ApiKeyInfo) -> ApiResult<Item> {
    let shown =
        serde_json::to_value(&key).map_err(|error| ApiError::internal(error.to_string()))?;
    let found_by = json!({
        "id": key.id, "name": key.name, "type": "rest", "creation": key.creation_ms, "expiration": key.expiration_ms,
        "invalidated": key.invalidation_ms.is_some(), "invalidation": key.invalidation_ms,
        "username": key.owner.principal, "realm": key.owner.realm.name, "metadata": key.metadata,
    });
    Ok(Item {
        fields: of(&found_by, &key.id, &["metadata"]),
        shown,
    })
}

/// Returns what something is found by: its members, and those of the objects named, by path.
fn of(shown: &Value, id: &str, objects: &[&str]) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert(ID.to_owned(), id.into());
    for (name, value) in shown.as_object().into_iter().flatten() {
        match objects.contains(&name.as_str()) {
            true => below(name, value, &mut fields),
            false => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    fields
}

fn below(path: &str, value: &Value, fields: &mut Map<String, Value>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                below(&format!("{path}.{name}"), value, fields);
            }
        }
        value => drop(fields.insert(path.to_owned(), value.clone())),
    }
}
