//! What is said to who may not.

use ringwall_api::auth::AuthenticationType;
use ringwall_api::{ApiError, Authentication, ErrorCode};

use super::{Authorizer, EffectiveRole, is_service_account};
use super::{
    cluster_privileges_granting, index_privileges_granting, is_cluster_action, is_restricted,
};

impl Authorizer {
    pub(super) fn denied(
        &self,
        authentication: &Authentication,
        role: &EffectiveRole,
        action: &str,
        indices: &[String],
    ) -> ApiError {
        self.denied_of(authentication, role, action, indices, false)
    }

    /// Returns the 403, which names the action, the caller, its roles and what would grant it.
    /// Source: Elasticsearch reference, "User authorization".
    pub(super) fn denied_of(
        &self,
        authentication: &Authentication,
        role: &EffectiveRole,
        action: &str,
        indices: &[String],
        is_own: bool,
    ) -> ApiError {
        let user = &authentication.user.username;
        tracing::info!(user.name = %user, event.action = %action, "access denied");
        if let Some(challenge) = self.anonymous_challenge
            && authentication.authentication_type == AuthenticationType::Anonymous
        {
            return challenge.required(action);
        }
        let mut reason = unauthorized(authentication, role, action);
        reason += &on_indices(indices);
        let (kind, granting) = if is_cluster_action(action) {
            ("cluster", cluster_privileges_granting(action, is_own))
        } else {
            ("index", index_privileges_granting(action))
        };
        if !granting.is_empty() {
            reason += &format!(
                ", this action is granted by the {kind} privileges [{}]",
                granting.join(",")
            );
        }
        ApiError::new(ErrorCode::Security, reason).with_status(403)
    }
}

/// Returns the begin of a 403: what is refused to whom, with which roles.
pub(super) fn unauthorized(
    authentication: &Authentication,
    role: &EffectiveRole,
    action: &str,
) -> String {
    let user = &authentication.user.username;
    let subject = |authentication: &Authentication| {
        let user = &authentication.user.username;
        match (&authentication.api_key, is_service_account(authentication)) {
            (Some(key), _) => format!("API key id [{}] of user [{user}]", key.id),
            (None, true) => format!("service account [{user}]"),
            (None, false) => format!("user [{user}]"),
        }
    };
    let mut reason = match &authentication.run_by {
        Some(by) => format!(
            "action [{action}] is unauthorized for {} run as [{user}]",
            subject(by)
        ),
        None => format!(
            "action [{action}] is unauthorized for {}",
            subject(authentication)
        ),
    };
    if authentication.api_key.is_none() && !is_service_account(authentication) {
        reason += &format!(" with effective roles [{}]", role.names().join(","));
    }
    if !role.not_found.is_empty() {
        let mut missing = role.not_found.clone();
        missing.sort_unstable();
        reason += &format!(" (assigned roles [{}] were not found)", missing.join(","));
    }
    reason
}

pub(super) fn on_indices(indices: &[String]) -> String {
    let (restricted, ordinary): (Vec<&str>, Vec<&str>) = indices
        .iter()
        .map(String::as_str)
        .partition(|name| is_restricted(name));
    match (ordinary.is_empty(), restricted.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!(" on indices [{}]", ordinary.join(",")),
        (true, false) => format!(" on restricted indices [{}]", restricted.join(",")),
        (false, false) => format!(
            " on indices [{}] and restricted indices [{}]",
            ordinary.join(","),
            restricted.join(",")
        ),
    }
}
