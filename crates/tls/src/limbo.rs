//! The x509-limbo vectors through [`Trust`], as the dialling and as the accepting side.
//! Source: tests/limbo/README.md.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use ringwall_settings::VerificationMode;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde_json::Value;

use crate::config::ConfiguredPath;
use crate::dialled::Dialled;
use crate::failure::{FailureReason, PeerRole};
use crate::revocation::RevocationLists;
use crate::trust::{Profile, Trust};

/// Every case has the verdict the vectors ask for, or stands in the document with its reason. What only the
/// rules of the public web refuse is refused where those are asked for.
#[test]
fn verdicts_are_those_of_the_vectors_or_documented() {
    let mut found: BTreeMap<&str, &str> = BTreeMap::new();
    let cases = cases();
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        let node = verdict(case, Profile::Node);
        let mut public_web = verdict(case, Profile::WebPki);
        // The generator writes one common name into all certificates, whatever their names.
        let is_of_generator = !id.starts_with("webpki::cn::");
        if is_of_generator && matches!(&public_web, Err(reason) if reason.contains(COMMON_NAME)) {
            public_web = node.clone();
        }
        // The stricter profile is the stricter one.
        assert!(node.is_ok() || public_web.is_err(), "{id}: {node:?}");
        let wanted = case["expected_result"] == "SUCCESS";
        let heading = match (wanted, node.is_ok(), public_web.is_ok()) {
            (true, true, _) | (false, false, _) => None,
            (true, false, _) => Some(REFUSED),
            (false, true, false) => Some(PUBLIC_WEB),
            (false, true, true) => Some(WAIVED),
        };
        if let Some(heading) = heading {
            found.insert(id, heading);
        }
        // Those it asks for, the public web's own vectors let in.
        if wanted && id.starts_with("webpki::") && node.is_ok() {
            assert!(public_web.is_ok(), "{id}: {public_web:?}");
        }
    }
    assert_eq!(found, listed());
}

/// The verdict on a chain is the same on the other side of a connection, but for what depends on the side: the
/// extended key usage, and the name, which only a dialling side has.
#[test]
fn both_sides_come_to_the_same_verdict() {
    let mut compared = 0;
    for case in &cases() {
        let id = case["id"].as_str().unwrap();
        let Ok(trust) = trust(case, Profile::Node) else {
            continue;
        };
        let chain = chain(case);
        let judged = [PeerRole::Server, PeerRole::Client]
            .map(|role| trust.verify(&chain, role, None, moment(case)));
        if judged
            .iter()
            .any(|verdict| matches!(verdict, Err(FailureReason::WrongUsage { .. })))
        {
            continue;
        }
        assert_eq!(judged[0], judged[1], "{id}");
        compared += 1;
    }
    assert!(compared > COMPARED_MIN, "{compared}");
}

fn cases() -> Vec<Value> {
    let mut file: Value = serde_json::from_str(VECTORS).unwrap();
    let Value::Array(cases) = file["testcases"].take() else {
        panic!("no cases");
    };
    cases
}

/// Returns the cases of the document with the heading they stand under.
fn listed() -> BTreeMap<&'static str, &'static str> {
    let mut listed = BTreeMap::new();
    let mut heading = "";
    for line in DOCUMENT.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title;
        } else if let Some(row) = line.strip_prefix("| `") {
            let (id, reason) = row.split_once("` |").unwrap();
            assert!(reason.trim_matches([' ', '|']).len() > 3, "{id}: no reason");
            assert_eq!(listed.insert(id, heading), None, "{id} stands there twice");
        }
    }
    listed
}

fn verdict(case: &Value, profile: Profile) -> Result<(), String> {
    let name = case["expected_peer_name"]["value"].as_str();
    let name = name.map(Dialled::new);
    let (role, dialled) = match case["validation_kind"].as_str().unwrap() {
        "SERVER" => (PeerRole::Server, name.as_ref()),
        _ => (PeerRole::Client, None),
    };
    trust(case, profile)?
        .verify(&chain(case), role, dialled, moment(case))
        .map_err(|reason| format!("{reason:?}"))
}

fn trust(case: &Value, profile: Profile) -> Result<Trust, String> {
    let mut revoked = RevocationLists::default();
    for crl in case["crls"].as_array().unwrap() {
        let path = ConfiguredPath::new("crl", Path::new("/"));
        revoked.add(crl.as_str().unwrap().as_bytes(), &path)?;
    }
    let trusted = list(case, "trusted_certs");
    let trust = Trust::new(VerificationMode::Full, trusted, Vec::new(), revoked)?;
    let trust = trust.with_profile(profile);
    Ok(match case["max_chain_depth"].as_u64() {
        Some(depth) => trust.with_max_intermediates(depth.try_into().unwrap()),
        None => trust,
    })
}

fn chain(case: &Value) -> Vec<CertificateDer<'static>> {
    let mut chain = vec![certificate(&case["peer_certificate"])];
    chain.extend(list(case, "untrusted_intermediates"));
    chain
}

fn list(case: &Value, name: &str) -> Vec<CertificateDer<'static>> {
    let pems = case[name].as_array().unwrap().iter();
    pems.map(certificate).collect()
}

fn certificate(pem: &Value) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_str().unwrap().as_bytes()).unwrap()
}

fn moment(case: &Value) -> UnixTime {
    let time = case["validation_time"]
        .as_str()
        .unwrap_or("2026-01-01T00:00:00Z");
    let time: Timestamp = time.parse().unwrap();
    UnixTime::since_unix_epoch(Duration::from_secs(time.as_second().try_into().unwrap()))
}

const VECTORS: &str = include_str!("../tests/limbo/limbo.json");
const DOCUMENT: &str = include_str!("../../../docs/certificate-verification.md");
const REFUSED: &str = "Refused, though the vectors accept";
const PUBLIC_WEB: &str = "Left to the rules of the public web";
const WAIVED: &str = "Accepted, though the vectors refuse";
const COMMON_NAME: &str = "its common name is none of its subject alternative names";
/// So many cases at least have a certificate for either use.
const COMPARED_MIN: usize = 20;
