//! What a new node or a console needs to join. Source: Elasticsearch reference,
//! "elasticsearch-create-enrollment-token" and "Enroll node API".

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringwall_api::security::{
    EnrollKibanaRequest, EnrollKibanaResponse, EnrollNodeRequest, EnrollNodeResponse,
};
use ringwall_api::{ApiError, ApiResult, RequestContext};
use ringwall_pki::p12::{KeyEntry, Pkcs12};
use ringwall_security::Resolved;
use ringwall_settings::registry::security;
use ringwall_tls::SslContext;

use crate::actions::Handler;
use crate::actions::security::service_accounts;
use crate::services::Services;

impl Handler<EnrollNodeRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        _request: Resolved<EnrollNodeRequest>,
    ) -> ApiResult<EnrollNodeResponse> {
        check_enabled(&services)?;
        let http = keystore(&services, HTTP).await?;
        let ca = http_authority(&http)?;
        let transport = keystore(&services, TRANSPORT).await?;
        let [own] = transport.keys.as_slice() else {
            return Err(cannot(TRANSPORT, "does not hold exactly one private key"));
        };
        let [leaf, issuers @ ..] = own.chain.as_slice() else {
            return Err(cannot(
                TRANSPORT,
                "does not hold the certificate of its key",
            ));
        };
        let trusted = transport.trusted.first().map(|entry| &entry.certificate);
        let Some(transport_ca) = trusted.or_else(|| issuers.last()) else {
            return Err(cannot(TRANSPORT, "does not hold the certificate of its CA"));
        };
        let state = services.cluster.state();
        Ok(EnrollNodeResponse {
            http_ca_key: STANDARD.encode(ca.private_key.expose()).into(),
            http_ca_cert: STANDARD.encode(&ca.chain[0]),
            transport_ca_cert: STANDARD.encode(transport_ca),
            transport_key: STANDARD.encode(own.private_key.expose()).into(),
            transport_cert: STANDARD.encode(leaf),
            nodes_addresses: state
                .nodes
                .values()
                .map(|node| node.transport_address.clone())
                .collect(),
        })
    }
}

impl Handler<EnrollKibanaRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        _request: Resolved<EnrollKibanaRequest>,
    ) -> ApiResult<EnrollKibanaResponse> {
        check_enabled(&services)?;
        let http = keystore(&services, HTTP).await?;
        let http_ca = STANDARD.encode(&http_authority(&http)?.chain[0]);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since_epoch.map_or(0, |elapsed| elapsed.as_millis());
        let name = format!("enroll-process-token-{millis}");
        let token = service_accounts::create(&services, "elastic/kibana", name).await?;
        Ok(EnrollKibanaResponse {
            token_name: token.name,
            token: token.bearer,
            http_ca,
        })
    }
}

/// Reads the keystore of a TLS context again from its file.
async fn keystore(services: &Arc<Services>, context: &'static str) -> ApiResult<Pkcs12> {
    let context: Option<&Arc<SslContext>> =
        services.tls.iter().find(|known| known.name() == context);
    let found = context.map(|context| context.config().clone());
    let Some(config) = found else {
        return Err(ApiError::internal(
            "a node can only enrol others when TLS is on for both transport and HTTP",
        ));
    };
    services
        .pools
        .disk
        .run(move || config.read_keystore())
        .await?
        .map_err(|error| ApiError::internal(error.to_string()))
}

fn http_authority(keystore: &Pkcs12) -> ApiResult<&KeyEntry> {
    keystore
        .authority()
        .map_err(|problem| ApiError::internal(format!("Unable to enrol. {problem}")))
}

fn cannot(context: &str, why: &str) -> ApiError {
    ApiError::internal(format!(
        "Unable to enrol. The keystore of [{context}] {why}"
    ))
}

fn check_enabled(services: &Services) -> ApiResult<()> {
    if services.settings.get(&security::ENROLLMENT_ENABLED) {
        return Ok(());
    }
    Err(ApiError::illegal_argument(
        "enrolling is not enabled: set [xpack.security.enrollment.enabled] to [true] on this node",
    )
    .with_status(403))
}

const HTTP: &str = "xpack.security.http.ssl";
const TRANSPORT: &str = "xpack.security.transport.ssl";
