//! Rolling an alias over to a new index. Source: Elasticsearch reference, "Rollover API".

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::indices::{
    CreateIndexRequest, RolloverCondition, RolloverMeasure, RolloverRequest, RolloverResponse,
};
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_cluster::aliases::write_index;
use ringwall_cluster::{Change, ClusterState, IndexMetadata};
use ringwall_security::Resolved;

use crate::acknowledge;
use crate::actions::Handler;
use crate::actions::indices::create::{checked, has_active};
use crate::actions::indices::stats::{Primaries, measure_primaries};
use crate::actions::indices::templates::{self, Asked};
use crate::cluster_service::now_ms;
use crate::services::Services;

impl Handler<RolloverRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<RolloverRequest>,
    ) -> ApiResult<RolloverResponse> {
        let timeout = Duration::from_millis(request.timeout_ms);
        let state = services.cluster.state();
        let alias = request.indices().asked();
        let source = source_of(&state, &alias)?;
        let name = match &request.new_index {
            Some(name) => {
                // The right to the alias is one to what is named after its index, and to nothing else.
                let authorizer = &services.authorizer;
                let create = CreateIndexRequest::NAME;
                authorizer.authorize_name(&context.authentication, create, name)?;
                name.clone()
            }
            None => next_name(&source.id.name)?,
        };
        if let Some(existing) = state.indices.get(&name) {
            return Err(already_exists(existing));
        }
        let asked = Asked {
            settings: &request.settings,
            mappings: &request.mappings,
            aliases: &request.aliases,
        };
        let composed = templates::compose(&state.templates, &name, &asked)?;
        let mapping = checked(&services, &name, &composed).await?;
        let measured = match request.conditions.is_empty() {
            true => Primaries::default(),
            false => measure_primaries(&services, &context.authentication, &state, source).await?,
        };
        let age_ms = now_ms().saturating_sub(source.creation_date_ms);
        let results = judge(&request.conditions, &measured, age_ms);
        let mut response = RolloverResponse {
            acknowledged: false,
            shards_acknowledged: false,
            old_index: source.id.name.clone(),
            new_index: name.clone(),
            rolled_over: false,
            conditions: results,
        };
        if request.dry_run || !are_met(&request.conditions, &response.conditions) {
            return Ok(response);
        }
        let wanted = request.wait_for_active_shards;
        let wanted = wanted.unwrap_or_else(|| composed.settings.wait_for_active_shards());
        let change = Change::Rollover {
            alias,
            source: source.id.clone(),
            name: name.clone(),
            settings: composed.settings,
            mapping,
            aliases: composed.aliases,
        };
        services.cluster.submit(change, timeout).await?;
        let applied = services.cluster.applied();
        let active = applied.wait_for(timeout, |state| {
            has_active(state, &name, wanted).then_some(())
        });
        response.shards_acknowledged = active.await.is_some();
        response.acknowledged = acknowledge::by_all(&services, timeout).await;
        response.rolled_over = true;
        Ok(response)
    }
}

/// Returns the index that an alias writes to.
fn source_of<'a>(state: &'a ClusterState, alias: &str) -> ApiResult<&'a IndexMetadata> {
    if state.indices.contains_key(alias) {
        return Err(ApiError::illegal_argument(
            "rollover target is a [concrete index] but one of [alias,data_stream] was expected",
        ));
    }
    write_index(state, alias, None).ok_or_else(|| {
        ApiError::illegal_argument(format!(
            "rollover target [{alias}] does not point to a write index"
        ))
    })
}

fn already_exists(existing: &IndexMetadata) -> ApiError {
    let id = &existing.id;
    ApiError::new(
        ErrorCode::ResourceAlreadyExists,
        format!("index [{}/{}] already exists", id.name, id.uuid),
    )
    .with("index_uuid", id.uuid.clone())
    .with("index", id.name.clone())
}

/// Returns the name that follows: the number at its end grown by one, with six digits at least.
fn next_name(name: &str) -> ApiResult<String> {
    let parts = name.rsplit_once('-').and_then(|(head, digits)| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = digits.parse().ok().filter(|_| is_number)?;
        Some(format!("{head}-{:06}", number.checked_add(1)?))
    });
    parts.ok_or_else(|| {
        ApiError::illegal_argument(format!(
            r"index name [{name}] does not match pattern '^.*-\d+$'"
        ))
    })
}

fn judge(
    conditions: &[RolloverCondition],
    primaries: &Primaries,
    age_ms: u64,
) -> BTreeMap<String, bool> {
    let measured = |measure| match measure {
        RolloverMeasure::Age => age_ms,
        RolloverMeasure::Docs => primaries.docs,
        RolloverMeasure::Size => primaries.bytes,
        RolloverMeasure::PrimaryShardDocs => primaries.most_docs,
        RolloverMeasure::PrimaryShardSize => primaries.most_bytes,
    };
    conditions
        .iter()
        .map(|condition| {
            let holds = measured(condition.measure) >= condition.value;
            (condition.shown.clone(), holds)
        })
        .collect()
}

/// All that must hold do, and one of the others does.
fn are_met(conditions: &[RolloverCondition], results: &BTreeMap<String, bool>) -> bool {
    let holds = |condition: &&RolloverCondition| results.get(&condition.shown) == Some(&true);
    let (least, most): (Vec<_>, Vec<_>) = conditions.iter().partition(|c| c.is_min);
    least.iter().all(holds) && (most.is_empty() || most.iter().any(holds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_at_the_end_grows() {
        for (name, next) in [
            ("logs-1", "logs-000002"),
            ("logs-000099", "logs-000100"),
            ("a-b-9999999", "a-b-10000000"),
        ] {
            assert_eq!(next_name(name).unwrap(), next);
        }
        for bad in [
            "logs",
            "logs-",
            "logs-1a",
            "logs-+1",
            "1",
            "l-18446744073709551615",
        ] {
            let error = next_name(bad).unwrap_err();
            assert!(error.reason.contains("does not match pattern"), "{bad}");
        }
    }

    #[test]
    fn one_condition_is_enough_and_all_least_ones_are_needed() {
        let condition = |measure, is_min, value, shown: &str| RolloverCondition {
            measure,
            is_min,
            value,
            shown: shown.to_owned(),
        };
        let primaries = Primaries {
            docs: 10,
            bytes: 1000,
            most_docs: 6,
            most_bytes: 700,
        };
        let met = |conditions: &[RolloverCondition]| {
            are_met(conditions, &judge(conditions, &primaries, 50))
        };
        use RolloverMeasure::{Age, Docs, PrimaryShardDocs, PrimaryShardSize, Size};
        assert!(met(&[]));
        for (measure, reached) in [
            (Age, 50),
            (Docs, 10),
            (Size, 1000),
            (PrimaryShardDocs, 6),
            (PrimaryShardSize, 700),
        ] {
            assert!(
                met(&[condition(measure, false, reached, "a")]),
                "{measure:?}"
            );
            assert!(
                !met(&[condition(measure, false, reached + 1, "a")]),
                "{measure:?}"
            );
        }
        let enough = condition(Docs, false, 1, "b");
        let too_many = condition(Docs, false, 11, "c");
        assert!(met(&[enough.clone(), too_many.clone()]));
        assert!(!met(&[enough.clone(), condition(Age, true, 51, "d")]));
        assert!(met(&[enough, condition(Age, true, 50, "d")]));
        assert!(!met(&[too_many, condition(Age, true, 50, "d")]));
    }
}
