//! Which names of indices a request may have, and what the refused are told.

use super::*;

#[test]
fn who_may_do_nothing_of_the_kind_is_refused_before_the_request_is_read() {
    use ringwall_api::security::InvalidateApiKeysRequest;
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
    let lenient = |expression: &str| {
        let mut request = delete(expression);
        request.indices.options.ignore_unavailable = true;
        request
    };
    assert_eq!(authorize(&["logs"], lenient("logs-now")).unwrap(), [""; 0]);
    assert_eq!(
        authorize(&["logs"], lenient("logs-now,logs-1")).unwrap(),
        ["logs-1"]
    );
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
