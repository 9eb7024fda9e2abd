//! Writing the certificates, the keystore and the settings of a node that secures itself: all of it, or
//! nothing. Source: Elasticsearch reference, "Start the Elastic Stack with security enabled automatically".

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ringwall_base::SecretString;
use ringwall_base::fs::{replace_atomic, sync_dir, write_atomic};
use ringwall_settings::registry::{cluster, security};
use ringwall_settings::{Keystore, Settings};

use super::has_addresses;
use super::material::Material;
use crate::error::CommandError;
use crate::paths::Paths;

/// How the node finds others.
pub(super) enum Discovery {
    /// It forms a cluster of its own under this name.
    Alone(String),
    /// As its settings say already.
    Given,
    /// It joins the nodes at these transport addresses.
    Enrolled(Vec<String>),
}

/// What goes into elasticsearch.yml.
pub(super) struct SettingsBlock<'a> {
    pub(super) settings: &'a Settings,
    pub(super) discovery: Discovery,
    /// Keys of an earlier block, which goes: its settings do not count as set.
    pub(super) replaced: Vec<String>,
    /// Lines of the owner that stood in an earlier block.
    pub(super) kept: Vec<String>,
}

/// Where everything goes.
pub(super) struct Writer {
    config: PathBuf,
    yml: PathBuf,
    keystore: PathBuf,
    /// Names what is set aside: seconds since the epoch.
    moment: u64,
}

/// Returns the first moment from `now` on that names nothing yet: an attempt that was killed may have been
/// made in the same second.
fn free_moment(config: &Path, now: u64) -> u64 {
    let is_free = |moment: &u64| {
        let taken = |suffix: &str| config.join(format!("{CERTS}.{moment}.{suffix}"));
        !taken("tmp").exists() && !taken("orig").exists()
    };
    (now..).find(is_free).unwrap_or(now)
}

impl Writer {
    /// Errors: the configuration directory cannot be written to.
    pub(super) fn new(paths: &Paths) -> Result<Self, CommandError> {
        let config = paths.config().to_owned();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        rustix::fs::access(&config, rustix::fs::Access::WRITE_OK).map_err(|error| {
            CommandError::cant_create(format!(
                "cannot write to the configuration directory [{}]: {error}",
                config.display()
            ))
        })?;
        Ok(Self {
            yml: paths.yml(),
            keystore: paths.keystore(),
            moment: free_moment(&config, since_epoch.map_or(0, |elapsed| elapsed.as_secs())),
            config,
        })
    }

    /// Writes certificates, then passwords, then settings: without the settings the rest has no effect,
    /// and an interrupted attempt is repeated by the next start. What fails is undone.
    pub(super) fn write(
        &self,
        material: &Material,
        block: &SettingsBlock<'_>,
        keystore: &mut Keystore,
    ) -> Result<(), CommandError> {
        let certs = self.config.join(CERTS);
        let old_certs = self.write_certificates(material, &certs)?;
        let outcome = self.write_rest(material, block, keystore);
        if outcome.is_err() {
            // The first error is the one to report; the next start repeats what is half done.
            let _ = fs::remove_dir_all(&certs);
            if let Some(old) = &old_certs {
                let _ = fs::rename(old, &certs);
            }
        }
        outcome
    }

    /// Returns where the certificates went that were there before.
    fn write_certificates(
        &self,
        material: &Material,
        certs: &Path,
    ) -> Result<Option<PathBuf>, CommandError> {
        let beside = |suffix: &str| {
            self.config
                .join(format!("{CERTS}.{}.{suffix}", self.moment))
        };
        let temporary = beside("tmp");
        let made = self.fill(material, &temporary);
        if let Err((path, error)) = made {
            let _ = fs::remove_dir_all(&temporary);
            return Err(CommandError::io(&path, &error));
        }
        let old = beside("orig");
        let failed = |error| CommandError::io(certs, &error);
        let had_old = match fs::rename(certs, &old) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed(error)),
        };
        fs::rename(&temporary, certs).map_err(failed)?;
        sync_dir(&self.config).map_err(failed)?;
        Ok(had_old.then_some(old))
    }

    fn fill(&self, material: &Material, directory: &Path) -> Result<(), (PathBuf, io::Error)> {
        fs::DirBuilder::new()
            .mode(0o750)
            .create(directory)
            .map_err(|error| (directory.to_owned(), error))?;
        for (name, content) in [
            (HTTP_CA, material.http_ca.as_bytes()),
            ("http.p12", &material.http),
            ("transport.p12", &material.transport),
        ] {
            let path = directory.join(name);
            write_atomic(&path, content, 0o660).map_err(|error| (path, error))?;
        }
        Ok(())
    }

    fn write_rest(
        &self,
        material: &Material,
        block: &SettingsBlock<'_>,
        keystore: &mut Keystore,
    ) -> Result<(), CommandError> {
        let failed =
            |error: ringwall_settings::KeystoreError| CommandError::data(error.to_string());
        let before = match fs::read(&self.keystore) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(CommandError::io(&self.keystore, &error)),
        };
        let passwords: [(&str, &SecretString); 3] = [
            (KEYSTORE_PASSWORDS[0], &material.transport_password),
            (KEYSTORE_PASSWORDS[1], &material.transport_password),
            (KEYSTORE_PASSWORDS[2], &material.http_password),
        ];
        for (name, password) in passwords {
            keystore.set(name, password).map_err(failed)?;
        }
        keystore.save(&self.keystore).map_err(failed)?;
        let outcome = self.write_yml(block);
        if outcome.is_err() {
            let _ = match before {
                Some(bytes) => replace_atomic(&self.keystore, &bytes, 0o660).map(drop),
                None => fs::remove_file(&self.keystore),
            };
        }
        outcome
    }

    fn write_yml(&self, block: &SettingsBlock<'_>) -> Result<(), CommandError> {
        let failed = |error| CommandError::io(&self.yml, &error);
        let text = fs::read_to_string(&self.yml).map_err(failed)?;
        let mut text = without_block(&text);
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&block.text());
        replace_atomic(&self.yml, text.as_bytes(), 0o660)
            .map(drop)
            .map_err(failed)
    }
}

impl SettingsBlock<'_> {
    fn text(&self) -> String {
        let mut lines = vec![
            BLOCK_BEGIN.to_owned(),
            "#".to_owned(),
            "# The node wrote these lines when it started for the first time: TLS between nodes and".to_owned(),
            "# for clients, with certificates of its own making in the directory certs.".to_owned(),
            "#".to_owned(),
            String::new(),
            "xpack.security.enabled: true".to_owned(),
        ];
        let enrollment = security::ENROLLMENT_ENABLED.key();
        if !self.settings.is_set(enrollment) || self.replaced.iter().any(|key| key == enrollment) {
            lines.push("xpack.security.enrollment.enabled: true".to_owned());
        }
        lines.extend(TLS.lines().map(str::to_owned));
        let remote = match &self.discovery {
            Discovery::Given => false,
            Discovery::Alone(name) => {
                lines.push(String::new());
                lines.push("# Only looked at until the cluster has formed".to_owned());
                lines.push(list(
                    cluster::INITIAL_MASTER_NODES.key(),
                    std::slice::from_ref(name),
                ));
                false
            }
            Discovery::Enrolled(addresses) => {
                lines.push(String::new());
                lines.push("# The nodes of the cluster when this one was enrolled".to_owned());
                lines.push(list(cluster::DISCOVERY_SEED_HOSTS.key(), addresses));
                addresses.iter().any(|address| !is_loopback(address))
            }
        };
        if !has_addresses(self.settings, &self.replaced) {
            lines.push(String::new());
            lines.push(
                "# HTTPS for clients on every address; they need a user or an API key".to_owned(),
            );
            lines.push("http.host: 0.0.0.0".to_owned());
            lines.push(String::new());
            lines.push("# Other hosts can join when the transport layer listens on an address that they reach".to_owned());
            lines.push(format!(
                "{}transport.host: 0.0.0.0",
                if remote { "" } else { "#" }
            ));
        }
        lines.extend(self.kept.iter().cloned());
        lines.push(BLOCK_END.to_owned());
        lines.push(String::new());
        lines.join("\n")
    }
}

fn is_loopback(address: &str) -> bool {
    let parsed = address.parse::<std::net::SocketAddr>();
    parsed.is_ok_and(|parsed| parsed.ip().is_loopback())
}

/// Writes a list in flow style; JSON's strings are YAML's.
fn list(key: &str, items: &[String]) -> String {
    let items: Vec<String> = items
        .iter()
        .map(|item| serde_json::json!(item).to_string())
        .collect();
    format!("{key}: [{}]", items.join(", "))
}

/// Returns the lines between the marks of a block that was written here; `None` without one.
pub(in crate::commands) fn settings_block(text: &str) -> Option<Vec<String>> {
    let mut lines = text.lines().skip_while(|line| line.trim() != BLOCK_BEGIN);
    lines.next()?;
    let inside = lines.take_while(|line| line.trim() != BLOCK_END);
    Some(inside.map(str::to_owned).collect())
}

/// Returns the keys that this program wrote into a block, and the lines that its owner added.
pub(super) fn sort_block(lines: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut added) = (Vec::new(), Vec::new());
    for line in lines {
        let own = OWN.iter().find(|key| line.starts_with(&format!("{key}:")));
        match own {
            Some(key) => keys.push((*key).to_owned()),
            None if line.is_empty() || line.starts_with(['#', ' ']) => {}
            None => added.push(line.clone()),
        }
    }
    (keys, added)
}

fn without_block(text: &str) -> String {
    let mut is_inside = false;
    let mut kept = String::new();
    for line in text.split_inclusive('\n') {
        match line.trim() {
            BLOCK_BEGIN => is_inside = true,
            BLOCK_END if is_inside => is_inside = false,
            _ if !is_inside => kept.push_str(line),
            _ => {}
        }
    }
    kept
}

/// Returns whether an earlier attempt wrote certificates, but did not come to the settings.
pub(super) fn is_interrupted(config: &Path) -> bool {
    config.join(CERTS).join(HTTP_CA).exists()
}

pub(in crate::commands) const BLOCK_BEGIN: &str =
    "#----------------------- BEGIN SECURITY AUTO CONFIGURATION -----------------------";
const BLOCK_END: &str =
    "#----------------------- END SECURITY AUTO CONFIGURATION -------------------------";
const TLS: &str = "
# TLS for clients
xpack.security.http.ssl:
  enabled: true
  keystore.path: certs/http.p12

# Mutual TLS between nodes
xpack.security.transport.ssl:
  enabled: true
  verification_mode: certificate
  keystore.path: certs/transport.p12
  truststore.path: certs/transport.p12";

/// The keys at the beginning of a line that a block may have.
const OWN: &[&str] = &[
    "xpack.security.enabled",
    "xpack.security.enrollment.enabled",
    "xpack.security.http.ssl",
    "xpack.security.transport.ssl",
    "cluster.initial_master_nodes",
    "discovery.seed_hosts",
    "http.host",
    "transport.host",
];

/// Below the configuration directory.
pub(in crate::commands) const CERTS: &str = "certs";
const HTTP_CA: &str = "http_ca.crt";

/// The secure settings that are written.
pub(super) const KEYSTORE_PASSWORDS: [&str; 3] = [
    "xpack.security.transport.ssl.keystore.secure_password",
    "xpack.security.transport.ssl.truststore.secure_password",
    "xpack.security.http.ssl.keystore.secure_password",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_attempts_in_one_second_do_not_meet() {
        let config = tempfile::tempdir().unwrap();
        assert_eq!(free_moment(config.path(), 7), 7);
        fs::create_dir(config.path().join("certs.7.tmp")).unwrap();
        fs::create_dir(config.path().join("certs.8.orig")).unwrap();
        assert_eq!(free_moment(config.path(), 7), 9);
    }

    #[test]
    fn a_block_is_found_and_taken_out() {
        let text = format!("a: 1\n{BLOCK_BEGIN}\nb: 2\nc: 3\n{BLOCK_END}\nd: 4");
        assert_eq!(settings_block(&text).unwrap(), ["b: 2", "c: 3"]);
        assert_eq!(without_block(&text), "a: 1\nd: 4");
        assert_eq!(settings_block("a: 1\n"), None);
        let lines = [
            "http.host: 0.0.0.0",
            "  enabled: true",
            "# c",
            "",
            "node.name: x",
        ];
        let (keys, added) = sort_block(&lines.map(str::to_owned));
        assert_eq!(
            (keys, added),
            (
                vec!["http.host".to_owned()],
                vec!["node.name: x".to_owned()]
            )
        );
    }
}
