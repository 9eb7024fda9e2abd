//! Bodies and answers in other forms than JSON.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use ringwall_testkit::{Cluster, Method, PASSWORD};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_and_answers_may_be_yaml_cbor_and_smile() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client(0, Some(("elastic", PASSWORD)));
    let send = async |method: Method, path: &str, headers: &[(_, &'static str)], body: &[u8]| {
        let headers = headers.iter().cloned();
        let headers: HeaderMap = headers
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect();
        let answer = client
            .send(method, path, headers, body.to_vec().into())
            .await;
        let answer = answer.unwrap();
        let kind = answer.headers.get(CONTENT_TYPE);
        let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
        (answer.status.as_u16(), kind, answer.body)
    };
    let yaml = [(CONTENT_TYPE, "application/yaml")];
    let cbor = [
        (CONTENT_TYPE, "application/cbor"),
        (ACCEPT, "application/cbor"),
    ];
    // {"n": 2}, and what it is answered with.
    let document = b"\xa1\x61n\x02";
    let path = "/docs/_doc/1?refresh=true";
    let (status, kind, _) = send(Method::PUT, path, &yaml, b"n: 1\nt: plain\n").await;
    assert_eq!((status, kind.as_str()), (201, "application/json"));
    let (status, kind, answer) =
        send(Method::PUT, "/docs/_doc/2?refresh=true", &cbor, document).await;
    assert_eq!((status, kind.as_str()), (201, "application/cbor"));
    assert!(answer.windows(7).any(|bytes| bytes == b"created"));
    let (_, found) = cluster.get(0, "/docs/_doc/1").await;
    assert_eq!(found["_source"], json!({"n": 1, "t": "plain"}));
    let (_, found) = cluster.get(0, "/docs/_doc/2").await;
    assert_eq!(found["_source"], json!({"n": 2}));

    let path = "/docs/_search?filter_path=hits.hits._source";
    let headers = [
        (CONTENT_TYPE, "application/yaml"),
        (ACCEPT, "application/yaml"),
    ];
    let (status, kind, answer) =
        send(Method::POST, path, &headers, b"query: {term: {n: 1}}\n").await;
    assert_eq!((status, kind.as_str()), (200, "application/yaml"));
    let expected = "---\nhits:\n  hits:\n  - _source:\n      \"n\": 1\n      t: \"plain\"\n";
    assert_eq!(answer, expected.as_bytes());

    let (_, kind, answer) = send(
        Method::GET,
        "/_cat/count/docs?format=yaml&h=count",
        &[],
        b"",
    )
    .await;
    assert_eq!(
        (kind.as_str(), &answer[..]),
        ("application/yaml", &b"---\n- count: \"2\"\n"[..])
    );
    let (status, kind, answer) = send(Method::GET, "/none?format=smile", &[], b"").await;
    assert_eq!(
        (status, kind.as_str(), &answer[..3]),
        (404, "application/smile", &b":)\n"[..])
    );
    let vendor = [(
        ACCEPT,
        "application/vnd.elasticsearch+cbor; compatible-with=8",
    )];
    let (_, kind, _) = send(Method::GET, "/", &vendor, b"").await;
    assert_eq!(kind, "application/vnd.elasticsearch+cbor;compatible-with=8");

    for (path, headers, body, expected) in [
        ("/_bulk", &yaml[..], &b"index: {}\n"[..], 406),
        ("/docs/_doc/3", &yaml, b"a: [1", 400),
        ("/docs/_doc/3", &cbor, b"\xa1\x61n", 400),
        (
            "/docs/_doc/3",
            &[(CONTENT_TYPE, "application/toml")],
            b"a = 1",
            406,
        ),
        ("/docs/_search?format=xml", &[], b"", 400),
    ] {
        let (status, ..) = send(Method::POST, path, headers, body).await;
        assert_eq!(status, expected, "{path} {headers:?}");
    }
    cluster.stop().await;
}
