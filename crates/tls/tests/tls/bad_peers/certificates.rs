//! The certificates that peers of the matrix show, and what is to be thought of them.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    CustomExtension, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, NameConstraints, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

type Ca = CertifiedIssuer<'static, KeyPair>;

/// A chain that a peer shows, leaf first, and the key it answers with.
pub struct Shown {
    pub name: &'static str,
    /// Empty: the peer shows no certificate.
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    /// Why `certificate` and `full` refuse it, in the line of the side that refuses, as accepting side.
    pub refused_client: Option<&'static str>,
    /// The same as dialling side.
    pub refused_server: Option<&'static str>,
    /// Why only `full` refuses it, on the dialling side.
    pub refused_name: Option<&'static str>,
    /// Why no mode lets it in, not even `none`.
    pub refused_always: Option<&'static str>,
    /// What a node of ours at the other end says when it is refused as a client.
    pub told: &'static str,
}

/// What is trusted, and the peers.
pub struct Certificates {
    /// PEM bundle of the trusted authorities.
    pub trusted: String,
    /// PEM revocation list of the first of them.
    pub revoked: String,
    /// A good node certificate, for the side under test: key and chain as PEM.
    pub own: (String, String),
    pub shown: Vec<Shown>,
}

pub fn make() -> Certificates {
    let ca = authority("Matrix CA", |_| {});
    let other = authority("Other CA", |_| {});
    let intermediate = intermediate("Intermediate CA", &ca, |_| {});
    let (own, own_key) = leaf(&ca, |_| {});
    let revoked_serial = SerialNumber::from(0x0bad_u64);

    let mut shown = vec![
        good("good", leaf(&ca, |_| {}), &[]),
        good(
            "good, by an intermediate CA",
            leaf(&intermediate, |_| {}),
            &[&intermediate],
        ),
        bad(
            "wrong CA",
            "not configured to trust that issuer [CN=Other CA]",
            leaf(&other, |_| {}),
            &[],
        ),
        bad(
            "wrong CA, sent along",
            "which is self-issued",
            leaf(&other, |_| {}),
            &[&other],
        ),
        bad("self-signed", "is self-issued", self_signed(), &[]),
        bad(
            "expired",
            "expired on [",
            leaf(&ca, |params| {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            }),
            &[],
        ),
        bad(
            "not yet valid",
            "is not valid before [",
            leaf(&ca, |params| {
                params.not_before = date_time_ymd(2090, 1, 1);
                params.not_after = date_time_ymd(2091, 1, 1);
            }),
            &[],
        ),
        bad(
            "CA as leaf",
            "it is a CA certificate",
            leaf(&ca, |params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }),
            &[],
        ),
        bad(
            "truncated chain",
            "did not provide a copy of the issuing certificate",
            leaf(&intermediate, |_| {}),
            &[],
        ),
        bad(
            "unknown critical extension",
            "is not acceptable",
            leaf(&ca, |params| {
                let mut unknown =
                    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
                unknown.set_criticality(true);
                params.custom_extensions.push(unknown);
            }),
            &[],
        ),
        bad(
            "revoked",
            "is revoked",
            leaf(&ca, |params| {
                params.serial_number = Some(revoked_serial.clone());
            }),
            &[],
        ),
    ];
    shown.push(of_one_name());
    shown.extend(by_bad_intermediates(&ca));
    shown.extend(with_limited_use(&ca));
    shown.extend(with_other_names(&ca));
    shown.extend(of_old_ways());
    for shown in &mut shown {
        shown.told = match shown.name {
            "wrong CA"
            | "wrong CA, sent along"
            | "self-signed"
            | "truncated chain"
            | "authorities of one name" => "[unknown_ca]",
            "expired" | "not yet valid" => "[certificate_expired]",
            "revoked" => "[certificate_revoked]",
            "server use only" | "another use" | "CA as leaf" => "[unsupported_certificate]",
            _ => "[bad_certificate]",
        };
    }
    let stolen = KeyPair::generate().unwrap();
    shown.push(Shown {
        key: key_der(&stolen),
        refused_always: Some("the peer does not hold its key"),
        ..good("wrong key", leaf(&ca, |_| {}), &[])
    });
    shown.push(Shown {
        chain: Vec::new(),
        refused_client: Some("did not provide a certificate"),
        ..good("no certificate", leaf(&ca, |_| {}), &[])
    });

    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(2124, 1, 1),
        crl_number: 1_u64.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: revoked_serial,
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Certificates {
        trusted: ca.pem() + OLD_WAYS_CA,
        revoked: list.signed_by(&ca).unwrap().pem().unwrap(),
        own: (own_key.serialize_pem(), own.pem()),
        shown,
    }
}

/// As many certificates as are looked at, of a stranger: authorities of one name, each of which may have signed any
/// other. Joined by their names alone, they make more paths than can be tried.
fn of_one_name() -> Shown {
    let authorities: Vec<Ca> = (1..10).map(|_| authority("One Name", |_| {})).collect();
    let above: Vec<&Ca> = authorities.iter().collect();
    bad(
        "authorities of one name",
        "not configured to trust that issuer [CN=One Name]",
        leaf(&authorities[0], |_| {}),
        &above,
    )
}

fn by_bad_intermediates(ca: &Ca) -> Vec<Shown> {
    let short = intermediate("Short CA", ca, |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let below = intermediate("Below CA", &short, |_| {});
    let constrained = intermediate("Constrained CA", ca, |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("elsewhere.example".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    let no_signer = intermediate("No Signer CA", ca, |params| {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    });
    let no_ca = intermediate("No CA", ca, |params| params.is_ca = IsCa::ExplicitNoCa);
    vec![
        bad(
            "path length",
            "certificate is not acceptable",
            leaf(&below, |_| {}),
            &[&below, &short],
        ),
        bad(
            "name constraints",
            "certificate is not acceptable",
            leaf(&constrained, |_| {}),
            &[&constrained],
        ),
        bad(
            "issuer without keyCertSign",
            "certificate is not acceptable",
            leaf(&no_signer, |_| {}),
            &[&no_signer],
        ),
        bad(
            "issuer that is no CA",
            "certificate is not acceptable",
            leaf(&no_ca, |_| {}),
            &[&no_ca],
        ),
    ]
}

fn with_limited_use(ca: &Ca) -> Vec<Shown> {
    let only = |usage| leaf(ca, |params| params.extended_key_usages = vec![usage]);
    vec![
        Shown {
            refused_client: Some("does not permit this use"),
            ..good(
                "server use only",
                only(ExtendedKeyUsagePurpose::ServerAuth),
                &[],
            )
        },
        Shown {
            refused_server: Some("does not permit this use"),
            ..good(
                "client use only",
                only(ExtendedKeyUsagePurpose::ClientAuth),
                &[],
            )
        },
        bad(
            "another use",
            "does not permit this use",
            only(ExtendedKeyUsagePurpose::CodeSigning),
            &[],
        ),
        bad(
            "leaf with keyCertSign",
            "keyCertSign",
            leaf(ca, |params| {
                params.key_usages.push(KeyUsagePurpose::KeyCertSign);
            }),
            &[],
        ),
    ]
}

fn with_other_names(ca: &Ca) -> Vec<Shown> {
    let named = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let names = CertificateParams::new(names).unwrap().subject_alt_names;
        leaf(ca, |params| params.subject_alt_names = names)
    };
    let refused_name =
        Some("but the certificate is not valid for [127.0.0.1], the address dialled");
    vec![
        Shown {
            refused_name,
            ..good("wrong name", named(&["elsewhere.example"]), &[])
        },
        Shown {
            refused_name,
            ..good("wrong IP address", named(&["192.0.2.7", "localhost"]), &[])
        },
        Shown {
            refused_name,
            ..good("no name", named(&[]), &[])
        },
    ]
}

/// What OpenSSL still makes when asked, and libraries of today do not.
fn of_old_ways() -> Vec<Shown> {
    let certificate = |pem: &str| vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
    let own_key = PrivateKeyDer::from_pem_slice(SHA1_KEY.as_bytes()).unwrap();
    vec![Shown {
        name: "SHA-1 signature",
        chain: certificate(SHA1),
        key: own_key,
        refused_client: Some("certificate is not acceptable"),
        refused_server: Some("certificate is not acceptable"),
        refused_name: None,
        refused_always: None,
        told: "",
    }]
}

fn good(
    name: &'static str,
    (certificate, key): (rcgen::Certificate, KeyPair),
    above: &[&Ca],
) -> Shown {
    let mut chain = vec![certificate.der().clone()];
    chain.extend(above.iter().map(|ca| ca.der().clone()));
    Shown {
        name,
        chain,
        key: key_der(&key),
        refused_client: None,
        refused_server: None,
        refused_name: None,
        refused_always: None,
        told: "",
    }
}

fn bad(
    name: &'static str,
    why: &'static str,
    made: (rcgen::Certificate, KeyPair),
    above: &[&Ca],
) -> Shown {
    Shown {
        refused_client: Some(why),
        refused_server: Some(why),
        ..good(name, made, above)
    }
}

fn authority(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Ca {
    let params = authority_params(name, change);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn intermediate(name: &str, issuer: &Ca, change: impl FnOnce(&mut CertificateParams)) -> Ca {
    let params = authority_params(name, change);
    CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), issuer).unwrap()
}

fn authority_params(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    params
}

fn leaf(ca: &Ca, change: impl FnOnce(&mut CertificateParams)) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let certificate = leaf_params(change).signed_by(&key, ca).unwrap();
    (certificate, key)
}

fn self_signed() -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let certificate = leaf_params(|_| {}).self_signed(&key).unwrap();
    (certificate, key)
}

fn leaf_params(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "peer");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    params
}

fn key_der(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(key.serialize_der()).unwrap()
}

/// Made with OpenSSL 3.0: a P-256 CA, and `x509 -req -sha1`; valid for 100 years.
const OLD_WAYS_CA: &str = include_str!("old-ways-ca.crt");
const SHA1: &str = include_str!("sha1.crt");
const SHA1_KEY: &str = include_str!("sha1.key");
