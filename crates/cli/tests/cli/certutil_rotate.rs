//! `certutil rotate`: another CA, step by step, on files and on a cluster that serves meanwhile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use ringwall_base::SecretString;
use ringwall_pki::{
    CertificateAuthority, CertificateInfo, is_issued_by, load_keystore, load_pem_certs,
    load_pem_key_material, load_truststore,
};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::home::{Outcome, ringwall, run};
use crate::running::Quickstart;

const T: &str = "xpack.security.transport.ssl";

impl Bench {
    fn make_ca(&self, name: &str, subject: &str) -> CertificateAuthority {
        let options = [
            "ca",
            "--key-type",
            "ec-p256",
            "--ca-dn",
            subject,
            "--pass",
            "",
            "--out",
            name,
        ];
        self.certutil(&options, "").quiet();
        CertificateAuthority::load_p12(&self.path(name), &SecretString::default()).unwrap()
    }

    /// Writes the configuration of a node with one PKCS#12 file for everything.
    fn p12_home(&self, name: &str, ca: &str) {
        let config = self.path(name).join("config");
        std::fs::create_dir_all(&config).unwrap();
        let out = config.join("all.p12");
        let options = [
            "cert",
            "-s",
            "--ca",
            ca,
            "--ca-pass",
            "",
            "--pass",
            "",
            "--key-type",
            "ec-p256",
            "--name",
            name,
            "--dns",
            "localhost",
            "--out",
            out.to_str().unwrap(),
        ];
        self.certutil(&options, "").quiet();
        let yml = format!(
            "{T}:\n  enabled: true\n  keystore.path: all.p12\n  truststore.path: all.p12\n"
        );
        std::fs::write(config.join("elasticsearch.yml"), yml).unwrap();
    }

    /// Writes the configuration of a node with PEM files.
    fn pem_home(&self, name: &str, ca: &str, authority: &CertificateAuthority) {
        let config = self.path(name).join("config");
        std::fs::create_dir_all(&config).unwrap();
        let zip = self.path(&format!("{name}.zip"));
        let options = [
            "cert",
            "-s",
            "--ca",
            ca,
            "--ca-pass",
            "",
            "--pem",
            "--key-type",
            "ec-p256",
            "--name",
            name,
            "--out",
            zip.to_str().unwrap(),
        ];
        self.certutil(&options, "").quiet();
        let (_, unpacked) = crate::judges::unzip(&zip);
        for extension in ["crt", "key"] {
            let file = format!("{name}.{extension}");
            std::fs::copy(
                unpacked.join(name).join(&file),
                config.join(format!("node.{extension}")),
            )
            .unwrap();
        }
        std::fs::write(config.join("ca.crt"), authority.certificate_pem()).unwrap();
        let yml = format!(
            "{T}:\n  enabled: true\n  key: node.key\n  certificate: node.crt\n  certificate_authorities: ca.crt\n"
        );
        std::fs::write(config.join("elasticsearch.yml"), yml).unwrap();
    }

    fn rotate(&self, options: &[&str]) -> Outcome {
        let fixed = [
            "rotate",
            "--ca",
            "new.p12",
            "--ca-pass",
            "",
            "--home",
            "a",
            "--home",
            "b",
        ];
        self.certutil(&[&fixed[..], options].concat(), "")
    }
}

/// Returns who signed the certificate of a home, and the subjects that it trusts.
fn facts(home: &Path, authorities: &[&CertificateAuthority]) -> (String, Vec<String>) {
    let config = home.join("config");
    let empty = SecretString::default();
    let store = config.join("all.p12");
    let (leaf, trusted) = match store.exists() {
        true => (
            load_keystore(&store, &empty).unwrap().chain.remove(0),
            load_truststore(&store, &empty).unwrap().certs(),
        ),
        false => (
            load_pem_key_material(&config.join("node.crt"), &config.join("node.key"), None)
                .unwrap()
                .chain
                .remove(0),
            load_pem_certs(&config.join("ca.crt")).unwrap(),
        ),
    };
    let subject = |der: &_| CertificateInfo::from_der(der).unwrap().subject.to_string();
    let issuer = authorities
        .iter()
        .find(|ca| is_issued_by(&leaf, ca.certificate()))
        .unwrap();
    let trusted = trusted.iter().map(|der| subject(der)).collect();
    (subject(issuer.certificate()), trusted)
}

fn digests(directories: &[PathBuf]) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for directory in directories {
        for entry in std::fs::read_dir(directory.join("config")).unwrap() {
            let path = entry.unwrap().path();
            all.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    all
}

#[test]
fn each_step_is_done_on_every_home_before_the_next() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12", "CN=old");
    let new = bench.make_ca("new.p12", "CN=new");
    bench.p12_home("a", "old.p12");
    bench.pem_home("b", "old.p12", &old);
    let homes = [bench.path("a"), bench.path("b")];
    let seen = || -> Vec<(String, Vec<String>)> {
        homes
            .iter()
            .map(|home| facts(home, &[&old, &new]))
            .collect()
    };
    let both = |issuer: &str, trusted: &[&str]| {
        let one = (
            issuer.to_owned(),
            trusted
                .iter()
                .map(|name| name.to_string())
                .collect::<Vec<_>>(),
        );
        vec![one.clone(), one]
    };
    assert_eq!(seen(), both("CN=old", &["CN=old"]));

    let before = digests(&homes);
    let planned = bench.rotate(&["--dry-run"]);
    assert_eq!(planned.status, 0, "{planned:?}");
    assert!(
        planned.stdout.contains("Step [trust] would change:"),
        "{planned:?}"
    );
    assert!(
        planned
            .stdout
            .contains("a/config/all.p12: trusts [CN=new] too"),
        "{planned:?}"
    );
    assert_eq!(digests(&homes), before);

    for step in ["reissue", "drop"] {
        let refused = bench.rotate(&["--step", step, "--yes"]);
        assert_eq!(refused.status, 65, "{refused:?}");
        assert!(
            refused
                .stderr
                .contains("before [trust] is done on every node"),
            "{refused:?}"
        );
    }
    let asked = bench.rotate(&[]);
    assert_ne!(asked.status, 0, "{asked:?}");
    assert_eq!(digests(&homes), before, "no answer is no");

    // One of the two has had the step, as after an interruption.
    let alone = bench.certutil(
        &[
            "rotate",
            "--ca",
            "new.p12",
            "--ca-pass",
            "",
            "--home",
            "b",
            "--yes",
        ],
        "",
    );
    assert_eq!(alone.status, 0, "{alone:?}");
    let (_, trusted) = facts(&homes[1], &[&old, &new]);
    assert_eq!(trusted, ["CN=old", "CN=new"]);
    let told = bench.rotate(&["--yes", "--json"]);
    assert_eq!(told.status, 0, "{told:?}");
    let line: Value = serde_json::from_str(told.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(line["step"], "trust");
    assert_eq!(line["changes"].as_array().unwrap().len(), 1, "{line}");
    assert_eq!(seen(), both("CN=old", &["CN=old", "CN=new"]));

    let reissued = bench.rotate(&["--yes"]);
    assert_eq!(reissued.status, 0, "{reissued:?}");
    assert!(!reissued.stderr.contains("Warning"), "{reissued:?}");
    assert_eq!(seen(), both("CN=new", &["CN=old", "CN=new"]));

    let dropped = bench.rotate(&["--yes"]);
    assert_eq!(dropped.status, 0, "{dropped:?}");
    assert_eq!(seen(), both("CN=new", &["CN=new"]));
    let done = bench.rotate(&["--yes"]);
    assert!(done.stdout.contains("the rotation is done"), "{done:?}");
    let backups = digests(&homes)
        .into_keys()
        .filter(|path| path.extension().is_some_and(|ext| ext == "bak"));
    assert_eq!(
        backups.count(),
        7,
        "three of the store, two of ca.crt, one of each of the pair"
    );
}

#[test]
fn mistakes_change_nothing() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12", "CN=old");
    let other = bench.make_ca("other.p12", "CN=other");
    bench.make_ca("new.p12", "CN=new");
    bench.p12_home("a", "old.p12");
    bench.pem_home("b", "old.p12", &old);
    // A third CA that both trust: which to drop must be said.
    let extra = |home: &str| {
        let file = bench.path(home).join("config/ca.crt");
        let content = format!("{}{}", old.certificate_pem(), other.certificate_pem());
        std::fs::write(file, content).unwrap();
    };
    extra("b");
    for _ in 0..2 {
        assert_eq!(bench.rotate(&["--yes"]).status, 0);
    }
    let unsure = bench.rotate(&["--yes"]);
    assert_eq!(unsure.status, 64, "{unsure:?}");
    assert!(
        unsure.stderr.contains("tell which to drop with --drop"),
        "{unsure:?}"
    );
    let wrong = bench.rotate(&["--yes", "--drop", "00"]);
    assert_eq!(wrong.status, 64, "{wrong:?}");
    let fingerprint = CertificateInfo::from_der(old.certificate())
        .unwrap()
        .fingerprint_sha256;
    assert_eq!(bench.rotate(&["--yes", "--drop", &fingerprint]).status, 0);
    let kept = load_pem_certs(&bench.path("b").join("config/ca.crt")).unwrap();
    assert_eq!(kept.len(), 2);

    for (options, status, said) in [
        (&["--home", "c"][..], 65, "no home of a node"),
        (
            &["--layer", "http"],
            65,
            "[xpack.security.http.ssl.enabled] is not true",
        ),
        (&["--step", "trust", "--all"], 64, "cannot be used with"),
    ] {
        let refused = bench.rotate(options);
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
}

#[test]
fn a_cluster_serves_while_its_ca_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let site = dir.path().join("site");
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
        "--ca-dn",
        "CN=next",
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
        assert!(
            rotated
                .stdout
                .contains(&format!("the step [{step}] is done")),
            "{rotated:?}"
        );
    }
    assert!(
        rotated.stdout.contains("the rotation is done"),
        "{rotated:?}"
    );
    assert!(rotated.stderr.contains("clients see these"), "{rotated:?}");
    let view = cluster.ask(0, Method::GET, "/_ssl/nodes", None).json();
    let nodes = view["nodes"].as_object().unwrap();
    assert_eq!(nodes.len(), 3);
    for node in nodes.values() {
        let context = &node["contexts"][0];
        assert_eq!(context["name"], T);
        for row in context["certificates"].as_array().unwrap() {
            assert_eq!(row["issuer"], "CN=next", "{row}");
        }
        for link in node["links"].as_array().unwrap() {
            assert_eq!(link["issuer"], "CN=next", "{link}");
        }
    }
    cluster.ask(0, Method::POST, "/rotation/_refresh", None);
    let count = cluster.ask(2, Method::GET, "/rotation/_count", None).json();
    assert_eq!(count["count"], written, "{count}");
}
