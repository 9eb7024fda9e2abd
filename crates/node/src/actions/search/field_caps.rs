//! What can be done with fields: told from the mappings of the cluster state, without asking a shard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringwall_api::search::{FieldCaps, FieldCapsRequest, FieldCapsResponse, FieldKind};
use ringwall_api::{ActionRequest, ApiResult, RequestContext};
use ringwall_base::glob::{self, Syntax};
use ringwall_index::{FieldMapping, FieldMask, Mapping};
use ringwall_security::Resolved;
use serde_json::Value;

use crate::actions::Handler;
use crate::actions::indices::concrete;
use crate::services::Services;
use crate::views;

impl Handler<FieldCapsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<FieldCapsRequest>,
    ) -> ApiResult<FieldCapsResponse> {
        let state = services.cluster.state();
        let mut found = Found::default();
        let reading = services.reading(&context.authentication, FieldCapsRequest::NAME);
        for index in concrete(&state, request.indices())? {
            let (_, mapping) = services.shards.mapping_in(&state, &index.id)?;
            let through = request.indices().through(&index.id.name);
            let mask = views::fields_shown(&index.id.name, &through, reading)?;
            let own = capabilities(&mapping, &mask, &request);
            found.add(&index.id.name, own);
        }
        Ok(found.told(request.include_unmapped))
    }
}

/// One field of one index.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Own {
    type_name: &'static str,
    kind: Option<FieldKind>,
    searchable: bool,
    aggregatable: bool,
    meta: BTreeMap<String, String>,
}

/// Returns the fields of an index that are asked for, by path.
fn capabilities(
    mapping: &Mapping,
    mask: &FieldMask,
    request: &FieldCapsRequest,
) -> BTreeMap<String, Own> {
    let mut fields: BTreeMap<String, Own> = METADATA
        .iter()
        .map(|own| (own.0.to_owned(), metadata(own)))
        .collect();
    let leaves: BTreeMap<&str, &Arc<FieldMapping>> = mapping
        .fields()
        .filter(|field| mask.shows(&field.path))
        .filter_map(|field| {
            // An alias is told as the field that it stands for.
            let told = mapping.resolved(&field.path)?;
            mask.shows(&told.path).then_some((&*field.path, told))
        })
        .collect();
    for (path, field) in &leaves {
        let above = || path.rsplit_once('.').map(|(above, _)| above);
        let is_multifield = above().is_some_and(|above| leaves.contains_key(above));
        fields.insert((*path).to_owned(), leaf(field, is_multifield));
        let mut at = above();
        while let Some(parent) = at.filter(|parent| mapping.is_object(parent)) {
            fields.entry(parent.to_owned()).or_insert_with(object);
            at = parent.rsplit_once('.').map(|(above, _)| above);
        }
    }
    fields.retain(|path, own| is_wanted(path, own, request));
    fields
}

fn leaf(field: &FieldMapping, is_multifield: bool) -> Own {
    let definition = field.definition(false);
    let meta = definition.get("meta").and_then(Value::as_object);
    Own {
        type_name: field.field_type.family_name(),
        kind: is_multifield.then_some(FieldKind::Multifield),
        searchable: field.is_searchable(),
        aggregatable: field.is_aggregatable(),
        meta: meta
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
    }
}

fn object() -> Own {
    Own {
        type_name: "object",
        kind: Some(FieldKind::Parent),
        searchable: false,
        aggregatable: false,
        meta: BTreeMap::new(),
    }
}

fn metadata(&(_, type_name, searchable, aggregatable): &Metadata) -> Own {
    Own {
        type_name,
        kind: Some(FieldKind::Metadata),
        searchable,
        aggregatable,
        meta: BTreeMap::new(),
    }
}

fn is_wanted(path: &str, own: &Own, request: &FieldCapsRequest) -> bool {
    let mut patterns = request.fields.iter();
    let by_kind = |kinds: &[FieldKind]| own.kind.is_some_and(|kind| kinds.contains(&kind));
    let mut types = request.types.iter();
    patterns.any(|pattern| glob::matches(pattern, path, Syntax::Star))
        && !by_kind(&request.without)
        && (request.only.is_empty() || by_kind(&request.only))
        && (request.types.is_empty()
            || own.kind == Some(FieldKind::Parent)
            || types.any(|wanted| wanted == own.type_name))
}

/// Name, type, whether it is searched and whether it is aggregated.
type Metadata = (&'static str, &'static str, bool, bool);

/// Fields of every document. Types as in Elasticsearch.
const METADATA: &[Metadata] = &[
    ("_field_names", "_field_names", true, false),
    ("_id", "_id", true, false),
    ("_ignored", "_ignored", true, true),
    ("_index", "_index", true, true),
    ("_routing", "_routing", true, false),
    ("_seq_no", "_seq_no", true, true),
    ("_source", "_source", false, false),
    ("_version", "_version", false, true),
];

/// What several indices have.
#[derive(Default)]
struct Found {
    indices: Vec<String>,
    /// By path and type, the indices with what each has.
    fields: BTreeMap<String, BTreeMap<&'static str, BTreeMap<String, Own>>>,
}

impl Found {
    fn add(&mut self, index: &str, fields: BTreeMap<String, Own>) {
        self.indices.push(index.to_owned());
        for (path, own) in fields {
            let types = self.fields.entry(path).or_default();
            let indices = types.entry(own.type_name).or_default();
            indices.insert(index.to_owned(), own);
        }
    }

    fn told(mut self, include_unmapped: bool) -> FieldCapsResponse {
        self.indices.sort_unstable();
        let indices = &self.indices;
        let fields = self.fields.into_iter().map(|(path, types)| {
            let unmapped: Vec<String> = match include_unmapped {
                true => without(indices, &types),
                false => Vec::new(),
            };
            let is_alone = types.len() == 1 && unmapped.is_empty();
            let mut told: BTreeMap<String, FieldCaps> = types
                .into_iter()
                .map(|(name, indices)| (name.to_owned(), together(&indices, is_alone)))
                .collect();
            if !unmapped.is_empty() {
                let caps = FieldCaps {
                    indices: Some(unmapped),
                    ..FieldCaps::default()
                };
                told.insert("unmapped".to_owned(), caps);
            }
            (path, told)
        });
        FieldCapsResponse {
            fields: fields.collect(),
            indices: self.indices,
        }
    }
}

/// Returns the indices that do not have the field, of any type.
fn without(
    indices: &[String],
    types: &BTreeMap<&'static str, BTreeMap<String, Own>>,
) -> Vec<String> {
    let has = |index: &String| types.values().any(|having| having.contains_key(index));
    indices
        .iter()
        .filter(|index| !has(index))
        .cloned()
        .collect()
}

fn together(indices: &BTreeMap<String, Own>, is_alone: bool) -> FieldCaps {
    let lacking = |can: fn(&Own) -> bool| -> Vec<String> {
        let lacking = indices.iter().filter(|(_, own)| !can(own));
        lacking.map(|(index, _)| index.clone()).collect()
    };
    let some = |lacking: &Vec<String>| !lacking.is_empty() && lacking.len() < indices.len();
    let (unsearchable, unaggregatable) = (
        lacking(|own| own.searchable),
        lacking(|own| own.aggregatable),
    );
    let mut meta: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, value) in indices.values().flat_map(|own| &own.meta) {
        meta.entry(key.clone()).or_default().insert(value.clone());
    }
    let mut owns = indices.values();
    FieldCaps {
        metadata_field: owns.any(|own| own.kind == Some(FieldKind::Metadata)),
        searchable: unsearchable.is_empty(),
        aggregatable: unaggregatable.is_empty(),
        indices: (!is_alone).then(|| indices.keys().cloned().collect()),
        non_searchable_indices: some(&unsearchable).then_some(unsearchable),
        non_aggregatable_indices: some(&unaggregatable).then_some(unaggregatable),
        meta,
    }
}
