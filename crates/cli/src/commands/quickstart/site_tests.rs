use std::os::unix::fs::PermissionsExt;

use ringwall_tls::SslConfig;

use super::*;

fn any_port(nodes: usize) -> Wanted {
    Wanted {
        nodes: Some(nodes),
        http_port: Some(0),
    }
}

fn open(dir: &Path, wanted: &Wanted) -> Result<Site, CommandError> {
    let (mut terminal, _, _) = Terminal::scripted("");
    Site::open_or_set_up(dir, wanted, &mut terminal)
}

#[test]
fn a_site_is_what_nodes_load_and_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut site = open(dir.path(), &any_port(2)).unwrap();
    for node in site.nodes() {
        let config = node.home.join("config");
        let keystore = Keystore::load(
            &config.join("elasticsearch.keystore"),
            &SecretString::default(),
        )
        .unwrap();
        let first = keystore.get("bootstrap.password").unwrap().unwrap();
        assert_eq!(first, site.state().password);
        let settings = Settings::load(&config, &[], Some(&keystore)).unwrap();
        for layer in ["transport", "http"] {
            let prefix = format!("xpack.security.{layer}.ssl");
            let config = SslConfig::from_settings(&settings, &prefix)
                .unwrap()
                .unwrap();
            ringwall_tls::SslContext::load(config, &[]).unwrap();
        }
        let mode = fs::metadata(config.join(CERTIFICATES))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let mode = fs::metadata(dir.path().join(STATE))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!dir.path().join(INCOMPLETE).exists());
    let authority = dir.path().join(CA_KEYSTORE);
    CertificateAuthority::load_p12(&authority, &site.state().ca_password).unwrap();

    let yml = || fs::read_to_string(site.nodes()[1].home.join(YML)).unwrap();
    let line = "cluster.initial_master_nodes: [\"node-1\", \"node-2\"]\n";
    let before = yml();
    assert!(before.contains(line), "{before}");
    site.forget_initial_masters().unwrap();
    assert_eq!(yml(), before.replace(line, ""));

    site.set_loaded("addresses").unwrap();
    let again = open(dir.path(), &Wanted::default()).unwrap();
    assert_eq!(again.nodes(), site.nodes());
    assert_eq!(again.state().password, site.state().password);
    assert!(again.state().is_loaded);

    let other = open(dir.path(), &any_port(3)).unwrap_err();
    assert!(other.message.contains("has nodes [2], not [3]"), "{other}");
    let port = Wanted {
        nodes: None,
        http_port: Some(1),
    };
    assert_eq!(open(dir.path(), &port).unwrap_err().exit, ExitCode::Usage);
}

#[test]
fn other_directories_are_refused_and_broken_set_ups_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let letter = dir.path().join("letter.txt");
    fs::write(&letter, "dear").unwrap();
    assert_eq!(lock(dir.path()).unwrap_err().exit, ExitCode::CantCreate);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    fs::remove_file(&letter).unwrap();

    fs::create_dir_all(dir.path().join("node-7/config")).unwrap();
    assert_eq!(
        open(dir.path(), &any_port(1)).unwrap_err().exit,
        ExitCode::CantCreate
    );
    fs::write(dir.path().join(INCOMPLETE), "").unwrap();
    let site = open(dir.path(), &any_port(1)).unwrap();
    assert_eq!(site.nodes().len(), 1);
    assert!(!dir.path().join("node-7").exists());
}

#[test]
fn one_command_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let held = lock(&dir.path().join("new/site")).unwrap();
    let error = lock(&dir.path().join("new/site")).unwrap_err();
    assert!(
        error.message.starts_with("another quickstart runs in"),
        "{error}"
    );
    drop(held);
    lock(&dir.path().join("new/site")).unwrap();
}

#[test]
fn a_cluster_of_a_later_version_is_refused_and_one_of_the_first_is_read() {
    let path = Path::new("/cluster/state.json");
    let first =
        r#"{"nodes": 1, "password": "a", "ca_password": "b", "index": null, "is_loaded": true}"#;
    assert_eq!(State::read(path, first.as_bytes()).unwrap().format, 1);
    let later = first.replacen('{', r#"{"format": 2, "#, 1);
    let error = State::read(path, later.as_bytes()).unwrap_err().to_string();
    assert!(
        error.contains("[/cluster/state.json] has format [2], and this version ["),
        "{error}"
    );
    let damaged = State::read(path, b"{").unwrap_err().to_string();
    assert!(damaged.contains("is damaged"), "{damaged}");
}
