//! A transport profile of a real node: listens, is shown, follows the cluster settings.

use ringwall_testkit::{Cluster, Method, WITHIN};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const SSL: &str = "transport.profiles.wan.xpack.security.ssl";

/// Returns the serial number of the certificate that the profile of node-0 shows.
async fn serial(cluster: &Cluster) -> String {
    let (_, view) = cluster.get(1, "/_ssl/nodes/node-0").await;
    let nodes = view["nodes"].as_object().unwrap();
    let contexts = nodes.values().next().unwrap()["contexts"]
        .as_array()
        .unwrap();
    let mut named = contexts.iter().filter(|context| context["name"] == SSL);
    let context = named.next().unwrap_or_else(|| panic!("{view}"));
    assert_eq!(context["reload_error"], Value::Null);
    let mut certificates = context["certificates"].as_array().unwrap().iter();
    let own = certificates.find(|row| row["has_private_key"] == true);
    own.unwrap()["serial_number"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_is_a_listener_with_a_context_and_rules_of_its_own() {
    let authentication = format!("{SSL}.client_authentication");
    let deny = "transport.profiles.wan.xpack.security.filter.deny";
    let cluster = Cluster::start_with(
        2,
        &[
            ("transport.profiles.wan.port", "0"),
            ("transport.profiles.default.bind_host", "_local:ipv4_"),
            ("transport.profiles.wan.bind_host", "_local:ipv4_"),
            (&authentication, "optional"),
            ("transport.handshake_timeout", "10m"),
            ("xpack.security.filter.always_allow_bound_address", "false"),
        ],
    )
    .await;
    let (status, info) = cluster.get(0, "/_nodes/transport").await;
    assert_eq!(status, 200, "{info}");
    let nodes = info["nodes"].as_object().unwrap();
    assert_eq!(nodes.len(), 2, "{info}");
    for node in nodes.values() {
        let transport = &node["transport"];
        let wan = &transport["profiles"]["wan"];
        assert_eq!(
            wan["bound_address"],
            json!([wan["publish_address"]]),
            "{info}"
        );
        assert_ne!(
            wan["publish_address"], transport["publish_address"],
            "{info}"
        );
        assert_eq!(
            transport["bound_address"],
            json!([transport["publish_address"]])
        );
        assert_eq!(
            transport["profiles"].as_object().unwrap().len(),
            1,
            "{info}"
        );
    }

    let before = serial(&cluster).await;
    let (_, certificates) = cluster.get(0, "/_ssl/certificates").await;
    assert!(
        !certificates.as_array().unwrap().is_empty(),
        "{certificates}"
    );
    let elastic = Some(("elastic", ringwall_testkit::PASSWORD));
    let metrics = cluster
        .send_as(elastic, 0, Method::GET, "/_prometheus/metrics", Value::Null)
        .await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    let line =
        format!("ringwall_tls_certificate_not_after_seconds{{context=\"{SSL}\",path=\"node.p12\"");
    assert!(metrics.contains(&line), "{metrics}");

    // The file that the profile inherits, with another password.
    cluster.write_certificate(0, "other");
    cluster.write_keystore(0, "other");
    let path = "/_nodes/node-0/reload_secure_settings";
    let (status, reloaded) = cluster.post(1, path, Value::Null).await;
    assert_eq!(status, 200, "{reloaded}");
    assert!(
        !reloaded.to_string().contains("reload_exception"),
        "{reloaded}"
    );
    assert_ne!(serial(&cluster).await, before);

    let rule = json!({"persistent": {deny: "127.0.0.0/8"}});
    let (status, answer) = cluster.put(1, "/_cluster/settings", rule).await;
    assert_eq!(status, 200, "{answer}");
    for node in nodes.values() {
        let address = node["transport"]["profiles"]["wan"]["publish_address"]
            .as_str()
            .unwrap();
        let mut tcp = TcpStream::connect(address).await.unwrap();
        // Whom it let in, the node would wait for longer.
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(WITHIN, tcp.read_to_end(&mut bytes)).await;
        assert!(read.is_ok() && bytes.is_empty(), "the rule is not in force");
    }
    cluster.wait_for_nodes(2).await;
    cluster.stop().await;
}
