//! A node that secures itself: at its first start with certificates of its own making, with an
//! enrolment token as part of the cluster that the token is of. Source: Elasticsearch reference, "Start the Elastic
//! Stack with security enabled automatically".

mod announce;
mod conditions;
mod enroll;
mod files;
mod material;

use std::path::Path;

use ringwall_base::SecretString;
use ringwall_security::Hasher;
use ringwall_security::enrollment::EnrollmentToken;
use ringwall_settings::registry::{cluster, network, node, security};
use ringwall_settings::{Keystore, Settings};

pub(super) use self::announce::{Announcement, compose};
pub(super) use self::conditions::{data_is_empty, data_path};
pub(super) use self::files::{BLOCK_BEGIN, CERTS, settings_block};
use self::files::{Discovery, SettingsBlock, Writer};
use self::material::Material;
use super::enrollment;
use crate::error::{CommandError, ExitCode};
use crate::password;
use crate::paths::Paths;
use crate::terminal::Terminal;

/// What `start` was given.
pub(super) struct Start<'a> {
    pub(super) paths: &'a Paths,
    pub(super) overrides: &'a [(String, String)],
    pub(super) token: Option<&'a SecretString>,
}

/// Secures the node if this is its first start, or enrols it if there is a token. Returns what to tell
/// the person who watches, once the node runs. `keystore` is the node's, opened; it is written anew.
///
/// Errors: with a token, whatever hinders the enrolment; without one, what could not be written. A node
/// that need not be secured is left as it is.
pub(super) fn before_start(
    start: &Start<'_>,
    keystore: &mut Option<Keystore>,
    terminal: &mut Terminal,
) -> Result<Option<Announcement>, CommandError> {
    let token = start.token.map(enrollment::parse).transpose()?;
    forget_interrupted(start.paths, keystore)?;
    let loaded = Settings::load(start.paths.config(), start.overrides, keystore.as_ref());
    let settings = match (loaded, &token) {
        (Ok(settings), _) => settings,
        // The start itself tells what is wrong with the settings.
        (Err(_), None) => return Ok(None),
        (Err(error), Some(_)) => return Err(CommandError::config(error.to_string())),
    };
    let home = start.paths.home()?;
    if let Some(reason) = conditions::reason_to_skip(&settings, home, keystore.as_ref()) {
        let message = format!("Skipping security auto configuration because {reason}");
        if token.is_some() {
            return Err(CommandError::new(ExitCode::Noop, message).with_hint(
                "a node is enrolled at its first start, with nothing of security configured and no data",
            ));
        }
        terminal.detail(message);
        return Ok(None);
    }
    let enrolled = token
        .as_ref()
        .map(|token| enroll(token, &settings))
        .transpose()?;
    let is_enrolling = enrolled.is_some();
    let (material, discovery) = match enrolled {
        Some(found) => found,
        None => (Material::initial(&settings)?, initial_discovery(&settings)),
    };
    let mut opened = keystore
        .take()
        .unwrap_or_else(|| Keystore::create(SecretString::default()));
    let password = match is_enrolling || !terminal.output_is_terminal() {
        true => None,
        false => Some(first_password(&settings, &mut opened)?),
    };
    let block = SettingsBlock {
        settings: &settings,
        discovery,
        replaced: Vec::new(),
        kept: Vec::new(),
    };
    Writer::new(start.paths)?.write(&material, &block, &mut opened)?;
    *keystore = Some(opened);
    terminal.detail("Security was configured automatically");
    Ok(Some(Announcement {
        password,
        fingerprint: material.http_ca_fingerprint(),
        is_enrolling,
    }))
}

/// Returns whether a start with these settings would secure the node.
pub(super) fn will_secure(settings: &Settings, home: &Path, keystore: Option<&Keystore>) -> bool {
    conditions::reason_to_skip(settings, home, keystore).is_none()
}

/// Takes the passwords of an attempt that did not come to the settings out of the opened keystore: they are
/// of certificates that nothing refers to, and no node starts with them.
fn forget_interrupted(paths: &Paths, keystore: &mut Option<Keystore>) -> Result<(), CommandError> {
    let Some(keystore) = keystore else {
        return Ok(());
    };
    if !files::is_interrupted(paths.config()) {
        return Ok(());
    }
    let yml = paths.yml();
    let text = std::fs::read_to_string(&yml).map_err(|error| CommandError::io(&yml, &error))?;
    let mentions_tls = text
        .lines()
        .any(|line| !line.trim_start().starts_with('#') && line.contains("ssl"));
    if !mentions_tls {
        for name in files::KEYSTORE_PASSWORDS {
            keystore.remove(name);
        }
    }
    Ok(())
}

/// Enrols a node that was auto-configured as a cluster of its own but has never started as one. `lines` are
/// those of its block of settings; what its owner added there is kept. Source: Elasticsearch reference,
/// "elasticsearch-reconfigure-node".
pub(super) fn reconfigure(
    paths: &Paths,
    token: &EnrollmentToken,
    settings: &Settings,
    lines: &[String],
    keystore: &mut Keystore,
) -> Result<(), CommandError> {
    let (material, discovery) = enroll(token, settings)?;
    let (replaced, kept) = files::sort_block(lines);
    let block = SettingsBlock {
        settings,
        discovery,
        replaced,
        kept,
    };
    Writer::new(paths)?.write(&material, &block, keystore)
}

fn enroll(
    token: &EnrollmentToken,
    settings: &Settings,
) -> Result<(Material, Discovery), CommandError> {
    let answer = enroll::ask(token)?;
    let material = Material::enrolled(&answer, settings)?;
    Ok((material, Discovery::Enrolled(answer.nodes_addresses)))
}

fn initial_discovery(settings: &Settings) -> Discovery {
    let is_told = settings.is_set(cluster::INITIAL_MASTER_NODES.key())
        || settings.is_set(cluster::DISCOVERY_TYPE.key());
    match is_told {
        true => Discovery::Given,
        false => Discovery::Alone(settings.get(&node::NODE_NAME)),
    }
}

/// Makes the first password of `elastic` and puts its hash into the keystore.
fn first_password(
    settings: &Settings,
    keystore: &mut Keystore,
) -> Result<SecretString, CommandError> {
    let password = password::generate(password::WITH_PUNCTUATION);
    let algorithm = settings.get(&security::PASSWORD_HASHING_ALGORITHM);
    let hash = Hasher::from_setting(&algorithm)
        .and_then(|hasher| hasher.hash(&password))
        .map_err(|error| CommandError::config(error.to_string()))?;
    keystore
        .set(
            security::AUTOCONFIGURATION_PASSWORD_HASH.key(),
            &hash.into(),
        )
        .map_err(|error| CommandError::data(error.to_string()))?;
    Ok(password)
}

/// Returns whether the configuration says anything of addresses, apart from keys that are replaced.
fn has_addresses(settings: &Settings, replaced: &[String]) -> bool {
    let keys = [
        network::NETWORK_HOST.key(),
        network::NETWORK_BIND_HOST.key(),
        network::NETWORK_PUBLISH_HOST.key(),
        network::HTTP_HOST.key(),
        network::HTTP_BIND_HOST.key(),
        network::HTTP_PUBLISH_HOST.key(),
        network::TRANSPORT_HOST.key(),
        network::TRANSPORT_BIND_HOST.key(),
        network::TRANSPORT_PUBLISH_HOST.key(),
    ];
    let is_kept = |key: &&&str| !replaced.iter().any(|replaced| replaced == **key);
    keys.iter().filter(is_kept).any(|key| settings.is_set(key))
}
