//! The first start of an untouched home, enrolling others, and reconfiguring, on a pseudo-terminal.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use http::{Method, StatusCode};
use ringwall_base::SecretString;
use ringwall_rest::http_client::{HttpClient, HttpResponse};
use ringwall_security::enrollment::EnrollmentToken;
use ringwall_settings::VerificationMode;
use ringwall_tls::{SslContext, ToolTrust};
use serde_json::Value;

use crate::home::{Home, run};
use crate::terminal::{WITHIN, pseudo_terminal, watch};

/// A node on a terminal; stopped when dropped.
struct Node {
    child: Child,
    /// What it told, between the frames.
    told: String,
}

impl Node {
    /// Starts the node of a home and waits until it has told what there is to tell.
    #[track_caller]
    fn first_start(home: &Home, arguments: &[&str]) -> Self {
        let (screen, terminal) = pseudo_terminal();
        let mut command = home.tool("elasticsearch");
        let ports = [
            "-E",
            "http.port=0",
            "-E",
            "transport.port=0",
            "--until-stdin-ends",
        ];
        command.args(ports).args(arguments);
        let child = command
            .stdin(Stdio::piped())
            .stdout(terminal)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        // With it goes this side's hold on the terminal: reading it ends with the node.
        drop(command);
        let mut node = Self {
            child,
            told: String::new(),
        };
        node.told = read_announcement(&screen);
        node
    }

    fn after(&self, mark: &str) -> &str {
        let rest = self.told.split_once(mark).map(|(_, rest)| rest);
        let word = rest.and_then(|rest| rest.split_whitespace().next());
        word.unwrap_or_else(|| panic!("[{mark}] is not in {}", self.told))
    }

    fn stop(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Reads until the second frame.
fn read_announcement(screen: &OwnedFd) -> String {
    let seen = watch(screen);
    let mut told = String::new();
    while told.matches(FRAME).count() < 2 {
        match seen.recv_timeout(WITHIN) {
            Ok(text) => told += &text,
            Err(error) => panic!("{error}: {told}"),
        }
    }
    told.replace('\r', "")
}

fn ask(home: &Home, port: u16, user: &str, password: &str, path: &str) -> HttpResponse {
    let ca = home.path().join("config/certs/http_ca.crt");
    let tls = SslContext::for_tools("test", ToolTrust::CaFiles(vec![ca]), VerificationMode::Full);
    let login = (user, &SecretString::from(password));
    let url = format!("https://localhost:{port}");
    let client = HttpClient::new(&url, Some(tls.unwrap()), Some(login)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(client.request(Method::GET, path, None, ""))
        .unwrap()
}

fn port_of(token: &str) -> u16 {
    let token = EnrollmentToken::parse(token).unwrap();
    token.addresses[0]
        .rsplit_once(':')
        .unwrap()
        .1
        .parse()
        .unwrap()
}

fn yml(home: &Home) -> String {
    fs::read_to_string(home.path().join("config/elasticsearch.yml")).unwrap()
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_node_secures_itself_and_others_enrol() {
    let first = Home::new();
    let node = Node::first_start(&first, &["-E", "node.name=one"]);
    let password = node.after("makes another):").to_owned();
    let token = node.after("and this node restarted)").to_owned();
    let port = port_of(&token);
    let who = ask(
        &first,
        port,
        "elastic",
        &password,
        "/_security/_authenticate",
    );
    assert_eq!(who.status, StatusCode::OK, "{:?}", who.json());
    let certs = first.path().join("config/certs");
    assert_eq!(mode(&certs), 0o750);
    for name in ["http.p12", "transport.p12", "http_ca.crt"] {
        assert_eq!(mode(&certs.join(name)) & 0o007, 0, "{name}");
    }
    let written = yml(&first);
    assert!(
        written.contains("\ncluster.initial_master_nodes: [\"one\"]"),
        "{written}"
    );
    assert!(!written.contains(&password));

    // A token is for enrolling and nothing else.
    let key = EnrollmentToken::parse(&token).unwrap().api_key;
    let (id, secret) = key.expose().split_once(':').unwrap();
    assert_eq!(id.len(), 20);
    let as_user = ask(&first, port, id, secret, "/");
    assert_eq!(as_user.status, StatusCode::UNAUTHORIZED);

    let second = Home::new();
    let enrolled = Node::first_start(
        &second,
        &["-E", "node.name=two", "--enrollment-token", &token],
    );
    assert!(enrolled.told.contains("has enrolled"), "{}", enrolled.told);
    let health = "/_cluster/health?wait_for_nodes=2&timeout=60s";
    let health = ask(&first, port, "elastic", &password, health).json();
    assert_eq!(
        (&health["number_of_nodes"], &health["timed_out"]),
        (&2.into(), &Value::Bool(false))
    );

    // The same token is made by the tool; a node that has begun is not enrolled again.
    let url = format!("https://localhost:{port}");
    let tool = |arguments: &[&str]| {
        let mut command = first.tool("elasticsearch-create-enrollment-token");
        run(command.args(arguments), "")
    };
    let made = tool(&["-s", "node", "--url", &url]).quiet();
    assert_eq!(port_of(made.trim()), port);
    let bad = tool(&["-s", "nodes", "--url", &url]);
    assert_eq!(bad.status, 64, "{bad:?}");
    assert!(bad.stderr.contains("Invalid scope"), "{bad:?}");
    let off = tool(&[
        "-s",
        "node",
        "--url",
        &url,
        "-E",
        "xpack.security.enrollment.enabled=false",
    ]);
    assert_eq!(off.status, 78, "{off:?}");
    let again = run(
        second
            .tool("elasticsearch")
            .args(["--enrollment-token", &token]),
        "",
    );
    assert_eq!(again.status, 63, "{again:?}");
    assert!(again.stderr.contains("the node has data in"), "{again:?}");

    // A node that was configured, but not used, leaves its own cluster for this one.
    let third = Home::new();
    Node::first_start(&third, &["-E", "node.name=three"]).stop();
    let reconfigure = |arguments: &[&str], stdin: &str| {
        let mut command = third.tool("elasticsearch-reconfigure-node");
        run(command.args(arguments), stdin)
    };
    let used = reconfigure(&["--enrollment-token", &token], "y\n");
    assert_eq!(used.status, 64, "{used:?}");
    fs::remove_dir_all(third.path().join("data")).unwrap();
    let own = yml(&third);
    for (arguments, stdin, status, part) in [
        (vec![], "", 64, "enrollment-token is a mandatory parameter"),
        (
            vec!["--enrollment-token", "abc"],
            "",
            65,
            "Invalid enrollment token",
        ),
        (
            vec!["--enrollment-token", token.as_str()],
            "n\n",
            0,
            "User cancelled operation",
        ),
    ] {
        let refused = reconfigure(&arguments, stdin);
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.stderr.contains(part), "{refused:?}");
        assert_eq!(yml(&third), own);
    }
    let done = reconfigure(&["--enrollment-token", &token], "y\n");
    assert_eq!(done.status, 0, "{done:?}");
    let written = yml(&third);
    assert!(written.contains("\ndiscovery.seed_hosts: [\""), "{written}");
    assert!(
        !written.contains("\ncluster.initial_master_nodes: ["),
        "{written}"
    );
    assert!(
        written.contains("\nxpack.security.enrollment.enabled: true"),
        "{written}"
    );
    assert!(written.contains("\nhttp.host: 0.0.0.0"), "{written}");
    assert_eq!(written.matches("BEGIN SECURITY").count(), 1);
    let ca = |home: &Home| fs::read(home.path().join("config/certs/http_ca.crt")).unwrap();
    assert_eq!(ca(&third), ca(&first));

    enrolled.stop();
    node.stop();
    // Nobody answers at the token's address any more, and nothing is changed by trying.
    let fourth = Home::new();
    let before = yml(&fourth);
    let alone = run(
        fourth
            .tool("elasticsearch")
            .args(["--enrollment-token", &token]),
        "",
    );
    assert_eq!(alone.status, 69, "{alone:?}");
    assert_eq!(yml(&fourth), before);
    assert!(!fourth.path().join("config/certs").exists());
}

#[test]
fn a_home_with_settings_of_its_own_is_left_alone() {
    let token = EnrollmentToken {
        version: "8.17.0".to_owned(),
        addresses: vec!["127.0.0.1:1".to_owned()],
        fingerprint: "0".repeat(64),
        api_key: "id:secret".into(),
    };
    let token = token.encode();
    let home = Home::new();
    let before = yml(&home);
    for (setting, part) in [
        (
            "xpack.security.autoconfiguration.enabled=false",
            "is set to [false]",
        ),
        (
            "xpack.security.enabled=true",
            "[xpack.security.enabled] is set",
        ),
        (
            "xpack.security.transport.ssl.enabled=false",
            "[xpack.security.transport.ssl.enabled] is set",
        ),
        ("discovery.seed_hosts=10.0.0.1", "with others"),
        ("cluster.initial_master_nodes=a,b", "with others"),
        ("node.roles=data", "cannot be master and hold data"),
    ] {
        let mut command = home.tool("elasticsearch");
        command.args(["-E", setting, "--enrollment-token", token.expose()]);
        let refused = run(&mut command, "");
        assert_eq!(refused.status, 63, "{setting}: {refused:?}");
        assert!(refused.stderr.contains(part), "{setting}: {refused:?}");
        assert_eq!(yml(&home), before);
    }
    let secret = "xpack.security.http.ssl.keystore.secure_password";
    assert_eq!(home.keystore(&["create"], "").status, 0);
    assert_eq!(home.keystore(&["add", "-x", secret], "secret\n").status, 0);
    let refused = run(
        home.tool("elasticsearch")
            .args(["--enrollment-token", token.expose()]),
        "",
    );
    assert_eq!(refused.status, 63, "{refused:?}");
    assert!(
        refused.stderr.contains("password settings already"),
        "{refused:?}"
    );
    let data: PathBuf = home.path().join("config/certs");
    assert!(!data.exists());
}

const FRAME: &str = "------------------------------------------------------------------";

#[test]
fn an_interrupted_attempt_is_made_again() {
    let home = Home::new();
    let untouched = yml(&home);
    Node::first_start(&home, &[]).stop();
    // As if it had been killed before the settings were written.
    fs::write(home.path().join("config/elasticsearch.yml"), untouched).unwrap();
    fs::remove_dir_all(home.path().join("data")).unwrap();
    let certificate = home.path().join("config/certs/http_ca.crt");
    let first = fs::read(&certificate).unwrap();
    let node = Node::first_start(&home, &[]);
    assert!(
        node.told.contains("Password for the elastic user"),
        "{}",
        node.told
    );
    assert!(yml(&home).contains("BEGIN SECURITY AUTO CONFIGURATION"));
    assert_ne!(fs::read(&certificate).unwrap(), first);
    node.stop();
}
