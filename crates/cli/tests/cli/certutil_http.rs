//! `certutil http`: the dialogue, through a pipe and out of a file, and what comes of it.

use std::time::Duration;

use ringwall_base::SecretString;
use ringwall_settings::{Keystore, Settings};
use ringwall_tls::{SslConfig, SslContext};

use crate::bench::{Bench, lines, read};
use crate::certutil_http_ca::ONE_NODE;
use crate::judges::judge;

/// Answers for: no CSR, a new CA as proposed, without a password, for five years.
const NEW_CA: &[&str] = &["n", "n", "n", "", "5y"];

#[test]
fn a_new_ca_and_one_certificate_come_in_the_layout_of_elasticsearch() {
    let bench = Bench::new();
    let names = [
        "n",
        "*.example.com",
        "es.example.com",
        "localhost",
        "",
        "y",
        "127.0.0.1",
        "::1",
        "",
        "",
    ];
    let password = ["n", "secret", "secret"];
    let (entries, dir) = bench.http(&[NEW_CA, &names, &password].concat(), "http.zip");
    assert_eq!(
        entries,
        [
            "elasticsearch/",
            "elasticsearch/README.txt",
            "elasticsearch/http.p12",
            "elasticsearch/sample-elasticsearch.yml",
            "ca/",
            "ca/README.txt",
            "ca/ca.p12",
            "kibana/",
            "kibana/README.txt",
            "kibana/elasticsearch-ca.pem",
            "kibana/sample-kibana.yml",
        ]
    );
    let texts: String = [
        "elasticsearch/README.txt",
        "ca/README.txt",
        "kibana/README.txt",
    ]
    .map(|name| read(dir.join(name)))
    .concat();
    assert!(
        texts.contains(
            "elasticsearch-keystore add xpack.security.http.ssl.keystore.secure_password"
        )
    );
    assert!(!texts.contains("secret\n") && !texts.contains("{name}"));

    let Some(_) = judge(
        &dir,
        &[
            "openssl",
            "pkcs12",
            "-in",
            "elasticsearch/http.p12",
            "-passin",
            "pass:secret",
            "-clcerts",
            "-nokeys",
            "-out",
            "http.crt",
        ],
    ) else {
        return;
    };
    let verify = [
        "openssl",
        "verify",
        "-CAfile",
        "kibana/elasticsearch-ca.pem",
        "-purpose",
        "sslserver",
        "-verify_hostname",
        "any.example.com",
        "http.crt",
    ];
    judge(&dir, &verify).unwrap();
    let said = judge(
        &dir,
        &["openssl", "x509", "-in", "http.crt", "-noout", "-text"],
    )
    .unwrap();
    for part in [
        "Issuer: CN = Elasticsearch HTTP CA",
        "DC = com, DC = example, CN = es",
        "DNS:*.example.com, DNS:es.example.com, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
        "Digital Signature, Key Encipherment",
        "TLS Web Server Authentication",
    ] {
        assert!(said.contains(part), "[{part}] is not in {said}");
    }
    let listed = [
        "keytool",
        "-list",
        "-keystore",
        "elasticsearch/http.p12",
        "-storepass",
        "secret",
    ];
    if let Some(said) = judge(&dir, &listed) {
        assert!(
            said.contains("http, ") && said.contains("PrivateKeyEntry"),
            "{said}"
        );
        assert!(
            said.contains("ca, ") && said.contains("trustedCertEntry"),
            "{said}"
        );
    }
    // Five years of the calendar, to the day.
    let dates = judge(
        &dir,
        &["openssl", "x509", "-in", "http.crt", "-noout", "-dates"],
    )
    .unwrap();
    let part = |start: &str| {
        let line = dates
            .lines()
            .find_map(|line| line.strip_prefix(start))
            .unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        (
            words[0].to_owned(),
            words[1].to_owned(),
            words[3].parse::<u32>().unwrap(),
        )
    };
    let (begin, end) = (part("notBefore="), part("notAfter="));
    // 29 February has no counterpart.
    if begin.1 != "29" {
        assert_eq!((begin.0, begin.1, begin.2 + 5), end);
    }
}

#[tokio::test]
async fn a_node_with_the_sample_settings_serves_clients_that_trust_the_ca() {
    let bench = Bench::new();
    let answers = ["n", "localhost", "", "y", "", "y", "n", "secret", "secret"];
    let (_, dir) = bench.http(&[NEW_CA, &answers].concat(), "http.zip");
    let config = bench.home.path().join("config");
    std::fs::copy(dir.join("elasticsearch/http.p12"), config.join("http.p12")).unwrap();
    let sample = read(dir.join("elasticsearch/sample-elasticsearch.yml"));
    std::fs::write(config.join("elasticsearch.yml"), &sample).unwrap();
    bench.home.keystore(&["create"], "").quiet();
    let setting = "xpack.security.http.ssl.keystore.secure_password";
    assert!(sample.contains(&format!("elasticsearch-keystore add \"{setting}\"")));
    bench
        .home
        .keystore(&["add", "--stdin", setting], "secret\n")
        .quiet();
    let keystore = Keystore::load(&bench.home.keystore_file(), &SecretString::default()).unwrap();
    let settings = Settings::load(&config, &[], Some(&keystore)).unwrap();
    let ssl = SslConfig::from_settings(&settings, "xpack.security.http.ssl");
    let server = SslContext::load(ssl.unwrap().unwrap(), &[]).unwrap();

    // A client that trusts what Kibana is to trust, and verifies the name.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = async {
        let (tcp, peer) = listener.accept().await.unwrap();
        let served = server.accept(tcp, peer, Duration::from_secs(120)).await;
        served.map_err(|failure| failure.to_string())
    };
    let asking = tokio::task::spawn_blocking(move || {
        let client = [
            "openssl",
            "s_client",
            "-connect",
            &address,
            "-CAfile",
            "kibana/elasticsearch-ca.pem",
        ];
        let strict = ["-verify_return_error", "-verify_hostname", "localhost"];
        judge(&dir, &[&client[..], &strict].concat())
    });
    let served = async {
        // The client leaves first.
        let _connection = serving.await.unwrap();
        std::future::pending::<()>().await;
    };
    let said = tokio::select! {
        said = asking => said.unwrap(),
        () = served => unreachable!("the connection is held until the client is done"),
    };
    assert!(said.is_none_or(|said| said.contains("Verification: OK")));
}

#[test]
fn requests_for_several_nodes_are_what_another_ca_can_sign() {
    let bench = Bench::new();
    let first = [
        "y",
        "y",
        "n1",
        "n1.example",
        "",
        "y",
        "192.0.2.1",
        "",
        "y",
        "n",
    ];
    // Other options: a name of the key, a subject, a size, a usage.
    let second = [
        "y",
        "n2",
        "n2.example",
        "",
        "y",
        "",
        "y",
        "y",
        "web",
        "CN=web,O=Ours",
        "3072",
        "digitalSignature",
        "n",
    ];
    let answers = [&first[..], &second, &["n", "key pass", "key pass"]].concat();
    let (entries, dir) = bench.http(&answers, "requests.zip");
    assert_eq!(
        entries,
        [
            "elasticsearch/",
            "elasticsearch/n1/",
            "elasticsearch/n1/README.txt",
            "elasticsearch/n1/http-n1.csr",
            "elasticsearch/n1/http-n1.key",
            "elasticsearch/n1/sample-elasticsearch.yml",
            "elasticsearch/n2/",
            "elasticsearch/n2/README.txt",
            "elasticsearch/n2/http-web.csr",
            "elasticsearch/n2/http-web.key",
            "elasticsearch/n2/sample-elasticsearch.yml",
            "kibana/",
            "kibana/README.txt",
            "kibana/sample-kibana.yml",
        ]
    );
    let (readme, sample) = (
        read(dir.join("elasticsearch/n2/README.txt")),
        read(dir.join("elasticsearch/n2/sample-elasticsearch.yml")),
    );
    assert!(
        readme.contains("Send http-web.csr to your certificate authority"),
        "{readme}"
    );
    assert!(
        sample.contains("ssl.certificate: \"http-web.crt\"")
            && sample.contains("secure_key_passphrase"),
        "{sample}"
    );
    let node = dir.join("elasticsearch/n2");
    let Some(said) = judge(
        &node,
        &[
            "openssl",
            "req",
            "-in",
            "http-web.csr",
            "-verify",
            "-noout",
            "-text",
        ],
    ) else {
        return;
    };
    for part in [
        "O = Ours, CN = web",
        "(3072 bit)",
        "DNS:n2.example",
        "TLS Web Server Authentication",
        "Digital Signature\n",
    ] {
        assert!(said.contains(part), "[{part}] is not in {said}");
    }
    let key = [
        "openssl",
        "pkey",
        "-in",
        "http-web.key",
        "-passin",
        "pass:key pass",
        "-noout",
        "-check",
    ];
    judge(&node, &key).unwrap();
}

#[test]
fn a_file_of_answers_serves_as_the_help_says() {
    let bench = Bench::new();
    let answers = [
        NEW_CA,
        &["n", "localhost", "", "y", "", "y", "n", "", "http.zip"],
    ]
    .concat();
    let help = bench.certutil(&["http", "--help"], "").quiet();
    let words = answers
        .iter()
        .map(|answer| if answer.is_empty() { "''" } else { answer });
    let words = words.collect::<Vec<_>>().join(" ");
    assert!(
        help.contains(&format!("printf '%s\\n' {words} > http-answers.txt")),
        "{words}: {help}"
    );
    let file = bench.path("http-answers.txt");
    std::fs::write(&file, lines(&answers)).unwrap();
    let done = bench.certutil(&["http", "-s", "--answers", "http-answers.txt"], "");
    assert_eq!(done.status, 0, "{done:?}");
    assert!(
        done.stderr
            .contains("Generate a certificate per node? [y/N] n\n"),
        "{done:?}"
    );
    assert!(
        done.stdout.contains("\n## CA password\n") && !done.stdout.contains("Whoever"),
        "{done:?}"
    );
    assert!(bench.path("http.zip").is_file());

    // What does not fit the questions is told, and nothing is written.
    for (answers, message) in [
        (
            lines(&answers[..3]),
            "[http-answers.txt] has no answer to the question [CA password:  [<ENTER> for none]]",
        ),
        (
            lines(&[&answers[..13], &["b.zip", "more", ""]].concat()),
            "[http-answers.txt] has 1 more answers",
        ),
    ] {
        std::fs::write(&file, answers).unwrap();
        let done = bench.certutil(&["http", "--answers", "http-answers.txt"], "");
        assert_eq!(done.status, 65, "{done:?}");
        assert!(done.stderr.contains(message), "{done:?}");
        assert!(!bench.path("b.zip").exists());
    }
    let missing = bench.certutil(&["http", "--answers", "nowhere.txt"], "");
    assert!(
        missing.status == 74 && missing.stderr.contains("nowhere.txt"),
        "{missing:?}"
    );
}

#[test]
fn answers_that_make_no_sense_are_asked_for_again() {
    let bench = Bench::new();
    let ca = [
        "n", "n", "y", "Ours", "1h", "30d", "n", "2y", "1024", "3072", "cRLSign", "", "n", "",
        "59d", "y",
    ];
    let node = [
        "n",
        "ö",
        "a.example",
        "",
        "n",
        "localhost",
        "",
        "",
        "x",
        "",
        "",
        "n",
    ];
    let (_, dir) = bench.http(&[&ca[..], &node, &["a", "b", ""]].concat(), "http.zip");
    let pem = judge(
        &dir,
        &[
            "openssl",
            "x509",
            "-in",
            "kibana/elasticsearch-ca.pem",
            "-noout",
            "-text",
        ],
    );
    assert!(pem.is_none_or(|said| said.contains("CN = Ours") && said.contains("(3072 bit)")));
    // The end of input is no answer, and what exists is not overwritten.
    assert_eq!(bench.certutil(&["http"], "n\n").status, 1);
    let done = bench.certutil(
        &["http"],
        &lines(&[NEW_CA, &ONE_NODE[1..], &["http.zip"]].concat()),
    );
    assert_eq!(done.status, 74, "{done:?}");
}
