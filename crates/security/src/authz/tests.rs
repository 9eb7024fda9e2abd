use std::collections::BTreeMap;

use ringwall_api::api_keys::{
    ApiKeyFilter, ApiKeyInfo, CreateApiKeyRequest, GetApiKeysRequest, StoredApiKey,
};
use ringwall_api::auth::{RealmRef, User};
use ringwall_api::cluster::{HealthRequest, MainRequest, ShardTableRequest};
use ringwall_api::document::{
    BulkRequest, GetRequest, OpType, RefreshPolicy, SourceFilter, WriteItem,
};
use ringwall_api::indices::{CreateIndexRequest, DeleteIndexRequest, GetIndexRequest};
use ringwall_api::privileges::{OfApplication, StoredPrivilege};
use ringwall_api::roles::{ApplicationPrivilegesCheck, IndexPrivilegesCheck, StoredRole};
use ringwall_api::search::SearchRequest;
use ringwall_api::security::{AuthenticateRequest, ChangePasswordRequest, NewPassword};
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

    fn role(&self, name: &str) -> Option<Arc<StoredRole>> {
        self.2.lock().get(name).cloned()
    }

    fn role_mappings(&self) -> Vec<(String, Arc<ringwall_api::role_mappings::StoredRoleMapping>)> {
        Vec::new()
    }

    fn application_privileges(
        &self,
        application: &str,
    ) -> Option<
        Arc<ringwall_api::privileges::OfApplication<ringwall_api::privileges::StoredPrivilege>>,
    > {
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

#[test]
fn who_may_do_nothing_of_the_kind_is_refused_before_the_request_is_read() {
    use ringwall_api::api_keys::InvalidateApiKeysRequest;
    use ringwall_api::security::PutUserRequest;

    let authorizer = authorizer();
    let admitted = |roles: &[&str], action: &ActionSpec| authorizer.admit(&caller(roles), action);
    let (search, bulk) = (SearchRequest::ACTION, BulkRequest::ACTION);
    for (roles, action, expected) in [
        (&["logs"][..], &search, true),
        (&["by_alias"], &search, true),
        (&["indexer"], &search, false),
        (&["monitor"], &search, false),
        (&[], &search, false),
        (&["indexer"], &bulk, true),
        (&["logs"], &bulk, false),
        (&["monitor"], &HealthRequest::ACTION, true),
        (&["logs"], &HealthRequest::ACTION, false),
        (&["users"], &PutUserRequest::ACTION, true),
        (&["monitor"], &PutUserRequest::ACTION, false),
        // Keys of their own are for users without the right to those of others, too.
        (&["users"], &InvalidateApiKeysRequest::ACTION, true),
        (&["logs"], &InvalidateApiKeysRequest::ACTION, false),
        (&[], &ChangePasswordRequest::ACTION, true),
    ] {
        let found = admitted(roles, action);
        assert_eq!(found.is_ok(), expected, "{roles:?} {}", action.name);
        if let Err(error) = found {
            assert_eq!(error.status, 403);
        }
    }
    // In the words of the check that would have come later.
    let early = admitted(&["monitor"], &search).unwrap_err();
    let late = authorize(&["monitor"], self::search("logs-1")).unwrap_err();
    assert_eq!(early, late);
}

#[test]
fn wildcards_narrow_and_concrete_names_are_refused() {
    for (roles, expression, expected) in [
        (&["logs"][..], "*", Ok("logs-1,logs-2")),
        (&["logs"], "", Ok("logs-1,logs-2")),
        (&["logs"], "_all", Ok("logs-1,logs-2")),
        (&["logs"], "logs-*,-logs-1", Ok("logs-2")),
        (&["logs"], "logs-2,logs-*", Ok("logs-2,logs-1")),
        (&["logs"], "logs-now", Ok("logs-1,logs-2")),
        (&["logs"], "sec*", Ok("")),
        (&["logs"], "secret", Err(403)),
        (&["logs"], "logs-1,secret", Err(403)),
        (&["logs"], "missing", Err(403)),
        (&["logs"], "logs-9", Err(404)),
        (&["logs"], "-logs-1", Err(403)),
        (&["logs"], "_nope", Err(400)),
        (&["by_alias"], "open", Ok("secret")),
        (&["by_alias"], "secret", Err(403)),
        (&["by_alias"], "*", Ok("secret")),
        (&["monitor"], "*", Err(403)),
        (&[], "*", Err(403)),
        (&["superuser"], "*", Ok("logs-1,logs-2,secret")),
        (&["superuser"], ".*", Ok(".internal,.kibana_1")),
        (&["superuser"], "missing", Err(404)),
        (&["viewer"], "*", Ok("logs-1,logs-2,secret")),
        (&["viewer"], "veiled", Ok("veiled")),
        (&["viewer"], ".*", Ok("")),
        (&["viewer"], ".internal", Err(403)),
    ] {
        let actual = authorize(roles, search(expression));
        let actual = match &actual {
            Ok(names) => Ok(names.join(",")),
            Err(error) => Err(error.status),
        };
        assert_eq!(
            actual,
            expected.map(str::to_owned),
            "{roles:?} {expression}"
        );
    }
}

#[test]
fn options_change_what_is_missing() {
    let lenient = IndicesOptions {
        ignore_unavailable: true,
        ..IndicesOptions::default()
    };
    let names = authorize(&["logs"], search_with("logs-1,logs-9,secret", lenient)).unwrap();
    assert_eq!(names, ["logs-1"]);
    let strict = IndicesOptions {
        allow_no_indices: false,
        ..IndicesOptions::default()
    };
    let error = authorize(&["logs"], search_with("sec*", strict)).unwrap_err();
    assert_eq!(
        (error.status, error.reason.as_str()),
        (404, "no such index [sec*]")
    );
    let hidden = IndicesOptions {
        expand_hidden: true,
        ..IndicesOptions::default()
    };
    let names = authorize(&["viewer"], search_with("*", hidden)).unwrap();
    assert_eq!(names, ["logs-1", "logs-2", "secret", "veiled"]);
}

#[test]
fn closed_indices_are_refused_or_passed_over_or_wanted() {
    let open = IndicesOptions::default();
    let lenient = IndicesOptions {
        ignore_unavailable: true,
        ..open
    };
    let closed = IndicesOptions {
        expand_closed: true,
        expand_wildcards: false,
        ..open
    };
    let of = |names: &str, options| {
        let resolved = authorize(&["viewer"], search_with(names, options));
        resolved
            .map(|names| names.join(","))
            .map_err(|error| error.code)
    };
    let refused = || Err(ErrorCode::IndexClosed);
    assert_eq!(of("shut", open), refused());
    assert_eq!(of("logs-1,shut-alias", open), refused());
    assert_eq!(of("shut*", closed), refused());
    assert_eq!(
        of("logs-1,shut,shut-alias", lenient),
        Ok("logs-1".to_owned())
    );
    // Neither by the name of the index nor by that of an alias.
    assert_eq!(of("logs-1,shut*", open), Ok("logs-1".to_owned()));
    let metadata = IndicesOptions::of_metadata();
    assert_eq!(of("shut*", metadata), Ok(String::new()));
    assert_eq!(of("shut", metadata), Ok("shut".to_owned()));
    let both = IndicesOptions::open_and_closed();
    assert_eq!(of("shut*,logs-1", both), Ok("shut,logs-1".to_owned()));
    assert_eq!(
        of(
            "*",
            IndicesOptions {
                expand_wildcards: false,
                ..both
            }
        ),
        Ok("shut".to_owned())
    );
}

#[test]
fn denials_name_the_action_roles_indices_and_privileges() {
    let error = authorize(&["logs", "gone"], search("secret,.kibana_1")).unwrap_err();
    assert_eq!(
        error.reason,
        "action [indices:data/read/search] is unauthorized for user [ann] with effective roles [logs] \
         (assigned roles [gone] were not found) on indices [secret] and restricted indices [.kibana_1], \
         this action is granted by the index privileges [read,all]"
    );
    assert_eq!((error.code, error.status), (ErrorCode::Security, 403));
    assert!(error.headers.is_empty());
    let error = authorize(&[], MainRequest).unwrap_err();
    assert_eq!(
        error.reason,
        "action [cluster:monitor/main] is unauthorized for user [ann] with effective roles [], this \
         action is granted by the cluster privileges [monitor,manage,all]"
    );
}

#[test]
fn cluster_actions_need_cluster_privileges() {
    let health = || HealthRequest {
        indices: IndicesTarget::default(),
        wait_for_status: None,
        wait_for_nodes: None,
        wait_for_no_relocating_shards: false,
        wait_for_no_initializing_shards: false,
        wait_for_active_shards: None,
        timeout_ms: 0,
        master_timeout_ms: 0,
    };
    assert!(authorize(&["monitor"], health()).is_ok());
    assert!(authorize(&["superuser"], health()).is_ok());
    assert_eq!(authorize(&["viewer"], health()).unwrap_err().status, 403);
}

#[test]
fn new_names_pass_as_they_are() {
    let create = |name: &str| CreateIndexRequest {
        index: IndicesTarget::one(name),
        settings: json!({}),
        mappings: json!({}),
        aliases: json!({}),
        wait_for_active_shards: None,
        timeout_ms: 0,
        auto: false,
    };
    assert_eq!(authorize(&["logs"], create("logs-9")).unwrap(), ["logs-9"]);
    let error = authorize(&["logs"], create("other")).unwrap_err();
    assert!(error.reason.ends_with(
        "on indices [other], this action is granted by the index privileges [create_index,manage,all]"
    ));
    assert_eq!(
        authorize(&["editor"], create("logs-9")).unwrap_err().status,
        403
    );
}

#[test]
fn a_new_name_of_an_index_needs_the_right_to_both() {
    let create = |name: &str, alias: &str| CreateIndexRequest {
        index: IndicesTarget::one(name),
        settings: json!({}),
        mappings: json!({}),
        aliases: json!({alias: {}}),
        wait_for_active_shards: None,
        timeout_ms: 0,
        auto: false,
    };
    let mut authorizer = authorizer();
    let role = json!({"indices": [{"names": ["mine-*"], "privileges": ["manage", "read"]}]});
    let descriptor: RoleDescriptor = serde_json::from_value(role).unwrap();
    let compiled = CompiledRole::compile("mine", &descriptor).unwrap();
    authorizer
        .roles
        .reserved
        .insert("mine".to_owned(), Arc::new(compiled));
    let create_as = |role: &str, request| run(&authorizer, &caller(&[role]), request);
    create_as("mine", create("mine-1", "mine-a")).unwrap();
    for alias in ["logs-prod", "secret-1", "m*", "_all", ".security", ""] {
        let error = create_as("mine", create("mine-1", alias)).unwrap_err();
        assert_eq!(error.status, 403, "{alias}");
        let kind = if alias == ".security" {
            "restricted indices"
        } else {
            "indices"
        };
        let named = format!(
            "action [indices:admin/aliases] is unauthorized for user [ann] with effective roles [mine] on {kind} \
             [{alias}], this action is granted by the index privileges [manage,all]"
        );
        assert_eq!(error.reason, named);
    }
    // Who may create an index may not name it otherwise.
    let error = create_as("logs", create("logs-9", "logs-a")).unwrap_err();
    assert!(error.reason.contains("[indices:admin/aliases]") && error.reason.contains("[logs-9]"));
    create_as("superuser", create("any", "other")).unwrap();
    assert_eq!(
        create_as("superuser", create("any", ".security"))
            .unwrap_err()
            .status,
        403
    );
}

#[test]
fn deleting_needs_concrete_index_names() {
    let delete = |expression: &str| DeleteIndexRequest {
        indices: IndicesTarget::parse(expression),
        timeout_ms: 0,
    };
    assert_eq!(authorize(&["logs"], delete("logs-1")).unwrap(), ["logs-1"]);
    for expression in ["logs-*", "_all", "", "logs-now"] {
        assert_eq!(
            authorize(&["logs"], delete(expression)).unwrap_err().status,
            400,
            "{expression}"
        );
    }
    assert_eq!(
        authorize(&["superuser"], delete(".kibana_1"))
            .unwrap_err()
            .status,
        403
    );
}

#[test]
fn reading_one_document_needs_one_index() {
    let get = |index: &str| GetRequest {
        index: IndicesTarget::one(index).with_options(IndicesOptions {
            expand_wildcards: false,
            ..IndicesOptions::default()
        }),
        id: "1".to_owned(),
        routing: None,
        preference: None,
        realtime: true,
        refresh: false,
        source: SourceFilter::default(),
        version: None,
    };
    assert_eq!(authorize(&["superuser"], get("two")).unwrap(), ["logs-2"]);
    let error = authorize(&["superuser"], get("logs-now")).unwrap_err();
    assert!(
        error
            .reason
            .starts_with("alias [logs-now] has more than one index")
    );
    assert_eq!(
        authorize(&["superuser"], get("logs*")).unwrap_err().status,
        404
    );
}

#[test]
fn composite_requests_pass_by_name_and_items_are_checked() {
    let bulk = || BulkRequest {
        items: Unauthorized::new(Vec::new()),
        refresh: RefreshPolicy::None,
        timeout_ms: 0,
        wait_for_active_shards: None,
    };
    assert!(authorize(&["indexer"], bulk()).is_ok());
    assert_eq!(authorize(&["viewer"], bulk()).unwrap_err().status, 403);
    let authorizer = authorizer();
    let ann = caller(&["indexer"]);
    let item = |op, index: &str| WriteItem::new(op, index, None, Default::default());
    let items = Unauthorized::new(vec![
        item(OpType::Create, "logs-7"),
        item(OpType::Create, "other"),
        item(OpType::Delete, "logs-7"),
    ]);
    let decided = authorizer.authorize_items(&ann, items);
    let [created, elsewhere, deleted] = decided.try_into().unwrap();
    assert_eq!(created.unwrap().into_part(), item(OpType::Create, "logs-7"));
    assert!(elsewhere.is_err());
    let error = deleted.unwrap_err();
    assert!(error.reason.ends_with(
        "on indices [logs-7], this action is granted by the index privileges [delete,write,all]"
    ));
}

#[test]
fn what_tells_of_nodes_too_needs_a_right_on_the_cluster_as_well() {
    let table = || ShardTableRequest {
        indices: IndicesTarget::default(),
    };
    let refused = |roles: &[&str]| authorize(roles, table()).unwrap_err().reason;
    assert!(refused(&["stats"]).starts_with("action [cluster:monitor/state] is unauthorized"));
    assert!(refused(&["monitor"]).starts_with("action [indices:monitor/stats] is unauthorized"));
    assert_eq!(
        authorize(&["stats", "monitor"], table()).unwrap(),
        ["logs-1", "logs-2"]
    );
}

#[test]
fn self_service_is_for_oneself() {
    let change = |name: &str| ChangePasswordRequest {
        username: name.to_owned(),
        password: NewPassword::Plain("x".into()),
    };
    assert!(authorize(&[], AuthenticateRequest).is_ok());
    assert!(authorize(&[], change("ann")).is_ok());
    assert_eq!(authorize(&[], change("bob")).unwrap_err().status, 403);
    assert!(authorize(&["users"], change("bob")).is_ok());
    let mut by_key = caller(&[]);
    by_key.authentication_type = AuthenticationType::ApiKey;
    assert!(run(&authorizer(), &by_key, change("ann")).is_err());
}

#[test]
fn rechecks_follow_the_roles() {
    let authorizer = authorizer();
    let recheck = |roles: &[&str], action, indices: &[&str]| {
        let indices: Vec<String> = indices.iter().map(|name| (*name).to_owned()).collect();
        authorizer.recheck(&caller(roles), action, &indices)
    };
    assert_eq!(
        recheck(
            &["logs"],
            "indices:data/read/search[phase/query]",
            &["logs-1"]
        ),
        Ok(())
    );
    assert!(recheck(&["logs"], "indices:data/read/search", &["logs-1", "secret"]).is_err());
    assert_eq!(
        recheck(&["by_alias"], "indices:data/read/search", &["secret"]),
        Ok(())
    );
    assert!(recheck(&["logs"], "cluster:monitor/health", &[]).is_err());
    assert!(recheck(&["superuser"], "internal:cluster/join", &[]).is_err());
    assert_eq!(
        authorizer.recheck(&crate::system::identity(), "internal:cluster/join", &[]),
        Ok(())
    );
}

#[test]
fn disabled_security_resolves_without_checks() {
    let authorizer = Authorizer::disabled(store());
    let get = GetIndexRequest {
        indices: IndicesTarget::parse("logs-*"),
        with_defaults: false,
    };
    assert_eq!(
        run(&authorizer, &caller(&[]), get).unwrap(),
        ["logs-1", "logs-2"]
    );
    assert_eq!(
        run(&authorizer, &caller(&[]), search("none"))
            .unwrap_err()
            .status,
        404
    );
}

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
        name: "n".to_owned(),
        lifetime_ms: None,
        role_descriptors: serde_json::Map::new(),
        metadata: serde_json::Map::new(),
    };
    assert!(authorizer.authorize(&caller, create).is_ok());
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
    let yes = |answers: &ringwall_api::roles::Held| {
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

#[test]
fn an_alias_grants_no_more_than_its_index() {
    let (authorizer, _) = with_roles(json!({"r": {"indices": [
        {"names": ["victim"], "privileges": ["manage"]},
        {"names": ["mine*"], "privileges": ["all"]},
        {"names": ["both"], "privileges": ["manage", "read"]},
    ]}}));
    let may =
        |index: &str, alias: &str| authorizer.authorize_alias_of(&caller(&["r"]), index, alias);
    let refused = may("victim", "mine").unwrap_err();
    assert_eq!(refused.status, 403);
    assert!(
        refused.reason.contains("alias has more permissions"),
        "{}",
        refused.reason
    );
    may("mine-1", "mine").unwrap();
    may("victim", "victim").unwrap();
    // Less is no harm.
    may("both", "victim").unwrap();
    assert!(may("victim", "both").is_err());
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

#[test]
fn an_exclusion_counts_wherever_it_could() {
    let caller = caller(&["r"]);
    let (authorizer, _) = with_roles(json!({"r": {"cluster": ["manage"]}}));
    let asked = HasPrivilegesRequest {
        cluster: vec![
            "cluster:*xpack/security/user/put".to_owned(),
            "monitor".to_owned(),
        ],
        index: Vec::new(),
        application: Vec::new(),
    };
    let held = authorizer.held_privileges(&caller, &asked).unwrap();
    assert_eq!(held.cluster.values().collect::<Vec<_>>(), [&false, &true]);
    let off = Authorizer::disabled(store());
    assert!(
        off.held_privileges(&caller, &asked)
            .unwrap()
            .cluster
            .values()
            .all(|held| *held)
    );
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
