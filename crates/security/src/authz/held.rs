//! Which privileges a caller holds, for `_has_privileges`. Source: Elasticsearch reference, "Has privileges API".

use std::collections::BTreeMap;

use ringwall_api::ApiResult;
use ringwall_api::roles::{
    HasPrivilegesRequest, HasPrivilegesResponse, Held, IndexPrivilegesCheck,
};

use super::inclusion::nothing_is;
use super::pattern::Pattern;
use super::privilege::{Actions, cluster_privilege, index_privilege};
use super::restricted::is_restricted;
use super::role::{EffectiveRole, IndexGroup};

/// Returns for each privilege that is asked about whether the role grants all of it.
///
/// # Errors
/// 400 for a privilege or a pattern that does not exist.
pub fn held(
    role: &EffectiveRole,
    username: &str,
    asked: &HasPrivilegesRequest,
) -> ApiResult<HasPrivilegesResponse> {
    let mut response = HasPrivilegesResponse {
        username: username.to_owned(),
        ..HasPrivilegesResponse::default()
    };
    for name in &asked.cluster {
        let wanted = cluster_privilege(name)?;
        let is_held = role.grants_cluster(&wanted);
        response.cluster.insert(name.clone(), is_held);
    }
    for check in &asked.index {
        on_indices(role, check, &mut response.index)?;
    }
    for check in &asked.application {
        let by_resource = response
            .application
            .entry(check.application.clone())
            .or_default();
        for resource in &check.resources {
            let held = by_resource.entry(resource.clone()).or_default();
            for privilege in &check.privileges {
                let is_held = role.grants_application(&check.application, privilege, resource)?;
                held.insert(privilege.clone(), is_held);
            }
        }
    }
    Ok(response)
}

fn on_indices(
    role: &EffectiveRole,
    check: &IndexPrivilegesCheck,
    answers: &mut BTreeMap<String, Held>,
) -> ApiResult<()> {
    let wanted: Vec<(&String, Actions)> = check
        .privileges
        .iter()
        .map(|name| Ok((name, index_privilege(name)?)))
        .collect::<ApiResult<_>>()?;
    for name in &check.names {
        let names = Names::parse(name, check.allow_restricted_indices)?;
        let held = answers.entry(name.clone()).or_default();
        for (privilege, actions) in &wanted {
            let is_held = role.grants_on(&names, actions);
            // Asked for twice, with and without restricted indices: held if both are.
            let before = held.insert((*privilege).clone(), is_held);
            if before == Some(false) {
                held.insert((*privilege).clone(), false);
            }
        }
    }
    Ok(())
}

/// The indices that are asked about.
pub(super) struct Names {
    pattern: Pattern,
    /// The one name that it is, if it is one.
    literal: Option<String>,
    restricted: bool,
}

impl Names {
    fn parse(text: &str, restricted: bool) -> ApiResult<Self> {
        let is_literal = !text.contains(['*', '?', '\\']) && !text.starts_with('/');
        Ok(Self {
            pattern: Pattern::parse(text)?,
            literal: is_literal.then(|| text.to_owned()),
            restricted,
        })
    }

    /// Returns whether the groups together cover the names. Restricted ones count only where they are asked for, or
    /// named.
    pub(super) fn are_within(&self, groups: &[&IndexGroup]) -> bool {
        if let Some(name) = &self.literal {
            let restricted = is_restricted(name);
            return groups.iter().any(|group| group.covers(name, restricted));
        }
        let patterns: Vec<&Pattern> = groups
            .iter()
            .filter(|group| !self.restricted || group.allow_restricted)
            .flat_map(|group| &group.patterns)
            .collect();
        is_within(&self.pattern, &patterns)
    }
}

/// Returns whether the patterns together match all that one matches.
pub(super) fn is_within(inner: &Pattern, outer: &[&Pattern]) -> bool {
    if outer.iter().any(|pattern| matches!(pattern, Pattern::All)) {
        return true;
    }
    if outer.is_empty() {
        return false;
    }
    let mut all = vec![inner];
    all.extend(outer);
    nothing_is(&all, |matched| matched[0] && !matched[1..].contains(&true))
}
