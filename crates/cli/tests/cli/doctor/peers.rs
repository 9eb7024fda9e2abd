//! Peers that run, refuse, are refused, speak something else, or are not there.

use std::net::TcpListener;

use super::bench::{Bench, accept_plaintext, accept_tls, authority, expired};

const OFF: [&str; 4] = [
    "-E",
    "xpack.security.transport.ssl.enabled=false",
    "-E",
    "cluster.name=doctor",
];

#[test]
fn a_node_of_the_same_ca_answers_and_one_of_another_cluster_refuses() {
    let ca = authority("CA");
    let (bench, other) = (Bench::new(&ca, |_| {}), Bench::new(&ca, |_| {}));
    let node = other.start(&[]);
    let found = bench.doctor(&["--peer", &node.address]);
    found.is(0, "ok");
    let peer = &found.json["peers"][0];
    assert_eq!(peer["protocol"], "TLSv1.3");
    assert_eq!(peer["node"]["cluster_name"], "doctor");
    assert_eq!(peer["accepted_by"]["full"], true);

    // As a seed host, it is dialled without being asked for.
    let seed = format!("discovery.seed_hosts={}", node.address);
    let found = bench.doctor(&["-E", &seed]);
    assert_eq!(found.json["peers"][0]["is_seed_host"], true);
    let found = bench.doctor(&["-E", &seed, "--offline"]);
    assert_eq!(found.json["peers"].as_array().unwrap().len(), 0);

    let found = bench.doctor(&["-E", "cluster.name=other", "--peer", &node.address]);
    found.is(1, "error");
    let told = found.error(
        "peer_refused",
        "remote cluster name [doctor] does not match",
    );
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("handshake itself succeeded"), "{message}");

    let found = bench.doctor(&[&OFF[..], &["--peer", &node.address]].concat());
    found.is(1, "error");
    found.error(
        "peer_handshake",
        "TLS is off here, and the other side speaks TLS",
    );

    let found = other.doctor(&["--peer", &node.address]);
    let told = found.finding("peer")["message"].as_str().unwrap();
    assert!(told.contains("this node itself"), "{told}");
}

#[test]
fn a_peer_that_does_not_trust_us_is_noticed_after_the_handshake() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let ours = std::fs::read_to_string(bench.config("ca.crt")).unwrap();
    let stranger = Bench::new(&authority("Other CA"), |_| {});
    let node = stranger.start(&[]);
    // This side trusts the stranger, so only the stranger refuses.
    let theirs = std::fs::read_to_string(stranger.config("ca.crt")).unwrap();
    std::fs::write(bench.config("ca.crt"), format!("{ours}{theirs}")).unwrap();
    for version in ["TLSv1.2", "TLSv1.3"] {
        let only = format!("xpack.security.transport.ssl.supported_protocols={version}");
        let found = bench.doctor(&["-E", &only, "--peer", &node.address]);
        found.is(1, "error");
        let told = found.error("peer_tls", "rejected this node with the TLS alert");
        let action = told["action"].as_str().unwrap();
        assert!(action.contains("of the CA [CN=CA]"), "{action}");
        assert_eq!(found.json["peers"][0]["reason"], "peer_rejected_us");
    }
}

#[test]
fn a_peer_that_is_not_trusted_here_is_named() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let stranger = Bench::new(&authority("Other CA"), |_| {});
    let address = accept_tls(stranger.context()).to_string();
    let found = bench.doctor(&["--peer", &address]);
    found.is(1, "error");
    let told = found.error(
        "peer_tls",
        "is not configured to trust that issuer [CN=Other CA]",
    );
    let message = told["message"].as_str().unwrap();
    for part in [
        "serial number [",
        "SHA-256 fingerprint [",
        "ca.crt",
        "IP:127.0.0.1",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(found.json["peers"][0]["accepted_by"]["certificate"], false);
}

#[test]
fn a_name_that_the_certificate_lacks_would_pass_in_mode_certificate() {
    let ca = authority("CA");
    let bench = Bench::new(&ca, |_| {});
    let nameless = Bench::new(&ca, |params| {
        params.ips.clear();
        params.dns = vec!["es02".to_owned()];
    });
    let address = accept_tls(nameless.context()).to_string();
    let found = bench.doctor(&["--peer", &address]);
    found.is(1, "error");
    found.error("peer_tls", "not valid for [127.0.0.1], the address dialled");
    found.error(
        "peer_tls",
        "verification_mode [certificate] would accept it",
    );
    let accepted = &found.json["peers"][0]["accepted_by"];
    assert_eq!(
        (
            accepted["certificate"].as_bool(),
            accepted["full"].as_bool()
        ),
        (Some(true), Some(false))
    );
}

#[test]
fn an_expired_peer_is_refused() {
    let ca = authority("CA");
    let bench = Bench::new(&ca, |_| {});
    let address = accept_tls(Bench::new(&ca, expired).context()).to_string();
    let found = bench.doctor(&["--peer", &address]);
    found.error("peer_tls", "the certificate has expired");
    assert_eq!(found.json["peers"][0]["reason"], "expired");
}

#[test]
fn a_listener_that_is_no_node_is_told_from_one_whose_tls_fails() {
    let ca = authority("CA");
    let bench = Bench::new(&ca, |_| {});
    let address = accept_tls(Bench::new(&ca, |_| {}).context()).to_string();
    let found = bench.doctor(&["--peer", &address, "--timeout", "1"]);
    found.is(1, "error");
    found.error(
        "peer_timeout",
        "the TLS handshake itself succeeded (TLSv1.3",
    );
}

#[test]
fn protocol_versions_without_overlap_are_told() {
    let ca = authority("CA");
    let bench = Bench::new(&ca, |_| {});
    let other = Bench::new(&ca, |_| {});
    other.append("xpack.security.transport.ssl.supported_protocols: TLSv1.2\n");
    let address = accept_tls(other.context()).to_string();
    let only = "xpack.security.transport.ssl.supported_protocols=TLSv1.3";
    let found = bench.doctor(&["-E", only, "--peer", &address]);
    found.is(1, "error");
    found.error("peer_tls", "protocol_version");
}

#[test]
fn plain_text_on_the_other_side_is_recognised() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let address = accept_plaintext().to_string();
    for layer in ["transport", "http"] {
        let found = bench.doctor(&["--peer", &address, "--layer", layer]);
        found.is(1, "error");
        let told = found.error("peer_tls", "the other side speaks plain text");
        let action = told["action"].as_str().unwrap();
        assert!(action.contains(&format!("[xpack.security.{layer}.ssl.enabled]")));
    }
    // While TLS is turned on node by node, the other may well have none.
    let beside = "xpack.security.transport.ssl.dual_stack.enabled=true";
    let found = bench.doctor(&["--peer", &address, "-E", beside]);
    found.is(0, "warning");
    let told = found.finding("peer")["message"].as_str().unwrap();
    assert!(told.contains("has no TLS yet"), "{told}");
}

#[test]
fn a_node_without_tls_is_recognised_from_both_sides() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let plain = Bench::new(&authority("CA"), |_| {});
    let node = plain.start(&OFF);
    let found = bench.doctor(&["--peer", &node.address]);
    found.error("peer_tls", "the other side speaks plain text");
    let found = bench.doctor(&[&OFF[..], &["--peer", &node.address]].concat());
    let told = found.finding("peer");
    assert_eq!(told["status"], "warning");
}

#[test]
fn a_closed_port_is_an_error_for_a_peer_and_a_warning_for_a_seed() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let found = bench.doctor(&["--peer", &address]);
    found.is(1, "error");
    found.error("peer_connect", "refused");
    let seed = format!("discovery.seed_hosts={address}");
    let found = bench.doctor(&["-E", &seed]);
    found.is(0, "warning");
    let found = bench.doctor(&["--peer", "no-such-host.invalid:9300"]);
    found.error("peer_resolve", "no-such-host.invalid");
}

#[test]
fn https_is_dialled_with_the_context_of_http() {
    let ca = authority("CA");
    let bench = Bench::new(&ca, |_| {});
    let other = Bench::new(&authority("Other CA"), |_| {});
    let context = other.context_of("xpack.security.http.ssl", "http/1.1");
    let found = bench.doctor(&["--peer", &format!("https://{}", accept_tls(context))]);
    found.is(1, "error");
    let peer = &found.json["peers"][0];
    assert_eq!(
        (peer["layer"].as_str(), peer["reason"].as_str()),
        (Some("http"), Some("untrusted_issuer"))
    );
}

#[test]
fn of_a_name_with_several_addresses_one_that_answers_is_enough() {
    let ca = authority("CA");
    let bench = Bench::new(&ca, |_| {});
    let named = Bench::new(&ca, |params| params.dns = vec!["localhost".to_owned()]);
    let node = named.start(&[]);
    let (_, port) = node.address.rsplit_once(':').unwrap();
    // Where the name has an IPv6 address as well, nobody listens there.
    let found = bench.doctor(&["--peer", &format!("localhost:{port}")]);
    found.is(0, "ok");
}

#[test]
fn the_http_port_named_as_a_transport_port_is_recognised() {
    let bench = Bench::new(&authority("CA"), |_| {});
    let http_ca = authority("HTTP CA");
    let other = Bench::new(&http_ca, |_| {});
    std::fs::write(bench.config("http_ca.crt"), http_ca.certificate_pem()).unwrap();
    let address = accept_tls(other.context()).to_string();
    let trust = "xpack.security.http.ssl.certificate_authorities=http_ca.crt,ca.crt";
    let found = bench.doctor(&["-E", trust, "--peer", &address]);
    let told = found.error("peer_tls", "is not configured to trust");
    let action = told["action"].as_str().unwrap();
    assert!(action.starts_with("check the port"), "{action}");
}

#[test]
fn a_running_node_tells_whom_it_refused_and_which_certificate_it_still_shows() {
    let ca = authority("CA");
    let bench = Bench::new(&ca, |_| {});
    // The test looks before the node does.
    bench.append("resource.reload.interval.high: 1h\n");
    let node = bench.start(&[]);
    let (_, port) = node.address.rsplit_once(':').unwrap();
    let port = format!("transport.port={port}");
    let report = bench.doctor(&["-E", &port]);
    let running = report.finding("running");
    assert_eq!(running["status"], "ok", "{running}");

    let stranger = Bench::new(&authority("Another CA"), |_| {});
    stranger.doctor(&["--peer", &node.address]);
    let next = Bench::new(&ca, |_| {});
    for file in ["node.key", "node.crt"] {
        std::fs::copy(next.config(file), bench.config(file)).unwrap();
    }
    let begun = std::time::Instant::now();
    let report = loop {
        // The log is written beside the node's work.
        let report = bench.doctor(&["-E", &port]);
        if !report.all("refused").is_empty() {
            break report;
        }
        assert!(begun.elapsed() < super::bench::WITHIN, "nothing in the log");
    };
    let running = report.finding("running");
    assert_eq!(running["status"], "warning", "{running}");
    let message = running["message"].as_str().unwrap();
    assert!(
        message.contains("still shows the certificate with serial number ["),
        "{message}"
    );
    let refused: Vec<&str> = report
        .all("refused")
        .iter()
        .map(|found| found["message"].as_str().unwrap())
        .collect();
    assert!(
        refused
            .iter()
            .any(|line| line.contains("not trust") || line.contains("Another CA")),
        "{refused:#?}"
    );
}
