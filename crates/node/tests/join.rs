//! Nodes meet over real mutual TLS: those of one CA and one cluster name form a cluster,
//! strangers never appear in it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringwall_api::ErrorCode;
use ringwall_base::SecretString;
use ringwall_node::node::{Node, StartError};
use ringwall_pki::{CaParams, CertificateAuthority, KeySpec, NodeCertParams};
use ringwall_settings::{Keystore, Settings};

const WITHIN: Duration = Duration::from_secs(120);
const PASSWORD: &str = "secret";

fn authority() -> CertificateAuthority {
    let params = CaParams {
        key: KeySpec::EcP256,
        ..CaParams::default()
    };
    CertificateAuthority::generate(&params).unwrap()
}

/// A home as the tools lay it out, with a certificate of the authority.
fn home(root: &Path, name: &str, authority: &CertificateAuthority) -> PathBuf {
    let home = root.join(name);
    std::fs::create_dir_all(home.join("config")).unwrap();
    let params = NodeCertParams {
        key: KeySpec::EcP256,
        ips: vec![IpAddr::from([127, 0, 0, 1])],
        ..NodeCertParams::default()
    };
    let password = SecretString::from(PASSWORD);
    let certificate = authority.issue(&params).unwrap();
    let store = certificate.to_p12("instance", &password).unwrap();
    std::fs::write(home.join("config/node.p12"), store).unwrap();
    let mut keystore = Keystore::create(SecretString::default());
    for kind in ["keystore", "truststore"] {
        let key = format!("xpack.security.transport.ssl.{kind}.secure_password");
        keystore.set(&key, &password).unwrap();
    }
    keystore
        .save(&home.join("config/elasticsearch.keystore"))
        .unwrap();
    home
}

fn settings(home: &Path, name: &str, more: &str, tls: bool) -> Settings {
    let ssl = if tls {
        "xpack.security.transport.ssl:\n  enabled: true\n  verification_mode: full\n  \
         keystore.path: node.p12\n  truststore.path: node.p12\n"
    } else {
        "xpack.security.transport.ssl.enabled: false\n"
    };
    let yml = format!("node.name: {name}\ntransport.port: 0\nhttp.port: 0\n{ssl}{more}");
    let config = home.join("config");
    std::fs::write(config.join("elasticsearch.yml"), yml).unwrap();
    let keystore = config.join("elasticsearch.keystore");
    let keystore = Keystore::load(&keystore, &SecretString::default()).unwrap();
    Settings::load(&config, &[], Some(&keystore)).unwrap()
}

async fn start(root: &Path, name: &str, authority: &CertificateAuthority, more: &str) -> Node {
    let home = home(root, name, authority);
    let settings = settings(&home, name, more, true);
    Node::start(settings, &home).await.unwrap()
}

fn names(node: &Node) -> Vec<String> {
    let state = node.cluster().state();
    let mut names: Vec<String> = state.nodes.values().map(|n| n.name.clone()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_authority_and_one_name_make_a_cluster_and_strangers_stay_out() {
    let root = tempfile::tempdir().unwrap();
    let ours = authority();
    let first = start(
        root.path(),
        "one",
        &ours,
        "cluster.name: ours\ncluster.initial_master_nodes: one\n",
    )
    .await;
    let seed = first.local().publish_address.clone();
    let seeds = format!("discovery.seed_hosts: \"{seed}\"\n");
    let member = format!("cluster.name: ours\n{seeds}");
    let second = start(root.path(), "two", &ours, &member).await;
    let third = start(root.path(), "three", &ours, &member).await;
    for node in [&first, &second, &third] {
        assert!(
            node.wait_until(WITHIN, |state| state.nodes.len() == 3)
                .await
        );
    }

    let stranger = start(root.path(), "stranger", &authority(), &member).await;
    let misnamed = format!("cluster.name: theirs\n{seeds}");
    let misnamed = start(root.path(), "misnamed", &ours, &misnamed).await;
    let plain_home = home(root.path(), "plain", &ours);
    let plain = settings(&plain_home, "plain", &member, false);
    let plain = Node::start(plain, &plain_home).await.unwrap();

    // Long enough for several rounds of discovery of each; a fourth member proves that joining
    // works all the while.
    let late = start(root.path(), "late", &ours, &member).await;
    assert!(
        late.wait_until(WITHIN, |state| state.nodes.len() == 4)
            .await
    );
    for outsider in [&stranger, &misnamed, &plain] {
        let joined = outsider
            .wait_until(Duration::from_secs(2), |state| !state.nodes.is_empty())
            .await;
        assert!(
            !joined,
            "{} sees {:?}",
            outsider.local().name,
            names(outsider)
        );
        let error = outsider.cluster().no_master();
        assert_eq!(error.code, ErrorCode::MasterNotDiscovered);
        let cause = "master not discovered yet, this node has not previously joined a bootstrapped cluster, and \
                     [cluster.initial_master_nodes] is empty on this node; to found a new cluster, name its first";
        assert!(error.reason.starts_with(cause), "{}", error.reason);
    }
    assert_eq!(names(&first), ["late", "one", "three", "two"]);

    let id = late.local().id;
    late.stop().await;
    assert!(
        first
            .wait_until(WITHIN, |state| !state.nodes.contains_key(&id))
            .await,
        "a stopped node leaves the cluster",
    );
}

#[tokio::test]
async fn reachable_node_without_tls_is_refused_at_start() {
    let root = tempfile::tempdir().unwrap();
    let home = home(root.path(), "one", &authority());
    let settings = settings(&home, "one", "network.host: 0.0.0.0\n", false);
    let error = Node::start(settings, &home).await.err().unwrap();
    let StartError::BootstrapChecks(failures) = &error else {
        panic!("{error}");
    };
    assert!(failures[0].starts_with("Transport SSL must be enabled"));
}
