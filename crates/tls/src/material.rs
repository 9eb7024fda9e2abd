//! What a context's files contain, built into the form handshakes use.

use std::net::SocketAddr;
use std::sync::Arc;

use ringwall_pki::{CertificateInfo, KeyMaterial};
use ringwall_settings::{ClientAuthentication, VerificationMode};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, InconsistentKeys, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};

use crate::commands;
use crate::config::{KeySource, SslConfig, TrustSource};
use crate::display;
use crate::doubt::{Doubt, DoubtKind};
use crate::error::SslError;
use crate::failure::{ContextFacts, FailureReason, FileKind, PeerRole, Subject};
use crate::load::{
    CertificateEntry, link_issuers, load_key, load_trust, sort_certificates, trust_in,
};
use crate::provider::Offer;
use crate::remedy;
use crate::trust::Trust;
use crate::verifier::ConnectionVerifier;

/// Everything read from a context's files at one moment. Never changed, only replaced.
#[derive(Debug, Clone)]
pub(crate) struct Material {
    pub(crate) trust: Arc<Trust>,
    pub(crate) facts: Arc<ContextFacts>,
    pub(crate) certificates: Vec<CertificateEntry>,
    chain: Vec<CertificateDer<'static>>,
    identity: Option<Arc<SingleCertAndKey>>,
    offer: Offer,
    /// What loading found to be odd but usable.
    oddities: Vec<String>,
}

impl Material {
    /// Reads all files of a configuration. Blocking.
    pub(crate) fn load(config: &SslConfig, offer: &Offer) -> Result<Self, SslError> {
        let mut oddities = Vec::new();
        let mut certificates = Vec::new();
        let key = load_key(config, &mut certificates, &mut oddities)?;
        let identity = match &key {
            None => None,
            Some(key) => Some(certified_key(config, key, &offer.provider)?),
        };
        let chain = key.map(|key| key.chain).unwrap_or_default();
        let trust = load_trust(config, &chain, &mut certificates, &mut oddities)?;
        let known: Vec<_> = chain.iter().chain(trust.certificates()).collect();
        link_issuers(&mut certificates, &known);
        sort_certificates(&mut certificates);
        let own = chain
            .first()
            .and_then(|leaf| CertificateInfo::from_der(leaf).ok());
        let mut files = config.operator_files();
        files.certificate_kind = FileKind::of(files.certificate.as_ref());
        files.trust_kind = FileKind::of(files.trust.as_ref());
        // One CA for both layers is no mistake: it vouches for this node.
        if trust
            .verify(&chain, PeerRole::Server, None, UnixTime::now())
            .is_ok()
        {
            files.borrowed = None;
        }
        let facts = ContextFacts {
            name: config.name.clone(),
            is_http: config.is_http(),
            trust: config.trust_description(),
            key: config.key_description(),
            files,
            own_issuer: own.as_ref().and_then(|own| issuer_of(own, &known)),
            own,
            issuers: trust.issuers().to_vec(),
            protocols: offer.protocol_names(),
            cipher_suites: offer.cipher_suite_names(),
        };
        Ok(Self {
            trust: Arc::new(trust),
            facts: Arc::new(facts),
            certificates,
            chain,
            identity,
            offer: offer.clone(),
            oddities,
        })
    }

    /// Adds to what is trusted. Blocking: reads revocation lists and restrictions.
    pub(crate) fn trust_too(
        &mut self,
        config: &SslConfig,
        also: &[CertificateDer<'static>],
    ) -> Result<(), SslError> {
        let mut trusted = self.trust.certificates().to_vec();
        for certificate in also {
            if !trusted.contains(certificate) {
                trusted.push(certificate.clone());
            }
        }
        let pins = match &config.trust {
            TrustSource::Fingerprints(pins) => pins.clone(),
            _ => Vec::new(),
        };
        self.trust = Arc::new(trust_in(config, trusted, pins)?);
        Ok(())
    }

    /// Returns it with what this side shows trusted, too: its own certificate, and the authorities in its chain. What
    /// was not trusted before is not shown to who accepts with these files: better none than one that is refused.
    pub(crate) fn trusting_itself(mut self, config: &SslConfig) -> Result<Self, SslError> {
        let now = UnixTime::now();
        let is_client = self
            .trust
            .verify(&self.chain, PeerRole::Client, None, now)
            .is_ok();
        let own = self.chain.clone();
        self.trust_too(config, &own)?;
        let facts = ContextFacts {
            issuers: self.trust.issuers().to_vec(),
            // What to do when that is not enough: a CA in the trust would let in clients, too.
            trust: format!(
                "{}, or to the certificate chain in {}",
                self.facts.trust, self.facts.key
            ),
            own: self.facts.own.clone().filter(|_| is_client),
            ..ContextFacts::clone(&self.facts)
        };
        self.facts = Arc::new(facts);
        if !is_client {
            self.chain = Vec::new();
            self.identity = None;
        }
        Ok(self)
    }

    /// Returns whether there is a key to accept connections with.
    pub(crate) fn can_accept(&self) -> bool {
        self.identity.is_some()
    }

    /// Returns the words about one connection under this material.
    pub(crate) fn subject(&self, peer: SocketAddr, role: PeerRole) -> Subject {
        Subject {
            context: Arc::clone(&self.facts),
            peer,
            role,
        }
    }

    /// Returns the accepting configuration of one connection. Between nodes TLS 1.2 has to have the extended master secret
    /// (RFC 7627): without it two sessions can be made to share their secrets, and a proof that is bound to one of them
    /// by its exporter would be good on the other.
    ///
    /// Built anew for each: the verifier is the connection's own, and no session outlives it.
    pub(crate) fn server_config(
        &self,
        verifier: Arc<ConnectionVerifier>,
        alpn: &[Vec<u8>],
    ) -> Result<Arc<ServerConfig>, FailureReason> {
        let identity = self.identity.clone().ok_or(FailureReason::NoKey)?;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.offer.provider))
            .with_protocol_versions(&self.offer.versions)
            .map_err(|error| FailureReason::Incompatible(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(identity);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.require_ems = !self.facts.is_http;
        config.ignore_client_order = true;
        config.alpn_protocols = alpn.to_vec();
        Ok(Arc::new(config))
    }

    /// Returns the dialling configuration of one connection.
    pub(crate) fn client_config(
        &self,
        verifier: Arc<ConnectionVerifier>,
        alpn: &[Vec<u8>],
    ) -> Result<Arc<ClientConfig>, FailureReason> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.offer.provider))
            .with_protocol_versions(&self.offer.versions)
            .map_err(|error| FailureReason::Incompatible(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(identity.clone()),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        config.require_ems = !self.facts.is_http;
        config.alpn_protocols = alpn.to_vec();
        Ok(Arc::new(config))
    }

    /// Logs what works but is probably not meant.
    pub(crate) fn log_doubts(&self, config: &SslConfig) {
        for doubt in self.doubts(config) {
            tracing::warn!(
                ssl.context = config.name,
                "doubtful ssl configuration: {}; {}",
                doubt.what(),
                doubt.remedy()
            );
        }
    }

    /// Returns what the log tells of at start and at each reload.
    pub(crate) fn doubts(&self, config: &SslConfig) -> Vec<Doubt> {
        let doubt = |kind| Doubt {
            context: config.name.clone(),
            kind,
        };
        let odd = self.oddities.iter().cloned().map(DoubtKind::Oddity);
        let mut doubts: Vec<Doubt> = odd.map(doubt).collect();
        let lists = self.trust.list_doubts().iter().cloned();
        doubts.extend(lists.map(DoubtKind::RevocationList).map(doubt));
        let now = jiff::Timestamp::now();
        let lists = self.trust.revocation_lists();
        let stale = lists.iter().filter_map(|list| list.staleness(now));
        doubts.extend(stale.map(DoubtKind::RevocationList).map(doubt));
        let unusable = self.trust.unusable(UnixTime::now());
        doubts.extend(unusable.map(DoubtKind::UnusableAuthority).map(doubt));
        if let Some(own) = &self.facts.own {
            if !own.is_valid_at(now) {
                doubts.push(doubt(DoubtKind::OwnOutsideDates {
                    subject: own.subject.to_string(),
                    not_before: own.not_before,
                    not_after: own.not_after,
                    renew: commands::renew(config),
                }));
            } else if !config.is_http() {
                let roles = [PeerRole::Server, PeerRole::Client];
                doubts.extend(self.doubt_own_trust(&roles).into_iter().map(doubt));
            }
        }
        if config.is_http() {
            doubts.extend(self.doubt_leaf_alone().map(doubt));
            return doubts;
        }
        if config.verification_mode == VerificationMode::None {
            doubts.push(doubt(DoubtKind::NoVerification));
        } else if matches!(config.trust, TrustSource::OwnCertificates) {
            let authorities = self
                .facts
                .issuers
                .iter()
                .filter(|known| known.is_ca)
                .count();
            doubts.push(doubt(DoubtKind::TrustOfOwnKey { authorities }));
        }
        if self.identity.is_some() && config.client_authentication != ClientAuthentication::Required
        {
            doubts.push(doubt(DoubtKind::AnyoneIsNode));
        }
        doubts
    }

    /// Nodes of one cluster usually share one CA, so a node that would refuse itself is misconfigured.
    pub(crate) fn doubt_own_trust(&self, roles: &[PeerRole]) -> Vec<DoubtKind> {
        if !self.can_accept() || self.trust.mode() == VerificationMode::None {
            return Vec::new();
        }
        let now = UnixTime::now();
        let refused = |role: &PeerRole| {
            let verdict = self.trust.verify(&self.chain, *role, None, now);
            verdict.err().map(|reason| (*role, reason))
        };
        let refusals: Vec<_> = roles.iter().filter_map(refused).collect();
        let is_one = refusals.len() == roles.len()
            && refusals.iter().all(|(_, reason)| *reason == refusals[0].1);
        let found = |(role, reason): (PeerRole, FailureReason)| DoubtKind::OwnRefused {
            role: (!is_one).then_some(role),
            remedy: self.own_refused_remedy(&reason),
            reason,
            trust: self.facts.trust.clone(),
        };
        let shown = if is_one { 1 } else { refusals.len() };
        refusals.into_iter().take(shown).map(found).collect()
    }

    /// Returns what to do about a certificate that this side itself would refuse.
    fn own_refused_remedy(&self, reason: &FailureReason) -> String {
        let chain = self.chain.iter();
        let chain: Vec<CertificateInfo> = chain
            .filter_map(|certificate| CertificateInfo::from_der(certificate).ok())
            .collect();
        display::one_line(|f| remedy::write_own_remedy(f, &self.facts, reason, &chain))
    }

    /// Who is told the fingerprint of a CA, as many clients are, needs the CA's certificate in the chain; so does who
    /// trusts a CA above the issuer.
    fn doubt_leaf_alone(&self) -> Option<DoubtKind> {
        let own = self.facts.own.as_ref()?;
        let file = self.facts.files.certificate.clone()?;
        (self.chain.len() == 1 && own.subject != own.issuer).then(|| DoubtKind::LeafAlone {
            remedy: remedy::append_to_certificate(&self.facts, &own.issuer.to_string()),
            issuer: own.issuer.to_string(),
            file,
        })
    }

    /// Returns the chain that this side shows, leaf first.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }
}

/// Returns the certificate of the authority that issued another, if it is among those known.
fn issuer_of(
    leaf: &CertificateInfo,
    known: &[&CertificateDer<'static>],
) -> Option<CertificateInfo> {
    let known = known
        .iter()
        .filter_map(|certificate| CertificateInfo::from_der(certificate).ok());
    known
        .filter(|issuer| issuer.subject == leaf.issuer && issuer.is_ca)
        .find(
            |issuer| match (&issuer.subject_key_id, &leaf.authority_key_id) {
                (Some(its), Some(wanted)) => its == wanted,
                _ => true,
            },
        )
}

pub(crate) fn certified_key(
    config: &SslConfig,
    material: &KeyMaterial,
    provider: &CryptoProvider,
) -> Result<Arc<SingleCertAndKey>, SslError> {
    let (key_path, certificate_path) = match &config.key {
        KeySource::Pem {
            key, certificate, ..
        } => (key.resolved.clone(), certificate.resolved.clone()),
        KeySource::Keystore { path, .. } => (path.resolved.clone(), path.resolved.clone()),
        KeySource::None => Default::default(),
    };
    let unusable = |reason: String| SslError::Key {
        context: config.name.clone(),
        path: key_path.clone(),
        reason,
    };
    let der = PrivatePkcs8KeyDer::from(material.private_key.expose()).clone_key();
    let key = provider
        .key_provider
        .load_private_key(PrivateKeyDer::Pkcs8(der))
        .map_err(|error| unusable(error.to_string()))?;
    let certified = CertifiedKey::new(material.chain.clone(), key);
    match certified.keys_match() {
        // One that the path validation library does not read, of X.509 version 1 for example: that the key is its
        // own was checked when both were read, and what peers will think of it is told as a doubt.
        Ok(()) | Err(rustls::Error::InvalidCertificate(_)) => {
            Ok(Arc::new(SingleCertAndKey::from(certified)))
        }
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(SslError::KeyMismatch {
                context: config.name.clone(),
                key: key_path.clone(),
                certificate: certificate_path,
                subject: material
                    .chain
                    .first()
                    .and_then(|leaf| CertificateInfo::from_der(leaf).ok())
                    .map_or_else(|| "unknown".to_owned(), |info| info.subject.to_string()),
            })
        }
        Err(error) => Err(unusable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, ToSpan};
    use ringwall_pki::{
        CaParams, CertificateAuthority, DistinguishedName, ExtendedKeyUsage, KeySpec,
        NodeCertParams, pem,
    };

    use super::*;
    use crate::config::{ConfiguredPath, TrustSource};

    fn authority(name: &str) -> CertificateAuthority {
        let params = CaParams {
            dn: DistinguishedName::common_name(name),
            key: KeySpec::EcP256,
            ..CaParams::default()
        };
        CertificateAuthority::generate(&params).unwrap()
    }

    /// Returns the doubts about a node whose certificate has these parameters.
    fn doubts(
        name: &str,
        trusted: &str,
        adjust: impl Fn(&mut NodeCertParams, &mut SslConfig),
    ) -> String {
        let dir = tempfile::tempdir().unwrap();
        let ca = authority("CA");
        let trusted = if trusted == "CA" {
            ca.certificate_pem()
        } else {
            authority(trusted).certificate_pem()
        };
        let path = |name| ConfiguredPath::new(name, dir.path());
        let key = KeySource::Pem {
            key: path("key"),
            passphrase: None,
            certificate: path("crt"),
        };
        let mut config = SslConfig::new(name, key, TrustSource::Pem(vec![path("ca")]));
        let mut params = NodeCertParams {
            key: KeySpec::EcP256,
            ..NodeCertParams::default()
        };
        adjust(&mut params, &mut config);
        let issued = ca.issue(&params).unwrap();
        let key = pem::encode_private_key(&issued.key, None).unwrap();
        std::fs::write(dir.path().join("key"), key.expose()).unwrap();
        std::fs::write(
            dir.path().join("crt"),
            pem::encode_certificates(&issued.chain),
        )
        .unwrap();
        std::fs::write(dir.path().join("ca"), trusted).unwrap();
        let offer = Offer::new(&config).unwrap();
        Material::load(&config, &offer)
            .unwrap()
            .doubts(&config)
            .iter()
            .map(|doubt| format!("{doubt}\n"))
            .collect()
    }

    #[test]
    fn doubtful_configurations_are_told() {
        let transport = "xpack.security.transport.ssl";
        assert_eq!(doubts(transport, "CA", |_, _| {}), "");
        let other = doubts(transport, "Other", |_, _| {});
        assert!(
            other.contains("its issuer [CN=CA] is not trusted"),
            "{other}"
        );
        let expired = doubts(transport, "CA", |params, _| {
            params.days = 1;
            params.not_before = Some(Timestamp::now() - 72.hours());
        });
        assert!(
            expired.contains("not now: peers will refuse it"),
            "{expired}"
        );
        let usage = doubts(transport, "CA", |params, _| {
            params.extended_key_usage = vec![ExtendedKeyUsage::ServerAuth];
        });
        assert!(
            usage.contains("extendedKeyUsage does not permit"),
            "{usage}"
        );
        let open = doubts(transport, "CA", |_, config| {
            config.verification_mode = VerificationMode::None;
            config.client_authentication = ClientAuthentication::Optional;
        });
        assert!(
            open.contains("can impersonate a peer") && open.contains("is taken for a node"),
            "{open}"
        );
        let http = doubts("xpack.security.http.ssl", "Other", |_, config| {
            config.client_authentication = ClientAuthentication::None;
        });
        assert_eq!(http, "");
    }
}
