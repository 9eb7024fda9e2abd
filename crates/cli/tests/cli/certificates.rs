//! Users whose certificates `elasticsearch-certutil` made, as docs/operations.md tells.

use http::{HeaderMap, Method};
use ringwall_base::SecretString;
use ringwall_node::node::Node;
use ringwall_rest::http_client::HttpClient;
use ringwall_settings::{Keystore, Settings};
use ringwall_tls::{ConfiguredPath, KeySource, SslConfig, SslContext, TrustSource};
use serde_json::json;

use crate::home::{Home, ringwall, run};

const YML: &str = "
http.port: 0
transport.port: 0
discovery.type: single-node
xpack.security.http.ssl:
  enabled: true
  client_authentication: optional
  keystore.path: node.p12
  truststore.path: node.p12
xpack.security.authc.realms.pki.pki1.order: 1
";

/// Makes a home with HTTPS and a realm, and `ann.p12` beside it.
fn home() -> Home {
    let home = Home::new();
    let tool = |name: &str, arguments: &[&str], answers: &str| {
        let mut command = home.tool(name);
        command.current_dir(home.path()).args(arguments);
        let outcome = run(&mut command, answers);
        assert_eq!(outcome.status, 0, "{name}: {outcome:?}");
    };
    let certutil = |arguments: &[&str]| tool("elasticsearch-certutil", arguments, "");
    certutil(&["ca", "--out", "ca.p12", "--pass", "secret"]);
    let signed = ["--ca", "ca.p12", "--ca-pass", "secret", "--pass", "secret"];
    let node = ["cert", "--ip", "127.0.0.1", "--out", "config/node.p12"];
    certutil(&[&node[..], &signed].concat());
    let user = ["cert", "--name", "CN=ann,OU=it", "--out", "ann.p12"];
    certutil(&[&user[..], &signed].concat());
    std::fs::write(home.path().join("config/elasticsearch.yml"), YML).unwrap();
    let mapping = "monitoring_user:\n  - \"CN=ann,OU=it\"\n";
    std::fs::write(home.path().join("config/role_mapping.yml"), mapping).unwrap();
    tool("elasticsearch-keystore", &["create"], "");
    for store in ["keystore", "truststore"] {
        let setting = format!("xpack.security.http.ssl.{store}.secure_password");
        tool(
            "elasticsearch-keystore",
            &["add", "--stdin", &setting],
            "secret\n",
        );
    }
    home
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_of_certutil_logs_in() {
    let home = tokio::task::spawn_blocking(home).await.unwrap();
    let config = home.path().join("config");
    let keystore = Keystore::load(&home.keystore_file(), &SecretString::default()).unwrap();
    let settings = Settings::load(&config, &[], Some(&keystore)).unwrap();
    let node = Node::start(settings, &home.path()).await.unwrap();

    let store = || ConfiguredPath::new("ann.p12", &home.path());
    let password = SecretString::from("secret");
    let key = KeySource::Keystore {
        path: store(),
        password: password.clone(),
        key_password: None,
    };
    // The authority is in the file of the user, too.
    let trust = TrustSource::Truststore {
        path: store(),
        password,
    };
    let tls = SslContext::load(SslConfig::new("ann", key, trust), &["http/1.1"]).unwrap();
    let url = format!("https://{}", node.http_addresses()[0]);
    let client = HttpClient::new(&url, Some(tls), None).unwrap();
    let path = "/_security/_authenticate";
    let answer = client
        .send(Method::GET, path, HeaderMap::new(), Vec::new().into())
        .await;
    let me = answer.unwrap().json();
    assert_eq!(me["username"], "ann", "{me}");
    assert_eq!(me["roles"], json!(["monitoring_user"]));
    node.stop().await;
}

#[test]
fn a_realm_that_cannot_work_refuses_the_start_and_doctor_says_so() {
    let home = home();
    for (setting, expected) in [
        (
            "xpack.security.http.ssl.client_authentication=none",
            "bootstrap check failure [1] of [1]: a PKI realm is enabled but cannot be used as neither HTTP or Transport \
             have SSL and client authentication enabled",
        ),
        (
            "xpack.security.http.ssl.verification_mode=none",
            "bootstrap check failure [1] of [1]: a PKI realm without trust configuration is enabled but it is not secure",
        ),
        (
            "xpack.security.authc.realms.pki.pki1.files.role_mapping=missing.yml",
            "missing.yml] for realm [pki1] does not exist",
        ),
    ] {
        let mut start = home.tool("elasticsearch");
        let refused = run(start.args(["-E", setting]), "");
        assert_eq!(refused.status, 78, "{refused:?}");
        let said = refused.stdout + &refused.stderr;
        assert!(said.contains(expected), "{said}");
    }
    let yml = YML.replace("optional", "none");
    std::fs::write(home.path().join("config/elasticsearch.yml"), yml).unwrap();
    let mut doctor = ringwall();
    doctor.env("ES_HOME", home.path());
    let found = run(doctor.args(["doctor", "--offline"]), "");
    assert_eq!(found.status, 1, "{found:?}");
    let words: Vec<&str> = found.stdout.split_whitespace().collect();
    let said = words.join(" ");
    assert!(
        said.contains("a PKI realm is enabled but cannot be used"),
        "{said}"
    );
}
