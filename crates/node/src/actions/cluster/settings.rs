//! Settings that the cluster state holds. Source: Elasticsearch reference, "Cluster update settings API".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::cluster::{
    GetClusterSettingsRequest, GetClusterSettingsResponse, PutClusterSettingsRequest,
    PutClusterSettingsResponse,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_base::TransportTls;
use ringwall_base::glob::{self, Syntax};
use ringwall_cluster::transport_tls::DUAL_STACK_KEY;
use ringwall_cluster::{Change, ClusterSettings, check_node_attribute};
use ringwall_security::Resolved;
use ringwall_settings::{RawValue, Watermarks, check_dynamic};
use serde_json::Value;

use crate::acknowledge;
use crate::actions::Handler;
use crate::audit;
use crate::live_settings::{raw_value, shown};
use crate::services::Services;

impl Handler<GetClusterSettingsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<GetClusterSettingsRequest>,
    ) -> ApiResult<GetClusterSettingsResponse> {
        let settings = services.cluster.state().settings.clone();
        let defaults = request.include_defaults.then(|| {
            let in_force = services.settings.node().in_force();
            in_force
                .iter()
                .filter(|(key, _)| settings.get(key).is_none())
                .map(|(key, value)| (key.clone(), shown(value)))
                .collect()
        });
        Ok(GetClusterSettingsResponse {
            persistent: settings.persistent,
            transient: settings.transient,
            defaults,
        })
    }
}

impl Handler<PutClusterSettingsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<PutClusterSettingsRequest>,
    ) -> ApiResult<PutClusterSettingsResponse> {
        let timeout = Duration::from_millis(request.timeout_ms);
        if request.persistent.is_empty() && request.transient.is_empty() {
            return Err(ApiError::validation(&["no settings to update"]));
        }
        check_dual_stack(&services, &request)?;
        let persistent = Update::new("persistent", &request.persistent)?;
        let transient = Update::new("transient", &request.transient)?;
        for _ in 0..ATTEMPTS {
            let state = services.cluster.state();
            let before = &state.settings;
            let after = ClusterSettings {
                persistent: persistent.applied_to(&before.persistent),
                transient: transient.applied_to(&before.transient),
                version: before.version,
            };
            check_together(&services, &after)?;
            let change = Change::PutClusterSettings {
                base_version: after.version,
                persistent: after.persistent,
                transient: after.transient,
            };
            match services.cluster.submit(change, timeout).await {
                // Somebody else's change came first: apply this one to its result.
                Err(error) if error.code == ErrorCode::VersionConflict => {}
                result => {
                    result?;
                    return Ok(PutClusterSettingsResponse {
                        acknowledged: acknowledge::by_all(&services, timeout).await,
                        persistent: persistent.set,
                        transient: transient.set,
                    });
                }
            }
        }
        Err(ApiError::new(
            ErrorCode::ProcessClusterEventTimeout,
            "the cluster settings change too often; retry",
        ))
    }
}

/// Refuses settings that contradict one another once they are in force.
fn check_together(services: &Services, after: &ClusterSettings) -> ApiResult<()> {
    let settings = services.settings.overlaid(after);
    audit::check(&settings)?;
    Watermarks::of(&settings)
        .map(drop)
        .map_err(ApiError::illegal_argument)
}

/// The time of both can only be ended, and not while a node needs it.
fn check_dual_stack(services: &Services, request: &PutClusterSettingsRequest) -> ApiResult<()> {
    let asked = [&request.persistent, &request.transient]
        .into_iter()
        .filter_map(|settings| settings.get(DUAL_STACK_KEY))
        .find(|value| !value.is_null());
    let Some(value) = asked else {
        return Ok(());
    };
    if raw_value(value) != Some(RawValue::Text("false".to_owned())) {
        return Err(ApiError::illegal_argument(format!(
            "[{DUAL_STACK_KEY}] can only be set to [false] here: what lets links without TLS in must stand in \
             the elasticsearch.yml of a node"
        )));
    }
    let state = services.cluster.state();
    let without: Vec<&str> = state
        .nodes
        .values()
        .filter(|node| state.transport_tls(node) == Some(TransportTls::Off))
        .map(|node| node.name.as_str())
        .collect();
    if without.is_empty() {
        return Ok(());
    }
    Err(ApiError::illegal_argument(format!(
        "[{DUAL_STACK_KEY}] cannot be ended yet: TLS is off on the nodes [{}], which would be cut off; turn it \
         on there first",
        without.join(", ")
    )))
}

/// What a request sets and resets, checked.
struct Update {
    set: BTreeMap<String, Value>,
    /// Keys, or patterns with `*`.
    reset: BTreeSet<String>,
}

impl Update {
    fn new(scope: &str, asked: &BTreeMap<String, Value>) -> ApiResult<Self> {
        let mut update = Self {
            set: BTreeMap::new(),
            reset: BTreeSet::new(),
        };
        for (key, value) in asked {
            if value.is_null() {
                update.reset.insert(key.clone());
                continue;
            }
            let refused = |reason: String| ApiError::illegal_argument(format!("{scope} {reason}"));
            let value = raw_value(value).ok_or_else(|| {
                refused(format!("setting [{key}] must be a text or a list of texts"))
            })?;
            check_dynamic(key, &value).map_err(refused)?;
            if key.starts_with("cluster.routing.allocation.") {
                let check = |text: &String| check_node_attribute(key, text);
                let texts = value.items();
                texts
                    .iter()
                    .try_for_each(check)
                    .map_err(ApiError::illegal_argument)?;
            }
            update.set.insert(key.clone(), shown(&value));
        }
        Ok(update)
    }

    fn applied_to(&self, before: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        let is_reset = |key: &String| {
            let mut patterns = self.reset.iter();
            patterns.any(|pattern| glob::matches(pattern, key, Syntax::Star))
        };
        let mut after = before.clone();
        after.retain(|key, _| !is_reset(key));
        after.extend(self.set.clone());
        after
    }
}

const ATTEMPTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(body: Value) -> BTreeMap<String, Value> {
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn values_are_checked_and_null_resets() {
        let update = Update::new(
            "persistent",
            &asked(json!({
                "search.max_buckets": 100,
                "xpack.security.http.filter.deny": ["10.0.0.0/8", "_all"],
                "indices.*": null,
            })),
        )
        .unwrap();
        let before = asked(json!({"indices.recovery.max_bytes_per_sec": "1mb", "action.x": "y"}));
        assert_eq!(
            json!(update.applied_to(&before)),
            json!({
                "action.x": "y",
                "search.max_buckets": "100",
                "xpack.security.http.filter.deny": ["10.0.0.0/8", "_all"],
            })
        );
    }

    /// A setting of the cluster state that nothing reads there would be accepted and have no effect.
    #[test]
    fn what_only_the_cluster_state_holds_is_read_there() {
        let registered: BTreeSet<String> = ringwall_settings::registry::registry()
            .filter(|spec| spec.info().is_in_cluster_state)
            .map(|spec| spec.info().key.to_owned())
            // Its one value is always met.
            .filter(|key| key != "cluster.routing.rebalance.enable")
            .collect();
        let read: BTreeSet<String> = ringwall_cluster::settings_read().collect();
        assert_eq!(registered, read);
    }

    #[test]
    fn what_cannot_be_changed_is_refused_by_name() {
        for (key, value, reason) in [
            (
                "cluster.name",
                json!("x"),
                "transient setting [cluster.name], not dynamically updateable",
            ),
            (
                "search.max_bucket",
                json!(1),
                "not recognized; did you mean [search.max_buckets]?",
            ),
            (
                "search.max_buckets",
                json!("many"),
                "[search.max_buckets] with value [many]",
            ),
            (
                "search.max_buckets",
                json!([[1]]),
                "a text or a list of texts",
            ),
            (
                "xpack.security.http.filter.deny",
                json!(["10.0.0/8"]),
                "neither an IP address",
            ),
        ] {
            let body = BTreeMap::from([(key.to_owned(), value)]);
            let error = Update::new("transient", &body).err().unwrap();
            assert_eq!(error.code, ErrorCode::IllegalArgument);
            assert!(error.reason.contains(reason), "{}", error.reason);
        }
    }
}
