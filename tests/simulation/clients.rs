//! Clients that write, and remember what they were told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ringwall_api::auth::{AuthenticationType, RealmRef, User};
use ringwall_api::document::{
    BulkRequest, GetRequest, OpType, RefreshPolicy, SourceFilter, WriteItem,
};
use ringwall_api::indices::CreateIndexRequest;
use ringwall_api::{
    ApiError, ApiResult, Authentication, Client, ClientExt, IndicesTarget, RequestContext,
    Unauthorized,
};
use serde_json::{Value, json};

use crate::deterministic::Dice;

pub const INDEX: &str = "logs";
/// Clients of each node.
const CLIENTS: u64 = 1;
/// Documents that a client writes in turn.
const KEYS: u64 = 4;
/// How long the cluster may try to do what a client asks.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// What is known of one document.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What the last acknowledged write left: a number, or nothing.
    acknowledged: Option<Option<u64>>,
    /// What a write without an answer may have left. There is none after it, as it may come late.
    perhaps: Option<Option<u64>>,
}

impl Known {
    /// Returns whether a copy may have this.
    pub fn allows(&self, found: Option<u64>) -> bool {
        let last = self.acknowledged.unwrap_or(None);
        found == last || self.perhaps == Some(found)
    }
}

/// Every document, and what happened in the order in which it did.
#[derive(Default)]
pub struct History {
    pub documents: BTreeMap<String, Known>,
    pub acknowledged: u64,
    pub unanswered: u64,
    /// The number that was written last, each once.
    last: u64,
    pub created: bool,
}

/// Writes through one node until it is no more.
pub async fn write(client: Arc<dyn Client>, node: usize, history: Arc<Mutex<History>>, seed: u64) {
    if node == 0 {
        create(&client, &history).await;
    }
    while !history.lock().created {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let clients = (0..CLIENTS).map(|number| {
        let dice = Dice(seed ^ (number << 8) ^ (node as u64) << 16);
        run(
            client.clone(),
            format!("{node}-{number}"),
            history.clone(),
            dice,
        )
    });
    futures::future::join_all(clients).await;
}

async fn create(client: &Arc<dyn Client>, history: &Mutex<History>) {
    while !history.lock().created {
        let request = CreateIndexRequest {
            index: IndicesTarget::one(INDEX),
            settings: json!({"number_of_shards": 1, "number_of_replicas": 2}),
            mappings: json!({}),
            aliases: json!({}),
            wait_for_active_shards: None,
            timeout_ms: 5000,
            auto: true,
        };
        match client.execute(context(), request).await {
            Ok(_) => history.lock().created = true,
            Err(error) => {
                tracing::info!(%error, "index not created yet");
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
    }
}

async fn run(client: Arc<dyn Client>, name: String, history: Arc<Mutex<History>>, mut dice: Dice) {
    let mut generation = 0;
    loop {
        tokio::time::sleep(dice.milliseconds(1, 80)).await;
        let key = dice.below(KEYS);
        let id = loop {
            // One that a write without an answer may still reach is left alone.
            let id = format!("{name}-{key}-{generation}");
            let known = history.lock().documents.get(&id).cloned();
            match known.and_then(|known| known.perhaps) {
                None => break id,
                Some(_) => generation += 1,
            }
        };
        let deletes = dice.below(5) == 0;
        let number = {
            let mut history = history.lock();
            history.last += 1;
            (!deletes).then_some(history.last)
        };
        // Before it is sent: the node may be gone before the answer.
        history
            .lock()
            .documents
            .entry(id.clone())
            .or_default()
            .perhaps = Some(number);
        let outcome = put(&client, &id, number, dice.below(8) == 0).await;
        let mut history = history.lock();
        tracing::info!(id, ?number, ?outcome, "told");
        match outcome {
            Ok(()) => {
                history.acknowledged += 1;
                let known = history.documents.entry(id).or_default();
                known.acknowledged = Some(number);
                known.perhaps = None;
            }
            Err(_) => history.unanswered += 1,
        }
    }
}

async fn put(
    client: &Arc<dyn Client>,
    id: &str,
    number: Option<u64>,
    refresh: bool,
) -> Result<(), ApiError> {
    let (op, source) = match number {
        Some(number) => (OpType::Index, format!("{{\"n\":{number}}}")),
        None => (OpType::Delete, String::new()),
    };
    let item = WriteItem::new(op, INDEX, Some(id.to_owned()), source.into());
    let request = BulkRequest {
        items: Unauthorized::new(vec![item]),
        refresh: if refresh {
            RefreshPolicy::Immediate
        } else {
            RefreshPolicy::None
        },
        timeout_ms: PATIENCE.as_millis() as u64,
        wait_for_active_shards: None,
    };
    let answer = client.execute(context(), request).await?;
    let item = answer.items.into_iter().next();
    item.map_or_else(
        || Err(ApiError::internal("no answer")),
        |item| item.outcome.map(drop),
    )
}

/// Returns what the copy on the node of this client has under an id.
pub async fn read(client: &Arc<dyn Client>, id: &str) -> ApiResult<Option<u64>> {
    let request = GetRequest {
        index: IndicesTarget::one(INDEX),
        id: id.to_owned(),
        routing: None,
        preference: Some("_only_local".to_owned()),
        realtime: true,
        refresh: false,
        source: SourceFilter::default(),
        version: None,
    };
    let found = client.execute(context(), request).await?;
    let source = found
        .source
        .and_then(|source| serde_json::from_slice::<Value>(&source).ok());
    Ok(source.and_then(|source| source["n"].as_u64()))
}

fn context() -> RequestContext {
    RequestContext::of(Authentication {
        user: Arc::new(User {
            username: "client".to_owned(),
            roles: vec!["superuser".to_owned()],
            full_name: None,
            email: None,
            metadata: serde_json::Map::new(),
            enabled: true,
        }),
        realm: RealmRef {
            name: "simulation".to_owned(),
            realm_type: "native".to_owned(),
        },
        authentication_type: AuthenticationType::Realm,
        token: None,
        api_key: None,
        run_by: None,
        asked: None,
    })
}
