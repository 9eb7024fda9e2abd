//! Service accounts and their tokens. Source: Elasticsearch reference, "Service accounts".

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::security::{
    CreateServiceTokenRequest, CreateServiceTokenResponse, DeleteServiceTokenRequest,
    DeleteServiceTokenResponse, GetServiceAccountsRequest, GetServiceAccountsResponse,
    GetServiceCredentialsRequest, GetServiceCredentialsResponse,
};
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_base::ids::random_uuid;
use ringwall_cluster::Change;
use ringwall_security::files::{SERVICE_ACCOUNTS, ServiceAccountToken, check_token_name};
use ringwall_security::{Resolved, token_hash};
use ringwall_transport::{DuplicateAction, NodeAction};
use serde_json::json;

use crate::acknowledge;
use crate::actions::Handler;
use crate::node_actions::{Needs, for_users};
use crate::services::Services;

/// Registers what the other nodes call.
pub(crate) fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        FILE_TOKENS,
        |_: &String| vec![Needs::Cluster(GetServiceCredentialsRequest::NAME)],
        async |services, _, principal| Ok(file_tokens(&services, &principal)),
    )
}

impl Handler<GetServiceAccountsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<GetServiceAccountsRequest>,
    ) -> ApiResult<GetServiceAccountsResponse> {
        let is_meant = |principal: &str| {
            let (namespace, service) = principal.split_once('/').unwrap_or((principal, ""));
            request
                .namespace
                .as_deref()
                .is_none_or(|wanted| wanted == namespace)
                && request
                    .service
                    .as_deref()
                    .is_none_or(|wanted| wanted == service)
        };
        let accounts = services.authorizer.service_accounts();
        let accounts = accounts.filter(|(principal, _)| is_meant(principal));
        Ok(GetServiceAccountsResponse {
            accounts: accounts
                .map(|(principal, role)| {
                    (
                        principal.to_owned(),
                        json!({"role_descriptor": role.to_json()}),
                    )
                })
                .collect(),
        })
    }
}

impl Handler<CreateServiceTokenRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<CreateServiceTokenRequest>,
    ) -> ApiResult<CreateServiceTokenResponse> {
        let request = request.into_request();
        let name = request.name;
        let name = name.unwrap_or_else(|| format!("token_{}", random_uuid()));
        create(&services, &request.principal, name).await
    }
}

/// Makes a token and keeps its hash. Errors: 400 for an unknown account or an impossible name, 409 for a
/// name that is taken.
pub(crate) async fn create(
    services: &Arc<Services>,
    principal: &str,
    name: String,
) -> ApiResult<CreateServiceTokenResponse> {
    check_account(principal)?;
    check_token_name(&name).map_err(ApiError::illegal_argument)?;
    let token = ServiceAccountToken::generate(principal, &name);
    let change = Change::PutServiceToken {
        name: format!("{principal}/{name}"),
        hash: token_hash::hash(&token.secret),
    };
    services.cluster.submit(change, TIMEOUT).await?;
    acknowledge::by_all(services, TIMEOUT).await;
    Ok(CreateServiceTokenResponse {
        name,
        bearer: token.bearer(),
    })
}

impl Handler<DeleteServiceTokenRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<DeleteServiceTokenRequest>,
    ) -> ApiResult<DeleteServiceTokenResponse> {
        let change = Change::DeleteServiceToken {
            name: format!("{}/{}", request.principal, request.name),
        };
        match services.cluster.submit(change, TIMEOUT).await {
            Ok(()) => {
                acknowledge::by_all(&services, TIMEOUT).await;
                Ok(DeleteServiceTokenResponse { found: true })
            }
            Err(error) if error.code == ErrorCode::ResourceNotFound => {
                Ok(DeleteServiceTokenResponse { found: false })
            }
            Err(error) => Err(error),
        }
    }
}

/// Asks every node for the tokens in its file.
impl Handler<GetServiceCredentialsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<GetServiceCredentialsRequest>,
    ) -> ApiResult<GetServiceCredentialsResponse> {
        let principal = &request.principal;
        check_account(principal)?;
        let state = services.cluster.state();
        let timeout = context.time_left(TIMEOUT);
        let (services, user) = (&services, &context.authentication);
        let asked = state.nodes.iter().map(|(id, node)| async move {
            let names: ApiResult<Vec<String>> = services
                .call_as(user, *id, FILE_TOKENS, principal.clone(), timeout)
                .await;
            (node.name.clone(), names)
        });
        let answers = join_all(asked).await;
        let nodes_asked = answers.len();
        let mut nodes_failed = 0;
        let mut in_files: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (node, names) in answers {
            match names {
                Ok(names) => {
                    for name in names {
                        in_files.entry(name).or_default().push(node.clone());
                    }
                }
                Err(error) => {
                    tracing::warn!(node.name = node, %error, "a node did not list its service tokens");
                    nodes_failed += 1;
                }
            }
        }
        let prefix = format!("{principal}/");
        let names = state.security.service_tokens.keys();
        let names = names.filter_map(|name| name.strip_prefix(&prefix));
        Ok(GetServiceCredentialsResponse {
            tokens: names.map(str::to_owned).collect(),
            file_tokens: in_files,
            nodes_asked,
            nodes_failed,
        })
    }
}

fn file_tokens(services: &Services, principal: &str) -> Vec<String> {
    let Some(tokens) = &services.service_tokens else {
        return Vec::new();
    };
    let (tokens, prefix) = (tokens.get(), format!("{principal}/"));
    let names = tokens.names().into_iter();
    let names = names.filter_map(|name| name.strip_prefix(&prefix));
    names.map(str::to_owned).collect()
}

fn check_account(principal: &str) -> ApiResult<()> {
    if SERVICE_ACCOUNTS.contains(&principal) {
        return Ok(());
    }
    Err(ApiError::illegal_argument(format!(
        "service account [{principal}] does not exist; expected one of [{}]",
        SERVICE_ACCOUNTS.join(",")
    )))
}

const FILE_TOKENS: NodeAction<String, Vec<String>> =
    NodeAction::new("internal:security/service_account/file_tokens");
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
