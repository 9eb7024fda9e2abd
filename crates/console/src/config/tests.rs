use std::collections::BTreeSet;

use ringwall_settings::console::registry;

use super::*;

/// Keys and their values.
type Given = &'static [(&'static str, &'static str)];

/// What a setting needs beside it to be accepted.
const HTTPS: Given = &[
    ("server.ssl.enabled", "true"),
    ("server.ssl.certificate", "a.crt"),
    ("server.ssl.key", "a.key"),
    ("elasticsearch.hosts", "https://es01:9200"),
    ("elasticsearch.ssl.certificateAuthorities", "ca.pem"),
    ("elasticsearch.ssl.certificate", "b.crt"),
    ("elasticsearch.ssl.key", "b.key"),
];
const STORES: Given = &[
    ("server.ssl.enabled", "true"),
    ("server.ssl.keystore.path", "a.p12"),
    ("server.ssl.truststore.path", "t.p12"),
    ("elasticsearch.hosts", "https://es01:9200"),
    ("elasticsearch.ssl.keystore.path", "b.p12"),
    ("elasticsearch.ssl.truststore.path", "u.p12"),
];
const PLAIN: Given = &[];
const NAMED: Given = &[
    ("elasticsearch.username", "a"),
    ("elasticsearch.password", "b"),
];
const BELOW: Given = &[("server.basePath", "/a")];

/// Each setting with a value other than the default and than that of what stands beside it.
const CASES: &[(&str, &str, Given)] = &[
    ("server.host", "0.0.0.0", PLAIN),
    ("server.port", "0", PLAIN),
    ("server.basePath", "/kibana", PLAIN),
    ("server.rewriteBasePath", "true", BELOW),
    ("server.publicBaseUrl", "https://console.example", PLAIN),
    ("server.maxPayload", "1kb", PLAIN),
    ("server.socketTimeout", "7s", PLAIN),
    ("server.maxConnections", "3", PLAIN),
    ("server.ssl.enabled", "false", &[]),
    ("server.ssl.certificate", "other.crt", HTTPS),
    ("server.ssl.key", "other.key", HTTPS),
    ("server.ssl.keyPassphrase", "secret", HTTPS),
    ("server.ssl.keystore.path", "other.p12", STORES),
    ("server.ssl.keystore.password", "secret", STORES),
    ("server.ssl.certificateAuthorities", "clients.pem", HTTPS),
    ("server.ssl.truststore.path", "other.p12", STORES),
    ("server.ssl.truststore.password", "secret", STORES),
    ("server.ssl.clientAuthentication", "required", HTTPS),
    ("server.ssl.supportedProtocols", "TLSv1.3", HTTPS),
    ("server.ssl.cipherSuites", "TLS_AES_256_GCM_SHA384", HTTPS),
    ("elasticsearch.hosts", "http://es02:9200", PLAIN),
    ("elasticsearch.username", "kibana_system", NAMED),
    ("elasticsearch.password", "other", NAMED),
    ("elasticsearch.serviceAccountToken", "AAEAA", PLAIN),
    ("elasticsearch.requestTimeout", "7000", PLAIN),
    ("elasticsearch.maxSockets", "3", PLAIN),
    ("elasticsearch.maxResponseSize", "1kb", PLAIN),
    ("elasticsearch.ssl.verificationMode", "certificate", HTTPS),
    (
        "elasticsearch.ssl.certificateAuthorities",
        "other.pem",
        HTTPS,
    ),
    ("elasticsearch.ssl.truststore.path", "other.p12", STORES),
    ("elasticsearch.ssl.truststore.password", "secret", STORES),
    ("elasticsearch.ssl.certificate", "other.crt", HTTPS),
    ("elasticsearch.ssl.key", "other.key", HTTPS),
    ("elasticsearch.ssl.keyPassphrase", "secret", HTTPS),
    ("elasticsearch.ssl.keystore.path", "other.p12", STORES),
    ("elasticsearch.ssl.keystore.password", "secret", STORES),
    ("xpack.security.session.idleTimeout", "7s", PLAIN),
    ("xpack.security.session.lifespan", "7s", PLAIN),
    ("xpack.security.session.maxSessions", "3", PLAIN),
    ("xpack.security.login.freeFailures", "3", PLAIN),
    ("xpack.security.login.maxWait", "7s", PLAIN),
];

/// Everything of a configuration, secrets included.
fn shown(given: &[(&str, &str)]) -> String {
    let settings = ConsoleSettings::from_overrides("/conf".as_ref(), given).unwrap();
    let config = Config::from_settings(&settings);
    let secrets = [&config.server.tls, &config.cluster.tls]
        .into_iter()
        .flatten()
        .map(|tls| {
            let key = match &tls.key {
                KeySource::Pem { passphrase, .. } => passphrase.clone().unwrap_or_default(),
                KeySource::Keystore { password, .. } => password.clone(),
                KeySource::None => SecretString::default(),
            };
            let trust = match &tls.trust {
                TrustSource::Truststore { password, .. } => password.clone(),
                _ => SecretString::default(),
            };
            format!("{} {}", key.expose(), trust.expose())
        });
    let account = config.cluster.account.as_ref();
    let account = account.map(|(name, header)| format!("{name} {}", header.expose()));
    format!("{config:?} {} {account:?}", secrets.collect::<String>())
}

#[test]
fn every_setting_that_is_accepted_is_in_force() {
    let mut untried: BTreeSet<&str> = registry::all().map(|spec| spec.info().key).collect();
    for (key, value, beside) in CASES {
        let beside = match *key {
            "server.ssl.enabled" => HTTPS,
            _ => beside,
        };
        let mut given: Vec<(&str, &str)> = beside.to_vec();
        let without = shown(&given);
        // What says that TLS is on has no use for the rest when it is off.
        given.retain(|(other, _)| {
            other != key && !(*key == "server.ssl.enabled" && other.starts_with("server.ssl."))
        });
        given.push((key, value));
        assert_ne!(shown(&given), without, "[{key}: {value}] changes nothing");
        untried.remove(key);
    }
    assert!(untried.is_empty(), "nobody tries {untried:?}");
}

#[test]
fn files_start_at_the_configuration_directory() {
    let settings = ConsoleSettings::from_overrides("/conf".as_ref(), HTTPS).unwrap();
    let config = Config::from_settings(&settings);
    let tls = config.cluster.tls.unwrap();
    let TrustSource::Pem(files) = tls.trust else {
        panic!("{tls:?}")
    };
    assert_eq!(files[0].resolved, std::path::Path::new("/conf/ca.pem"));
    assert_eq!(tls.name, "elasticsearch.ssl");
}
