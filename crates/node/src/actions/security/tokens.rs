//! Access and refresh tokens, kept in the cluster state. Source: Elasticsearch reference, "Get token API".

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::security::{
    CreateTokenRequest, Grant, InvalidateTokensRequest, InvalidateTokensResponse, IssuedTokens,
    Principal, RefreshTokenRequest, RefreshTokenResponse, StoredToken, TokenKind,
};
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_base::SecretString;
use ringwall_cluster::Change;
use ringwall_cluster::tokens::TokensMeant;
use ringwall_security::Resolved;
use ringwall_security::tokens::{self, CANNOT_REFRESH, NewTokens, Refreshes, Token};
use ringwall_settings::registry::security;

use crate::acknowledge;
use crate::actions::Handler;
use crate::actions::security::granted;
use crate::actions::security::users::login;
use crate::cluster_service::now_ms;
use crate::services::Services;

impl Handler<CreateTokenRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<CreateTokenRequest>,
    ) -> ApiResult<IssuedTokens> {
        check_enabled(&services)?;
        let client = Principal::of(&context.authentication);
        let authenticator = &services.authenticator;
        let (context, with_refresh) = match request.into_request() {
            CreateTokenRequest::ClientCredentials => (context, false),
            CreateTokenRequest::Password { username, password } => {
                // Read first, as for credentials in a header.
                let authenticated_as_of = authenticator.users_generation();
                let grant = Grant::Password { username, password };
                let authentication = granted(&services, &grant, CreateTokenRequest::NAME).await?;
                let context = RequestContext {
                    authentication,
                    authenticated_as_of,
                    ..context
                };
                (context, true)
            }
        };
        let holder = authenticator.token_holder(&context.authentication)?;
        let lifetime = lifetime_ms(&services);
        let made = tokens::issue(holder, client, with_refresh, now_ms(), lifetime);
        let NewTokens {
            stored,
            access,
            refresh,
        } = made;
        let change = Change::CreateToken {
            token: Box::new(stored),
            limit: services.settings.get(&security::TOKEN_MAX),
            login: login(&context),
        };
        submit(&services, change).await?;
        Ok(IssuedTokens {
            access_token: access,
            expires_in_s: lifetime / 1000,
            refresh_token: refresh,
            authentication: context.authentication,
        })
    }
}

impl Handler<RefreshTokenRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<RefreshTokenRequest>,
    ) -> ApiResult<RefreshTokenResponse> {
        check_enabled(&services)?;
        let refused = |why: &str| Ok(RefreshTokenResponse::InvalidGrant(why.to_owned()));
        let text = request.refresh_token.expose();
        let Some(token) = Token::parse(text, TokenKind::Refresh) else {
            return refused(CANNOT_REFRESH);
        };
        let client = Principal::of(&context.authentication);
        for _ in 0..ATTEMPTS {
            let stored = services
                .cluster
                .state()
                .security
                .tokens
                .get(&token.id)
                .cloned();
            let judged = tokens::judge_refresh(stored.as_deref(), &token, &client, now_ms());
            let issued = match judged {
                Err(why) => return refused(why),
                Ok(Refreshes::Once(old)) => refresh(&services, old, &token).await,
                Ok(Refreshes::Again(refreshed)) => {
                    let [access, refresh] = tokens::again(&token, refreshed);
                    let state = services.cluster.state();
                    let next = state.security.tokens.get(&refreshed.into);
                    issued_again(&services, next.map(|next| &**next), access, refresh)
                }
            };
            match issued {
                Ok(Some(issued)) => return Ok(RefreshTokenResponse::Issued(Box::new(issued))),
                Ok(None) => return refused(CANNOT_REFRESH),
                // Another request was first: it is looked at again what the token is good for.
                Err(error) if error.code == ErrorCode::VersionConflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(ApiError::new(
            ErrorCode::VersionConflict,
            "the token is refreshed by too many at once; retry",
        ))
    }
}

/// Makes the pair that follows; `None` when its user is disabled or gone.
///
/// # Errors
/// 409 when the token was used meanwhile.
async fn refresh(
    services: &Arc<Services>,
    old: &StoredToken,
    token: &Token,
) -> ApiResult<Option<IssuedTokens>> {
    let authentication = match services.authenticator.present(&old.holder) {
        Ok(authentication) => authentication,
        Err(why) => {
            tracing::info!(
                user.name = old.holder.who.username,
                why,
                "a token was not refreshed"
            );
            return Ok(None);
        }
    };
    let lifetime = lifetime_ms(services);
    let (made, nonce) = tokens::refresh(old, token, now_ms(), lifetime);
    let change = Change::RefreshToken {
        id: old.id.clone(),
        into: Box::new(made.stored),
        nonce,
        limit: services.settings.get(&security::TOKEN_MAX),
    };
    submit(services, change).await?;
    Ok(Some(IssuedTokens {
        access_token: made.access,
        expires_in_s: lifetime / 1000,
        refresh_token: made.refresh,
        authentication,
    }))
}

/// Tells a pair again to a client that refreshes twice at once; `None` when the pair or its user is gone.
fn issued_again(
    services: &Services,
    pair: Option<&StoredToken>,
    access_token: SecretString,
    refresh_token: SecretString,
) -> ApiResult<Option<IssuedTokens>> {
    let Some(pair) = pair else {
        return Ok(None);
    };
    let Ok(authentication) = services.authenticator.present(&pair.holder) else {
        return Ok(None);
    };
    let left_ms = pair.access.expires_ms.saturating_sub(now_ms());
    Ok(Some(IssuedTokens {
        access_token,
        expires_in_s: left_ms / 1000,
        refresh_token: Some(refresh_token),
        authentication,
    }))
}

impl Handler<InvalidateTokensRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<InvalidateTokensRequest>,
    ) -> ApiResult<InvalidateTokensResponse> {
        check_enabled(&services)?;
        let state = services.cluster.state();
        let held = &state.security.tokens;
        let (meant, response) = match request.into_request() {
            InvalidateTokensRequest::One { kind, token } => {
                let token = Token::parse(token.expose(), kind);
                let pair = token.and_then(|token| held.get(&token.id).filter(|p| token.is_of(p)));
                let Some(pair) = pair else {
                    return Ok(InvalidateTokensResponse::default());
                };
                let id = pair.id.clone();
                (TokensMeant::One { id, kind }, count(pair, &[kind]))
            }
            InvalidateTokensRequest::Of {
                username,
                realm_name,
            } => {
                let meant = TokensMeant::Of {
                    username,
                    realm_name,
                };
                let now = now_ms();
                let found = InvalidateTokensResponse {
                    found: true,
                    ..InvalidateTokensResponse::default()
                };
                let pairs = held
                    .iter()
                    .filter(|pair| meant.means(pair) && !pair.is_over(now));
                let response = pairs.fold(found, |all, pair| {
                    let these = count(pair, &[TokenKind::Access, TokenKind::Refresh]);
                    InvalidateTokensResponse {
                        found: true,
                        invalidated: all.invalidated + these.invalidated,
                        previously_invalidated: all.previously_invalidated
                            + these.previously_invalidated,
                    }
                });
                (meant, response)
            }
        };
        // Those of a user are ended in any case: this node may not have heard of all.
        let is_one = matches!(meant, TokensMeant::One { .. });
        if response.invalidated > 0 || !is_one {
            submit(&services, Change::InvalidateTokens(meant)).await?;
        }
        Ok(response)
    }
}

/// Counts what is to end of a pair, and what has ended before.
fn count(pair: &StoredToken, kinds: &[TokenKind]) -> InvalidateTokensResponse {
    let tokens = kinds.iter().filter_map(|kind| match kind {
        TokenKind::Access => Some(&pair.access),
        TokenKind::Refresh => pair.refresh.as_ref(),
    });
    let (ended, running): (Vec<_>, Vec<_>) = tokens.partition(|token| token.is_invalidated);
    InvalidateTokensResponse {
        found: true,
        invalidated: running.len() as u64,
        previously_invalidated: ended.len() as u64,
    }
}

async fn submit(services: &Arc<Services>, change: Change) -> ApiResult<()> {
    services.cluster.submit(change, TIMEOUT).await?;
    acknowledge::by_all(services, TIMEOUT).await;
    Ok(())
}

fn lifetime_ms(services: &Services) -> u64 {
    let lifetime = services.settings.get(&security::TOKEN_TIMEOUT).duration();
    u64::try_from(lifetime.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

fn check_enabled(services: &Services) -> ApiResult<()> {
    match services.authenticator.has_tokens() {
        true => Ok(()),
        false => Err(ApiError::new(
            ErrorCode::FeatureNotEnabled,
            "security tokens are not enabled",
        )
        .with("disabled.feature", "security_tokens")),
    }
}

/// How often to look again when somebody else was first.
const ATTEMPTS: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(30);
