//! `ringwall doctor`: one mistake at a time, found and told with its remedy.

mod bench;
mod peers;
mod tools;

use std::os::unix::fs::PermissionsExt;

use ringwall_pki::ExtendedKeyUsage;

use self::bench::{Bench, authority, expired};

const TRANSPORT: &str = "xpack.security.transport.ssl";

#[test]
fn a_good_home_has_nothing_to_tell() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let found = bench.doctor(&[]);
    found.is(0, "ok");
    let context = &found.json["contexts"][0];
    assert_eq!(context["name"], TRANSPORT);
    assert_eq!(context["usable"], true);
    assert_eq!(context["verification_mode"], "full");
    assert_eq!(context["published"][0]["is_in_certificate"], true);
    let certificate = &context["certificate"];
    assert_eq!(
        certificate["fingerprint_sha256"].as_str().unwrap().len(),
        64
    );
    assert_eq!(certificate["subject_alternative_names"][0], "IP:127.0.0.1");
    assert_eq!(found.json["contexts"][1]["name"], "xpack.security.http.ssl");

    let text = bench.run(&[]);
    assert_eq!(text.status, 0, "{text:?}");
    assert!(
        text.stdout.starts_with("OK\n") || text.stdout.contains("max "),
        "{text:?}"
    );
    assert!(text.stdout.contains("0 errors, "), "{text:?}");
}

#[test]
fn contexts_of_transport_profiles_are_looked_over_too() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let profile = "transport.profiles.wan.xpack.security.ssl";
    bench.append(&format!(
        "transport.profiles.wan.port: 9500\n{profile}.client_authentication: none\n"
    ));
    let found = bench.doctor(&[]);
    let context = &found.json["contexts"][2];
    assert_eq!(context["name"], profile);
    assert_eq!(context["client_authentication"], "none");
    assert_eq!(context["published"][0]["is_in_certificate"], true);
    let told = found.json["findings"].to_string();
    assert!(
        told.contains(&format!(
            "[{profile}.client_authentication] is not [required]"
        )),
        "{told}"
    );

    bench.append(&format!("{profile}.certificate_authorities: missing.crt\n"));
    let found = bench.doctor(&[]);
    found.is(1, "error");
    let told = found.error("tls_files", "missing.crt");
    assert_eq!(
        told["setting"],
        format!("{profile}.certificate_authorities")
    );
}

#[test]
fn an_untouched_home_has_its_first_start_before_it() {
    let bench = Bench::untouched();
    let found = bench.doctor(&[]);
    found.is(0, "ok");
    found.finding("first_start");
}

#[test]
fn a_founder_that_bears_almost_the_name_of_an_entry_is_an_error_before_the_first_start() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let yml = std::fs::read_to_string(bench.config("elasticsearch.yml")).unwrap();
    for (name, entries, meant) in [
        ("es02", "[es-01, es-02]", Some("es-02")),
        ("es02.example", "[es01, es02]", Some("es02")),
        ("es02", "[es01.example, es02.example]", Some("es02.example")),
        ("ES02", "[es01, es02]", Some("es02")),
        ("es02", "[es01, es02]", None),
        ("es03", "[es01, es02]", None),
        ("b.example", "[b.elsewhere]", None),
    ] {
        let named = format!("node.name: {name}\ncluster.initial_master_nodes: {entries}");
        bench.set_yml(&yml.replace("node.name: n1\ncluster.initial_master_nodes: n1", &named));
        let found = bench.doctor(&["--offline"]);
        match meant {
            None => assert!(
                found.all("founders").is_empty(),
                "{named}: {:#}",
                found.json
            ),
            Some(entry) => {
                found.is(1, "error");
                let part = format!(
                    "[{entry}] in [cluster.initial_master_nodes] may mean this node, whose [node.name] is [{name}]"
                );
                let told = found.error("founders", &part);
                assert_eq!(told["setting"], "cluster.initial_master_nodes");
            }
        }
    }
    // Who is not master-eligible founds nothing, and who has started has been told by its log.
    bench.set_yml(&yml.replace("initial_master_nodes: n1", "initial_master_nodes: n01"));
    bench.doctor(&["--offline"]).is(1, "error");
    bench.append("node.roles: [data]\n");
    assert!(bench.doctor(&["--offline"]).all("founders").is_empty());
}

#[test]
fn an_expired_certificate_is_an_error() {
    let bench = Bench::new(&authority("CA"), expired);
    let found = bench.doctor(&[]);
    found.is(1, "error");
    found.error("tls_certificate_dates", "not now: peers will refuse it");
}

#[test]
fn a_certificate_that_ends_soon_is_a_warning() {
    let bench = Bench::new(&authority("CA"), |params| params.days = 20);
    let found = bench.doctor(&[]);
    found.is(0, "warning");
    let told = found.finding("tls_certificate_ends");
    assert_eq!(told["status"], "warning");
    let message = told["message"].as_str().unwrap();
    // The second of its making may be over or not.
    assert!(
        ["[19] days", "[20] days"]
            .iter()
            .any(|days| message.contains(days)),
        "{message}"
    );
}

#[test]
fn a_key_of_another_certificate_is_an_error() {
    let ca = authority("CA");
    let bench = Bench::new(&ca, |_| {});
    let other = Bench::new(&ca, |_| {});
    std::fs::copy(other.config("node.key"), bench.config("node.key")).unwrap();
    let found = bench.doctor(&[]);
    found.is(1, "error");
    let told = found.error("tls_files", "does not match the certificate");
    let action = told["action"].as_str().unwrap();
    assert!(action.contains("made together"), "{action}");
    assert_eq!(found.json["contexts"][0]["usable"], false);
}

#[test]
fn every_broken_file_of_a_context_is_told() {
    let bench = Bench::new(&authority("CA"), |_| {});
    std::fs::remove_file(bench.config("node.key")).unwrap();
    std::fs::write(bench.config("ca.crt"), "nothing").unwrap();
    let found = bench.doctor(&[]);
    found.is(1, "error");
    let transport: Vec<_> = found
        .all("tls_files")
        .into_iter()
        .filter_map(|told| told["setting"].as_str())
        .filter(|setting| setting.starts_with(TRANSPORT))
        .collect();
    assert_eq!(
        transport,
        [
            format!("{TRANSPORT}.key"),
            format!("{TRANSPORT}.certificate_authorities")
        ]
    );
}

#[test]
fn a_wrong_password_names_the_setting_to_store_it_under() {
    let bench = Bench::new(&authority("CA"), |_| {});
    bench.use_keystore("right", "wrong");
    let found = bench.doctor(&[]);
    found.is(1, "error");
    let told = found.error("tls_files", "incorrect password");
    let action = told["action"].as_str().unwrap();
    assert!(action.contains("elasticsearch-keystore add"), "{action}");
    assert!(action.contains("keystore.secure_password"), "{action}");
    let all = found.json.to_string();
    assert!(!all.contains("\"right\"") && !all.contains("\"wrong\""));

    bench.use_keystore("right", "right");
    bench.doctor(&[]).is(0, "ok");
}

#[test]
fn a_wrong_password_of_the_keystore_is_a_finding_too() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let made = bench.home.keystore(&["create", "-p"], "secret\nsecret\n");
    assert_eq!(made.status, 0, "{made:?}");
    let found = bench.doctor_answering(&[], "other\n");
    found.is(1, "error");
    found.error("keystore", "Provided keystore password was incorrect");
    bench.doctor_answering(&[], "secret\n").is(0, "ok");
}

#[test]
fn under_full_the_published_address_must_be_in_the_certificate() {
    let ca = authority("CA");
    let bench = Bench::new(&ca, |params| params.ips.clear());
    let found = bench.doctor(&[]);
    found.is(1, "error");
    let told = found.error("tls_name", "[127.0.0.1], the address it publishes");
    let action = told["action"].as_str().unwrap();
    assert!(action.contains("--ip 127.0.0.1"), "{action}");
    // Of HTTPS it is a warning: who checks names there is not known here.
    assert_eq!(found.all("tls_name").len(), 2);

    let mode = format!("{TRANSPORT}.verification_mode=certificate");
    let found = bench.doctor(&["-E", &mode]);
    found.is(0, "warning");
    assert_eq!(found.all("tls_name").len(), 1);
}

#[test]
fn a_certificate_for_servers_only_cannot_dial() {
    let bench = Bench::new(&authority("CA"), |params| {
        params.extended_key_usage = vec![ExtendedKeyUsage::ServerAuth];
    });
    let found = bench.doctor(&[]);
    found.is(1, "error");
    let told = found.error("tls_own_trust", "as a TLS client");
    let action = told["action"].as_str().unwrap();
    assert!(action.contains("serverAuth and clientAuth"), "{action}");
}

#[test]
fn a_certificate_of_a_ca_that_is_not_trusted_is_an_error() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let other = authority("Other CA").certificate_pem();
    std::fs::write(bench.config("ca.crt"), other).unwrap();
    let found = bench.doctor(&[]);
    found.is(1, "error");
    found.error("tls_own_trust", "its issuer [CN=CA] is not trusted");
}

#[test]
fn an_https_certificate_alone_is_a_warning_with_the_file_to_append_to() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let file = bench.config("node.crt");
    let chain = std::fs::read_to_string(&file).unwrap();
    let end = "-----END CERTIFICATE-----\n";
    let leaf = chain.split_inclusive(end).next().unwrap();
    std::fs::write(&file, leaf).unwrap();
    let found = bench.doctor(&["--offline"]);
    found.is(0, "warning");
    let told = found.finding("tls_chain");
    let message = told["message"].as_str().unwrap();
    assert!(
        message.contains(
            "holds the certificate of this node alone, without the one of its issuer [CN=CA]"
        ),
        "{message}"
    );
    let action = told["action"].as_str().unwrap();
    let cure = format!("append the certificate of [CN=CA] to [{}]", file.display());
    assert!(action.contains(&cure), "{action}");
    let ca = std::fs::read_to_string(bench.config("ca.crt")).unwrap();
    std::fs::write(&file, format!("{leaf}{ca}")).unwrap();
    bench.doctor(&["--offline"]).is(0, "ok");
}

#[test]
fn weak_settings_are_warnings() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let found = bench.doctor(&[
        "-E",
        "xpack.security.transport.ssl.verification_mode=none",
        "-E",
        "xpack.security.transport.ssl.client_authentication=optional",
    ]);
    found.is(0, "warning");
    found.finding("tls_verification_mode");
    found.finding("tls_client_authentication");

    let key = bench.config("node.key");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let found = bench.doctor(&[]);
    found.is(0, "warning");
    // The key of both layers is one file.
    assert_eq!(found.all("permissions").len(), 1);
    let told = found.finding("permissions");
    assert_eq!(told["file"], key.to_str().unwrap());
}

#[test]
fn a_default_trust_is_told() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let yml = std::fs::read_to_string(bench.config("elasticsearch.yml")).unwrap();
    let without: String = yml
        .lines()
        .filter(|line| !line.contains("transport.ssl.certificate_authorities"))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(bench.config("elasticsearch.yml"), without).unwrap();
    let found = bench.doctor(&[]);
    found.finding("tls_default_trust");
}

#[test]
fn all_mistakes_of_the_settings_are_told_at_once() {
    let bench = Bench::new(&authority("CA"), |_| {});
    bench.append("nonsense.setting: 1\nhttp.port: none\n");
    let found = bench.doctor(&["-E", "xpack.security.transport.ssl.keystore.path=x.p12"]);
    found.is(1, "error");
    let settings: Vec<_> = found
        .all("settings")
        .into_iter()
        .filter_map(|told| told["setting"].as_str())
        .collect();
    assert_eq!(settings.len(), 2, "{settings:?}");
    assert!(settings.contains(&"nonsense.setting") && settings.contains(&"http.port"));
    found.error("tls_settings", "cannot specify both");
}

#[test]
fn bootstrap_checks_are_errors_where_others_reach_the_node() {
    let bench = Bench::new(&authority("CA"), |params| {
        params.ips.push("203.0.113.7".parse().unwrap());
    });
    bench.set_yml("xpack.security.enabled: true\n");
    let found = bench.doctor(&[]);
    found.is(0, "warning");
    assert_eq!(found.all("bootstrap").len(), 2);
    let found = bench.doctor(&["-E", "network.host=203.0.113.7"]);
    found.is(1, "error");
    found.error("bootstrap", "Transport SSL must be enabled");
    // TEST-NET-3 is nobody's.
    found.error(
        "network_bind",
        "[203.0.113.7] is no address of this machine",
    );
}

#[test]
fn seed_hosts_without_an_address_are_told_unless_offline() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let seeds = ["-E", "discovery.seed_hosts=no-such-host.invalid"];
    let found = bench.doctor(&seeds);
    found.is(1, "error");
    found.error("discovery", "[no-such-host.invalid:9300] does not resolve");
    bench
        .doctor(&[&seeds[..], &["--offline"]].concat())
        .is(0, "ok");
}

#[test]
fn usage_errors_end_with_64() {
    let bench = Bench::new(&authority("CA"), |_| {});
    for arguments in [
        &["--peer", "es02"][..],
        &["--peer", "es02:0"],
        &["--nope"],
        &["--layer", "http"],
        &["--offline", "--peer", "es02:9300"],
        &["--timeout", "0"],
    ] {
        let outcome = bench.run(arguments);
        assert_eq!(outcome.status, 64, "{outcome:?}");
    }
}
