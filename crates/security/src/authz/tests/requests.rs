//! Requests of the cluster, of items, for oneself, and looked at again.

use super::*;

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
