//! Every request that changes security is told as a change, without what is secret.

use std::any::Any;
use std::collections::BTreeMap;

use ringwall_api::cluster::{ApproveNodeRequest, ForgetNodeRequest};
use ringwall_api::for_each_action;
use ringwall_api::security::{
    BulkUpdateApiKeysRequest, ChangePasswordRequest, CreateApiKeyRequest,
    CreateServiceTokenRequest, DeletePrivilegesRequest, DeleteRoleMappingRequest,
    DeleteRolesRequest, DeleteServiceTokenRequest, DeleteUserRequest, EnrollKibanaRequest, Grant,
    GrantApiKeyRequest, InvalidateApiKeysRequest, NewPassword, PutPrivilegesRequest,
    PutRoleMappingRequest, PutRolesRequest, PutUserRequest, SetUserEnabledRequest,
    UpdateApiKeyRequest,
};
use serde_json::json;

use super::change;

const CANARY: &str = "hunter2-canary";

macro_rules! names {
    ($($module:ident {
        $($request:ident => $response:ident, $name:literal, $access:ident $(($($args:tt)*))?;)*
    })*) => {
        &[$($((stringify!($request), $name),)*)*]
    };
}

const ACTIONS: &[(&str, &str)] = for_each_action!(names);

/// Security actions that change nothing of who may do what. Tokens that a login gives are none for Elasticsearch, either.
const NO_CHANGES: &[&str] = &[
    "AuthenticateRequest",
    "GetUsersRequest",
    "GetRolesRequest",
    "GetBuiltinPrivilegesRequest",
    "HasPrivilegesRequest",
    "GetUserPrivilegesRequest",
    "ClearSecurityCacheRequest",
    "GetRoleMappingsRequest",
    "GetPrivilegesRequest",
    "GetApiKeysRequest",
    "QueryUsersRequest",
    "QueryRolesRequest",
    "QueryApiKeysRequest",
    "GetServiceAccountsRequest",
    "GetServiceCredentialsRequest",
    "EnrollNodeRequest",
    "SearchAuditRequest",
    "ExplainAccessRequest",
    "CreateTokenRequest",
    "RefreshTokenRequest",
    "InvalidateTokensRequest",
];

fn key() -> CreateApiKeyRequest {
    CreateApiKeyRequest {
        id: "an-id".to_owned(),
        name: "k".to_owned(),
        lifetime_ms: Some(86_400_000),
        role_descriptors: serde_json::Map::from_iter([(
            "r".to_owned(),
            json!({"cluster": ["monitor"]}),
        )]),
        metadata: serde_json::Map::new(),
    }
}

/// A request of each kind, with the action of its event and what that tells.
type Sample = (Box<dyn Any>, &'static str, serde_json::Value);

fn changes() -> BTreeMap<&'static str, Sample> {
    let secret = || NewPassword::Plain(CANARY.into());
    let object = |value: serde_json::Value| value.as_object().unwrap().clone();
    let role = json!({"cluster": ["monitor"]});
    let written = crate::authz::RoleDescriptor::parse("r", &role)
        .unwrap()
        .to_json();
    let key_content = json!({
        "id": "an-id", "name": "k", "type": "rest", "expiration": "1d", "role_descriptors": [written.clone()],
    });
    let mut changes: BTreeMap<&str, Sample> = BTreeMap::new();
    let mut add = |name, request: Box<dyn Any>, action, content| {
        changes.insert(name, (request, action, content));
    };
    let put = PutUserRequest {
        username: "ann".to_owned(),
        password: Some(secret()),
        roles: vec!["reader".to_owned()],
        full_name: Some("Ann".to_owned()),
        email: None,
        metadata: object(json!({"k": 1})),
        enabled: true,
    };
    let user = json!({"user": {
        "name": "ann", "enabled": true, "roles": ["reader"], "full_name": "Ann", "has_password": true, "metadata": {"k": 1},
    }});
    add("PutUserRequest", Box::new(put), "put_user", user);
    let named = json!({"user": {"name": "ann"}});
    let username = || "ann".to_owned();
    let request = Box::new(DeleteUserRequest {
        username: username(),
    });
    add("DeleteUserRequest", request, "delete_user", named.clone());
    let request = ChangePasswordRequest {
        username: username(),
        password: NewPassword::Hash(CANARY.into()),
    };
    let content = json!({"password": named});
    add(
        "ChangePasswordRequest",
        Box::new(request),
        "change_password",
        content,
    );
    let request = SetUserEnabledRequest {
        username: username(),
        enabled: false,
    };
    let content = json!({"disable": named});
    add(
        "SetUserEnabledRequest",
        Box::new(request),
        "change_disable_user",
        content,
    );
    let request = PutRolesRequest {
        roles: object(json!({"r": role})),
    };
    let content = json!({"role": {"name": "r", "role_descriptor": written}});
    add("PutRolesRequest", Box::new(request), "put_role", content);
    let request = DeleteRolesRequest {
        names: vec!["r".to_owned()],
    };
    let content = json!({"role": {"name": "r"}});
    add(
        "DeleteRolesRequest",
        Box::new(request),
        "delete_role",
        content,
    );
    let mapping =
        object(json!({"roles": ["r"], "rules": {"field": {"username": "x"}}, "enabled": true}));
    let request = PutRoleMappingRequest {
        name: "m".to_owned(),
        mapping,
    };
    let content = json!({"role_mapping": {
        "name": "m", "roles": ["r"], "rules": {"field": {"username": "x"}}, "enabled": true,
    }});
    add(
        "PutRoleMappingRequest",
        Box::new(request),
        "put_role_mapping",
        content,
    );
    let request = DeleteRoleMappingRequest {
        name: "m".to_owned(),
    };
    let content = json!({"role_mapping": {"name": "m"}});
    add(
        "DeleteRoleMappingRequest",
        Box::new(request),
        "delete_role_mapping",
        content,
    );
    let privilege = json!({"app": {"read": {"actions": ["data:read/*"], "metadata": {}}}});
    let request = PutPrivilegesRequest {
        privileges: serde_json::from_value(privilege).unwrap(),
    };
    let content = json!({"privileges": [
        {"application": "app", "name": "read", "actions": ["data:read/*"], "metadata": {}},
    ]});
    add(
        "PutPrivilegesRequest",
        Box::new(request),
        "put_privileges",
        content,
    );
    let request = DeletePrivilegesRequest {
        application: "app".to_owned(),
        names: vec!["read".to_owned()],
    };
    let content = json!({"privileges": {"application": "app", "privileges": ["read"]}});
    add(
        "DeletePrivilegesRequest",
        Box::new(request),
        "delete_privileges",
        content,
    );
    let content = json!({"apikey": key_content});
    add(
        "CreateApiKeyRequest",
        Box::new(key()),
        "create_apikey",
        content,
    );
    let request = GrantApiKeyRequest {
        grant: Grant::Password {
            username: username(),
            password: CANARY.into(),
        },
        run_as: None,
        key: key(),
    };
    let content = json!({
        "apikey": key_content,
        "grant": {"type": "password", "user": {"name": "ann", "has_password": true}},
    });
    add(
        "GrantApiKeyRequest",
        Box::new(request),
        "create_apikey",
        content,
    );
    let request = UpdateApiKeyRequest {
        id: "an-id".to_owned(),
        lifetime_ms: None,
        role_descriptors: None,
        metadata: Some(object(json!({"b": 2}))),
    };
    let content = json!({"apikey": {"id": "an-id", "type": "rest", "metadata": {"b": 2}, "expiration": null}});
    add(
        "UpdateApiKeyRequest",
        Box::new(request),
        "change_apikey",
        content,
    );
    let request = BulkUpdateApiKeysRequest {
        ids: vec!["an-id".to_owned()],
        lifetime_ms: None,
        role_descriptors: None,
        metadata: None,
    };
    let content = json!({"apikeys": {"ids": ["an-id"], "type": "rest", "expiration": null}});
    add(
        "BulkUpdateApiKeysRequest",
        Box::new(request),
        "change_apikeys",
        content,
    );
    let mut request = InvalidateApiKeysRequest::default();
    request.filter.ids = vec!["an-id".to_owned()];
    let content = json!({"apikeys": {"ids": ["an-id"], "owned_by_authenticated_user": false}});
    add(
        "InvalidateApiKeysRequest",
        Box::new(request),
        "invalidate_apikeys",
        content,
    );
    let request = CreateServiceTokenRequest {
        principal: "elastic/kibana".to_owned(),
        name: Some("t".to_owned()),
    };
    let token =
        json!({"service_token": {"namespace": "elastic", "service": "kibana", "name": "t"}});
    add(
        "CreateServiceTokenRequest",
        Box::new(request),
        "create_service_token",
        token.clone(),
    );
    let request = DeleteServiceTokenRequest {
        principal: "elastic/kibana".to_owned(),
        name: "t".to_owned(),
    };
    add(
        "DeleteServiceTokenRequest",
        Box::new(request),
        "delete_service_token",
        token,
    );
    let content = json!({"service_token": {"namespace": "elastic", "service": "kibana"}});
    add(
        "EnrollKibanaRequest",
        Box::new(EnrollKibanaRequest),
        "create_service_token",
        content,
    );
    let request = ApproveNodeRequest {
        id: "n".to_owned(),
        key: "k".to_owned(),
        timeout_ms: 0,
    };
    let content = json!({"node": {"id": "n", "key": "k"}});
    add(
        "ApproveNodeRequest",
        Box::new(request),
        "approve_node",
        content,
    );
    let request = ForgetNodeRequest {
        id: "n".to_owned(),
        timeout_ms: 0,
    };
    let content = json!({"node": {"id": "n"}});
    add(
        "ForgetNodeRequest",
        Box::new(request),
        "forget_node",
        content,
    );
    changes
}

#[test]
fn every_security_action_is_a_change_or_known_to_be_none() {
    let changes = changes();
    for (request, action) in ACTIONS {
        if !action.starts_with("cluster:admin/xpack/security/") {
            continue;
        }
        let is_change = changes.contains_key(request);
        assert_ne!(
            is_change,
            NO_CHANGES.contains(request),
            "{request}: say in audit/change.rs what it changes, or here that it changes nothing"
        );
    }
}

#[test]
fn changes_tell_what_they_are_without_secrets() {
    for (name, (request, action, content)) in changes() {
        let told = change::of(&*request);
        assert_eq!(told.len(), 1, "{name}");
        assert_eq!(
            (told[0].action, &told[0].content),
            (action, &content),
            "{name}"
        );
        assert!(!told[0].content.to_string().contains(CANARY), "{name}");
    }
}

/// What is refused later is told before that, as it was written.
#[test]
fn what_nobody_has_looked_at_yet_is_told_without_secrets() {
    let odd = json!({"cluster": [], "nested": [{"Password": CANARY, "api_key": CANARY}]});
    let odd = odd.as_object().unwrap().clone();
    let mut key = key();
    key.role_descriptors = serde_json::Map::from_iter([("r".to_owned(), odd.clone().into())]);
    key.metadata = odd.clone();
    let requests: [Box<dyn Any>; 3] = [
        Box::new(PutRolesRequest {
            roles: serde_json::Map::from_iter([("r".to_owned(), odd.clone().into())]),
        }),
        Box::new(PutRoleMappingRequest {
            name: "m".to_owned(),
            mapping: odd,
        }),
        Box::new(key),
    ];
    for request in requests {
        let told = change::of(&*request)[0].content.to_string();
        assert!(told.contains("nested") && !told.contains(CANARY), "{told}");
    }
}
