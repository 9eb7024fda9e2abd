//! Roles as they are written, and as they are compiled for decisions. Source: Elasticsearch reference, "Defining
//! roles".

use std::sync::Arc;

use ringwall_api::ApiResult;
use ringwall_api::auth::User;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::held::{Known, Names, is_within};
use super::inclusion::Effort;
use super::pattern::Pattern;
use super::privilege::{Actions, cluster_privilege, index_privilege};
use super::restricted::is_restricted;
use super::role_query::RoleQuery;
use super::sight::{FieldGrants, Sight};
use crate::SecurityError;

/// A role as `PUT /_security/role/{name}` takes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoleDescriptor {
    pub cluster: Vec<String>,
    pub indices: Vec<IndicesPrivileges>,
    pub applications: Vec<ApplicationPrivileges>,
    pub run_as: Vec<String>,
    /// Conditional cluster privileges, kept as written.
    pub global: Option<Value>,
    pub remote_indices: Vec<Value>,
    pub remote_cluster: Vec<Value>,
    pub metadata: Map<String, Value>,
    pub description: Option<String>,
}

/// One group of index privileges.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IndicesPrivileges {
    pub names: Vec<String>,
    pub privileges: Vec<String>,
    #[serde(default)]
    pub field_security: Option<FieldSecurity>,
    /// A query, as JSON text, that limits the documents.
    #[serde(default)]
    pub query: Option<String>,
    #[serde(default)]
    pub allow_restricted_indices: bool,
}

/// The fields that a group of index privileges is limited to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldSecurity {
    pub grant: Option<Vec<String>>,
    pub except: Option<Vec<String>>,
}

/// Privileges within an application such as Kibana.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationPrivileges {
    pub application: String,
    pub privileges: Vec<String>,
    pub resources: Vec<String>,
}

/// A role ready for decisions.
#[derive(Debug)]
pub struct CompiledRole {
    pub name: String,
    cluster: Vec<Actions>,
    indices: Vec<IndexGroup>,
    applications: Vec<ApplicationGroup>,
    run_as: Vec<Pattern>,
    /// Applications whose privileges may be managed.
    manages: Vec<Pattern>,
}

#[derive(Debug)]
pub(super) struct IndexGroup {
    pub(super) patterns: Vec<Pattern>,
    actions: Vec<Actions>,
    pub(super) allow_restricted: bool,
    /// Which documents are seen; `None` for all.
    query: Option<RoleQuery>,
    /// Which fields are seen; `None` for all.
    fields: Option<Arc<FieldGrants>>,
}

/// What is granted within applications whose name matches.
#[derive(Debug)]
struct ApplicationGroup {
    application: Pattern,
    privileges: Vec<Pattern>,
    /// The privileges as they are written: names, or patterns of actions.
    names: Vec<String>,
    resources: Vec<Pattern>,
}

impl CompiledRole {
    /// Compiles a role. Errors: an unknown privilege, a pattern we cannot match exactly, a query that is none, or field
    /// security that contradicts itself.
    pub fn compile(name: &str, descriptor: &RoleDescriptor) -> Result<Self, SecurityError> {
        Ok(Self {
            name: name.to_owned(),
            cluster: collect(&descriptor.cluster, cluster_privilege)?,
            indices: descriptor
                .indices
                .iter()
                .enumerate()
                .map(|(position, group)| IndexGroup::compile(name, position, group))
                .collect::<Result<_, _>>()?,
            applications: descriptor
                .applications
                .iter()
                .map(ApplicationGroup::compile)
                .collect::<Result<_, _>>()?,
            run_as: collect(&descriptor.run_as, Pattern::parse)?,
            manages: managed(descriptor.global.as_ref())?,
        })
    }
}

/// Returns what `{"application": {"manage": {"applications": [...]}}}` names.
fn managed(global: Option<&Value>) -> Result<Vec<Pattern>, SecurityError> {
    let named = global.map(|global| &global["application"]["manage"]["applications"]);
    let Some(named) = named.filter(|named| !named.is_null()) else {
        return Ok(Vec::new());
    };
    let invalid = || SecurityError::InvalidPattern {
        pattern: named.to_string(),
        reason: "[global] names applications in an array of texts".to_owned(),
    };
    let names = named.as_array().ok_or_else(invalid)?;
    let parse = |name: &Value| Pattern::parse(name.as_str().ok_or_else(invalid)?);
    names.iter().map(parse).collect()
}

/// What is asked of an application.
pub(super) struct WantedOfApplication<'a> {
    pub application: &'a Pattern,
    /// All of these.
    pub privileges: &'a [Pattern],
    pub resource: &'a Pattern,
}

impl ApplicationGroup {
    fn compile(group: &ApplicationPrivileges) -> Result<Self, SecurityError> {
        Ok(Self {
            application: Pattern::parse(&group.application)?,
            privileges: collect(&group.privileges, Pattern::parse)?,
            names: group.privileges.clone(),
            resources: collect(&group.resources, Pattern::parse)?,
        })
    }
}

impl IndexGroup {
    fn compile(
        role: &str,
        position: usize,
        group: &IndicesPrivileges,
    ) -> Result<Self, SecurityError> {
        let query = group.query.as_deref().map(RoleQuery::parse).transpose();
        let query = query.map_err(|reason| SecurityError::RoleQuery {
            role: role.to_owned(),
            indices: group.names.join(","),
            position,
            reason,
        })?;
        let fields = group.field_security.as_ref();
        let fields = fields.map(|fields| FieldGrants::compile(role, fields));
        Ok(Self {
            query: query.flatten(),
            fields: fields.transpose()?.map(Arc::new),
            patterns: collect(&group.names, Pattern::parse)?,
            actions: collect(&group.privileges, index_privilege)?,
            allow_restricted: group.allow_restricted_indices,
        })
    }

    fn allows_action(&self, action: &str) -> bool {
        self.actions.iter().any(|actions| actions.allow(action))
            // Whoever may index documents may add the fields they bring. Source: section 3.2.
            || (action == AUTO_PUT_MAPPING
                && INGEST_ACTIONS
                    .iter()
                    .any(|ingest| self.actions.iter().any(|actions| actions.allow(ingest))))
    }

    pub(super) fn covers(&self, name: &str, restricted: bool) -> bool {
        (self.allow_restricted || !restricted)
            && self.patterns.iter().any(|pattern| pattern.matches(name))
    }
}

fn collect<T>(
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, SecurityError>,
) -> Result<Vec<T>, SecurityError> {
    texts.iter().map(|text| parse(text)).collect()
}

/// The union of a user's roles.
#[derive(Debug, Clone)]
pub struct EffectiveRole {
    roles: Vec<Arc<CompiledRole>>,
    /// Assigned names that no store knows.
    pub not_found: Vec<String>,
    /// What must allow everything, too: of an API key, what its owner could do.
    limit: Option<Box<EffectiveRole>>,
}

impl EffectiveRole {
    /// Returns the union of roles found and names not found.
    pub fn new(roles: Vec<Arc<CompiledRole>>, not_found: Vec<String>) -> Self {
        Self {
            roles,
            not_found,
            limit: None,
        }
    }

    /// Returns what both this role and the other allow.
    #[must_use]
    pub fn limited_by(mut self, limit: Self) -> Self {
        self.limit = Some(Box::new(limit));
        self
    }

    /// Returns the names of the roles found, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.roles.iter().map(|role| role.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Returns whether cluster privileges grant the action. `is_own` tells of a request that is about API
    /// keys of the caller alone.
    pub fn allows_cluster(&self, action: &str, is_own: bool) -> bool {
        let mut privileges = self.roles.iter().flat_map(|role| &role.cluster);
        privileges.any(|actions| actions.allow(action) || (is_own && actions.allow_on_own(action)))
            && self.limit_allows(|limit| limit.allows_cluster(action, is_own))
    }

    fn limit_allows(&self, test: impl FnOnce(&Self) -> bool) -> bool {
        self.limit.as_deref().is_none_or(test)
    }

    /// Returns the right to one index action, to be asked about names.
    pub fn on_indices(&self, action: &str) -> IndexRight<'_> {
        let groups = self
            .roles
            .iter()
            .flat_map(|role| &role.indices)
            .filter(|group| group.allows_action(action))
            .collect();
        let limit = self.limit.as_ref();
        IndexRight {
            groups,
            limit: limit.map(|limit| Box::new(limit.on_indices(action))),
        }
    }

    /// Returns whether cluster privileges grant all of these actions.
    pub(super) fn grants_cluster(&self, wanted: &Actions) -> bool {
        let granted: Vec<&Actions> = self.roles.iter().flat_map(|role| &role.cluster).collect();
        wanted
            .parts()
            .all(|part| granted.iter().any(|actions| actions.include(&part)))
            && self.limit_allows(|limit| limit.grants_cluster(wanted))
    }

    /// Returns whether all of these actions are allowed on all of the names.
    pub(super) fn grants_on(&self, names: &Names, wanted: &Actions, effort: &Effort) -> bool {
        wanted.parts().all(|part| {
            let groups: Vec<&IndexGroup> = self
                .roles
                .iter()
                .flat_map(|role| &role.indices)
                .filter(|group| group.actions.iter().any(|actions| actions.include(&part)))
                .collect();
            names.are_within(&groups, effort)
        }) && self.limit_allows(|limit| limit.grants_on(names, wanted, effort))
    }

    /// Returns whether whatever is allowed on one name is allowed on the other too. Roles and what limits them are each
    /// compared for themselves, which refuses rather too much.
    pub(super) fn allows_no_more_on(&self, name: &str, other: &str) -> bool {
        let granted_on = |name: &str| {
            let restricted = is_restricted(name);
            self.roles
                .iter()
                .flat_map(|role| &role.indices)
                .filter(move |group| group.covers(name, restricted))
                .flat_map(|group| &group.actions)
                .collect::<Vec<_>>()
        };
        let on_other = granted_on(other);
        let is_within = |part: Actions| on_other.iter().any(|actions| actions.include(&part));
        granted_on(name)
            .into_iter()
            .flat_map(Actions::parts)
            .all(is_within)
            && self.limit_allows(|limit| limit.allows_no_more_on(name, other))
    }

    /// Returns whether privileges, or all that patterns of them name, are granted within an application on a
    /// resource. `known` has the actions of the application's privileges.
    pub(super) fn grants_application(
        &self,
        wanted: &WantedOfApplication<'_>,
        known: &Known,
        effort: &Effort,
    ) -> bool {
        let grants = |group: &ApplicationGroup| {
            let actions = group.names.iter().flat_map(|name| known.actions(name));
            let granted: Vec<&Pattern> = group.privileges.iter().chain(actions).collect();
            let resources: Vec<&Pattern> = group.resources.iter().collect();
            let mut privileges = wanted.privileges.iter();
            is_within(wanted.application, &[&group.application], effort)
                && is_within(wanted.resource, &resources, effort)
                && privileges.all(|privilege| is_within(privilege, &granted, effort))
        };
        let mut groups = self.roles.iter().flat_map(|role| &role.applications);
        groups.any(grants)
            && self.limit_allows(|limit| limit.grants_application(wanted, known, effort))
    }

    /// Returns whether the privileges of all these applications, which may be patterns, may be managed.
    pub(super) fn manages_applications(&self, names: &[String]) -> bool {
        let managed: Vec<&Pattern> = self.roles.iter().flat_map(|role| &role.manages).collect();
        let effort = Effort::default();
        let is_managed = |name: &String| {
            Pattern::parse(name).is_ok_and(|name| is_within(&name, &managed, &effort))
        };
        !names.is_empty()
            && names.iter().all(is_managed)
            && self.limit_allows(|limit| limit.manages_applications(names))
    }

    /// Returns whether there is an application whose privileges may be managed.
    pub(super) fn manages_any_application(&self) -> bool {
        self.roles.iter().any(|role| !role.manages.is_empty())
            && self.limit_allows(|limit| limit.manages_any_application())
    }

    /// Returns whether requests may be made as that user.
    pub fn allows_run_as(&self, username: &str) -> bool {
        self.roles
            .iter()
            .flat_map(|role| &role.run_as)
            .any(|pattern| pattern.matches(username))
            && self.limit_allows(|limit| limit.allows_run_as(username))
    }
}

/// Where a role allows one action.
#[derive(Debug)]
pub struct IndexRight<'a> {
    groups: Vec<&'a IndexGroup>,
    limit: Option<Box<IndexRight<'a>>>,
}

impl IndexRight<'_> {
    /// Returns whether the action is allowed nowhere at all.
    pub fn is_nowhere(&self) -> bool {
        self.groups.is_empty() || self.limit.as_ref().is_some_and(|limit| limit.is_nowhere())
    }

    /// Returns whether the action is allowed on an index or alias of this name.
    pub fn covers(&self, name: &str) -> bool {
        let restricted = is_restricted(name);
        self.groups
            .iter()
            .any(|group| group.covers(name, restricted))
            && self.limit.as_ref().is_none_or(|limit| limit.covers(name))
    }

    /// Returns what the user sees of an index or alias of this name.
    ///
    /// # Errors
    /// 400 when a template of a role does not fit what is known of the user.
    pub(super) fn sight(&self, name: &str, user: &User) -> ApiResult<Sight> {
        let restricted = is_restricted(name);
        let mut sight = match &self.limit {
            Some(limit) => limit.sight(name, user)?,
            None => Sight::default(),
        };
        let groups = self
            .groups
            .iter()
            .filter(|group| group.covers(name, restricted));
        let said = groups.map(|group| (group.query.as_ref(), group.fields.as_ref()));
        sight.narrow(said, user)?;
        Ok(sight)
    }
}

const AUTO_PUT_MAPPING: &str = "indices:admin/mapping/auto_put";
const INGEST_ACTIONS: [&str; 2] = [
    "indices:data/write/index:op_type/index",
    "indices:data/write/index:op_type/create",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn role(descriptor: Value) -> Result<EffectiveRole, SecurityError> {
        let descriptor: RoleDescriptor = serde_json::from_value(descriptor).unwrap();
        let compiled = CompiledRole::compile("r", &descriptor)?;
        Ok(EffectiveRole::new(vec![Arc::new(compiled)], Vec::new()))
    }

    #[test]
    fn restricted_names_need_the_flag_even_when_spelled_out() {
        let plain =
            role(json!({"indices": [{"names": [".security-7", "*"], "privileges": ["all"]}]}));
        let right = plain.unwrap();
        let right = right.on_indices("indices:data/read/get");
        assert!(right.covers("logs") && right.covers(".other"));
        assert!(!right.covers(".security-7"));
        let flagged = role(json!({"indices": [
            {"names": [".sec*"], "privileges": ["read"], "allow_restricted_indices": true},
        ]}))
        .unwrap();
        assert!(
            flagged
                .on_indices("indices:data/read/get")
                .covers(".security-7")
        );
        assert!(flagged.on_indices("indices:data/write/bulk").is_nowhere());
    }

    #[test]
    fn roles_we_cannot_enforce_do_not_compile() {
        for group in [
            json!({"names": ["a"], "privileges": ["read"], "query": "nonsense"}),
            json!({"names": ["a"], "privileges": ["read"], "field_security": {"grant": ["x"], "except": ["y"]}}),
            json!({"names": ["a"], "privileges": ["reed"]}),
            json!({"names": ["/a&b/"], "privileges": ["read"]}),
        ] {
            assert!(role(json!({"indices": [group]})).is_err());
        }
    }

    #[test]
    fn indexing_includes_automatic_mapping_updates() {
        let role =
            role(json!({"indices": [{"names": ["a"], "privileges": ["create_doc"]}]})).unwrap();
        assert!(
            role.on_indices("indices:admin/mapping/auto_put")
                .covers("a")
        );
        assert!(role.on_indices("indices:admin/mapping/put").is_nowhere());
    }

    #[test]
    fn run_as_is_by_pattern() {
        let role = role(json!({"run_as": ["svc-*"]})).unwrap();
        assert!(role.allows_run_as("svc-1") && !role.allows_run_as("ann"));
    }
}
