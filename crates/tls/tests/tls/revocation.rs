//! Which revocation list speaks for which certificate.

use std::sync::Arc;

use rcgen::{
    CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SigningKey,
    date_time_ymd,
};
use ringwall_pki::{
    CaParams, CertificateAuthority, CertificateDer, CertificateInfo, DistinguishedName, KeySpec,
};
use ringwall_tls::{FailureReason, PeerRole, Rehearsal, SslConfig, SslContext};

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::support::*;

/// A context that trusts these PEM certificates and has these lists, in files of their own.
fn context(fixture: &Fixture, trusted: &str, lists: &[String]) -> (SslConfig, Arc<SslContext>) {
    let (config, _) = configured(fixture, trusted, lists);
    (config.clone(), fixture.context(config))
}

/// As [`context`], not loaded, with the number of lists.
fn configured(fixture: &Fixture, trusted: &str, lists: &[String]) -> (SslConfig, usize) {
    let mut config = fixture.config(Cert::None);
    fixture.write("ca.crt", trusted);
    for (at, list) in lists.iter().enumerate() {
        let name = format!("{at}.crl");
        fixture.write(&name, list);
        config.revocation_lists.push(fixture.configured(&name));
    }
    (config, lists.len())
}

fn doubts(context: &SslContext) -> Vec<String> {
    let doubts = context.checkup(&[]).into_iter();
    let of_lists = doubts.filter(|doubt| doubt.check() == "tls_revocation_list");
    of_lists.map(|doubt| doubt.to_string()).collect()
}

fn ca(subject: &str) -> CertificateAuthority {
    let params = CaParams {
        dn: DistinguishedName::parse(subject).unwrap(),
        key: KeySpec::EcP256,
        ..CaParams::default()
    };
    CertificateAuthority::generate(&params).unwrap()
}

fn serial(certificate: &ringwall_pki::CertificateDer<'_>) -> String {
    CertificateInfo::from_der(certificate).unwrap().serial
}

#[test]
fn the_newest_list_of_an_authority_counts_in_any_order() {
    let fixture = Fixture::new();
    let taken_back = fixture.issue(Cert::Good);
    let back_again = fixture.issue(Cert::Good);
    let revoked = serial(&taken_back.certificate);
    let held = serial(&back_again.certificate);
    let older = revocation_list(&fixture.ca, 9, &[&held], 2124);
    // 256 is more than 9 although its first byte is less.
    let newer = revocation_list(&fixture.ca, 256, &[&revoked], 2124);
    let both_in_one = vec![older.clone() + &newer];
    for lists in [
        vec![older.clone(), newer.clone()],
        vec![newer, older],
        both_in_one,
    ] {
        let (_, context) = context(&fixture, &fixture.ca.certificate_pem(), &lists);
        for role in [PeerRole::Server, PeerRole::Client] {
            let verdict = context.would_trust(&taken_back.chain, role, None);
            assert!(
                matches!(verdict, Err(FailureReason::Revoked { .. })),
                "{verdict:?}"
            );
            assert_eq!(context.would_trust(&back_again.chain, role, None), Ok(()));
        }
        let told = doubts(&context);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains("number [9] of [CN=") && told[0].contains("is not looked at"),
            "{told:?}"
        );
        let entries = context.revocation_lists();
        let numbers: Vec<_> = entries
            .iter()
            .map(|list| (list.number.as_str(), list.is_superseded))
            .collect();
        assert_eq!(numbers, [("256", false), ("9", true)]);
    }
}

#[test]
fn a_list_speaks_for_the_key_that_signed_it_and_not_for_its_name() {
    let fixture = Fixture::new();
    let (old, new) = (&fixture.ca, &fixture.same);
    let of_old = fixture.issue(Cert::Good);
    let of_new = fixture.issue(Cert::SameNameOtherCa);
    let both = old.certificate_pem() + &new.certificate_pem();
    // The number of the old CA's list is higher: they are not of one series.
    let list_of_old = revocation_list(old, 50, &[&serial(&of_old.certificate)], 2124);
    let (_, rotating) = context(&fixture, &both, std::slice::from_ref(&list_of_old));
    let verdict = rotating.would_trust(&of_old.chain, PeerRole::Client, None);
    assert!(
        matches!(verdict, Err(FailureReason::Revoked { .. })),
        "{verdict:?}"
    );
    assert_eq!(
        rotating.would_trust(&of_new.chain, PeerRole::Client, None),
        Ok(())
    );
    assert_eq!(doubts(&rotating), Vec::<String>::new());

    let list_of_new = revocation_list(new, 1, &[&serial(&of_new.certificate)], 2124);
    let lists = [list_of_old.clone(), list_of_new];
    let (_, both_lists) = context(&fixture, &both, &lists);
    for chain in [&of_old.chain, &of_new.chain] {
        let verdict = both_lists.would_trust(chain, PeerRole::Client, None);
        assert!(
            matches!(verdict, Err(FailureReason::Revoked { .. })),
            "{verdict:?}"
        );
    }
    assert_eq!(doubts(&both_lists), Vec::<String>::new());

    // After the drop nobody who is trusted signed it. So is a list of a CA that was made anew, while the old one is
    // trusted: it would revoke nothing.
    for (trusted, list) in [
        (new, list_of_old),
        (
            old,
            revocation_list(new, 1, &[&serial(&of_old.certificate)], 2124),
        ),
    ] {
        let (config, lists) = configured(&fixture, &trusted.certificate_pem(), &[list]);
        assert_eq!(lists, 1);
        let error = SslContext::load(config, &[]).unwrap_err().to_string();
        let told = "was signed with another key than that of the CA of this name which is trusted";
        assert!(error.contains(told) && error.contains("0.crl"), "{error}");
    }
}

/// Returns DER with its tag and length, of up to 65535 bytes.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..128 => out.push(length as u8),
        128..256 => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(content);
    out
}

/// Returns what a certificate or a list would be with another name in its distribution point than this address,
/// signed again. `tag` is the kind of the name; it is as long as the address.
fn with_point(
    signed: &[u8],
    address: &str,
    tag: u8,
    name: &[u8],
    issuer: &CertificateAuthority,
) -> Vec<u8> {
    assert_eq!(address.len(), name.len());
    let is_list = X509Certificate::from_der(signed).is_err();
    let tbs = match is_list {
        true => {
            let list = CertificateRevocationList::from_der(signed).unwrap().1;
            list.tbs_cert_list.as_ref().to_vec()
        }
        false => {
            let certificate = X509Certificate::from_der(signed).unwrap().1;
            certificate.tbs_certificate.as_ref().to_vec()
        }
    };
    let (before, after) = (der(0x86, address.as_bytes()), der(tag, name));
    let at = tbs
        .windows(before.len())
        .position(|window| window == before)
        .unwrap();
    let tbs = [&tbs[..at], &after, &tbs[at + before.len()..]].concat();
    let key = KeyPair::try_from(issuer.private_key().pkcs8().expose().to_vec()).unwrap();
    let signature = [vec![0], key.sign(&tbs).unwrap()].concat();
    // ecdsa-with-SHA256
    let algorithm = der(
        0x30,
        &der(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]),
    );
    der(0x30, &[tbs, algorithm, der(0x03, &signature)].concat())
}

/// Returns a certificate whose revocation a distribution point of this name tells.
fn certificate_with_point(
    fixture: &Fixture,
    serial: u64,
    tag: u8,
    name: &[u8],
) -> CertificateDer<'static> {
    let address = "x".repeat(name.len());
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.serial_number = Some(serial.into());
    params.crl_distribution_points = vec![CrlDistributionPoint {
        uris: vec![address.clone()],
    }];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::try_from(fixture.ca.private_key().pkcs8().expose().to_vec()).unwrap();
    let issuer = Issuer::from_ca_cert_der(fixture.ca.certificate(), key).unwrap();
    let own = KeyPair::generate().unwrap();
    let issued = params.signed_by(&own, &issuer).unwrap();
    with_point(issued.der(), &address, tag, name, &fixture.ca).into()
}

/// Returns the part of a list that is for a distribution point of this name, as DER.
fn list_of_point(fixture: &Fixture, serials: &[u64], tag: u8, name: &[u8]) -> Vec<u8> {
    let address = "x".repeat(name.len());
    let key = KeyPair::try_from(fixture.ca.private_key().pkcs8().expose().to_vec()).unwrap();
    let issuer = Issuer::from_ca_cert_der(fixture.ca.certificate(), key).unwrap();
    let revoked = serials.iter().map(|serial| RevokedCertParams {
        serial_number: (*serial).into(),
        revocation_time: date_time_ymd(2024, 1, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(2124, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint {
                uris: vec![address.clone()],
            },
            scope: None,
        }),
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&issuer).unwrap();
    with_point(list.der(), &address, tag, name, &fixture.ca)
}

#[test]
fn a_part_of_a_list_is_for_the_directory_name_of_its_distribution_point() {
    const DIRECTORY: u8 = 0xa4;
    const DNS: u8 = 0x82;
    let fixture = Fixture::new();
    let name = |text: &str| DistinguishedName::parse(text).unwrap().as_der().to_vec();
    let (one, other) = (name("CN=part 1,O=lists"), name("CN=part 2,O=lists"));
    let list = list_of_point(&fixture, &[5, 6, 7, 8], DIRECTORY, &one);
    let mut config = fixture.config(Cert::None);
    fixture.write("part.crl", list);
    config.revocation_lists.push(fixture.configured("part.crl"));
    let context = fixture.context(config.clone());
    let verdict = |certificate: CertificateDer<'static>| {
        context.would_trust(&[certificate], PeerRole::Server, None)
    };
    let revoked = [
        certificate_with_point(&fixture, 5, DIRECTORY, &one),
        // Directories do not tell upper from lower case.
        certificate_with_point(&fixture, 6, DIRECTORY, &name("CN=PART 1,O=Lists")),
        // What cannot be compared may be the same.
        certificate_with_point(&fixture, 7, DNS, b"lists.example"),
    ];
    for certificate in revoked {
        let told = verdict(certificate);
        assert!(
            matches!(told, Err(FailureReason::Revoked { .. })),
            "{told:?}"
        );
    }
    for good in [
        certificate_with_point(&fixture, 9, DIRECTORY, &one),
        certificate_with_point(&fixture, 8, DIRECTORY, &other),
    ] {
        assert_eq!(verdict(good), Ok(()));
    }
    fixture.write(
        "part.crl",
        list_of_point(&fixture, &[5], DNS, b"lists.example"),
    );
    let error = SslContext::load(config, &[]).unwrap_err().to_string();
    assert!(
        error.contains("neither an address (URI) nor a directory name"),
        "{error}"
    );
}

#[test]
fn a_list_of_an_intermediate_counts_for_what_it_signed() {
    let fixture = Fixture::new();
    let params = CaParams {
        dn: DistinguishedName::common_name("Below"),
        key: KeySpec::EcP256,
        ..CaParams::default()
    };
    let below = fixture.ca.issue_intermediate(&params).unwrap();
    let (good, bad) = (
        below.issue(&node_params("node-1")).unwrap(),
        below.issue(&node_params("node-1")).unwrap(),
    );
    let list = revocation_list(&below, 1, &[&serial(&bad.certificate)], 2124);
    let root = fixture.ca.certificate_pem();
    let (_, by_leaf) = context(&fixture, &root, &[list]);
    assert_eq!(
        by_leaf.would_trust(&good.chain, PeerRole::Server, None),
        Ok(())
    );
    let verdict = by_leaf.would_trust(&bad.chain, PeerRole::Server, None);
    assert!(
        matches!(verdict, Err(FailureReason::Revoked { .. })),
        "{verdict:?}"
    );

    let list = revocation_list(&fixture.ca, 1, &[&serial(below.certificate())], 2124);
    let (_, by_intermediate) = context(&fixture, &root, &[list]);
    let verdict = by_intermediate.would_trust(&good.chain, PeerRole::Server, None);
    assert!(
        matches!(verdict, Err(FailureReason::Revoked { .. })),
        "{verdict:?}"
    );
}

#[test]
fn names_are_compared_whole() {
    let fixture = Fixture::new();
    let (short, long) = (ca("CN=CA"), ca("CN=CA,O=x"));
    let leaf = long.issue(&node_params("node-1")).unwrap();
    let revoked = serial(&leaf.certificate);
    // The leaf itself is trusted as it is, so no signature tells whose the list is.
    let trusted =
        long.certificate_pem() + &ringwall_pki::pem::encode_certificates(&leaf.chain[..1]);
    let (_, of_other) = context(
        &fixture,
        &trusted,
        &[revocation_list(&short, 1, &[&revoked], 2124)],
    );
    assert_eq!(
        of_other.would_trust(&leaf.chain, PeerRole::Client, None),
        Ok(())
    );
    let (_, of_issuer) = context(
        &fixture,
        &trusted,
        &[revocation_list(&long, 1, &[&revoked], 2124)],
    );
    let verdict = of_issuer.would_trust(&leaf.chain, PeerRole::Client, None);
    assert!(
        matches!(verdict, Err(FailureReason::Revoked { .. })),
        "{verdict:?}"
    );
}

#[test]
fn an_overdue_list_still_counts_and_is_told() {
    let fixture = Fixture::new();
    let leaf = fixture.issue(Cert::Good);
    let list = revocation_list(&fixture.ca, 1, &[&serial(&leaf.certificate)], 2025);
    let (_, context) = context(&fixture, &fixture.ca.certificate_pem(), &[list]);
    let verdict = context.would_trust(&leaf.chain, PeerRole::Client, None);
    assert!(
        matches!(verdict, Err(FailureReason::Revoked { .. })),
        "{verdict:?}"
    );
    let told = doubts(&context);
    assert!(
        told.len() == 1 && told[0].contains("should have been replaced on [2025-01-01T00:00:00Z]"),
        "{told:?}"
    );
}

#[test]
fn a_rehearsal_has_the_lists_and_the_dates_of_the_real_trust() {
    let fixture = Fixture::new();
    let (good, bad, over) = (
        fixture.issue(Cert::Good),
        fixture.issue(Cert::Good),
        fixture.issue(Cert::Expired),
    );
    let server_only = fixture.issue(Cert::ServerAuthOnly);
    let list = revocation_list(&fixture.ca, 1, &[&serial(&bad.certificate)], 2124);
    let (config, _) = context(&fixture, &fixture.other.certificate_pem(), &[list]);
    let rehearsal = Rehearsal::new(&config, vec![fixture.ca.certificate().clone()]).unwrap();
    assert_eq!(rehearsal.verify(&good.chain), Ok(()));
    for (chain, kind) in [
        (&bad.chain, "revoked"),
        (&over.chain, "expired"),
        (&server_only.chain, "wrong_usage"),
        (&fixture.issue(Cert::OtherCa).chain, "untrusted_issuer"),
    ] {
        assert_eq!(rehearsal.verify(chain).unwrap_err().kind(), kind);
    }
}

#[test]
fn certificates_trusted_beside_the_files_are_held_to_the_same_lists() {
    let fixture = Fixture::new();
    let new = &fixture.other;
    let of_old = fixture.issue(Cert::Good);
    let of_new = fixture.issue(Cert::OtherCa);
    let (config, files_only) = context(&fixture, &fixture.ca.certificate_pem(), &[]);
    let verdict = |context: &SslContext, chain| context.would_trust(chain, PeerRole::Server, None);
    assert!(verdict(&files_only, &of_new.chain).is_err());
    let also = [new.certificate().clone()];
    let both = SslContext::load_trusting(config, &[], &also).unwrap();
    for chain in [&of_old.chain, &of_new.chain] {
        assert_eq!(verdict(&both, chain), Ok(()));
    }
    let list = revocation_list(new, 1, &[&serial(&of_new.certificate)], 2124);
    let (config, _) = context(&fixture, &fixture.ca.certificate_pem(), &[list]);
    let listed = SslContext::load_trusting(config, &[], &also).unwrap();
    assert!(matches!(
        verdict(&listed, &of_new.chain),
        Err(FailureReason::Revoked { .. })
    ));
    assert_eq!(verdict(&listed, &of_old.chain), Ok(()));
}
