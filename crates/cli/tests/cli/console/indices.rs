//! Indices in a browser: list, one, new, closed, deleted.

use http::{Method, StatusCode};
use serde_json::json;

use super::process::ConsoleProcess;
use super::{EVIL, superuser};
use crate::running::Quickstart;

pub fn are_made_and_deleted(console: &ConsoleProcess, cluster: &Quickstart) {
    let mut browser = superuser(console, cluster);
    browser.get("/new-index");
    let definition = json!({
        "settings": {"number_of_shards": 2, "number_of_replicas": 1},
        "mappings": {"_meta": {"note": EVIL}, "properties": {"a": {"type": "keyword"}}},
        "aliases": {"books-alias": {}},
    });
    let fields = [("name", "books"), ("definition", &definition.to_string())];
    browser
        .post("/new-index", &fields)
        .goes_to("/indices/books");
    let page = browser.get("/indices/books");
    for part in [
        "has been created",
        "number_of_shards",
        "keyword",
        "books-alias",
        "UNASSIGNED",
        "node-1",
        "&lt;script&gt;",
        "_cat/shards/books",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    assert!(!page.text.contains("<script"), "{}", page.text);
    // It is not replaced, nor is an expression taken for a name.
    let page = browser.post("/new-index", &fields);
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "{}", page.text);
    assert!(page.text.contains("already exists"), "{}", page.text);
    let page = browser.post("/new-index", &[("name", "boo*"), ("definition", "")]);
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    browser
        .get("/indices/books-alias")
        .goes_to("/indices/books");
    let page = browser.get("/indices?q=BOO");
    assert!(
        page.text.contains("books-alias") && !page.text.contains("/indices/one"),
        "{}",
        page.text
    );

    browser
        .post("/indices/books/close", &[])
        .goes_to("/indices/books");
    let page = browser.get("/indices/books");
    assert!(page.text.contains("Open the index"), "{}", page.text);
    browser
        .post("/indices/books/open", &[])
        .goes_to("/indices/books");

    let template = json!({"index_patterns": ["books-*"], "priority": 7});
    let put = cluster.ask(0, Method::PUT, "/_index_template/of-books", Some(template));
    assert_eq!(put.status, 200, "{:?}", put.json());
    let page = browser.get("/templates?q=book");
    assert!(
        page.text.contains("of-books") && page.text.contains("books-*"),
        "{}",
        page.text
    );

    // A name of several is none, also where it is typed to confirm.
    for several in ["*", "_all", "books,one", "b*", "%2A"] {
        let page = browser.post(
            &format!("/indices/{several}/delete"),
            &[("confirm", several), ("confirm", "*")],
        );
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{several}");
    }
    let page = browser.post("/indices/books/delete", &[("confirm", "book")]);
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    browser
        .post("/indices/books/delete", &[("confirm", "books")])
        .goes_to("/indices");
    let head = |name: &str| {
        cluster
            .ask(0, Method::HEAD, &format!("/{name}"), None)
            .status
    };
    assert_eq!((head("books").as_u16(), head("one").as_u16()), (404, 200));

    many_are_paged(console, cluster);
    who_manages_nothing_is_offered_nothing(console, cluster);
}

/// More than a page has; of the cluster's own limits one node bears these.
fn many_are_paged(console: &ConsoleProcess, cluster: &Quickstart) {
    let names: Vec<String> = (0..60).map(|number| format!("many-{number:02}")).collect();
    for name in &names {
        let settings = json!({"settings": {"number_of_replicas": 0}});
        let put = cluster.ask(0, Method::PUT, &format!("/{name}"), Some(settings));
        assert_eq!(put.status, 200, "{:?}", put.json());
    }
    let mut browser = superuser(console, cluster);
    let first = browser.get("/indices?q=many");
    assert!(
        first.text.contains("1 to 50 of 60") && first.text.contains("many-49"),
        "{}",
        first.text
    );
    let second = browser.get("/indices?q=many&from=50");
    assert!(
        second.text.contains("51 to 60 of 60") && !second.text.contains("many-49"),
        "{}",
        second.text
    );
    for page in [first, second] {
        assert!(page.text.len() <= 60_000, "{}", page.text.len());
    }
    let deleted = cluster.ask(0, Method::DELETE, &format!("/{}", names.join(",")), None);
    assert_eq!(deleted.status, 200, "{:?}", deleted.json());
}

/// Who may look at an index, and do nothing with it.
fn who_manages_nothing_is_offered_nothing(console: &ConsoleProcess, cluster: &Quickstart) {
    for (path, body) in [
        (
            "/_security/role/looks",
            json!({"cluster": ["monitor"], "indices": [{"names": ["one"], "privileges": ["monitor"]}]}),
        ),
        (
            "/_security/user/lou",
            json!({"password": "lou-password", "roles": ["looks"]}),
        ),
    ] {
        let put = cluster.ask(0, Method::PUT, path, Some(body));
        assert_eq!(put.status, 200, "{:?}", put.json());
    }
    let mut lou = console.browser();
    lou.log_in("lou", "lou-password").goes_to("/");
    let page = lou.get("/indices");
    assert!(
        page.text.contains("/indices/one") && !page.text.contains("/new-index"),
        "{}",
        page.text
    );
    let page = lou.get("/indices/one");
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(page.text.contains("They are not shown"), "{}", page.text);
    assert!(!page.text.contains("/delete") && !page.text.contains("/close"));
    assert_eq!(lou.get("/new-index").status, StatusCode::FORBIDDEN);
    let page = lou.post("/indices/one/delete", &[("confirm", "one")]);
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.text);
}
