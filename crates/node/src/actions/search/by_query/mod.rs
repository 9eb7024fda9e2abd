//! By query: a scroll is read, and what it finds is written in bulks. Once begun, the work goes on whether or not its
//! client waits, as a task that tells how far it is, can be cancelled between two batches, and may be made faster or
//! slower. What it reads and writes are requests of the caller, authorized each for itself.

mod progress;
mod worker;

use std::sync::Arc;

use futures::future::join_all;
use ringwall_api::cluster::TaskResult;
use ringwall_api::document::{GetRequest, OpType, item_action};
use ringwall_api::indices::RefreshRequest;
use ringwall_api::search::{
    ByQueryKind, ByQueryOptions, ByQueryResponse, ByQueryResult, DeleteByQueryRequest, ReadPart,
    ReindexRequest, SearchRequest, Slices, UpdateByQueryRequest,
};
use ringwall_api::{ActionRequest, ApiError, ApiResult, IndicesTarget, RequestContext};
use ringwall_security::{Resolved, ResolvedIndices};

use self::progress::Parts;
use self::worker::{Ended, Job, Worker, Write};
use crate::actions::{Handler, perform};
use crate::routing::write_index;
use crate::services::Services;
use crate::tasks::{self, Steering, Task};

impl Handler<DeleteByQueryRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<DeleteByQueryRequest>,
    ) -> ApiResult<ByQueryResponse> {
        let described = format!("delete-by-query [{}]", request.indices().asked());
        let indices = listed(request.indices(), &request.indices);
        let slices = slices(&services, request.indices(), request.options.slices);
        let request = request.into_request();
        let planned = Planned {
            kind: ByQueryKind::Delete,
            described,
            indices,
            slices,
            read: request.read,
            write: Write::Delete,
            options: request.options,
        };
        planned.begin(&services, context).await
    }
}

impl Handler<UpdateByQueryRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<UpdateByQueryRequest>,
    ) -> ApiResult<ByQueryResponse> {
        // Each primary refuses as well; that would be after others have written.
        let reads = [
            item_action(OpType::Update),
            SearchRequest::NAME,
            GetRequest::NAME,
        ];
        for name in request
            .indices()
            .listed()
            .chain(request.indices().names().iter().map(String::as_str))
        {
            services.authorizer.refuse_narrowed(
                &context.authentication,
                &reads,
                name,
                "Can't execute an update request if field or document level security is enabled",
            )?;
        }
        let described = format!("update-by-query [{}]", request.indices().asked());
        let indices = listed(request.indices(), &request.indices);
        let slices = slices(&services, request.indices(), request.options.slices);
        let request = request.into_request();
        let planned = Planned {
            kind: ByQueryKind::Update,
            described,
            indices,
            slices,
            read: request.read,
            write: Write::Update,
            options: request.options,
        };
        planned.begin(&services, context).await
    }
}

impl Handler<ReindexRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<ReindexRequest>,
    ) -> ApiResult<ByQueryResponse> {
        let request = request.into_request();
        let waits = request.options.wait_for_completion;
        match plan_copy(&services, &context, request) {
            Ok(planned) => planned.begin(&services, context).await,
            // As in Elasticsearch it is the task that fails.
            Err(error) if !waits => {
                let task = current_task()?;
                services.keep_result(&task, Err(error));
                Ok(ByQueryResponse::Started(task.task_id()))
            }
            Err(error) => Err(error),
        }
    }
}

/// Resolves what is read, by the right to search it.
fn plan_copy(
    services: &Services,
    context: &RequestContext,
    request: ReindexRequest,
) -> ApiResult<Planned> {
    let options = request.source.options;
    let search = SearchRequest {
        indices: request.source,
        body: request.read.body.clone(),
        routing: None,
        preference: None,
        typed_keys: false,
        allow_partial_results: None,
        scroll_ms: None,
    };
    let caller = &context.authentication;
    let search = services.authorizer.authorize(caller, search)?;
    let (read, dest) = (search.indices(), request.dest);
    let state = services.cluster.state();
    let may_write = services
        .authorizer
        .allows_name(caller, item_action(dest.op), &dest.index);
    // Who may not write there learns nothing of what the name stands for.
    if may_write
        && let Some(index) = write_index(&state, &dest.index)?
        && read.names().contains(&index.id.name)
    {
        return Err(ApiError::validation(&[format!(
            "reindex cannot write into an index its reading from [{}]",
            dest.index
        )]));
    }
    Ok(Planned {
        kind: ByQueryKind::Reindex,
        described: format!("reindex from [{}] to [{}]", read.asked(), dest.index),
        indices: listed(read, &IndicesTarget::default().with_options(options)),
        slices: slices(services, read, request.options.slices),
        read: request.read,
        write: Write::Copy(dest),
        options: request.options,
    })
}

/// Returns a target of what expressions stand for, so that their meaning does not change on the way; `None` for nothing.
fn listed(resolved: &ResolvedIndices, asked: &IndicesTarget) -> Option<IndicesTarget> {
    let names: Vec<String> = resolved.listed().map(str::to_owned).collect();
    (!names.is_empty()).then(|| IndicesTarget::new(names, asked.options))
}

/// Returns how many parts the work has. Source: Elasticsearch reference, "Slicing".
fn slices(services: &Services, resolved: &ResolvedIndices, asked: Slices) -> u32 {
    match asked {
        Slices::Count(count) => count.max(1),
        Slices::Auto => {
            let state = services.cluster.state();
            let indices = resolved.names().iter();
            let shards = indices
                .filter_map(|name| state.indices.get(name))
                .map(|index| index.settings.number_of_shards());
            shards.min().unwrap_or(1).clamp(1, MOST_AUTOMATIC_SLICES)
        }
    }
}

/// Work that may begin.
struct Planned {
    kind: ByQueryKind,
    described: String,
    indices: Option<IndicesTarget>,
    slices: u32,
    read: ReadPart,
    write: Write,
    options: ByQueryOptions,
}

impl Planned {
    async fn begin(
        self,
        services: &Arc<Services>,
        context: RequestContext,
    ) -> ApiResult<ByQueryResponse> {
        self.check_refresh(services, &context)?;
        let task = current_task()?;
        let described = self.described.clone();
        tasks::describe(move || described.clone());
        let parts = Arc::new(Parts::new(
            self.kind,
            self.slices,
            self.read.body["slice"]["id"]
                .as_u64()
                .and_then(|id| u32::try_from(id).ok()),
            self.options.requests_per_second,
        ));
        task.steered_by(parts.clone());
        let waits = self.options.wait_for_completion;
        let work = {
            let (services, task) = (services.clone(), task.clone());
            async move {
                let result = self.run(&services, context, &task, &parts).await;
                if !waits {
                    let kept = result
                        .clone()
                        .map(|done| TaskResult::ByQuery(Box::new(done)));
                    services.keep_result(&task, kept);
                }
                result
            }
        };
        let id = task.task_id();
        let running = tokio::spawn(task.within(Box::pin(work)));
        if !waits {
            return Ok(ByQueryResponse::Started(id));
        }
        let result = running
            .await
            .map_err(|error| ApiError::internal(error.to_string()))??;
        Ok(ByQueryResponse::Done(Box::new(result)))
    }

    /// Refuses at once who may not refresh, rather than when all is written.
    fn check_refresh(&self, services: &Services, context: &RequestContext) -> ApiResult<()> {
        if !self.options.refresh {
            return Ok(());
        }
        let Some(target) = self.refreshed() else {
            return Ok(());
        };
        let request = RefreshRequest { indices: target };
        let caller = &context.authentication;
        match services.authorizer.authorize(caller, request) {
            // The index will be there when there is something to refresh.
            Err(error) if error.status == 404 => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Returns what is refreshed in the end.
    fn refreshed(&self) -> Option<IndicesTarget> {
        match &self.write {
            Write::Copy(dest) => Some(IndicesTarget::one(&dest.index)),
            Write::Delete | Write::Update => self.indices.clone(),
        }
    }

    async fn run(
        self,
        services: &Arc<Services>,
        context: RequestContext,
        task: &Arc<Task>,
        parts: &Parts,
    ) -> ApiResult<ByQueryResult> {
        let begun = std::time::Instant::now();
        let refreshed = self.refreshed().filter(|_| self.options.refresh);
        let mut ended = Ended::default();
        if let Some(indices) = self.indices {
            let job = Arc::new(Job {
                indices,
                read: self.read,
                write: self.write,
                options: self.options,
            });
            let workers = workers(services, &context, &job, task, parts);
            let running = workers.map(|worker| {
                let progress = worker.progress.clone();
                let own = worker.tasks[1].clone();
                async move {
                    let ended = own.within(Box::pin(worker.run())).await;
                    progress.end();
                    ended
                }
            });
            // All of them end, whatever one comes to.
            for part in join_all(running).await {
                let part = part?;
                ended.timed_out |= part.timed_out;
                ended.failures.extend(part.failures);
                ended.touched.extend(part.touched);
            }
        }
        if let Some(indices) = refreshed.filter(|_| !ended.touched.is_empty()) {
            perform(services, context, RefreshRequest { indices }).await?;
        }
        Ok(ByQueryResult {
            took_ms: begun.elapsed().as_millis() as u64,
            timed_out: ended.timed_out,
            status: parts.status(),
            failures: ended.failures,
        })
    }
}

/// Returns who does the parts: each in a task of its own where there are several.
fn workers<'a>(
    services: &'a Arc<Services>,
    context: &'a RequestContext,
    job: &'a Arc<Job>,
    task: &'a Arc<Task>,
    parts: &'a Parts,
) -> impl Iterator<Item = Worker> + 'a {
    let count = parts.parts.len() as u32;
    let shares = (0..).zip(&parts.parts);
    shares.map(move |(number, progress)| {
        let own = match count {
            1 => task.clone(),
            _ => {
                let own = services.tasks.begin_part(task);
                own.steered_by(progress.clone());
                own
            }
        };
        let tasks = [task.clone(), own];
        progress.belongs_to(&tasks);
        Worker {
            services: services.clone(),
            context: context.clone(),
            job: job.clone(),
            tasks,
            progress: progress.clone(),
            slice: (count > 1).then_some((number, count)),
            max_docs: job.options.max_docs.map(|most| {
                let (most, count, number) = (most, u64::from(count), u64::from(number));
                most / count + u64::from(number < most % count)
            }),
        }
    })
}

fn current_task() -> ApiResult<Arc<Task>> {
    tasks::current().ok_or_else(|| ApiError::internal("by query outside of a task"))
}

/// Source: Elasticsearch, which divides no further by itself.
const MOST_AUTOMATIC_SLICES: u32 = 20;
