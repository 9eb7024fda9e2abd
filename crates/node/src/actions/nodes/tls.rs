//! What every node uses TLS with. Source: Elasticsearch reference, "SSL certificate API".

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::nodes::{
    NodeTls, NodesTlsRequest, NodesTlsResponse, TlsCertificate, TlsContextInfo, TlsLink,
    TlsRefusal, TlsRevocationList,
};
use ringwall_api::{ActionRequest, ApiResult, Authentication, RequestContext};
use ringwall_base::TransportTls;
use ringwall_security::Resolved;
use ringwall_tls::{CertificateEntry, RevocationListEntry, SslContext};
use ringwall_transport::{DuplicateAction, LinkInfo, NodeAction};

use crate::actions::Handler;
use crate::actions::nodes::info::selected;
use crate::node_actions::{Needs, for_users};
use crate::services::Services;

/// To every node: what do you use TLS with?
const NODE_TLS: NodeAction<(), NodeTls> = NodeAction::new("cluster:monitor/nodes/ssl[n]");
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// Registers each node's side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        NODE_TLS,
        |(): &()| vec![Needs::Cluster(NodesTlsRequest::NAME)],
        async |services, _, ()| Ok(local(&services)),
    )
}

impl Handler<NodesTlsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<NodesTlsRequest>,
    ) -> ApiResult<NodesTlsResponse> {
        let limit = context.time_left(TIMEOUT);
        Ok(of_nodes(&services, &context.authentication, &request.nodes, limit).await)
    }
}

/// Asks the nodes that the filters name, for a user.
pub(crate) async fn of_nodes(
    services: &Arc<Services>,
    user: &Authentication,
    filters: &[String],
    limit: Duration,
) -> NodesTlsResponse {
    let state = services.cluster.state();
    let asked = selected(services, &state, filters).map(|node| async move {
        let answer: ApiResult<NodeTls> = services.call_as(user, node.id, NODE_TLS, (), limit).await;
        (node.id.to_string(), answer)
    });
    let mut response = NodesTlsResponse {
        cluster_name: services.cluster_name.clone(),
        nodes: Default::default(),
        failures: Default::default(),
    };
    for (id, answer) in join_all(asked).await {
        match answer {
            Ok(tls) => drop(response.nodes.insert(id, tls)),
            Err(error) => drop(response.failures.insert(id, error.reason)),
        }
    }
    response
}

/// Returns what this node uses.
pub(crate) fn local(services: &Services) -> NodeTls {
    let identity = services.transport.local();
    let mode = TransportTls::of(&identity.attributes).unwrap_or(TransportTls::Off);
    let mut links: Vec<TlsLink> = services.transport.links().iter().map(link).collect();
    links.sort_by(|a, b| (&a.node_name, a.dialled).cmp(&(&b.node_name, b.dialled)));
    // A node has several links to another, all alike.
    links.dedup();
    NodeTls {
        name: identity.name.clone(),
        transport: mode.as_str().to_owned(),
        contexts: services
            .tls
            .iter()
            .map(|context| describe(context))
            .collect(),
        links,
        refusals: refusals(services),
    }
}

fn refusals(services: &Services) -> Vec<TlsRefusal> {
    let layers = [
        ("transport", services.transport.refusals()),
        ("http", services.clients.refusals.told()),
    ];
    let mut refusals: Vec<TlsRefusal> = layers
        .into_iter()
        .flat_map(|(layer, told)| {
            told.into_iter().map(move |told| TlsRefusal {
                at_ms: told.at.as_millisecond(),
                layer: layer.to_owned(),
                peer: told.peer,
                reason: told.why.to_owned(),
                message: told.line,
            })
        })
        .collect();
    refusals.sort_by_key(|refusal| refusal.at_ms);
    refusals
}

fn describe(context: &SslContext) -> TlsContextInfo {
    TlsContextInfo {
        name: context.name().to_owned(),
        reloads: *context.subscribe().borrow(),
        reload_error: context.last_reload_error(),
        certificates: context.certificates().iter().map(certificate).collect(),
        trusted: context.trusted_fingerprints(),
        revocation_lists: context.revocation_lists().into_iter().map(list).collect(),
    }
}

fn list(entry: RevocationListEntry) -> TlsRevocationList {
    TlsRevocationList {
        path: entry.path,
        issuer: entry.issuer,
        number: entry.number,
        this_update: entry.this_update.as_second(),
        next_update: entry.next_update.as_second(),
        is_superseded: entry.is_superseded,
    }
}

fn certificate(entry: &CertificateEntry) -> TlsCertificate {
    let info = &entry.info;
    TlsCertificate {
        path: entry.path.clone(),
        format: entry.format.to_string(),
        alias: entry.alias.clone(),
        subject: info.subject.to_string(),
        issuer: info.issuer.to_string(),
        serial: info.serial.clone(),
        sha256: info.fingerprint_sha256.clone(),
        issuer_sha256: entry.issuer_sha256.clone(),
        has_private_key: entry.has_private_key,
        is_ca: info.is_ca,
        not_before: info.not_before.as_second(),
        not_after: info.not_after.as_second(),
    }
}

fn link(link: &LinkInfo) -> TlsLink {
    let info = link
        .certificate
        .as_ref()
        .and_then(|peer| peer.info.as_ref());
    TlsLink {
        node_id: link.node.id.to_string(),
        node_name: link.node.name.clone(),
        dialled: link.dialled,
        encrypted: link.encrypted,
        subject: info.map(|info| info.subject.to_string()),
        issuer: info.map(|info| info.issuer.to_string()),
        serial: info.map(|info| info.serial.clone()),
        not_after: info.map(|info| info.not_after.as_second()),
    }
}
