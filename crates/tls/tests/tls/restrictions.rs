//! `trust_restrictions`: of those the CA vouches for, only some are let in. Source: Elastic's documentation of trust
//! between deployments, `trust_restrictions.path`.

use ringwall_tls::{ReloadOutcome, RestrictedField, SslConfig, VerificationMode};

use crate::support::*;

/// Returns a configuration that shows a certificate with this common name among its alternative names.
fn node(fixture: &Fixture, common_name: &str) -> SslConfig {
    let mut params = node_params(common_name);
    params.common_names = vec![common_name.to_owned()];
    let issued = fixture.ca.issue(&params).unwrap();
    write_pem(fixture.dir.path(), common_name, &issued);
    let mut config = fixture.config(Cert::None);
    config.key = fixture.pem_key(common_name);
    config
}

fn restricted(fixture: &Fixture, field: RestrictedField) -> SslConfig {
    let mut config = node(fixture, "server.ring");
    config.restrictions = Some((fixture.configured("trust.yml"), vec![field]));
    config
}

#[tokio::test]
async fn both_sides_let_in_only_the_names_of_the_file_and_follow_it() {
    let fixture = Fixture::new();
    fixture.write("trust.yml", "trust.subject_name: ['*.ring']\n");
    let with_names = fixture.context(restricted(&fixture, RestrictedField::OtherNameCommonName));
    let friend = fixture.context(node(&fixture, "n1.ring"));
    let stranger = fixture.context(node(&fixture, "n1.other"));
    let said = "common-names [n1.other] does not match the trusted names [*.ring (line |trust_restrictions.x509_fields";

    let done = shake(&with_names, &friend, "localhost").await;
    check("friend dials", &done.server, "");
    let done = shake(&with_names, &stranger, "localhost").await;
    check("stranger dials", &done.server, said);
    let done = shake(&friend, &with_names, "localhost").await;
    check("dials friend", &done.client, "");
    let done = shake(&stranger, &with_names, "localhost").await;
    check("dials stranger", &done.client, said);

    fixture.write("trust.yml", "trust.subject_name: [");
    let broken = with_names.reload();
    assert!(
        matches!(&broken, ReloadOutcome::Failed { reason, .. } if reason.contains("trust.yml] of [xpack")),
        "{broken:?}"
    );
    fixture.write("trust.yml", "trust:\n  subject_name: n1.other\n");
    assert!(matches!(
        with_names.reload(),
        ReloadOutcome::Reloaded { .. }
    ));
    let done = shake(&with_names, &stranger, "localhost").await;
    check("after", &done.server, "");
    let done = shake(&with_names, &friend, "localhost").await;
    check("friend, after", &done.server, "common-names [n1.ring]");
}

#[tokio::test]
async fn restrictions_hold_where_nothing_else_is_verified() {
    let fixture = Fixture::new();
    fixture.write("trust.yml", "trust.subject_name: localhost\n");
    let mut config = restricted(&fixture, RestrictedField::DnsName);
    config.verification_mode = VerificationMode::None;
    let server = fixture.context(config);
    let client = fixture.context(fixture.config(Cert::OtherCa));
    let done = shake(&server, &client, "localhost").await;
    check("named", &done.server, "");
    let client = fixture.context(fixture.config(Cert::WrongName));
    let done = shake(&server, &client, "localhost").await;
    check(
        "another name",
        &done.server,
        "common-names [elsewhere.example]",
    );
}
