//! Who may do what.

pub mod api_keys;
pub mod audit;
pub mod authenticate;
pub mod certificates;
pub mod enroll;
pub mod privileges;
pub mod query;
pub mod role_mappings;
pub mod roles;
pub mod service_accounts;
pub mod tokens;
pub mod users;

use ringwall_api::security::Grant;
use ringwall_api::{ApiResult, Authentication};

use crate::services::Services;

/// Returns who has credentials that came in the body of a request. The audit log is told either way.
///
/// # Errors
/// As [`Authenticator::granted`](ringwall_security::Authenticator::granted).
async fn granted(services: &Services, grant: &Grant, action: &str) -> ApiResult<Authentication> {
    let found = services.authenticator.granted(grant, action).await;
    if let Some(audit) = &services.audit {
        let username = match grant {
            Grant::Password { username, .. } => Some(username.as_str()),
            Grant::AccessToken { .. } => None,
        };
        audit.trail().granted(username, &found, action);
    }
    found
}
