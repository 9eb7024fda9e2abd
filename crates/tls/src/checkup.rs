//! What can be said of a context before anybody connects.

use std::path::Path;

use jiff::Timestamp;
use ringwall_settings::VerificationMode;

use crate::commands;
use crate::config::{KeySource, SslConfig, TrustSource};
use crate::context::SslContext;
use crate::dialled::Dialled;
use crate::doubt::{Doubt, DoubtKind};
use crate::error::SslError;
use crate::expiry::ExpiryWarning;
use crate::failure::{PeerRole, TrustedIssuer};
use crate::load::{load_key, load_trust};
use crate::material::certified_key;
use crate::provider::Offer;

/// Returns everything that keeps a context from being built, where building it stops at the first.
/// Blocking: files and key stretching.
pub fn file_problems(config: &SslConfig) -> Vec<SslError> {
    let offer = match Offer::new(config) {
        Ok(offer) => offer,
        Err(error) => return vec![error],
    };
    let mut problems = Vec::new();
    let mut certificates = Vec::new();
    let mut chain = Vec::new();
    match load_key(config, &mut certificates, &mut Vec::new()) {
        Ok(None) => {}
        Ok(Some(key)) => {
            problems.extend(certified_key(config, &key, &offer.provider).err());
            chain = key.chain;
        }
        Err(error) => {
            problems.push(error);
            // What it trusts is in the same file.
            if matches!(config.trust, TrustSource::OwnCertificates) {
                return problems;
            }
        }
    }
    let trust = load_trust(config, &chain, &mut certificates, &mut Vec::new());
    problems.extend(trust.err());
    problems
}

impl SslConfig {
    /// Returns the files that hold the private key.
    pub fn secret_files(&self) -> Vec<&Path> {
        match &self.key {
            KeySource::None => Vec::new(),
            KeySource::Pem { key, .. } => vec![&key.resolved],
            KeySource::Keystore { path, .. } => vec![&path.resolved],
        }
    }
}

impl SslContext {
    /// Returns everything doubtful. `dialled` are the hosts that others dial this node at, if any do.
    pub fn checkup(&self, dialled: &[String]) -> Vec<Doubt> {
        let (config, material) = (self.config(), self.material.load());
        let mut doubts = material.doubts(&config);
        let mut kinds = Vec::new();
        if config.is_http() && doubts.iter().all(|doubt| !doubt.is_fatal()) {
            // Whoever dials has a trust of its own, and this node's tools trust what it shows.
            let own = material.doubt_own_trust(&[PeerRole::Server]).into_iter();
            kinds.extend(own.filter(|kind| !kind.is_of_issuer()));
        }
        let now = Timestamp::now();
        let soon = |entry| ExpiryWarning::if_soon(&config.name, entry, now);
        let mut ending: Vec<ExpiryWarning> =
            material.certificates.iter().filter_map(soon).collect();
        // The leaf of a keystore may be in its trust too.
        ending.sort_by_key(|warning| (warning.serial.clone(), !warning.is_own));
        ending.dedup_by(|second, first| second.serial == first.serial);
        kinds.extend(ending.into_iter().map(DoubtKind::EndsSoon));
        kinds.extend(self.doubt_trust(&material.facts.issuers));
        kinds.extend(dialled.iter().filter_map(|host| self.doubt_name(host)));
        doubts.extend(kinds.into_iter().map(|kind| Doubt {
            context: config.name.clone(),
            kind,
        }));
        doubts
    }

    /// Returns whom this context trusts.
    pub fn trusted(&self) -> Vec<TrustedIssuer> {
        self.material.load().facts.issuers.clone()
    }

    /// Returns whether the context's own certificate names a host; `None` without a certificate.
    pub fn names(&self, host: &str) -> Option<bool> {
        let material = self.material.load();
        let leaf = material.chain().first()?;
        Some(Dialled::new(host).check(leaf).is_ok())
    }

    fn doubt_trust(&self, trusted: &[TrustedIssuer]) -> Vec<DoubtKind> {
        let config = self.config();
        if config.is_http() || config.verification_mode == VerificationMode::None {
            return Vec::new();
        }
        let authorities = trusted.iter().filter(|known| known.is_ca).count();
        let mut kinds = Vec::new();
        let has_pins = matches!(&config.trust, TrustSource::Fingerprints(pins) if !pins.is_empty());
        if authorities == 0 && !has_pins {
            kinds.push(DoubtKind::NoAuthority {
                trusts_anything: !trusted.is_empty(),
            });
        }
        kinds
    }

    /// Nodes check names in mode `full` only; which HTTPS clients do is not known here.
    fn doubt_name(&self, host: &str) -> Option<DoubtKind> {
        let config = self.config();
        let is_full = config.verification_mode == VerificationMode::Full;
        if self.names(host)? || !(config.is_http() || is_full) {
            return None;
        }
        let own = self.own_certificate()?;
        let sans = own.subject_alternative_names.iter();
        Some(DoubtKind::NotNamed {
            dialled: host.to_owned(),
            command: commands::issue(&config, &own, host),
            sans: sans.map(ToString::to_string).collect(),
            is_refused: !config.is_http(),
        })
    }
}
