//! Where roles come from: those that are built in, then `roles.yml`, then those made through the API. The first that
//! has a name decides what it means.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ringwall_api::security::StoredRole;
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use serde_json::{Map, Value, json};

use super::descriptor::field_security_json;
use super::reserved_roles::reserved_roles;
use super::role::{CompiledRole, RoleDescriptor};
use crate::files::{RolesFile, Watched, check_role_name};
use crate::{SecurityError, SecurityStore};

/// The roles of this node and its cluster, ready for decisions.
pub struct Roles {
    store: Arc<dyn SecurityStore>,
    pub(super) reserved: HashMap<String, Arc<CompiledRole>>,
    file: Option<Arc<Watched<RolesFile>>>,
    /// By name, compiled when first used.
    native: moka::sync::Cache<String, Arc<Native>>,
}

struct Native {
    /// What was compiled; a changed role is another object.
    stored: Arc<StoredRole>,
    /// `None`: it cannot be enforced, and grants nothing.
    compiled: Option<Arc<CompiledRole>>,
}

impl Roles {
    pub(super) fn new(
        store: Arc<dyn SecurityStore>,
        file: Option<Arc<Watched<RolesFile>>>,
    ) -> Result<Self, SecurityError> {
        let reserved = reserved_roles().map(|(name, descriptor)| {
            let compiled = CompiledRole::compile(name, &descriptor)?;
            Ok::<_, SecurityError>((name.to_owned(), Arc::new(compiled)))
        });
        Ok(Self {
            store,
            reserved: reserved.collect::<Result<_, _>>()?,
            file,
            native: moka::sync::Cache::new(MAX_COMPILED),
        })
    }

    /// Returns no roles at all, for who checks nothing.
    pub(super) fn none(store: Arc<dyn SecurityStore>) -> Self {
        Self {
            store,
            reserved: HashMap::new(),
            file: None,
            native: moka::sync::Cache::new(0),
        }
    }

    /// Returns a role, if anything defines it.
    pub(super) fn find(&self, name: &str) -> Option<Arc<CompiledRole>> {
        if let Some(reserved) = self.reserved.get(name) {
            return Some(Arc::clone(reserved));
        }
        if let Some(role) = self
            .file
            .as_ref()
            .and_then(|file| file.get().compiled(name))
        {
            return Some(role);
        }
        let stored = self.store.role(name)?;
        if let Some(known) = self.native.get(name)
            && Arc::ptr_eq(&known.stored, &stored)
        {
            return known.compiled.clone();
        }
        let compiled = match compile(name, &stored.descriptor) {
            Ok(role) => Some(Arc::new(role)),
            Err(error) => {
                tracing::error!(role = name, %error, "the role grants nothing: it cannot be used");
                None
            }
        };
        let native = Native {
            stored,
            compiled: compiled.clone(),
        };
        self.native.insert(name.to_owned(), Arc::new(native));
        compiled
    }

    /// Returns what a role says.
    pub(super) fn descriptor(&self, name: &str) -> Option<RoleDescriptor> {
        if self.reserved.contains_key(name) {
            return reserved_roles()
                .find(|(reserved, _)| *reserved == name)
                .map(|(_, descriptor)| descriptor);
        }
        let file = self.file.as_ref().map(|file| file.get());
        if let Some(descriptor) = file.as_ref().and_then(|file| file.descriptor(name)) {
            return Some(descriptor.clone());
        }
        let stored = self.store.role(name)?;
        let written = Value::Object(stored.descriptor.clone());
        RoleDescriptor::parse(name, &written).ok()
    }
}

fn compile(name: &str, descriptor: &Map<String, Value>) -> ApiResult<CompiledRole> {
    let descriptor = RoleDescriptor::parse(name, &Value::Object(descriptor.clone()))?;
    Ok(CompiledRole::compile(name, &descriptor)?)
}

/// Returns whether the name is one of the built-in roles.
pub fn is_reserved_role(name: &str) -> bool {
    reserved_roles().any(|(reserved, _)| reserved == name)
}

/// Checks a role that is to be stored, and returns it in its normal form.
///
/// # Errors
/// 400 that names the role, for a reserved or impossible name, and whatever [`RoleDescriptor::parse`] refuses.
pub fn check_put_role(name: &str, written: &Value) -> ApiResult<StoredRole> {
    check_role_name(name).map_err(|reason| {
        // The tool names the role, the API only what is wrong with it.
        let start = format!("Invalid role [{name}]... ");
        let reason = reason.strip_prefix(&start).unwrap_or(&reason).to_owned();
        ApiError::new(
            ErrorCode::Validation,
            ApiError::validation(&[reason]).reason,
        )
    })?;
    let descriptor = RoleDescriptor::parse(name, written).map_err(|error| match error.code {
        // What is well-formed and impossible is listed as the rest is.
        ErrorCode::IllegalArgument => ApiError::validation(&[error.reason]),
        _ => error,
    })?;
    let mut problems = Vec::new();
    if is_reserved_role(name) {
        problems.push(format!("Role [{name}] is reserved and may not be used."));
    }
    if descriptor.metadata.keys().any(|key| key.starts_with('_')) {
        problems.push("role descriptor metadata keys may not start with [_]".to_owned());
    }
    for application in &descriptor.applications {
        problems.extend(application_problem(&application.application));
    }
    if !problems.is_empty() {
        return Err(ApiError::validation(&problems));
    }
    match descriptor.to_json() {
        Value::Object(descriptor) => Ok(StoredRole { descriptor }),
        _ => Err(ApiError::internal("a role is no object")),
    }
}

/// Checks that a role may be deleted.
///
/// # Errors
/// 400 for a built-in one.
pub fn check_delete_role(name: &str) -> ApiResult<()> {
    match is_reserved_role(name) {
        false => Ok(()),
        true => Err(ApiError::illegal_argument(format!(
            "role [{name}] is reserved and cannot be deleted"
        ))),
    }
}

/// What is granted on some indices.
struct Granted {
    /// Field security and query.
    shown: Value,
    privileges: BTreeSet<String>,
}

/// Returns what several roles grant together, as `_security/user/_privileges` shows it: what is granted on the same
/// indices, or within the same application, in one group.
///
/// # Errors
/// A descriptor that is none.
pub fn privileges_json(descriptors: &Map<String, Value>) -> ApiResult<Map<String, Value>> {
    let mut cluster = BTreeSet::new();
    let mut run_as = BTreeSet::new();
    let mut global = Vec::new();
    let mut indices: BTreeMap<(BTreeSet<String>, bool, String), Granted> = BTreeMap::new();
    let mut applications: BTreeMap<(String, BTreeSet<String>), BTreeSet<String>> = BTreeMap::new();
    for (name, written) in descriptors {
        let role = RoleDescriptor::parse(name, written)?;
        cluster.extend(role.cluster);
        run_as.extend(role.run_as);
        global.extend(role.global);
        for group in role.indices {
            // What is seen differently is granted differently.
            let shown = json!([
                field_security_json(group.field_security.as_ref()),
                group.query
            ]);
            let on = (
                group.names.into_iter().collect(),
                group.allow_restricted_indices,
                shown.to_string(),
            );
            let granted = indices.entry(on).or_insert_with(|| Granted {
                shown,
                privileges: BTreeSet::new(),
            });
            granted.privileges.extend(group.privileges);
        }
        for group in role.applications {
            let on = (group.application, group.resources.into_iter().collect());
            applications.entry(on).or_default().extend(group.privileges);
        }
    }
    let indices: Vec<Value> = indices
        .into_iter()
        .map(|((names, restricted, _), mut granted)| {
            let mut group = json!({"names": names, "privileges": granted.privileges});
            for (name, position) in [("field_security", 0), ("query", 1)] {
                let value = granted.shown[position].take();
                if !value.is_null() {
                    group[name] = json!([value]);
                }
            }
            group["allow_restricted_indices"] = restricted.into();
            group
        })
        .collect();
    let applications: Vec<Value> = applications
        .into_iter()
        .map(|((application, resources), privileges)| {
            json!({"application": application, "privileges": privileges, "resources": resources})
        })
        .collect();
    let body = json!({
        "cluster": cluster, "global": global, "indices": indices, "applications": applications, "run_as": run_as,
    });
    match body {
        Value::Object(body) => Ok(body),
        _ => Err(ApiError::internal("privileges are no object")),
    }
}

/// An application is named `prefix-anything`; a pattern may take the place of the end.
fn application_problem(name: &str) -> Option<String> {
    if name.starts_with('*') {
        return None;
    }
    let prefix = name.split(['-', '_', '*']).next().unwrap_or_default();
    let fits = prefix.starts_with(|first: char| first.is_ascii_lowercase())
        && prefix.chars().all(|symbol| symbol.is_ascii_alphanumeric());
    (!fits).then(|| {
        format!(
            "An application name prefix must match the pattern ^[a-z][A-Za-z0-9]*$ (found '{prefix}')"
        )
    })
}

/// How many roles of the cluster are at hand in compiled form; others are compiled when used.
const MAX_COMPILED: u64 = 10_000;
