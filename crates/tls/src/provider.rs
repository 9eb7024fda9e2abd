//! The one choice of cryptography: AWS-LC, passed explicitly and never installed process-wide.

use std::sync::{Arc, LazyLock};

use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::{CipherSuite, ClientConfig, ProtocolVersion, SupportedProtocolVersion};

use crate::config::SslConfig;
use crate::error::SslError;

/// What a context offers in a handshake: fixed by settings, so the same for every reload.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
}

impl Offer {
    /// Returns the offer of a configuration. Logs what is configured but cannot be offered.
    pub(crate) fn new(config: &SslConfig) -> Result<Self, SslError> {
        let offer = Self {
            provider: provider(&config.name, &config.cipher_suites)?,
            versions: versions(&config.name, &config.protocols)?,
        };
        // Finds out now what would otherwise fail each handshake.
        ClientConfig::builder_with_provider(Arc::clone(&offer.provider))
            .with_protocol_versions(&offer.versions)
            .map_err(|error| SslError::Combination {
                context: config.name.clone(),
                reason: error.to_string(),
            })?;
        Ok(offer)
    }
}

impl Offer {
    /// Returns the names of the TLS versions as the settings write them.
    pub(crate) fn protocol_names(&self) -> Vec<String> {
        let versions = self.versions.iter().map(|offered| offered.version);
        versions
            .filter_map(protocol_name)
            .map(str::to_owned)
            .collect()
    }

    /// Returns the IANA names of the cipher suites that one of the versions can use.
    pub(crate) fn cipher_suite_names(&self) -> Vec<String> {
        let suites = self.provider.cipher_suites.iter();
        suites
            .filter(|suite| self.versions.contains(&suite.version()))
            .filter_map(|suite| cipher_suite_name(suite.suite()))
            .collect()
    }
}

/// Returns the name of a TLS version as the settings write it.
pub(crate) fn protocol_name(version: ProtocolVersion) -> Option<&'static str> {
    match version {
        ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
        ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
        ProtocolVersion::TLSv1_1 => Some("TLSv1.1"),
        ProtocolVersion::TLSv1_0 => Some("TLSv1"),
        ProtocolVersion::SSLv3 => Some("SSLv3"),
        _ => None,
    }
}

/// Returns the IANA name of a cipher suite.
pub(crate) fn cipher_suite_name(suite: CipherSuite) -> Option<String> {
    // rustls names the TLS 1.3 suites TLS13_X where IANA has TLS_X.
    Some(suite.as_str()?.replacen("TLS13_", "TLS_", 1))
}

/// Most preferred first. The hybrid is safe as long as either of its halves is: what is recorded today cannot be
/// read by a quantum computer of tomorrow. Peers without it use one of the others.
static KEY_EXCHANGE: [&dyn SupportedKxGroup; 4] = [
    kx_group::X25519MLKEM768,
    kx_group::X25519,
    kx_group::SECP256R1,
    kx_group::SECP384R1,
];

/// Returns the provider restricted to the given cipher suites, in their order.
///
/// Names this program does not implement are dropped with one log line; none left is an error.
/// Source: Elasticsearch reference, "Security settings in Elasticsearch" (`cipher_suites`).
fn provider(context: &str, names: &[String]) -> Result<Arc<CryptoProvider>, SslError> {
    let all = aws_lc_rs::ALL_CIPHER_SUITES;
    let mut unsupported = Vec::new();
    let mut cipher_suites = Vec::new();
    for name in names {
        // rustls names the TLS 1.3 suites TLS13_X where IANA has TLS_X.
        let tls13 = name.replacen("TLS_", "TLS13_", 1);
        let known = all.iter().find(|suite| {
            let suite = suite.suite().as_str();
            suite == Some(name.as_str()) || suite == Some(tls13.as_str())
        });
        match known {
            Some(suite) if !cipher_suites.contains(suite) => cipher_suites.push(*suite),
            Some(_) => {}
            None => unsupported.push(name.clone()),
        }
    }
    if cipher_suites.is_empty() {
        return Err(SslError::NoCipherSuite {
            context: context.to_owned(),
            configured: names.to_vec(),
        });
    }
    if !unsupported.is_empty() {
        tracing::error!(
            ssl.context = context,
            ?unsupported,
            "unsupported ciphers were requested but cannot be used"
        );
    }
    Ok(Arc::new(CryptoProvider {
        cipher_suites,
        kx_groups: KEY_EXCHANGE.to_vec(),
        ..aws_lc_rs::default_provider()
    }))
}

/// Returns the protocol versions to offer. Known versions below TLS 1.2 are dropped with a log line.
fn versions(
    context: &str,
    names: &[String],
) -> Result<Vec<&'static SupportedProtocolVersion>, SslError> {
    let mut versions = Vec::new();
    for name in names {
        match name.as_str() {
            "TLSv1.3" => versions.push(&rustls::version::TLS13),
            "TLSv1.2" => versions.push(&rustls::version::TLS12),
            "TLSv1.1" | "TLSv1" | "SSLv3" | "SSLv2Hello" => tracing::warn!(
                ssl.context = context,
                protocol = name,
                "protocol is obsolete and not supported, using the others"
            ),
            _ => {
                return Err(SslError::UnknownProtocol {
                    context: context.to_owned(),
                    protocol: name.clone(),
                });
            }
        }
    }
    if versions.is_empty() {
        return Err(SslError::NoProtocol {
            context: context.to_owned(),
            configured: names.to_vec(),
        });
    }
    Ok(versions)
}

/// Returns the signature algorithms accepted in certificates and handshakes.
pub(crate) fn signature_algorithms() -> WebPkiSupportedAlgorithms {
    static ALGORITHMS: LazyLock<WebPkiSupportedAlgorithms> =
        LazyLock::new(|| aws_lc_rs::default_provider().signature_verification_algorithms);
    *ALGORITHMS
}

/// Returns the SHA-256 digest of the bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DEFAULT_CIPHER_SUITES, DEFAULT_PROTOCOLS};

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_default_suite_and_protocol_exists() {
        let provider = provider("p", &owned(&DEFAULT_CIPHER_SUITES)).unwrap();
        assert_eq!(provider.cipher_suites.len(), DEFAULT_CIPHER_SUITES.len());
        assert_eq!(versions("p", &owned(&DEFAULT_PROTOCOLS)).unwrap().len(), 2);
    }

    #[test]
    fn suites_keep_the_operators_order_and_drop_the_unknown() {
        let names = owned(&[
            "TLS_RSA_WITH_AES_128_CBC_SHA",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_AES_128_GCM_SHA256",
        ]);
        let chosen: Vec<_> = provider("p", &names).unwrap().cipher_suites.clone();
        let chosen: Vec<_> = chosen.iter().map(|s| s.suite().as_str().unwrap()).collect();
        assert_eq!(
            chosen,
            [
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "TLS13_AES_128_GCM_SHA256"
            ]
        );
        let none = provider("p", &owned(&["TLS_RSA_WITH_AES_128_CBC_SHA"]));
        assert!(matches!(none, Err(SslError::NoCipherSuite { .. })));
    }

    #[test]
    fn old_protocols_are_dropped_and_unknown_ones_refused() {
        assert_eq!(
            versions("p", &owned(&["TLSv1.1", "TLSv1.2"]))
                .unwrap()
                .len(),
            1
        );
        assert!(matches!(
            versions("p", &owned(&["TLSv1.1"])),
            Err(SslError::NoProtocol { .. })
        ));
        assert!(matches!(
            versions("p", &owned(&["tlsv1.2"])),
            Err(SslError::UnknownProtocol { .. })
        ));
    }

    #[test]
    fn suites_must_serve_the_versions() {
        let mut config = SslConfig::new("p", Default::default(), Default::default());
        config.protocols = owned(&["TLSv1.2"]);
        config.cipher_suites = owned(&["TLS_AES_128_GCM_SHA256"]);
        let refused = Offer::new(&config);
        assert!(
            matches!(refused, Err(SslError::Combination { .. })),
            "{refused:?}"
        );
    }
}
