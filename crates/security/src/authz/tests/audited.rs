//! What the audit trail is told of decisions.

use parking_lot::Mutex;
use ringwall_api::auth::Asked;
use ringwall_api::security::{DeleteUserRequest, PutUserRequest};

use super::*;
use crate::audit::{AuditSink, NodeFacts, PolicyConfig};

#[derive(Default)]
struct Recorded(Mutex<Vec<Value>>);

impl AuditSink for Recorded {
    fn take(&self, members: String) {
        let line = format!("{{\"type\":\"audit\"{members}}}");
        self.0.lock().push(serde_json::from_str(&line).unwrap());
    }
}

impl Recorded {
    /// Returns what was told since it was asked last.
    fn told(&self) -> Vec<Value> {
        std::mem::take(&mut *self.0.lock())
    }
}

fn audited(include: &str) -> (Authorizer, Arc<Recorded>) {
    let recorded = Arc::new(Recorded::default());
    let config = PolicyConfig {
        include: vec![include.to_owned()],
        ..PolicyConfig::default()
    };
    let sink: Arc<dyn AuditSink> = Arc::clone(&recorded) as _;
    let trail = AuditTrail::new(sink, store(), NodeFacts::default(), config).unwrap();
    (authorizer().audited(Some(Arc::new(trail))), recorded)
}

fn asking(roles: &[&str]) -> Authentication {
    let asked = Asked {
        request_id: ringwall_base::random_uuid(),
        address: "192.0.2.1:40000".to_owned(),
        opaque_id: Some("o".to_owned()),
        trace_id: None,
        forwarded_for: None,
    };
    Authentication {
        asked: Some(Arc::new(asked)),
        ..caller(roles)
    }
}

/// Returns the kind, the action and the indices of events.
fn short(events: &[Value]) -> Vec<String> {
    let events = events.iter();
    events
        .map(|event| {
            format!(
                "{} {} {}",
                event["event.action"].as_str().unwrap(),
                event["action"].as_str().unwrap_or_default(),
                event["indices"]
            )
        })
        .collect()
}

#[test]
fn an_event_tells_who_and_from_where_in_the_order_of_elasticsearch() {
    let (authorizer, recorded) = audited("_all");
    let who = asking(&["logs"]);
    authorizer.authorize(&who, search("logs-*")).unwrap();
    let events = recorded.told();
    let keys: Vec<&String> = events[0].as_object().unwrap().keys().collect();
    let expected = [
        "type",
        "event.type",
        "authentication.type",
        "user.name",
        "user.realm",
        "user.roles",
        "event.action",
        "origin.type",
        "origin.address",
        "request.id",
        "action",
        "request.name",
        "indices",
        "opaque_id",
    ];
    assert_eq!(keys, expected);
    let event = json!({
        "type": "audit", "event.type": "transport", "authentication.type": "REALM", "user.name": "ann",
        "user.realm": "default_native", "user.roles": ["logs"], "event.action": "access_granted", "origin.type": "rest",
        "origin.address": "192.0.2.1:40000", "request.id": who.asked.unwrap().request_id,
        "action": "indices:data/read/search", "request.name": "SearchRequest", "indices": ["logs-1", "logs-2"],
        "opaque_id": "o",
    });
    assert_eq!(events, [event]);
}

#[test]
fn every_way_to_a_decision_tells_it() {
    let (authorizer, recorded) = audited("_all");
    let who = || asking(&["logs", "indexer"]);
    let search_action = "indices:data/read/search";
    let told = |expected: &[&str]| assert_eq!(short(&recorded.told()), expected);
    authorizer
        .authorize(&who(), search("secret,logs-1"))
        .unwrap_err();
    told(&[r#"access_denied indices:data/read/search ["secret","logs-1"]"#]);
    // It was asked for by who may.
    authorizer
        .authorize(&who(), search("logs-none"))
        .unwrap_err();
    told(&[r#"access_granted indices:data/read/search ["logs-none"]"#]);
    authorizer.authorize(&who(), MainRequest).unwrap_err();
    told(&["access_denied cluster:monitor/main null"]);
    let erased = ErasedRequest::new(AuthenticateRequest);
    authorizer.authorize_erased(&who(), erased).unwrap();
    told(&["access_granted cluster:admin/xpack/security/user/authenticate null"]);
    authorizer.admit(&who(), &MainRequest::ACTION).unwrap_err();
    told(&["access_denied cluster:monitor/main null"]);
    authorizer.admit(&who(), &SearchRequest::ACTION).unwrap();
    told(&[]);
    authorizer
        .authorize_name(&who(), search_action, "secret")
        .unwrap_err();
    told(&[r#"access_denied indices:data/read/search ["secret"]"#]);
    authorizer
        .authorize_name(&who(), search_action, "logs-1")
        .unwrap();
    told(&[r#"access_granted indices:data/read/search ["logs-1"]"#]);
    assert!(!authorizer.allows_name(&who(), search_action, "secret"));
    told(&[]);
    // What has been decided on another node is told by this one only where it decides otherwise.
    let names = ["logs-1".to_owned()];
    authorizer.recheck(&who(), search_action, &names).unwrap();
    authorizer
        .recheck_names(&who(), search_action, &names)
        .unwrap();
    told(&[]);
    let names = ["secret".to_owned()];
    authorizer
        .recheck(&who(), search_action, &names)
        .unwrap_err();
    authorizer
        .recheck_names(&asking(&["logs"]), search_action, &names)
        .unwrap_err();
    let denied = r#"access_denied indices:data/read/search ["secret"]"#;
    told(&[denied, denied]);
}

#[test]
fn the_same_about_one_request_is_told_once() {
    let (authorizer, recorded) = audited("_all");
    let (one, other) = (asking(&["logs"]), asking(&["logs"]));
    for who in [&one, &one, &other, &one] {
        authorizer.authorize(who, search("logs-1")).unwrap();
    }
    assert_eq!(recorded.told().len(), 2);
}

#[test]
fn acting_as_another_is_told_for_itself() {
    let (authorizer, recorded) = audited("_all");
    let boss = json!({"run_as": ["ann"]});
    let boss: RoleDescriptor = serde_json::from_value(boss).unwrap();
    let boss = CompiledRole::compile("boss", &boss).unwrap();
    let mut authorizer = authorizer;
    authorizer
        .roles
        .reserved
        .insert("boss".to_owned(), Arc::new(boss));
    let ann = caller(&["logs"]);
    let acting = |roles: &[&str]| asking(roles).run_as(ann.user.clone(), ann.realm.clone());
    authorizer
        .authorize(&acting(&["boss"]), search("logs-1"))
        .unwrap();
    let events = recorded.told();
    let expected = [
        r#"run_as_granted indices:data/read/search ["logs-1"]"#,
        r#"access_granted indices:data/read/search ["logs-1"]"#,
    ];
    assert_eq!(short(&events), expected);
    assert_eq!(events[0]["user.run_as.name"], "ann");
    assert_eq!(events[0]["user.roles"], json!(["boss"]));
    assert_eq!(events[1]["user.run_by.name"], "ann");
    authorizer
        .authorize(&acting(&["logs"]), search("logs-1"))
        .unwrap_err();
    let expected = [r#"run_as_denied indices:data/read/search ["logs-1"]"#];
    assert_eq!(short(&recorded.told()), expected);
}

#[test]
fn changes_are_told_when_they_have_been_let_and_without_secrets() {
    let (authorizer, recorded) = audited("security_config_change");
    let put = || PutUserRequest {
        username: "eve".to_owned(),
        password: Some(NewPassword::Plain("hunter2-canary".into())),
        roles: vec!["logs".to_owned()],
        full_name: None,
        email: None,
        metadata: Map::new(),
        enabled: true,
    };
    let who = asking(&["users"]);
    authorizer.authorize(&who, put()).unwrap();
    let delete = DeleteUserRequest {
        username: "eve".to_owned(),
    };
    let erased = ErasedRequest::new(delete);
    authorizer.authorize_erased(&who, erased).unwrap();
    authorizer.authorize(&asking(&["logs"]), put()).unwrap_err();
    let events = recorded.told();
    let changes: Vec<_> = events
        .iter()
        .map(|event| (event["event.action"].as_str().unwrap(), &event["user.name"]))
        .collect();
    let ann = json!("ann");
    assert_eq!(changes, [("put_user", &ann), ("delete_user", &ann)]);
    let user =
        json!({"user": {"name": "eve", "enabled": true, "roles": ["logs"], "has_password": true}});
    assert_eq!(events[0]["put"], user);
    assert!(!json!(events).to_string().contains("canary"));
}

/// Who makes a large change must not make it unseen.
#[test]
fn a_change_of_any_size_is_told_in_a_line_of_bounded_length() {
    let (authorizer, recorded) = audited("security_config_change");
    let put = PutUserRequest {
        username: "eve".to_owned(),
        password: None,
        roles: vec!["r".repeat(500); 2000],
        full_name: Some("x".repeat(9 << 20)),
        email: None,
        metadata: Map::new(),
        enabled: true,
    };
    authorizer.authorize(&asking(&["users"]), put).unwrap();
    let events = recorded.told();
    assert_eq!(events[0]["event.action"], "put_user");
    assert_eq!(events[0]["user.name"], "ann");
    assert!(events[0]["put"]["bytes"].as_u64().unwrap() > 9 << 20);
    assert!(events[0].to_string().len() < 16 << 10);
    let many: Vec<String> = (0..2000).map(|number| format!("{number:0250}")).collect();
    let who = asking(&["logs"]);
    authorizer
        .recheck(&who, "indices:data/read/search", &many)
        .unwrap_err();
    let (authorizer, recorded) = audited("_all");
    authorizer
        .recheck(&who, "indices:data/read/search", &many)
        .unwrap_err();
    let events = recorded.told();
    assert_eq!(events[0]["indices.more"], 1980);
}

struct Part(&'static str);

impl RequestItem for Part {
    fn action(&self) -> &'static str {
        "indices:data/write/index:op_type/create"
    }

    fn index(&self) -> &str {
        self.0
    }
}

#[test]
fn a_bulk_is_told_by_action_and_not_by_item() {
    let (authorizer, recorded) = audited("_all");
    let items = (0..100).map(|number| match number % 3 {
        0 => Part("logs-1"),
        1 => Part("logs-2"),
        _ => Part("secret"),
    });
    let items = ringwall_api::Unauthorized::new(items.collect::<Vec<_>>());
    let decided = authorizer.authorize_items(&asking(&["indexer"]), items);
    assert_eq!(decided.len(), 100);
    let expected = [
        r#"access_denied indices:data/write/index:op_type/create ["secret"]"#,
        r#"access_granted indices:data/write/index:op_type/create ["logs-1","logs-2"]"#,
    ];
    assert_eq!(short(&recorded.told()), expected);
}

#[test]
fn the_node_itself_is_told_only_where_it_is_asked_for() {
    let system = crate::system::identity();
    let (authorizer, recorded) = audited("access_granted");
    authorizer.authorize(&system, search("logs-1")).unwrap();
    assert!(recorded.told().is_empty());
    let (authorizer, recorded) = audited("_all");
    authorizer.authorize(&system, search("logs-1")).unwrap();
    let expected = [r#"system_access_granted indices:data/read/search ["logs-1"]"#];
    assert_eq!(short(&recorded.told()), expected);
}
