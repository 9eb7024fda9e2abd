//! `ringwall settings`: what the registry knows, for people and for programs.

use serde_json::Value;

use crate::home::{Outcome, ringwall, run};

fn settings(arguments: &[&str]) -> Outcome {
    run(ringwall().arg("settings").args(arguments), "")
}

fn json(part: &str) -> Vec<Value> {
    serde_json::from_str(&settings(&[part, "--json"]).quiet()).unwrap()
}

#[test]
fn programs_are_told_everything_of_a_setting() {
    let of = |name: &str| {
        let found = json(name);
        let exact = found.iter().find(|setting| setting["name"] == name);
        exact
            .cloned()
            .unwrap_or_else(|| panic!("{name}: {found:?}"))
    };
    let facts = ["scope", "dynamic", "reloadable", "secure"];
    for (name, expected) in [
        ("path.data", r#"["node",false,false,false]"#),
        ("cluster.name", r#"["cluster",false,false,false]"#),
        ("search.max_buckets", r#"["cluster",true,false,false]"#),
        (
            "xpack.security.http.ssl.key",
            r#"["node",false,true,false]"#,
        ),
        (
            "xpack.security.http.ssl.keystore.secure_password",
            r#"["node",false,true,true]"#,
        ),
        ("bootstrap.password", r#"["node",false,false,true]"#),
    ] {
        let setting = of(name);
        let found: Vec<Value> = facts.iter().map(|fact| setting[fact].clone()).collect();
        assert_eq!(Value::from(found).to_string(), expected, "{name}");
        assert!(setting["deprecated"].is_null(), "{name}");
    }
    let port = of("http.port");
    assert_eq!(port["type"], "port or range of ports");
    assert_eq!(port["default"], "9200-9300");
    let old = of("xpack.security.transport.ssl.truststore.password");
    let why = old["deprecated"].as_str().unwrap();
    assert!(why.contains("`truststore.secure_password`"), "{why}");
}

#[test]
fn a_part_of_the_name_chooses() {
    let shown = settings(&["http.ssl.keystore"]).quiet();
    assert!(
        shown.contains("xpack.security.http.ssl.keystore.path (path)\n"),
        "{shown}"
    );
    assert!(
        shown.contains("    deprecated: a secret does not belong in"),
        "{shown}"
    );
    assert!(!shown.contains("transport.ssl"), "{shown}");
    assert!(json("http.ssl.keystore").len() < json("").len() / 5);

    let whole = settings(&[]).quiet();
    assert!(whole.starts_with("# Settings\n"), "{whole}");

    let wrong = settings(&["htpt.port"]);
    assert_eq!(wrong.status, 65, "{wrong:?}");
    assert!(
        wrong.stderr.contains("did you mean [http.port]?"),
        "{wrong:?}"
    );
}
