//! `GET /_cat/certificates`: one table of all nodes.

use ringwall_api::ApiResult;
use ringwall_api::nodes::{NodesTlsRequest, TlsCertificate};

use super::{CatTable, Column, column, extra};
use crate::handlers::nodes::{days_left, time};
use crate::request::RestRequest;

/// The certificates in use by all nodes.
pub struct Certificates;

pub struct Row {
    node: String,
    context: String,
    reload_error: Option<String>,
    certificate: TlsCertificate,
}

impl CatTable for Certificates {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        column("node", &["n", "name"], "node name", |row| {
            row.node.clone().into()
        }),
        column(
            "context",
            &["c"],
            "settings prefix of the TLS context",
            |row| row.context.clone().into(),
        ),
        column("path", &["p"], "file, as written in the setting", |row| {
            row.certificate.path.clone().into()
        }),
        extra("alias", &["a"], "alias within a PKCS#12 file", |row| {
            row.certificate.alias.clone().into()
        }),
        column("subject", &["s"], "subject", |row| {
            row.certificate.subject.clone().into()
        }),
        column("issuer", &["i"], "issuer", |row| {
            row.certificate.issuer.clone().into()
        }),
        column("serial", &["sn"], "serial number", |row| {
            row.certificate.serial.clone().into()
        }),
        column(
            "own",
            &["key"],
            "whether the node has its private key",
            |row| row.certificate.has_private_key.to_string().into(),
        ),
        column("expiry", &["e"], "end of its validity", |row| {
            time(row.certificate.not_after).into()
        }),
        column("days", &["d", "days_left"], "days left", |row| {
            days_left(row.certificate.not_after).to_string().into()
        }),
        extra(
            "fingerprint",
            &["f", "sha256"],
            "SHA-256 fingerprint",
            |row| row.certificate.sha256.clone().into(),
        ),
        extra(
            "reload_error",
            &["re"],
            "why changed files are not in use",
            |row| row.reload_error.clone().into(),
        ),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        let nodes = Vec::new();
        let answer = request.execute(NodesTlsRequest { nodes }).await?;
        let mut rows = Vec::new();
        for node in answer.nodes.into_values() {
            for context in node.contexts {
                rows.extend(context.certificates.into_iter().map(|certificate| Row {
                    node: node.name.clone(),
                    context: context.name.clone(),
                    reload_error: context.reload_error.clone(),
                    certificate,
                }));
            }
        }
        Ok(rows)
    }
}
