//! Users who show a client certificate.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ringwall_pki::{CaParams, CertificateAuthority, KeySpec};
use ringwall_rest::http_client::{HttpClient, HttpResponse};
use ringwall_testkit::{Cluster, PASSWORD, WITHIN};
use ringwall_tls::SslContext;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const ME: &str = "/_security/_authenticate";
const ORDER: (&str, &str) = ("xpack.security.authc.realms.pki.pki1.order", "1");
const ASK: (&str, &str) = ("xpack.security.http.ssl.client_authentication", "optional");
const QUICK: (&str, &str) = ("resource.reload.interval.high", "50ms");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_with_certificates_have_the_roles_of_their_names() {
    let cluster = Cluster::start_with(1, &[ORDER, ASK, QUICK]).await;
    let ann = showing(&cluster, "CN=ann,OU=it", None);
    let me = ask(&ann, ME, None).await;
    assert_eq!(me.status, 200);
    let realm = json!({"name": "pki1", "type": "pki"});
    assert_eq!(
        me.json(),
        json!({
            "username": "ann", "roles": [], "full_name": null, "email": null,
            "metadata": {"pki_dn": "CN=ann, OU=it"}, "enabled": true,
            "authentication_realm": realm, "lookup_realm": realm, "authentication_type": "realm",
        })
    );
    let health = ask(&ann, "/_cluster/health", None).await;
    assert_eq!(health.status, 403);
    let reason = health.json()["error"]["reason"].to_string();
    assert!(reason.contains("unauthorized for user [ann]"), "{reason}");

    // On the connection that is open already.
    map(&cluster, "superuser:\n- ' cn=ANN , ou=IT'\n");
    wait_for(&ann, "/_cluster/health", StatusCode::OK).await;
    assert_eq!(roles(&ann).await, json!(["superuser"]));
    // A role that there is not grants nothing.
    map(&cluster, "nonsense:\n- CN=ann,OU=it\n");
    wait_for(&ann, "/_cluster/health", StatusCode::FORBIDDEN).await;
    assert_eq!(roles(&ann).await, json!(["nonsense"]));

    let elsewhere = showing(&cluster, "CN=ann,OU=sales", None);
    assert_eq!(roles(&elsewhere).await, json!([]));
    let nameless = ask(&showing(&cluster, "OU=it", None), ME, None).await;
    assert_eq!(nameless.status, 401);
    assert!(nameless.headers.contains_key("www-authenticate"));
    let reason = nameless.json()["error"]["reason"].to_string();
    assert!(
        reason.contains("missing authentication credentials"),
        "{reason}"
    );
    let nobody = cluster.send_as(None, 0, Method::GET, ME, Value::Null).await;
    assert_eq!(nobody.status, 401);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_goes_before_the_certificate_in_both_protocols() {
    let cluster = Cluster::start_with(1, &[ORDER, ASK]).await;
    let ann = showing(&cluster, "CN=ann", None);
    let ann_h2 = cluster.client_tls("CN=ann", None, "h2");
    let elastic = basic("elastic", PASSWORD);
    let wrong = basic("elastic", "not-the-password");
    for (header, status, user) in [
        (None, 200, json!("ann")),
        (Some(elastic.as_str()), 200, json!("elastic")),
        (Some(&wrong), 401, Value::Null),
        (Some("ApiKey bm9ib2R5Om5vdGhpbmc="), 401, Value::Null),
        (Some("Bearer nonsense"), 401, Value::Null),
        (None, 200, json!("ann")),
    ] {
        let answer = ask(&ann, ME, header).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["username"]),
            (status, &user),
            "{header:?}"
        );
    }
    // Several requests over one connection of HTTP/2, at once.
    let requests = [None, Some(elastic.as_str()), Some(wrong.as_str())];
    let answers = ask_h2(&cluster, &ann_h2, &requests).await;
    let told: Vec<_> = answers
        .iter()
        .map(|(status, me)| (*status, me["username"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (200, json!("ann")),
            (200, json!("elastic")),
            (401, Value::Null)
        ]
    );
    let stranger = cluster.client_tls("CN=ann", Some(&authority()), "h2");
    let refused = refusal(&cluster, &stranger).await;
    assert!(refused.contains("unknown_ca"), "{refused}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trust_of_a_realm_is_its_own_and_may_change() {
    let (users, others) = (authority(), authority());
    let cluster = Cluster::start_with(1, &[ASK, QUICK]).await;
    let file = cluster.config(0).join("users-ca.crt");
    std::fs::write(&file, users.certificate_pem()).unwrap();
    let mut cluster = cluster;
    let own = "xpack.security.authc.realms.pki.pki1.certificate_authorities";
    let none = ("xpack.security.http.ssl.verification_mode", "none");
    cluster
        .restart_with(0, &[ORDER, ASK, QUICK, none, (own, "users-ca.crt")])
        .await;
    let ann = showing(&cluster, "CN=ann", Some(&users));
    assert_eq!(ask(&ann, ME, None).await.status, 200);
    for (who, authority) in [("of the nodes", None), ("of nobody", Some(&others))] {
        let answer = ask(&showing(&cluster, "CN=ann", authority), ME, None).await;
        assert_eq!(answer.status, 401, "{who}");
        let reason = answer.json()["error"]["reason"].to_string();
        assert!(
            reason.contains("unable to authenticate user [ann]"),
            "{reason}"
        );
    }
    // The realm trusts another authority now: the connection stays, its certificate counts no more.
    let beside = file.with_extension("new");
    std::fs::write(&beside, others.certificate_pem()).unwrap();
    std::fs::rename(&beside, &file).unwrap();
    wait_for(&ann, ME, StatusCode::UNAUTHORIZED).await;
    let bob = showing(&cluster, "CN=bob", Some(&others));
    assert_eq!(ask(&bob, ME, None).await.status, 200);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn role_mappings_of_the_cluster_count_at_once() {
    let cluster = Cluster::start_with(1, &[ORDER, ASK]).await;
    map(&cluster, "viewer:\n- CN=ann,OU=it\n");
    let ann = showing(&cluster, "CN=ann,OU=it", None);
    let path = "/_security/role_mapping/admins";
    let mapping = |rules: Value| json!({"roles": ["superuser"], "enabled": true, "rules": rules});
    let by_dn =
        json!({"all": [{"field": {"dn": "*,ou=IT"}}, {"except": {"field": {"username": "bob"}}}]});
    let (status, body) = cluster.put(0, path, mapping(by_dn.clone())).await;
    assert_eq!(
        (status, body),
        (200, json!({"role_mapping": {"created": true}}))
    );
    assert_eq!(ask(&ann, "/_cluster/health", None).await.status, 200);
    assert!(roles(&ann).await.to_string().contains("superuser"));
    let bob = showing(&cluster, "CN=bob,OU=it", None);
    assert_eq!(ask(&bob, "/_cluster/health", None).await.status, 403);
    let shown = json!({"admins": {"enabled": true, "roles": ["superuser"], "rules": by_dn, "metadata": {}}});
    assert_eq!(
        cluster.get(0, "/_security/role_mapping/admins,gone").await,
        (200, shown.clone())
    );
    assert_eq!(
        cluster.get(0, "/_security/role_mapping").await,
        (200, shown)
    );
    assert_eq!(
        cluster.get(0, "/_security/role_mapping/gone").await,
        (404, json!({}))
    );

    let template = json!({
        "role_templates": [{"template": {"source": "role_{{username}}"}}],
        "rules": {"field": {"realm.name": "pki1"}},
    });
    let (status, body) = cluster.put(0, path, template).await;
    assert_eq!(
        (status, body),
        (200, json!({"role_mapping": {"created": false}}))
    );
    assert_eq!(ask(&ann, "/_cluster/health", None).await.status, 403);
    assert!(roles(&ann).await.to_string().contains("role_ann"));
    let (status, body) = cluster.put(0, path, mapping(json!({"field": {}}))).await;
    assert_eq!(status, 400, "{body}");
    let cause = body["error"]["caused_by"]["reason"].to_string();
    assert!(
        cause.contains("object [field] does not contain any fields"),
        "{body}"
    );

    assert_eq!(cluster.delete(0, path).await, (200, json!({"found": true})));
    assert!(!roles(&ann).await.to_string().contains("role_ann"));
    assert_eq!(
        cluster.delete(0, path).await,
        (404, json!({"found": false}))
    );
    cluster.stop().await;
}

fn authority() -> CertificateAuthority {
    let params = CaParams {
        key: KeySpec::EcP256,
        ..CaParams::default()
    };
    CertificateAuthority::generate(&params).unwrap()
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn showing(
    cluster: &Cluster,
    subject: &str,
    authority: Option<&CertificateAuthority>,
) -> HttpClient {
    cluster.client_with(0, cluster.client_tls(subject, authority, "http/1.1"))
}

async fn ask(client: &HttpClient, path: &str, authorization: Option<&str>) -> HttpResponse {
    let headers = authorization.map(|value| (AUTHORIZATION, value.parse().unwrap()));
    let headers = HeaderMap::from_iter(headers);
    client
        .send(Method::GET, path, headers, Bytes::new())
        .await
        .unwrap()
}

async fn roles(client: &HttpClient) -> Value {
    ask(client, ME, None).await.json()["roles"].clone()
}

fn map(cluster: &Cluster, text: &str) {
    let file = cluster.config(0).join("role_mapping.yml");
    std::fs::write(file.with_extension("new"), text).unwrap();
    std::fs::rename(file.with_extension("new"), file).unwrap();
}

/// Waits until a request is answered so.
async fn wait_for(client: &HttpClient, path: &str, status: StatusCode) {
    let look = async {
        while ask(client, path, None).await.status != status {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, look).await.expect("in time");
}

/// Returns why the node does not let in who shows this certificate.
async fn refusal(cluster: &Cluster, tls: &Arc<SslContext>) -> String {
    let address = cluster.http_address(0);
    let tcp = TcpStream::connect(address).await.unwrap();
    match tls.connect(tcp, "127.0.0.1", address, WITHIN).await {
        Err(failure) => failure.to_string(),
        // In TLS 1.3 the refusal comes with the first read.
        Ok(mut stream) => stream.read(&mut [0]).await.unwrap_err().to_string(),
    }
}

/// Asks who each of these headers stands for, on one connection.
async fn ask_h2(
    cluster: &Cluster,
    tls: &Arc<SslContext>,
    authorizations: &[Option<&str>],
) -> Vec<(u16, Value)> {
    let address = cluster.http_address(0);
    let tcp = TcpStream::connect(address).await.unwrap();
    let stream = tls
        .connect(tcp, "127.0.0.1", address, WITHIN)
        .await
        .unwrap();
    assert_eq!(stream.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let requests = authorizations.iter().map(|authorization| {
        let mut sender = sender.clone();
        let mut request = Request::builder().uri(format!("https://{address}{ME}"));
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, *value);
        }
        async move {
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            let answer = sender.send_request(request).await.unwrap();
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            (status, serde_json::from_slice(&body).unwrap())
        }
    });
    futures::future::join_all(requests).await
}
