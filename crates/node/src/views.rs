//! What a request sees of a shard, by the names that led it there: how aliases and roles narrow.
//!
//! The node that holds the shard decides, by its own cluster state and roles; the coordinating node only tells the
//! names, each of which the caller must have the right to. Of several names each shows what its alias and the caller's
//! roles on that name show together.

use std::collections::BTreeSet;

use ringwall_api::{ApiError, ApiResult, Authentication, Through};
use ringwall_base::ShardId;
use ringwall_cluster::{AliasMetadata, ClusterState, IndexMetadata};
use ringwall_index::{FieldMask, View};
use ringwall_search::filter::{any_of, any_of_roles};
use ringwall_security::Authorizer;
use ringwall_security::authz::Sight;
use serde_json::{Value, json};

use crate::routing::shard_of;

/// Who reads, and by the right to which action.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    pub authorizer: &'a Authorizer,
    pub caller: &'a Authentication,
    pub action: &'static str,
}

impl Reading<'_> {
    fn sight(&self, name: &str) -> ApiResult<Sight> {
        self.authorizer.sight(self.caller, self.action, name)
    }
}

/// What is said of the names that a shard was reached by: nothing may change of it while it is read on.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown(Vec<Way>);

/// One name that led to an index.
#[derive(Debug, Clone, PartialEq)]
struct Way {
    /// `None` for the index's own name.
    alias: Option<AliasMetadata>,
    sight: Sight,
}

/// Returns what a search sees of a shard: what any of the aliases that cover it shows.
///
/// # Errors
/// An alias is no more, or its filter cannot be used.
pub fn for_search(
    state: &ClusterState,
    shard: &ShardId,
    through: &Through,
    reading: Reading<'_>,
    now_ms: i64,
) -> ApiResult<View> {
    let index = index_of(state, shard)?;
    let mut ways = ways(index, through, reading)?;
    let covers = |alias: &AliasMetadata| shards_of(index, alias, None).contains(&shard.shard);
    ways.retain(|way| way.alias.as_ref().is_none_or(covers));
    view(index, ways, now_ms)
}

/// Returns what is said of the names that a shard was reached by.
///
/// # Errors
/// The index or an alias is no more.
pub fn shown(
    state: &ClusterState,
    shard: &ShardId,
    through: &Through,
    reading: Reading<'_>,
) -> ApiResult<Shown> {
    ways(index_of(state, shard)?, through, reading).map(Shown)
}

/// Returns which fields are seen of an index that was reached through these names.
///
/// # Errors
/// A query template of a role does not fit what is known of the caller.
pub fn fields_shown(index: &str, through: &Through, reading: Reading<'_>) -> ApiResult<FieldMask> {
    let names = through.names(index);
    let sights = names.iter().map(|name| reading.sight(name));
    let sights = sights.collect::<ApiResult<Vec<Sight>>>()?;
    Ok(mask_of(sights))
}

/// Returns whether documents or fields of an index are hidden from the caller by its roles.
///
/// # Errors
/// As [`fields_shown`].
pub fn is_narrowed(index: &str, through: &Through, reading: Reading<'_>) -> ApiResult<bool> {
    for name in through.names(index) {
        if !reading.sight(&name)?.is_whole() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A field is seen that any of the names shows.
fn mask_of(sights: Vec<Sight>) -> FieldMask {
    match sights.iter().any(Sight::has_all_fields) {
        true => FieldMask::default(),
        false => FieldMask::new(move |path| sights.iter().any(|sight| sight.shows(path))),
    }
}

/// Returns what is seen of the documents of a shard by id.
///
/// # Errors
/// As [`for_search`].
pub fn for_documents(
    state: &ClusterState,
    shard: &ShardId,
    through: &Through,
    reading: Reading<'_>,
    now_ms: i64,
) -> ApiResult<View> {
    let index = index_of(state, shard)?;
    view(index, ways(index, through, reading)?, now_ms)
}

/// Returns the shards that a search covers: those of its routing values within those of the aliases.
///
/// # Errors
/// An alias is no more.
pub fn searched_shards(
    index: &IndexMetadata,
    through: &Through,
    routing: Option<&str>,
) -> ApiResult<BTreeSet<u32>> {
    Ok(match aliases_of(index, through)? {
        None => shards_of(index, &AliasMetadata::default(), routing),
        Some(aliases) => aliases
            .into_iter()
            .flat_map(|alias| shards_of(index, alias, routing))
            .collect(),
    })
}

/// Returns the routing of a document that is written or read by id through a name.
///
/// # Errors
/// `illegal_argument_exception` when the alias says another than the request.
pub fn document_routing(
    index: &IndexMetadata,
    name: &str,
    given: Option<String>,
) -> ApiResult<Option<String>> {
    let alias = index.aliases.get(name);
    let Some(fixed) = alias.and_then(|alias| alias.index_routing.clone()) else {
        return Ok(given);
    };
    match given {
        Some(given) if given != fixed => Err(ApiError::illegal_argument(format!(
            "Alias [{name}] has index routing associated with it [{fixed}], and was provided with routing \
             value [{given}], rejecting operation"
        ))),
        _ => Ok(Some(fixed)),
    }
}

fn index_of<'a>(state: &'a ClusterState, shard: &ShardId) -> ApiResult<&'a IndexMetadata> {
    let index = state.index(&shard.index);
    index.ok_or_else(|| ApiError::index_not_found(&shard.index.name))
}

/// Returns what is said of the aliases; `None` for an index that was reached by its own name.
fn aliases_of<'a>(
    index: &'a IndexMetadata,
    through: &Through,
) -> ApiResult<Option<Vec<&'a AliasMetadata>>> {
    let Through::Aliases(names) = through else {
        return Ok(None);
    };
    let found = names.iter().map(|name| {
        let alias = index.aliases.get(name);
        alias.ok_or_else(|| ApiError::index_not_found(name))
    });
    found.collect::<ApiResult<_>>().map(Some)
}

fn ways(index: &IndexMetadata, through: &Through, reading: Reading<'_>) -> ApiResult<Vec<Way>> {
    let Some(aliases) = aliases_of(index, through)? else {
        let sight = reading.sight(&index.id.name)?;
        return Ok(vec![Way { alias: None, sight }]);
    };
    let Through::Aliases(names) = through else {
        return Ok(Vec::new());
    };
    let ways = names.iter().zip(aliases).map(|(name, alias)| {
        let (alias, sight) = (Some(alias.clone()), reading.sight(name)?);
        Ok(Way { alias, sight })
    });
    ways.collect()
}

impl Way {
    /// Returns what a document must match all of to be seen this way.
    fn documents(&self) -> Vec<Value> {
        let filter = self.alias.iter().filter_map(|alias| alias.filter.clone());
        let by_roles = self.sight.documents().iter();
        let by_roles =
            by_roles.map(|any| json!({"bool": {"should": any, "minimum_should_match": 1}}));
        filter.chain(by_roles).collect()
    }
}

fn view(index: &IndexMetadata, ways: Vec<Way>, now_ms: i64) -> ApiResult<View> {
    let documents: Vec<Vec<Value>> = ways.iter().map(Way::documents).collect();
    let by_roles = ways.iter().any(|way| !way.sight.documents().is_empty());
    let mut view = View::whole();
    if !documents.iter().any(Vec::is_empty) {
        // Of no way at all: nothing is seen.
        let each = documents.into_iter().map(|mut all| match all.len() {
            1 => all.remove(0),
            _ => json!({"bool": {"filter": all}}),
        });
        let each: Vec<Value> = each.collect();
        let each: Vec<&Value> = each.iter().collect();
        let name = &index.id.name;
        view = view.filtered(match by_roles {
            true => any_of_roles(&each, name, now_ms)?,
            false => any_of(&each, name, now_ms)?,
        });
    }
    let sights: Vec<Sight> = ways.into_iter().map(|way| way.sight).collect();
    Ok(match sights.is_empty() {
        true => view,
        false => view.masked(mask_of(sights)),
    })
}

fn shards_of(index: &IndexMetadata, alias: &AliasMetadata, given: Option<&str>) -> BTreeSet<u32> {
    let of_values =
        |values: &str| -> BTreeSet<String> { values.split(',').map(str::to_owned).collect() };
    let values = match (
        alias.search_routing.as_deref().map(of_values),
        given.map(of_values),
    ) {
        (None, None) => return (0..index.settings.number_of_shards()).collect(),
        (Some(values), None) | (None, Some(values)) => values,
        (Some(fixed), Some(given)) => fixed.intersection(&given).cloned().collect(),
    };
    let shard = |value: &String| shard_of(index, "", Some(value)).shard;
    values.iter().map(shard).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ringwall_cluster::aliases::parse_aliases;
    use ringwall_cluster::index_settings::IndexSettings;
    use ringwall_cluster::{Change, Command};
    use serde_json::json;

    use super::*;
    use crate::cluster_service::AppliedState;
    use crate::security_store::ClusterSecurityStore;

    fn state() -> ClusterState {
        let aliases = json!({"a": {"routing": "a"}, "b": {"search_routing": "b,c", "index_routing": "b"},
            "f": {"filter": {"term": {"k": "x"}}}, "plain": {}});
        let mut state = ClusterState::default();
        let change = Change::CreateIndex {
            name: "i".to_owned(),
            settings: IndexSettings::parse(&json!({"number_of_shards": 5})).unwrap(),
            mapping: Value::Null,
            aliases: parse_aliases(&aliases).unwrap(),
        };
        let command = Command {
            rules: ringwall_cluster::command::RULES,
            now_ms: 0,
            seed: "s".to_owned(),
            change,
        };
        state.apply(command).result.unwrap();
        state
    }

    fn through(names: &[&str]) -> Through {
        Through::Aliases(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn routing_of_aliases_narrows_and_never_widens() {
        let state = state();
        let index = &state.indices["i"];
        let of = |value: &str| shard_of(index, "", Some(value)).shard;
        let all: BTreeSet<u32> = (0..5).collect();
        let searched =
            |names: &[&str], routing| searched_shards(index, &through(names), routing).unwrap();
        assert_eq!(searched(&["a"], None), BTreeSet::from([of("a")]));
        assert_eq!(searched(&["b"], None), BTreeSet::from([of("b"), of("c")]));
        assert_eq!(searched(&["b"], Some("a,b")), BTreeSet::from([of("b")]));
        assert_eq!(searched(&["a"], Some("b")), BTreeSet::new());
        assert_eq!(searched(&["a", "plain"], None), all);
        assert_eq!(searched(&["f"], Some("a")), BTreeSet::from([of("a")]));
        let itself = searched_shards(index, &Through::Itself, Some("a,b")).unwrap();
        assert_eq!(itself, BTreeSet::from([of("a"), of("b")]));
        assert!(searched_shards(index, &through(&["gone"]), None).is_err());
    }

    #[test]
    fn documents_go_where_the_alias_says() {
        let state = state();
        let index = &state.indices["i"];
        let routing = |name: &str, given: Option<&str>| {
            document_routing(index, name, given.map(str::to_owned))
        };
        assert_eq!(routing("i", None).unwrap(), None);
        assert_eq!(routing("i", Some("z")).unwrap().as_deref(), Some("z"));
        assert_eq!(routing("a", None).unwrap().as_deref(), Some("a"));
        assert_eq!(routing("b", Some("b")).unwrap().as_deref(), Some("b"));
        assert_eq!(routing("f", Some("z")).unwrap().as_deref(), Some("z"));
        assert_eq!(
            routing("a", Some("z")).unwrap_err().reason,
            "Alias [a] has index routing associated with it [a], and was provided with routing value [z], \
             rejecting operation"
        );
    }

    #[test]
    fn the_widest_alias_that_covers_a_shard_decides() {
        let state = state();
        let index = &state.indices["i"];
        let sees_all = |names: &[&str], shard: u32| {
            let shard = ShardId {
                index: index.id.clone(),
                shard,
            };
            let authorizer = Authorizer::disabled(Arc::new(ClusterSecurityStore::new(
                AppliedState::new("c".to_owned()),
            )));
            let caller = ringwall_security::system::identity();
            let reading = Reading {
                authorizer: &authorizer,
                caller: &caller,
                action: "indices:data/read/search",
            };
            for_search(&state, &shard, &through(names), reading, 0)
                .unwrap()
                .has_all_documents()
        };
        let routed = shard_of(index, "", Some("a")).shard;
        let other = (0..5).find(|shard| *shard != routed).unwrap();
        assert!(!sees_all(&["f"], routed));
        assert!(sees_all(&["f", "plain"], other));
        // Where the alias with a routing does not reach, only the filter lets through.
        assert!(sees_all(&["f", "a"], routed) && !sees_all(&["f", "a"], other));
        assert!(!sees_all(&["a"], other) && !sees_all(&[], other));
    }
}
