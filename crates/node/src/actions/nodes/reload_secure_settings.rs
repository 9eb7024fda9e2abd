//! `POST /_nodes/reload_secure_settings`: the keystore is read again. Source: Elasticsearch reference, "Nodes reload
//! secure settings API".
//!
//! Beyond Elasticsearch, which changes them only at a restart, the passwords of TLS files are taken up.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use ringwall_api::nodes::{
    ReloadSecureSettingsRequest, ReloadSecureSettingsResponse, ReloadedNode,
};
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_base::{SecretString, TransportTls};
use ringwall_security::Resolved;
use ringwall_settings::Keystore;
use ringwall_tls::SslConfig;
use ringwall_transport::{DuplicateAction, NodeAction};
use sha2::Digest;

use crate::actions::Handler;
use crate::actions::nodes::info::selected;
use crate::node_actions::{Needs, for_users};
use crate::services::Services;

const NODE_RELOAD: NodeAction<ReloadSecureSettingsRequest, ReloadedNode> =
    NodeAction::new("cluster:admin/nodes/reload_secure_settings[n]");
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Registers each node's side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        NODE_RELOAD,
        |_: &ReloadSecureSettingsRequest| vec![Needs::Cluster(ReloadSecureSettingsRequest::NAME)],
        async |services, _, request| Ok(reload_local(services, request.password).await),
    )
}

impl Handler<ReloadSecureSettingsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<ReloadSecureSettingsRequest>,
    ) -> ApiResult<ReloadSecureSettingsResponse> {
        let request = request.into_request();
        let local = services.transport.local();
        let encrypted = TransportTls::of(&local.attributes) == Some(TransportTls::Required);
        let only_local = request.nodes == ["_local"];
        if !request.password.is_empty() && !encrypted && !only_local {
            return Err(ApiError::illegal_argument(
                "Secure settings cannot be updated cluster wide when TLS for the transport layer is not enabled. \
                 Enable TLS or use the API with a `_local` filter on each node.",
            ));
        }
        let state = services.cluster.state();
        let (services, user, request) = (&services, &context.authentication, &request);
        let limit = context.time_left(TIMEOUT);
        let asked = selected(services, &state, &request.nodes).map(|node| async move {
            let answer: ApiResult<ReloadedNode> = services
                .call_as(user, node.id, NODE_RELOAD, request.clone(), limit)
                .await;
            let answer = answer.unwrap_or_else(|error| ReloadedNode {
                name: node.name.clone(),
                error: Some(error),
                ..nothing_read()
            });
            (node.id.to_string(), answer)
        });
        Ok(ReloadSecureSettingsResponse {
            cluster_name: services.cluster_name.clone(),
            nodes: join_all(asked).await.into_iter().collect(),
        })
    }
}

async fn reload_local(services: Arc<Services>, password: SecretString) -> ReloadedNode {
    let name = services.transport.local().name.clone();
    let reloading = ringwall_coordination::blocking::spawn(move || {
        let path = services
            .settings
            .node()
            .config_path("elasticsearch.keystore");
        let mut read = ReloadedNode {
            keystore_path: path.display().to_string(),
            ..nothing_read()
        };
        read.error = take_up(&services, &path, &password, &mut read).err();
        read
    });
    let read = reloading.await.unwrap_or_else(|error| ReloadedNode {
        error: Some(ApiError::internal(format!(
            "the reload was interrupted: {error}"
        ))),
        ..nothing_read()
    });
    match &read.error {
        None => tracing::info!("the secure settings were read again"),
        Some(error) => tracing::warn!(%error, "the secure settings could not be read again"),
    }
    ReloadedNode { name, ..read }
}

/// Reads the keystore and gives its passwords to the TLS contexts, each of which takes all or nothing.
fn take_up(
    services: &Services,
    path: &Path,
    password: &SecretString,
    read: &mut ReloadedNode,
) -> ApiResult<()> {
    let failed = |reason: String| ApiError::new(ErrorCode::IllegalState, reason);
    let keystore = Keystore::load(path, password).map_err(|error| failed(error.to_string()))?;
    read.setting_names = keystore.list().map(str::to_owned).collect();
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    read.keystore_digest = Some(hex::encode(sha2::Sha256::digest(&bytes)));
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    read.keystore_modified_ms = modified
        .ok()
        .and_then(|time: SystemTime| time.duration_since(UNIX_EPOCH).ok())
        .map(|elapsed| elapsed.as_millis() as u64);
    let settings = services
        .settings
        .node()
        .with_keystore(&keystore)
        .map_err(|error| failed(error.to_string()))?;
    let mut problems = Vec::new();
    for context in &services.tls {
        let config = SslConfig::of_context(&settings, context.name());
        let taken = match config {
            Ok(Some(config)) => context
                .reload_with(config)
                .map_err(|error| error.to_string()),
            Ok(None) => Ok(false),
            Err(error) => Err(error.to_string()),
        };
        problems.extend(taken.err());
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(failed(problems.join("; "))),
    }
}

fn nothing_read() -> ReloadedNode {
    ReloadedNode {
        name: String::new(),
        error: None,
        setting_names: Vec::new(),
        keystore_path: String::new(),
        keystore_digest: None,
        keystore_modified_ms: None,
    }
}
