//! What a request sees of a shard, by the names that led it there: how aliases narrow.
//!
//! The node that holds the shard decides, by its own cluster state; the coordinating node only tells the
//! names, each of which the caller must have the right to.

use std::collections::BTreeSet;

use ringwall_api::{ApiError, ApiResult, Through};
use ringwall_base::ShardId;
use ringwall_cluster::{AliasMetadata, ClusterState, IndexMetadata};
use ringwall_index::View;
use ringwall_search::filter::any_of;
use serde_json::Value;

use crate::routing::shard_of;

/// Returns what a search sees of a shard: what any of the aliases that cover it shows.
///
/// # Errors
/// An alias is no more, or its filter cannot be used.
pub fn for_search(
    state: &ClusterState,
    shard: &ShardId,
    through: &Through,
    now_ms: i64,
) -> ApiResult<View> {
    let index = index_of(state, shard)?;
    let aliases = aliases_of(index, through)?;
    let covers = |alias: &AliasMetadata| shards_of(index, alias, None).contains(&shard.shard);
    let covering =
        aliases.map(|aliases| aliases.into_iter().filter(|alias| covers(alias)).collect());
    view(index, covering, now_ms)
}

/// Returns what is said of the aliases that a shard was reached by; nothing of an index that was reached by its own
/// name.
///
/// # Errors
/// The index or an alias is no more.
pub fn aliases_shown(
    state: &ClusterState,
    shard: &ShardId,
    through: &Through,
) -> ApiResult<Vec<AliasMetadata>> {
    let aliases = aliases_of(index_of(state, shard)?, through)?;
    Ok(aliases.into_iter().flatten().cloned().collect())
}

/// Returns what is seen of the documents of a shard by id.
///
/// # Errors
/// As [`for_search`].
pub fn for_documents(
    state: &ClusterState,
    shard: &ShardId,
    through: &Through,
    now_ms: i64,
) -> ApiResult<View> {
    let index = index_of(state, shard)?;
    view(index, aliases_of(index, through)?, now_ms)
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

fn view(
    index: &IndexMetadata,
    aliases: Option<Vec<&AliasMetadata>>,
    now_ms: i64,
) -> ApiResult<View> {
    let Some(aliases) = aliases else {
        return Ok(View::whole());
    };
    let mut filters: Vec<&Value> = Vec::with_capacity(aliases.len());
    for alias in aliases {
        match &alias.filter {
            Some(filter) => filters.push(filter),
            None => return Ok(View::whole()),
        }
    }
    // Of no alias at all: nothing is seen.
    Ok(View::whole().filtered(any_of(&filters, &index.id.name, now_ms)?))
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
    use ringwall_cluster::aliases::parse_aliases;
    use ringwall_cluster::index_settings::IndexSettings;
    use ringwall_cluster::{Change, Command};
    use serde_json::json;

    use super::*;

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
            for_search(&state, &shard, &through(names), 0)
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
