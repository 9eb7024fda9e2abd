//! The certificates of a node that secures itself. Source: Elasticsearch reference, "Start the Elastic Stack with
//! security enabled automatically".

use std::net::IpAddr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ringwall_base::ids::random_bytes;
use ringwall_base::{SecretBytes, SecretString};
use ringwall_pki::p12::{self, WriteEntry};
use ringwall_pki::{
    CaParams, CertificateAuthority, CertificateDer, CertificateInfo, DistinguishedName,
    ExtendedKeyUsage, KeySpec, NodeCertParams, PkiError, PrivateKey,
};
use ringwall_settings::Settings;
use ringwall_settings::registry::network;
use zeroize::Zeroizing;

use super::enroll::EnrollAnswer;
use crate::error::{CommandError, ExitCode};

/// Two keystores with their passwords, and the HTTP CA as PEM.
pub(super) struct Material {
    pub(super) http: Vec<u8>,
    pub(super) http_password: SecretString,
    pub(super) transport: Vec<u8>,
    pub(super) transport_password: SecretString,
    pub(super) http_ca: String,
    fingerprint: String,
}

impl Material {
    /// Makes a CA for each layer and what they sign. The transport CA's key is forgotten: new nodes get
    /// their material from this one.
    pub(super) fn initial(settings: &Settings) -> Result<Self, CommandError> {
        Self::make_initial(settings).map_err(failed)
    }

    fn make_initial(settings: &Settings) -> Result<Self, PkiError> {
        let http_ca = authority(HTTP_CA, CA_DAYS)?;
        let transport_ca = authority(TRANSPORT_CA, TRANSPORT_DAYS)?;
        let own = transport_ca.issue(&NodeCertParams {
            name: DistinguishedName::common_name(&hostname()),
            days: TRANSPORT_DAYS,
            key: KeySpec::EcP256,
            ..NodeCertParams::default()
        })?;
        Self::assemble(
            &http_ca,
            &own.key,
            &own.certificate,
            transport_ca.certificate(),
            settings,
        )
    }

    /// Makes an HTTP certificate of the cluster's CA; the transport material is the cluster's.
    pub(super) fn enrolled(
        answer: &EnrollAnswer,
        settings: &Settings,
    ) -> Result<Self, CommandError> {
        Self::make_enrolled(answer, settings).map_err(|error| {
            CommandError::data("Aborting enrolling to cluster. The cluster's answer cannot be used")
                .with_hint(error.to_string())
        })
    }

    fn make_enrolled(answer: &EnrollAnswer, settings: &Settings) -> Result<Self, PkiError> {
        let origin = Path::new("the answer of the cluster");
        let certificate = |text: &str| -> Result<CertificateDer<'static>, PkiError> {
            let bytes = STANDARD.decode(text);
            let bytes = bytes.map_err(|_| PkiError::BadCertificate("not base64".to_owned()))?;
            Ok(CertificateDer::from(bytes))
        };
        let key = |text: &SecretString| -> Result<SecretBytes, PkiError> {
            let bytes = STANDARD.decode(text.expose()).map(Zeroizing::new);
            let bytes = bytes.map_err(|_| PkiError::Crypto("read a private key"))?;
            Ok(SecretBytes::new(bytes.as_slice()))
        };
        let http_ca = CertificateAuthority::from_der(
            key(&answer.http_ca_key)?,
            certificate(&answer.http_ca_cert)?,
            origin,
        )?;
        let transport_key = PrivateKey::from_pkcs8(key(&answer.transport_key)?)?;
        Self::assemble(
            &http_ca,
            &transport_key,
            &certificate(&answer.transport_cert)?,
            &certificate(&answer.transport_ca_cert)?,
            settings,
        )
    }

    fn assemble(
        http_ca: &CertificateAuthority,
        transport_key: &PrivateKey,
        transport_certificate: &CertificateDer<'static>,
        transport_ca: &CertificateDer<'static>,
        settings: &Settings,
    ) -> Result<Self, PkiError> {
        let (dns, ips) = names(settings);
        let own = http_ca.issue(&NodeCertParams {
            name: DistinguishedName::common_name(&hostname()),
            dns,
            ips,
            days: HTTP_DAYS,
            key: KeySpec::EcP256,
            extended_key_usage: vec![ExtendedKeyUsage::ServerAuth],
            ..NodeCertParams::default()
        })?;
        let (http_password, transport_password) = (random_password(), random_password());
        let http = p12::write(
            &[
                WriteEntry::Key {
                    alias: "http_ca",
                    key: http_ca.private_key(),
                    chain: std::slice::from_ref(http_ca.certificate()),
                },
                WriteEntry::Key {
                    alias: "http",
                    key: &own.key,
                    chain: &[own.certificate.clone(), http_ca.certificate().clone()],
                },
            ],
            &http_password,
        )?;
        let transport = p12::write(
            &[
                WriteEntry::Key {
                    alias: "transport",
                    key: transport_key,
                    chain: std::slice::from_ref(transport_certificate),
                },
                WriteEntry::Trusted {
                    alias: "transport_ca",
                    certificate: transport_ca,
                },
            ],
            &transport_password,
        )?;
        let fingerprint = CertificateInfo::from_der(http_ca.certificate())?.fingerprint_sha256;
        Ok(Self {
            http,
            http_password,
            transport,
            transport_password,
            http_ca: http_ca.certificate_pem(),
            fingerprint,
        })
    }

    /// SHA-256 of the HTTP CA's certificate, lower-case hex.
    pub(super) fn http_ca_fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

/// Elliptic curves, so that the first start takes no longer than others.
fn authority(name: &str, days: u32) -> Result<CertificateAuthority, PkiError> {
    CertificateAuthority::generate(&CaParams {
        dn: DistinguishedName::common_name(name),
        days,
        key: KeySpec::EcP256,
        ..CaParams::default()
    })
}

/// Returns what clients may call the node: host names, and the addresses of every interface.
fn names(settings: &Settings) -> (Vec<String>, Vec<IpAddr>) {
    let mut dns = vec!["localhost".to_owned(), hostname()];
    let mut ips: Vec<IpAddr> = match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces.iter().map(if_addrs::Interface::ip).collect(),
        // Names still work, and the published addresses below.
        Err(error) => {
            tracing::warn!(%error, "cannot list the network interfaces for the HTTP certificate");
            Vec::new()
        }
    };
    ips.extend([IpAddr::from([127, 0, 0, 1])]);
    let published = [&network::NETWORK_PUBLISH_HOST, &network::HTTP_PUBLISH_HOST];
    for host in published
        .into_iter()
        .flat_map(|setting| settings.get(setting))
    {
        match host.trim_matches(['[', ']']).parse() {
            Ok(ip) => ips.push(ip),
            Err(_) if host.starts_with('_') => {}
            Err(_) => dns.push(host),
        }
    }
    ips.retain(|ip| !ip.is_unspecified());
    ips.sort_unstable();
    ips.dedup();
    dns.sort_unstable();
    dns.dedup();
    (dns, ips)
}

fn hostname() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy().into_owned();
    match name.is_empty() {
        true => "localhost".to_owned(),
        false => name,
    }
}

/// 22 characters of URL-safe base64: 128 bits.
fn random_password() -> SecretString {
    let bytes = Zeroizing::new(random_bytes::<16>());
    URL_SAFE_NO_PAD.encode(*bytes).into()
}

fn failed(error: PkiError) -> CommandError {
    CommandError::new(
        ExitCode::CantCreate,
        format!("Failed to configure security: {error}"),
    )
}

const HTTP_CA: &str = "Elasticsearch security auto-configuration HTTP CA";
const TRANSPORT_CA: &str = "Elasticsearch security auto-configuration transport CA";
const CA_DAYS: u32 = 3 * 365;
const HTTP_DAYS: u32 = 2 * 365;
const TRANSPORT_DAYS: u32 = 99 * 365;
