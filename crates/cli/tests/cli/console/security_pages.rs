//! Role mappings, service tokens, copies of users and roles, and who uses a role, in a browser.

use http::{Method, StatusCode};
use serde_json::json;

use super::process::ConsoleProcess;
use super::{EVIL, superuser};
use crate::running::Quickstart;

pub fn keep_mappings_tokens_and_copies(console: &ConsoleProcess, cluster: &Quickstart) {
    mappings_are_kept(console, cluster);
    a_service_token_is_shown_once(console, cluster);
    copies_begin_as_what_they_are_of(console, cluster);
    who_only_reads_is_offered_nothing(console, cluster);
}

fn mappings_are_kept(console: &ConsoleProcess, cluster: &Quickstart) {
    let mut browser = superuser(console, cluster);
    browser.get("/new-role-mapping");
    let definition =
        json!({"enabled": true, "roles": ["monitoring_only"], "rules": {"field": {"dn": EVIL}}})
            .to_string();
    let fields = [("name", "operators"), ("definition", &definition)];
    browser
        .post("/new-role-mapping", &fields)
        .goes_to("/role-mappings");
    let page = browser.post("/new-role-mapping", &fields);
    assert_eq!(page.status, StatusCode::CONFLICT);
    for path in ["/role-mappings?q=oper", "/role-mappings/operators"] {
        let page = browser.get(path);
        assert!(page.text.contains("&lt;script&gt;"), "{}", page.text);
        assert!(!page.text.contains("<script"), "{}", page.text);
    }
    let enabled = || {
        let path = "/_security/role_mapping/operators";
        cluster.ask(0, Method::GET, path, None).json()["operators"]["enabled"].clone()
    };
    let there = "/role-mappings/operators";
    for (what, expected) in [("disable", false), ("enable", true)] {
        browser.post(&format!("{there}/{what}"), &[]).goes_to(there);
        assert_eq!(enabled(), expected);
    }
    // The role tells of it, and of its users.
    let page = browser.get("/roles/monitoring_only");
    for user in ["/role-mappings/operators", "/users/ann"] {
        assert!(page.text.contains(user), "{user} in {}", page.text);
    }
    let page = browser.post(&format!("{there}/delete"), &[("confirm", "other")]);
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    browser
        .post(&format!("{there}/delete"), &[("confirm", "operators")])
        .goes_to("/role-mappings");
    assert_eq!(browser.get(there).status, StatusCode::NOT_FOUND);
    let page = browser.get("/roles/editor");
    assert!(page.text.contains("No user and no role mapping"));
}

fn a_service_token_is_shown_once(console: &ConsoleProcess, cluster: &Quickstart) {
    let mut browser = superuser(console, cluster);
    browser.get("/new-service-token");
    let fields = [("account", "elastic/kibana"), ("name", "for-console")];
    let page = browser.post("/new-service-token", &fields);
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let token = page.between("Authorization: Bearer ", "<");
    let asked = || cluster.ask_with(&format!("Bearer {token}"), "/_security/_authenticate");
    let answer = asked();
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    let list = browser.get("/service-tokens?q=for-con");
    assert!(
        list.text.contains("elastic/kibana/for-console") && !list.text.contains(&token),
        "{}",
        list.text
    );
    let page = browser.post("/new-service-token", &fields);
    assert_eq!(page.status, StatusCode::CONFLICT, "{}", page.text);
    let page = browser.post(
        "/new-service-token",
        &[("account", "elastic/../x"), ("name", "a")],
    );
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    let there = "/service-tokens/elastic/kibana/for-console";
    assert!(browser.get(there).text.contains("to confirm"));
    browser
        .post(&format!("{there}/delete"), &[("confirm", "for-console")])
        .goes_to("/service-tokens");
    assert_eq!(asked().status, 401);
    assert_eq!(browser.get(there).status, StatusCode::NOT_FOUND);
}

fn copies_begin_as_what_they_are_of(console: &ConsoleProcess, cluster: &Quickstart) {
    let mut browser = superuser(console, cluster);
    let page = browser.get("/new-user?like=ann");
    assert!(
        page.text.contains("value=\"monitoring_only\""),
        "{}",
        page.text
    );
    let page = browser.get("/new-role?like=monitoring_only");
    assert!(
        page.text.contains("&quot;monitor&quot;") && !page.text.contains("transient_metadata"),
        "{}",
        page.text
    );
    for path in ["/new-user?like=a*", "/new-role?like=no-such", "/users/a*"] {
        assert_eq!(browser.get(path).status, StatusCode::NOT_FOUND, "{path}");
    }
}

fn who_only_reads_is_offered_nothing(console: &ConsoleProcess, cluster: &Quickstart) {
    for (path, body) in [
        (
            "/_security/role/reads_security",
            json!({"cluster": ["read_security"]}),
        ),
        (
            "/_security/user/rita",
            json!({"password": "rita-password", "roles": ["reads_security"]}),
        ),
    ] {
        let put = cluster.ask(0, Method::PUT, path, Some(body));
        assert_eq!(put.status, 200, "{:?}", put.json());
    }
    let mut rita = console.browser();
    rita.log_in("rita", "rita-password").goes_to("/");
    for path in [
        "/users",
        "/users/ann",
        "/roles",
        "/roles/monitoring_only",
        "/role-mappings",
        "/service-tokens",
    ] {
        let page = rita.get(path);
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        for offer in ["href=\"/new-", "/save\"", "/delete\"", "/disable\""] {
            assert!(
                !page.text.contains(offer),
                "{offer} on {path}: {}",
                page.text
            );
        }
    }
    for path in [
        "/new-user",
        "/new-role",
        "/new-role-mapping",
        "/new-service-token",
    ] {
        assert_eq!(rita.get(path).status, StatusCode::FORBIDDEN, "{path}");
    }
}
