//! Certificates in use by this node.

use std::sync::Arc;

use ringwall_api::security::{SslCertificatesRequest, SslCertificatesResponse};
use ringwall_api::{ApiResult, RequestContext};
use ringwall_security::Resolved;
use ringwall_tls::CertificateEntry;
use serde_json::{Value, json};

use crate::actions::Handler;
use crate::services::Services;

impl Handler<SslCertificatesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        _request: Resolved<SslCertificatesRequest>,
    ) -> ApiResult<SslCertificatesResponse> {
        let mut entries: Vec<CertificateEntry> = services
            .tls
            .iter()
            .flat_map(|context| context.certificates())
            .collect();
        // By path, alias with none last, serial; each row once. Source: Elasticsearch reference, "SSL certificate
        // API".
        entries.sort_by(|a, b| {
            let key = |entry: &CertificateEntry| {
                let alias = entry.alias.clone();
                (
                    entry.path.clone(),
                    alias.is_none(),
                    alias,
                    entry.info.serial.clone(),
                )
            };
            key(a).cmp(&key(b))
        });
        entries.dedup();
        Ok(SslCertificatesResponse {
            certificates: entries.iter().map(certificate_row).collect(),
        })
    }
}

fn certificate_row(entry: &CertificateEntry) -> Value {
    let info = &entry.info;
    json!({
        "path": entry.path,
        "format": entry.format,
        "alias": entry.alias,
        "subject_dn": info.subject.with_spaces(),
        "serial_number": info.serial,
        "has_private_key": entry.has_private_key,
        "expiry": format!("{:.3}", info.not_after),
        "issuer": info.issuer.with_spaces(),
    })
}
