//! What would make certificates that nobody accepts is refused or said: a CA past its end, names that cannot be. And the
//! tools name the true cause of a failure.

use jiff::{Timestamp, ToSpan};
use ringwall_base::SecretString;
use ringwall_pki::{
    CaParams, CertificateAuthority, CertificateInfo, DistinguishedName, KeySpec, load_keystore,
};

use crate::bench::Bench;
use crate::certutil_http_ca::ONE_NODE;
use crate::home::Outcome;
use crate::judges::unzip;

impl Bench {
    /// Makes `ca.p12`, without a password, valid from some days ago for some days.
    fn ca_of(&self, began_days_ago: i64, days: u32) -> CertificateAuthority {
        let authority = CertificateAuthority::generate(&CaParams {
            dn: DistinguishedName::common_name("Old"),
            days,
            key: KeySpec::EcP256,
            not_before: Some(Timestamp::now() - (24 * began_days_ago).hours()),
            ..CaParams::default()
        })
        .unwrap();
        let content = authority.to_p12(&SecretString::default()).unwrap();
        std::fs::write(self.path("ca.p12"), content).unwrap();
        authority
    }

    fn sign(&self, options: &[&str]) -> Outcome {
        let cert = [
            "cert",
            "-s",
            "--ca",
            "ca.p12",
            "--ca-pass",
            "",
            "--pass",
            "",
        ];
        let key = ["--key-type", "ec-p256"];
        self.certutil(&[&cert[..], &key, options].concat(), "")
    }

    fn made(&self, name: &str) -> CertificateInfo {
        let read = load_keystore(&self.path(name), &SecretString::default()).unwrap();
        CertificateInfo::from_der(&read.chain[0]).unwrap()
    }
}

#[test]
fn a_ca_that_has_ended_or_not_begun_signs_for_who_insists_only() {
    for (began, days, says) in [
        (1062, 365, "the CA [CN=Old] expired on ["),
        (-10, 365, "the CA [CN=Old] is not valid before ["),
    ] {
        let bench = Bench::new();
        bench.ca_of(began, days);
        let refused = bench.sign(&["--out", "n.p12"]);
        assert_eq!(refused.status, 65, "{refused:?}");
        assert!(refused.stderr.contains(says), "{refused:?}");
        assert!(
            began < 0 || refused.stderr.contains("], 697 days ago"),
            "{refused:?}"
        );
        assert!(refused.stderr.contains("--allow-expired"), "{refused:?}");
        assert!(!bench.path("n.p12").exists());

        let done = bench.sign(&["--out", "n.p12", "--allow-expired"]);
        assert_eq!(done.status, 0, "{done:?}");
        assert_eq!(bench.made("n.p12").issuer.to_string(), "CN=Old");
        let renew = [
            "renew",
            "-s",
            "n.p12",
            "--pass",
            "",
            "--ca",
            "ca.p12",
            "--ca-pass",
            "",
        ];
        let refused = bench.certutil(&renew, "");
        assert_eq!(refused.status, 65, "{refused:?}");
        assert!(refused.stderr.contains(says), "{refused:?}");
    }
}

#[test]
fn a_certificate_does_not_outlive_its_ca_and_a_word_says_so() {
    let bench = Bench::new();
    let authority = bench.ca_of(0, 100);
    let end = CertificateInfo::from_der(authority.certificate())
        .unwrap()
        .not_after;
    let cut = bench.sign(&["--out", "cut.p12"]);
    assert_eq!(cut.status, 0, "{cut:?}");
    let word = format!("Warning: the CA ends on [{end}], so the certificates are valid for ");
    let (_, rest) = cut
        .stderr
        .split_once(&word)
        .unwrap_or_else(|| panic!("{cut:?}"));
    assert!(
        ["99 days instead of 1095.", "100 days instead of 1095."]
            .iter()
            .any(|days| rest.starts_with(days)),
        "{cut:?}"
    );
    assert!(bench.made("cut.p12").not_after <= end);
    let within = bench.sign(&["--out", "within.p12", "--days", "30"]);
    assert_eq!(
        (within.status, within.stderr.as_str()),
        (0, ""),
        "{within:?}"
    );
}

#[test]
fn http_says_how_long_ago_its_ca_ended() {
    let bench = Bench::new();
    bench.ca_of(1062, 365);
    let answers = ["n", "y", "ca.p12", ""];
    let answers = [&answers[..], ONE_NODE, &["http.zip"]].concat();
    let done = bench.certutil(&["http"], &crate::bench::lines(&answers));
    assert!(
        done.stderr.contains("Warning: the CA expired on [")
            && done
                .stderr
                .contains("], 697 days ago. Nobody accepts certificates that it signs."),
        "{done:?}"
    );
}

#[test]
fn names_that_no_client_looks_for_are_refused_with_the_right_one() {
    let bench = Bench::new();
    bench.ca_of(0, 1000);
    let names = [
        (
            "https://es01.example:9200/",
            "[https://es01.example:9200/] is a URL and not a valid DNS name; name its host alone, [es01.example]",
        ),
        (
            "192.0.2.7",
            "[192.0.2.7] is an IP address, which nobody looks for among DNS names; name it as an IP address",
        ),
        (
            "es01.example:9300",
            "[es01.example:9300] is not a valid DNS name; name it without the port, [es01.example]",
        ),
        ("es 01", "[es 01] is not a valid DNS name"),
    ];
    for (name, says) in names {
        let list = bench.path("nodes.yml");
        std::fs::write(
            &list,
            format!("instances:\n  - name: n\n    dns: [\"{name}\"]\n"),
        )
        .unwrap();
        for refused in [
            bench.sign(&["--dns", name, "--out", "n.p12"]),
            bench.sign(&["--in", "nodes.yml", "--out", "n.zip"]),
            bench.certutil(&["csr", "-s", "--dns", name, "--out", "n.zip"], ""),
            bench.certutil(&["csr", "-s", "--in", "nodes.yml", "--out", "n.zip"], ""),
        ] {
            assert_eq!(refused.status, 78, "{name}: {refused:?}");
            assert!(refused.stderr.contains(says), "{name}: {refused:?}");
        }
        assert!(!bench.path("n.p12").exists() && !bench.path("n.zip").exists());
    }

    // Its questions leave them out, with a word, and what is left is made.
    let hosts = ["localhost", "192.0.2.7", "https://es01.example"];
    let node = [&[""][..], &["n"], &hosts, &["", "y", "", "y", "n", ""]].concat();
    let answers = [&["n", "y", "ca.p12", ""][..], &node, &["http.zip"]].concat();
    let done = bench.certutil(&["http"], &crate::bench::lines(&answers));
    assert_eq!(done.status, 0, "{done:?}");
    for word in [
        "'192.0.2.7' is an IP address, which has its own question: left out here",
        "'https://es01.example' is not a valid DNS name: left out",
    ] {
        assert!(done.stderr.contains(word), "{word}: {done:?}");
    }
    let (_, made) = unzip(&bench.path("http.zip"));
    let read = load_keystore(
        &made.join("elasticsearch/http.p12"),
        &SecretString::default(),
    );
    let info = CertificateInfo::from_der(&read.unwrap().chain[0]).unwrap();
    let names: Vec<String> = info
        .subject_alternative_names
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["DNS:localhost"]);
}

#[test]
fn a_list_of_nodes_without_its_key_is_told_as_what_it_is() {
    let bench = Bench::new();
    bench.ca_of(0, 1000);
    let list = bench.path("nodes.yml");
    for text in ["- name: n1\n", "nodes:\n  - name: n1\n", "n1\n"] {
        std::fs::write(&list, text).unwrap();
        let refused = bench.sign(&["--in", "nodes.yml", "--out", "n.zip"]);
        assert_eq!(refused.status, 1, "{text}: {refused:?}");
        assert!(
            refused
                .stderr
                .contains("nodes.yml] is not a file of instances: ")
                && refused.stderr.contains("instances:"),
            "{text}: {refused:?}"
        );
        assert!(
            !refused.stderr.contains("mapping start"),
            "{text}: {refused:?}"
        );
    }
}

#[test]
fn a_file_that_is_missing_is_noticed_before_its_password_is_asked_for() {
    let bench = Bench::new();
    for arguments in [
        &["cert", "--ca", "nowhere.p12", "--out", "n.p12"][..],
        &[
            "cert",
            "--ca-cert",
            "nowhere.p12",
            "--ca-key",
            "nowhere.p12",
            "--out",
            "n.p12",
        ],
        &["renew", "nowhere.p12", "--ca", "nowhere.p12"],
        &["inspect", "nowhere.p12"],
        &["rotate", "--ca", "nowhere.p12", "--home", "nowhere.p12"],
    ] {
        // Nothing to read: a question would fail for want of an answer.
        let told = bench.certutil(arguments, "");
        assert_ne!(told.status, 0, "{arguments:?}");
        let said = told.stdout + &told.stderr;
        assert!(said.contains("nowhere.p12"), "{arguments:?}: {said}");
        assert!(!said.contains("password"), "{arguments:?}: {said}");
    }
}
