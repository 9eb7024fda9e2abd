use super::*;

fn load(yml: &str) -> Result<ConsoleSettings, SettingsError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), yml).unwrap();
    ConsoleSettings::load(dir.path(), &[], None)
}

fn refused(yml: &str) -> String {
    load(yml).unwrap_err().to_string()
}

#[test]
fn defaults_and_examples_are_valid() {
    for spec in registry::all() {
        let info = spec.info();
        for value in [spec.default_text(), info.example.map(str::to_owned)] {
            let Some(value) = value else { continue };
            let line = format!("{}: {value}", info.key);
            let mut problems = Problems::default();
            let values = raw::read_yml(Path::new("x.yml"), &line, &mut problems);
            assert_eq!(spec.check(&values[info.key].value), Ok(()), "{line}");
        }
        assert!(info.doc.ends_with('.'), "{}", info.key);
    }
}

#[test]
fn an_unknown_setting_is_refused_with_the_nearest_name() {
    let said = refused("server.prot: 5601");
    assert!(
        said.contains("kibana.yml:1: setting [server.prot] is unknown"),
        "{said}"
    );
    assert!(said.contains("did you mean any of [server.port,"), "{said}");
    let said = refused("elasticsearch.ssl.verification_mode: none");
    assert!(
        said.contains("any of [elasticsearch.ssl.verificationMode,"),
        "{said}"
    );
    let said = refused("xpack.security.authc.providers: [ basic ]");
    assert!(
        said.contains("is not supported: there is one way"),
        "{said}"
    );
}

#[test]
fn what_contradicts_is_refused_all_at_once() {
    let said = refused(
        "server.ssl.certificate: a.crt\nserver.basePath: kibana/\nelasticsearch.username: elastic\n\
         elasticsearch.hosts: [ \"https://es01:9200\" ]\nserver.publicBaseUrl: example.com\n",
    );
    for part in [
        "[server.ssl.certificate] without also setting [server.ssl.key]",
        "[server.ssl.certificate] is of no use without [server.ssl.enabled: true]",
        "[server.basePath] must begin",
        "value of \"elastic\" is forbidden",
        "[elasticsearch.username] without also setting [elasticsearch.password]",
        "[elasticsearch.ssl.certificateAuthorities]",
        "[server.publicBaseUrl] must be",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let said = refused("elasticsearch.ssl.verificationMode: none");
    assert!(
        said.contains("no node in [elasticsearch.hosts] has an https URL"),
        "{said}"
    );
}

#[test]
fn the_keystore_wins_over_the_file_and_a_secret_there_is_warned_of() {
    let yml = "elasticsearch.username: kibana_system\nelasticsearch.password: old\n";
    let in_file = load(yml).unwrap();
    let told = in_file.warnings()[0].to_string();
    assert!(
        told.contains("kibana-keystore add elasticsearch.password"),
        "{told}"
    );
    assert!(!format!("{in_file:?}").contains("old"));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), yml).unwrap();
    let mut keystore = Keystore::create(SecretString::default());
    keystore
        .set("elasticsearch.password", &"new".into())
        .unwrap();
    let settings = ConsoleSettings::load(dir.path(), &[], Some(&keystore)).unwrap();
    assert_eq!(settings.secret(&registry::PASSWORD), Some("new".into()));
    assert!(settings.warnings().is_empty());
    keystore
        .set("elasticsearch.pasword", &"new".into())
        .unwrap();
    let said = ConsoleSettings::load(dir.path(), &[], Some(&keystore))
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("keystore: setting [elasticsearch.pasword] is unknown"),
        "{said}"
    );
}

#[test]
fn times_are_milliseconds_or_have_a_unit() {
    for (written, expected) in [("1500", 1500), ("2s", 2000)] {
        let settings = load(&format!("elasticsearch.requestTimeout: {written}")).unwrap();
        let Milliseconds(time) = settings.get(&registry::REQUEST_TIMEOUT);
        assert_eq!(time, Duration::from_millis(expected));
    }
    assert!(refused("elasticsearch.requestTimeout: soon").contains("milliseconds"));
    assert!(refused("elasticsearch.requestTimeout: 0").contains("must be >= 1"));
}
