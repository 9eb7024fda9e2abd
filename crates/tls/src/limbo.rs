//! The x509-limbo vectors through [`Trust`], as the dialling and as the accepting side.
//! Source: tests/limbo/README.md.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use ringwall_settings::VerificationMode;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::Value;

use crate::config::ConfiguredPath;
use crate::failure::PeerRole;
use crate::revocation::RevocationLists;
use crate::trust::Trust;

/// Every case has the verdict the vectors ask for, or stands in the document with its reason.
#[test]
fn verdicts_are_those_of_the_vectors_or_documented() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let (mut wrong, mut documented) = (Vec::new(), 0);
    for case in file["testcases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        let accepted = verdict(case);
        let agrees = (case["expected_result"] == "SUCCESS") == accepted.is_ok();
        let heading = match (agrees, accepted.is_ok()) {
            (true, _) => None,
            (false, true) => Some("Accepted"),
            (false, false) => Some("Refused"),
        };
        if listed(id) != heading {
            wrong.push(format!(
                "{id}: documented {:?}, found {heading:?} {accepted:?}",
                listed(id)
            ));
        }
        documented += usize::from(heading.is_some());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(documented, DOCUMENT.matches("\n| `").count());
}

/// Returns under which heading of the document the case is.
fn listed(id: &str) -> Option<&'static str> {
    let (accepted, refused) = DOCUMENT.split_once("## Refused").unwrap();
    let row = format!("| `{id}` |");
    match (accepted.contains(&row), refused.contains(&row)) {
        (true, _) => Some("Accepted"),
        (_, true) => Some("Refused"),
        _ => None,
    }
}

fn verdict(case: &Value) -> Result<(), String> {
    let list = |name: &str| {
        let pems = case[name].as_array().unwrap().iter();
        pems.map(certificate).collect::<Vec<_>>()
    };
    let mut revoked = RevocationLists::default();
    for crl in case["crls"].as_array().unwrap() {
        let path = ConfiguredPath::new("crl", Path::new("/"));
        revoked.add(crl.as_str().unwrap().as_bytes(), &path)?;
    }
    let trust = Trust::new(
        VerificationMode::Full,
        list("trusted_certs"),
        Vec::new(),
        revoked,
    )?;
    let mut chain = vec![certificate(&case["peer_certificate"])];
    chain.extend(list("untrusted_intermediates"));
    let name = case["expected_peer_name"]["value"].as_str();
    let name = name
        .map(|name| ServerName::try_from(name.to_owned()))
        .transpose()
        .map_err(|error| error.to_string())?;
    let (role, dialled) = match case["validation_kind"].as_str().unwrap() {
        "SERVER" => (PeerRole::Server, name.as_ref()),
        _ => (PeerRole::Client, None),
    };
    trust
        .verify(&chain, role, dialled, moment(case))
        .map_err(|reason| format!("{reason:?}"))
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
