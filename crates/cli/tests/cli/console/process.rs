//! A console that runs, and what it says.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ringwall_pki::{
    CaParams, CertificateAuthority, DistinguishedName, KeySpec, NodeCertParams, pem,
};
use ringwall_rest::http_client::HttpClient;
use ringwall_settings::VerificationMode;
use ringwall_tls::{SslContext, ToolTrust};
use rustix::process::Signal;

use super::browser::Browser;
use crate::home::{Home, run};
use crate::running::{Quickstart, signal};

/// A home with the certificates of a console, and the place of its cluster.
pub struct Site {
    home: Home,
    cluster: String,
}

impl Site {
    /// Makes what an operator makes: a certificate for the console, the CA of the cluster, and the password in the
    /// keystore.
    pub fn of(cluster: &Quickstart) -> Self {
        let home = Home::new();
        let config = home.path().join("config");
        let own = authority("Console CA");
        let issued = own
            .issue(&NodeCertParams {
                name: DistinguishedName::common_name("kibana-server"),
                dns: vec!["localhost".to_owned()],
                ..NodeCertParams::default()
            })
            .unwrap();
        let write = |name: &str, text: &str| std::fs::write(config.join(name), text).unwrap();
        write("own-ca.pem", &own.certificate_pem());
        write("other-ca.pem", &authority("Another CA").certificate_pem());
        write("kibana-server.crt", &issued.chain_pem());
        let key = pem::encode_private_key(&issued.key, None).unwrap();
        write("kibana-server.key", key.expose());
        let ca = cluster.told["ca"].as_str().unwrap();
        std::fs::copy(ca, config.join("elasticsearch-ca.pem")).unwrap();
        let keystore = |arguments: &[&str], stdin: &str| {
            run(home.tool("kibana-keystore").args(arguments), stdin).quiet();
        };
        keystore(&["create"], "");
        keystore(
            &["add", "-x", "elasticsearch.password"],
            "console-password\n",
        );
        Self {
            cluster: cluster.url(0).to_owned(),
            home,
        }
    }

    /// Starts the console with some settings other than usual.
    pub fn start(&self, settings: &[(&str, &str)]) -> ConsoleProcess {
        let mut yml = String::new();
        let usual = [
            ("server.port", "0"),
            ("server.ssl.enabled", "true"),
            ("server.ssl.certificate", "kibana-server.crt"),
            ("server.ssl.key", "kibana-server.key"),
            ("elasticsearch.hosts", self.cluster.as_str()),
            ("elasticsearch.username", "kibana_system"),
            (
                "elasticsearch.ssl.certificateAuthorities",
                "elasticsearch-ca.pem",
            ),
        ];
        let is_other = |key: &str| settings.iter().any(|(other, _)| *other == key);
        for (key, value) in usual.iter().filter(|(key, _)| !is_other(key)) {
            writeln!(yml, "{key}: \"{value}\"").unwrap();
        }
        std::fs::write(self.home.path().join("config/kibana.yml"), yml).unwrap();
        let mut command = self.home.tool("kibana");
        command.arg("--until-stdin-ends");
        for (key, value) in settings {
            command.arg("-E").arg(format!("{key}={value}"));
        }
        ConsoleProcess::start(&mut command, self.home.path().join("config"))
    }
}

pub fn authority(name: &str) -> CertificateAuthority {
    CertificateAuthority::generate(&CaParams {
        dn: DistinguishedName::common_name(name),
        key: KeySpec::EcP256,
        ..CaParams::default()
    })
    .unwrap()
}

/// `bin/kibana`; it stops when this is dropped, as its input ends.
pub struct ConsoleProcess {
    child: Child,
    log: Arc<(Mutex<String>, Condvar)>,
    config: PathBuf,
    port: u16,
}

impl ConsoleProcess {
    fn start(command: &mut Command, config: PathBuf) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log: Arc<(Mutex<String>, Condvar)> = Arc::default();
        let (lines, written) = (
            BufReader::new(child.stderr.take().unwrap()),
            Arc::clone(&log),
        );
        std::thread::spawn(move || {
            for line in lines.lines() {
                writeln!(written.0.lock().unwrap(), "{}", line.unwrap()).unwrap();
                written.1.notify_all();
            }
        });
        let mut console = Self {
            child,
            log,
            config,
            port: 0,
        };
        let said = console.wait_for("the console is at [https://localhost:");
        let (_, rest) = said.split_once("https://localhost:").unwrap();
        console.port = rest.split(']').next().unwrap().parse().unwrap();
        console
    }

    /// Waits until the log has a text, and returns the log.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        let (log, changed) = &*self.log;
        let (log, waited) = changed
            .wait_timeout_while(log.lock().unwrap(), WITHIN, |log| !log.contains(text))
            .unwrap();
        assert!(!waited.timed_out(), "no [{text}] in\n{}", *log);
        log.clone()
    }

    pub fn browser(&self) -> Browser {
        self.browser_trusting("own-ca.pem")
    }

    pub fn try_trusting(&self, ca: &str) -> Result<(), String> {
        self.browser_trusting(ca).try_get("/login").map(|_| ())
    }

    fn browser_trusting(&self, ca: &str) -> Browser {
        let ca: &Path = &self.config.join(ca);
        let trust = ToolTrust::CaFiles(vec![ca.to_owned()]);
        let tls = SslContext::for_tools("test", trust, VerificationMode::Full).unwrap();
        let url = format!("https://localhost:{}", self.port);
        Browser::new(HttpClient::new(&url, Some(tls), None).unwrap())
    }

    /// Connects and says nothing.
    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(("localhost", self.port)).unwrap()
    }

    /// Talks HTTP and returns what comes.
    pub fn plain_get(&self) -> String {
        let mut stream = self.connect();
        write!(stream, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut said = String::new();
        // A reset after the answer is no matter.
        let _ = stream.read_to_string(&mut said);
        said
    }

    /// Stops it by SIGTERM.
    #[track_caller]
    pub fn stop(mut self) {
        signal(self.child.id(), Signal::TERM);
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}\n{}", self.log.0.lock().unwrap());
    }
}

impl Drop for ConsoleProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Far more than any step takes on an idle machine.
const WITHIN: Duration = Duration::from_secs(120);
