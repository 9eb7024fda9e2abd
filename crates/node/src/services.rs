//! What the parts of a running node share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::auth::Authentication;
use ringwall_api::cluster::TaskResult;
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::NodeId;
use ringwall_base::breaker::Breakers;
use ringwall_cluster::ClusterState;
use ringwall_coordination::Coordination;
use ringwall_rest::ConnectionCounts;
use ringwall_security::files::{ServiceTokensFile, Watched};
use ringwall_security::{Authenticator, Authorizer, PasswordService};
use ringwall_settings::registry::indices::{
    TASK_RESULTS_KEEP, TASK_RESULTS_MAX_COUNT, TASK_RESULTS_MEMORY,
};
use ringwall_tls::{RefusalLog, SslContext};
use ringwall_transport::{NodeAction, Transport};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::audit::{Audit, Place};
use crate::cluster_service::ClusterService;
use crate::disk::Disk;
use crate::indexing_pressure::IndexingPressure;
use crate::live_settings::LiveSettings;
use crate::pools::Pools;
use crate::recovery::{RecoveryLog, RecoveryRate, RecoverySessions};
use crate::search::SearchContexts;
use crate::search::readers::Readers;
use crate::shards::Shards;
use crate::tasks::{KeptResult, ResultLimits, Task, Tasks};
use crate::views::Reading;

/// Everything that the actions of a node work with.
pub struct Services {
    pub settings: Arc<LiveSettings>,
    pub disk: Arc<Disk>,
    pub cluster: ClusterService,
    pub coordination: Arc<Coordination>,
    pub transport: Transport,
    pub pools: Pools,
    pub breakers: Breakers,
    pub indexing_pressure: IndexingPressure,
    pub shards: Shards,
    pub recoveries: RecoverySessions,
    pub recovery_rate: RecoveryRate,
    pub recovery_log: RecoveryLog,
    pub searches: SearchContexts,
    pub readers: Readers,
    pub tasks: Tasks,
    pub authorizer: Arc<Authorizer>,
    /// `None` where there is no audit log.
    pub audit: Option<Arc<Audit>>,
    pub audit_place: Place,
    pub authenticator: Arc<Authenticator>,
    pub passwords: PasswordService,
    /// Tokens of service accounts in a file of this node; `None` when security is off.
    pub service_tokens: Option<Arc<Watched<ServiceTokensFile>>>,
    /// The TLS contexts in use, for `GET /_ssl/certificates`.
    pub tls: Vec<Arc<SslContext>>,
    pub clients: Clients,
    pub cluster_name: String,
    pub started_at: std::time::Instant,
}

/// What is known of the clients of this node.
pub struct Clients {
    /// Where it listens for them.
    pub bound: Vec<SocketAddr>,
    pub counts: Arc<ConnectionCounts>,
    pub refusals: Arc<RefusalLog>,
}

impl Clients {
    /// Returns those of a node without an HTTP server.
    pub fn none() -> Self {
        Self {
            bound: Vec::new(),
            counts: Arc::default(),
            refusals: Arc::new(RefusalLog::new(Duration::ZERO)),
        }
    }
}

impl Services {
    /// Returns who reads, for [`crate::views`].
    pub fn reading<'a>(&'a self, caller: &'a Authentication, action: &'static str) -> Reading<'a> {
        Reading {
            authorizer: &self.authorizer,
            caller,
            action,
        }
    }

    /// Keeps what a task came to for whoever asks for it.
    pub fn keep_result(&self, task: &Task, outcome: ApiResult<TaskResult>) {
        let age = self.settings.get(&TASK_RESULTS_KEEP).duration();
        let limits = ResultLimits {
            count: self.settings.get(&TASK_RESULTS_MAX_COUNT),
            bytes: self.settings.get(&TASK_RESULTS_MEMORY).bytes(),
            age: age.unwrap_or(Duration::MAX),
        };
        let result = KeptResult {
            task: task.info(true),
            outcome: Arc::new(outcome),
        };
        self.tasks.keep(result, &limits);
    }

    /// Returns the id of this node.
    pub fn local_node(&self) -> NodeId {
        self.transport.local().id
    }

    /// Calls another node (or this one) on the node's own behalf.
    pub async fn call<Q, A>(
        &self,
        node: NodeId,
        action: NodeAction<Q, A>,
        message: Q,
        timeout: Duration,
    ) -> ApiResult<A>
    where
        Q: Serialize + Send + 'static,
        A: DeserializeOwned + 'static,
    {
        let system = ringwall_security::system::identity();
        self.call_as(&system, node, action, message, timeout).await
    }

    /// Calls another node (or this one) for a user; the node checks the user's right again.
    pub async fn call_as<Q, A>(
        &self,
        authentication: &Authentication,
        node: NodeId,
        action: NodeAction<Q, A>,
        message: Q,
        timeout: Duration,
    ) -> ApiResult<A>
    where
        Q: Serialize + Send + 'static,
        A: DeserializeOwned + 'static,
    {
        self.set_address(node);
        let call = self
            .transport
            .send_typed(node, action, message, Some(authentication), timeout);
        tokio::select! {
            biased;
            result = call => result.map_err(ApiError::from),
            () = self.left(node) => Err(ApiError::new(
                ErrorCode::NodeDisconnected,
                format!("[{node}][{action}] the node left the cluster"),
            )),
        }
    }

    /// Completes when a node that is in the cluster now is no longer, or is another process: nobody
    /// waits for a node that the master has given up.
    async fn left(&self, node: NodeId) {
        let process = |state: &ClusterState| state.nodes.get(&node).map(|n| n.ephemeral_id.clone());
        let mut changes = self.cluster.applied().subscribe();
        changes.borrow_and_update();
        let Some(before) = process(&self.cluster.state()) else {
            return std::future::pending().await;
        };
        while changes.changed().await.is_ok() {
            if process(&self.cluster.state()).as_ref() != Some(&before) {
                return;
            }
        }
        std::future::pending().await
    }

    /// Tells the transport where a node of the cluster is, in case it never dialled it.
    fn set_address(&self, node: NodeId) {
        if node == self.local_node() {
            return;
        }
        if let Some(record) = self.cluster.state().nodes.get(&node) {
            self.transport.set_address(node, &record.transport_address);
        }
    }
}
