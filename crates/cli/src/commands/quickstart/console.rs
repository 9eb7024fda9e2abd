//! The console of the cluster: a home of its own in `DIR/console`, with HTTPS on both sides.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringwall_base::fs::write_atomic;
use ringwall_pki::{CertificateAuthority, DistinguishedName, NodeCertParams, PkiError, pem};
use ringwall_settings::console::{ConsoleSettings, FILE, registry};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::ports::Reserved;
use super::processes::Processes;
use super::site::{Site, Wanted};
use crate::commands::init;
use crate::error::{CommandError, ExitCode};

/// The home of the console, and its process once it runs.
pub(super) struct Console {
    home: PathBuf,
    address: SocketAddr,
    pub(super) processes: Processes,
}

impl Console {
    /// Finds the console of a site, or lays it out: a certificate of the cluster's authority, and `kibana.yml`.
    pub(super) fn open_or_set_up(site: &Site, wanted: &Wanted) -> Result<Self, CommandError> {
        let home = site.dir().join("console");
        let is_new = !init::lay_out(&home)?;
        let config = home.join("config");
        // Whatever was broken off before this is written is done again.
        if is_new || !config.join(CERTIFICATE).exists() {
            let mut reserved = Reserved::default();
            let port = reserved.console(wanted.http_port)?;
            let yml = yml(site, port);
            write(config.join(FILE), yml.as_bytes(), 0o660)?;
            make_certificate(site, &home)?;
        }
        let settings = ConsoleSettings::load(&config, &[], None)
            .map_err(|error| CommandError::config(error.to_string()))?;
        // The setting takes no other numbers.
        let port = u16::try_from(settings.get(&registry::SERVER_PORT)).unwrap_or(0);
        Ok(Self {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            home,
            processes: Processes::default(),
        })
    }

    /// Starts it, and returns once it listens.
    pub(super) async fn start(&mut self) -> Result<(), CommandError> {
        let log = self.home.join("logs/console.log");
        self.processes
            .spawn("console", &self.home, "bin/kibana", log)?;
        let begun = Instant::now();
        let listens = async {
            while TcpStream::connect(self.address).await.is_err() {
                if begun.elapsed() >= WITHIN {
                    let seconds = WITHIN.as_secs();
                    return Err(CommandError::unavailable(format!(
                        "the console does not listen after {seconds} s"
                    )));
                }
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        };
        tokio::select! {
            biased;
            ended = self.processes.next_end() => Err(ended.died_early().with_hint(format!(
                "its settings are in {}; --no-console leaves it out",
                self.home.join("config").join(FILE).display()
            ))),
            result = listens => result,
        }
    }

    /// Returns where browsers find it.
    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

fn yml(site: &Site, port: u16) -> String {
    let mut text = format!(
        "\
# Written by `ringwall quickstart`, and yours to change: it is read again at every start.
server.host: \"127.0.0.1\"
server.port: {port}

# Browsers trust the console by ../../ca/ca.crt, as clients do the nodes.
server.ssl.enabled: true
server.ssl.certificate: {CERTIFICATE}
server.ssl.key: {KEY}

elasticsearch.ssl.certificateAuthorities: [ ../../ca/ca.crt ]
elasticsearch.hosts:
"
    );
    for node in site.nodes() {
        // Writing to a text does not fail.
        let _ = writeln!(text, "  - \"{}\"", node.url());
    }
    text
}

fn make_certificate(site: &Site, home: &Path) -> Result<(), CommandError> {
    let failed = |error: PkiError| CommandError::new(ExitCode::Failure, error.to_string());
    let authority = CertificateAuthority::load_p12(&site.ca_keystore(), &site.state().ca_password)
        .map_err(failed)?;
    let issued = authority
        .issue(&NodeCertParams {
            name: DistinguishedName::common_name("console"),
            dns: vec!["localhost".to_owned()],
            ips: vec![Ipv4Addr::LOCALHOST.into()],
            ..NodeCertParams::default()
        })
        .map_err(failed)?;
    let key = pem::encode_private_key(&issued.key, None).map_err(failed)?;
    let config = home.join("config");
    write(config.join(KEY), key.expose().as_bytes(), 0o600)?;
    write(
        config.join(CERTIFICATE),
        issued.chain_pem().as_bytes(),
        0o644,
    )
}

fn write(path: PathBuf, content: &[u8], mode: u32) -> Result<(), CommandError> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(|error| CommandError::io(directory, &error))?;
    }
    write_atomic(&path, content, mode).map_err(|error| CommandError::io(&path, &error))
}

/// Written last: with it, the home is whole.
const CERTIFICATE: &str = "console.crt";
const KEY: &str = "console.key";
/// Generous: the machine may be busy, and an end is seen at once anyway.
const WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
