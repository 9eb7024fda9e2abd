//! Contexts for command-line tools that talk HTTPS to a node.

use std::path::PathBuf;
use std::sync::Arc;

use ringwall_settings::VerificationMode;
use rustls_pki_types::CertificateDer;

use crate::config::{ConfiguredPath, KeySource, SslConfig, TrustSource};
use crate::context::SslContext;
use crate::error::SslError;
use crate::material::Material;

/// What a tool trusts the node by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolTrust {
    /// PEM files with authorities, or with the node's own certificate.
    CaFiles(Vec<PathBuf>),
    /// The SHA-256 fingerprint of the CA or of the node's certificate: 64 hex digits, colons allowed.
    Fingerprint(String),
}

impl SslContext {
    /// Returns a context that a node's own tools dial its HTTPS with: with its key, and what it trusts. Blocking like
    /// [`load`](Self::load).
    ///
    /// What the node shows itself is trusted, too: whom HTTPS trusts may be the CA of its users alone. So are `also`.
    pub fn for_own_tools(
        config: SslConfig,
        alpn: &[&str],
        also: &[CertificateDer<'static>],
    ) -> Result<Arc<Self>, SslError> {
        let context = Self::load_trusting(config, alpn, also)?;
        let material = Material::clone(&context.material.load());
        let material = material.trusting_itself(&context.config())?;
        context.material.store(Arc::new(material));
        Ok(context)
    }

    /// Returns a context that dials HTTPS without a client certificate. Blocking: reads the CA files.
    ///
    /// `name` appears in messages where a node's context has its settings prefix. Errors: unreadable CA
    /// files, or a fingerprint that is none.
    pub fn for_tools(
        name: &str,
        trust: ToolTrust,
        verification_mode: VerificationMode,
    ) -> Result<Arc<Self>, SslError> {
        let trust = match trust {
            ToolTrust::CaFiles(paths) => TrustSource::Pem(
                paths
                    .into_iter()
                    .map(|path| ConfiguredPath {
                        written: path.display().to_string(),
                        resolved: path,
                    })
                    .collect(),
            ),
            ToolTrust::Fingerprint(text) => {
                let fingerprint =
                    parse_fingerprint(&text).ok_or_else(|| SslError::InvalidFingerprint {
                        context: name.to_owned(),
                        fingerprint: text.clone(),
                    })?;
                TrustSource::Fingerprints(vec![fingerprint])
            }
        };
        let config = SslConfig {
            verification_mode,
            ..SslConfig::new(name, KeySource::None, trust)
        };
        Self::load(config, &["http/1.1"])
    }
}

fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: String = text.trim().chars().filter(|c| *c != ':').collect();
    let mut fingerprint = [0; 32];
    hex::decode_to_slice(digits, &mut fingerprint).ok()?;
    Some(fingerprint)
}
