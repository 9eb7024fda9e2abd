//! Roles, keys and what they hold.

use super::*;

#[test]
fn every_reserved_role_compiles_and_editor_cannot_write() {
    let authorizer = authorizer();
    assert!(reserved_roles().count() > 25);
    let editor = authorizer.effective_role(&caller(&["editor"]));
    let write = "indices:data/write/index:op_type/index";
    assert!(!editor.on_indices(write).covers("logs-1"));
    assert!(editor.on_indices(write).covers("observability-annotations"));
}

fn key(
    role_descriptors: serde_json::Value,
    limited_by: serde_json::Value,
) -> (Authorizer, Authentication) {
    let object = |value: serde_json::Value| value.as_object().unwrap().clone();
    let owner = crate::api_keys::owner(&caller(&[]), None);
    let info = ApiKeyInfo {
        id: "k1".to_owned(),
        name: "k".to_owned(),
        creation_ms: 0,
        expiration_ms: None,
        invalidation_ms: None,
        role_descriptors: object(role_descriptors),
        limited_by: object(limited_by),
        metadata: serde_json::Map::new(),
        owner,
    };
    let mut caller = caller(&[]);
    caller.authentication_type = AuthenticationType::ApiKey;
    caller.api_key = Some(ringwall_api::auth::ApiKeyRef {
        id: "k1".to_owned(),
        name: "k".to_owned(),
    });
    let stored = StoredApiKey {
        info,
        hash: String::new(),
    };
    let store = FakeStore(
        Arc::default(),
        Some(Arc::new(stored)),
        Roles::default(),
        BTreeMap::new(),
    );
    (Authorizer::new(Arc::new(store), None).unwrap(), caller)
}

#[test]
fn a_key_can_do_what_both_it_and_its_owner_can() {
    let read = |names: &str| json!({"r": {"cluster": ["monitor"], "indices": [{"names": [names], "privileges": ["read", "write"]}]}});
    let owner = json!({"o": {"cluster": ["manage_own_api_key"], "indices": [{"names": ["logs-*"], "privileges": ["read"]}]}});
    let (authorizer, caller) = key(read("*"), owner.clone());
    let allowed =
        |action: &str, index: &str| authorizer.authorize_name(&caller, action, index).is_ok();
    assert!(allowed("indices:data/read/get", "logs-1"));
    assert!(!allowed("indices:data/read/get", "other"));
    assert!(!allowed("indices:data/write/index", "logs-1"));
    let refused = authorizer.authorize(&caller, MainRequest).unwrap_err();
    assert!(
        refused.reason.contains("API key id [k1] of user ["),
        "{}",
        refused.reason
    );

    let (authorizer, caller) = key(json!({}), owner);
    assert!(
        authorizer
            .authorize_name(&caller, "indices:data/read/get", "logs-1")
            .is_ok()
    );
    assert!(
        authorizer
            .authorize_name(&caller, "indices:data/read/get", "other")
            .is_err()
    );
    let ask = |request: GetApiKeysRequest| authorizer.authorize(&caller, request);
    let about = |ids: &[&str], owner| GetApiKeysRequest {
        filter: ApiKeyFilter {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            owner,
            ..ApiKeyFilter::default()
        },
        active_only: false,
    };
    assert!(ask(about(&["k1"], false)).is_ok());
    assert!(ask(about(&[], true)).is_ok());
    assert!(ask(about(&["k2"], false)).is_err());
    assert!(ask(about(&[], false)).is_err());
    let create = CreateApiKeyRequest {
        id: "an-id".to_owned(),
        name: "n".to_owned(),
        lifetime_ms: None,
        role_descriptors: serde_json::Map::new(),
        metadata: serde_json::Map::new(),
    };
    assert!(authorizer.authorize(&caller, create).is_ok());
}

#[test]
fn a_role_of_the_cluster_is_in_force_as_it_is_now() {
    let (authorizer, roles) = with_roles(json!({
        "r": {"indices": [{"names": ["logs-*"], "privileges": ["read"]}]},
    }));
    let may = |index: &str| {
        authorizer
            .authorize_name(&caller(&["r"]), "indices:data/read/get", index)
            .is_ok()
    };
    assert!(may("logs-1") && !may("other"));
    let changed = json!({"indices": [{"names": ["other"], "privileges": ["read"]}]});
    let changed = Arc::new(check_put_role("r", &changed).unwrap());
    roles.lock().insert("r".to_owned(), changed);
    assert!(!may("logs-1") && may("other"));
    // A built-in role cannot be another by being stored.
    let all = StoredRole {
        descriptor: json!({"cluster": ["all"]}).as_object().unwrap().clone(),
    };
    roles.lock().insert("viewer".to_owned(), Arc::new(all));
    assert!(
        !authorizer
            .effective_role(&caller(&["viewer"]))
            .allows_cluster("cluster:admin/settings/update", false)
    );
    roles.lock().clear();
    let role = authorizer.effective_role(&caller(&["r"]));
    assert_eq!(role.not_found, ["r"]);
    assert!(!may("other"));
}

#[test]
fn roles_that_may_not_be_stored_are_refused_by_name() {
    for (name, written, part) in [
        ("superuser", json!({}), "Role [superuser] is reserved"),
        (" r", json!({}), "Leading or trailing whitespace"),
        (
            "r",
            json!({"metadata": {"_a": 1}}),
            "may not start with [_]",
        ),
        (
            "r",
            json!({"applications": [{"application": "K", "privileges": ["a"], "resources": ["*"]}]}),
            "(found 'K')",
        ),
        (
            "r",
            json!({"cluster": ["nope"]}),
            "unknown cluster privilege",
        ),
        (
            "r",
            json!({"indices": [{"names": ["a"], "privileges": ["read"], "field_security": {"grant": ["a"], "except": ["b"]}}]}),
            "must be a subset of the granted fields",
        ),
    ] {
        let error = check_put_role(name, &written).unwrap_err();
        assert!(
            error.status == 400 && error.reason.contains(part),
            "{}",
            error.reason
        );
    }
}

/// As a real Elasticsearch answers the same questions for the same role.
#[test]
fn privileges_are_held_as_elasticsearch_has_them() {
    let (authorizer, _) = with_roles(json!({"t1": {
        "cluster": ["monitor"],
        "indices": [
            {"names": ["logs-*", "x?"], "privileges": ["read"]},
            {"names": ["/re.*/"], "privileges": ["write"]},
        ],
        "applications": [{
            "application": "kibana-.kibana", "privileges": ["feature_x.read"], "resources": ["space:a", "space:b*"],
        }],
    }}));
    let texts = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    let asked = HasPrivilegesRequest {
        cluster: texts(&["monitor", "all", "cluster:monitor/health"]),
        index: vec![IndexPrivilegesCheck {
            names: texts(&["logs-1", "logs-*", "logs*", "xa", "x?", "re1", "re*"]),
            privileges: texts(&["read", "write"]),
            allow_restricted_indices: false,
        }],
        application: vec![ApplicationPrivilegesCheck {
            application: "kibana-.kibana".to_owned(),
            privileges: texts(&["feature_x.read", "feature_x.write", "*"]),
            resources: texts(&["space:a", "space:bb", "*"]),
        }],
    };
    let held = authorizer
        .held_privileges(&caller(&["t1", "gone"]), &asked)
        .unwrap();
    let yes = |answers: &ringwall_api::security::Held| {
        let held = answers.iter().filter(|(_, held)| **held);
        held.map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
            .join(",")
    };
    assert_eq!(yes(&held.cluster), "cluster:monitor/health,monitor");
    let by_index: Vec<String> = held
        .index
        .iter()
        .map(|(name, h)| format!("{name}={}", yes(h)))
        .collect();
    assert_eq!(
        by_index.join(" "),
        "logs*= logs-*=read logs-1=read re*=write re1=write x?=read xa=read"
    );
    let resources = &held.application["kibana-.kibana"];
    let by_resource: Vec<String> = resources
        .iter()
        .map(|(name, h)| format!("{name}={}", yes(h)))
        .collect();
    assert_eq!(
        by_resource.join(" "),
        "*= space:a=feature_x.read space:bb=feature_x.read"
    );

    let (superuser, restricted) = (caller(&["superuser"]), |allow| HasPrivilegesRequest {
        cluster: Vec::new(),
        index: vec![IndexPrivilegesCheck {
            names: texts(&[".security-7", "x*"]),
            privileges: texts(&["read", "write"]),
            allow_restricted_indices: allow,
        }],
        application: Vec::new(),
    });
    let held = authorizer
        .held_privileges(&superuser, &restricted(false))
        .unwrap();
    assert_eq!(yes(&held.index[".security-7"]), "read");
    assert_eq!(yes(&held.index["x*"]), "read,write");
    let held = authorizer
        .held_privileges(&superuser, &restricted(true))
        .unwrap();
    assert_eq!(yes(&held.index["x*"]), "read");
}

/// What nobody could ask for without harm to others is refused with what to do.
#[test]
fn questions_about_privileges_are_bounded() {
    let (authorizer, _) = with_roles(json!({"r": {"indices": [
        {"names": ["logs-*", "*a??????????"], "privileges": ["read"]},
    ]}}));
    let ask = |names: Vec<String>| {
        let check = IndexPrivilegesCheck {
            names,
            privileges: vec!["read".to_owned()],
            allow_restricted_indices: false,
        };
        let asked = HasPrivilegesRequest {
            cluster: Vec::new(),
            index: vec![check],
            application: Vec::new(),
        };
        authorizer.held_privileges(&caller(&["r"]), &asked)
    };
    let refused = |names: Vec<String>| ask(names).unwrap_err().reason;
    let hostile = (0..100).map(|n| format!("*a????????????{n}")).collect();
    assert!(refused(hostile).contains("too complicated"));
    let many = (0..30_000).map(|n| format!("logs-{n}")).collect();
    assert!(refused(many).contains("[30000] checks"));
    assert!(refused(vec!["x".repeat(2000)]).contains("[2000] bytes"));
    let ordinary = ask((0..1000).map(|n| format!("logs-{n}")).collect()).unwrap();
    assert!(ordinary.index.values().all(|held| held["read"]));
    let patterns = ask((0..50).map(|n| format!("logs-{n}-*")).collect()).unwrap();
    assert!(patterns.index.values().all(|held| held["read"]));
    assert!(!ask(vec![String::new()]).unwrap().index[""]["read"]);
}

/// As a real Elasticsearch answers the same questions for the same role and privileges.
#[test]
fn a_privilege_of_an_application_is_what_it_may_do() {
    let privilege = |name: &str, actions: &[&str]| {
        let privilege = StoredPrivilege {
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            metadata: Map::new(),
        };
        (name.to_owned(), privilege)
    };
    let stored = BTreeMap::from([
        privilege("read", &["data:read/*", "action:login"]),
        privilege("write", &["data:write/*"]),
        privilege("all", &["*"]),
    ]);
    let role = json!({"applications": [
        {"application": "myapp", "privileges": ["read"], "resources": ["space:*"]},
        {"application": "my*", "privileges": ["data:write/x"], "resources": ["*"]},
        {"application": "other-1", "privileges": ["all"], "resources": ["*"]},
    ]});
    let role = Arc::new(check_put_role("r", &role).unwrap());
    let roles = Roles::new(parking_lot::Mutex::new([("r".to_owned(), role)].into()));
    let known = BTreeMap::from([("myapp".to_owned(), Arc::new(stored))]);
    let store = FakeStore(Arc::default(), None, roles, known);
    let authorizer = Authorizer::new(Arc::new(store), None).unwrap();
    let texts = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    let privileges = [
        "read",
        "write",
        "all",
        "data:read/a",
        "data:read/*",
        "data:write/x",
        "data:write/y",
        "action:login",
        "nope",
        "x:y",
    ];
    let check = |application: &str, resources: &[&str]| ApplicationPrivilegesCheck {
        application: application.to_owned(),
        privileges: texts(&privileges),
        resources: texts(resources),
    };
    let asked = HasPrivilegesRequest {
        cluster: Vec::new(),
        index: Vec::new(),
        application: vec![
            check("myapp", &["space:a", "*", "b"]),
            check("other-1", &["*"]),
            check("unknown", &["*"]),
        ],
    };
    let held = authorizer.held_privileges(&caller(&["r"]), &asked).unwrap();
    let yes = |application: &str, resource: &str| {
        let answers = &held.application[application][resource];
        let held = answers.iter().filter(|(_, held)| **held);
        held.map(|(name, _)| name.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        yes("myapp", "space:a"),
        "action:login data:read/* data:read/a data:write/x read"
    );
    assert_eq!(yes("myapp", "*"), "data:write/x");
    assert_eq!(yes("myapp", "b"), "data:write/x");
    assert_eq!(yes("other-1", "*"), "all");
    assert_eq!(yes("unknown", "*"), "");
}
