//! Documents in a browser: by query, by time, one, and as CSV.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::process::ConsoleProcess;
use super::{EVIL, superuser};
use crate::running::Quickstart;

pub fn finds_documents_by_query_and_time(console: &ConsoleProcess, cluster: &Quickstart) {
    let ask = |method: Method, path: &str, body: Option<Value>| {
        let answer = cluster.ask(0, method, path, body);
        assert!(
            (200..300).contains(&answer.status.as_u16()),
            "{path}: {:?}",
            answer.json()
        );
    };
    let mapping = json!({
        "settings": {"number_of_replicas": 0},
        "aliases": {"visits": {}},
        "mappings": {"properties": {
            "@timestamp": {"type": "date"}, "who": {"type": "keyword"}, "secret": {"type": "keyword"},
            "said": {"type": "text"}, "cell": {"type": "keyword"},
        }},
    });
    ask(Method::PUT, "/visits-1", Some(mapping));
    for number in 0..60 {
        let document = json!({
            "@timestamp": format!("2026-01-{:02}T00:00:00Z", 1 + number % 20),
            "who": if number == 7 { EVIL } else { "guest" },
            "secret": "the-word",
            "said": format!("visit {number}"),
            "cell": "=1+1",
        });
        ask(
            Method::PUT,
            &format!("/visits-1/_doc/{number}"),
            Some(document),
        );
    }
    ask(Method::POST, "/visits-1/_refresh", None);

    let mut browser = superuser(console, cluster);
    let page = browser.get("/discover?index=visits");
    for part in [
        "<strong>60</strong> hits",
        "1 to 50 of 60",
        "<svg",
        "in steps of",
        "2026-01-20T00:00:00.000Z",
        "/visits/_search",
        "value=\"visits-1\"",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    assert!(page.text.len() <= 60_000, "{}", page.text.len());
    let page = browser.get("/discover?index=visits-*&from=50");
    assert!(page.text.contains("51 to 60 of 60"), "{}", page.text);

    let page = browser.get("/discover?index=visits&query=said:7&columns=who,said");
    assert!(
        page.text.contains("<strong>1</strong> hits"),
        "{}",
        page.text
    );
    assert!(page.text.contains("&lt;script&gt;") && !page.text.contains("<script"));
    assert!(!page.text.contains("the-word"), "{}", page.text);
    let page = browser.get(
        "/discover?index=visits&range=between&after=2026-01-02T00:00&before=2026-01-03T00:00:00",
    );
    assert!(
        page.text.contains("<strong>6</strong> hits"),
        "{}",
        page.text
    );
    // A mistake is told beside what was typed.
    let page = browser.get("/discover?index=visits&query=said:((");
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(
        page.text.contains("Failed to parse query") && page.text.contains("value=\"said:((\""),
        "{}",
        page.text
    );
    let page = browser.get("/discover?index=no-such");
    assert_eq!(page.status, StatusCode::NOT_FOUND);

    let page = browser.get("/documents/visits-1/7");
    assert!(
        page.text.contains("the-word") && page.text.contains("&lt;script&gt;"),
        "{}",
        page.text
    );
    let csv = browser.get("/discover.csv?index=visits&query=said:(3+OR+4)&columns=who,cell");
    assert!(csv.header("content-type").starts_with("text/csv"));
    assert!(csv.header("content-disposition").starts_with("attachment"));
    let mut lines: Vec<&str> = csv.text.lines().collect();
    lines.sort_unstable();
    let expected = [
        "_index,_id,who,cell",
        "visits-1,3,guest,'=1+1",
        "visits-1,4,guest,'=1+1",
    ];
    assert_eq!(lines, expected);

    who_may_read_some_sees_that(console, cluster);
    let deleted = cluster.ask(0, Method::DELETE, "/visits-1", None);
    assert_eq!(deleted.status, 200);
}

/// Of a role with document and field level security.
fn who_may_read_some_sees_that(console: &ConsoleProcess, cluster: &Quickstart) {
    for (path, body) in [
        (
            "/_security/role/reads_visits",
            json!({"indices": [{
                "names": ["visits*"], "privileges": ["read"],
                "field_security": {"grant": ["*"], "except": ["secret"]},
                "query": {"term": {"who": "guest"}},
            }]}),
        ),
        (
            "/_security/user/vic",
            json!({"password": "vic-password", "roles": ["reads_visits"]}),
        ),
    ] {
        let put = cluster.ask(0, Method::PUT, path, Some(body));
        assert_eq!(put.status, 200, "{:?}", put.json());
    }
    let mut vic = console.browser();
    vic.log_in("vic", "vic-password").goes_to("/");
    vic.get("/").goes_to("/discover");
    let page = vic.get("/discover?index=visits");
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(
        page.text.contains("<strong>59</strong> hits"),
        "{}",
        page.text
    );
    for other in ["/discover.csv?index=visits", "/documents/visits-1/3"] {
        let page = vic.get(other);
        assert_eq!(page.status, StatusCode::OK, "{other}: {}", page.text);
        assert!(page.text.contains("visit 3") && !page.text.contains("the-word"));
    }
    assert!(!page.text.contains("the-word"), "{}", page.text);
    assert_eq!(
        vic.get("/documents/visits-1/7").status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(vic.get("/discover?index=one").status, StatusCode::FORBIDDEN);
}
