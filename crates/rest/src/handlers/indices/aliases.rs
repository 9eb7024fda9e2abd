//! `_alias`, `_aliases`. Source: Elasticsearch reference, "Aliases".

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use ringwall_api::indices::{
    AliasAction, AliasActionKind, AliasActionResult, GetIndexRequest, UpdateAliasesRequest,
    UpdateAliasesResponse, is_pattern,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesOptions, IndicesTarget};
use ringwall_base::glob::{self, Syntax};
use serde_json::{Map, Value, json};

use crate::handlers::indices::ack_timeout;
use crate::json::check_keys;
use crate::params::split_list;
use crate::request::{IndexNames, RestRequest, RestResponse};

/// `GET|HEAD [/{index}]/_alias[/{name}]`: 404 when a name is nobody's, with what there is of the others.
pub async fn get(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    // Described from the state of the node that answers.
    params.hint_flags(&["local"])?;
    params.hint_times(&["master_timeout"])?;
    let wanted = request.path_list("name");
    let all = IndicesOptions {
        expand_hidden: true,
        ..IndicesOptions::open_and_closed()
    };
    let indices = request.indices(all)?;
    let described = request
        .execute(GetIndexRequest {
            indices,
            with_defaults: false,
        })
        .await?;
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut body = Map::new();
    for index in described.indices {
        let Value::Object(aliases) = index.aliases else {
            continue;
        };
        let shown: Map<String, Value> = aliases
            .into_iter()
            .filter(|(alias, _)| is_wanted(&wanted, alias))
            .collect();
        found.extend(shown.keys().cloned());
        if wanted.is_empty() || !shown.is_empty() {
            body.insert(index.name, json!({"aliases": shown}));
        }
    }
    let mut missing = unanswered(&wanted, &found);
    missing.sort_unstable();
    let status = match missing.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::NOT_FOUND,
    };
    if request.method == Method::HEAD {
        let any = !found.is_empty() || wanted.is_empty();
        return Ok(RestResponse::exists(any && missing.is_empty()));
    }
    if !missing.is_empty() {
        let noun = if missing.len() == 1 {
            "alias"
        } else {
            "aliases"
        };
        let text = format!("{noun} [{}] missing", missing.join(","));
        body.insert("error".to_owned(), text.into());
        body.insert("status".to_owned(), 404.into());
    }
    Ok(RestResponse::json(Value::Object(body)).with_status(status))
}

/// A name, a pattern, or, after a `-`, what patterns before it are not to mean.
fn is_wanted(wanted: &[String], alias: &str) -> bool {
    let means = |pattern: &str| pattern == "_all" || glob::matches(pattern, alias, Syntax::Star);
    let mut is_wanted = wanted.is_empty();
    for pattern in wanted {
        match pattern.strip_prefix('-') {
            Some(excluded) => is_wanted &= !means(excluded),
            None => is_wanted |= means(pattern),
        }
    }
    is_wanted
}

/// Returns the names that are nobody's. One that is excluded again was not to be found, and what follows a pattern with a
/// `-` is an exclusion, no name. Source: Elasticsearch 8.19, asked.
fn unanswered<'a>(wanted: &'a [String], found: &BTreeSet<String>) -> Vec<&'a str> {
    let first_pattern = wanted.iter().position(|name| name.contains('*'));
    let exclusions = &wanted[first_pattern.unwrap_or(wanted.len())..];
    let is_excluded = |at: usize, name: &str| {
        let later = wanted.len().saturating_sub(at + 1).min(exclusions.len());
        exclusions[exclusions.len() - later..].iter().any(|other| {
            let excluded = other.strip_prefix('-');
            excluded.is_some_and(|pattern| glob::matches(pattern, name, Syntax::Star))
        })
    };
    let names = wanted.iter().enumerate().filter(|(at, name)| {
        let is_exclusion = name.starts_with('-') && first_pattern.is_some_and(|first| *at > first);
        !is_pattern(name) && !is_exclusion && !found.contains(*name) && !is_excluded(*at, name)
    });
    names.map(|(_, name)| name.as_str()).collect()
}

/// `PUT|POST /{index}/_alias/{name}`.
pub async fn put(request: RestRequest) -> ApiResult<RestResponse> {
    let body = request.body_object()?;
    let action = AliasAction {
        kind: AliasActionKind::Add,
        indices: split_list(&request.required("index")?),
        aliases: vec![request.required("name")?],
        body: Value::Object(body),
        must_exist: None,
    };
    update(&request, vec![action]).await
}

/// `DELETE /{index}/_alias/{name}`.
pub async fn delete(request: RestRequest) -> ApiResult<RestResponse> {
    let action = AliasAction {
        kind: AliasActionKind::Remove,
        indices: split_list(&request.required("index")?),
        aliases: request.path_list("name"),
        body: json!({}),
        must_exist: None,
    };
    update(&request, vec![action]).await
}

/// `POST /_aliases`: several actions at once.
pub async fn actions(request: RestRequest) -> ApiResult<RestResponse> {
    let mut body = request.body_object()?;
    check_keys("aliases", &body, &["actions"])?;
    let actions = match body.remove("actions") {
        Some(Value::Array(actions)) => actions,
        None => Vec::new(),
        Some(_) => return Err(malformed("[actions] must be an array")),
    };
    if actions.is_empty() {
        return Err(ApiError::illegal_argument("No action specified"));
    }
    let actions = actions.into_iter().map(action).collect::<ApiResult<_>>()?;
    update(&request, actions).await
}

fn action(value: Value) -> ApiResult<AliasAction> {
    let Value::Object(members) = value else {
        return Err(malformed("an action must be an object"));
    };
    let mut members = members.into_iter();
    let (Some((name, body)), None) = (members.next(), members.next()) else {
        return Err(malformed(
            "an action must have one member: [add], [remove] or [remove_index]",
        ));
    };
    let kinds = [
        AliasActionKind::Add,
        AliasActionKind::Remove,
        AliasActionKind::RemoveIndex,
    ];
    let Some(kind) = kinds.into_iter().find(|kind| kind.as_str() == name) else {
        return Err(malformed(&format!("[alias_action] unknown field [{name}]")));
    };
    let Value::Object(mut body) = body else {
        return Err(malformed(&format!("[{name}] must be an object")));
    };
    let indices = either(&mut body, "index", "indices")?;
    if indices.is_empty() {
        return Err(malformed("One of [index] or [indices] is required"));
    }
    let aliases = either(&mut body, "alias", "aliases")?;
    match kind {
        AliasActionKind::RemoveIndex if !aliases.is_empty() => {
            return Err(malformed("[remove_index] has no aliases"));
        }
        AliasActionKind::Add | AliasActionKind::Remove if aliases.is_empty() => {
            return Err(malformed("One of [alias] or [aliases] is required"));
        }
        _ => {}
    }
    let must_exist = match (kind, body.remove("must_exist")) {
        (_, None) => None,
        (AliasActionKind::Add, Some(_)) => {
            return Err(malformed("[must_exist] is unsupported for [add]"));
        }
        (_, Some(Value::Bool(flag))) => Some(flag),
        (_, Some(_)) => return Err(malformed("[must_exist] must be a boolean")),
    };
    // What is left says what the alias narrows; the others take nothing more.
    if let (false, Some(key)) = (kind == AliasActionKind::Add, body.keys().next()) {
        return Err(malformed(&format!("[{name}] unknown field [{key}]")));
    }
    // Elsewhere a number is refused, here it is text.
    for key in ["routing", "index_routing", "search_routing"] {
        if let Some(value @ Value::Number(_)) = body.get_mut(key) {
            *value = value.to_string().into();
        }
    }
    Ok(AliasAction {
        kind,
        indices,
        aliases,
        body: Value::Object(body),
        must_exist,
    })
}

/// Takes a list that has a name for one element and another for several.
fn either(body: &mut Map<String, Value>, one: &str, several: &str) -> ApiResult<Vec<String>> {
    let text = |name: &str, value: Value| match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        Value::String(_) if name == several => {
            Err(malformed(&format!("[{name}] can't contain empty string")))
        }
        Value::String(_) => Err(malformed(&format!("[{name}] can't be empty string"))),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(malformed(&format!(
            "[{name}] must be a string that is not empty"
        ))),
    };
    match (body.remove(one), body.remove(several)) {
        (Some(_), Some(_)) => Err(malformed(&format!(
            "Only one of [{one}] and [{several}] is supported"
        ))),
        (Some(value), None) => Ok(vec![text(one, value)?]),
        (None, Some(Value::Array(items))) if items.is_empty() => {
            Err(malformed(&format!("[{several}] can't be empty")))
        }
        (None, Some(Value::Array(items))) => {
            items.into_iter().map(|item| text(several, item)).collect()
        }
        (None, Some(value)) => Ok(vec![text(several, value)?]),
        (None, None) => Ok(Vec::new()),
    }
}

fn malformed(what: &str) -> ApiError {
    ApiError::new(
        ErrorCode::XContentParse,
        "[aliases] failed to parse field [actions]",
    )
    .caused_by(ApiError::new(ErrorCode::IllegalArgument, what))
}

async fn update(request: &RestRequest, mut actions: Vec<AliasAction>) -> ApiResult<RestResponse> {
    for action in &mut actions {
        resolve_names(&request.names, action)?;
    }
    let mut expressions: Vec<String> = actions.iter().flat_map(|a| a.indices.clone()).collect();
    expressions.sort();
    expressions.dedup();
    let strict = IndicesOptions {
        allow_no_indices: false,
        expand_hidden: true,
        ..IndicesOptions::open_and_closed()
    };
    let answer = request
        .execute(UpdateAliasesRequest {
            indices: IndicesTarget::new(expressions, strict),
            actions,
            timeout_ms: ack_timeout(request)?,
        })
        .await?;
    Ok(RestResponse::json(answer_json(&answer)))
}

/// Reads date math in the names of indices, and in those of aliases that are made: those that are removed are taken
/// as they stand. Source: Elasticsearch 8.19, asked.
fn resolve_names(names: &IndexNames, action: &mut AliasAction) -> ApiResult<()> {
    let made = (action.kind == AliasActionKind::Add).then_some(&mut action.aliases);
    for list in std::iter::once(&mut action.indices).chain(made) {
        for name in list {
            *name = names.resolve(std::mem::take(name))?;
        }
    }
    Ok(())
}

fn answer_json(answer: &UpdateAliasesResponse) -> Value {
    let errors = answer.results.iter().any(|result| result.missing);
    let mut body = json!({"acknowledged": answer.acknowledged, "errors": errors});
    if errors {
        body["action_results"] = answer.results.iter().map(result_json).collect();
    }
    body
}

fn result_json(result: &AliasActionResult) -> Value {
    let mut body = json!({
        "action": {
            "type": result.kind.as_str(),
            "indices": result.indices,
            "aliases": result.aliases,
        },
        "status": if result.missing { 404 } else { 200 },
    });
    if result.missing {
        let names = result.aliases.join(",");
        body["error"] = json!({
            "type": ErrorCode::AliasesNotFound.type_name(),
            "reason": format!("aliases [{names}] missing"),
            "resource.type": "aliases",
            "resource.id": names,
        });
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nobodys_are_told_unless_they_are_excluded() {
        let missing = |wanted: &str| {
            let there = ["a_1", "a_2", "b_1", "b_2"];
            let wanted = split_list(wanted);
            let found = there.iter().filter(|alias| is_wanted(&wanted, alias));
            let found: BTreeSet<String> = found.map(|alias| (*alias).to_owned()).collect();
            let missing = unanswered(&wanted, &found).join(",");
            (found.into_iter().collect::<Vec<_>>().join(","), missing)
        };
        for (wanted, found, nobodys) in [
            ("b_2,a_*,-a_1", "a_2,b_2", ""),
            ("a_1,b_1,-a_*", "b_1", ""),
            ("-a_1,a_*,-a_2", "a_1", "-a_1"),
            ("a_*,-none,b_*,-b", "a_1,a_2,b_1,b_2", ""),
            ("a_1,b_2,-a_*,-b_2", "", ""),
            ("-none,-none*,-other", "", "-none"),
            ("a_1,-a_1", "", "a_1,-a_1"),
            ("none,a_*,-a_1", "a_2", "none"),
            ("none,none2", "", "none,none2"),
            ("_all,-a_1", "a_2,b_1,b_2", "-a_1"),
        ] {
            assert_eq!(
                missing(wanted),
                (found.to_owned(), nobodys.to_owned()),
                "{wanted}"
            );
        }
    }

    #[test]
    fn every_member_of_an_action_is_read_or_refused() {
        let read = |value: Value| action(value);
        let add =
            read(json!({"add": {"indices": ["a", "b"], "alias": "x", "routing": "1"}})).unwrap();
        assert_eq!((add.indices.len(), add.aliases.len()), (2, 1));
        assert_eq!(add.body, json!({"routing": "1"}));
        let add = read(json!({"add": {"index": "a", "alias": "x", "search_routing": 5}})).unwrap();
        assert_eq!(add.body, json!({"search_routing": "5"}));
        let remove =
            read(json!({"remove": {"index": "a", "aliases": ["x", "y*"], "must_exist": true}}));
        assert_eq!(remove.unwrap().must_exist, Some(true));
        read(json!({"remove_index": {"index": "a"}})).unwrap();
        for bad in [
            json!([]),
            json!({}),
            json!({"add": {"index": "a", "alias": "x"}, "remove": {}}),
            json!({"foo": {"index": "a", "alias": "x"}}),
            json!({"add": []}),
            json!({"add": {"index": "a"}}),
            json!({"add": {"alias": "x"}}),
            json!({"add": {"index": "a", "indices": ["b"], "alias": "x"}}),
            json!({"add": {"index": "", "alias": "x"}}),
            json!({"remove": {"index": "a", "aliases": []}}),
            json!({"add": {"index": true, "alias": "x"}}),
            json!({"add": {"index": "a", "alias": "x", "must_exist": true}}),
            json!({"remove": {"index": "a", "alias": "x", "must_exist": "yes"}}),
            json!({"remove": {"index": "a", "alias": "x", "filter": {}}}),
            json!({"remove_index": {"index": "a", "alias": "x"}}),
            json!({"remove_index": {"index": "a", "foo": 1}}),
        ] {
            assert_eq!(read(bad.clone()).unwrap_err().status, 400, "{bad}");
        }
    }

    #[test]
    fn date_math_is_read_in_what_is_named_or_made() {
        let names = IndexNames {
            math: |name, now_ms| Ok(format!("{}{now_ms}", name.trim_matches(['<', '>']))),
            now_ms: 7,
        };
        for (kind, aliases) in [("add", ["a-7", "b"]), ("remove", ["<a->", "b"])] {
            let body = json!({kind: {"indices": ["<i->", "j"], "aliases": ["<a->", "b"]}});
            let mut action = action(body).unwrap();
            resolve_names(&names, &mut action).unwrap();
            assert_eq!(action.indices, ["i-7", "j"]);
            assert_eq!(action.aliases, aliases);
        }
    }

    #[test]
    fn names_patterns_and_exclusions_choose_aliases() {
        let wanted = |list: &str, alias: &str| is_wanted(&split_list(list), alias);
        assert!(wanted("", "a") && wanted("a,b", "b") && wanted("a*", "ab") && wanted("_all", "a"));
        assert!(!wanted("a,b", "c") && !wanted("a*,-ab", "ab") && wanted("a*,-ab", "ac"));
    }
}
