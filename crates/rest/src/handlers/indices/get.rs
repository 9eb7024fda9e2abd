//! `GET /{index}`.

use http::Method;
use ringwall_api::indices::{GetIndexRequest, IndexDescription};
use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesOptions};
use serde_json::{Map, Value};

use crate::handlers::indices::Shown;
use crate::request::{RestRequest, RestResponse};

/// `GET|HEAD /{index}`.
pub async fn get(request: RestRequest) -> ApiResult<RestResponse> {
    let head = request.method == Method::HEAD;
    let shown = Shown::of(&request)?;
    let features = features(&request)?;
    let indices = match describe(&request, shown.with_defaults).await {
        Err(error) if head && error.code == ErrorCode::IndexNotFound => {
            return Ok(RestResponse::exists(false));
        }
        described => described?,
    };
    if head {
        return Ok(RestResponse::exists(true));
    }
    let by_name = indices.into_iter().map(|index| {
        let mut body = Map::new();
        let mut put = |feature: &str, part: Value| {
            if features.is_empty() || features.iter().any(|wanted| wanted == feature) {
                body.insert(feature.to_owned(), part);
            }
        };
        put("aliases", index.aliases);
        put("mappings", index.mappings);
        put("settings", shown.set(index.settings));
        if let Some(defaults) = index.defaults {
            put("defaults", shown.set(defaults));
        }
        (index.name, Value::Object(body))
    });
    Ok(RestResponse::json(Value::Object(by_name.collect())))
}

fn features(request: &RestRequest) -> ApiResult<Vec<String>> {
    let features = request.params.list("features");
    let is_known = |name: &&String| ["aliases", "mappings", "settings"].contains(&name.as_str());
    let unknown: Vec<&str> = features
        .iter()
        .filter(|name| !is_known(name))
        .map(String::as_str)
        .collect();
    match unknown.is_empty() {
        true => Ok(features),
        false => Err(ApiError::illegal_argument(format!(
            "Invalid features specified [{}]",
            unknown.join(",")
        ))),
    }
}

pub(crate) async fn describe(
    request: &RestRequest,
    with_defaults: bool,
) -> ApiResult<Vec<IndexDescription>> {
    let indices = request.indices(IndicesOptions::of_metadata())?;
    request.params.hint_flags(&["local"])?;
    request.params.hint_times(&["master_timeout"])?;
    let answer = request
        .execute(GetIndexRequest {
            indices,
            with_defaults,
        })
        .await?;
    Ok(answer.indices)
}
