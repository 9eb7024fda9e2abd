//! `certutil rotate`: another CA, step by step, on files and on a cluster that serves meanwhile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use ringwall_base::SecretString;
use ringwall_pki::{
    CertificateAuthority, CertificateDer, CertificateInfo, is_issued_by, load_keystore,
    load_pem_certs, load_pem_key_material, load_truststore,
};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::home::{Outcome, ringwall, run};
use crate::running::Quickstart;

const T: &str = "xpack.security.transport.ssl";

impl Bench {
    /// Makes a CA with the name that every CA gets by default.
    fn make_ca(&self, name: &str) -> CertificateAuthority {
        let options = ["ca", "--key-type", "ec-p256", "--pass", "", "--out", name];
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
        self.rotate_answering(options, "")
    }

    fn rotate_answering(&self, options: &[&str], answers: &str) -> Outcome {
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
        self.certutil(&[&fixed[..], options].concat(), answers)
    }
}

/// Returns whose certificate a home shows and whom it trusts, by the names of the authorities here.
fn facts(home: &Path, authorities: &[(&str, &CertificateAuthority)]) -> (String, Vec<String>) {
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
    (
        name_of_issuer(&leaf, authorities),
        names(&trusted, authorities),
    )
}

fn name_of_issuer(
    leaf: &CertificateDer<'static>,
    authorities: &[(&str, &CertificateAuthority)],
) -> String {
    let issuer = authorities
        .iter()
        .find(|(_, ca)| is_issued_by(leaf, ca.certificate()));
    issuer.unwrap().0.to_owned()
}

/// Returns the names of those certificates that are of the authorities.
fn names(
    certificates: &[CertificateDer<'static>],
    authorities: &[(&str, &CertificateAuthority)],
) -> Vec<String> {
    let named = certificates.iter().filter_map(|der| {
        let known = authorities.iter().find(|(_, ca)| ca.certificate() == der)?;
        Some(known.0.to_owned())
    });
    named.collect()
}

/// Returns how a CA is told from another of the same name.
fn named(authority: &CertificateAuthority) -> String {
    let info = CertificateInfo::from_der(authority.certificate()).unwrap();
    let (subject, begin) = (info.subject, &info.fingerprint_sha256[..16]);
    format!("[{subject}] (SHA-256 {begin}...)")
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
    let old = bench.make_ca("old.p12");
    let new = bench.make_ca("new.p12");
    bench.p12_home("a", "old.p12");
    bench.pem_home("b", "old.p12", &old);
    let homes = [bench.path("a"), bench.path("b")];
    let seen = || -> Vec<(String, Vec<String>)> {
        homes
            .iter()
            .map(|home| facts(home, &[("old", &old), ("new", &new)]))
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
    assert_eq!(seen(), both("old", &["old"]));

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
            .contains(&format!("a/config/all.p12: trusts {} too", named(&new))),
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
    let (_, trusted) = facts(&homes[1], &[("old", &old), ("new", &new)]);
    assert_eq!(trusted, ["old", "new"]);
    let told = bench.rotate(&["--yes", "--json"]);
    assert_eq!(told.status, 0, "{told:?}");
    let line: Value = serde_json::from_str(told.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(line["step"], "trust");
    assert_eq!(line["changes"].as_array().unwrap().len(), 1, "{line}");
    let change = line["changes"][0]["change"].as_str().unwrap();
    assert_eq!(change, format!("trusts {} too", named(&new)));
    assert_eq!(seen(), both("old", &["old", "new"]));

    let reissued = bench.rotate(&["--yes"]);
    assert_eq!(reissued.status, 0, "{reissued:?}");
    assert!(!reissued.stderr.contains("Warning"), "{reissued:?}");
    assert_eq!(seen(), both("new", &["old", "new"]));

    let dropped = bench.rotate(&["--yes"]);
    assert_eq!(dropped.status, 0, "{dropped:?}");
    let told = format!("no longer trusts {}", named(&old));
    assert!(dropped.stdout.contains(&told), "{dropped:?}");
    assert_eq!(seen(), both("new", &["new"]));
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
    let old = bench.make_ca("old.p12");
    let other = bench.make_ca("other.p12");
    bench.make_ca("new.p12");
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
fn the_whole_plan_is_told_before_anything_is_done() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    let new = bench.make_ca("new.p12");
    bench.p12_home("a", "old.p12");
    bench.pem_home("b", "old.p12", &old);
    let homes = [bench.path("a"), bench.path("b")];
    let before = digests(&homes);
    let steps = ["Step [trust]", "Step [reissue]", "Step [drop]"];

    let planned = bench.rotate(&["--dry-run", "--all"]);
    assert_eq!(planned.status, 0, "{planned:?}");
    let at: Vec<_> = steps
        .map(|step| {
            planned
                .stdout
                .find(&format!("{step} would change:"))
                .unwrap()
        })
        .into();
    assert!(at.is_sorted(), "{planned:?}");
    let objects = bench.rotate(&["--dry-run", "--all", "--json"]);
    let objects: Vec<Value> = objects
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = objects
        .iter()
        .map(|object| object["step"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["trust", "reissue", "drop"]);
    assert_eq!(bench.rotate(&["--json"]).status, 64, "it could not ask");

    let options = ["--all", "--wait", "0s"];
    let refused = bench.rotate_answering(&options, "n\n");
    assert_ne!(refused.status, 0, "{refused:?}");
    for step in steps {
        assert!(refused.stdout.contains(step), "{refused:?}");
    }
    assert_eq!(digests(&homes), before, "no is no");

    // One answer is for all of it.
    let done = bench.rotate_answering(&options, "y\n");
    assert_eq!(done.status, 0, "{done:?}");
    for home in &homes {
        let found = facts(home, &[("old", &old), ("new", &new)]);
        assert_eq!(found, ("new".to_owned(), vec!["new".to_owned()]));
    }
    bench.make_ca("newer.p12");
    std::fs::rename(bench.path("newer.p12"), bench.path("new.p12")).unwrap();
    let again = bench.rotate(&["--all", "--wait", "0s", "--yes", "--json"]);
    assert_eq!(again.status, 0, "{again:?}");
    for line in again.stdout.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("prose: {again:?}"));
    }
}

#[test]
fn links_stay_and_lead_to_the_changed_files() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    let new = bench.make_ca("new.p12");
    bench.p12_home("a", "old.p12");
    bench.pem_home("b", "old.p12", &old);
    std::fs::create_dir(bench.path("shared")).unwrap();
    let link = |home: &str, file: &str| {
        let (link, real) = (
            bench.path(home).join("config").join(file),
            bench.path("shared").join(file),
        );
        std::fs::rename(&link, &real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        link
    };
    let links = [
        link("a", "all.p12"),
        link("b", "ca.crt"),
        link("b", "node.crt"),
        link("b", "node.key"),
    ];
    let done = bench.rotate(&["--all", "--wait", "0s", "--yes"]);
    assert_eq!(done.status, 0, "{done:?}");
    for link in links {
        assert!(link.is_symlink(), "{}", link.display());
    }
    for home in ["a", "b"] {
        let found = facts(&bench.path(home), &[("old", &old), ("new", &new)]);
        assert_eq!(found, ("new".to_owned(), vec!["new".to_owned()]));
    }
}

#[test]
fn one_file_for_certificate_trust_and_key_keeps_what_a_step_is_not_about() {
    for with_key in [false, true] {
        let bench = Bench::new();
        let old = bench.make_ca("old.p12");
        let new = bench.make_ca("new.p12");
        bench.p12_home("a", "old.p12");
        bench.pem_home("b", "old.p12", &old);
        let config = bench.path("b").join("config");
        let read = |file: &str| std::fs::read_to_string(config.join(file)).unwrap();
        let key_text = if with_key {
            read("node.key")
        } else {
            String::new()
        };
        let leaf = load_pem_certs(&config.join("node.crt")).unwrap().remove(0);
        let leaf = ringwall_pki::pem::encode_certificates(&[leaf]);
        let one = config.join("one.pem");
        std::fs::write(
            &one,
            format!("of b\n{key_text}{leaf}{}", old.certificate_pem()),
        )
        .unwrap();
        let key = if with_key { "one.pem" } else { "node.key" };
        let yml = format!(
            "{T}:\n  enabled: true\n  key: {key}\n  certificate: one.pem\n  certificate_authorities: one.pem\n"
        );
        std::fs::write(config.join("elasticsearch.yml"), yml).unwrap();
        for (issuer, trusted) in [
            ("old", &["old", "new"][..]),
            ("new", &["new", "old"]),
            ("new", &["new"]),
        ] {
            let done = bench.rotate(&["--yes"]);
            assert_eq!(done.status, 0, "{with_key} {done:?}");
            let material = load_pem_key_material(&one, &config.join(key), None).unwrap();
            let known = [("old", &old), ("new", &new)];
            assert_eq!(name_of_issuer(&material.chain[0], &known), issuer);
            let mut found = names(&load_pem_certs(&one).unwrap(), &known);
            found.sort_by_key(|name| trusted.iter().position(|wanted| wanted == name));
            assert_eq!(found, trusted, "{with_key} {issuer}");
        }
        let done = bench.rotate(&["--yes"]);
        assert!(done.stdout.contains("the rotation is done"), "{done:?}");
    }
}

#[test]
fn a_reissue_that_was_cut_off_is_gone_on_with() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    let new = bench.make_ca("new.p12");
    bench.p12_home("a", "old.p12");
    bench.pem_home("b", "old.p12", &old);
    let known = [("old", &old), ("new", &new)];
    assert_eq!(bench.rotate(&["--yes"]).status, 0);
    let config = bench.path("b").join("config");
    let certificate = std::fs::read(config.join("node.crt")).unwrap();
    assert_eq!(bench.rotate(&["--yes"]).status, 0);
    // As if the power had failed between the two.
    std::fs::write(config.join("node.crt"), certificate).unwrap();

    let before = digests(&[bench.path("b")]);
    let told = bench.rotate(&["--dry-run"]);
    assert_eq!(told.status, 0, "{told:?}");
    assert!(
        told.stderr.contains("An earlier run was cut off: ["),
        "{told:?}"
    );
    assert_eq!(digests(&[bench.path("b")]), before);
    let resumed = bench.rotate(&["--all", "--wait", "0s", "--yes"]);
    assert_eq!(resumed.status, 0, "{resumed:?}");
    let found = facts(&bench.path("b"), &known);
    assert_eq!(found, ("new".to_owned(), vec!["new".to_owned()]));
}

#[test]
fn a_run_that_is_killed_anywhere_is_run_again() {
    let bench = Bench::new();
    let old = bench.make_ca("old.p12");
    let new = bench.make_ca("new.p12");
    let names: Vec<String> = (0..6).map(|number| format!("n{number}")).collect();
    for name in &names {
        bench.pem_home(name, "old.p12", &old);
    }
    let mut arguments = vec!["rotate", "--ca", "new.p12", "--ca-pass", "", "--yes"];
    for name in &names {
        arguments.extend(["--home", name]);
    }
    assert_eq!(bench.certutil(&arguments, "").status, 0);
    let text = |name: &String, file: &str| {
        std::fs::read(bench.path(name).join("config").join(file)).unwrap()
    };
    let old_keys: Vec<_> = names.iter().map(|name| text(name, "node.key")).collect();
    // As soon as the key of one node is another; how far it comes until the signal arrives is left to chance.
    let mut child = bench
        .home
        .tool("elasticsearch-certutil")
        .current_dir(bench.path(""))
        .args(&arguments)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    while text(&names[2], "node.key") == old_keys[2] && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    crate::running::signal(pid, rustix::process::Signal::KILL);
    child.wait().unwrap();
    arguments.extend(["--all", "--wait", "0s"]);
    let resumed = bench.certutil(&arguments, "");
    assert_eq!(resumed.status, 0, "{resumed:?}");
    for name in &names {
        let found = facts(&bench.path(name), &[("old", &old), ("new", &new)]);
        assert_eq!(found, ("new".to_owned(), vec!["new".to_owned()]));
    }
}

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
