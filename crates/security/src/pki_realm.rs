//! The PKI realm: users who show a client certificate. Source: Elasticsearch reference, "PKI user authentication".

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use regex::Regex;
use ringwall_api::auth::User;
use ringwall_pki::{CertificateDer, CertificateInfo, DistinguishedName};
use serde_json::Map;
use sha2::{Digest, Sha256};

use crate::SecurityError;
use crate::files::{RoleMappingFile, Watched};
use crate::reserved;

/// The chain of certificates whose leaf's key a client has proved to hold, on the connection of a request. Made once
/// per connection, cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientCertificates {
    chain: Arc<[CertificateDer<'static>]>,
    /// Of the whole chain: with other certificates above it a leaf may be trusted where it was not.
    digest: [u8; 32],
}

impl ClientCertificates {
    /// Takes over a chain, leaf first as it was sent. `None` when there is no certificate in it.
    pub fn new(chain: Vec<CertificateDer<'static>>) -> Option<Self> {
        let mut digest = Sha256::new();
        for certificate in &chain {
            // Of its own, so that no two chains run into the same bytes.
            digest.update(Sha256::digest(certificate));
        }
        (!chain.is_empty()).then(|| Self {
            chain: chain.into(),
            digest: digest.finalize().into(),
        })
    }
}

/// Who decides whether a chain is trusted: a TLS context, which the node puts behind this.
pub trait CertificateTrust: Send + Sync + 'static {
    /// Checks the chain of a client, leaf first, as of now: issuers, dates, usage, revocation. The error says why
    /// it is refused.
    fn verify(&self, chain: &[CertificateDer<'static>]) -> Result<(), String>;

    /// Returns a number that grows whenever what is trusted may have changed.
    fn generation(&self) -> u64;
}

/// Where in the subject of a certificate the name of its user is.
#[derive(Debug, Clone)]
pub enum UsernameSource {
    /// The value of the most specific attribute of this object identifier.
    Attribute(String),
    /// The first group of a pattern that is searched for in the subject.
    Pattern(Regex),
}

impl UsernameSource {
    /// Reads a pattern such as `CN=(.*?)(?:,|$)`. The error says what is wrong with it.
    pub fn pattern(text: &str) -> Result<Self, String> {
        let pattern = Regex::new(text).map_err(|error| error.to_string())?;
        match pattern.captures_len() {
            0 | 1 => Err(
                "it has no group in parentheses, which would be the name of the user".to_owned(),
            ),
            _ => Ok(Self::Pattern(pattern)),
        }
    }

    /// Takes an attribute by its keyword or object identifier. The error says what is expected.
    pub fn attribute(text: &str) -> Result<Self, String> {
        DistinguishedName::oid_of(text).map(Self::Attribute).ok_or_else(|| {
            "it is no attribute of a distinguished name that is known by a keyword; CN, UID, EMAILADDRESS and others \
             are, and any object identifier"
                .to_owned()
        })
    }

    /// Names that only nodes have are nobody's, and so is what not all programs read alike.
    fn username(&self, subject: &DistinguishedName) -> Option<String> {
        if !subject.is_plain_text() {
            return None;
        }
        let name = match self {
            Self::Attribute(oid) => subject.first_value(oid)?,
            Self::Pattern(pattern) => {
                let text = subject.for_patterns();
                let name = pattern.captures(&text)?.get(1)?.as_str();
                // Cut off within a value: `Lee\, Ann` and `Lee\, Bob` must not be the same user.
                let escapes = name.bytes().rev().take_while(|byte| *byte == b'\\').count();
                (escapes % 2 == 0).then(|| name.to_owned())?
            }
        };
        (!name.trim().is_empty() && !reserved::is_internal(&name)).then_some(name)
    }
}

/// How a realm finds its users.
pub struct PkiRealmConfig {
    /// What `_authenticate` shows.
    pub name: String,
    pub username: UsernameSource,
    /// All of them must trust a chain.
    pub trust: Vec<Arc<dyn CertificateTrust>>,
    /// Setting `files.role_mapping`, resolved.
    pub role_mapping: PathBuf,
    /// How long a verified chain is remembered, while neither trust nor roles change; zero never.
    pub cache_ttl: Duration,
    /// The number of users remembered.
    pub cache_max_users: u64,
}

/// The users of certificates that one trust and one pattern are about.
pub struct PkiRealm {
    name: String,
    username: UsernameSource,
    trust: Vec<Arc<dyn CertificateTrust>>,
    role_mapping: Watched<RoleMappingFile>,
    roles_generation: AtomicU64,
    /// `None` when turned off.
    cache: Option<moka::sync::Cache<[u8; 32], Arc<Remembered>>>,
}

struct Remembered {
    generation: u64,
    /// The first end of a certificate of the chain, seconds since 1970.
    not_after: i64,
    user: Arc<User>,
}

/// The metadata of a user that has the subject of its certificate.
pub(crate) const PKI_DN: &str = "pki_dn";

/// What a realm says to a chain.
pub(crate) enum PkiVerdict {
    User(Arc<User>),
    /// It has a name for it, and does not accept it.
    Refused {
        username: String,
        reason: String,
    },
    /// It finds no name of a user in the certificate.
    NotMine,
}

impl PkiRealm {
    /// Opens a realm. Blocking: reads the role mapping.
    ///
    /// Errors: nothing would decide whether a chain is trusted.
    pub fn open(config: PkiRealmConfig) -> Result<Self, SecurityError> {
        if config.trust.is_empty() {
            return Err(SecurityError::NoTrust { realm: config.name });
        }
        let cache = (!config.cache_ttl.is_zero() && config.cache_max_users > 0).then(|| {
            moka::sync::Cache::builder()
                .max_capacity(config.cache_max_users)
                .time_to_live(config.cache_ttl)
                .build()
        });
        Ok(Self {
            name: config.name,
            username: config.username,
            trust: config.trust,
            role_mapping: Watched::open(config.role_mapping, RoleMappingFile::parse),
            roles_generation: AtomicU64::new(0),
            cache,
        })
    }

    /// Returns the name that `_authenticate` shows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads the role mapping again if it changed. Blocking.
    pub fn poll(&self) {
        if self.role_mapping.poll() {
            self.roles_generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns the user of a chain. `now` is in seconds since 1970.
    pub(crate) fn authenticate(&self, certificates: &ClientCertificates, now: i64) -> PkiVerdict {
        // Before anything is looked at: what changes meanwhile then counts the next time.
        let generation = self.generation();
        let known = self
            .cache
            .as_ref()
            .and_then(|cache| cache.get(&certificates.digest));
        if let Some(known) = known
            && known.generation == generation
            && now <= known.not_after
        {
            return PkiVerdict::User(Arc::clone(&known.user));
        }
        let chain = &certificates.chain;
        let infos: Vec<CertificateInfo> = chain
            .iter()
            .map_while(|certificate| CertificateInfo::from_der(certificate).ok())
            .collect();
        let Some(CertificateInfo { subject, .. }) = infos.first() else {
            return PkiVerdict::NotMine;
        };
        let Some(username) = self.username.username(subject) else {
            tracing::debug!(realm = self.name, %subject, "no name of a user in the subject of a certificate, or not in plain, well-formed text");
            return PkiVerdict::NotMine;
        };
        if let Some(reason) = self
            .trust
            .iter()
            .find_map(|trust| trust.verify(chain).err())
        {
            return PkiVerdict::Refused { username, reason };
        }
        let user = Arc::new(self.user(username, subject));
        if let Some(cache) = &self.cache {
            let ends = infos.iter().map(|info| info.not_after.as_second());
            let remembered = Remembered {
                generation,
                not_after: ends.min().unwrap_or(i64::MIN),
                user: Arc::clone(&user),
            };
            cache.insert(certificates.digest, Arc::new(remembered));
        }
        PkiVerdict::User(user)
    }

    fn user(&self, username: String, subject: &DistinguishedName) -> User {
        let mut metadata = Map::new();
        metadata.insert(PKI_DN.to_owned(), subject.with_spaces().into());
        User {
            username,
            roles: self.role_mapping.get().roles(subject),
            full_name: None,
            email: None,
            metadata,
            enabled: true,
        }
    }

    /// Each part of the sum grows only.
    fn generation(&self) -> u64 {
        let roles = self.roles_generation.load(Ordering::Acquire);
        let trust = self.trust.iter().map(|trust| trust.generation());
        trust.fold(roles, u64::wrapping_add)
    }
}

#[cfg(test)]
mod tests;
