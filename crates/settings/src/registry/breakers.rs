//! How much memory requests may hold before further ones are refused.

use super::Section;
use crate::setting::Setting;
use crate::types::MemorySize;

pub static TOTAL_LIMIT: Setting<MemorySize> = Setting::new(
    "indices.breaker.total.limit",
    "Bound on what all circuit breakers together have charged.",
)
.default("50%")
.at_least(1)
.dynamic();

pub static USE_REAL_MEMORY: Setting<bool> = Setting::new(
    "indices.breaker.total.use_real_memory",
    "Whether the anonymous memory that the process holds (`RssAnon`) counts against `indices.breaker.total.limit` where \
     it is more than what is charged. Off by default, other than in Elasticsearch: memory that was freed and is kept for \
     later use counts too, and no collector takes it away.",
)
.default("false");

pub static REQUEST_LIMIT: Setting<MemorySize> = Setting::new(
    "indices.breaker.request.limit",
    "Bound on what answering takes: bodies that were parsed, state of aggregations, hits, answers.",
)
.default("30%")
.at_least(1)
.dynamic();

pub static REQUEST_OVERHEAD: Setting<f64> = Setting::new(
    "indices.breaker.request.overhead",
    "What each byte of these counts as.",
)
.default("1.0")
.at_least(0)
.dynamic();

pub static IN_FLIGHT_LIMIT: Setting<MemorySize> = Setting::new(
    "network.breaker.inflight_requests.limit",
    "Bound on the bodies of requests that are not answered yet.",
)
.default("50%")
.at_least(1)
.dynamic();

pub static IN_FLIGHT_OVERHEAD: Setting<f64> = Setting::new(
    "network.breaker.inflight_requests.overhead",
    "What each byte of these counts as.",
)
.default("2.0")
.at_least(0)
.dynamic();

pub(super) static SECTION: Section = Section {
    title: "Circuit breakers",
    intro: "What would take more is answered 429 `circuit_breaking_exception`. Percentages are of the memory that the node \
            may use: of the machine, or less where a control group allows less. Elasticsearch's are of its heap, which is \
            half of that. There is no breaker for field data, since none is held in memory.",
    settings: &[
        &TOTAL_LIMIT,
        &USE_REAL_MEMORY,
        &REQUEST_LIMIT,
        &REQUEST_OVERHEAD,
        &IN_FLIGHT_LIMIT,
        &IN_FLIGHT_OVERHEAD,
    ],
};
