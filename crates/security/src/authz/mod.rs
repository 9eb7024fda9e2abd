//! Authorization: may this identity perform this action, and on which indices?
//! Source: security.md section 3.

mod pattern;
mod privilege;
mod privilege_tables;
mod reserved_roles;
mod resolve;
mod restricted;
mod role;

use std::collections::HashMap;
use std::sync::Arc;

use ringwall_api::action::ErasedRequest;
use ringwall_api::auth::{Authentication, AuthenticationType};
use ringwall_api::{ActionSpec, ApiError, ApiResult, ErrorCode, IndicesTarget, Scope};

pub use self::pattern::Pattern;
pub use self::privilege::{
    cluster_privilege_names, cluster_privileges_granting, index_privilege_names,
    index_privileges_granting, is_cluster_action,
};
pub use self::reserved_roles::{reserved_roles, service_account_roles};
use self::resolve::{Resolver, Unresolved};
pub use self::restricted::is_restricted;
pub use self::role::{
    ApplicationPrivileges, CompiledRole, EffectiveRole, FieldSecurity, IndicesPrivileges,
    RoleDescriptor,
};
use crate::authc::SERVICE_ACCOUNT;
use crate::{SecurityError, SecurityStore};

/// Decides what identities may do. Every decision of the process goes through here.
pub struct Authorizer {
    store: Arc<dyn SecurityStore>,
    roles: HashMap<String, Arc<CompiledRole>>,
    /// By principal.
    service_accounts: HashMap<String, Arc<CompiledRole>>,
    enabled: bool,
    destructive_requires_name: bool,
}

impl Authorizer {
    /// Returns an authorizer over the reserved roles and the index names of the store.
    pub fn new(store: Arc<dyn SecurityStore>) -> Result<Self, SecurityError> {
        Ok(Self {
            store,
            roles: compile(reserved_roles())?,
            service_accounts: compile(service_account_roles())?,
            enabled: true,
            destructive_requires_name: true,
        })
    }

    /// Sets whether indices are only deleted by their names. Setting
    /// `action.destructive_requires_name`, on by default.
    #[must_use]
    pub fn with_destructive_requires_name(mut self, required: bool) -> Self {
        self.destructive_requires_name = required;
        self
    }

    /// Returns an authorizer for `xpack.security.enabled: false`: names are resolved, nothing is
    /// refused.
    pub fn disabled(store: Arc<dyn SecurityStore>) -> Self {
        Self {
            store,
            roles: HashMap::new(),
            service_accounts: HashMap::new(),
            enabled: false,
            destructive_requires_name: true,
        }
    }

    /// Authorizes a request and replaces its index expressions by concrete, authorized names.
    ///
    /// Errors: 403 `security_exception` (section 3.6), 404 `index_not_found_exception` for a missing
    /// name the caller would be allowed to use, 400 for impossible names.
    pub fn authorize(
        &self,
        authentication: &Authentication,
        request: &mut ErasedRequest,
    ) -> ApiResult<()> {
        let ActionSpec { name, scope } = request.spec;
        if self.is_unchecked(authentication) {
            return self
                .resolve(name, request.indices_mut(), &|_| true)
                .map_err(|unresolved| match unresolved {
                    Unresolved::Failed(error) => error,
                    Unresolved::Unauthorized(names) => {
                        ApiError::internal(format!("refused indices {names:?} without checks"))
                    }
                });
        }
        match scope {
            Scope::Cluster => self.authorize_cluster(authentication, name),
            Scope::Indices => self.authorize_indices(authentication, name, request.indices_mut()),
            Scope::Composite => self.authorize_action_name(authentication, name),
            Scope::SelfService => {
                self.authorize_self_service(authentication, name, request.subject_user())
            }
        }
    }

    /// Authorizes one part of a composite request (`_bulk`, `_mget`) for its own index or alias.
    pub fn authorize_item(
        &self,
        authentication: &Authentication,
        action: &str,
        index: &str,
    ) -> ApiResult<()> {
        if self.is_unchecked(authentication) {
            return Ok(());
        }
        let role = self.effective_role(authentication);
        if role.on_indices(action).covers(index) {
            return Ok(());
        }
        Err(self.denied(authentication, &role, action, &[index.to_owned()]))
    }

    /// Authorizes again an action that arrived from another node, whose indices are concrete. An
    /// index also passes by the right to an alias of it.
    ///
    /// For self-service actions see [`Authorizer::recheck_self_service`].
    pub fn recheck(
        &self,
        authentication: &Authentication,
        action: &str,
        indices: &[String],
    ) -> ApiResult<()> {
        if self.is_unchecked(authentication) {
            return Ok(());
        }
        if is_cluster_action(action) {
            return self.authorize_cluster(authentication, action);
        }
        let role = self.effective_role(authentication);
        let right = role.on_indices(action);
        if right.is_nowhere() {
            return Err(self.denied(authentication, &role, action, &[]));
        }
        let names = self.store.index_names();
        let by_alias = |index: &str| {
            names
                .index(index)
                .is_some_and(|info| info.aliases.iter().any(|alias| right.covers(alias)))
        };
        let refused: Vec<String> = indices
            .iter()
            .filter(|index| !right.covers(index) && !by_alias(index))
            .cloned()
            .collect();
        if refused.is_empty() {
            return Ok(());
        }
        Err(self.denied(authentication, &role, action, &refused))
    }

    /// Authorizes again a self-service action that arrived from another node.
    pub fn recheck_self_service(
        &self,
        authentication: &Authentication,
        action: &str,
        subject: Option<&str>,
    ) -> ApiResult<()> {
        if self.is_unchecked(authentication) {
            return Ok(());
        }
        self.authorize_self_service(authentication, action, subject)
    }

    /// Returns the union of the caller's roles; of a service account, its one fixed role.
    pub fn effective_role(&self, authentication: &Authentication) -> EffectiveRole {
        if is_service_account(authentication) {
            let role = self.service_accounts.get(&authentication.user.username);
            return EffectiveRole::new(role.into_iter().cloned().collect(), Vec::new());
        }
        let mut found = Vec::new();
        let mut not_found = Vec::new();
        for name in &authentication.user.roles {
            match self.roles.get(name) {
                Some(role) => found.push(Arc::clone(role)),
                None => not_found.push(name.clone()),
            }
        }
        EffectiveRole::new(found, not_found)
    }

    fn is_unchecked(&self, authentication: &Authentication) -> bool {
        !self.enabled || authentication.is_system()
    }

    fn authorize_cluster(&self, authentication: &Authentication, action: &str) -> ApiResult<()> {
        let role = self.effective_role(authentication);
        if role.allows_cluster(action) {
            return Ok(());
        }
        Err(self.denied(authentication, &role, action, &[]))
    }

    fn authorize_action_name(
        &self,
        authentication: &Authentication,
        action: &str,
    ) -> ApiResult<()> {
        let role = self.effective_role(authentication);
        if role.on_indices(action).is_nowhere() {
            return Err(self.denied(authentication, &role, action, &[]));
        }
        Ok(())
    }

    fn authorize_indices(
        &self,
        authentication: &Authentication,
        action: &str,
        target: Option<&mut IndicesTarget>,
    ) -> ApiResult<()> {
        let role = self.effective_role(authentication);
        let right = role.on_indices(action);
        if right.is_nowhere() {
            return Err(self.denied(authentication, &role, action, &[]));
        }
        self.resolve(action, target, &|name| right.covers(name))
            .map_err(|unresolved| match unresolved {
                Unresolved::Failed(error) => error,
                Unresolved::Unauthorized(names) => {
                    self.denied(authentication, &role, action, &names)
                }
            })
    }

    /// A user may ask about itself, and change its own password in a realm that stores passwords.
    fn authorize_self_service(
        &self,
        authentication: &Authentication,
        action: &str,
        subject: Option<&str>,
    ) -> ApiResult<()> {
        let Some(subject) = subject else {
            return Ok(());
        };
        let own = subject == authentication.user.username
            && authentication.authentication_type == AuthenticationType::Realm
            && matches!(
                authentication.realm.realm_type.as_str(),
                "native" | "reserved"
            );
        if own {
            return Ok(());
        }
        self.authorize_cluster(authentication, action)
    }

    fn resolve(
        &self,
        action: &str,
        target: Option<&mut IndicesTarget>,
        covers: &dyn Fn(&str) -> bool,
    ) -> Result<(), Unresolved> {
        let Some(target) = target else {
            return Ok(());
        };
        let names = self.store.index_names();
        let resolver = Resolver {
            names: &names,
            covers,
            action,
            destructive_requires_name: self.destructive_requires_name,
        };
        resolver.resolve(target)
    }

    /// Returns the 403, which names the action, the caller, its roles and what would grant it.
    /// Source: security.md section 3.6.
    fn denied(
        &self,
        authentication: &Authentication,
        role: &EffectiveRole,
        action: &str,
        indices: &[String],
    ) -> ApiError {
        let user = &authentication.user.username;
        let mut reason = match is_service_account(authentication) {
            true => format!("action [{action}] is unauthorized for service account [{user}]"),
            false => format!(
                "action [{action}] is unauthorized for user [{user}] with effective roles [{}]",
                role.names().join(",")
            ),
        };
        if !role.not_found.is_empty() {
            let mut missing = role.not_found.clone();
            missing.sort_unstable();
            reason += &format!(" (assigned roles [{}] were not found)", missing.join(","));
        }
        reason += &on_indices(indices);
        let (kind, granting) = if is_cluster_action(action) {
            ("cluster", cluster_privileges_granting(action))
        } else {
            ("index", index_privileges_granting(action))
        };
        if !granting.is_empty() {
            reason += &format!(
                ", this action is granted by the {kind} privileges [{}]",
                granting.join(",")
            );
        }
        tracing::info!(user.name = %user, event.action = %action, "access denied");
        ApiError::new(ErrorCode::Security, reason).with_status(403)
    }
}

fn is_service_account(authentication: &Authentication) -> bool {
    authentication.realm.realm_type == SERVICE_ACCOUNT
}

fn compile(
    descriptors: impl Iterator<Item = (&'static str, RoleDescriptor)>,
) -> Result<HashMap<String, Arc<CompiledRole>>, SecurityError> {
    descriptors
        .map(|(name, descriptor)| {
            let compiled = CompiledRole::compile(name, &descriptor)?;
            Ok((name.to_owned(), Arc::new(compiled)))
        })
        .collect()
}

fn on_indices(indices: &[String]) -> String {
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

#[cfg(test)]
mod tests;
