//! What an operator decides about copies. Source: the published reference of the cluster reroute API.

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::cluster::{ClusterRerouteRequest, ClusterRerouteResponse, RerouteCommand};
use ringwall_api::{ApiResult, RequestContext};
use ringwall_base::random_uuid;
use ringwall_cluster::{Change, ClusterState, Command};
use ringwall_security::Resolved;

use crate::acknowledge;
use crate::actions::Handler;
use crate::cluster_service::now_ms;
use crate::services::Services;

impl Handler<ClusterRerouteRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<ClusterRerouteRequest>,
    ) -> ApiResult<ClusterRerouteResponse> {
        let request = request.into_request();
        let timeout = Duration::from_millis(request.timeout_ms);
        let mut commands = request.commands;
        let mut explanations = None;
        if request.explain || request.dry_run {
            let refusals = rehearse(&services.cluster.state(), &commands, request.explain)?;
            let mut refused = refusals.iter().map(Option::is_some);
            commands.retain(|_| !refused.next().unwrap_or_default());
            explanations = request.explain.then_some(refusals);
        }
        let mut acknowledged = true;
        if !request.dry_run {
            let change = Change::RerouteCommands {
                commands,
                retry_failed: request.retry_failed,
            };
            services.cluster.submit(change, timeout).await?;
            acknowledged = acknowledge::by_all(&services, timeout).await;
        }
        Ok(ClusterRerouteResponse {
            acknowledged,
            explanations,
        })
    }
}

/// Applies the commands to a copy of the state, one after another. Returns why each was refused.
fn rehearse(
    state: &ClusterState,
    commands: &[RerouteCommand],
    explain: bool,
) -> ApiResult<Vec<Option<String>>> {
    let mut state = state.clone();
    let mut refusals = Vec::with_capacity(commands.len());
    for command in commands {
        let outcome = state.apply(Command {
            now_ms: now_ms(),
            seed: random_uuid(),
            rules: ringwall_cluster::command::RULES,
            change: Change::RerouteCommands {
                commands: vec![command.clone()],
                retry_failed: false,
            },
        });
        match outcome.result {
            Err(error) if !explain => return Err(error),
            result => refusals.push(result.err().map(|error| error.reason)),
        }
    }
    Ok(refusals)
}
