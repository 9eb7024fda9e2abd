//! What the cluster says of its own TLS: certificates of every node, links, health, metrics.

use ringwall_testkit::{Cluster, Method};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_links_health_and_metrics_are_told() {
    let cluster = Cluster::start(2).await;
    cluster
        .put(0, "/logs/_doc/1?refresh=true", json!({"n": 1}))
        .await;
    cluster.wait_for_status(0, "green").await;

    let (status, view) = cluster.get(0, "/_ssl/nodes").await;
    assert_eq!(
        (status, &view["_nodes"]["successful"]),
        (200, &json!(2)),
        "{view}"
    );
    for node in view["nodes"].as_object().unwrap().values() {
        assert_eq!(node["transport"], "required");
        let contexts = node["contexts"].as_array().unwrap();
        assert_eq!(contexts.len(), 2);
        for context in contexts {
            let certificates = context["certificates"].as_array().unwrap();
            let own = certificates
                .iter()
                .filter(|row| row["has_private_key"] == true);
            let own: Vec<_> = own.collect();
            assert_eq!(own.len(), 1, "{context}");
            let trusted = context["trusted_fingerprints_sha256"].as_array().unwrap();
            let issuer = &own[0]["issuer_fingerprint_sha256"];
            assert!(issuer.is_string() && trusted.contains(issuer), "{context}");
            assert_eq!(context["revocation_lists"], json!([]));
            assert_eq!(context["reload_error"], Value::Null);
            assert!(
                certificates
                    .iter()
                    .all(|row| row["days_left"].as_i64().unwrap() > 900)
            );
        }
        let links = node["links"].as_array().unwrap();
        assert!(!links.is_empty(), "{node}");
        assert!(
            links
                .iter()
                .all(|link| link["encrypted"] == true && link["issuer"].is_string())
        );
    }
    let (_, one) = cluster.get(0, "/_ssl/nodes/node-1").await;
    assert_eq!(one["_nodes"]["total"], 1);

    let table = cluster
        .send_as(
            Some(("elastic", ringwall_testkit::PASSWORD)),
            1,
            Method::GET,
            "/_cat/certificates?v",
            Value::Null,
        )
        .await;
    let table = String::from_utf8(table.body.to_vec()).unwrap();
    for part in [
        "node-0",
        "node-1",
        "xpack.security.http.ssl",
        "node.p12",
        "CN=",
    ] {
        assert!(table.contains(part), "{table}");
    }

    let (status, report) = cluster.get(1, "/_health_report").await;
    assert_eq!(status, 200);
    assert!(report["status"].is_string(), "{report}");
    // How full the disk is, is the machine's matter.
    for (name, indicator) in report["indicators"].as_object().unwrap() {
        assert!(
            name == "disk" || indicator["status"] == "green",
            "{indicator}"
        );
    }
    let names: Vec<&String> = report["indicators"].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "audit_log",
            "disk",
            "master_is_stable",
            "shards_availability",
            "tls_certificates",
            "transport_tls"
        ]
    );
    let (status, one) = cluster
        .get(1, "/_health_report/master_is_stable?verbose=false")
        .await;
    assert_eq!(
        (status, &one["indicators"]["master_is_stable"]["status"]),
        (200, &json!("green"))
    );
    assert_eq!(
        one["indicators"]["master_is_stable"]["details"],
        Value::Null
    );
    assert_eq!(cluster.get(1, "/_health_report/weather").await.0, 404);

    // Certificates of three years, looked at four years before their end.
    let early = json!({"persistent": {"health.tls_certificates.yellow": "1500d"}});
    assert_eq!(cluster.put(0, "/_cluster/settings", early).await.0, 200);
    let (_, report) = cluster.get(1, "/_health_report").await;
    let indicator = &report["indicators"]["tls_certificates"];
    assert_eq!(indicator["status"], "yellow", "{indicator}");
    assert!(
        indicator["symptom"]
            .as_str()
            .unwrap()
            .contains("expires in 109"),
        "{indicator}"
    );
    let action = indicator["diagnosis"][0]["action"].as_str().unwrap();
    assert!(action.contains("certutil"), "{action}");

    let metrics = cluster
        .send_as(
            Some(("elastic", ringwall_testkit::PASSWORD)),
            0,
            Method::GET,
            "/_prometheus/metrics",
            Value::Null,
        )
        .await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        "# TYPE ringwall_tls_certificate_not_after_seconds gauge",
        "ringwall_tls_certificate_not_after_seconds{context=\"xpack.security.transport.ssl\",path=\"node.p12\"",
        "ringwall_cluster_nodes 2",
        "ringwall_transport_unencrypted_links 0",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    assert_eq!(
        cluster
            .send_as(None, 0, Method::GET, "/_prometheus/metrics", Value::Null)
            .await
            .status
            .as_u16(),
        401
    );
    cluster.stop().await;
}
