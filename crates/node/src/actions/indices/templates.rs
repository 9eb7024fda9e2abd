//! Templates of indices: storing them, and making indices of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::indices::{
    Acknowledged, DeleteComponentTemplatesRequest, DeleteIndexTemplatesRequest,
    DeleteLegacyTemplatesRequest, DeleteTemplates, GetComponentTemplatesRequest,
    GetIndexTemplatesRequest, GetLegacyTemplatesRequest, GetTemplates, PutComponentTemplateRequest,
    PutIndexTemplateRequest, PutLegacyTemplateRequest, SimulateIndexRequest, SimulateResponse,
    SimulateTemplateRequest, Simulated, TemplatesResponse,
};
use ringwall_api::{ApiError, ApiResult, RequestContext};
use ringwall_cluster::aliases::parse_aliases;
use ringwall_cluster::index_settings::IndexSettings;
use ringwall_cluster::templates::{
    ComponentTemplate, INDEX, IndexTemplate, Kind, LegacyTemplate, Template, TemplateChange,
    missing_template,
};
use ringwall_cluster::{Aliases, Change, Templates};
use ringwall_index::Mapping;
use ringwall_index::mapping::{MappingLimits, lay_over};
use ringwall_search::parse_query;
use ringwall_security::Resolved;
use serde_json::{Map, Value, json};

use crate::acknowledge;
use crate::actions::Handler;
use crate::actions::indices::analyze;
use crate::actions::indices::create::check_filters;
use crate::services::Services;

/// What an index is made of.
#[derive(Debug, Clone)]
pub struct Composed {
    pub settings: IndexSettings,
    pub mappings: Value,
    pub aliases: Aliases,
}

/// What a request says of an index beside the templates; it counts over theirs.
pub struct Asked<'a> {
    pub settings: &'a Value,
    pub mappings: &'a Value,
    pub aliases: &'a Value,
}

/// Returns what an index of that name is made of, by the templates and by what is asked for.
///
/// # Errors
/// 400 for a part that is not well-formed.
pub fn compose(templates: &Templates, name: &str, asked: &Asked<'_>) -> ApiResult<Composed> {
    let own = IndexSettings::parse(asked.settings)?;
    let resolved = templates.resolve(name, own.hidden());
    compose_layers(&resolved.layers, name, asked)
}

fn compose_layers(layers: &[&Template], name: &str, asked: &Asked<'_>) -> ApiResult<Composed> {
    let mut settings = IndexSettings::default();
    let mut mappings = Map::new();
    let mut aliases = Map::new();
    for layer in layers {
        if let Some(laid) = &layer.settings {
            settings = settings.overlaid(&laid.to_json())?;
        }
        if let Some(Value::Object(laid)) = &layer.mappings {
            lay_over(&mut mappings, laid.clone());
        }
        for (alias, body) in layer.aliases.iter().flatten() {
            aliases.insert(alias.replace(INDEX, name), body.clone());
        }
    }
    // What is no object is refused by who reads it.
    let mappings = match (asked.mappings, mappings.is_empty()) {
        (Value::Object(own), false) => {
            lay_over(&mut mappings, own.clone());
            Value::Object(mappings)
        }
        (Value::Null, false) => Value::Object(mappings),
        (own, _) => own.clone(),
    };
    let aliases = match asked.aliases {
        Value::Object(own) => {
            aliases.extend(own.clone());
            Value::Object(aliases)
        }
        other => other.clone(),
    };
    Ok(Composed {
        settings: settings.overlaid(asked.settings)?,
        mappings,
        aliases: parse_aliases(&aliases)?,
    })
}

/// Returns whether a composable template lets a write make the index, whatever the setting says; its patterns where it
/// does not.
pub fn auto_create(templates: &Templates, name: &str) -> Option<Result<(), Vec<String>>> {
    let (_, template) = templates.resolve(name, false).composable?;
    template.allow_auto_create.map(|allowed| match allowed {
        true => Ok(()),
        false => Err(template.index_patterns.clone()),
    })
}

const NOTHING: Value = Value::Null;

/// Checks that an index can be made of a composable template. Errors: 400 that names the template.
async fn check_composition(
    services: &Services,
    templates: &Templates,
    name: &str,
    template: &IndexTemplate,
) -> ApiResult<()> {
    let layers = templates.layers(template);
    check_layers(services, &layers).await.map_err(|error| {
        ApiError::illegal_argument(format!(
            "composable template [{name}] template after composition is invalid"
        ))
        .caused_by(error)
    })
}

/// Checks parts that are made whole by others: the fields of their filters may be defined there.
async fn check_part(services: &Services, part: &Template) -> ApiResult<()> {
    let mut without_filters = part.clone();
    for (name, body) in without_filters.aliases.iter_mut().flatten() {
        let filter = body.as_object_mut().and_then(|body| body.remove("filter"));
        if let Some(filter) =
            filter.filter(|filter| filter.as_object().is_some_and(|f| !f.is_empty()))
        {
            parse_query(&filter).map_err(|error| {
                let reason = format!("failed to parse filter for alias [{name}]");
                ApiError::illegal_argument(reason).caused_by(error)
            })?;
        }
    }
    check_layers(services, &[&without_filters]).await
}

async fn check_layers(services: &Services, layers: &[&Template]) -> ApiResult<()> {
    let nothing = json!({});
    let asked = Asked {
        settings: &nothing,
        mappings: &NOTHING,
        aliases: &nothing,
    };
    // A name as any index could have.
    let composed = compose_layers(layers, "validate-template", &asked)?;
    let limits = MappingLimits {
        total_fields: composed.settings.total_fields_limit(),
        depth: composed.settings.mapping_depth_limit(),
    };
    let analysis = analyze::of_settings(services, &composed.settings).await?;
    let empty = Mapping::with_analysis(analysis);
    let mapping = Arc::new(empty.merge_limited(&composed.mappings, &limits)?);
    check_filters(services, "validate-template", &mapping, &composed.aliases).await
}

impl Handler<PutComponentTemplateRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<PutComponentTemplateRequest>,
    ) -> ApiResult<Acknowledged> {
        let request = request.into_request().0;
        let template = ComponentTemplate::parse(&request.name, &request.body)?;
        check_part(&services, &template.template).await?;
        // Those that are made of it must stay whole.
        let mut templates = services.cluster.state().templates.clone();
        let parts = &mut templates.component;
        parts.insert(request.name.clone(), Arc::new(template.clone()));
        for (user, index) in &templates.index {
            if index.composed_of.contains(&request.name) {
                check_composition(&services, &templates, user, index).await?;
            }
        }
        let change = TemplateChange::PutComponent {
            name: request.name,
            template: Box::new(template),
            create: request.create,
        };
        submit(&services, change, request.timeout_ms).await
    }
}

impl Handler<PutIndexTemplateRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<PutIndexTemplateRequest>,
    ) -> ApiResult<Acknowledged> {
        let request = request.into_request().0;
        let template = IndexTemplate::parse(&request.name, &request.body)?;
        let state = services.cluster.state();
        state.templates.check_index(&request.name, &template)?;
        check_composition(&services, &state.templates, &request.name, &template).await?;
        let change = TemplateChange::PutIndex {
            name: request.name,
            template: Box::new(template),
            create: request.create,
        };
        submit(&services, change, request.timeout_ms).await
    }
}

impl Handler<PutLegacyTemplateRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<PutLegacyTemplateRequest>,
    ) -> ApiResult<Acknowledged> {
        let request = request.into_request().0;
        let template = LegacyTemplate::parse(&request.name, &request.body)?;
        check_part(&services, &template.template).await?;
        let change = TemplateChange::PutLegacy {
            name: request.name,
            template: Box::new(template),
            create: request.create,
        };
        submit(&services, change, request.timeout_ms).await
    }
}

async fn submit(
    services: &Services,
    change: TemplateChange,
    timeout_ms: u64,
) -> ApiResult<Acknowledged> {
    let timeout = Duration::from_millis(timeout_ms);
    let change = Change::Templates(change);
    services.cluster.submit(change, timeout).await?;
    let acknowledged = acknowledge::by_all(services, timeout).await;
    Ok(Acknowledged { acknowledged })
}

impl Handler<GetComponentTemplatesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<GetComponentTemplatesRequest>,
    ) -> ApiResult<TemplatesResponse> {
        let request = request.into_request();
        Ok(described(&services, Kind::Component, &request.0))
    }
}

impl Handler<GetIndexTemplatesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<GetIndexTemplatesRequest>,
    ) -> ApiResult<TemplatesResponse> {
        let request = request.into_request();
        Ok(described(&services, Kind::Index, &request.0))
    }
}

impl Handler<GetLegacyTemplatesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<GetLegacyTemplatesRequest>,
    ) -> ApiResult<TemplatesResponse> {
        let request = request.into_request();
        Ok(described(&services, Kind::Legacy, &request.0))
    }
}

fn described(services: &Services, kind: Kind, wanted: &GetTemplates) -> TemplatesResponse {
    let state = services.cluster.state();
    let templates = &state.templates;
    let (names, _) = templates.names(kind, &wanted.names);
    let body = |name: &String| match kind {
        Kind::Component => templates.component[name].to_json(),
        Kind::Index => templates.index[name].to_json(),
        Kind::Legacy => templates.legacy[name].to_json(),
    };
    TemplatesResponse {
        templates: names
            .iter()
            .map(|name| (name.clone(), body(name)))
            .collect(),
    }
}

impl Handler<DeleteComponentTemplatesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<DeleteComponentTemplatesRequest>,
    ) -> ApiResult<Acknowledged> {
        let request = request.into_request();
        delete(&services, Kind::Component, request.0).await
    }
}

impl Handler<DeleteIndexTemplatesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<DeleteIndexTemplatesRequest>,
    ) -> ApiResult<Acknowledged> {
        let request = request.into_request();
        delete(&services, Kind::Index, request.0).await
    }
}

impl Handler<DeleteLegacyTemplatesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<DeleteLegacyTemplatesRequest>,
    ) -> ApiResult<Acknowledged> {
        let request = request.into_request();
        delete(&services, Kind::Legacy, request.0).await
    }
}

async fn delete(
    services: &Services,
    kind: Kind,
    request: DeleteTemplates,
) -> ApiResult<Acknowledged> {
    let (names, missing): (BTreeSet<String>, _) = services
        .cluster
        .state()
        .templates
        .names(kind, &request.names);
    // All is a pattern that may mean none.
    if let Some(missing) = missing.filter(|name| name != "*") {
        return Err(missing_template(kind, &missing));
    }
    submit(
        services,
        TemplateChange::Delete { kind, names },
        request.timeout_ms,
    )
    .await
}

impl Handler<SimulateIndexRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<SimulateIndexRequest>,
    ) -> ApiResult<SimulateResponse> {
        let request = request.into_request();
        let state = services.cluster.state();
        let templates = &state.templates;
        let resolved = templates.resolve(&request.index, false);
        if resolved.layers.is_empty() && resolved.composable.is_none() {
            return Ok(SimulateResponse { template: None });
        }
        let overlapping = match resolved.composable {
            Some((name, template)) => {
                templates.overlapping(Some(name), &template.index_patterns)?
            }
            None => Vec::new(),
        };
        let template = simulated(&services, &resolved.layers, &request.index, overlapping).await?;
        Ok(SimulateResponse {
            template: Some(template),
        })
    }
}

impl Handler<SimulateTemplateRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<SimulateTemplateRequest>,
    ) -> ApiResult<SimulateResponse> {
        let request = request.into_request();
        let state = services.cluster.state();
        let templates = &state.templates;
        let (name, template) = match (request.name, request.body) {
            (name, Some(body)) => {
                let shown = name.clone().unwrap_or_else(|| "simulated".to_owned());
                let template = IndexTemplate::parse(&shown, &body)?;
                templates.check_index(&shown, &template)?;
                check_composition(&services, templates, &shown, &template).await?;
                (name, Arc::new(template))
            }
            (Some(name), None) => {
                let stored = templates.index.get(&name).cloned();
                let stored = stored.ok_or_else(|| {
                    ApiError::illegal_argument(format!(
                        "unable to simulate template [{name}] that does not exist"
                    ))
                })?;
                (Some(name), stored)
            }
            (None, None) => {
                return Err(ApiError::illegal_argument(
                    "expected the name of a template or a template in the body",
                ));
            }
        };
        let overlapping = templates.overlapping(name.as_deref(), &template.index_patterns)?;
        let layers = templates.layers(&template);
        let template =
            simulated(&services, &layers, "simulate_template_index", overlapping).await?;
        Ok(SimulateResponse {
            template: Some(template),
        })
    }
}

async fn simulated(
    services: &Services,
    layers: &[&Template],
    index: &str,
    overlapping: Vec<(String, Vec<String>)>,
) -> ApiResult<Simulated> {
    let nothing = json!({});
    let asked = Asked {
        settings: &nothing,
        mappings: &NOTHING,
        aliases: &nothing,
    };
    let composed = compose_layers(layers, index, &asked)?;
    let analysis = analyze::of_settings(services, &composed.settings).await?;
    let mapping = Mapping::with_analysis(analysis).merge(&composed.mappings)?;
    Ok(Simulated {
        settings: composed.settings.to_json(),
        mappings: mapping.to_json(),
        aliases: json!(composed.aliases),
        overlapping,
    })
}
