//! What both directions of a transport share.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use futures::FutureExt;
use parking_lot::{Mutex, RwLock};
use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::NodeId;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::TransportConfig;
use crate::handler::{Callers, Gate, InboundContext, Observer, RequestHandler};
use crate::handshake::Refusal;
use crate::identity::NodeIdentity;
use crate::inbound::Session;
use crate::link::LinkKind;
use crate::message::Message;
use crate::pool::Pool;
use crate::refusal::RefusalLog;
use crate::turns::Turns;
use crate::wire::Traffic;

/// What this node does when another asks, and who may.
#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) callers: Callers,
    pub(crate) handler: Arc<dyn RequestHandler>,
}

pub(crate) struct Core {
    pub(crate) config: TransportConfig,
    pub(crate) local_id: NodeId,
    pub(crate) local: RwLock<Arc<NodeIdentity>>,
    pub(crate) handlers: RwLock<BTreeMap<&'static str, Registered>>,
    pub(crate) gate: OnceLock<Arc<dyn Gate>>,
    pub(crate) observer: OnceLock<Arc<dyn Observer>>,
    pub(crate) pool: Pool,
    pub(crate) refusals: Arc<RefusalLog>,
    /// Peers that have not shown who they are.
    pub(crate) handshakes: Arc<Turns>,
    /// Peers past it.
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) sessions: Mutex<BTreeMap<u64, Arc<Session>>>,
    /// Inbound connections.
    pub(crate) inbound_tasks: TaskTracker,
    /// Everything else.
    pub(crate) tasks: TaskTracker,
    /// No new work; what runs may finish.
    pub(crate) stopping: CancellationToken,
    /// Everything ends.
    pub(crate) stopped: CancellationToken,
    /// See [`TransportConfig::dual_stack`]; may end while the node runs.
    dual_stack: AtomicBool,
    /// For work that is begun by threads outside of it.
    pub(crate) runtime: Handle,
    next_id: AtomicU64,
    pub(crate) dialled: AtomicU64,
    pub(crate) traffic: Arc<Traffic>,
}

impl Core {
    pub(crate) fn new(config: TransportConfig, local: NodeIdentity) -> Arc<Self> {
        Arc::new(Self {
            local_id: local.id,
            local: RwLock::new(Arc::new(local)),
            handlers: RwLock::default(),
            gate: OnceLock::new(),
            observer: OnceLock::new(),
            pool: Pool::new(),
            refusals: Arc::new(RefusalLog::new(config.refusal_interval)),
            handshakes: Turns::new(config.max_handshakes),
            connections: Arc::new(Semaphore::new(config.max_connections)),
            sessions: Mutex::default(),
            inbound_tasks: TaskTracker::new(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
            dual_stack: AtomicBool::new(config.dual_stack && config.tls.is_some()),
            runtime: Handle::current(),
            next_id: AtomicU64::new(1),
            dialled: AtomicU64::new(0),
            traffic: Arc::default(),
            config,
        })
    }

    pub(crate) fn local(&self) -> Arc<NodeIdentity> {
        Arc::clone(&self.local.read())
    }

    /// Returns whether plaintext is let in beside TLS.
    pub(crate) fn is_dual_stack(&self) -> bool {
        self.dual_stack.load(Ordering::Relaxed)
    }

    /// Lets plaintext in no more. Returns whether it was.
    pub(crate) fn end_dual_stack(&self) -> bool {
        self.dual_stack.swap(false, Ordering::Relaxed)
    }

    /// Returns whether links of this kind are forbidden: without TLS, where TLS is on and no longer beside
    /// plaintext.
    pub(crate) fn forbids(&self, encrypted: bool, has_tls: bool) -> bool {
        !encrypted && has_tls && !self.is_dual_stack()
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns an action, or the error that a peer gets.
    pub(crate) fn action(&self, action: &str) -> Result<Registered, ApiError> {
        self.handlers.read().get(action).cloned().ok_or_else(|| {
            let reason = format!("No handler for action [{}]", action.escape_debug());
            ApiError::new(ErrorCode::ActionNotFound, reason)
        })
    }
}

impl Core {
    /// Refuses a node that is not the one known by its id. This node is known by its own key.
    pub(crate) fn check_key(&self, node: &NodeIdentity) -> Result<(), Refusal> {
        let known = match node.id == self.local_id {
            true => self.local.read().key,
            false => self.gate.get().and_then(|gate| gate.key_of(node.id)),
        };
        if known.is_none() || known == node.key {
            return Ok(());
        }
        Err(Refusal::ForeignKey {
            id: node.id,
            name: node.name.clone(),
            key: node.key,
        })
    }

    /// Refuses who may not call the action. A node that others know as a member already is waited for a little.
    pub(crate) async fn admit(
        &self,
        callers: Callers,
        name: &str,
        peer: &NodeIdentity,
        has_user: bool,
        deadline: Instant,
    ) -> Result<(), ApiError> {
        if callers != Callers::Anyone && !self.belongs(peer, name, deadline).await {
            let reason = format!(
                "action [{name}] is for members of this cluster only, and node [{peer}] is none as far as this node \
                 knows"
            );
            tracing::debug!(reason, "refused a request of another node");
            // Not for good: either of them may only be behind the other.
            return Err(ApiError::new(ErrorCode::NotAMember, reason));
        }
        check_user(callers, name, has_user)
    }

    async fn belongs(&self, peer: &NodeIdentity, action: &str, deadline: Instant) -> bool {
        let Some(gate) = self.gate.get() else {
            return false;
        };
        if gate.is_member(peer, action) {
            return true;
        }
        let deadline = deadline.min(Instant::now() + self.config.member_wait);
        timeout_at(deadline, gate.becomes_member(peer, action))
            .await
            .is_ok()
    }
}

/// Refuses a request without a user where one is needed.
pub(crate) fn check_user(callers: Callers, name: &str, has_user: bool) -> Result<(), ApiError> {
    if callers != Callers::MembersForUsers || has_user {
        return Ok(());
    }
    Err(refused(format!(
        "action [{name}] is done for a user only, and the request names none"
    )))
}

fn refused(reason: String) -> ApiError {
    tracing::debug!(reason, "refused a request of another node");
    ApiError::new(ErrorCode::Security, reason).with_status(403)
}

/// Runs a handler until its deadline. A panic in it is this request's failure, not the node's.
pub(crate) async fn run(
    core: &Core,
    handler: Arc<dyn RequestHandler>,
    action: &str,
    context: InboundContext,
    request: Message,
) -> Result<Message, ApiError> {
    let deadline = context.deadline;
    // `handle` itself is inside the guard too: it may run code before the first await.
    let observer = match LinkKind::of_action(action) {
        LinkKind::Cluster => None,
        _ => core.observer.get().map(Arc::clone),
    };
    let guarded = AssertUnwindSafe(async move {
        match observer {
            None => handler.handle(context, request).await,
            Some(observer) => {
                let asked = context.clone();
                // Begun when polled, so within what the observer sets around it.
                let handling = async move { handler.handle(context, request).await };
                observer.observe(action, &asked, handling.boxed()).await
            }
        }
    });
    match timeout_at(deadline, guarded.catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => {
            tracing::error!(event.action = action, "handler panicked");
            Err(ApiError::internal(format!(
                "internal error while handling [{action}]"
            )))
        }
        Err(_elapsed) => Err(ApiError::new(
            ErrorCode::ReceiveTimeout,
            format!("[{action}] did not finish before its deadline"),
        )),
    }
}
