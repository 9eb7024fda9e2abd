//! Loading of elasticsearch.yml, overrides and keystore through the public API.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ringwall_base::{ByteSizeValue, SecretString, TimeValue};
use ringwall_settings::registry::{cluster, indices, network, node, realms, security, ssl};
use ringwall_settings::{
    ClientAuthentication, DiscoveryType, Keystore, NodeRole, Problem, Settings, SettingsError,
    Source, VerificationMode,
};

fn load_with(
    yml: &str,
    overrides: &[(&str, &str)],
    keystore: Option<&Keystore>,
) -> Result<Settings, SettingsError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("elasticsearch.yml"), yml).unwrap();
    let overrides: Vec<(String, String)> = overrides
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect();
    Settings::load(dir.path(), &overrides, keystore)
}

fn load(yml: &str) -> Settings {
    load_with(yml, &[], None).unwrap_or_else(|error| panic!("{yml}\n{error}"))
}

/// Checks that loading fails and that the message holds each text.
fn refuse(yml: &str, texts: &[&str]) {
    let error = load_with(yml, &[], None).expect_err(yml).to_string();
    for text in texts {
        assert!(error.contains(text), "{yml}\n{error}\nlacks {text}");
    }
}

#[test]
fn a_lenient_load_keeps_what_is_good_and_tells_every_mistake() {
    let yml = "cluster.name: a:b\nnode.name: n1\nhttp.port: none\nnonsense: 1\nnode.attr.x: null\n";
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("elasticsearch.yml"), yml).unwrap();
    let (settings, problems) = Settings::load_leniently(dir.path(), &[], None);
    assert_eq!(settings.get(&node::NODE_NAME), "n1");
    // What is wrong counts as not given.
    assert_eq!(settings.get(&network::HTTP_PORT).to_string(), "9200-9300");
    let keys: Vec<_> = problems.iter().map(|problem| problem.key()).collect();
    assert_eq!(keys.len(), 4, "{problems:#?}");
    for key in [
        Some("http.port"),
        Some("nonsense"),
        Some("node.attr.x"),
        None,
    ] {
        assert!(keys.contains(&key), "{key:?} {problems:#?}");
    }
    let (_, none) = Settings::load_leniently(&dir.path().join("missing"), &[], None);
    assert!(
        matches!(none[..], [Problem::Unreadable { .. }]),
        "{none:#?}"
    );
}

#[test]
fn an_empty_file_gives_the_defaults() {
    for yml in ["", "# nothing\n", "---\n"] {
        let settings = load(yml);
        assert_eq!(settings.get(&node::CLUSTER_NAME), "elasticsearch");
        assert!(!settings.get(&node::NODE_NAME).is_empty());
        assert_eq!(settings.get(&network::HTTP_PORT).to_string(), "9200-9300");
        assert!(settings.get(&security::SECURITY_ENABLED));
        assert!(!settings.get(&node::NODE_ROLES).has(NodeRole::VotingOnly));
        assert!(settings.get(&node::NODE_ROLES).holds_data());
        assert_eq!(
            settings.get(&ssl::TRANSPORT_SSL.client_authentication),
            ClientAuthentication::Required
        );
        assert_eq!(
            settings.get(&ssl::HTTP_SSL.client_authentication),
            ClientAuthentication::None
        );
        assert!(!settings.is_set("cluster.name"));
    }
}

#[test]
fn nested_and_dotted_keys_mean_the_same() {
    let forms = [
        "xpack.security.http.ssl.keystore.path: a.p12\nhttp.port: 9201",
        "xpack:\n  security.http:\n    ssl:\n      keystore.path: a.p12\nhttp:\n  port: 9201",
        "xpack.security.http.ssl:\n  keystore.path: \"a.p12\"\n\"http.port\": '9201'",
        "{xpack: {security: {http: {ssl: {keystore: {path: a.p12}}}}}, http: {port: 9201}}",
    ];
    for yml in forms {
        let settings = load(yml);
        let path = settings.get(&ssl::HTTP_SSL.keystore_path).unwrap();
        assert_eq!(
            settings.config_path(&path),
            settings.config_dir().join("a.p12")
        );
        assert_eq!(settings.get(&network::HTTP_PORT).first, 9201);
    }
}

#[test]
fn lists_have_three_forms() {
    for yml in [
        "discovery.seed_hosts: [a, \"b:9300\"]",
        "discovery.seed_hosts:\n  - a\n  - b:9300",
        "discovery.seed_hosts: a, b:9300",
        "discovery.seed_hosts.0: a\ndiscovery.seed_hosts.1: b:9300",
        "discovery:\n  seed_hosts:\n    1: b:9300\n    0: a",
    ] {
        let hosts = load(yml).get(&cluster::DISCOVERY_SEED_HOSTS);
        assert_eq!(hosts, ["a", "b:9300"], "{yml}");
    }
    let empty = load("discovery.seed_hosts: []");
    assert!(empty.is_set("discovery.seed_hosts"));
    assert!(empty.get(&cluster::DISCOVERY_SEED_HOSTS).is_empty());
    refuse(
        "discovery.seed_hosts: a\ndiscovery.seed_hosts.0: b",
        &["duplicate settings key [discovery.seed_hosts]"],
    );
    refuse(
        "discovery.seed_hosts.0: a\ndiscovery.seed_hosts.2: b",
        &["the list has no [discovery.seed_hosts.1]"],
    );
}

#[test]
fn fallbacks_give_the_value_of_the_first_that_is_set() {
    let settings = load("network.host: 10.0.0.1\nhttp.host: 0.0.0.0");
    assert_eq!(settings.get(&network::HTTP_BIND_HOST), ["0.0.0.0"]);
    assert_eq!(settings.get(&network::TRANSPORT_BIND_HOST), ["10.0.0.1"]);
    assert_eq!(load("").get(&network::TRANSPORT_BIND_HOST), ["_local_"]);
}

#[test]
fn overrides_win_over_the_file() {
    let yml = "http.port: 9201\ndiscovery.seed_hosts: [a, b]\nnode.name: file";
    let overrides = [("http.port", "9555"), ("discovery.seed_hosts", "c,d")];
    let settings = load_with(yml, &overrides, None).unwrap();
    assert_eq!(settings.get(&network::HTTP_PORT).first, 9555);
    assert_eq!(settings.get(&cluster::DISCOVERY_SEED_HOSTS), ["c", "d"]);
    assert_eq!(settings.source_of("http.port"), Some(Source::CommandLine));
    assert_eq!(settings.get(&node::NODE_NAME), "file");
    let twice = [("http.port", "1"), ("http.port", "2")];
    assert!(load_with("", &twice, None).is_err());
    assert!(load_with("", &[("http.port", "")], None).is_err());
}

#[test]
fn placeholders_come_from_settings_environment_and_defaults() {
    let home = std::env::var("PATH").unwrap();
    let settings = load(
        "cluster.name: prod\nnode.name: ${cluster.name}-${RINGWALL_TEST_UNSET:${cluster.name}x}\n\
         node.attr.path: ${PATH}\nnode.attr.host: ${HOSTNAME}\n\
         discovery.seed_hosts: [\"${RINGWALL_TEST_UNSET:a}\", b]\ncluster.initial_master_nodes: ${RINGWALL_TEST_UNSET:a,b}",
    );
    assert_eq!(settings.get(&node::NODE_NAME), "prod-prodx");
    let attributes = settings.family(&node::NODE_ATTRIBUTES);
    assert_eq!(attributes["path"], home);
    assert!(!attributes["host"].is_empty());
    assert_eq!(settings.get(&cluster::DISCOVERY_SEED_HOSTS), ["a", "b"]);
    assert_eq!(settings.get(&cluster::INITIAL_MASTER_NODES), ["a", "b"]);
    refuse(
        "node.name: ${RINGWALL_TEST_UNSET}",
        &[
            ":1: setting [node.name]",
            "Could not resolve placeholder 'RINGWALL_TEST_UNSET'",
        ],
    );
    refuse("node.name: ${open", &["has no closing brace"]);
    refuse(
        "node.name: ${cluster.name}\ncluster.name: ${node.name}",
        &["Circular placeholder reference"],
    );
}

#[test]
fn every_problem_is_reported_at_once_with_its_line() {
    let yml = "cluster.nam: x\nhttp.port: abc\nxpack.security.enabled: yes\n\
               node.name: ~\nbootstrap.password: hunter2\ndiscovery.find_peers_interval: 5\n\
               http.port: 9200\nindex.number_of_shards: 3\nxpack.security.fips_mode.enabled: true\n";
    let error = load_with(yml, &[], None).unwrap_err();
    assert_eq!(error.problems.len(), 9, "{error}");
    let text = error.to_string();
    for expected in [
        "elasticsearch.yml:1: unknown setting [cluster.nam] did you mean [cluster.name]?",
        "elasticsearch.yml:2: failed to parse setting [http.port] with value [abc]: expected a port",
        "elasticsearch.yml:3: failed to parse setting [xpack.security.enabled] with value [yes]: \
         Failed to parse value [yes] as only [true] or [false] are allowed.",
        "elasticsearch.yml:4: null-valued setting found for key [node.name]",
        "elasticsearch.yml:5: Setting [bootstrap.password] is a secure setting and must be stored \
         inside the Elasticsearch keystore, but was found inside elasticsearch.yml",
        "elasticsearch.yml:6: failed to parse setting [discovery.find_peers_interval] with value [5] \
         as a time value: unit is missing or unrecognized",
        "duplicate settings key [http.port]",
        "elasticsearch.yml:7] with value [9200]",
        "elasticsearch.yml:8: setting [index.number_of_shards] is a setting of an index",
        "elasticsearch.yml:9: setting [xpack.security.fips_mode.enabled] is not supported",
    ] {
        assert!(text.contains(expected), "{text}\nlacks: {expected}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn values_reach_their_parsers_as_written() {
    assert_eq!(load("node.name: 0123").get(&node::NODE_NAME), "0123");
    assert_eq!(load("node.name: yes").get(&node::NODE_NAME), "yes");
    assert_eq!(load("node.name: 1_000").get(&node::NODE_NAME), "1_000");
    assert_eq!(
        load("node.name: 2024-01-02").get(&node::NODE_NAME),
        "2024-01-02"
    );
    assert_eq!(load("node.name: '~'").get(&node::NODE_NAME), "~");
    refuse("node.name: null", &[":1: null-valued setting"]);
    refuse("a:\n  b\n c: 1", &["elasticsearch.yml:"]);
    refuse("- a\n- b", &["expected `key: value` lines"]);
}

#[test]
fn typed_values() {
    let settings = load(
        "discovery.type: single-node\nhttp.max_content_length: 1mb\nresource.reload.interval.high: 100ms\n\
         xpack.security.http.ssl.verification_mode: Certificate\nnode.roles: [master, data]\n\
         xpack.security.authc.realms.native.native1.order: 3\n\
         xpack.security.http.ssl.key_passphrase: hunter2",
    );
    assert_eq!(
        settings.get(&cluster::DISCOVERY_TYPE),
        DiscoveryType::SingleNode
    );
    assert_eq!(
        settings.get(&network::HTTP_MAX_CONTENT_LENGTH),
        ByteSizeValue::from_mb(1)
    );
    assert_eq!(
        settings.get(&security::RELOAD_INTERVAL_HIGH),
        TimeValue::from_millis(100)
    );
    assert_eq!(
        settings.get(&ssl::HTTP_SSL.verification_mode),
        VerificationMode::Certificate
    );
    let orders = settings.family(&realms::NATIVE_REALM.order);
    assert_eq!(orders, BTreeMap::from([("native1".to_owned(), 3)]));
    assert_eq!(
        settings.get_named(&realms::NATIVE_REALM.cache_ttl, "native1"),
        TimeValue::from_secs(1200)
    );
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert!(
        settings
            .visible()
            .all(|(key, _)| !key.contains("passphrase"))
    );
    assert_eq!(
        settings.keys_with_prefix("xpack.security.http.ssl."),
        [
            "xpack.security.http.ssl.key_passphrase",
            "xpack.security.http.ssl.verification_mode"
        ]
    );
}

#[test]
fn rules_between_settings() {
    refuse(
        "discovery.type: single-node\ncluster.initial_master_nodes: a",
        &[
            "elasticsearch.yml:2: setting [cluster.initial_master_nodes] is not allowed when [discovery.type] is set to [single-node]",
        ],
    );
    refuse(
        "cluster.initial_master_nodes: [a, a]",
        &["[a] is there twice"],
    );
    refuse("cluster.name: 'a:b'", &["without a colon"]);
    refuse(
        "node.roles: [voting_only]",
        &["voting-only node must be master-eligible"],
    );
    refuse("node.roles: [client]", &["unknown role [client]"]);
    refuse(
        "xpack.security.authc.password_hashing.algorithm: md5",
        &["expected bcrypt"],
    );
    refuse(
        "http.max_content_length: 500mb",
        &["[transport.max_message_size]"],
    );
}

#[test]
fn harmless_strangers_are_warned_of() {
    let settings = load("bootstrap.ctrlhandler: true\nxpack.ml.enabled: false\narchived.x: 1");
    let keys: Vec<&str> = settings
        .warnings()
        .iter()
        .map(|warning| warning.key.as_str())
        .collect();
    assert_eq!(
        keys,
        ["archived.x", "bootstrap.ctrlhandler", "xpack.ml.enabled"]
    );
    assert!(
        settings.warnings()[1]
            .to_string()
            .contains("elasticsearch.yml:1")
    );
    assert!(!settings.is_set("xpack.ml.enabled"));
}

#[test]
fn secure_settings_come_from_the_keystore_only() {
    let mut keystore = Keystore::create(SecretString::default());
    keystore
        .set("bootstrap.password", &"hunter2".into())
        .unwrap();
    keystore
        .set(
            "xpack.security.transport.ssl.keystore.secure_password",
            &"".into(),
        )
        .unwrap();
    let settings = load_with("", &[], Some(&keystore)).unwrap();
    assert_eq!(
        settings.secret(&security::BOOTSTRAP_PASSWORD),
        Some("hunter2".into())
    );
    let empty = &ssl::TRANSPORT_SSL.keystore_secure_password;
    assert_eq!(settings.secret(empty), None);
    assert!(settings.is_set(empty.key()));
    assert_eq!(
        settings.source_of("bootstrap.password"),
        Some(Source::Keystore)
    );
    assert!(settings.secret(&node::KEYSTORE_SEED).is_some());

    keystore.set("http.port", &"9200".into()).unwrap();
    keystore.set("bootstrap.pasword", &"x".into()).unwrap();
    let error = load_with("", &[], Some(&keystore)).unwrap_err();
    assert!(matches!(error.problems[0], Problem::UnknownSecure { .. }));
    assert!(matches!(error.problems[1], Problem::PlainInKeystore { .. }));
    let text = error.to_string();
    assert!(
        text.contains("did you mean [bootstrap.password]?"),
        "{text}"
    );
    assert!(
        text.contains("[http.port] is a non-secure setting"),
        "{text}"
    );
}

#[test]
fn a_missing_file_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let error = Settings::load(dir.path(), &[], None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("elasticsearch.yml"), "{error}");
    assert!(error.contains("ES_PATH_CONF"), "{error}");
}

/// A tree of attributes, written nested in one of two ways, must flatten to the same settings.
#[derive(Debug, Clone)]
enum Tree {
    Leaf(String),
    Branch(BTreeMap<String, Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = "[a-z0-9 _:~#'\"\\\\{}$-]{1,10}".prop_map(Tree::Leaf);
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop::collection::btree_map("[a-z]{1,4}", inner, 1..4).prop_map(Tree::Branch)
    })
}

impl Tree {
    fn leaves(&self, prefix: &str, into: &mut BTreeMap<String, String>) {
        match self {
            Self::Leaf(text) => {
                into.insert(prefix.to_owned(), text.clone());
            }
            Self::Branch(children) => {
                for (key, child) in children {
                    child.leaves(&format!("{prefix}.{key}"), into);
                }
            }
        }
    }

    fn nested(&self, indent: usize, into: &mut String) {
        match self {
            Self::Leaf(text) => *into += &format!(" {}\n", quoted(text)),
            Self::Branch(children) => {
                into.push('\n');
                for (key, child) in children {
                    *into += &format!("{:indent$}{key}:", "");
                    child.nested(indent + 2, into);
                }
            }
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

proptest! {
    #[test]
    fn nested_and_flat_files_are_equal(tree in prop::collection::btree_map("[b-z]{1,5}", tree(), 1..4)) {
        let tree = Tree::Branch(tree);
        let mut leaves = BTreeMap::new();
        tree.leaves("node.attr", &mut leaves);
        prop_assume!(leaves.values().all(|text| !text.contains("${")));
        let flat: String = leaves
            .iter()
            .map(|(key, text)| format!("{key}: {}\n", quoted(text)))
            .collect();
        let mut nested = String::from("node:\n  attr:");
        tree.nested(4, &mut nested);
        let expected: BTreeMap<String, String> = leaves
            .into_iter()
            .map(|(key, text)| (key.trim_start_matches("node.attr.").to_owned(), text))
            .collect();
        for yml in [flat, nested] {
            let settings = load_with(&yml, &[], None).expect(&yml);
            prop_assert_eq!(&settings.family(&node::NODE_ATTRIBUTES), &expected);
        }
    }

    #[test]
    fn arbitrary_files_never_panic(yml in "[a-z.:\\[\\]{}$#\n '\"0-9,-]{0,120}") {
        let _ = load_with(&yml, &[], None);
    }
}

#[test]
fn secrets_that_elasticsearch_keeps_in_the_keystore_are_refused_in_the_file() {
    for key in [
        "s3.client.default.secret_key",
        "s3.client.default.access_key",
        "azure.client.default.sas_token",
        "reindex.ssl.secure_key_passphrase",
        "xpack.notification.email.account.work.smtp.secure_password",
        "xpack.http.ssl.keystore.secure_password",
    ] {
        let expected = format!("Setting [{key}] is a secure setting and must be stored inside");
        refuse(
            &format!("{key}: s3cr3t"),
            &[&expected, "elasticsearch.yml:1"],
        );
        let error = load_with("", &[(key, "s3cr3t")], None).unwrap_err();
        assert!(error.to_string().contains(&expected), "{error}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
        // Where it belongs it is harmless.
        let mut keystore = Keystore::create(SecretString::default());
        keystore.set(key, &SecretString::from("s3cr3t")).unwrap();
        load_with("", &[], Some(&keystore)).unwrap();
    }
    load("s3.client.default.endpoint: s3.example.com");
}

#[test]
fn a_misspelt_secret_is_sent_to_the_keystore() {
    let key = "xpack.security.http.ssl.keystore.secure_passwrd";
    let error = load_with(&format!("{key}: s3cr3t"), &[], None).unwrap_err();
    let line = error.to_string();
    let right = "xpack.security.http.ssl.keystore.secure_password";
    assert!(
        line.contains(&format!("did you mean any of [{right}, ")),
        "{line}"
    );
    assert!(
        line.ends_with(&format!(
            "[{right}] belongs in the keystore: run `elasticsearch-keystore add {right}`"
        )),
        "{line}"
    );
    let Problem::Unknown { nearest, .. } = &error.problems[0] else {
        panic!("{error:?}");
    };
    assert!((2..=5).contains(&nearest.len()), "{nearest:?}");
}

#[test]
fn an_override_of_one_item_replaces_the_list_of_the_file() {
    for yml in [
        "discovery.seed_hosts: [a, b]",
        "discovery.seed_hosts: a,b",
        "discovery.seed_hosts.0: a\ndiscovery.seed_hosts.1: b",
    ] {
        for (overrides, expected) in [
            (&[("discovery.seed_hosts.0", "c")][..], &["c"][..]),
            (
                &[
                    ("discovery.seed_hosts.0", "c"),
                    ("discovery.seed_hosts.1", "d"),
                ],
                &["c", "d"],
            ),
            (&[("discovery.seed_hosts", "c")], &["c"]),
        ] {
            let settings = load_with(yml, overrides, None).unwrap();
            let hosts = settings.get(&cluster::DISCOVERY_SEED_HOSTS);
            assert_eq!(hosts, expected, "{yml} {overrides:?}");
        }
    }
    // Twice on the command line is still a contradiction.
    let both = [
        ("discovery.seed_hosts", "a"),
        ("discovery.seed_hosts.0", "b"),
    ];
    let error = load_with("", &both, None).unwrap_err();
    assert!(
        error.to_string().contains("duplicate settings key"),
        "{error}"
    );
    // What is no list has no items.
    let settings = load_with("node.attr.rack: a", &[("node.attr.rack.0", "b")], None).unwrap();
    assert_eq!(settings.family(&node::NODE_ATTRIBUTES).len(), 2);
}

#[test]
fn memory_may_be_a_share() {
    let settings =
        load("indices.memory.index_buffer_size: 20%\nindexing_pressure.memory.limit: 10%");
    let (buffer, limit) = (
        settings.get(&indices::INDEX_BUFFER_SIZE).bytes(),
        settings.get(&indices::INDEXING_MEMORY_LIMIT).bytes(),
    );
    assert!(limit >= 16 << 20 && buffer >= limit, "{buffer} {limit}");
    refuse(
        "indices.memory.index_buffer_size: 200%",
        &["index_buffer_size] with value [200%]: expected a percentage of the memory"],
    );
    refuse(
        "indices.memory.index_buffer_size: 1mb",
        &["must be >= 16mb"],
    );
}

#[test]
fn deprecated_settings_are_warned_of() {
    let settings = load("xpack.security.http.ssl.keystore.password: s3cr3t");
    let [warning] = settings.warnings() else {
        panic!("{:?}", settings.warnings());
    };
    let line = warning.to_string();
    assert!(
        line.contains(
            "elasticsearch.yml:1: setting [xpack.security.http.ssl.keystore.password] is deprecated: "
        ) && line.ends_with("use `keystore.secure_password` in the keystore"),
        "{line}"
    );
    assert!(!line.contains("s3cr3t"));
}

#[test]
fn keys_on_a_token_are_refused_with_the_reason() {
    refuse(
        "xpack.security.http.ssl.keystore.type: PKCS11",
        &[
            "keystore.type] with value [PKCS11]: keys on a hardware token (PKCS11) are not supported",
        ],
    );
    load("xpack.security.http.ssl.keystore.type: pkcs12");
}
