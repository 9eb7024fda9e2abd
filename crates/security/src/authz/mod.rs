//! Authorization: may this identity perform this action, and on which indices?
//! Source: Elasticsearch reference, "User authorization".

mod descriptor;
mod held;
mod inclusion;
mod pattern;
mod privilege;
mod privilege_tables;
mod reserved_roles;
mod resolve;
mod restricted;
mod role;
mod roles;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringwall_api::action::ErasedRequest;
use ringwall_api::api_keys::StoredApiKey;
use ringwall_api::auth::{Authentication, AuthenticationType};
use ringwall_api::roles::{HasPrivilegesRequest, HasPrivilegesResponse};
use ringwall_api::{ActionSpec, ApiError, ApiResult, ErrorCode, IndicesTarget, Scope};

pub use self::pattern::{Pattern, wildcard_matches};
pub use self::privilege::{
    cluster_privilege_names, cluster_privileges_granting, index_privilege_names,
    index_privileges_granting, is_cluster_action,
};
pub use self::reserved_roles::{reserved_roles, service_account_roles};
use serde_json::{Map, Value};

use self::resolve::{Resolver, Unresolved};
pub use self::restricted::is_restricted;
pub use self::role::{
    ApplicationPrivileges, CompiledRole, EffectiveRole, FieldSecurity, IndicesPrivileges,
    RoleDescriptor,
};
use self::roles::Roles;
pub use self::roles::{check_delete_role, check_put_role, is_reserved_role, privileges_json};
use crate::authc::SERVICE_ACCOUNT;
use crate::files::{RolesFile, Watched};
use crate::{SecurityError, SecurityStore};

/// Decides what identities may do. Every decision of the process goes through here.
pub struct Authorizer {
    store: Arc<dyn SecurityStore>,
    roles: Roles,
    /// By principal.
    service_accounts: HashMap<String, Arc<CompiledRole>>,
    /// Roles of API keys, by id, compiled when first used.
    api_keys: moka::sync::Cache<String, Arc<ApiKeyRole>>,
    enabled: bool,
    destructive_requires_name: AtomicBool,
}

impl Authorizer {
    /// Returns an authorizer over the reserved roles, those of `roles.yml`, and the roles and index names of the
    /// store.
    pub fn new(
        store: Arc<dyn SecurityStore>,
        roles_file: Option<Arc<Watched<RolesFile>>>,
    ) -> Result<Self, SecurityError> {
        Ok(Self {
            roles: Roles::new(store.clone(), roles_file)?,
            store,
            service_accounts: compile(service_account_roles())?,
            api_keys: moka::sync::Cache::new(MAX_COMPILED_KEYS),
            enabled: true,
            destructive_requires_name: AtomicBool::new(true),
        })
    }

    /// Sets whether indices are only deleted by their names. Setting
    /// `action.destructive_requires_name`, on by default.
    pub fn set_destructive_requires_name(&self, required: bool) {
        self.destructive_requires_name
            .store(required, Ordering::Relaxed);
    }

    /// Returns an authorizer for `xpack.security.enabled: false`: names are resolved, nothing is
    /// refused.
    pub fn disabled(store: Arc<dyn SecurityStore>) -> Self {
        Self {
            roles: Roles::none(store.clone()),
            store,
            service_accounts: HashMap::new(),
            api_keys: moka::sync::Cache::new(0),
            enabled: false,
            destructive_requires_name: AtomicBool::new(true),
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
            Scope::Cluster => {
                let is_own = request.is_about_own_api_keys(authentication);
                self.authorize_cluster(authentication, name, is_own)
            }
            Scope::Indices => {
                self.authorize_indices(authentication, name, request.indices_mut())?;
                self.authorize_new_aliases(authentication, request)
            }
            Scope::Composite => self.authorize_action_name(authentication, name),
            Scope::SelfService => {
                self.authorize_self_service(authentication, name, request.subject_user())
            }
        }
    }

    /// Refuses who may not perform the action on any index, or on the cluster, whatever the request says: it need
    /// not be read then. What passes is authorized by [`Authorizer::authorize`] all the same.
    ///
    /// Errors: the 403 that `authorize` would give.
    pub fn admit(&self, authentication: &Authentication, action: &ActionSpec) -> ApiResult<()> {
        if self.is_unchecked(authentication) {
            return Ok(());
        }
        match action.scope {
            // A request about keys of the caller's own may pass with less, and this may be one.
            Scope::Cluster => {
                let role = self.effective_role(authentication);
                if role.allows_cluster(action.name, false) {
                    return Ok(());
                }
                self.authorize_cluster(authentication, action.name, true)
            }
            Scope::Indices | Scope::Composite => {
                self.authorize_action_name(authentication, action.name)
            }
            Scope::SelfService => Ok(()),
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
            return self.authorize_cluster(authentication, action, false);
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

    /// Authorizes again, on the node that holds it, to read or write a shard that was reached through these
    /// names: the caller needs the right to each of them.
    pub fn recheck_names(
        &self,
        authentication: &Authentication,
        action: &str,
        names: &[String],
    ) -> ApiResult<()> {
        if self.is_unchecked(authentication) {
            return Ok(());
        }
        let role = self.effective_role(authentication);
        let right = role.on_indices(action);
        let refused: Vec<String> = names
            .iter()
            .filter(|name| !right.covers(name))
            .cloned()
            .collect();
        if refused.is_empty() && !right.is_nowhere() {
            return Ok(());
        }
        Err(self.denied(authentication, &role, action, &refused))
    }

    /// Returns the union of the caller's roles; of a service account, its one fixed role; of an API key, its
    /// own roles within those of its owner.
    pub fn effective_role(&self, authentication: &Authentication) -> EffectiveRole {
        if is_service_account(authentication) {
            let role = self.service_accounts.get(&authentication.user.username);
            return EffectiveRole::new(role.into_iter().cloned().collect(), Vec::new());
        }
        if let Some(key) = &authentication.api_key {
            return self.api_key_role(&key.id);
        }
        let mut found = Vec::new();
        let mut not_found = Vec::new();
        for name in &authentication.user.roles {
            match self.roles.find(name) {
                Some(role) => found.push(role),
                None => not_found.push(name.clone()),
            }
        }
        EffectiveRole::new(found, not_found)
    }

    /// Returns the descriptors of what the caller may do, by role name, for an API key to be limited by.
    pub fn role_descriptors(&self, authentication: &Authentication) -> Map<String, Value> {
        if let Some(key) = &authentication.api_key {
            let stored = self.store.api_key(&key.id);
            return stored.map_or_else(Map::new, |key| key.info.limited_by.clone());
        }
        let name = &authentication.user.username;
        let json =
            |(name, descriptor): (&str, RoleDescriptor)| (name.to_owned(), descriptor.to_json());
        if is_service_account(authentication) {
            let own = service_account_roles().filter(|(principal, _)| principal == name);
            return own.map(json).collect();
        }
        let roles = authentication.user.roles.iter();
        let assigned = roles.filter_map(|name| Some((name.as_str(), self.roles.descriptor(name)?)));
        assigned.map(json).collect()
    }

    /// Returns which of the privileges asked about the caller holds. Where nothing is checked, all are held.
    ///
    /// # Errors
    /// 400 for a privilege that does not exist.
    pub fn held_privileges(
        &self,
        authentication: &Authentication,
        asked: &HasPrivilegesRequest,
    ) -> ApiResult<HasPrivilegesResponse> {
        let role = self.effective_role(authentication);
        held::held(&role, &authentication.user.username, asked)
    }

    /// Returns the service accounts with what each may do.
    pub fn service_accounts(&self) -> impl Iterator<Item = (&'static str, RoleDescriptor)> {
        service_account_roles()
    }

    fn api_key_role(&self, id: &str) -> EffectiveRole {
        let nothing = || EffectiveRole::new(Vec::new(), Vec::new());
        let stored = self.store.api_key(id);
        let Some(stored) = stored.filter(|key| key.info.invalidation_ms.is_none()) else {
            return nothing();
        };
        if let Some(known) = self.api_keys.get(id)
            && Arc::ptr_eq(&known.stored, &stored)
        {
            return known.role.clone();
        }
        let role = match compile_key(&stored) {
            Ok(role) => role,
            Err(error) => {
                tracing::error!(api_key.id = id, %error, "an API key grants nothing: its roles cannot be used");
                nothing()
            }
        };
        let compiled = ApiKeyRole {
            stored,
            role: role.clone(),
        };
        self.api_keys.insert(id.to_owned(), Arc::new(compiled));
        role
    }

    fn is_unchecked(&self, authentication: &Authentication) -> bool {
        !self.enabled || authentication.is_system()
    }

    fn authorize_cluster(
        &self,
        authentication: &Authentication,
        action: &str,
        is_own: bool,
    ) -> ApiResult<()> {
        let role = self.effective_role(authentication);
        if role.allows_cluster(action, is_own) {
            return Ok(());
        }
        Err(self.denied_of(authentication, &role, action, &[], is_own))
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

    /// Who gives an index another name must have the right to, on the index and on the name: others may
    /// write to what has that name, or believe what they read there.
    fn authorize_new_aliases(
        &self,
        authentication: &Authentication,
        request: &mut ErasedRequest,
    ) -> ApiResult<()> {
        let aliases = request.new_aliases();
        if aliases.is_empty() {
            return Ok(());
        }
        let role = self.effective_role(authentication);
        let right = role.on_indices(MAKE_ALIASES);
        let indices = request.indices_mut().map(|target| &target.expressions);
        for names in [indices.into_iter().flatten().cloned().collect(), aliases] {
            let names: Vec<String> = names;
            let refused: Vec<String> = names
                .into_iter()
                .filter(|name| !right.covers(name))
                .collect();
            if !refused.is_empty() {
                return Err(self.denied(authentication, &role, MAKE_ALIASES, &refused));
            }
        }
        Ok(())
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
        self.authorize_cluster(authentication, action, false)
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
            destructive_requires_name: self.destructive_requires_name.load(Ordering::Relaxed),
        };
        resolver.resolve(target)
    }

    fn denied(
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
    fn denied_of(
        &self,
        authentication: &Authentication,
        role: &EffectiveRole,
        action: &str,
        indices: &[String],
        is_own: bool,
    ) -> ApiError {
        let user = &authentication.user.username;
        let mut reason = match (&authentication.api_key, is_service_account(authentication)) {
            (Some(key), _) => {
                let id = &key.id;
                format!("action [{action}] is unauthorized for API key id [{id}] of user [{user}]")
            }
            (None, true) => {
                format!("action [{action}] is unauthorized for service account [{user}]")
            }
            (None, false) => format!(
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
        tracing::info!(user.name = %user, event.action = %action, "access denied");
        ApiError::new(ErrorCode::Security, reason).with_status(403)
    }
}

const MAKE_ALIASES: &str = "indices:admin/aliases";

struct ApiKeyRole {
    /// What was compiled; a changed key is another object.
    stored: Arc<StoredApiKey>,
    role: EffectiveRole,
}

fn compile_key(key: &StoredApiKey) -> ApiResult<EffectiveRole> {
    let compile = |descriptors: &Map<String, Value>| {
        let roles = descriptors.iter().map(|(name, value)| {
            let descriptor = RoleDescriptor::parse(name, value)?;
            Ok(Arc::new(CompiledRole::compile(name, &descriptor)?))
        });
        let roles = roles.collect::<ApiResult<_>>()?;
        Ok::<_, ApiError>(EffectiveRole::new(roles, Vec::new()))
    };
    let limit = compile(&key.info.limited_by)?;
    match key.info.role_descriptors.is_empty() {
        true => Ok(limit),
        false => Ok(compile(&key.info.role_descriptors)?.limited_by(limit)),
    }
}

/// How many API keys have their roles at hand in compiled form; others are compiled when used.
const MAX_COMPILED_KEYS: u64 = 10_000;

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
