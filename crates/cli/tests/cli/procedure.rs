//! "Set up basic security", as far as the tools go: what they wrote is what a node loads, and two
//! nodes set up by it trust each other while a stranger is refused.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ringwall_base::SecretString;
use ringwall_settings::{Keystore, Settings};
use ringwall_tls::{SslConfig, SslContext};
use tokio::net::{TcpListener, TcpStream};

use crate::home::{Home, run};

const PREFIX: &str = "xpack.security.transport.ssl";
const WITHIN: Duration = Duration::from_secs(120);

const YML: &str = "
cluster.name: procedure
xpack.security.transport.ssl:
  enabled: true
  verification_mode: certificate
  client_authentication: required
  keystore.path: elastic-certificates.p12
  truststore.path: elastic-certificates.p12
";

/// Makes a home with certificates of a CA of its own, or of `ca_of`.
fn set_up(ca_of: Option<&Home>) -> Home {
    let home = Home::new();
    let tool = |name: &str, arguments: &[&str], answers: &str| {
        let mut command = home.tool(name);
        command.current_dir(home.path()).args(arguments);
        let outcome = run(&mut command, answers);
        assert_eq!(outcome.status, 0, "{name}: {outcome:?}");
    };
    match ca_of {
        // Answers: the file's name as proposed, and a password for it.
        None => tool("elasticsearch-certutil", &["ca"], "\nca-secret\n"),
        Some(other) => {
            let name = "elastic-stack-ca.p12";
            std::fs::copy(other.path().join(name), home.path().join(name)).unwrap();
        }
    }
    tool(
        "elasticsearch-certutil",
        &["cert", "--ca", "elastic-stack-ca.p12"],
        "ca-secret\n\nnode-secret\n",
    );
    let made = home.path().join("elastic-certificates.p12");
    std::fs::rename(made, home.path().join("config/elastic-certificates.p12")).unwrap();
    std::fs::write(home.path().join("config/elasticsearch.yml"), YML).unwrap();
    tool("elasticsearch-keystore", &["create"], "");
    for store in ["keystore", "truststore"] {
        let setting = format!("{PREFIX}.{store}.secure_password");
        let arguments = ["add", "--stdin", &setting];
        tool("elasticsearch-keystore", &arguments, "node-secret\n");
    }
    home
}

/// Loads what a node of that home would.
fn context(home: &Home) -> Arc<SslContext> {
    let config_dir: &Path = &home.path().join("config");
    let keystore = Keystore::load(
        &config_dir.join("elasticsearch.keystore"),
        &SecretString::default(),
    )
    .unwrap();
    let settings = Settings::load(config_dir, &[], Some(&keystore)).unwrap();
    let config = SslConfig::from_settings(&settings, PREFIX)
        .unwrap()
        .unwrap();
    SslContext::load(config, &[]).unwrap()
}

/// Has one home dial another; returns what the accepting end says.
async fn dial(from: &Home, to: &Home) -> Result<(), String> {
    let (client, server) = (context(from), context(to));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = async {
        let (tcp, peer) = listener.accept().await.unwrap();
        server.accept(tcp, peer, WITHIN).await
    };
    let dialling = async {
        let tcp = TcpStream::connect(address).await.unwrap();
        client.connect(tcp, "localhost", address, WITHIN).await
    };
    let (accepted, dialled) = tokio::join!(accepting, dialling);
    accepted.map_err(|failure| failure.to_string())?;
    dialled.map_err(|failure| failure.to_string())?;
    Ok(())
}

#[tokio::test]
async fn homes_of_one_ca_trust_each_other_and_strangers_are_refused() {
    let first = set_up(None);
    let second = set_up(Some(&first));
    let stranger = set_up(None);
    dial(&first, &second).await.unwrap();
    dial(&second, &first).await.unwrap();
    let refusal = dial(&stranger, &first).await.unwrap_err();
    assert!(refusal.contains("127.0.0.1"), "{refusal}");
    assert!(!refusal.contains('\n'), "{refusal}");
}

#[test]
fn relative_paths_start_where_the_caller_is_unless_es_home_is_set() {
    let home = Home::new();
    let here = tempfile::tempdir().unwrap();
    let certutil = |arguments: &[&str], es_home: bool| {
        let mut command = home.tool("elasticsearch-certutil");
        command.current_dir(here.path()).args(arguments);
        if es_home {
            command.env("ES_HOME", home.path());
        }
        run(&mut command, "").quiet()
    };
    let ca = [
        "ca",
        "--key-type",
        "ec-p256",
        "--pass",
        "",
        "--out",
        "ca.p12",
    ];
    certutil(&ca, false);
    assert!(here.path().join("ca.p12").is_file() && !home.path().join("ca.p12").exists());
    certutil(&ca, true);
    assert!(home.path().join("ca.p12").is_file());
    // What is read is also found in the home.
    std::fs::remove_file(here.path().join("ca.p12")).unwrap();
    let said = certutil(
        &[
            "cert",
            "--ca",
            "ca.p12",
            "--ca-pass",
            "",
            "--pass",
            "",
            "--key-type",
            "ec-p256",
            "--out",
            "node.p12",
        ],
        false,
    );
    let written = std::fs::canonicalize(here.path()).unwrap().join("node.p12");
    assert!(
        said.contains(&format!("Certificates written to {}", written.display())),
        "{said}"
    );
}
