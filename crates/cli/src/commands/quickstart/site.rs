//! The directory of a quickstart cluster, and how it is laid out.
//!
//! ```text
//! DIR/ca/elastic-stack-ca.p12, ca.crt   the authority with its key; its certificate for clients
//! DIR/node-1/ …                         homes, as `ringwall init` makes them
//! DIR/console/                          the home of the console
//! DIR/state.json                        passwords, whether loaded; its presence ends the set-up
//! DIR/quickstart.json                   where the cluster is, while it runs
//! ```

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Instant;

use ringwall_base::SecretString;
use ringwall_base::fs::write_atomic;
use ringwall_pki::{CaParams, CertificateAuthority, DistinguishedName, NodeCertParams, PkiError};
use ringwall_settings::registry::{network, security};
use ringwall_settings::{Keystore, Settings};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::ports::Reserved;
use crate::commands::init;
use crate::error::{CommandError, ExitCode};
use crate::password::{self, ALPHANUMERIC};
use crate::terminal::Terminal;

/// What the command line asks for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) nodes: Option<usize>,
    pub(super) http_port: Option<u16>,
}

/// A cluster's directory.
#[derive(Debug)]
pub(super) struct Site {
    dir: PathBuf,
    state: State,
    nodes: Vec<NodeHome>,
}

/// One node, as its home describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeHome {
    pub(super) name: String,
    pub(super) home: PathBuf,
    pub(super) http: SocketAddr,
    pub(super) transport: SocketAddr,
}

/// What is remembered between runs; readable by the owner only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    /// How the directory is written. It grows with what an earlier version would misunderstand.
    #[serde(default = "first_format")]
    format: u32,
    pub(super) nodes: usize,
    /// Password of `elastic`. Who changes it there changes it here as well.
    #[serde(with = "secret")]
    pub(super) password: SecretString,
    /// Password of `ca/elastic-stack-ca.p12`, for certificates of further nodes.
    #[serde(with = "secret")]
    pub(super) ca_password: SecretString,
    pub(super) index: Option<String>,
    pub(super) is_loaded: bool,
}

impl State {
    /// Errors: the file is damaged, or of a later version.
    fn read(path: &Path, text: &[u8]) -> Result<Self, CommandError> {
        let state: Self = serde_json::from_slice(text).map_err(|error| {
            CommandError::config(format!("[{}] is damaged: {error}", path.display()))
        })?;
        if state.format > FORMAT {
            return Err(CommandError::config(format!(
                "[{}] has format [{}], and this version [{}] reads up to [{FORMAT}]: use the version that made the \
                 cluster, or another directory",
                path.display(),
                state.format,
                env!("CARGO_PKG_VERSION")
            )));
        }
        Ok(state)
    }
}

/// In the beginning the file did not say.
fn first_format() -> u32 {
    1
}

/// Makes the directory and locks it for this process, until the file returned is dropped.
///
/// Errors: another process has the lock; the directory holds something else, and is left untouched.
pub(super) fn lock(dir: &Path) -> Result<File, CommandError> {
    refuse_foreign(dir)?;
    fs::create_dir_all(dir).map_err(|error| {
        CommandError::cant_create(format!("cannot make [{}]: {error}", dir.display()))
    })?;
    let path = dir.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| CommandError::io(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(CommandError::new(
            ExitCode::Unavailable,
            format!("another quickstart runs in [{}]", dir.display()),
        )
        .with_hint("stop it with Ctrl-C, or name another directory with --dir")),
        Err(TryLockError::Error(error)) => Err(CommandError::io(&path, &error)),
    }
}

impl Site {
    /// Reads the cluster in a directory that this process has locked, or sets one up.
    ///
    /// Errors: the directory holds something else, or a cluster unlike the one asked for.
    pub(super) fn open_or_set_up(
        dir: &Path,
        wanted: &Wanted,
        terminal: &mut Terminal,
    ) -> Result<Self, CommandError> {
        let path = dir.join(STATE);
        match fs::read(&path) {
            Ok(text) => Self::open(dir, &Zeroizing::new(text), wanted, terminal),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Self::set_up(dir, wanted, terminal)
            }
            Err(error) => Err(CommandError::io(&path, &error)),
        }
    }

    /// Returns the directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the nodes in order.
    pub(super) fn nodes(&self) -> &[NodeHome] {
        &self.nodes
    }

    /// Returns what is remembered.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Returns the PEM file that clients trust the cluster by.
    pub(super) fn ca_file(&self) -> PathBuf {
        self.dir.join(CA_CERTIFICATE)
    }

    /// Returns the keystore of the authority.
    pub(super) fn ca_keystore(&self) -> PathBuf {
        self.dir.join(CA_KEYSTORE)
    }

    /// Takes `cluster.initial_master_nodes` out of the settings: it is for the first start only, and
    /// with lost data it would found a second cluster. Source: Elasticsearch reference, "Bootstrapping a cluster".
    pub(super) fn forget_initial_masters(&self) -> Result<(), CommandError> {
        for node in &self.nodes {
            let path = node.home.join(YML);
            let text =
                fs::read_to_string(&path).map_err(|error| CommandError::io(&path, &error))?;
            if text.contains(&self.initial_masters()) {
                let rest = text.replace(&self.initial_masters(), "");
                write(&path, rest.as_bytes(), 0o660)?;
            }
        }
        Ok(())
    }

    /// Remembers that the documents are there.
    pub(super) fn set_loaded(&mut self, index: &str) -> Result<(), CommandError> {
        self.state.index = Some(index.to_owned());
        self.state.is_loaded = true;
        self.save_state()
    }

    fn open(
        dir: &Path,
        text: &[u8],
        wanted: &Wanted,
        terminal: &mut Terminal,
    ) -> Result<Self, CommandError> {
        let state = State::read(&dir.join(STATE), text)?;
        let nodes = (1..=state.nodes)
            .map(|number| {
                let home = dir.join(node_name(number));
                // The program may have moved since.
                init::lay_out(&home)?;
                NodeHome::read(node_name(number), home)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let site = Self {
            dir: dir.to_owned(),
            state,
            nodes,
        };
        site.check(wanted)?;
        let nodes = site.nodes.len();
        terminal.out(format!(
            "Starting the cluster of {nodes} in {}",
            dir.display()
        ));
        Ok(site)
    }

    /// Refuses to start another cluster than the one asked for.
    fn check(&self, wanted: &Wanted) -> Result<(), CommandError> {
        let has = |what: &str, is: usize, wants: usize| {
            let dir = self.dir.display();
            CommandError::usage(format!(
                "the cluster in [{dir}] has {what} [{is}], not [{wants}]"
            ))
            .with_hint("leave the option out to start it as it is, or name another --dir")
        };
        if let Some(nodes) = wanted.nodes.filter(|nodes| *nodes != self.nodes.len()) {
            return Err(has("nodes", self.nodes.len(), nodes));
        }
        let port = self.nodes.first().map_or(0, |node| node.http.port());
        match wanted
            .http_port
            .filter(|wanted| *wanted != 0 && *wanted != port)
        {
            Some(wanted) => Err(has("http port", port.into(), wanted.into())),
            None => Ok(()),
        }
    }

    fn set_up(dir: &Path, wanted: &Wanted, terminal: &mut Terminal) -> Result<Self, CommandError> {
        claim(dir)?;
        let count = wanted.nodes.unwrap_or(DEFAULT_NODES);
        terminal.out(format!(
            "Setting up a cluster of {count} in {}",
            dir.display()
        ));
        terminal.status("  homes, certificates, keystores …");
        let begun = Instant::now();
        let mut reserved = Reserved::default();
        let http = reserved.http(wanted.http_port, count)?;
        let transport = reserved.any(count)?;
        let nodes = (1..=count)
            .zip(http.iter().zip(&transport))
            .map(|(number, (http, transport))| NodeHome {
                name: node_name(number),
                home: dir.join(node_name(number)),
                http: (Ipv4Addr::LOCALHOST, *http).into(),
                transport: (Ipv4Addr::LOCALHOST, *transport).into(),
            })
            .collect();
        let site = Self {
            dir: dir.to_owned(),
            nodes,
            state: State {
                format: FORMAT,
                nodes: count,
                password: password::generate(ALPHANUMERIC),
                ca_password: password::generate(ALPHANUMERIC),
                index: None,
                is_loaded: false,
            },
        };
        let authority = site.make_authority()?;
        site.make_nodes(&authority)?;
        site.save_state()?;
        remove_if_there(&dir.join(INCOMPLETE))?;
        super::done("homes, certificates, keystores", begun, terminal);
        Ok(site)
    }

    /// Makes the authority, as `certutil ca` does, and its certificate for clients.
    fn make_authority(&self) -> Result<CertificateAuthority, CommandError> {
        let authority = CertificateAuthority::generate(&CaParams::default()).map_err(failed)?;
        let directory = self.dir.join(CA_DIR);
        fs::create_dir_all(&directory).map_err(|error| CommandError::io(&directory, &error))?;
        let content = authority.to_p12(&self.state.ca_password).map_err(failed)?;
        write(&self.ca_keystore(), &Zeroizing::new(content), 0o600)?;
        write(
            &self.ca_file(),
            authority.certificate_pem().as_bytes(),
            0o644,
        )?;
        Ok(authority)
    }

    /// Makes the homes side by side: each needs a key, which takes a while.
    fn make_nodes(&self, authority: &CertificateAuthority) -> Result<(), CommandError> {
        std::thread::scope(|scope| {
            let nodes: Vec<_> = self
                .nodes
                .iter()
                .map(|node| scope.spawn(|| self.make_node(node, authority)))
                .collect();
            for node in nodes {
                node.join().map_err(|_| {
                    CommandError::new(ExitCode::CodeError, "a home could not be made")
                })??;
            }
            Ok(())
        })
    }

    /// Makes a home as `init`, `certutil cert` and `keystore` do, with its settings.
    fn make_node(
        &self,
        node: &NodeHome,
        authority: &CertificateAuthority,
    ) -> Result<(), CommandError> {
        init::lay_out(&node.home)?;
        let config = node.home.join("config");
        let store_password = password::generate(ALPHANUMERIC);
        let issued = authority
            .issue(&NodeCertParams {
                name: DistinguishedName::common_name(&node.name),
                dns: vec!["localhost".to_owned(), node.name.clone()],
                ips: vec![
                    Ipv4Addr::LOCALHOST.into(),
                    std::net::Ipv6Addr::LOCALHOST.into(),
                ],
                ..NodeCertParams::default()
            })
            .map_err(failed)?;
        let content = issued.to_p12(&node.name, &store_password).map_err(failed)?;
        write(&config.join(CERTIFICATES), &Zeroizing::new(content), 0o600)?;
        self.make_keystore(&config, &store_password)?;
        write(&node.home.join(YML), self.yml(node).as_bytes(), 0o660)
    }

    fn make_keystore(
        &self,
        config: &Path,
        store_password: &SecretString,
    ) -> Result<(), CommandError> {
        let refused = |error: ringwall_settings::KeystoreError| {
            CommandError::new(ExitCode::Failure, error.to_string())
        };
        let mut keystore = Keystore::create(SecretString::default());
        let bootstrap = security::BOOTSTRAP_PASSWORD.key();
        keystore
            .set(bootstrap, &self.state.password)
            .map_err(refused)?;
        for layer in ["transport", "http"] {
            for store in ["keystore", "truststore"] {
                let name = format!("xpack.security.{layer}.ssl.{store}.secure_password");
                keystore.set(&name, store_password).map_err(refused)?;
            }
        }
        keystore
            .save(&config.join("elasticsearch.keystore"))
            .map_err(refused)
    }

    fn yml(&self, node: &NodeHome) -> String {
        let seeds = quoted(self.nodes.iter().map(|node| node.transport.to_string()));
        let initial_masters = self.initial_masters();
        format!(
            "\
# Written by `ringwall quickstart`, and yours to change: it is read again at every start.
cluster.name: {CLUSTER}
node.name: {name}

network.host: 127.0.0.1
http.port: {http}
transport.port: {transport}

discovery.seed_hosts: [{seeds}]
{initial_masters}
# A machine to try things on may have a fuller disk than a server should.
cluster.routing.allocation.disk.threshold_enabled: false

# Nodes trust each other by certificate. The passwords of the files are in elasticsearch.keystore.
xpack.security.transport.ssl.enabled: true
xpack.security.transport.ssl.verification_mode: full
xpack.security.transport.ssl.client_authentication: required
xpack.security.transport.ssl.keystore.path: {CERTIFICATES}
xpack.security.transport.ssl.truststore.path: {CERTIFICATES}

# Clients trust the nodes by ../ca/ca.crt, and name themselves by user and password.
xpack.security.http.ssl.enabled: true
xpack.security.http.ssl.keystore.path: {CERTIFICATES}
xpack.security.http.ssl.truststore.path: {CERTIFICATES}
",
            name = node.name,
            http = node.http.port(),
            transport = node.transport.port(),
        )
    }

    /// Returns the line of elasticsearch.yml by which the nodes found the cluster together.
    fn initial_masters(&self) -> String {
        let names = quoted(self.nodes.iter().map(|node| node.name.clone()));
        format!("cluster.initial_master_nodes: [{names}]\n")
    }

    fn save_state(&self) -> Result<(), CommandError> {
        let path = self.dir.join(STATE);
        let text = serde_json::to_vec_pretty(&self.state)
            .map(Zeroizing::new)
            .map_err(|error| {
                CommandError::new(
                    ExitCode::Failure,
                    format!("cannot write the state: {error}"),
                )
            })?;
        write(&path, &text, 0o600)
    }
}

impl NodeHome {
    /// Reads the ports from the home's settings.
    fn read(name: String, home: PathBuf) -> Result<Self, CommandError> {
        let settings = Settings::load(&home.join("config"), &[], None)
            .map_err(|error| CommandError::config(error.to_string()))?;
        let address = |port: u16| (Ipv4Addr::LOCALHOST, port).into();
        Ok(Self {
            http: address(settings.get(&network::HTTP_PORT).first),
            transport: address(settings.get(&network::TRANSPORT_PORT).first),
            name,
            home,
        })
    }

    /// Returns the file that the node's output goes to.
    pub(super) fn log(&self) -> PathBuf {
        self.home.join("logs").join(format!("{CLUSTER}.log"))
    }

    /// Returns the base URL of the node.
    pub(super) fn url(&self) -> String {
        format!("https://{}", self.http)
    }
}

/// Marks a directory as being set up. What a broken-off set-up left, which never had any data, is
/// removed.
fn claim(dir: &Path) -> Result<(), CommandError> {
    let marker = dir.join(INCOMPLETE);
    let is_incomplete = marker.exists();
    for path in entries(dir)? {
        if !is_part(&path) {
            continue;
        }
        if !is_incomplete {
            return Err(foreign(dir));
        }
        fs::remove_dir_all(&path).map_err(|error| CommandError::io(&path, &error))?;
    }
    write(&marker, b"", 0o600)
}

/// Refuses a directory that is neither empty nor a cluster's.
fn refuse_foreign(dir: &Path) -> Result<(), CommandError> {
    let is_known = |path: &PathBuf| {
        let known = [STATE, LOCK, INCOMPLETE].map(|name| dir.join(name));
        known.contains(path) || is_part(path)
    };
    if dir.join(STATE).exists() || entries(dir)?.iter().all(is_known) {
        return Ok(());
    }
    Err(foreign(dir))
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let failed = |error: io::Error| CommandError::io(dir, &error);
    let listing = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(failed)?,
    };
    listing
        .map(|entry| Ok(entry.map_err(failed)?.path()))
        .collect()
}

/// Returns whether a path is one of the directories that a set-up makes.
fn is_part(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == CA_DIR || name.starts_with(NODE_PREFIX)
}

fn foreign(dir: &Path) -> CommandError {
    let message = format!(
        "[{}] is not empty and holds no quickstart cluster",
        dir.display()
    );
    CommandError::cant_create(message).with_hint("name a new or an empty directory with --dir")
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), CommandError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(CommandError::io(path, &error))
        }
        _ => Ok(()),
    }
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), CommandError> {
    write_atomic(path, content, mode).map_err(|error| CommandError::io(path, &error))
}

fn failed(error: PkiError) -> CommandError {
    CommandError::new(ExitCode::Failure, error.to_string())
}

fn quoted(items: impl Iterator<Item = String>) -> String {
    items
        .map(|item| format!("{item:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn node_name(number: usize) -> String {
    format!("{NODE_PREFIX}{number}")
}

/// Secrets in the state file, which only its owner reads.
mod secret {
    use ringwall_base::SecretString;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        secret: &SecretString,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SecretString, D::Error> {
        String::deserialize(deserializer).map(SecretString::new)
    }
}

const DEFAULT_NODES: usize = 3;
const CLUSTER: &str = "quickstart";
const NODE_PREFIX: &str = "node-";
const CA_DIR: &str = "ca";
const CA_KEYSTORE: &str = "ca/elastic-stack-ca.p12";
const CA_CERTIFICATE: &str = "ca/ca.crt";
const CERTIFICATES: &str = "elastic-certificates.p12";
const YML: &str = "config/elasticsearch.yml";
const FORMAT: u32 = 1;
const STATE: &str = "state.json";
const LOCK: &str = ".lock";
const INCOMPLETE: &str = ".set-up-incomplete";

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;
