//! Which privileges a caller holds, for `_has_privileges`. Source: Elasticsearch reference, "Has privileges API".

use std::collections::BTreeMap;
use std::sync::Arc;

use ringwall_api::security::{
    HasPrivilegesRequest, HasPrivilegesResponse, Held, IndexPrivilegesCheck,
};
use ringwall_api::security::{OfApplication, StoredPrivilege};
use ringwall_api::{ApiError, ApiResult};

use super::application::is_privilege_name;
use super::inclusion::{Effort, nothing_is};
use super::pattern::{Pattern, wildcard_matches};
use super::privilege::{Actions, cluster_privilege, index_privilege};
use super::restricted::is_restricted;
use super::role::{EffectiveRole, IndexGroup, WantedOfApplication};

/// What one request may ask.
const MAX_CHECKS: usize = 20_000;
const MAX_NAME_BYTES: usize = 1024;

/// Refuses a question that would take too long to answer.
///
/// # Errors
/// 400 with the number of checks that are allowed.
fn check_size(asked: &HasPrivilegesRequest) -> ApiResult<()> {
    let on_indices = asked.index.iter();
    let on_indices =
        on_indices.map(|check| check.names.len().saturating_mul(check.privileges.len()));
    let within = asked.application.iter();
    let within = within.map(|check| check.resources.len().saturating_mul(check.privileges.len()));
    let total = on_indices
        .chain(within)
        .fold(asked.cluster.len(), usize::saturating_add);
    let of_index = asked
        .index
        .iter()
        .flat_map(|check| [&check.names, &check.privileges]);
    let of_application = asked.application.iter();
    let of_application = of_application.flat_map(|check| [&check.privileges, &check.resources]);
    let lists = of_index.chain(of_application).chain([&asked.cluster]);
    if let Some(long) = lists.flatten().find(|name| name.len() > MAX_NAME_BYTES) {
        return Err(ApiError::illegal_argument(format!(
            "a name of [{}] bytes was asked about; none has more than [{MAX_NAME_BYTES}]",
            long.len()
        )));
    }
    match total <= MAX_CHECKS {
        true => Ok(()),
        false => Err(ApiError::illegal_argument(format!(
            "[{total}] checks of privileges were asked for, of which a request may have [{MAX_CHECKS}]; ask for fewer names \
             or privileges"
        ))),
    }
}

/// Returns that all is held, where nothing is checked.
pub fn all(username: &str, asked: &HasPrivilegesRequest) -> HasPrivilegesResponse {
    let yes = |names: &[String]| {
        names
            .iter()
            .map(|name| (name.clone(), true))
            .collect::<Held>()
    };
    let mut response = HasPrivilegesResponse {
        username: username.to_owned(),
        cluster: yes(&asked.cluster),
        ..HasPrivilegesResponse::default()
    };
    for check in &asked.index {
        for name in &check.names {
            let held = response.index.entry(name.clone()).or_default();
            held.extend(yes(&check.privileges));
        }
    }
    for check in &asked.application {
        let by_resource = response
            .application
            .entry(check.application.clone())
            .or_default();
        for resource in &check.resources {
            let held = by_resource.entry(resource.clone()).or_default();
            held.extend(yes(&check.privileges));
        }
    }
    response
}

/// Returns for each privilege that is asked about whether the role grants all of it.
///
/// # Errors
/// 400 for a privilege or a pattern that does not exist, and for more than can be looked at: as many checks, or
/// patterns so complicated, that one request would keep a thread busy.
pub fn held(
    role: &EffectiveRole,
    username: &str,
    asked: &HasPrivilegesRequest,
    stored: &Stored<'_>,
) -> ApiResult<HasPrivilegesResponse> {
    check_size(asked)?;
    let effort = Effort::default();
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
        on_indices(role, check, &mut response.index, &effort)?;
        effort.check()?;
    }
    for check in &asked.application {
        let by_resource = response
            .application
            .entry(check.application.clone())
            .or_default();
        let parsed = |texts: &[String]| -> ApiResult<Vec<Pattern>> {
            let patterns = texts.iter().map(|text| Ok(Pattern::parse(text)?));
            patterns.collect()
        };
        let application = Pattern::parse(&check.application)?;
        let known = Known::of(&check.application, stored)?;
        let privileges = check.privileges.iter().map(|name| known.meant_by(name));
        let privileges: Vec<Vec<Pattern>> = privileges.collect::<ApiResult<_>>()?;
        for (resource, pattern) in check.resources.iter().zip(parsed(&check.resources)?) {
            let held = by_resource.entry(resource.clone()).or_default();
            for (name, privileges) in check.privileges.iter().zip(&privileges) {
                let wanted = WantedOfApplication {
                    application: &application,
                    privileges,
                    resource: &pattern,
                };
                let is_held = role.grants_application(&wanted, &known, &effort);
                effort.check()?;
                held.insert(name.clone(), is_held);
            }
        }
    }
    Ok(response)
}

/// Returns what is stored of the privileges of an application.
pub(super) type Stored<'a> = dyn Fn(&str) -> Option<Arc<OfApplication<StoredPrivilege>>> + 'a;

/// The actions of the privileges of one application, by name.
pub(super) struct Known(BTreeMap<String, Vec<Pattern>>);

impl Known {
    fn of(application: &str, stored: &Stored<'_>) -> ApiResult<Self> {
        let mut known = BTreeMap::new();
        for (name, privilege) in stored(application).iter().flat_map(|stored| stored.iter()) {
            let actions = privilege.actions.iter();
            let actions = actions.map(|action| Ok(Pattern::parse(action)?));
            known.insert(name.clone(), actions.collect::<ApiResult<_>>()?);
        }
        Ok(Self(known))
    }

    /// Returns the actions of a privilege, if its name is one and is known.
    pub(super) fn actions(&self, name: &str) -> &[Pattern] {
        let found = self.0.get(name).filter(|_| is_privilege_name(name));
        found.map_or(&[], Vec::as_slice)
    }

    /// Returns what must be granted for a privilege or a pattern of actions: itself, and its actions.
    fn meant_by(&self, name: &str) -> ApiResult<Vec<Pattern>> {
        let mut meant = vec![Pattern::parse(name)?];
        meant.extend(self.actions(name).iter().cloned());
        Ok(meant)
    }
}

fn on_indices(
    role: &EffectiveRole,
    check: &IndexPrivilegesCheck,
    answers: &mut BTreeMap<String, Held>,
    effort: &Effort,
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
            let is_held = role.grants_on(&names, actions, effort);
            effort.check()?;
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
    pub(super) fn are_within(&self, groups: &[&IndexGroup], effort: &Effort) -> bool {
        if let Some(name) = &self.literal {
            // No index has no name.
            if name.is_empty() {
                return false;
            }
            let restricted = is_restricted(name);
            return groups.iter().any(|group| group.covers(name, restricted));
        }
        let patterns: Vec<&Pattern> = groups
            .iter()
            .filter(|group| !self.restricted || group.allow_restricted)
            .flat_map(|group| &group.patterns)
            .collect();
        is_within(&self.pattern, &patterns, effort)
    }
}

/// Returns whether one pattern takes in another by its text alone: what stands for anything in the inner one can only
/// be met by a star of the outer one. `false` tells nothing.
fn takes_in(outer: &Pattern, inner: &Pattern) -> bool {
    match (outer, inner) {
        (Pattern::Wildcard(outer), Pattern::Wildcard(inner)) => {
            outer == inner
                || (!outer.contains(['?', '\\'])
                    && !inner.contains('\\')
                    && wildcard_matches(outer, inner))
        }
        _ => false,
    }
}

/// Returns whether the patterns together match all that one matches.
pub(super) fn is_within(inner: &Pattern, outer: &[&Pattern], effort: &Effort) -> bool {
    if outer.iter().any(|pattern| matches!(pattern, Pattern::All)) {
        return true;
    }
    if outer.is_empty() {
        return false;
    }
    // The usual questions need no automata.
    if let Some(text) = inner.as_text() {
        return outer.iter().any(|pattern| pattern.matches(text));
    }
    if outer.iter().any(|pattern| takes_in(pattern, inner)) {
        return true;
    }
    let mut all = vec![inner];
    all.extend(outer);
    nothing_is(&all, effort, |matched| {
        matched[0] && !matched[1..].contains(&true)
    })
}
