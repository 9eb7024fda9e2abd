//! A cluster that serves while its CA is replaced.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use ringwall_base::SecretString;
use ringwall_pki::{CertificateAuthority, CertificateInfo, load_pem_certs};
use serde_json::json;

use super::homes::T;
use crate::home::{ringwall, run};
use crate::running::Quickstart;

#[test]
fn a_cluster_serves_while_its_ca_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let site = dir.path().join("site");
    let cluster = Quickstart::start(&site, &[]);
    // One node looks at its files later than the others: nobody may run ahead of it.
    let settings = cluster.home(2).join("config/elasticsearch.yml");
    cluster.stop();
    let yml =
        std::fs::read_to_string(&settings).unwrap() + "\nresource.reload.interval.high: 12s\n";
    std::fs::write(&settings, yml).unwrap();
    let cluster = Quickstart::start(&site, &[]);
    let new_ca = dir.path().join("new.p12");
    let password = dir.path().join("password");
    std::fs::write(&password, cluster.password().expose()).unwrap();
    let tool = |arguments: &[&str]| run(ringwall().arg("certutil").args(arguments), "");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let new_ca = path(&new_ca);
    let made = tool(&[
        "ca",
        "--key-type",
        "ec-p256",
        "--pass",
        "",
        "--out",
        &new_ca,
    ]);
    assert_eq!(made.status, 0, "{made:?}");
    // Nodes and clients see the same certificates here, so clients get the new CA first.
    let authority =
        CertificateAuthority::load_p12(Path::new(&new_ca), &SecretString::default()).unwrap();
    let known = cluster.told["ca"].as_str().unwrap();
    let both = std::fs::read_to_string(known).unwrap() + &authority.certificate_pem();
    std::fs::write(known, both).unwrap();
    let new = CertificateInfo::from_der(authority.certificate()).unwrap();
    let old = load_pem_certs(Path::new(known)).unwrap().remove(0);
    let old = CertificateInfo::from_der(&old).unwrap();
    assert_eq!(old.subject, new.subject, "the default of both tools");
    let homes: Vec<String> = (0..3).map(|node| path(&cluster.home(node))).collect();
    let url = cluster.told["nodes"][1]["http"]
        .as_str()
        .unwrap()
        .to_owned();
    let password = path(&password);
    let mut arguments = vec![
        "rotate",
        "--ca",
        &new_ca,
        "--ca-pass",
        "",
        "--all",
        "--yes",
        "--url",
        &url,
    ];
    arguments.extend(["--user-pass-file", &password]);

    // A node whose home is not given is looked at, and told of.
    let two = [&arguments[..], &["--home", &homes[0], "--home", &homes[1]]].concat();
    let held = tool(&two);
    assert_eq!(held.status, 69, "{held:?}");
    let third = cluster.told["nodes"][2]["name"].as_str().unwrap();
    for part in [
        format!("Note: [{third}] is in the cluster and none of the homes is its"),
        format!("[{third}], whose home is not given, does not trust ["),
        format!(
            "on the host of [{third}], add the certificate of the CA with the fingerprint {}",
            new.fingerprint_sha256
        ),
    ] {
        assert!(held.stderr.contains(&part), "{part}: {held:?}");
    }
    assert!(!held.stdout.contains("Step [reissue]:"), "{held:?}");
    // A home whose node is not there: nobody could say whether it has taken up a step.
    let ghost = dir.path().join("ghost");
    std::fs::create_dir(&ghost).unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .args([cluster.home(2).join("config"), ghost.join("config")])
        .status();
    assert!(copied.unwrap().success());
    let yml = std::fs::read_to_string(&settings).unwrap();
    assert!(yml.contains(third), "{yml}");
    let yml = yml.replace(third, "ghost");
    std::fs::write(ghost.join("config/elasticsearch.yml"), yml).unwrap();
    let ghost = path(&ghost);
    let haunted = tool(&[&two[..], &["--home", &ghost]].concat());
    assert_eq!(haunted.status, 69, "{haunted:?}");
    assert!(
        haunted.stderr.contains("not in the cluster now: [ghost]"),
        "{haunted:?}"
    );
    assert!(!haunted.stdout.contains("Step ["), "{haunted:?}");
    for home in &homes {
        arguments.extend(["--home", home]);
    }
    let done = AtomicBool::new(false);
    let (rotated, written) = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut written = 0;
            while !done.load(Ordering::Relaxed) {
                let node = written % 3;
                let body = json!({"n": written});
                let answer = cluster.ask(node, Method::POST, "/rotation/_doc", Some(body));
                assert_eq!(answer.status.as_u16(), 201, "{}", answer.json());
                let answer = cluster.ask(node, Method::GET, "/rotation/_count", None);
                assert_eq!(answer.status.as_u16(), 200, "{}", answer.json());
                written += 1;
            }
            written
        });
        let rotated = tool(&arguments);
        done.store(true, Ordering::Relaxed);
        (rotated, load.join().unwrap())
    });
    assert_eq!(rotated.status, 0, "{rotated:?}");
    for step in ["trust", "reissue", "drop"] {
        let done = format!("the step [{step}] is done");
        assert!(rotated.stdout.contains(&done), "{rotated:?}");
    }
    assert!(
        rotated.stdout.contains("the rotation is done"),
        "{rotated:?}"
    );
    assert!(rotated.stderr.contains("clients see these"), "{rotated:?}");
    // What listens to nodes and what listens to clients is looked at alike.
    let listeners = ["http", "transport"].map(|layer| {
        let address = cluster.told["nodes"][0][layer].as_str().unwrap();
        address.trim_start_matches("https://").to_owned()
    });
    let looked = tool(&[
        "check",
        "--url",
        &listeners[0],
        "--url",
        &listeners[1],
        "--json",
        "--warn-days",
        "1",
        "--critical-days",
        "0",
    ]);
    assert_eq!(looked.status, 0, "{looked:?}");
    for listener in &listeners {
        assert!(looked.stdout.contains(listener), "{looked:?}");
    }
    // At once: the tool has waited for the slowest.
    let view = cluster.ask(0, Method::GET, "/_ssl/nodes", None).json();
    let nodes = view["nodes"].as_object().unwrap();
    assert_eq!(nodes.len(), 3);
    for node in nodes.values() {
        let context = &node["contexts"][0];
        assert_eq!(context["name"], T);
        let rows = context["certificates"].as_array().unwrap();
        let own = rows
            .iter()
            .find(|row| row["has_private_key"] == true)
            .unwrap();
        assert_eq!(
            own["issuer_fingerprint_sha256"], new.fingerprint_sha256,
            "{node}"
        );
        let trusted = context["trusted_fingerprints_sha256"].as_array().unwrap();
        assert!(trusted.contains(&json!(new.fingerprint_sha256)), "{node}");
        assert!(!trusted.contains(&json!(old.fingerprint_sha256)), "{node}");
    }
    cluster.ask(0, Method::POST, "/rotation/_refresh", None);
    let count = cluster.ask(2, Method::GET, "/rotation/_count", None).json();
    assert_eq!(count["count"], written, "{count}");
}
