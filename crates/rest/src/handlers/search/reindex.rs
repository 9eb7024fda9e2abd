//! `_reindex`. Source: Elasticsearch reference, "Reindex".

use ringwall_api::document::{OpType, VersionType};
use ringwall_api::search::{Destination, DestinationRouting, ReindexRequest};
use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesOptions, IndicesTarget};
use serde_json::{Map, Value};

use crate::handlers::search::by_query::{answer, options, read_part, refuse_script};
use crate::json;
use crate::params::parse_version_type;
use crate::request::{RestRequest, RestResponse};

/// `POST /_reindex`.
pub async fn reindex(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let mut body = request.required_object("request body")?;
    refuse_script(&body)?;
    body.remove("script");
    let mut source = object(&mut body, "source")?;
    let mut dest = object(&mut body, "dest")?;
    let (conflicts, most) = (body.remove("conflicts"), body.remove("max_docs"));
    refuse_others("reindex", &body)?;
    if source.contains_key("remote") {
        return Err(ApiError::illegal_argument(
            "[remote] is not supported: documents are copied within the cluster only",
        ));
    }
    let names = names(source.remove("index"))?;
    let to = text(&mut dest, "index")?.unwrap_or_default();
    let mut problems = Vec::new();
    if names.is_empty() {
        problems.push("use _all if you really want to copy from all existing indexes");
    }
    if to.is_empty() {
        problems.push("index must be specified");
    }
    if source.contains_key("from") {
        problems.push("using [from] is not allowed in a scroll context");
        problems.push("from is not supported in this context");
    }
    if !problems.is_empty() {
        return Err(ApiError::validation(&problems));
    }
    if let Some(key) = source.keys().find(|key| !SEARCHES.contains(&key.as_str())) {
        return Err(ApiError::illegal_argument(format!(
            "[{key}] is not supported in the [source] of a reindex"
        )));
    }
    let dest = Destination {
        index: request.names.resolve(to)?,
        require_alias: params.flag("require_alias", false)?,
        ..destination(dest)?
    };
    let names = names.into_iter().map(|name| request.names.resolve(name));
    let names = names.collect::<ApiResult<Vec<_>>>()?;
    let options = options(params, conflicts.as_ref(), most.as_ref(), &source)?;
    let reindex = ReindexRequest {
        source: IndicesTarget::new(names, IndicesOptions::default()),
        read: read_part(params, source)?,
        dest,
        options,
    };
    Ok(answer(&request.execute(reindex).await?))
}

/// What a search takes that selects and orders documents.
const SEARCHES: &[&str] = &[
    "_source",
    "min_score",
    "post_filter",
    "query",
    "size",
    "slice",
    "sort",
    "terminate_after",
    "timeout",
];

fn destination(mut dest: Map<String, Value>) -> ApiResult<Destination> {
    let op = match text(&mut dest, "op_type")?.as_deref() {
        None | Some("index") => OpType::Index,
        Some("create") => OpType::Create,
        Some(other) => {
            let reason = format!("opType must be 'create' or 'index', found: [{other}]");
            return Err(in_dest("op_type", ApiError::illegal_argument(reason)));
        }
    };
    let version_type = text(&mut dest, "version_type")?;
    let version_type = version_type.map_or(Ok(VersionType::Internal), |text| {
        parse_version_type(&text).map_err(|error| in_dest("version_type", error))
    })?;
    if op == OpType::Create && version_type != VersionType::Internal {
        return Err(ApiError::validation(&[
            "create operations only support internal versioning. use index instead",
        ]));
    }
    let routing = match text(&mut dest, "routing")?.as_deref() {
        None | Some("keep") => DestinationRouting::Keep,
        Some("discard") => DestinationRouting::Discard,
        Some(other) => match other.strip_prefix('=') {
            Some(value) => DestinationRouting::Is(value.to_owned()),
            None => {
                return Err(ApiError::validation(&[
                    "routing must be unset, [keep], [discard] or [=<some new value>]",
                ]));
            }
        },
    };
    if let Some(pipeline) = text(&mut dest, "pipeline")?
        && pipeline != "_none"
    {
        return Err(ApiError::illegal_argument(format!(
            "pipeline with id [{pipeline}] does not exist"
        )));
    }
    refuse_others("dest", &dest)?;
    Ok(Destination {
        index: String::new(),
        op,
        version_type,
        routing,
        require_alias: false,
    })
}

fn in_dest(field: &str, error: ApiError) -> ApiError {
    let parse = |reason: String| ApiError::new(ErrorCode::XContentParse, reason);
    let inner = parse(format!("[dest] failed to parse field [{field}]"));
    let mut outer = parse("[reindex] failed to parse field [dest]".to_owned());
    outer.root_cause = vec![inner.clone()];
    outer.caused_by(inner.caused_by(error))
}

fn object(body: &mut Map<String, Value>, name: &str) -> ApiResult<Map<String, Value>> {
    match body.remove(name) {
        None => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object),
        Some(other) => Err(ApiError::new(
            ErrorCode::XContentParse,
            format!(
                "[reindex] {name} doesn't support values of type: {}",
                json::kind(&other)
            ),
        )),
    }
}

fn names(index: Option<Value>) -> ApiResult<Vec<String>> {
    let unexpected = |value: &Value| {
        ApiError::illegal_argument(format!(
            "Expected [index] to be a list or a string but was [{}]",
            json::kind(value)
        ))
    };
    match index {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(crate::params::split_list(&text)),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(text.clone()),
                other => Err(unexpected(other)),
            })
            .collect(),
        Some(other) => Err(unexpected(&other)),
    }
}

pub(crate) fn text(object: &mut Map<String, Value>, name: &str) -> ApiResult<Option<String>> {
    match object.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value @ (Value::String(_) | Value::Number(_))) => Ok(Some(json::plain(&value))),
        Some(other) => Err(ApiError::illegal_argument(format!(
            "[{name}] must be a string, not [{}]",
            json::kind(&other)
        ))),
    }
}

fn refuse_others(within: &str, body: &Map<String, Value>) -> ApiResult<()> {
    match body.keys().next() {
        None => Ok(()),
        Some(key) => Err(ApiError::new(
            ErrorCode::XContentParse,
            format!("[{within}] unknown field [{key}]"),
        )),
    }
}
