//! Changes of users and keys that race: whatever order consensus gives them, none undoes another.

use ringwall_api::auth::RealmRef;
use ringwall_api::security::{ApiKeyInfo, ApiKeyOwner};
use serde_json::{Map, json};

use super::*;
use crate::Command;
use crate::metadata::ReservedUser;

fn run(state: &mut ClusterState, change: Change) -> Result<(), ApiError> {
    let command = Command {
        now_ms: 50,
        seed: "seed".to_owned(),
        rules: crate::command::RULES,
        change,
    };
    state.apply(command).result
}

fn profile(roles: &[&str], enabled: bool) -> Box<User> {
    Box::new(User {
        username: "jo".to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        full_name: None,
        email: None,
        metadata: Map::new(),
        enabled,
    })
}

fn put(roles: &[&str], password: Option<&str>, exists: bool) -> Change {
    Change::PutNativeUser {
        user: profile(roles, true),
        password_hash: password.map(str::to_owned),
        exists,
    }
}

fn jo() -> UserName {
    UserName::Native("jo".to_owned())
}

fn password(hash: &str, as_of: Option<u64>) -> Change {
    Change::SetPassword {
        user: jo(),
        password_hash: hash.to_owned(),
        login: as_of.map(|as_of| Login { user: jo(), as_of }),
    }
}

fn enabled(enabled: bool) -> Change {
    Change::SetUserEnabled {
        user: jo(),
        enabled,
    }
}

fn delete() -> Change {
    Change::DeleteUser {
        username: "jo".to_owned(),
    }
}

fn with_jo() -> ClusterState {
    let mut state = ClusterState::default();
    run(&mut state, put(&["superuser"], Some("first"), false)).unwrap();
    state
}

fn record(state: &ClusterState) -> &NativeUser {
    &state.security.native_users["jo"]
}

#[test]
fn what_an_administrator_does_is_not_undone_by_a_password_under_way() {
    for administrator in [
        enabled(false),
        put(&["viewer"], None, true),
        password("reset", None),
        delete(),
    ] {
        // The user logged in before; its change arrives after.
        let mut state = with_jo();
        let as_of = Some(state.security.generation);
        run(&mut state, administrator.clone()).unwrap();
        let after = state.clone();
        let refused = run(&mut state, password("own", as_of)).unwrap_err();
        assert!(matches!(
            refused.code,
            ErrorCode::VersionConflict | ErrorCode::ResourceNotFound
        ));
        assert_eq!(state, after, "{administrator:?}");
        // The other way round both are done.
        let mut state = with_jo();
        run(&mut state, password("own", as_of)).unwrap();
        run(&mut state, administrator.clone()).unwrap();
        let jo = state.security.native_users.get("jo");
        match administrator {
            Change::DeleteUser { .. } => assert_eq!(jo, None),
            Change::SetPassword { .. } => assert_eq!(jo.unwrap().password_hash, "reset"),
            Change::SetUserEnabled { .. } => {
                assert!(!jo.unwrap().user.enabled && jo.unwrap().password_hash == "own");
            }
            _ => {
                assert!(jo.unwrap().user.roles == ["viewer"] && jo.unwrap().password_hash == "own")
            }
        }
    }
}

#[test]
fn fields_of_a_user_change_apart() {
    let mut state = with_jo();
    // Two administrators, each of whom saw the user as it was: the later does not know of the former.
    run(&mut state, enabled(false)).unwrap();
    run(&mut state, password("second", None)).unwrap();
    assert!(!record(&state).user.enabled);
    assert_eq!(record(&state).password_hash, "second");
    assert_eq!(record(&state).user.roles, ["superuser"]);
    run(&mut state, put(&["viewer"], None, true)).unwrap();
    assert_eq!(record(&state).password_hash, "second");
    let elastic = || UserName::Reserved("elastic".to_owned());
    let set = |password_hash: &str, as_of| Change::SetPassword {
        user: elastic(),
        password_hash: password_hash.to_owned(),
        login: Some(Login {
            user: elastic(),
            as_of,
        }),
    };
    let before = state.security.generation;
    let disable = Change::SetUserEnabled {
        user: elastic(),
        enabled: false,
    };
    run(&mut state, disable).unwrap();
    assert!(run(&mut state, set("x", before)).is_err());
    let now = state.security.generation;
    run(&mut state, set("y", now)).unwrap();
    let expected = ReservedUser {
        password_hash: Some("y".to_owned()),
        enabled: false,
        generation: now + 1,
    };
    assert_eq!(state.security.reserved_users["elastic"], expected);
}

#[test]
fn the_deleted_stay_deleted() {
    let mut state = with_jo();
    let as_of = state.security.generation;
    run(&mut state, delete()).unwrap();
    for change in [
        password("x", None),
        password("x", Some(as_of)),
        enabled(true),
        put(&["viewer"], None, true),
        put(&["viewer"], Some("x"), true),
        put(&["viewer"], None, false),
    ] {
        assert!(run(&mut state, change.clone()).is_err(), "{change:?}");
        assert!(state.security.native_users.is_empty());
    }
    // Somebody else of the same name: the one before has no say in it.
    run(&mut state, put(&["viewer"], Some("other"), false)).unwrap();
    assert!(run(&mut state, password("x", Some(as_of))).is_err());
    assert!(run(&mut state, put(&["superuser"], Some("x"), false)).is_err());
    assert_eq!(record(&state).password_hash, "other");
}

fn owner() -> ApiKeyOwner {
    ApiKeyOwner {
        principal: "jo".to_owned(),
        full_name: None,
        email: None,
        metadata: Map::new(),
        realm: RealmRef {
            name: "default_native".to_owned(),
            realm_type: "native".to_owned(),
        },
    }
}

fn create_key(id: &str, as_of: u64) -> Change {
    let info = ApiKeyInfo {
        id: id.to_owned(),
        name: "k".to_owned(),
        creation_ms: 1,
        expiration_ms: Some(100),
        invalidation_ms: None,
        role_descriptors: Map::new(),
        limited_by: Map::new(),
        metadata: Map::new(),
        owner: owner(),
    };
    Change::CreateApiKey {
        key: Box::new(StoredApiKey {
            info,
            hash: "h".to_owned(),
        }),
        retention_ms: 1000,
        limit: 10,
        login: Some(Login { user: jo(), as_of }),
    }
}

fn update_key(expiration_ms: Option<u64>, metadata: Option<&str>, as_of: u64) -> Change {
    let changes = ApiKeyChanges {
        role_descriptors: None,
        metadata: metadata.map(|text| Map::from_iter([("m".to_owned(), json!(text))])),
        expiration_ms,
        limited_by: Map::new(),
        owner: owner(),
    };
    Change::UpdateApiKey {
        id: "1".to_owned(),
        changes: Box::new(changes),
        login: Some(Login { user: jo(), as_of }),
    }
}

#[test]
fn keys_that_ended_stay_ended() {
    let mut state = with_jo();
    let as_of = state.security.generation;
    assert_eq!(
        run(&mut state, update_key(Some(500), None, as_of))
            .unwrap_err()
            .code,
        ErrorCode::ResourceNotFound
    );
    run(&mut state, create_key("1", as_of)).unwrap();
    assert!(run(&mut state, create_key("1", as_of)).is_err());
    // Two updates that did not know of one another: both are in.
    run(&mut state, update_key(Some(500), None, as_of)).unwrap();
    run(&mut state, update_key(None, Some("x"), as_of)).unwrap();
    let info = &state.security.api_keys["1"].info;
    assert_eq!(
        (info.expiration_ms, &info.metadata["m"]),
        (Some(500), &json!("x"))
    );
    let ids = vec!["1".to_owned()];
    run(&mut state, Change::InvalidateApiKeys { ids }).unwrap();
    let refused = run(&mut state, update_key(Some(900), None, as_of)).unwrap_err();
    assert_eq!(refused.reason, "cannot update invalidated API key [1]");
    assert_eq!(state.security.api_keys["1"].info.invalidation_ms, Some(50));
    // Who was disabled makes no key by a request that came before.
    run(&mut state, enabled(false)).unwrap();
    assert!(run(&mut state, create_key("2", as_of)).is_err());
    assert_eq!(state.security.api_keys.len(), 1);
}

#[test]
fn changes_of_older_logs_are_still_read() {
    let mut state = with_jo();
    let user = NativeUser {
        user: *profile(&["viewer"], true),
        password_hash: "old".to_owned(),
        generation: 0,
    };
    run(
        &mut state,
        Change::PutUser {
            user: Box::new(user),
        },
    )
    .unwrap();
    assert_eq!(record(&state).password_hash, "old");
    assert_eq!(record(&state).generation, state.security.generation);
}

fn put_role(name: &str, cluster: &str, exists: bool) -> Change {
    let descriptor = json!({"cluster": [cluster]}).as_object().unwrap().clone();
    Change::PutRoles {
        roles: [(name.to_owned(), StoredRole { descriptor })].into(),
        existing: exists.then(|| name.to_owned()).into_iter().collect(),
    }
}

#[test]
fn roles_are_stored_whole_and_answers_stay_true() {
    let mut state = with_jo();
    run(&mut state, put_role("r", "monitor", false)).unwrap();
    // Who did not know of it would tell that it made it.
    let refused = run(&mut state, put_role("r", "all", false)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::VersionConflict);
    assert_eq!(
        state.security.roles["r"].descriptor["cluster"],
        json!(["monitor"])
    );
    run(&mut state, put_role("r", "all", true)).unwrap();
    assert_eq!(
        state.security.roles["r"].descriptor["cluster"],
        json!(["all"])
    );
    let delete = |names: &[&str]| Change::DeleteRoles {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    assert!(run(&mut state, delete(&["r", "s"])).is_err());
    assert!(state.security.roles.contains_key("r"));
    run(&mut state, delete(&["r"])).unwrap();
    assert!(state.security.roles.is_empty());
    // A deleted role does not come back by a change under way.
    assert!(run(&mut state, put_role("r", "all", true)).is_err());
}

#[test]
fn role_mappings_are_stored_whole_and_answers_stay_true() {
    let mut state = with_jo();
    let put = |role: &str, exists: bool| Change::PutRoleMapping {
        name: "m".to_owned(),
        mapping: StoredRoleMapping {
            mapping: json!({"roles": [role]}).as_object().unwrap().clone(),
        },
        exists,
    };
    run(&mut state, put("a", false)).unwrap();
    let refused = run(&mut state, put("b", false)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::VersionConflict);
    run(&mut state, put("b", true)).unwrap();
    let stored = &state.security.role_mappings["m"];
    assert_eq!(stored.mapping["roles"], json!(["b"]));
    let delete = || Change::DeleteRoleMapping {
        name: "m".to_owned(),
    };
    run(&mut state, delete()).unwrap();
    assert_eq!(
        run(&mut state, delete()).unwrap_err().code,
        ErrorCode::ResourceNotFound
    );
    assert!(run(&mut state, put("b", true)).is_err());
}

#[test]
fn privileges_of_applications_are_stored_and_answers_stay_true() {
    let mut state = with_jo();
    let put = |name: &str, is_new: bool| {
        let privilege = StoredPrivilege {
            actions: vec!["a:b".to_owned()],
            metadata: Default::default(),
        };
        let of = |what| [("app".to_owned(), BTreeMap::from([(name.to_owned(), what)]))];
        Change::PutPrivileges {
            privileges: [(
                "app".to_owned(),
                BTreeMap::from([(name.to_owned(), privilege)]),
            )]
            .into(),
            created: of(is_new).into(),
        }
    };
    let delete = |names: &[&str]| Change::DeletePrivileges {
        application: "app".to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    run(&mut state, put("read", true)).unwrap();
    run(&mut state, put("write", true)).unwrap();
    assert!(run(&mut state, put("read", true)).is_err());
    run(&mut state, put("read", false)).unwrap();
    assert!(run(&mut state, delete(&["read", "gone"])).is_err());
    assert_eq!(state.security.privileges["app"].len(), 2);
    run(&mut state, delete(&["read", "write"])).unwrap();
    assert!(state.security.privileges.is_empty());
    assert!(run(&mut state, delete(&["read"])).is_err());
}

fn token(id: &str, as_of: u64) -> Change {
    let who = ringwall_api::security::Principal {
        username: "jo".to_owned(),
        realm: owner().realm,
        api_key: None,
    };
    Change::CreateToken {
        token: Box::new(ringwall_api::security::StoredToken {
            id: id.to_owned(),
            client: who.clone(),
            holder: ringwall_api::security::TokenHolder {
                who,
                user: None,
                run_by: None,
            },
            access: ringwall_api::security::StoredSecret {
                hash: "h".to_owned(),
                expires_ms: 1000,
                is_invalidated: false,
            },
            refresh: None,
            refreshed: None,
        }),
        limit: 10,
        login: Some(Login { user: jo(), as_of }),
    }
}

#[test]
fn a_deleted_user_leaves_no_tokens_and_gets_none_by_a_request_that_came_before() {
    let mut state = with_jo();
    let as_of = state.security.generation;
    run(&mut state, token("a1", as_of)).unwrap();
    run(&mut state, delete()).unwrap();
    assert!(state.security.tokens.is_empty());
    assert!(run(&mut state, token("a2", as_of)).is_err());
    run(&mut state, put(&["viewer"], Some("other"), false)).unwrap();
    assert!(run(&mut state, token("a2", as_of)).is_err());
    let as_of = state.security.generation;
    run(&mut state, token("a2", as_of)).unwrap();
    // Who was disabled meanwhile, too.
    run(&mut state, enabled(false)).unwrap();
    assert!(run(&mut state, token("a3", as_of)).is_err());
}
