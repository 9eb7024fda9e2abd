//! Passwords of TLS files change while nodes run.

use ringwall_testkit::{Cluster, WITHIN};
use serde_json::{Value, json};

const RELOAD: &str = "/_nodes/reload_secure_settings";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_with_a_new_password_is_taken_up() {
    let realm = "xpack.security.authc.realms.pki.p";
    let (order, store) = (format!("{realm}.order"), format!("{realm}.truststore.path"));
    let settings = [
        ("resource.reload.interval.high", "50ms"),
        (&order, "1"),
        (&store, "node.p12"),
        ("xpack.security.http.ssl.client_authentication", "optional"),
    ];
    let cluster = Cluster::start_with(2, &settings).await;
    let names = |node: &Value| {
        let contexts = node["contexts"].as_array().unwrap().iter();
        contexts
            .map(|context| context["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let known = names(&view(&cluster, "node-1").await);
    assert!(known.len() == 3 && known[2] == realm, "{known:?}");
    let (status, answer) = cluster.post(0, RELOAD, Value::Null).await;
    assert_eq!(
        (status, &answer["_nodes"]["successful"]),
        (200, &json!(2)),
        "{answer}"
    );
    for node in answer["nodes"].as_object().unwrap().values() {
        assert_eq!(node["reload_exception"], Value::Null, "{node}");
        assert_eq!(node["keystore_digest"].as_str().unwrap().len(), 64);
        let names = node["secure_setting_names"].to_string();
        assert!(
            names.contains("xpack.security.http.ssl.keystore.secure_password"),
            "{names}"
        );
    }
    let before = serials(&cluster, "node-1").await;

    // The file first: it cannot be read with the old password, which is said, and nothing breaks.
    cluster.write_certificate(1, "another");
    let said = wait_for(&cluster, |node| {
        let contexts = node["contexts"].as_array().unwrap();
        contexts
            .iter()
            .all(|context| context["reload_error"].is_string())
    })
    .await;
    let error = said["contexts"][0]["reload_error"].as_str().unwrap();
    assert!(error.contains("password"), "{error}");
    assert_eq!(serials(&cluster, "node-1").await, before);
    let (_, report) = cluster.get(0, "/_health_report/tls_certificates").await;
    assert_eq!(
        report["indicators"]["tls_certificates"]["status"], "yellow",
        "{report}"
    );

    let (_, refused) = cluster
        .post(
            0,
            "/_nodes/node-1/reload_secure_settings",
            json!({"secure_settings_password": "wrong"}),
        )
        .await;
    let node = refused["nodes"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    assert_eq!(
        node["reload_exception"]["reason"],
        "Provided keystore password was incorrect"
    );

    cluster.write_keystore(1, "another");
    let (status, answer) = cluster.post(0, RELOAD, Value::Null).await;
    assert_eq!(status, 200);
    assert!(!answer.to_string().contains("reload_exception"), "{answer}");
    wait_for(&cluster, |node| {
        let contexts = node["contexts"].as_array().unwrap();
        contexts
            .iter()
            .all(|context| context["reload_error"].is_null())
    })
    .await;
    assert_ne!(serials(&cluster, "node-1").await, before);
    let (_, health) = cluster.get(0, "/_cluster/health").await;
    assert_eq!(health["number_of_nodes"], 2);
    cluster.stop().await;
}

async fn view(cluster: &Cluster, name: &str) -> Value {
    let (_, view) = cluster.get(0, &format!("/_ssl/nodes/{name}")).await;
    view["nodes"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap()
        .clone()
}

async fn serials(cluster: &Cluster, name: &str) -> Vec<String> {
    let node = view(cluster, name).await;
    let contexts = node["contexts"].as_array().unwrap();
    let certificates = contexts
        .iter()
        .flat_map(|context| context["certificates"].as_array().unwrap());
    let own = certificates.filter(|row| row["has_private_key"] == true);
    own.map(|row| row["serial_number"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until what node-1 says of its TLS satisfies a condition.
async fn wait_for(cluster: &Cluster, holds: impl Fn(&Value) -> bool) -> Value {
    let look = async {
        loop {
            let node = view(cluster, "node-1").await;
            if holds(&node) {
                return node;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, look).await.expect("in time")
}
