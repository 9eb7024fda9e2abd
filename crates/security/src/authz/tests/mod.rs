//! The authorizer, asked about a few roles and indices.

mod audited;
mod names;
mod requests;
mod roles;

use std::collections::BTreeMap;

use ringwall_api::auth::{RealmRef, User};
use ringwall_api::cluster::{HealthRequest, MainRequest};
use ringwall_api::document::{
    BulkRequest, GetRequest, OpType, RefreshPolicy, SourceFilter, WriteItem,
};
use ringwall_api::indices::ShardTableRequest;
use ringwall_api::indices::{CreateIndexRequest, DeleteIndexRequest, GetIndexRequest};
use ringwall_api::search::SearchRequest;
use ringwall_api::security::{
    ApiKeyFilter, ApiKeyInfo, CreateApiKeyRequest, GetApiKeysRequest, StoredApiKey,
};
use ringwall_api::security::{ApplicationPrivilegesCheck, IndexPrivilegesCheck, StoredRole};
use ringwall_api::security::{AuthenticateRequest, ChangePasswordRequest, NewPassword};
use ringwall_api::security::{OfApplication, StoredPrivilege};
use ringwall_api::{ActionRequest, IndicesOptions};
use serde_json::json;

use super::*;
use crate::{IndexNameInfo, IndexNames, StoredReserved, StoredUser};

#[derive(Default)]
struct FakeStore(
    Arc<IndexNames>,
    Option<Arc<StoredApiKey>>,
    Roles,
    BTreeMap<String, Arc<OfApplication<StoredPrivilege>>>,
);

/// Roles of the cluster, which change.
type Roles = Arc<parking_lot::Mutex<BTreeMap<String, Arc<StoredRole>>>>;

impl SecurityStore for FakeStore {
    fn native_user(&self, _: &str) -> Option<StoredUser> {
        None
    }
    fn reserved_user(&self, _: &str) -> Option<StoredReserved> {
        None
    }
    fn api_key(&self, _: &str) -> Option<Arc<StoredApiKey>> {
        self.1.clone()
    }

    fn service_token(&self, _: &str, _: &str) -> Option<String> {
        None
    }

    fn token(&self, _: &str) -> Option<Arc<ringwall_api::security::StoredToken>> {
        None
    }

    fn role(&self, name: &str) -> Option<Arc<StoredRole>> {
        self.2.lock().get(name).cloned()
    }

    fn role_mappings(&self) -> Vec<(String, Arc<ringwall_api::security::StoredRoleMapping>)> {
        Vec::new()
    }

    fn application_privileges(
        &self,
        application: &str,
    ) -> Option<Arc<ringwall_api::security::OfApplication<ringwall_api::security::StoredPrivilege>>>
    {
        self.3.get(application).cloned()
    }

    fn generation(&self) -> u64 {
        0
    }
    fn index_names(&self) -> Arc<IndexNames> {
        Arc::clone(&self.0)
    }
}

fn store() -> Arc<dyn SecurityStore> {
    let index = |name: &str, aliases: &[&str], hidden| IndexNameInfo {
        name: name.to_owned(),
        hidden,
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        ..IndexNameInfo::default()
    };
    let closed = IndexNameInfo {
        closed: Some("u".to_owned()),
        ..index("shut", &["shut-alias"], false)
    };
    Arc::new(FakeStore(
        Arc::new(IndexNames::new([
            index("logs-1", &["logs-now"], false),
            index("logs-2", &["logs-now", "two"], false),
            index("secret", &["open"], false),
            index("veiled", &[], true),
            index(".internal", &[], false),
            index(".kibana_1", &[], false),
            closed,
        ])),
        None,
        Roles::default(),
        BTreeMap::new(),
    ))
}

/// An authorizer that also knows some roles made for these tests.
fn authorizer() -> Authorizer {
    let mut authorizer = Authorizer::new(store(), None).unwrap();
    for (name, descriptor) in [
        (
            "logs",
            json!({"indices": [{"names": ["logs-*"], "privileges": ["read", "create_index", "delete_index"]}]}),
        ),
        (
            "by_alias",
            json!({"indices": [{"names": ["open"], "privileges": ["read"]}]}),
        ),
        ("monitor", json!({"cluster": ["monitor"]})),
        (
            "stats",
            json!({"indices": [{"names": ["logs-*"], "privileges": ["monitor"]}]}),
        ),
        (
            "indexer",
            json!({"indices": [{"names": ["logs-*"], "privileges": ["create_doc"]}]}),
        ),
        ("users", json!({"cluster": ["manage_security"]})),
    ] {
        let descriptor: RoleDescriptor = serde_json::from_value(descriptor).unwrap();
        let role = CompiledRole::compile(name, &descriptor).unwrap();
        authorizer
            .roles
            .reserved
            .insert(name.to_owned(), Arc::new(role));
    }
    authorizer
}

fn caller(roles: &[&str]) -> Authentication {
    Authentication {
        user: Arc::new(User {
            username: "ann".to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            full_name: None,
            email: None,
            metadata: serde_json::Map::new(),
            enabled: true,
        }),
        realm: RealmRef {
            name: "default_native".to_owned(),
            realm_type: "native".to_owned(),
        },
        authentication_type: AuthenticationType::Realm,
        token: None,
        api_key: None,
        run_by: None,
        asked: None,
    }
}

fn authorize<R: ActionRequest>(roles: &[&str], request: R) -> ApiResult<Vec<String>> {
    run(&authorizer(), &caller(roles), request)
}

fn run<R: ActionRequest>(
    authorizer: &Authorizer,
    caller: &Authentication,
    request: R,
) -> ApiResult<Vec<String>> {
    let resolved = authorizer.authorize(caller, request)?;
    let indices = resolved.if_on_indices();
    Ok(indices.map_or_else(Vec::new, |indices| indices.names().to_vec()))
}

fn search(expressions: &str) -> SearchRequest {
    search_with(expressions, IndicesOptions::default())
}

fn search_with(expressions: &str, options: IndicesOptions) -> SearchRequest {
    SearchRequest {
        indices: IndicesTarget::parse(expressions).with_options(options),
        body: json!({}),
        routing: None,
        preference: None,
        typed_keys: false,
        allow_partial_results: None,
        scroll_ms: None,
    }
}

fn with_roles(roles: serde_json::Value) -> (Authorizer, Roles) {
    let stored = roles.as_object().unwrap().iter().map(|(name, written)| {
        let stored = check_put_role(name, written).unwrap();
        (name.clone(), Arc::new(stored))
    });
    let roles = Roles::new(parking_lot::Mutex::new(stored.collect()));
    let store = FakeStore(Arc::default(), None, roles.clone(), BTreeMap::new());
    (Authorizer::new(Arc::new(store), None).unwrap(), roles)
}
