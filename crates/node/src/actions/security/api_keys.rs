//! API keys, kept in the cluster state. Source: Elasticsearch reference, "Create API key API".

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringwall_api::security::{
    ApiKeyFilter, ApiKeyInfo, AuthenticateRequest, BulkUpdateApiKeysRequest,
    BulkUpdateApiKeysResponse, CreateApiKeyRequest, CreateApiKeyResponse, GetApiKeysRequest,
    GetApiKeysResponse, GrantApiKeyRequest, InvalidateApiKeysRequest, InvalidateApiKeysResponse,
    StoredApiKey, UpdateApiKeyRequest, UpdateApiKeyResponse,
};
use ringwall_api::{ActionRequest, ApiError, ApiResult, Authentication, ErrorCode, RequestContext};
use ringwall_cluster::command::ApiKeyChanges;
use ringwall_cluster::{Change, ClusterState};
use ringwall_security::Resolved;
use ringwall_security::api_keys::{self, ApiKeyCredential};
use ringwall_security::authz::wildcard_matches;
use ringwall_settings::registry::security;
use serde_json::{Map, Value};

use crate::acknowledge;
use crate::actions::Handler;
use crate::actions::security::granted;
use crate::actions::security::roles::check_role_queries;
use crate::actions::security::users::login;
use crate::services::Services;

impl Handler<CreateApiKeyRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<CreateApiKeyRequest>,
    ) -> ApiResult<CreateApiKeyResponse> {
        create(&services, &context, request.into_request()).await
    }
}

/// Makes a key that belongs to the caller of the context.
async fn create(
    services: &Arc<Services>,
    context: &RequestContext,
    request: CreateApiKeyRequest,
) -> ApiResult<CreateApiKeyResponse> {
    check_enabled(services)?;
    api_keys::check_name(&request.name)?;
    let caller = &context.authentication;
    let role_descriptors = role_descriptors(&request.role_descriptors, caller)?;
    let now = now_ms();
    let credential = ApiKeyCredential::generate(request.id.clone());
    let expiration_ms = expiration(now, request.lifetime_ms)?;
    let info = ApiKeyInfo {
        id: credential.id.clone(),
        name: request.name.clone(),
        creation_ms: now,
        expiration_ms,
        invalidation_ms: None,
        role_descriptors,
        limited_by: services.authorizer.role_descriptors(caller),
        metadata: request.metadata,
        owner: owner(&services.cluster.state(), caller),
    };
    let hash = credential.hash();
    let retention = services.settings.get(&security::API_KEY_RETENTION);
    let retention = retention.duration().unwrap_or(Duration::MAX).as_millis();
    let change = Change::CreateApiKey {
        key: Box::new(StoredApiKey { info, hash }),
        retention_ms: u64::try_from(retention).unwrap_or(u64::MAX),
        limit: services.settings.get(&security::API_KEY_MAX),
        login: login(context),
    };
    submit(services, change).await?;
    Ok(CreateApiKeyResponse {
        id: credential.id,
        name: request.name,
        expiration_ms,
        secret: credential.secret,
    })
}

impl Handler<GrantApiKeyRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<GrantApiKeyRequest>,
    ) -> ApiResult<CreateApiKeyResponse> {
        let GrantApiKeyRequest { grant, run_as, key } = request.into_request();
        check_enabled(&services)?;
        let authenticator = &services.authenticator;
        // Read first, as for credentials in a header.
        let as_of = authenticator.users_generation();
        let refused = |error: ApiError| match error.status {
            401 => ApiError::new(ErrorCode::Security, "Failed to authenticate api key grant")
                .with_status(403)
                .caused_by(error),
            _ => error,
        };
        let granted = granted(&services, &grant, GrantApiKeyRequest::NAME).await;
        let mut granted = granted.map_err(refused)?;
        if let Some(name) = run_as {
            let on_behalf = authenticator.run_as(granted, &name, GrantApiKeyRequest::NAME);
            granted = on_behalf.map_err(refused)?;
        }
        // Whether it may act as that user, by the request or by its token.
        services
            .authorizer
            .authorize(&granted, AuthenticateRequest)?;
        let context = RequestContext {
            authentication: granted,
            authenticated_as_of: as_of,
            ..context
        };
        create(&services, &context, key).await
    }
}

impl Handler<GetApiKeysRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<GetApiKeysRequest>,
    ) -> ApiResult<GetApiKeysResponse> {
        check_enabled(&services)?;
        let now = now_ms();
        let mut keys = select(&services, &context.authentication, &request.filter)?;
        keys.retain(|key| !request.active_only || key.is_active(now));
        keys.sort_by(|a, b| (a.creation_ms, &a.id).cmp(&(b.creation_ms, &b.id)));
        Ok(GetApiKeysResponse { keys })
    }
}

impl Handler<InvalidateApiKeysRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<InvalidateApiKeysRequest>,
    ) -> ApiResult<InvalidateApiKeysResponse> {
        check_enabled(&services)?;
        let filter = &request.filter;
        let is_all = filter.ids.is_empty()
            && filter.name.is_none()
            && filter.realm_name.is_none()
            && filter.username.is_none()
            && !filter.owner;
        if is_all {
            return Err(ApiError::validation(&[
                "One of [api key id(s), api key name, username, realm name] must be specified if [owner] flag is false",
            ]));
        }
        let keys = select(&services, &context.authentication, filter)?;
        let (ended, running): (Vec<_>, Vec<_>) = keys
            .into_iter()
            .partition(|key| key.invalidation_ms.is_some());
        let ids = |keys: Vec<ApiKeyInfo>| keys.into_iter().map(|key| key.id).collect::<Vec<_>>();
        let (previously_invalidated, invalidated) = (ids(ended), ids(running));
        if !invalidated.is_empty() {
            let change = Change::InvalidateApiKeys {
                ids: invalidated.clone(),
            };
            services.cluster.submit(change, TIMEOUT).await?;
            acknowledge::by_all(&services, TIMEOUT).await;
        }
        Ok(InvalidateApiKeysResponse {
            invalidated,
            previously_invalidated,
        })
    }
}

impl Handler<UpdateApiKeyRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<UpdateApiKeyRequest>,
    ) -> ApiResult<UpdateApiKeyResponse> {
        let request = request.into_request();
        check_enabled(&services)?;
        refuse_keys(&context)?;
        let updated = update_one(&services, &context, &request).await?;
        Ok(UpdateApiKeyResponse { updated })
    }
}

impl Handler<BulkUpdateApiKeysRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<BulkUpdateApiKeysRequest>,
    ) -> ApiResult<BulkUpdateApiKeysResponse> {
        let request = request.into_request();
        check_enabled(&services)?;
        refuse_keys(&context)?;
        if request.ids.is_empty() {
            return Err(ApiError::validation(&["Field [ids] cannot be empty"]));
        }
        // What is wrong with the change itself is no error of a key.
        if let Some(written) = &request.role_descriptors {
            role_descriptors(written, &context.authentication)?;
        }
        expiration(now_ms(), request.lifetime_ms)?;
        let mut response = BulkUpdateApiKeysResponse::default();
        let mut seen = BTreeSet::new();
        for id in request.ids.iter().filter(|id| seen.insert(id.as_str())) {
            let one = UpdateApiKeyRequest {
                id: id.clone(),
                lifetime_ms: request.lifetime_ms,
                role_descriptors: request.role_descriptors.clone(),
                metadata: request.metadata.clone(),
            };
            match update_one(&services, &context, &one).await {
                Ok(true) => response.updated.push(id.clone()),
                Ok(false) => response.noops.push(id.clone()),
                Err(error) => drop(response.errors.insert(id.clone(), error)),
            }
        }
        Ok(response)
    }
}

/// Nor may a key change one as the user that it acts as: what it changes would outlive it.
fn refuse_keys(context: &RequestContext) -> ApiResult<()> {
    match context.authentication.is_by_api_key() {
        true => Err(ApiError::illegal_argument(
            "authentication via API key not supported: only the owner user can update an API key",
        )),
        false => Ok(()),
    }
}

/// Returns whether anything of the key has changed.
async fn update_one(
    services: &Arc<Services>,
    context: &RequestContext,
    request: &UpdateApiKeyRequest,
) -> ApiResult<bool> {
    let caller = &context.authentication;
    let id = &request.id;
    let state = services.cluster.state();
    let own = owner(&state, caller);
    let found = state.security.api_keys.get(id);
    let Some(stored) = found.filter(|key| api_keys::is_same_owner(&key.info.owner, &own)) else {
        return Err(ApiError::new(
            ErrorCode::ResourceNotFound,
            format!("no API key owned by requesting user found for ID [{id}]"),
        ));
    };
    let changes = ApiKeyChanges {
        role_descriptors: match &request.role_descriptors {
            Some(written) => Some(role_descriptors(written, caller)?),
            None => None,
        },
        metadata: request.metadata.clone(),
        expiration_ms: expiration(now_ms(), request.lifetime_ms)?,
        limited_by: services.authorizer.role_descriptors(caller),
        owner: own,
    };
    let mut changed = StoredApiKey::clone(stored);
    changes.clone().apply_to(&mut changed);
    let updated = changed != **stored;
    if updated || !stored.info.is_active(now_ms()) {
        let change = Change::UpdateApiKey {
            id: id.clone(),
            changes: Box::new(changes),
            login: login(context),
        };
        submit(services, change).await?;
    }
    Ok(updated)
}

async fn submit(services: &Arc<Services>, change: Change) -> ApiResult<()> {
    services.cluster.submit(change, TIMEOUT).await?;
    acknowledge::by_all(services, TIMEOUT).await;
    Ok(())
}

/// Returns descriptors in their normal form.
///
/// # Errors
/// As [`api_keys::role_descriptors`], and 400 for a query that is none.
fn role_descriptors(
    written: &Map<String, Value>,
    caller: &Authentication,
) -> ApiResult<Map<String, Value>> {
    let descriptors = api_keys::role_descriptors(written, caller)?;
    for (name, descriptor) in &descriptors {
        if let Value::Object(descriptor) = descriptor {
            check_role_queries(name, descriptor)?;
        }
    }
    Ok(descriptors)
}

/// Returns the keys that every criterion is true of.
fn select(
    services: &Services,
    caller: &Authentication,
    filter: &ApiKeyFilter,
) -> ApiResult<Vec<ApiKeyInfo>> {
    if filter.owner && (filter.realm_name.is_some() || filter.username.is_some()) {
        return Err(ApiError::validation(&[
            "neither username nor realm-name may be specified when retrieving owned API keys",
        ]));
    }
    let state = services.cluster.state();
    let own = filter.owner.then(|| owner(&state, caller));
    let is_meant = |key: &ApiKeyInfo| {
        let matches =
            |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|w| w == has);
        (filter.ids.is_empty() || filter.ids.contains(&key.id))
            && filter
                .name
                .as_deref()
                .is_none_or(|name| wildcard_matches(name, &key.name))
            && matches(&filter.realm_name, &key.owner.realm.name)
            && matches(&filter.username, &key.owner.principal)
            && own
                .as_ref()
                .is_none_or(|own| api_keys::is_same_owner(own, &key.owner))
    };
    let keys = state.security.api_keys.values().map(|key| &key.info);
    Ok(keys.filter(|key| is_meant(key)).cloned().collect())
}

pub(crate) fn owner(
    state: &ClusterState,
    caller: &Authentication,
) -> ringwall_api::security::ApiKeyOwner {
    let key = caller.api_key.as_ref();
    let key = key.and_then(|key| state.security.api_keys.get(&key.id));
    api_keys::owner(caller, key.map(|key| &**key))
}

/// Returns the moment, in milliseconds since the epoch, that lies so far ahead.
fn expiration(now_ms: u64, lifetime_ms: Option<u64>) -> ApiResult<Option<u64>> {
    match lifetime_ms {
        Some(0) => Err(ApiError::validation(&[
            "[expiration] must be greater than zero",
        ])),
        Some(lifetime) => Ok(Some(now_ms.saturating_add(lifetime))),
        None => Ok(None),
    }
}

pub(crate) fn check_enabled(services: &Services) -> ApiResult<()> {
    if services.settings.get(&security::API_KEY_ENABLED) {
        return Ok(());
    }
    Err(ApiError::illegal_argument(
        "api keys are not enabled: [xpack.security.authc.api_key.enabled] is [false] on this node",
    ))
}

fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| elapsed.as_millis() as u64)
}

pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
