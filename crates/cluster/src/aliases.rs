//! Aliases: other names of indices, each with what it narrows. Source: Elasticsearch reference, "Aliases API".

use std::collections::BTreeMap;

use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::visible::shown;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ClusterState;
use crate::metadata::IndexMetadata;

/// What an alias says of one of its indices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Value", into = "Map<String, Value>")]
pub struct AliasMetadata {
    /// A query: only documents that match are seen through the alias.
    pub filter: Option<Value>,
    /// The routing of what is written or read by id through the alias.
    pub index_routing: Option<String>,
    /// The routing values, separated by commas, that searches through the alias cover.
    pub search_routing: Option<String>,
    pub is_write_index: Option<bool>,
    /// Wildcards pass the alias over.
    pub is_hidden: Option<bool>,
}

/// Aliases by name.
pub type Aliases = BTreeMap<String, AliasMetadata>;

impl AliasMetadata {
    /// Reads the body of an alias.
    ///
    /// # Errors
    /// `illegal_argument_exception` for a member that is unknown or of a wrong type: none is passed over.
    pub fn parse(name: &str, body: &Value) -> Result<Self, ApiError> {
        let Value::Object(members) = body else {
            return Err(ApiError::illegal_argument(match body {
                Value::Array(_) => format!("Unknown token [START_ARRAY] in alias [{name}]"),
                _ => "No alias is specified".to_owned(),
            }));
        };
        let mut alias = Self::default();
        for (key, value) in members {
            match (key.as_str(), value) {
                // As in Elasticsearch, an empty object is no filter.
                ("filter", Value::Object(query)) if query.is_empty() => {}
                ("filter", Value::Object(_)) => alias.filter = Some(value.clone()),
                ("routing", Value::String(text)) => {
                    alias.index_routing = Some(text.clone());
                    alias.search_routing = Some(text.clone());
                }
                ("index_routing", Value::String(text)) => alias.index_routing = Some(text.clone()),
                ("search_routing", Value::String(text)) => {
                    alias.search_routing = Some(text.clone())
                }
                ("is_write_index", Value::Bool(flag)) => alias.is_write_index = Some(*flag),
                ("is_hidden", Value::Bool(flag)) => alias.is_hidden = Some(*flag),
                (
                    "filter" | "routing" | "index_routing" | "search_routing" | "is_write_index"
                    | "is_hidden",
                    _,
                ) => {
                    return Err(ApiError::illegal_argument(format!(
                        "Unknown token [{}] for [{key}] in alias [{name}]",
                        token(value)
                    )));
                }
                _ => {
                    return Err(ApiError::illegal_argument(format!(
                        "Unknown field [{key}] in alias [{name}]"
                    )));
                }
            }
        }
        if alias
            .index_routing
            .as_ref()
            .is_some_and(|routing| routing.contains(','))
        {
            return Err(ApiError::illegal_argument(format!(
                "alias [{name}] has several index routing values associated with it"
            )));
        }
        Ok(alias)
    }
}

/// Reads the `aliases` of a request, and checks their names.
///
/// # Errors
/// 400 that says what is wrong with which.
pub fn parse_aliases(body: &Value) -> Result<Aliases, ApiError> {
    let Value::Object(aliases) = body else {
        return Err(ApiError::new(
            ErrorCode::Parse,
            "key [aliases] must be an object",
        ));
    };
    aliases
        .iter()
        .map(|(name, body)| {
            let alias = AliasMetadata::parse(name, body)?;
            validate_alias_name(name)?;
            Ok((name.clone(), alias))
        })
        .collect()
}

/// What is stored may come from a version that checked less: what it cannot have meant is left out.
impl From<Value> for AliasMetadata {
    fn from(members: Value) -> Self {
        let text = |name: &str| {
            let own = members.get(name).or_else(|| members.get("routing"));
            own.and_then(Value::as_str).map(str::to_owned)
        };
        let flag = |name: &str| members.get(name).and_then(Value::as_bool);
        Self {
            filter: members
                .get("filter")
                .filter(|filter| !filter.is_null())
                .cloned(),
            index_routing: text("index_routing"),
            search_routing: text("search_routing"),
            is_write_index: flag("is_write_index"),
            is_hidden: flag("is_hidden"),
        }
    }
}

/// As descriptions show it.
impl From<AliasMetadata> for Map<String, Value> {
    fn from(alias: AliasMetadata) -> Self {
        let members = [
            ("filter", alias.filter),
            ("index_routing", alias.index_routing.map(Value::from)),
            ("search_routing", alias.search_routing.map(Value::from)),
            ("is_write_index", alias.is_write_index.map(Value::from)),
            ("is_hidden", alias.is_hidden.map(Value::from)),
        ];
        members
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

/// Checks the name of an alias, apart from what else has it.
///
/// # Errors
/// `invalid_alias_name_exception` that says which rule is broken.
pub fn validate_alias_name(name: &str) -> Result<(), ApiError> {
    const FORBIDDEN: [char; 10] = [' ', '"', '*', ',', '/', '<', '>', '?', '\\', '|'];
    let rule = if name.trim().is_empty() {
        return Err(ApiError::illegal_argument("alias name is required"));
    } else if name.contains(FORBIDDEN) {
        let listed: Vec<String> = FORBIDDEN.iter().map(|c| format!("'{c}'")).collect();
        format!(
            "must not contain the following characters [{}]",
            listed.join(",")
        )
    } else if name.contains('#') {
        "must not contain '#'".to_owned()
    } else if name.contains(':') {
        "must not contain ':'".to_owned()
    } else if name.starts_with(['_', '-', '+']) {
        "must not start with '_', '-', or '+'".to_owned()
    } else if name == "." || name == ".." {
        "must not be '.' or '..'".to_owned()
    } else if name.len() > 255 {
        format!("index name is too long, ({} > 255)", name.len())
    } else {
        return crate::names::check_characters(name).map_err(|rule| invalid(name, &rule));
    };
    Err(invalid(name, &rule))
}

/// Returns the index that writes through an alias go to, but for one that is not looked at; `None` when it is none, or
/// not told which.
pub fn write_index<'a>(
    state: &'a ClusterState,
    alias: &str,
    but: Option<&str>,
) -> Option<&'a IndexMetadata> {
    let behind = || {
        let others = state.indices.values();
        let others = others.filter(move |index| but != Some(index.id.name.as_str()));
        others.filter_map(|index| Some((index, index.aliases.get(alias)?.is_write_index)))
    };
    let mut marked = behind().filter(|(_, writes)| *writes == Some(true));
    if let Some((index, _)) = marked.next() {
        return Some(index);
    }
    let mut behind = behind();
    match (behind.next(), behind.next()) {
        (Some((only, None)), None) => Some(only),
        _ => None,
    }
}

/// Checks that the aliases of a new index fit what the cluster has.
///
/// # Errors
/// An alias has the name of an index, or would have two write indices, or be hidden here and not there.
pub(crate) fn check_new_aliases(
    state: &ClusterState,
    index: &str,
    aliases: &Aliases,
) -> Result<(), ApiError> {
    for (name, alias) in aliases {
        if name == index {
            return Err(ApiError::illegal_argument(format!(
                "alias name [{name}] self-conflicts with index name"
            )));
        }
        if state.indices.contains_key(name) {
            let rule = "an index or data stream exists with the same name as the alias";
            return Err(invalid(name, rule));
        }
        let elsewhere = || {
            state.indices.values().filter_map(|other| {
                let alias = other.aliases.get(name)?;
                Some((other.id.name.as_str(), alias))
            })
        };
        if alias.is_write_index == Some(true)
            && let Some((other, _)) = elsewhere().find(|(_, a)| a.is_write_index == Some(true))
        {
            return Err(ApiError::new(
                ErrorCode::IllegalState,
                format!("alias [{name}] has more than one write index [{other},{index}]"),
            ));
        }
        let hidden = alias.is_hidden == Some(true);
        let others: Vec<&str> = elsewhere()
            .filter(|(_, other)| (other.is_hidden == Some(true)) != hidden)
            .map(|(other, _)| other)
            .collect();
        if !others.is_empty() {
            let (on, off) = match hidden {
                true => (index.to_owned(), others.join(",")),
                false => (others.join(","), index.to_owned()),
            };
            return Err(ApiError::new(
                ErrorCode::IllegalState,
                format!(
                    "alias [{name}] has is_hidden set to true on indices [{on}] but does not have \
                     is_hidden set to true on indices [{off}]; alias must have the same is_hidden \
                     setting on all indices"
                ),
            ));
        }
    }
    Ok(())
}

/// Checks an alias against everything that has its name now.
///
/// # Errors
/// It has the name of an index, several write indices, or is hidden on some of its indices only.
pub(crate) fn check_alias(state: &ClusterState, name: &str) -> Result<(), ApiError> {
    if state.indices.contains_key(name) {
        let rule = "an index or data stream exists with the same name as the alias";
        return Err(invalid(name, rule));
    }
    let having = |test: fn(&AliasMetadata) -> bool| -> Vec<&str> {
        let indices = state.indices.values();
        let having = indices.filter(|index| index.aliases.get(name).is_some_and(test));
        having.map(|index| index.id.name.as_str()).collect()
    };
    let write = having(|alias| alias.is_write_index == Some(true));
    if write.len() > 1 {
        return Err(ApiError::new(
            ErrorCode::IllegalState,
            format!(
                "alias [{name}] has more than one write index [{}]",
                write.join(",")
            ),
        ));
    }
    let hidden = having(|alias| alias.is_hidden == Some(true));
    let shown = having(|alias| alias.is_hidden != Some(true));
    if hidden.is_empty() || shown.is_empty() {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::IllegalState,
        format!(
            "alias [{name}] has is_hidden set to true on indices [{}] but does not have is_hidden set to true on \
             indices [{}]; alias must have the same is_hidden setting on all indices",
            hidden.join(","),
            shown.join(",")
        ),
    ))
}

fn invalid(name: &str, rule: &str) -> ApiError {
    ApiError::new(
        ErrorCode::InvalidAliasName,
        format!("Invalid alias name [{}]: {rule}", shown(name)),
    )
}

fn token(value: &Value) -> &'static str {
    match value {
        Value::Null => "VALUE_NULL",
        Value::Bool(_) => "VALUE_BOOLEAN",
        Value::Number(_) => "VALUE_NUMBER",
        Value::String(_) => "VALUE_STRING",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_member_is_read_or_refused() {
        let body = json!({"filter": {"term": {"k": "x"}}, "routing": "a", "search_routing": "a,b",
            "is_write_index": true, "is_hidden": false});
        let alias = AliasMetadata::parse("a", &body).unwrap();
        let shown = json!({"filter": {"term": {"k": "x"}}, "index_routing": "a", "search_routing": "a,b",
            "is_write_index": true, "is_hidden": false});
        assert_eq!(serde_json::to_value(&alias).unwrap(), shown);
        assert_eq!(
            serde_json::from_value::<AliasMetadata>(shown).unwrap(),
            alias
        );
        let empty = AliasMetadata::parse("a", &json!({"filter": {}})).unwrap();
        assert_eq!(empty, AliasMetadata::default());
        for (bad, part) in [
            (json!(null), "No alias is specified"),
            (json!([]), "START_ARRAY"),
            (
                json!({"nonsense": 1}),
                "Unknown field [nonsense] in alias [a]",
            ),
            (json!({"must_exist": true}), "Unknown field [must_exist]"),
            (json!({"filter": null}), "VALUE_NULL"),
            (json!({"filter": "{\"match_all\":{}}"}), "VALUE_STRING"),
            (json!({"filter": []}), "START_ARRAY"),
            (json!({"routing": 1}), "VALUE_NUMBER"),
            (json!({"is_write_index": "true"}), "VALUE_STRING"),
            (
                json!({"index_routing": "1,2"}),
                "several index routing values",
            ),
            (json!({"routing": "1,2"}), "several index routing values"),
        ] {
            let error = AliasMetadata::parse("a", &bad).unwrap_err();
            assert!(
                error.status == 400 && error.reason.contains(part),
                "{bad}: {error}"
            );
        }
        for bad in [json!([]), json!("x"), json!(null)] {
            assert_eq!(parse_aliases(&bad).unwrap_err().code, ErrorCode::Parse);
        }
    }

    #[test]
    fn names_follow_the_rules() {
        for good in ["a", "UPPER", ".kibana", "日誌", "a-b_c+d"] {
            validate_alias_name(good).unwrap();
        }
        for bad in [
            "",
            " ",
            "_all",
            "*",
            "a*",
            "a,b",
            "a b",
            "_x",
            "-x",
            "+x",
            ".",
            "..",
            "a#b",
            "a:b",
            "a/b",
            "a\\b",
            "a?b",
            "a\"b",
            "a<b",
            "a>b",
            "a|b",
            "a\u{1}b",
            "a\nb",
            "a\u{202e}b",
            "\u{7f}",
            &"a".repeat(256),
        ] {
            assert!(validate_alias_name(bad).is_err(), "{bad:?}");
        }
    }
}
