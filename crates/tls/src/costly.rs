//! Chains made to cost much: no verdict takes more than a few signature checks, and none is another for it.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use ringwall_settings::VerificationMode;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::failure::{FailureReason, PeerRole};
use crate::meter::Meter;
use crate::path::{MAX_CERTIFICATES, MAX_CHAIN_BYTES, MAX_SIGNATURES};
use crate::provider;
use crate::revocation::RevocationLists;
use crate::trust::Trust;

/// A certificate of a made chain: names and keys by number.
#[derive(Debug, Clone, Copy)]
struct Made {
    subject: usize,
    key: usize,
    issuer: usize,
    signed_by: usize,
}

/// Certificates over few names and keys, so that they issue one another in many ways: one name and many keys, many
/// names and one key, cycles, cross-signing, and signatures of others than the one named.
fn made() -> impl Strategy<Value = Made> {
    (0..NAMES, 0..KEYS, 0..NAMES, 0..KEYS).prop_map(|(subject, key, issuer, signed_by)| Made {
        subject,
        key,
        issuer,
        signed_by,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_chain_costs_few_signature_checks(
        leaf in made(),
        sent in proptest::collection::vec(made(), 0..MAX_CERTIFICATES),
        doubled in proptest::collection::vec(any::<Index>(), 0..4),
        trusted in proptest::collection::vec((0..NAMES, 0..KEYS), 1..4),
    ) {
        let mut sent: Vec<CertificateDer<'static>> = sent.into_iter().map(authority).collect();
        for which in doubled {
            if !sent.is_empty() && sent.len() + 1 < MAX_CERTIFICATES {
                sent.push(which.get(&sent).clone());
            }
        }
        let trust = trust(&trusted);
        let chain = [vec![end_entity(leaf)], sent].concat();
        let (verdict, spent) = judge(&trust, &chain);
        prop_assert!(spent <= MAX_SIGNATURES, "{spent}");
        let plainly = plainly(&trust, &chain);
        // A search in every order gives up where one from the authorities down still finds its way.
        let gave_up = matches!(
            plainly,
            Err(webpki::Error::MaximumSignatureChecksExceeded
                | webpki::Error::MaximumPathBuildCallsExceeded)
        );
        // So does ours at its bound.
        let gave_up = gave_up || (verdict.is_err() && spent == MAX_SIGNATURES);
        prop_assert!(
            verdict.is_ok() == plainly.is_ok() || gave_up,
            "{verdict:?} {plainly:?}"
        );
    }

    /// Who holds no key that is trusted does not even get to most of them.
    #[test]
    fn a_stranger_costs_one_check_for_each_certificate_and_authority(
        leaf in made(),
        sent in proptest::collection::vec(made(), 0..MAX_CERTIFICATES),
        names in proptest::collection::vec(0..NAMES, 1..3),
    ) {
        let trusted: Vec<(usize, usize)> =
            names.iter().enumerate().map(|(at, name)| (*name, KEYS + at)).collect();
        let trust = trust(&trusted);
        let count = sent.len() + 1;
        let chain: Vec<_> = std::iter::once(end_entity(leaf)).chain(sent.into_iter().map(authority)).collect();
        let (verdict, spent) = judge(&trust, &chain);
        prop_assert!(verdict.is_err());
        prop_assert!(spent <= (count * trusted.len()).min(MAX_SIGNATURES), "{spent}");
    }
}

/// The attack: authorities of one name, each of which may have signed any other. Taken by their names, a search gives
/// up after 100 signatures or 200,000 steps.
#[test]
fn authorities_of_one_name_are_not_tried_in_every_order() {
    for (what, issuer) in [("the trusted one's name", 0), ("another name", 1)] {
        let sent = (1..MAX_CERTIFICATES).map(|number| {
            authority(Made {
                subject: issuer,
                key: number % KEYS,
                issuer,
                signed_by: (number + 1) % KEYS,
            })
        });
        let leaf = Made {
            subject: 2,
            key: 0,
            issuer,
            signed_by: 0,
        };
        let chain: Vec<_> = std::iter::once(end_entity(leaf)).chain(sent).collect();
        let trust = trust(&[(0, KEYS)]);
        let begun = std::time::Instant::now();
        let plainly = plainly(&trust, &chain).unwrap_err();
        let before = begun.elapsed();
        let begun = std::time::Instant::now();
        let (verdict, spent) = judge(&trust, &chain);
        println!(
            "{what}: {plainly:?} in {before:?}, now {spent} checks in {:?}",
            begun.elapsed()
        );
        assert!(
            matches!(verdict, Err(FailureReason::UntrustedIssuer { .. })),
            "{what}: {verdict:?}"
        );
        assert!(spent <= chain.len(), "{what}: {spent}");
    }
}

#[test]
fn what_no_honest_peer_sends_is_not_looked_at() {
    let trust = trust(&[(0, KEYS)]);
    let leaf = end_entity(Made {
        subject: 1,
        key: 0,
        issuer: 0,
        signed_by: KEYS,
    });
    let other = authority(Made {
        subject: 1,
        key: 1,
        issuer: 2,
        signed_by: 1,
    });
    let mut chain = vec![leaf.clone()];
    assert_eq!(judge(&trust, &chain), (Ok(()), 1));
    chain.resize(MAX_CERTIFICATES, other.clone());
    assert_eq!(judge(&trust, &chain), (Ok(()), 1));
    chain.push(other);
    let (refused, spent) = judge(&trust, &chain);
    let told = format!("{refused:?}");
    assert!(told.contains("it comes with [11] certificates"), "{told}");
    assert_eq!(spent, 0);
    chain.truncate(1);
    chain.push(vec![0x30; MAX_CHAIN_BYTES].into());
    let told = format!("{:?}", judge(&trust, &chain));
    assert!(told.contains("at most [32768] are looked at"), "{told}");
}

/// Ten trusted authorities of one name, as of yearly renewals: the key identifiers tell which one it is.
#[test]
fn many_trusted_authorities_of_one_name_are_told_apart() {
    let trusted: Vec<(usize, usize)> = (0..KEYS).map(|key| (0, key)).collect();
    let trust = trust(&trusted);
    for key in 0..KEYS {
        let leaf = end_entity(Made {
            subject: 1,
            key: 0,
            issuer: 0,
            signed_by: key,
        });
        let (verdict, spent) = judge(&trust, &[leaf]);
        assert_eq!(verdict, Ok(()), "{key}");
        assert!(spent <= KEYS, "{spent}");
    }
}

/// Returns the verdict, and how many signatures were looked at for it.
fn judge(trust: &Trust, chain: &[CertificateDer<'_>]) -> (Result<(), FailureReason>, usize) {
    let meter = Meter::new(MAX_SIGNATURES);
    let verdict = trust.verify_with(chain, PeerRole::Client, UnixTime::now(), &meter);
    assert!(
        !meter.is_exhausted() || meter.spent() == MAX_SIGNATURES,
        "{meter:?}"
    );
    (verdict, meter.spent())
}

/// The verdict of a search that takes certificates by their names.
fn plainly(trust: &Trust, chain: &[CertificateDer<'_>]) -> Result<(), webpki::Error> {
    let anchors: Vec<_> = trust
        .certificates()
        .iter()
        .map(|certificate| webpki::anchor_from_trusted_cert(certificate).unwrap())
        .collect();
    let leaf = EndEntityCert::try_from(&chain[0])?;
    leaf.verify_for_usage(
        provider::signature_algorithms().all,
        &anchors,
        &chain[1..],
        UnixTime::now(),
        KeyUsage::client_auth(),
        None,
        None,
    )
    .map(drop)
}

/// Trusts authorities, each of a name and a key.
fn trust(trusted: &[(usize, usize)]) -> Trust {
    let certificates = trusted
        .iter()
        .map(|(name, key)| {
            authority(Made {
                subject: *name,
                key: *key,
                issuer: *name,
                signed_by: *key,
            })
        })
        .collect();
    let mode = VerificationMode::Certificate;
    Trust::new(mode, certificates, Vec::new(), RevocationLists::default()).unwrap()
}

fn authority(made: Made) -> CertificateDer<'static> {
    issue(made, |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    })
}

fn end_entity(made: Made) -> CertificateDer<'static> {
    issue(made, |params| {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    })
}

fn issue(made: Made, change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
    let mut issuer = named(made.issuer);
    issuer.key_identifier_method = rcgen::KeyIdMethod::Sha256;
    let issuer = Issuer::from_params(&issuer, &POOL[made.signed_by]);
    let mut params = named(made.subject);
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    let issued = params.signed_by(&POOL[made.key], &issuer).unwrap();
    issued.der().clone()
}

fn named(name: usize) -> CertificateParams {
    let mut params = CertificateParams::default();
    let name = format!("authority {name}");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

const NAMES: usize = 3;
/// Of peers; those of strangers' trust follow in the pool.
const KEYS: usize = 10;
static POOL: LazyLock<Vec<KeyPair>> = LazyLock::new(|| {
    (0..KEYS + 3)
        .map(|_| KeyPair::generate().unwrap())
        .collect()
});
