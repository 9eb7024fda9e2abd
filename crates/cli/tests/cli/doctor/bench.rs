//! Homes with certificates made to order, listeners, and the report of `doctor`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use ringwall_base::SecretString;
use ringwall_pki::{
    CaParams, CertificateAuthority, DistinguishedName, KeySpec, NodeCertParams, p12, pem,
};
use ringwall_settings::Settings;
use ringwall_tls::{SslConfig, SslContext};
use serde_json::Value;

use crate::home::{Home, Outcome, ringwall, run};

/// Far more than a start takes on a busy machine.
pub(super) const WITHIN: Duration = Duration::from_secs(120);

/// A home whose node has a certificate of its own for both layers.
pub(super) struct Bench {
    pub(super) home: Home,
    issued: Option<ringwall_pki::IssuedCertificate>,
}

/// Takes out what the limits of the machine that tests gave rise to.
fn forget_this_machine(json: &mut Value) {
    let findings = json["findings"].as_array_mut().unwrap();
    findings.retain(|finding| finding["check"] != "system_limits" || finding["status"] == "error");
    let only_fine = findings.iter().all(|finding| finding["status"] == "ok");
    if only_fine && json["status"] == "warning" {
        json["status"] = "ok".into();
    }
}

impl Bench {
    /// Returns a home with a certificate of the CA for 127.0.0.1, adjusted.
    pub(super) fn new(ca: &CertificateAuthority, adjust: impl Fn(&mut NodeCertParams)) -> Self {
        let mut bench = Self::untouched();
        let mut params = NodeCertParams {
            ips: vec!["127.0.0.1".parse().unwrap()],
            key: KeySpec::EcP256,
            ..NodeCertParams::default()
        };
        adjust(&mut params);
        let issued = ca.issue(&params).unwrap();
        let key = pem::encode_private_key(&issued.key, None).unwrap();
        bench.write("node.key", key.expose());
        bench.write("node.crt", pem::encode_certificates(&issued.chain));
        bench.write("ca.crt", ca.certificate_pem());
        bench.set_yml(YML);
        bench.issued = Some(issued);
        bench
    }

    pub(super) fn untouched() -> Self {
        Self {
            home: Home::new(),
            issued: None,
        }
    }

    pub(super) fn config(&self, name: &str) -> PathBuf {
        self.home.path().join("config").join(name)
    }

    pub(super) fn set_yml(&self, text: &str) {
        self.write("elasticsearch.yml", text);
    }

    pub(super) fn append(&self, text: &str) {
        let before = std::fs::read_to_string(self.config("elasticsearch.yml")).unwrap();
        self.set_yml(&format!("{before}{text}"));
    }

    /// Has the node take its key from a PKCS#12 file of a password, and stores another as told.
    pub(super) fn use_keystore(&self, password: &str, stored: &str) {
        let issued = self.issued.as_ref().unwrap();
        let entry = p12::WriteEntry::Key {
            alias: "node",
            key: &issued.key,
            chain: &issued.chain,
        };
        let content = p12::write(&[entry], &SecretString::from(password)).unwrap();
        self.write("node.p12", content);
        let mut yml = String::new();
        for line in YML.lines() {
            let (before, _) = line.split_once(".ssl.").unwrap_or((line, ""));
            if line.contains("ssl.key:") {
                yml.push_str(&format!("{before}.ssl.keystore.path: node.p12\n"));
            } else if !line.contains("ssl.certificate:") {
                yml.push_str(&format!("{line}\n"));
            }
        }
        self.set_yml(&yml);
        let _ = std::fs::remove_file(self.home.keystore_file());
        self.home.keystore(&["create"], "").quiet();
        for layer in ["transport", "http"] {
            let setting = format!("xpack.security.{layer}.ssl.keystore.secure_password");
            let line = format!("{stored}\n");
            self.home
                .keystore(&["add", "--stdin", &setting], &line)
                .quiet();
        }
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_answering(arguments, "")
    }

    fn run_answering(&self, arguments: &[&str], stdin: &str) -> Outcome {
        let mut command = ringwall();
        command
            .arg("doctor")
            .args(arguments)
            .env("ES_HOME", self.home.path());
        run(&mut command, stdin)
    }

    /// Returns the report as JSON.
    #[track_caller]
    pub(super) fn doctor(&self, arguments: &[&str]) -> Diagnosis {
        self.doctor_answering(arguments, "")
    }

    #[track_caller]
    pub(super) fn doctor_answering(&self, arguments: &[&str], stdin: &str) -> Diagnosis {
        let arguments = [arguments, &["--json"]].concat();
        let outcome = self.run_answering(&arguments, stdin);
        let line = outcome.stdout.lines().last().unwrap_or_default();
        let mut json: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
        forget_this_machine(&mut json);
        Diagnosis {
            status: outcome.status,
            json,
        }
    }

    /// Returns what the node of this home would accept transport connections with.
    pub(super) fn context(&self) -> Arc<SslContext> {
        self.context_of(super::TRANSPORT, "h2")
    }

    pub(super) fn context_of(&self, prefix: &str, alpn: &str) -> Arc<SslContext> {
        let directory = self.home.path().join("config");
        let settings = Settings::load(&directory, &[], None).unwrap();
        let config = SslConfig::from_settings(&settings, prefix);
        SslContext::load(config.unwrap().unwrap(), &[alpn]).unwrap()
    }

    /// Starts the node of this home.
    pub(super) fn start(&self, arguments: &[&str]) -> Node {
        let mut command = self.home.tool("elasticsearch");
        let ports = ["-E", "http.port=0", "-E", "transport.port=0"];
        let child = command
            .args(ports)
            .args(arguments)
            .arg("--until-stdin-ends")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Stopped whatever happens from here on.
        let mut node = Node {
            child,
            address: String::new(),
            https: String::new(),
        };
        let log = node.child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                // Nobody listens once the address is known; the pipe must not fill up.
                let _ = sender.send(line);
            }
        });
        let mut seen = Vec::new();
        loop {
            let line = match lines.recv_timeout(WITHIN) {
                Ok(line) => line,
                Err(error) => panic!("{error}: {seen:#?}"),
            };
            if let Some((_, rest)) = line.split_once("publish_address {") {
                if node.address.is_empty() {
                    node.address = rest.split('}').next().unwrap().to_owned();
                }
            } else if let Some((_, rest)) = line.split_once("http_addresses=[") {
                let address = rest.split([',', ']']).next().unwrap();
                node.https = format!("https://{address}");
                return node;
            }
            seen.push(line);
        }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        use std::os::unix::fs::PermissionsExt;
        let file = self.config(name);
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o660)).unwrap();
    }
}

/// A node that runs; stopped when dropped.
pub(super) struct Node {
    child: Child,
    pub(super) address: String,
    /// The base URL.
    pub(super) https: String,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What `doctor --json` told.
#[derive(Debug)]
pub(super) struct Diagnosis {
    status: i32,
    pub(super) json: Value,
}

impl Diagnosis {
    #[track_caller]
    pub(super) fn is(&self, exit: i32, status: &str) {
        let told = self.json["status"].as_str().unwrap();
        assert_eq!((self.status, told), (exit, status), "{:#}", self.json);
    }

    pub(super) fn all(&self, check: &str) -> Vec<&Value> {
        let findings = self.json["findings"].as_array().unwrap().iter();
        findings.filter(|found| found["check"] == check).collect()
    }

    /// Returns the worst finding of a check.
    #[track_caller]
    pub(super) fn finding(&self, check: &str) -> &Value {
        let all = self.all(check);
        let rank = |found: &&&Value| match found["status"].as_str() {
            Some("error") => 2,
            Some("warning") => 1,
            _ => 0,
        };
        let worst = all.iter().max_by_key(rank);
        worst.unwrap_or_else(|| panic!("no [{check}] in {:#}", self.json))
    }

    /// Returns the error of a check, which says this.
    #[track_caller]
    pub(super) fn error(&self, check: &str, part: &str) -> &Value {
        let found = self
            .all(check)
            .into_iter()
            .filter(|found| found["status"] == "error")
            .find(|found| found["message"].as_str().unwrap().contains(part));
        let found = found.unwrap_or_else(|| panic!("no [{check}] [{part}] in {:#}", self.json));
        assert!(found["action"].is_string(), "{found:#}");
        found
    }
}

pub(super) fn authority(name: &str) -> CertificateAuthority {
    let params = CaParams {
        dn: DistinguishedName::common_name(name),
        key: KeySpec::EcP256,
        ..CaParams::default()
    };
    CertificateAuthority::generate(&params).unwrap()
}

/// Makes a certificate that has ended.
pub(super) fn expired(params: &mut NodeCertParams) {
    params.days = 1;
    params.not_before = Some(Timestamp::now() - 72.hours());
}

/// Accepts TLS for as long as the test lasts, and says nothing more. Returns the address.
pub(super) fn accept_tls(context: Arc<SslContext>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let mut held = Vec::new();
            while let Ok((tcp, peer)) = listener.accept().await {
                held.push(context.accept(tcp, peer, WITHIN).await);
            }
        });
    });
    address
}

/// Answers every connection with HTTP in plain text; closes on what is TLS.
pub(super) fn accept_plaintext() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut first = [0; 1];
            if stream.read_exact(&mut first).is_ok() && first[0] != 0x16 {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
            }
        }
    });
    address
}

const YML: &str = "\
cluster.name: doctor
node.name: n1
cluster.initial_master_nodes: n1
xpack.security.transport.ssl.enabled: true
xpack.security.transport.ssl.key: node.key
xpack.security.transport.ssl.certificate: node.crt
xpack.security.transport.ssl.certificate_authorities: ca.crt
xpack.security.http.ssl.enabled: true
xpack.security.http.ssl.key: node.key
xpack.security.http.ssl.certificate: node.crt
xpack.security.http.ssl.certificate_authorities: ca.crt
";
