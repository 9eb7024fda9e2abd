//! Files that layers share, layers that are not rotated, and CAs that nobody would trust.

use super::homes::{digests, facts};
use crate::bench::Bench;

impl Bench {
    /// Lets a home serve HTTPS with a certificate of its own, out of the one that it has.
    fn serve_https(&self, name: &str, authorities: &str) {
        let config = self.path(name).join("config");
        for extension in ["crt", "key"] {
            let of = |layer: &str| config.join(format!("{layer}.{extension}"));
            std::fs::copy(of("node"), of("http")).unwrap();
        }
        let yml = config.join("elasticsearch.yml");
        let text = std::fs::read_to_string(&yml).unwrap()
            + "xpack.security.http.ssl:\n  enabled: true\n  key: http.key\n  certificate: http.crt\n"
            + &format!("  certificate_authorities: {authorities}\n");
        std::fs::write(yml, text).unwrap();
    }
}

#[test]
fn https_that_shares_the_file_of_the_ca_is_not_cut_off() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    let new = bench.make_ca("new.p12");
    let homes = [bench.path("a"), bench.path("b")];
    for name in ["a", "b"] {
        bench.pem_home(name, "old.p12", &old);
        bench.serve_https(name, "ca.crt");
    }
    for _ in ["trust", "reissue"] {
        let done = bench.rotate(&["--yes"]);
        assert_eq!(done.status, 0, "{done:?}");
    }
    let before = digests(&homes);
    let refused = bench.rotate(&["--yes"]);
    assert_eq!(refused.status, 65, "{refused:?}");
    for part in [
        "have files in common: after the step [drop], HTTPS of the node of",
        "--layer http --step reissue",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    assert_eq!(digests(&homes), before);
    let reissued = bench.rotate(&["--layer", "http", "--step", "reissue", "--yes"]);
    assert_eq!(reissued.status, 0, "{reissued:?}");
    let dropped = bench.rotate(&["--yes"]);
    assert_eq!(dropped.status, 0, "{dropped:?}");
    let warned = format!("HTTPS trusts by [{}/config/ca.crt] too", homes[1].display());
    assert!(dropped.stderr.contains(&warned), "{dropped:?}");
    for home in &homes {
        let found = facts(home, &[("old", &old), ("new", &new)]);
        assert_eq!(found, ("new".to_owned(), vec!["new".to_owned()]));
    }
}

#[test]
fn nodes_that_trust_by_the_file_of_https_are_not_cut_off() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    bench.make_ca("new.p12");
    let homes = [bench.path("a"), bench.path("b")];
    for name in ["a", "b"] {
        bench.pem_home(name, "old.p12", &old);
        bench.serve_https(name, "ca.crt");
    }
    for _ in ["trust", "reissue"] {
        let done = bench.rotate(&["--layer", "http", "--yes"]);
        assert_eq!(done.status, 0, "{done:?}");
    }
    let before = digests(&homes);
    let refused = bench.rotate(&["--layer", "http", "--yes"]);
    assert_eq!(refused.status, 65, "{refused:?}");
    for part in [
        "between nodes, the node of",
        "--layer transport --step reissue",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    assert_eq!(digests(&homes), before);
}

/// Its own tools know HTTPS by whom it trusts.
#[test]
fn https_that_shares_the_certificate_trusts_the_new_ca_first() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    bench.make_ca("new.p12");
    let homes = [bench.path("a"), bench.path("b")];
    for name in ["a", "b"] {
        bench.pem_home(name, "old.p12", &old);
        bench.serve_https(name, "http-ca.crt");
        let config = bench.path(name).join("config");
        std::fs::write(config.join("http-ca.crt"), old.certificate_pem()).unwrap();
        let yml = config.join("elasticsearch.yml");
        let shared = std::fs::read_to_string(&yml)
            .unwrap()
            .replace("http.", "node.");
        let shared = shared.replace("security.node.ssl", "security.http.ssl");
        std::fs::write(yml, shared).unwrap();
    }
    assert_eq!(bench.rotate(&["--yes"]).status, 0);
    let before = digests(&homes);
    let refused = bench.rotate(&["--yes"]);
    assert_eq!(refused.status, 65, "{refused:?}");
    assert!(
        refused.stderr.contains("--layer http --step trust"),
        "{refused:?}"
    );
    assert_eq!(digests(&homes), before);
    let trusts = bench.rotate(&["--layer", "http", "--step", "trust", "--yes"]);
    assert_eq!(trusts.status, 0, "{trusts:?}");
    let reissued = bench.rotate(&["--yes"]);
    assert_eq!(reissued.status, 0, "{reissued:?}");
    assert!(reissued.stdout.contains("Step [reissue]"), "{reissued:?}");
}

/// Half a cluster that trusts another CA than the other half would be two clusters.
#[test]
fn profiles_with_tls_of_their_own_are_refused_before_anything_is_changed() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    bench.make_ca("new.p12");
    bench.p12_home("a", "old.p12");
    bench.pem_home("b", "old.p12", &old);
    let file = bench.path("b").join("config/elasticsearch.yml");
    let yml = std::fs::read_to_string(&file).unwrap();
    for (profile, key, status) in [
        ("default", "xpack.security.ssl.keystore.path: own.p12", 78),
        (
            "client",
            "xpack.security.ssl.client_authentication: none",
            78,
        ),
        ("client", "bind_host: localhost", 0),
    ] {
        let profile_of = format!("transport.profiles.{profile}");
        let profiled = format!("{yml}{profile_of}.port: 9500\n{profile_of}.{key}\n");
        std::fs::write(&file, profiled).unwrap();
        let before = digests(&[bench.path("a"), bench.path("b")]);
        let told = bench.rotate(&["--all", "--wait", "0s", "--yes"]);
        assert_eq!(told.status, status, "{key} {told:?}");
        if status != 0 {
            let named = format!(
                "[transport.profiles.{profile}.{}",
                key.split(':').next().unwrap()
            );
            assert!(told.stderr.contains(&named), "{named} {told:?}");
            assert!(told.stderr.contains("by hand"), "{told:?}");
            assert_eq!(digests(&[bench.path("a"), bench.path("b")]), before);
        }
    }
}

/// The trust that counts is that of a running node, to the last rule.
#[test]
fn a_ca_whose_certificates_nodes_would_refuse_is_not_rotated_to() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    bench.p12_home("a", "old.p12");
    bench.pem_home("b", "old.p12", &old);
    let made = std::process::Command::new("openssl")
        .current_dir(bench.path(""))
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "900",
        ])
        .args(["-keyout", "new.key", "-out", "new.crt", "-subj", "/CN=new"])
        .args([
            "-addext",
            "nameConstraints=critical,permitted;DNS:elsewhere.example",
        ])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let run = || {
        let by = [
            "rotate",
            "--ca-cert",
            "new.crt",
            "--ca-key",
            "new.key",
            "--home",
            "a",
            "--home",
            "b",
            "--yes",
        ];
        bench.certutil(&by, "")
    };
    assert_eq!(run().status, 0, "to trust it as well harms nobody");
    let before = digests(&[bench.path("a"), bench.path("b")]);
    let refused = run();
    assert_eq!(refused.status, 65, "{refused:?}");
    assert!(
        refused.stderr.contains("would refuse the node of"),
        "{refused:?}"
    );
    assert_eq!(digests(&[bench.path("a"), bench.path("b")]), before);
}

#[test]
fn the_password_of_the_keystores_may_come_from_a_file() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    bench.make_ca("new.p12");
    bench.p12_home("a", "old.p12");
    bench.pem_home("b", "old.p12", &old);
    let made = bench
        .home
        .keystore(&["create", "-p"], "secret-words\nsecret-words\n");
    assert_eq!(made.status, 0, "{made:?}");
    let file = bench.path("a").join("config/elasticsearch.keystore");
    std::fs::copy(bench.home.keystore_file(), file).unwrap();
    std::fs::write(bench.path("pass"), "secret-words\n").unwrap();
    let done = bench.rotate(&["--yes", "--keystore-password-file", "pass"]);
    assert_eq!(done.status, 0, "{done:?}");
    assert!(!done.stderr.contains("Enter password"), "{done:?}");
}
