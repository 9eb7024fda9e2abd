//! `_index_template`, `_component_template` and `_template`. Source: Elasticsearch reference, "Index APIs".

use http::{Method, StatusCode};
use ringwall_api::indices::{
    DeleteComponentTemplatesRequest, DeleteIndexTemplatesRequest, DeleteLegacyTemplatesRequest,
    DeleteTemplates, GetComponentTemplatesRequest, GetIndexTemplatesRequest,
    GetLegacyTemplatesRequest, GetTemplates, PutComponentTemplateRequest, PutIndexTemplateRequest,
    PutLegacyTemplateRequest, PutTemplate, SimulateIndexRequest, SimulateResponse,
    SimulateTemplateRequest, TemplatesResponse,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use serde_json::{Map, Value, json};

use crate::handlers::indices::{ack_timeout, acknowledged, settings_json};
use crate::request::{RestRequest, RestResponse};

/// Query parameters of storing one, beside those of all changes.
pub const PUT_PARAMS: &[&str] = &["create", "cause"];
/// Query parameters of describing them.
pub const GET_PARAMS: &[&str] = &["flat_settings", "local", "master_timeout"];

/// `PUT|POST /_component_template/{name}`.
pub async fn put_component(request: RestRequest) -> ApiResult<RestResponse> {
    let put = put(&request)?;
    let answer = request.execute(PutComponentTemplateRequest(put)).await?;
    Ok(acknowledged(answer.acknowledged))
}

/// `PUT|POST /_index_template/{name}`.
pub async fn put_index(request: RestRequest) -> ApiResult<RestResponse> {
    let put = put(&request)?;
    let answer = request.execute(PutIndexTemplateRequest(put)).await?;
    Ok(acknowledged(answer.acknowledged))
}

/// `PUT|POST /_template/{name}`.
pub async fn put_legacy(request: RestRequest) -> ApiResult<RestResponse> {
    let mut put = put(&request)?;
    if let Some(order) = request.params.number::<i64>("order")? {
        put.body.insert("order".to_owned(), order.into());
    }
    let answer = request.execute(PutLegacyTemplateRequest(put)).await?;
    Ok(acknowledged(answer.acknowledged))
}

/// `GET|HEAD /_component_template[/{name}]`.
pub async fn get_component(request: RestRequest) -> ApiResult<RestResponse> {
    let wanted = Wanted::of(&request)?;
    let asked = GetComponentTemplatesRequest(wanted.names());
    let found = request.execute(asked).await?;
    listed(&request, &wanted, found, "component")
}

/// `GET|HEAD /_index_template[/{name}]`.
pub async fn get_index(request: RestRequest) -> ApiResult<RestResponse> {
    let wanted = Wanted::of(&request)?;
    let asked = GetIndexTemplatesRequest(wanted.names());
    let found = request.execute(asked).await?;
    listed(&request, &wanted, found, "index")
}

/// `GET|HEAD /_template[/{name}]`: 404 with `{}` when none of the named ones exists.
pub async fn get_legacy(request: RestRequest) -> ApiResult<RestResponse> {
    let wanted = Wanted::of(&request)?;
    let asked = GetLegacyTemplatesRequest(wanted.names());
    let found = request.execute(asked).await?;
    let none = found.templates.is_empty() && !wanted.names.is_empty();
    if request.method == Method::HEAD {
        return Ok(RestResponse::exists(!none));
    }
    let by_name = found.templates.into_iter().map(|(name, mut body)| {
        flatten_settings(&mut body, wanted.is_flat);
        (name, Value::Object(body))
    });
    let status = match none {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::OK,
    };
    Ok(RestResponse::json(Value::Object(by_name.collect())).with_status(status))
}

/// `DELETE /_component_template/{name}`.
pub async fn delete_component(request: RestRequest) -> ApiResult<RestResponse> {
    let delete = delete(&request)?;
    let answer = request
        .execute(DeleteComponentTemplatesRequest(delete))
        .await?;
    Ok(acknowledged(answer.acknowledged))
}

/// `DELETE /_index_template/{name}`.
pub async fn delete_index(request: RestRequest) -> ApiResult<RestResponse> {
    let delete = delete(&request)?;
    let answer = request.execute(DeleteIndexTemplatesRequest(delete)).await?;
    Ok(acknowledged(answer.acknowledged))
}

/// `DELETE /_template/{name}`.
pub async fn delete_legacy(request: RestRequest) -> ApiResult<RestResponse> {
    let delete = delete(&request)?;
    let answer = request
        .execute(DeleteLegacyTemplatesRequest(delete))
        .await?;
    Ok(acknowledged(answer.acknowledged))
}

/// `POST /_index_template/_simulate_index/{index}`.
pub async fn simulate_index(request: RestRequest) -> ApiResult<RestResponse> {
    let index = request.required("index")?;
    let is_flat = Wanted::of(&request)?.is_flat;
    let answer = request.execute(SimulateIndexRequest { index }).await?;
    Ok(simulation(answer, is_flat))
}

/// `POST /_index_template/_simulate[/{name}]`.
pub async fn simulate_template(request: RestRequest) -> ApiResult<RestResponse> {
    let body = match request.body().is_empty() {
        true => None,
        false => Some(request.body_object()?),
    };
    let name = request.path("name").map(str::to_owned);
    let is_flat = Wanted::of(&request)?.is_flat;
    let answer = request
        .execute(SimulateTemplateRequest { name, body })
        .await?;
    Ok(simulation(answer, is_flat))
}

fn put(request: &RestRequest) -> ApiResult<PutTemplate> {
    // Only a note for logs.
    request.params.text("cause");
    Ok(PutTemplate {
        name: request.required("name")?,
        body: request.required_object("request body")?,
        create: request.params.flag("create", false)?,
        timeout_ms: ack_timeout(request)?,
    })
}

/// What a description is asked for.
struct Wanted {
    names: Vec<String>,
    is_flat: bool,
}

impl Wanted {
    fn of(request: &RestRequest) -> ApiResult<Self> {
        // Every node has all templates.
        request.params.hint_flags(&["local"])?;
        request.params.hint_times(&["master_timeout"])?;
        Ok(Self {
            names: request.path_list("name"),
            is_flat: request.params.flag("flat_settings", false)?,
        })
    }

    fn names(&self) -> GetTemplates {
        GetTemplates {
            names: self.names.clone(),
        }
    }
}

fn delete(request: &RestRequest) -> ApiResult<DeleteTemplates> {
    request.required("name")?;
    Ok(DeleteTemplates {
        names: request.path_list("name"),
        timeout_ms: ack_timeout(request)?,
    })
}

/// A name that is not there is an error; patterns that mean none are a 404 with an empty list.
fn listed(
    request: &RestRequest,
    wanted: &Wanted,
    found: TemplatesResponse,
    kind: &str,
) -> ApiResult<RestResponse> {
    let none = found.templates.is_empty() && !wanted.names.is_empty();
    if request.method == Method::HEAD {
        return Ok(RestResponse::exists(!none));
    }
    let plain = wanted.names.iter().find(|name| !name.contains('*'));
    if let (true, Some(name)) = (none, plain) {
        return Err(ApiError::new(
            ErrorCode::ResourceNotFound,
            format!("{kind} template matching [{name}] not found"),
        ));
    }
    let field = format!("{kind}_template");
    let templates = found.templates.into_iter().map(|(name, mut body)| {
        if let Some(Value::Object(template)) = body.get_mut("template") {
            flatten_settings(template, wanted.is_flat);
        }
        let mut entry = Map::new();
        entry.insert("name".to_owned(), name.into());
        entry.insert(field.clone(), Value::Object(body));
        Value::Object(entry)
    });
    let templates: Vec<Value> = templates.collect();
    let status = match none && wanted.names != ["*"] {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::OK,
    };
    let body = Map::from_iter([(format!("{kind}_templates"), Value::Array(templates))]);
    Ok(RestResponse::json(Value::Object(body)).with_status(status))
}

fn flatten_settings(body: &mut Map<String, Value>, is_flat: bool) {
    if let (true, Some(settings)) = (is_flat, body.get_mut("settings")) {
        *settings = settings_json(settings.take(), true, &[]);
    }
}

fn simulation(answer: SimulateResponse, is_flat: bool) -> RestResponse {
    let Some(simulated) = answer.template else {
        return RestResponse::json(json!({}));
    };
    let mut template = Map::new();
    template.insert("settings".to_owned(), simulated.settings);
    template.insert("mappings".to_owned(), simulated.mappings);
    template.insert("aliases".to_owned(), simulated.aliases);
    flatten_settings(&mut template, is_flat);
    let overlapping: Vec<Value> = simulated
        .overlapping
        .into_iter()
        .map(|(name, patterns)| json!({"name": name, "index_patterns": patterns}))
        .collect();
    RestResponse::json(json!({"template": template, "overlapping": overlapping}))
}
