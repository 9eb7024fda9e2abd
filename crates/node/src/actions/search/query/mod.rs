//! Searching over shards: one copy of each is asked, answers are added up, hits are read.

mod fetch_phase;
mod query_phase;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringwall_api::auth::Authentication;
use ringwall_api::document::ShardCounts;
use ringwall_api::search::{SearchHit, SearchRequest, SearchResponse, ShardFailure};
use ringwall_api::{ApiError, ApiResult, ErrorCode, RequestContext, Through};
use ringwall_base::{NodeId, ShardId, encoding};
use ringwall_cluster::ClusterState;
use ringwall_search::{
    FetchedHit, SearchSource, ShardQueryResult, TrackTotalHits, check_depth, check_scroll,
    parse_search, reduce,
};
use ringwall_security::{Resolved, ResolvedIndices};
use ringwall_settings::registry::indices::{
    MAX_NESTED_DEPTH, SEARCH_DEFAULT_ALLOW_PARTIAL_RESULTS, SEARCH_MAX_BUCKETS,
};
use ringwall_transport::NodeAction;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::fetch_phase::FetchPhase;
use self::query_phase::QueryPhase;
use crate::actions::Handler;
use crate::actions::indices::concrete;
use crate::actions::search::opened::Opened;
use crate::actions::search::scroll::{lost, refuse_unauthorized};
use crate::cluster_service::now_ms;
use crate::preference::Preference;
use crate::search::context_ids::{self, OpenShard};
use crate::search::control::Waiting;
use crate::search::readers::{ReaderId, ReaderKind};
use crate::search::reading::ReadSearch;
use crate::search::scroll::{FETCH as SCROLL_FETCH, ScrollFetchRequest};
use crate::services::Services;
use crate::{read, views};

impl Handler<SearchRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<SearchRequest>,
    ) -> ApiResult<SearchResponse> {
        let mut source = parse(&services, &request.body, request.typed_keys)?;
        if source.pit.is_some() {
            // Its indices are those of the point in time: whoever sends one knows that.
            return Err(ApiError::validation(&[
                "[indices] cannot be used with point in time. Do not specify any index with point in time.",
            ]));
        }
        match request.scroll_ms {
            Some(_) => {
                check_scroll(&source, &request.body)?;
                source.track_total_hits = TrackTotalHits::Exact;
            }
            None if source.slice.is_some() => {
                return Err(ApiError::validation(&[
                    "[slice] can only be used with [scroll] or [point-in-time] requests",
                ]));
            }
            None => {}
        }
        let state = services.cluster.state();
        let preference = Preference::parse(request.preference.as_deref())?;
        let shards = shards(
            &state,
            request.indices(),
            request.routing.as_deref(),
            &preference,
        )?;
        let body = json_text(&request.body)?;
        describe(request.indices(), &body);
        let targets = shards.into_iter().map(|(shard, through)| Target {
            shard,
            through,
            open: None,
        });
        let run = Run {
            source,
            sort: request.body.get("sort").cloned().unwrap_or_default(),
            body,
            targets: targets.collect(),
            preference,
            allow_partial: request.allow_partial_results,
            scroll_ms: request.scroll_ms,
        };
        run_search(&services, &context, run).await
    }
}

/// Reads the body of a search.
pub(crate) fn parse(
    services: &Services,
    body: &Value,
    typed_keys: bool,
) -> ApiResult<SearchSource> {
    let mut source = parse_search(body)?;
    check_depth(&source, services.settings.get(&MAX_NESTED_DEPTH))?;
    source.typed_keys = typed_keys;
    Ok(source)
}

/// A search, and the shards that it covers.
pub(crate) struct Run {
    pub(crate) source: SearchSource,
    /// How it orders hits, as in the body.
    pub(crate) sort: Value,
    /// What `source` was read from, JSON text.
    pub(crate) body: Bytes,
    pub(crate) targets: Vec<Target>,
    pub(crate) preference: Preference,
    /// `None`: as `search.default_allow_partial_results` says.
    pub(crate) allow_partial: Option<bool>,
    pub(crate) scroll_ms: Option<u64>,
}

/// A shard to search.
pub(crate) struct Target {
    pub(crate) shard: ShardId,
    pub(crate) through: Through,
    /// Of a point in time: the one place where it is open.
    pub(crate) open: Option<OpenShard>,
}

pub(crate) async fn run_search(
    services: &Arc<Services>,
    context: &RequestContext,
    run: Run,
) -> ApiResult<SearchResponse> {
    let opened = Opened::new(services, &context.authentication);
    let response = run_and_note(services, context, run, &opened).await;
    match &response {
        Ok(_) => opened.given(),
        Err(_) => opened.end().await,
    }
    response
}

async fn run_and_note(
    services: &Arc<Services>,
    context: &RequestContext,
    mut run: Run,
    opened: &Opened,
) -> ApiResult<SearchResponse> {
    let begun = Instant::now();
    let allow_partial = run
        .allow_partial
        .unwrap_or_else(|| services.settings.get(&SEARCH_DEFAULT_ALLOW_PARTIAL_RESULTS));
    if run.scroll_ms.is_some() {
        context_ids::check_count(run.targets.len())?;
    }
    let caller = Caller::of(services, context);
    let (source, sort) = (
        std::mem::take(&mut run.source),
        std::mem::take(&mut run.sort),
    );
    let read = ReadSearch::of(&services.breakers, source, sort, &run.body)?;
    let (read, targets) = (Arc::new(read), &run.targets);
    // The text that the nodes are sent.
    context
        .account
        .charge(run.body.len() as u64, "<search_request>")?;
    let phase = QueryPhase {
        caller: &caller,
        run: &run,
        read: &read,
        allow_partial,
        opened,
        account: &context.account,
    };
    let mut gathered = Gathered::of(targets.len());
    for (target, answer) in targets.iter().zip(phase.ask_all().await?) {
        match answer {
            Ok((node, response)) => {
                gathered.results.push(response.result);
                gathered.found.push(ShardFound {
                    shard: target.shard.clone(),
                    node,
                    held: match (response.reader, response.context) {
                        (Some(reader), _) => Held::Scroll(reader),
                        (None, Some(context)) => Held::Context(context),
                        (None, None) => Held::Nothing,
                    },
                    page: response.page,
                });
            }
            Err(failure) => gathered.failures.push(failure),
        }
    }
    if read.source.pit.is_some() {
        refuse_unauthorized(&gathered.failures)?;
    }
    let open = gathered.open();
    let pit_id = read.source.pit.as_ref().map(|pit| pit.id.clone());
    let mut response = gather(
        &caller,
        context,
        read.source.clone(),
        gathered,
        allow_partial,
        begun,
        opened,
    )
    .await?;
    response.scroll_id = run
        .scroll_ms
        .map(|_| context_ids::encode(ReaderKind::Scroll, &open));
    response.pit_id = pit_id;
    Ok(response)
}

/// What shards have answered.
pub(crate) struct Gathered {
    /// How many were asked.
    pub(crate) shards: usize,
    pub(crate) results: Vec<ShardQueryResult>,
    /// One for each result.
    pub(crate) found: Vec<ShardFound>,
    pub(crate) failures: Vec<ShardFailure>,
}

impl Gathered {
    fn of(shards: usize) -> Self {
        Self {
            shards,
            results: Vec::with_capacity(shards),
            found: Vec::with_capacity(shards),
            failures: Vec::new(),
        }
    }

    /// Returns where a scroll was begun.
    fn open(&self) -> Vec<OpenShard> {
        let open = |found: &ShardFound| match found.held {
            Held::Scroll(reader) => Some(OpenShard {
                shard: found.shard.clone(),
                node: found.node,
                reader,
            }),
            Held::Context(_) | Held::Nothing => None,
        };
        self.found.iter().filter_map(open).collect()
    }
}

/// Puts the answers of shards together and reads the page.
pub(crate) async fn gather(
    caller: &Caller<'_>,
    context: &RequestContext,
    source: Arc<SearchSource>,
    gathered: Gathered,
    allow_partial: bool,
    begun: Instant,
    opened: &Opened,
) -> ApiResult<SearchResponse> {
    let services = caller.services;
    let Gathered {
        shards,
        results,
        found,
        mut failures,
    } = gathered;
    check_failures(shards, &failures, allow_partial, "query")?;
    let max_buckets = services.settings.get(&SEARCH_MAX_BUCKETS);
    let waiting = Waiting::new(caller.time_left_ms());
    let control = waiting.control(None).begin(None);
    let reducing = move || reduce(&source, results, max_buckets, control.as_ref());
    let reduced = services.pools.search.run(reducing).await??;
    drop(waiting);
    let phase = FetchPhase {
        caller,
        reduced: &reduced,
        opened,
    };
    let hits = phase.read(found, &mut failures).await;
    let bytes = encoding::size(&hits);
    context.account.charge(bytes, "<fetched_hits>")?;
    check_failures(shards, &failures, allow_partial, "fetch")?;
    Ok(SearchResponse {
        took_ms: begun.elapsed().as_millis() as u64,
        timed_out: reduced.timed_out,
        terminated_early: reduced.terminated_early,
        shards: shard_counts(shards, &failures),
        failures,
        total: reduced.total,
        max_score: reduced.max_score,
        hits,
        aggregations: reduced.aggregations,
        scroll_id: None,
        pit_id: None,
    })
}

fn describe(target: &ResolvedIndices, body: &Bytes) {
    let (indices, body) = (target.names().to_vec(), body.clone());
    crate::tasks::describe(move || {
        let body = &body[..body.len().min(MAX_DESCRIBED_BYTES)];
        format!(
            "indices[{}], search_type[QUERY_THEN_FETCH], source[{}]",
            indices.join(","),
            String::from_utf8_lossy(body)
        )
    });
}

/// Of a search body in the description of its task.
const MAX_DESCRIBED_BYTES: usize = 16 << 10;

/// Where a shard's part of the answer is.
pub(crate) struct ShardFound {
    pub(crate) shard: ShardId,
    pub(crate) node: NodeId,
    pub(crate) held: Held,
    pub(crate) page: Option<Vec<FetchedHit>>,
}

/// What the node of a shard holds for the page.
pub(crate) enum Held {
    Nothing,
    /// Until the page is read.
    Context(u64),
    Scroll(ReaderId),
}

/// Who asks, and until when.
pub(crate) struct Caller<'a> {
    pub(crate) services: &'a Arc<Services>,
    authentication: &'a Authentication,
    now_ms: i64,
    deadline: Instant,
}

impl<'a> Caller<'a> {
    pub(crate) fn of(services: &'a Arc<Services>, context: &'a RequestContext) -> Self {
        Self {
            services,
            authentication: &context.authentication,
            now_ms: i64::try_from(now_ms()).unwrap_or(i64::MAX),
            deadline: Instant::now() + context.time_left(TIMEOUT),
        }
    }

    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    pub(crate) fn time_left_ms(&self) -> u64 {
        self.time_left().as_millis() as u64
    }

    /// Asks one copy of a shard after the other until one answers, with the request for the version of the
    /// state in use.
    pub(crate) async fn ask<Q, A>(
        &self,
        shard: &ShardId,
        preference: &Preference,
        action: NodeAction<Q, A>,
        request: impl Fn(u64) -> Q,
    ) -> Result<(NodeId, A), ShardFailure>
    where
        Q: Serialize + Send + 'static,
        A: DeserializeOwned + 'static,
    {
        let call = |node, state_version| self.call(node, action, request(state_version));
        let deadline = self.deadline.into();
        let answer = read::from_copy(
            self.services,
            shard,
            preference,
            deadline,
            is_fault_of_request,
            call,
        )
        .await;
        answer.map_err(|unread| shard_failure(shard, unread.node, unread.error))
    }

    pub(crate) async fn call<Q, A>(
        &self,
        node: NodeId,
        action: NodeAction<Q, A>,
        request: Q,
    ) -> ApiResult<A>
    where
        Q: Serialize + Send + 'static,
        A: DeserializeOwned + 'static,
    {
        self.services
            .call_as(self.authentication, node, action, request, self.time_left())
            .await
    }
}

/// Returns why a shard gave nothing.
pub(crate) fn shard_failure(
    shard: &ShardId,
    node: Option<NodeId>,
    reason: ApiError,
) -> ShardFailure {
    ShardFailure {
        index: shard.index.name.clone(),
        shard: shard.shard,
        node: node.map(|node| node.to_string()),
        reason,
    }
}

/// Whether every copy would answer the same.
fn is_fault_of_request(error: &ApiError) -> bool {
    let is_final = matches!(
        error.code,
        ErrorCode::SearchTimeout | ErrorCode::TaskCancelled
    );
    is_final || error.status < 500 && error.status != 429 && error.code != ErrorCode::ShardNotFound
}

/// Returns the shards that a search covers, in order, each with the names that led to it: all of the
/// indices', or those that the routing values of request and aliases lead to; of these, the preferred ones.
pub(crate) fn shards(
    state: &ClusterState,
    target: &ResolvedIndices,
    routing: Option<&str>,
    preference: &Preference,
) -> ApiResult<Vec<(ShardId, Through)>> {
    let mut shards = Vec::new();
    for index in concrete(state, target)? {
        let through = target.through(&index.id.name);
        let searched = views::searched_shards(index, &through, routing)?;
        for shard in searched
            .into_iter()
            .filter(|shard| preference.wants(*shard))
        {
            let index = index.id.clone();
            shards.push((ShardId { index, shard }, through.clone()));
        }
    }
    Ok(shards)
}

fn search_hit(shard: &ShardId, winner: &ringwall_search::Winner, hit: FetchedHit) -> SearchHit {
    SearchHit {
        index: shard.index.name.clone(),
        id: hit.id,
        score: winner.score,
        routing: hit.routing,
        version: hit.version,
        seq_no: hit.seq_no,
        primary_term: hit.primary_term,
        source: hit.source,
        fields: hit.fields,
        ignored: hit.ignored,
        ignored_values: hit.ignored_values,
        highlight: hit.highlight,
        sort: winner.sort.clone(),
    }
}

/// Fails when no shard answered, or when partial answers are not wanted. Source: Elasticsearch reference, "Search API" (allow_partial_search_results).
pub(crate) fn check_failures(
    shards: usize,
    failures: &[ShardFailure],
    allow_partial: bool,
    phase: &str,
) -> ApiResult<()> {
    let Some(first) = failures.first() else {
        return Ok(());
    };
    let reason = match (failures.len() >= shards, allow_partial) {
        (true, _) => "all shards failed",
        (false, false) => "Partial shards failure",
        (false, true) => return Ok(()),
    };
    let mut error = ApiError::new(ErrorCode::SearchPhaseExecution, reason)
        .with_status(first.reason.status)
        .with("phase", phase)
        .with("grouped", true);
    let mut causes: Vec<ApiError> = Vec::new();
    for failure in failures {
        let known = |cause: &ApiError| {
            cause.code == failure.reason.code && cause.reason == failure.reason.reason
        };
        if !causes.iter().any(known) {
            causes.push(failure.reason.clone());
        }
    }
    let failed: Vec<Value> = failures
        .iter()
        .map(|failure| {
            serde_json::json!({
                "shard": failure.shard,
                "index": failure.index,
                "node": failure.node,
                "reason": failure.reason.object_with_cause(),
            })
        })
        .collect();
    error = error.with("failed_shards", failed);
    error.root_cause = causes;
    error.caused_by = Some(Box::new(first.reason.clone()));
    Err(error)
}

pub(crate) fn shard_counts(shards: usize, failures: &[ShardFailure]) -> ShardCounts {
    let failed: BTreeSet<(&str, u32)> = failures
        .iter()
        .map(|failure| (failure.index.as_str(), failure.shard))
        .collect();
    ShardCounts {
        total: shards as u32,
        successful: (shards - failed.len()) as u32,
        skipped: 0,
        failed: failed.len() as u32,
    }
}

pub(crate) fn json_text(body: &Value) -> ApiResult<Bytes> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|error| ApiError::internal(error.to_string()))
}

/// What a decoded answer of a shard takes for each byte that it has encoded.
pub(crate) const HEAP_FACTOR: u64 = 3;

/// How long a search may take when the client sets no limit.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60 * 5);
