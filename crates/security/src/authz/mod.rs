//! Authorization: may this identity perform this action, and on which indices?
//! Source: Elasticsearch reference, "User authorization".

mod application;
mod denial;
mod descriptor;
mod held;
mod inclusion;
mod named;
mod pattern;
mod privilege;
mod privilege_tables;
mod reserved_roles;
mod resolve;
mod resolved;
mod restricted;
mod role;
mod role_query;
mod roles;
mod sight;
mod telling;
pub(crate) mod template;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringwall_api::access::RequestItem;
use ringwall_api::action::ErasedRequest;
use ringwall_api::auth::{Authentication, AuthenticationType};
use ringwall_api::security::StoredApiKey;
use ringwall_api::security::{HasPrivilegesRequest, HasPrivilegesResponse};
use ringwall_api::{
    AccessKind, ActionRequest, ActionSpec, ApiError, ApiResult, Claim, ErrorCode, IndicesTarget,
    Unauthorized,
};

pub use self::application::check_put_privileges;
pub use self::named::{Existing, NamedIndices};
pub use self::pattern::{Pattern, wildcard_matches};
pub use self::privilege::{
    cluster_privilege_names, cluster_privileges_granting, index_privilege_names,
    index_privileges_granting, is_cluster_action,
};
pub use self::reserved_roles::{reserved_roles, service_account_roles};
use serde_json::{Map, Value};

use self::denial::unauthorized;
use self::resolve::{Resolver, Unresolved};
use self::resolved::Granted;
pub use self::resolved::{AnyResolved, Authorized, Refused, Resolved, ResolvedIndices};
pub use self::restricted::is_restricted;
pub use self::role::{
    ApplicationPrivileges, CompiledRole, EffectiveRole, FieldSecurity, IndicesPrivileges,
    RoleDescriptor,
};
pub use self::role_query::RoleQuery;
use self::roles::Roles;
pub use self::roles::{check_delete_role, check_put_role, is_reserved_role, privileges_json};
pub use self::sight::Sight;
use crate::audit::{AuditTrail, Decided};
use crate::authc::{Challenges, SERVICE_ACCOUNT};
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
    /// How who came without credentials is asked for some where it is refused; `None` where it is told so.
    anonymous_challenge: Option<Challenges>,
    destructive_requires_name: AtomicBool,
    /// Who is told of every decision about a request.
    audit: Option<Arc<AuditTrail>>,
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
            anonymous_challenge: None,
            destructive_requires_name: AtomicBool::new(true),
            audit: None,
        })
    }

    /// Has whom came without credentials asked for some where it is refused; with tokens, for those too. Setting
    /// `xpack.security.authc.anonymous.authz_exception`, the other way round.
    #[must_use]
    pub fn challenging_anonymous(self, tokens: bool) -> Self {
        Self {
            anonymous_challenge: Some(Challenges { bearer: tokens }),
            ..self
        }
    }

    /// Returns an authorizer that tells of its decisions.
    #[must_use]
    pub fn audited(mut self, trail: Option<Arc<AuditTrail>>) -> Self {
        self.audit = trail;
        self
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
            anonymous_challenge: None,
            destructive_requires_name: AtomicBool::new(true),
            audit: None,
        }
    }

    /// Authorizes a request, and resolves its index expressions to concrete, authorized names.
    ///
    /// Errors: 403 `security_exception` (section 3.6), 404 `index_not_found_exception` for a missing
    /// name the caller would be allowed to use, 400 for impossible names.
    pub fn authorize<R: ActionRequest>(
        &self,
        authentication: &Authentication,
        mut request: R,
    ) -> ApiResult<Resolved<R>> {
        let claim = R::ACCESS.claim(&mut request, authentication);
        let granted = self.grant(authentication, &R::ACTION, claim)?;
        self.tell_changes(authentication, &request);
        Ok(Resolved::new(request, granted))
    }

    /// As [`Authorizer::authorize`], of a request with its type erased.
    pub fn authorize_erased(
        &self,
        authentication: &Authentication,
        mut request: ErasedRequest,
    ) -> ApiResult<AnyResolved> {
        let spec = request.spec();
        let claim = request.claim(authentication);
        let granted = self.grant(authentication, &spec, claim)?;
        let request_type = request.request_type();
        let message = request.into_message();
        self.tell_changes(authentication, &*message);
        Ok(AnyResolved {
            request_type,
            message,
            spec,
            granted,
        })
    }

    /// As [`Authorizer::authorize`], of a part of a request that is a request on its own indices.
    ///
    /// # Errors
    /// As there, with what the caller called the indices.
    pub fn authorize_part<R: ActionRequest>(
        &self,
        authentication: &Authentication,
        mut part: R,
    ) -> Result<Resolved<R>, Box<Refused>> {
        let claim = R::ACCESS.claim(&mut part, authentication);
        let asked = match &claim {
            Claim::Indices { target, .. } => open(IndicesTarget::clone(target).take()).join(","),
            _ => String::new(),
        };
        match self.grant(authentication, &R::ACTION, claim) {
            Ok(granted) => Ok(Resolved::new(part, granted)),
            Err(error) => Err(Box::new(Refused { asked, error })),
        }
    }

    /// Decides about a request. The audit trail is told here of whatever is decided about any.
    fn grant(
        &self,
        authentication: &Authentication,
        spec: &ActionSpec,
        claim: Claim<'_>,
    ) -> ApiResult<Granted> {
        if self.audit.is_none() {
            return self.decide(authentication, spec.name, claim);
        }
        let asked = match &claim {
            Claim::Indices { target, .. } => Some(open(IndicesTarget::clone(target).take())),
            _ => None,
        };
        let granted = self.decide(authentication, spec.name, claim);
        // What is not there has been looked for by who may.
        let is_granted = match &granted {
            Ok(_) => true,
            Err(error) => error.status == 404,
        };
        let found = granted.as_ref().ok().and_then(|granted| {
            let indices = granted.indices.as_ref()?;
            Some(indices.names())
        });
        self.tell(
            authentication,
            &Decided {
                action: spec.name,
                request: Some(spec.request),
                indices: found.or(asked.as_deref()),
                is_granted,
            },
        );
        granted
    }

    fn decide(
        &self,
        authentication: &Authentication,
        action: &str,
        claim: Claim<'_>,
    ) -> ApiResult<Granted> {
        let is_unchecked = self.is_unchecked(authentication);
        self.authorize_run_as(authentication, action)?;
        match claim {
            Claim::Indices {
                target,
                new_aliases,
                beside,
            } => {
                if let Some(action) = beside
                    && !is_unchecked
                {
                    self.authorize_cluster(authentication, action, false)?;
                }
                let indices = match is_unchecked {
                    true => self.resolve_unchecked(action, target)?,
                    false => {
                        let indices = self.authorize_indices(authentication, action, target)?;
                        self.authorize_new_aliases(authentication, &indices, new_aliases)?;
                        indices
                    }
                };
                return Ok(Granted {
                    indices: Some(indices),
                    ..Granted::default()
                });
            }
            Claim::Named(target) => {
                if !is_unchecked {
                    self.authorize_cluster(authentication, action, false)?;
                }
                return Ok(Granted {
                    named: NamedIndices::new(open(target.take()), target.options),
                    ..Granted::default()
                });
            }
            _ if is_unchecked => {}
            Claim::Cluster { only_own } => {
                self.authorize_cluster(authentication, action, only_own)?;
            }
            Claim::Applications(names) => {
                let role = self.effective_role(authentication);
                if !role.manages_applications(&names) {
                    self.authorize_cluster(authentication, action, false)?;
                }
            }
            Claim::Items => self.authorize_action_name(authentication, action)?,
            Claim::Everyone => {}
            Claim::User(user) => self.authorize_user(authentication, action, user)?,
        }
        Ok(Granted::default())
    }

    /// Refuses who may not perform the action on any index, or on the cluster, whatever the request says: it need
    /// not be read then. What passes is authorized by [`Authorizer::authorize`] all the same.
    ///
    /// Errors: the 403 that `authorize` would give.
    pub fn admit(&self, authentication: &Authentication, action: &ActionSpec) -> ApiResult<()> {
        self.may_ask(authentication, action).inspect_err(|_| {
            let decided = Decided {
                action: action.name,
                request: Some(action.request),
                indices: None,
                is_granted: false,
            };
            self.tell(authentication, &decided);
        })
    }

    fn may_ask(&self, authentication: &Authentication, action: &ActionSpec) -> ApiResult<()> {
        if self.is_unchecked(authentication) {
            return Ok(());
        }
        self.authorize_run_as(authentication, action.name)?;
        match action.access {
            // A request about keys of the caller's own may pass with less, and this may be one.
            AccessKind::Cluster => {
                let role = self.effective_role(authentication);
                if role.allows_cluster(action.name, false) {
                    return Ok(());
                }
                self.authorize_cluster(authentication, action.name, true)
            }
            AccessKind::Applications => {
                match self
                    .effective_role(authentication)
                    .manages_any_application()
                {
                    true => Ok(()),
                    false => self.authorize_cluster(authentication, action.name, false),
                }
            }
            AccessKind::Indices | AccessKind::Items => {
                self.authorize_action_name(authentication, action.name)
            }
            AccessKind::SelfService => Ok(()),
        }
    }

    /// Authorizes the parts of a composite request (`_bulk`), each for its own index or alias. One result per part, in
    /// order.
    pub fn authorize_items<T: RequestItem>(
        &self,
        authentication: &Authentication,
        items: Unauthorized<Vec<T>>,
    ) -> Vec<ApiResult<Authorized<T>>> {
        let mut decided: HashMap<(&'static str, String), ApiResult<()>> = HashMap::new();
        let items = open(items).into_iter();
        let items = items
            .map(|item| {
                let key = (item.action(), item.index().to_owned());
                let decision = decided.entry(key).or_insert_with(|| {
                    self.check_name(authentication, item.action(), item.index())
                });
                decision.clone().map(|()| Authorized::new(item))
            })
            .collect();
        self.tell_of_items(authentication, &decided);
        items
    }

    /// Authorizes an action on one name, of an index or an alias.
    pub fn authorize_name(
        &self,
        authentication: &Authentication,
        action: &str,
        name: &str,
    ) -> ApiResult<Authorized<String>> {
        let allowed = self.check_name(authentication, action, name);
        let decided = Decided {
            action,
            request: None,
            indices: Some(&[name.to_owned()]),
            is_granted: allowed.is_ok(),
        };
        self.tell(authentication, &decided);
        allowed.map(|()| Authorized::new(name.to_owned()))
    }

    /// Returns whether an action is allowed on a name, for what shows no more than that: nobody is told of it.
    pub fn allows_name(&self, authentication: &Authentication, action: &str, name: &str) -> bool {
        self.check_name(authentication, action, name).is_ok()
    }

    fn check_name(
        &self,
        authentication: &Authentication,
        action: &str,
        name: &str,
    ) -> ApiResult<()> {
        if self.is_unchecked(authentication) {
            return Ok(());
        }
        let role = self.effective_role(authentication);
        if role.on_indices(action).covers(name) {
            return Ok(());
        }
        Err(self.denied(authentication, &role, action, &[name.to_owned()]))
    }

    /// Authorizes again an action that arrived from another node, whose indices are concrete. An
    /// index also passes by the right to an alias of it.
    pub fn recheck(
        &self,
        authentication: &Authentication,
        action: &str,
        indices: &[String],
    ) -> ApiResult<()> {
        self.check_again(authentication, action, indices)
            .inspect_err(|_| self.tell_refused(authentication, action, indices))
    }

    fn check_again(
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
        self.tell_refused(authentication, action, names);
        Err(self.denied(authentication, &role, action, &refused))
    }

    /// Returns what the caller sees of an index or alias where an action is allowed to it.
    ///
    /// # Errors
    /// 400 when a query template of a role does not fit what is known of the caller.
    pub fn sight(
        &self,
        authentication: &Authentication,
        action: &str,
        name: &str,
    ) -> ApiResult<Sight> {
        if self.is_unchecked(authentication) {
            return Ok(Sight::default());
        }
        let role = self.effective_role(authentication);
        role.on_indices(action).sight(name, &authentication.user)
    }

    /// Returns the union of the caller's roles; of a service account, its one fixed role; of an API key, its
    /// own roles within those of its owner.
    pub fn effective_role(&self, authentication: &Authentication) -> EffectiveRole {
        if !self.may_act(authentication) {
            return EffectiveRole::new(Vec::new(), Vec::new());
        }
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

    /// Returns whether who came with the credentials may act as whom it acts as.
    fn may_act(&self, authentication: &Authentication) -> bool {
        let Some(by) = &authentication.run_by else {
            return true;
        };
        let user = &authentication.user;
        // It is not there, or nobody may be it.
        user.enabled && self.effective_role(by).allows_run_as(&user.username)
    }

    /// Errors: 403 for who may not act as the user that it acts as.
    fn authorize_run_as(&self, authentication: &Authentication, action: &str) -> ApiResult<()> {
        let Some(by) = authentication
            .run_by
            .as_ref()
            .filter(|_| !self.may_act(authentication))
        else {
            return Ok(());
        };
        let (user, wanted) = (&by.user.username, &authentication.user.username);
        let reason = unauthorized(by, &self.effective_role(by), action);
        tracing::info!(user.name = %user, user.run_as = %wanted, event.action = %action, "access denied");
        Err(ApiError::new(
            ErrorCode::Security,
            format!("{reason}, because user [{user}] is unauthorized to run as [{wanted}]"),
        )
        .with_status(403))
    }

    /// Returns whether the caller may perform an action of the cluster about whatever there is, and not only about what
    /// is its own.
    pub fn sees_all(&self, authentication: &Authentication, action: &str) -> bool {
        self.is_unchecked(authentication)
            || self
                .effective_role(authentication)
                .allows_cluster(action, false)
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
        if self.is_unchecked(authentication) {
            return Ok(held::all(&authentication.user.username, asked));
        }
        let role = self.effective_role(authentication);
        let stored = |application: &str| self.store.application_privileges(application);
        held::held(&role, &authentication.user.username, asked, &stored)
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
        target: &mut IndicesTarget,
    ) -> ApiResult<ResolvedIndices> {
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

    fn resolve_unchecked(
        &self,
        action: &str,
        target: &mut IndicesTarget,
    ) -> ApiResult<ResolvedIndices> {
        let resolved = self.resolve(action, target, &|_| true);
        resolved.map_err(|unresolved| match unresolved {
            Unresolved::Failed(error) => error,
            Unresolved::Unauthorized(names) => {
                ApiError::internal(format!("refused indices {names:?} without checks"))
            }
        })
    }

    /// Who gives an index another name must have the right to, on the index and on the name: others may
    /// write to what has that name, or believe what they read there.
    fn authorize_new_aliases(
        &self,
        authentication: &Authentication,
        indices: &ResolvedIndices,
        aliases: Vec<String>,
    ) -> ApiResult<()> {
        if aliases.is_empty() {
            return Ok(());
        }
        let role = self.effective_role(authentication);
        let right = role.on_indices(MAKE_ALIASES);
        for names in [indices.names().to_vec(), aliases] {
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

    /// Refuses an alias of an index that exists where the caller may do more under the alias than on the index: it would
    /// give itself the rest. Source: Elasticsearch, which refuses it with these words.
    ///
    /// Errors: 403.
    pub fn authorize_alias_of(
        &self,
        authentication: &Authentication,
        index: &str,
        alias: &str,
    ) -> ApiResult<()> {
        if self.is_unchecked(authentication) {
            return Ok(());
        }
        self.refuse_narrowed(
            authentication,
            &[MAKE_ALIASES, SEARCH, GET],
            index,
            "Alias requests are not allowed for users who have field or document level security enabled on one of \
             the indices",
        )?;
        let role = self.effective_role(authentication);
        match role.allows_no_more_on(alias, index) {
            true => Ok(()),
            false => {
                self.tell_refused(authentication, MAKE_ALIASES, &[index.to_owned()]);
                Err(ApiError::new(
                    ErrorCode::Security,
                    "Adding an alias is not allowed when the alias has more permissions than any of the indices",
                )
                .with_status(403))
            }
        }
    }

    /// Refuses what would show all of an index to a caller of whom documents or fields of it are hidden: what any of
    /// the actions is allowed to see counts.
    ///
    /// # Errors
    /// 400 with the reason given.
    pub fn refuse_narrowed(
        &self,
        authentication: &Authentication,
        actions: &[&str],
        index: &str,
        reason: &str,
    ) -> ApiResult<()> {
        if self.is_unchecked(authentication) {
            return Ok(());
        }
        let role = self.effective_role(authentication);
        for action in actions {
            let right = role.on_indices(action);
            // Where nothing may be read, nothing is hidden of it.
            if right.covers(index) && !right.sight(index, &authentication.user)?.is_whole() {
                self.tell_refused(authentication, action, &[index.to_owned()]);
                return Err(ApiError::new(ErrorCode::Security, reason).with_status(400));
            }
        }
        Ok(())
    }

    /// A user may ask about itself, and change its own password in a realm that stores passwords.
    fn authorize_user(
        &self,
        authentication: &Authentication,
        action: &str,
        subject: &str,
    ) -> ApiResult<()> {
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
        target: &mut IndicesTarget,
        covers: &dyn Fn(&str) -> bool,
    ) -> Result<ResolvedIndices, Unresolved> {
        let names = self.store.index_names();
        let resolver = Resolver {
            names: &names,
            covers,
            action,
            destructive_requires_name: self.destructive_requires_name.load(Ordering::Relaxed),
        };
        resolver.resolve(open(target.take()), target.options)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is opened here is authorized before anybody else sees it"
)]
fn open<T>(asked: Unauthorized<T>) -> T {
    asked.open()
}

const MAKE_ALIASES: &str = "indices:admin/aliases";
const SEARCH: &str = "indices:data/read/search";
const GET: &str = "indices:data/read/get";

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

#[cfg(test)]
mod tests;
