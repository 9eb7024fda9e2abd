//! Transport profiles through the public API.

use std::path::Path;

use ringwall_base::{IpRule, SecretString};
use ringwall_settings::registry::{network, security, ssl};
use ringwall_settings::{Keystore, RawValue, Settings, SettingsError, check_dynamic};

fn load(plain: &[(&str, &str)], secure: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let mut keystore = Keystore::create(SecretString::default());
    for (key, value) in secure {
        keystore.set(key, &SecretString::from(*value)).unwrap();
    }
    Settings::from_overrides(Path::new("/etc/es"), plain, Some(&keystore))
}

fn refuse(plain: &[(&str, &str)], secure: &[(&str, &str)], part: &str) {
    let error = load(plain, secure).unwrap_err().to_string();
    assert!(error.contains(part), "{error}\nlacks {part}");
}

const PORT: (&str, &str) = ("transport.profiles.wan.port", "9500-9600");
const SSL: &str = "transport.profiles.wan.xpack.security.ssl";

#[test]
fn a_profile_has_values_of_its_own_and_only_those() {
    let certificate = format!("{SSL}.certificate");
    let password = format!("{SSL}.truststore.secure_password");
    let settings = load(
        &[
            PORT,
            ("transport.profiles.wan.bind_host", "10.0.0.5, 10.0.0.6"),
            ("transport.profiles.default.port", "9301"),
            ("transport.profiles.wan.tcp.no_delay", "true"),
            (&certificate, "wan.crt"),
            ("xpack.security.transport.ssl.key", "node.key"),
        ],
        &[(&password, "changeme")],
    )
    .unwrap();
    let names: Vec<String> = settings.profiles().into_iter().collect();
    assert_eq!(names, ["default", "wan"]);
    let port = |profile| settings.in_profile(profile, &network::TRANSPORT_PORT);
    assert_eq!(port("wan").unwrap().to_string(), "9500-9600");
    assert_eq!(port("default").unwrap().to_string(), "9301");
    assert_eq!(port("other"), None);
    let hosts = settings.in_profile("wan", &network::TRANSPORT_BIND_HOST);
    assert_eq!(hosts.unwrap(), ["10.0.0.5", "10.0.0.6"]);
    let ssl = &ssl::TRANSPORT_SSL;
    let certificate = settings.in_profile("wan", &ssl.certificate).flatten();
    assert_eq!(certificate.as_deref(), Some(Path::new("wan.crt")));
    assert_eq!(
        settings.in_profile("wan", &ssl.key),
        None,
        "inheriting is the reader's matter"
    );
    let secret = settings.secret_in_profile("wan", &ssl.truststore_secure_password);
    assert_eq!(secret, Some("changeme".into()));
    assert_eq!(
        settings.secret_in_profile("default", &ssl.truststore_secure_password),
        None
    );
    assert_eq!(
        settings.warnings()[0].key,
        "transport.profiles.wan.tcp.no_delay"
    );
    assert!(settings.visible().all(|(key, _)| !key.contains("password")));
}

#[test]
fn mistakes_in_a_profile_are_those_of_the_layer_with_its_keys() {
    let key = |rest: &str| format!("{SSL}.{rest}");
    let (secret, mode, plain) = (
        key("keystore.secure_password"),
        key("verification_mode"),
        key("key"),
    );
    refuse(
        &[PORT, (&secret, "x")],
        &[],
        &format!("Setting [{secret}] is a secure setting"),
    );
    refuse(
        &[PORT],
        &[(&plain, "x")],
        &format!("Setting [{plain}] is a non-secure setting"),
    );
    refuse(
        &[PORT, (&mode, "strict")],
        &[],
        "expected one of full, certificate, none",
    );
    refuse(
        &[PORT, ("transport.profiles.wan.prot", "1")],
        &[],
        "did you mean any of [transport.profiles.wan.port, ",
    );
    refuse(
        &[PORT, (&key("enabled"), "false")],
        &[],
        "[xpack.security.transport.ssl.enabled]",
    );
    let no_port = "the transport profile [wan] has no port: set [transport.profiles.wan.port]";
    refuse(&[(&plain, "x")], &[], no_port);
    refuse(&[], &[(&secret, "x")], no_port);
    refuse(
        &[("transport.profiles.wan.port", "0-70000")],
        &[],
        "expected a port",
    );
}

#[test]
fn rules_of_profiles_change_while_nodes_run() {
    let deny = "transport.profiles.wan.xpack.security.filter.deny";
    let all = RawValue::Text("_all".to_owned());
    assert_eq!(check_dynamic(deny, &all), Ok(()));
    let error = check_dynamic(deny, &RawValue::Text("10.0.0/8".to_owned())).unwrap_err();
    assert!(
        error.contains(deny) && error.contains("[10.0.0/8] is no rule"),
        "{error}"
    );
    let error = check_dynamic(
        "transport.profiles.wan.port",
        &RawValue::Text("1".to_owned()),
    );
    assert!(error.unwrap_err().contains("not dynamically updateable"));

    let settings = load(&[PORT], &[]).unwrap();
    let changed = settings.overlaid([(deny.to_owned(), all)]);
    let rules = changed.in_profile("wan", &security::TRANSPORT_FILTER_DENY);
    assert_eq!(rules, Some(vec![IpRule::All]));
}

#[test]
fn http_takes_its_rules_from_the_default_profile_before_the_layer() {
    let layer = ("xpack.security.transport.filter.deny", "10.0.0.1");
    let profile = (
        "transport.profiles.default.xpack.security.filter.deny",
        "_all",
    );
    let rules = |plain: &[(&str, &str)]| {
        let settings = load(plain, &[]).unwrap();
        settings.get(&security::HTTP_FILTER_DENY)
    };
    assert_eq!(rules(&[layer]).len(), 1);
    assert_eq!(rules(&[layer, profile]), [IpRule::All]);
    let own = ("xpack.security.http.filter.deny", "10.0.0.2, 10.0.0.3");
    assert_eq!(rules(&[layer, profile, own]).len(), 2);
}
