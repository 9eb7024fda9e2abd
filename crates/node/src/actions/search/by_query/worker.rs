//! One part of the work: a scroll, and a bulk for each of its pages. Both are requests of the caller, authorized as any
//! others; one page is held in memory at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::document::{
    BulkItemResponse, BulkRequest, OpType, RefreshPolicy, VersionType, WriteItem,
};
use ringwall_api::search::{
    ByQueryFailure, ByQueryOptions, ClearScrollRequest, Destination, DestinationRouting, ReadPart,
    ScrollRequest, SearchHit, SearchRequest, SearchResponse,
};
use ringwall_api::{
    ActionRequest, ApiError, ApiResult, ErrorCode, IndicesTarget, RequestContext, Unauthorized,
};
use ringwall_base::breaker::{Account, Purpose};
use ringwall_settings::registry::indices::SEARCH_MAX_KEEP_ALIVE;
use serde_json::json;
use tokio::time::Instant;

use super::progress::Progress;
use crate::actions::{Handler, perform};
use crate::services::Services;
use crate::tasks::Task;

/// What all parts have in common.
pub(crate) struct Job {
    /// Concrete names and aliases.
    pub(crate) indices: IndicesTarget,
    pub(crate) read: ReadPart,
    pub(crate) write: Write,
    pub(crate) options: ByQueryOptions,
}

/// What is done with a document.
pub(crate) enum Write {
    Delete,
    /// It is indexed again as it is, by an update that changes nothing: the primary reads it, so that it does not
    /// travel, and refuses callers of whom a part of it is hidden.
    Update,
    Copy(Destination),
}

/// Who does what.
pub(crate) struct Worker {
    pub(crate) services: Arc<Services>,
    /// Whose requests they are.
    pub(crate) context: RequestContext,
    pub(crate) job: Arc<Job>,
    /// Of the whole work, and of this part.
    pub(crate) tasks: [Arc<Task>; 2],
    pub(crate) progress: Arc<Progress>,
    /// This part of how many.
    pub(crate) slice: Option<(u32, u32)>,
    pub(crate) max_docs: Option<u64>,
}

/// How a part ended.
#[derive(Default)]
pub(crate) struct Ended {
    pub(crate) timed_out: bool,
    pub(crate) failures: Vec<ByQueryFailure>,
    /// Indices that were written to.
    pub(crate) touched: BTreeSet<String>,
}

/// A page, and what it takes of the memory for requests.
struct Page {
    response: SearchResponse,
    _account: Account,
}

impl Worker {
    /// Does the part.
    ///
    /// # Errors
    /// What a search or a bulk as a whole was refused for.
    pub(crate) async fn run(self) -> ApiResult<Ended> {
        let mut ended = Ended::default();
        if self.max_docs == Some(0) {
            return Ok(ended);
        }
        let Some(first) = self.until_cancelled(self.first_page()).await else {
            return Ok(ended);
        };
        let mut first = first?;
        let Some(scroll_id) = first.response.scroll_id.take() else {
            return Err(ApiError::internal("a search was not begun as a scroll"));
        };
        let result = self.batches(first, &scroll_id, &mut ended).await;
        let clear = ClearScrollRequest {
            scroll_ids: vec![scroll_id],
        };
        if let Err(error) = self.perform(clear).await {
            // Its time will end it.
            tracing::debug!(%error, "a scroll was not cleared");
        }
        result.map(|()| ended)
    }

    async fn batches(&self, mut page: Page, scroll_id: &str, ended: &mut Ended) -> ApiResult<()> {
        let total = page.response.total.map_or(0, |total| total.value);
        let most = self.max_docs.unwrap_or(u64::MAX);
        self.progress
            .change(|counts| counts.total = total.min(most));
        loop {
            let response = &mut page.response;
            if response.timed_out || !response.failures.is_empty() {
                let failures = std::mem::take(&mut response.failures).into_iter();
                ended.timed_out = response.timed_out;
                ended.failures.extend(failures.map(ByQueryFailure::Read));
                return Ok(());
            }
            let mut hits = std::mem::take(&mut response.hits);
            if hits.is_empty() || self.is_cancelled() {
                return Ok(());
            }
            let begun = Instant::now();
            let left = most.saturating_sub(self.progress.counts().written());
            hits.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            self.progress.change(|counts| counts.batches += 1);
            let documents = hits.len() as u64;
            let items = hits.into_iter().map(|hit| self.item(hit));
            let items = items.collect::<ApiResult<Vec<WriteItem>>>()?;
            self.write(items, ended).await?;
            // Its memory is free before the next page comes.
            drop(page);
            let done = self.progress.counts().written() >= most;
            if !ended.failures.is_empty() || done || self.is_cancelled() {
                return Ok(());
            }
            let throttle = &self.progress.throttle;
            let delay = throttle.delay(begun, documents);
            let next = self.next_page(scroll_id, delay);
            let Some(next) = self.until_cancelled(next).await else {
                return Ok(());
            };
            page = next?;
            let wait = throttle.wait(throttle.delay(begun, documents));
            if self.until_cancelled(wait).await.is_none() {
                return Ok(());
            }
        }
    }

    fn is_cancelled(&self) -> bool {
        self.tasks.iter().any(|task| task.is_cancelled().is_some())
    }

    async fn until_cancelled<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let [whole, part] = &self.tasks;
        tokio::select! {
            biased;
            _ = whole.cancelled() => None,
            _ = part.cancelled() => None,
            result = work => Some(result),
        }
    }

    async fn first_page(&self) -> ApiResult<Page> {
        let read = &self.job.read;
        let mut body = read.body.clone();
        if let Some((id, max)) = self.slice {
            body["slice"] = json!({"id": id, "max": max});
        }
        if let Some(most) = self.max_docs
            && body["size"].as_u64().is_none_or(|size| size > most)
        {
            body["size"] = most.into();
        }
        if body.get("sort").is_none() {
            body["sort"] = json!(["_doc"]);
        }
        match &self.job.write {
            Write::Delete | Write::Update => {
                body["_source"] = false.into();
                body["seq_no_primary_term"] = true.into();
            }
            Write::Copy(dest) if dest.version_type != VersionType::Internal => {
                body["version"] = true.into();
            }
            Write::Copy(_) => {}
        }
        let mut attempt = 0;
        loop {
            let search = SearchRequest {
                indices: self.job.indices.clone(),
                body: body.clone(),
                routing: read.routing.clone(),
                preference: read.preference.clone(),
                typed_keys: false,
                allow_partial_results: Some(false),
                scroll_ms: Some(read.scroll_ms),
            };
            match self.page(search).await {
                // Nothing was read yet, so that nothing is lost by asking again.
                Err(error) if error.status == 429 && attempt < MAX_RETRIES => {
                    self.progress.change(|counts| counts.search_retries += 1);
                    tokio::time::sleep(backoff(attempt)).await;
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }

    /// A page that fails is not asked for again: what of it was read on the way would be lost.
    async fn next_page(&self, scroll_id: &str, delay: Duration) -> ApiResult<Page> {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let keep_alive_ms = self.job.read.scroll_ms.saturating_add(delay_ms);
        let most = self
            .services
            .settings
            .get(&SEARCH_MAX_KEEP_ALIVE)
            .duration();
        let most_ms = most.map_or(u64::MAX, |most| {
            u64::try_from(most.as_millis()).unwrap_or(u64::MAX)
        });
        let request = ScrollRequest {
            scroll_id: scroll_id.to_owned(),
            keep_alive_ms: Some(keep_alive_ms.min(most_ms)),
        };
        self.page(request).await
    }

    async fn page<R>(&self, request: R) -> ApiResult<Page>
    where
        R: ActionRequest<Response = SearchResponse>,
        Services: Handler<R>,
    {
        let context = self.context();
        let account = context.account.clone();
        let response = perform(&self.services, context, request).await?;
        Ok(Page {
            response,
            _account: account,
        })
    }

    /// A part of the work on an account of its own: what all of them take is never held at once.
    fn context(&self) -> RequestContext {
        RequestContext {
            account: Account::open(&self.services.breakers, Purpose::Request),
            deadline: None,
            ..self.context.clone()
        }
    }

    async fn perform<R: ActionRequest>(&self, request: R) -> ApiResult<R::Response>
    where
        Services: Handler<R>,
    {
        perform(&self.services, self.context(), request).await
    }

    fn item(&self, hit: SearchHit) -> ApiResult<WriteItem> {
        let plain = |op, index, source| WriteItem::new(op, index, Some(hit.id.clone()), source);
        let guarded = |item| WriteItem {
            routing: hit.routing.clone(),
            if_seq_no: hit.seq_no,
            if_primary_term: hit.primary_term,
            ..item
        };
        let dest = match &self.job.write {
            Write::Delete => {
                return Ok(guarded(plain(
                    OpType::Delete,
                    &hit.index,
                    Default::default(),
                )));
            }
            Write::Update => {
                let unchanged = bytes::Bytes::from_static(UNCHANGED);
                return Ok(guarded(plain(OpType::Update, &hit.index, unchanged)));
            }
            Write::Copy(dest) => dest,
        };
        let Some(source) = hit.source.clone() else {
            return Err(ApiError::illegal_argument(format!(
                "[{}][{}] didn't store _source",
                hit.index, hit.id
            )));
        };
        let version = hit
            .version
            .filter(|_| dest.version_type != VersionType::Internal);
        Ok(WriteItem {
            routing: match &dest.routing {
                DestinationRouting::Keep => hit.routing.clone(),
                DestinationRouting::Discard => None,
                DestinationRouting::Is(value) => Some(value.clone()),
            },
            version,
            version_type: dest.version_type,
            require_alias: dest.require_alias,
            ..plain(dest.op, &dest.index, source)
        })
    }

    /// Writes a batch. What is refused for lack of room is sent again, later and later.
    async fn write(&self, mut items: Vec<WriteItem>, ended: &mut Ended) -> ApiResult<()> {
        let mut attempt = 0;
        loop {
            let may_retry = attempt < MAX_RETRIES;
            let bulk = BulkRequest {
                items: Unauthorized::new(items.clone()),
                refresh: RefreshPolicy::None,
                timeout_ms: self.job.options.timeout_ms,
                wait_for_active_shards: self.job.options.wait_for_active_shards,
            };
            items = match self.perform(bulk).await {
                Err(error) if error.status == 429 && may_retry => items,
                Err(error) => return Err(error),
                Ok(response) => {
                    let mut refused = Vec::new();
                    for (item, answer) in items.into_iter().zip(response.items) {
                        match answer.outcome {
                            Err(error) if error.status == 429 && may_retry => refused.push(item),
                            _ => self.note(&item, answer, ended),
                        }
                    }
                    refused
                }
            };
            if items.is_empty() {
                return Ok(());
            }
            self.progress.change(|counts| counts.bulk_retries += 1);
            let pause = tokio::time::sleep(backoff(attempt));
            if self.until_cancelled(pause).await.is_none() {
                return Ok(());
            }
            attempt += 1;
        }
    }

    fn note(&self, item: &WriteItem, answer: BulkItemResponse, ended: &mut Ended) {
        let cause = match answer.outcome {
            Ok(outcome) => {
                ended.touched.insert(answer.index);
                return self.progress.count(outcome.result);
            }
            Err(error) => gone(item, error),
        };
        if cause.code == ErrorCode::VersionConflict {
            self.progress.change(|counts| counts.version_conflicts += 1);
            if self.job.options.proceed_on_conflict {
                return;
            }
        }
        // All of them end the work, and are counted; what is told of them is bounded.
        if ended.failures.len() < MAX_FAILURES {
            ended.failures.push(ByQueryFailure::Write {
                index: answer.index,
                id: answer.id,
                cause,
            });
        }
    }
}

/// A document that is no longer there has been changed, as Elasticsearch sees it.
fn gone(item: &WriteItem, error: ApiError) -> ApiError {
    match (error.code, item.if_seq_no, item.if_primary_term) {
        (ErrorCode::DocumentMissing, Some(seq_no), Some(term)) => {
            let id = item.id.as_deref().unwrap_or_default();
            let reason = format!(
                "[{id}]: version conflict, required seqNo [{seq_no}], primary term [{term}]. but no document was found"
            );
            ApiError {
                metadata: error.metadata,
                ..ApiError::new(ErrorCode::VersionConflict, reason)
            }
        }
        _ => error,
    }
}

/// How long to wait before asking again: half a second at first, near a minute at last, as in Elasticsearch.
fn backoff(attempt: u32) -> Duration {
    let growing = 10.0 * ((0.8 * f64::from(attempt)).exp() - 1.0);
    Duration::from_millis(500) + Duration::from_secs_f64(growing / 1_000.0)
}

const UNCHANGED: &[u8] = br#"{"doc":{},"detect_noop":false}"#;
const MAX_RETRIES: u32 = 11;
/// Told of each slice.
const MAX_FAILURES: usize = 200;
