//! A cluster of nodes in this process, with mutual TLS between them and HTTPS to clients. For
//! tests: whatever goes wrong panics.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use http::Method;
use ringwall_base::SecretString;
use ringwall_node::node::Node;
use ringwall_pki::{CaParams, CertificateAuthority, DistinguishedName, KeySpec, NodeCertParams};
use ringwall_rest::http_client::{HttpClient, HttpResponse};
use ringwall_settings::{Keystore, Settings};
use ringwall_tls::{
    ConfiguredPath, KeySource, SslConfig, SslContext, ToolTrust, TrustSource, VerificationMode,
};
use serde_json::{Value, json};

/// How long anything may take.
pub const WITHIN: Duration = Duration::from_secs(120);
/// The password of `elastic`.
pub const PASSWORD: &str = "elastic-password";

/// Nodes `node-0`, `node-1`... in homes of their own, each with a certificate of one authority.
pub struct Cluster {
    root: tempfile::TempDir,
    authority: CertificateAuthority,
    ca_file: PathBuf,
    /// `None` while a node is stopped.
    pub nodes: Vec<Option<Running>>,
    /// Settings that a node starts with beside those that all have, by node.
    pub extra: Vec<Vec<(String, String)>>,
    seeds: Vec<String>,
}

/// A node and an HTTPS client of it, as `elastic`.
pub struct Running {
    pub node: Node,
    pub client: HttpClient,
}

impl Cluster {
    /// Starts so many nodes and waits until they know each other.
    pub async fn start(count: usize) -> Self {
        Self::start_with(count, &[]).await
    }

    /// Starts so many nodes with these settings beside those that all have.
    pub async fn start_with(count: usize, extra: &[(&str, &str)]) -> Self {
        // `RUST_LOG=info` shows what the nodes say.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let params = CaParams {
            key: KeySpec::EcP256,
            ..CaParams::default()
        };
        let authority = CertificateAuthority::generate(&params).unwrap();
        let root = tempfile::tempdir().unwrap();
        let ca_file = root.path().join("ca.crt");
        std::fs::write(&ca_file, authority.certificate_pem()).unwrap();
        let mut cluster = Self {
            root,
            authority,
            ca_file,
            nodes: Vec::new(),
            extra: vec![settings(extra); count],
            seeds: Vec::new(),
        };
        for number in 0..count {
            cluster.home(number);
            cluster.nodes.push(None);
            cluster.start_node(number).await;
        }
        cluster.wait_for_nodes(count).await;
        cluster
    }

    fn path(&self, number: usize) -> PathBuf {
        self.root.path().join(format!("node-{number}"))
    }

    /// Makes the home of one more node, which is not started. Returns its number.
    pub fn prepare_node(&mut self) -> usize {
        let number = self.nodes.len();
        self.extra.push(self.extra[0].clone());
        self.nodes.push(None);
        self.home(number);
        number
    }

    /// Returns the data path of a node.
    pub fn data(&self, number: usize) -> PathBuf {
        self.path(number).join("data")
    }

    /// Removes the data path of a node that has stopped. The probe of its disk is not waited for when a node stops, so
    /// that a file may come while the others go.
    pub fn remove_data(&self, number: usize) {
        let data = self.data(number);
        while let Err(error) = std::fs::remove_dir_all(&data) {
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::DirectoryNotEmpty,
                "{error}"
            );
            std::thread::yield_now();
        }
    }

    fn home(&self, number: usize) {
        let config = self.path(number).join("config");
        std::fs::create_dir_all(&config).unwrap();
        self.write_certificate(number, "secret");
        self.write_keystore(number, "secret");
    }

    /// Gives a node a new certificate, in a file with this password.
    pub fn write_certificate(&self, number: usize, password: &str) {
        let params = NodeCertParams {
            key: KeySpec::EcP256,
            ips: vec![IpAddr::from([127, 0, 0, 1])],
            ..NodeCertParams::default()
        };
        let certificate = self.authority.issue(&params).unwrap();
        let store = certificate
            .to_p12("instance", &SecretString::from(password))
            .unwrap();
        let file = self.path(number).join("config/node.p12");
        let beside = file.with_extension("new");
        std::fs::write(&beside, store).unwrap();
        std::fs::rename(&beside, &file).unwrap();
    }

    /// Writes a node's keystore, in which its TLS files have this password.
    pub fn write_keystore(&self, number: usize, password: &str) {
        let password = SecretString::from(password);
        let mut keystore = Keystore::create(SecretString::default());
        for layer in ["transport", "http"] {
            for kind in ["keystore", "truststore"] {
                let key = format!("xpack.security.{layer}.ssl.{kind}.secure_password");
                keystore.set(&key, &password).unwrap();
            }
        }
        // Without its realm no node starts with it.
        let realm = "xpack.security.authc.realms.pki.p.";
        if self.extra[number]
            .iter()
            .any(|(key, _)| key.starts_with(realm))
        {
            let key = format!("{realm}truststore.secure_password");
            keystore.set(&key, &password).unwrap();
        }
        let bootstrap = SecretString::from(PASSWORD);
        keystore.set("bootstrap.password", &bootstrap).unwrap();
        let file = self.path(number).join("config/elasticsearch.keystore");
        keystore.save(&file).unwrap();
    }

    /// Starts a node, again if it ran before.
    pub async fn start_node(&mut self, number: usize) {
        let home = self.path(number);
        let settings = self.settings(&home, number);
        let node = Node::start(settings, &home).await.unwrap();
        let seed = node.local().publish_address.clone();
        if !self.seeds.contains(&seed) {
            self.seeds.push(seed);
        }
        let client = self.client_of(&node, Some(("elastic", PASSWORD)));
        self.nodes[number] = Some(Running { node, client });
    }

    fn client_of(&self, node: &Node, login: Option<(&str, &str)>) -> HttpClient {
        let url = format!("https://{}", node.http_addresses()[0]);
        let trust = ToolTrust::CaFiles(vec![self.ca_file.clone()]);
        let tls = SslContext::for_tools("test", trust, VerificationMode::Full).unwrap();
        let password = login.map(|(_, password)| SecretString::from(password));
        let login = login.map(|(user, _)| user).zip(password.as_ref());
        HttpClient::new(&url, Some(tls), login).unwrap()
    }

    /// Returns a client of a node as a user, or as nobody.
    pub fn client(&self, number: usize, login: Option<(&str, &str)>) -> HttpClient {
        self.client_of(&self.nodes[number].as_ref().unwrap().node, login)
    }

    /// Sends a request as another user, or as nobody; returns the headers too.
    pub async fn send_as(
        &self,
        login: Option<(&str, &str)>,
        number: usize,
        method: Method,
        path: &str,
        body: Value,
    ) -> HttpResponse {
        let client = self.client(number, login);
        let (kind, text) = content(&body);
        client.request(method, path, kind, text).await.unwrap()
    }

    /// Sends a request with an `Authorization` header of any kind.
    pub async fn send_with(
        &self,
        authorization: Option<&str>,
        number: usize,
        method: Method,
        path: &str,
        body: Value,
    ) -> HttpResponse {
        let mut client = self.client_of(&self.nodes[number].as_ref().unwrap().node, None);
        if let Some(text) = authorization {
            client = client.with_authorization(&text.into());
        }
        let (kind, text) = content(&body);
        client.request(method, path, kind, text).await.unwrap()
    }

    /// Returns the configuration directory of a node.
    pub fn config(&self, number: usize) -> PathBuf {
        self.path(number).join("config")
    }

    /// Returns a TLS context of a client that shows a certificate of this subject, issued by the authority of the
    /// nodes or by another, and speaks one protocol, `http/1.1` or `h2`.
    pub fn client_tls(
        &self,
        subject: &str,
        other: Option<&CertificateAuthority>,
        protocol: &str,
    ) -> Arc<SslContext> {
        let params = NodeCertParams {
            name: DistinguishedName::parse(subject).unwrap(),
            key: KeySpec::EcP256,
            ..NodeCertParams::default()
        };
        let issued = other.unwrap_or(&self.authority).issue(&params).unwrap();
        let password = SecretString::from("secret");
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("client.p12");
        std::fs::write(&store, issued.to_p12("client", &password).unwrap()).unwrap();
        let key = KeySource::Keystore {
            path: ConfiguredPath::new("client.p12", directory.path()),
            password,
            key_password: None,
        };
        let ca_file = self.ca_file.display().to_string();
        let trust = TrustSource::Pem(vec![ConfiguredPath::new(ca_file, self.root.path())]);
        SslContext::load(SslConfig::new("client", key, trust), &[protocol]).unwrap()
    }

    /// Returns a client of a node over a TLS context, without an `Authorization` header.
    pub fn client_with(&self, number: usize, tls: Arc<SslContext>) -> HttpClient {
        let url = format!("https://{}", self.http_address(number));
        HttpClient::new(&url, Some(tls), None).unwrap()
    }

    /// Returns the address that clients of a node dial.
    pub fn http_address(&self, number: usize) -> SocketAddr {
        self.nodes[number].as_ref().unwrap().node.http_addresses()[0]
    }

    fn settings(&self, home: &Path, number: usize) -> Settings {
        let mut yml = format!(
            "cluster.name: test\nnode.name: node-{number}\ntransport.port: 0\nhttp.port: 0\n\
             cluster.initial_master_nodes: node-0\n\
             cluster.routing.allocation.disk.threshold_enabled: false\n\
             cluster.fault_detection.follower_check.interval: 200ms\n\
             cluster.fault_detection.follower_check.timeout: 10s\ntransport.ping_timeout: 10s\n"
        );
        for layer in ["transport", "http"] {
            yml.push_str(&format!(
                "xpack.security.{layer}.ssl:\n  enabled: true\n  keystore.path: node.p12\n  \
                 truststore.path: node.p12\n"
            ));
        }
        if !self.seeds.is_empty() {
            yml.push_str(&format!("discovery.seed_hosts: {}\n", json!(self.seeds)));
        }
        let config = home.join("config");
        std::fs::write(config.join("elasticsearch.yml"), yml).unwrap();
        let keystore = config.join("elasticsearch.keystore");
        let keystore = Keystore::load(&keystore, &SecretString::default()).unwrap();
        Settings::load(&config, &self.extra[number], Some(&keystore)).unwrap()
    }

    /// Stops a node and starts it with these settings beside those that all have.
    pub async fn restart_with(&mut self, number: usize, extra: &[(&str, &str)]) {
        self.stop_node(number).await;
        self.extra[number] = settings(extra);
        self.start_node(number).await;
    }

    /// Stops a node in order.
    pub async fn stop_node(&mut self, number: usize) {
        let running = self.nodes[number].take().unwrap();
        running.node.stop().await;
    }

    /// Waits until every running node sees so many.
    pub async fn wait_for_nodes(&self, count: usize) {
        for running in self.nodes.iter().flatten() {
            let all = running
                .node
                .wait_until(WITHIN, |state| state.nodes.len() == count)
                .await;
            assert!(all, "{} nodes expected", count);
        }
    }

    /// Sends a request to a node; the body is JSON, or text for NDJSON.
    pub async fn send(
        &self,
        number: usize,
        method: Method,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let (kind, text) = content(&body);
        let client = &self.nodes[number].as_ref().unwrap().client;
        let response = client.request(method, path, kind, text).await.unwrap();
        (response.status.as_u16(), response.json())
    }

    /// Sends a GET request.
    pub async fn get(&self, number: usize, path: &str) -> (u16, Value) {
        self.send(number, Method::GET, path, Value::Null).await
    }

    /// Sends a PUT request.
    pub async fn put(&self, number: usize, path: &str, body: Value) -> (u16, Value) {
        self.send(number, Method::PUT, path, body).await
    }

    /// Sends a POST request.
    pub async fn post(&self, number: usize, path: &str, body: Value) -> (u16, Value) {
        self.send(number, Method::POST, path, body).await
    }

    /// Sends a DELETE request.
    pub async fn delete(&self, number: usize, path: &str) -> (u16, Value) {
        self.send(number, Method::DELETE, path, Value::Null).await
    }

    /// Waits for a health status, and returns what the cluster says then.
    pub async fn wait_for_status(&self, number: usize, status: &str) -> Value {
        let path = format!("/_cluster/health?wait_for_status={status}&timeout=60s");
        let (_, health) = self.get(number, &path).await;
        assert_eq!(health["timed_out"], false, "{health}");
        health
    }

    /// Stops every node in order.
    pub async fn stop(mut self) {
        for number in 0..self.nodes.len() {
            if self.nodes[number].is_some() {
                self.stop_node(number).await;
            }
        }
    }
}

fn settings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = pairs
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    owned.collect()
}

fn content(body: &Value) -> (Option<&'static str>, String) {
    match body {
        Value::Null => (None, String::new()),
        Value::String(lines) => (Some("application/x-ndjson"), lines.clone()),
        body => (Some("application/json"), body.to_string()),
    }
}
