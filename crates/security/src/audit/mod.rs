//! The audit trail: who asked for what, from where, and whether it was let. Source: Elasticsearch reference, "Security
//! event audit logging".
//!
//! Nothing asks for an event. The authenticator's caller at the HTTP edge, the [`Authorizer`](crate::Authorizer) and the
//! filters of addresses tell the [`AuditTrail`] of each decision that they make, so that what is new is audited as
//! everything else.

mod change;
mod event;
mod policy;
mod redact;

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use ringwall_api::ApiResult;
use ringwall_api::auth::{Asked, Authentication, AuthenticationType};
use ringwall_base::FilterWatch;

use self::event::Event;
pub use self::event::{Kind, Kinds};
use self::policy::Policy;
pub use self::policy::{Emit, IgnoreConfig, NodeFacts, PolicyConfig};
use crate::{SecurityError, SecurityStore};

/// Who keeps the events. Must not wait: requests do.
pub trait AuditSink: Send + Sync + 'static {
    /// Takes an event: the members of its object from the node's facts on, each after a comma.
    fn take(&self, members: String);

    /// Returns whether requests have to be refused, as no more events may be lost.
    fn refuses(&self) -> bool {
        false
    }
}

/// What decides which events are written, and writes them to a sink.
pub struct AuditTrail {
    sink: Arc<dyn AuditSink>,
    /// For what is known of API keys.
    store: Arc<dyn SecurityStore>,
    policy: RwLock<Arc<Policy>>,
    configured: Mutex<(PolicyConfig, NodeFacts)>,
    /// Decisions that have been told, by their hash: a request of many parts tells the same again and again.
    told: Box<[AtomicU64]>,
    hasher: std::hash::RandomState,
}

/// A request as the HTTP edge has it.
pub struct HttpRequest<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
}

/// What has been decided about a request of somebody.
pub(crate) struct Decided<'a> {
    pub action: &'a str,
    /// The type of the request.
    pub request: Option<&'a str>,
    pub indices: Option<&'a [String]>,
    pub is_granted: bool,
}

/// Bytes of an event. What is longer is told without its longest members, so that every event finds room in the queue.
const MAX_MEMBERS: usize = 128 << 10;

/// How many decisions are remembered, of all requests together.
const TOLD: usize = 1 << 12;

impl AuditTrail {
    /// Returns a trail on a node, by the settings.
    ///
    /// # Errors
    /// As [`AuditTrail::configure`].
    pub fn new(
        sink: Arc<dyn AuditSink>,
        store: Arc<dyn SecurityStore>,
        node: NodeFacts,
        config: PolicyConfig,
    ) -> Result<Self, SecurityError> {
        let policy = Policy::compile(&config)?.on(&node);
        Ok(Self {
            sink,
            store,
            policy: RwLock::new(Arc::new(policy)),
            configured: Mutex::new((config, node)),
            told: (0..TOLD).map(|_| AtomicU64::new(0)).collect(),
            hasher: std::hash::RandomState::new(),
        })
    }

    /// Takes over other settings.
    ///
    /// # Errors
    /// A type of events that does not exist, a pattern that cannot be matched exactly. What was in force stays.
    pub fn configure(&self, config: PolicyConfig) -> Result<(), SecurityError> {
        let mut configured = self.configured.lock();
        let policy = Policy::compile(&config)?.on(&configured.1);
        configured.0 = config;
        *self.policy.write() = Arc::new(policy);
        Ok(())
    }

    /// Looks at settings without taking them over.
    ///
    /// # Errors
    /// As [`AuditTrail::configure`].
    pub fn check(config: &PolicyConfig) -> Result<(), SecurityError> {
        Policy::compile(config).map(drop)
    }

    /// Tells to which cluster the node belongs.
    pub fn set_cluster_uuid(&self, uuid: String) {
        let mut configured = self.configured.lock();
        configured.1.cluster_uuid = Some(uuid);
        // What is in force has been compiled before.
        if let Ok(policy) = Policy::compile(&configured.0) {
            *self.policy.write() = Arc::new(policy.on(&configured.1));
        }
    }

    /// Returns whether requests have to be refused, as no more events may be lost.
    pub fn refuses(&self) -> bool {
        self.sink.refuses()
    }

    /// Returns whether bodies of requests are written.
    pub fn wants_bodies(&self) -> bool {
        let policy = self.policy();
        policy.emit_request_body && policy.wants(Kind::AuthenticationSuccess)
    }

    /// Tells that somebody is who they say. The body is what came with the request, if it has been read.
    pub fn authenticated(&self, who: &Authentication, http: &HttpRequest<'_>, body: Option<&[u8]>) {
        let policy = self.policy();
        let kind = Kind::AuthenticationSuccess;
        if !policy.wants(kind) {
            return;
        }
        let body = body.filter(|body| policy.emit_request_body && !body.is_empty());
        // Of whom somebody acts as, the realm is that of who came.
        let came = who.run_by.as_deref().unwrap_or(who);
        let query = http.query.map(redact::query);
        let event = Event {
            realm: Some(&came.realm.name),
            body: body.map(redact::body),
            ..self.asked_over_http(kind, http, query.as_deref(), who.asked.as_deref())
        };
        self.write(&policy, kind, self.by(event, who, false));
    }

    /// Tells that nobody is let in: by no credentials that could be read, or for the given user by all realms together.
    pub fn not_authenticated(
        &self,
        kind: Kind,
        user: Option<&str>,
        realm: Option<&str>,
        http: &HttpRequest<'_>,
        asked: &Asked,
    ) {
        let policy = self.policy();
        if !policy.wants(kind) {
            return;
        }
        let query = http.query.map(redact::query);
        let event = Event {
            user,
            realm,
            ..self.asked_over_http(kind, http, query.as_deref(), Some(asked))
        };
        self.write(&policy, kind, event);
    }

    /// Tells that somebody may not act as another, before it is known what they want.
    pub fn run_as_refused(&self, who: &Authentication, wanted: &str, http: &HttpRequest<'_>) {
        let policy = self.policy();
        let kind = Kind::RunAsDenied;
        if !policy.wants(kind) {
            return;
        }
        let query = http.query.map(redact::query);
        let event = Event {
            user: Some(&who.user.username),
            user_realm: Some(self.realm_of(who)),
            run_as: Some(wanted),
            ..self.asked_over_http(kind, http, query.as_deref(), who.asked.as_deref())
        };
        self.write(&policy, kind, event);
    }

    /// Tells of credentials in the body of a request of an action: whose they are, or that they are nobody's.
    pub fn granted(&self, user: Option<&str>, found: &ApiResult<Authentication>, action: &str) {
        let policy = self.policy();
        let kind = match found {
            Ok(_) => Kind::AuthenticationSuccess,
            Err(error) if error.status == 401 => Kind::AuthenticationFailed,
            // Nothing is known of the credentials.
            Err(_) => return,
        };
        if !policy.wants(kind) {
            return;
        }
        let event = Event {
            event_type: TRANSPORT,
            action_of_event: kind.as_str(),
            origin_type: Some(LOCAL),
            user,
            action: Some(action),
            ..Event::default()
        };
        let event = match found {
            Ok(who) => self.by(event, who, false),
            Err(_) => event,
        };
        self.write(&policy, kind, event);
    }

    /// Tells what has been decided about a request. The same about the same request is told once.
    pub(crate) fn decided(&self, who: &Authentication, decided: &Decided<'_>) {
        let policy = self.policy();
        let kind = match (decided.is_granted, who.is_system()) {
            (true, true) => Kind::SystemAccessGranted,
            (true, false) => Kind::AccessGranted,
            (false, _) => Kind::AccessDenied,
        };
        // As with Elasticsearch, the system's own are a part of what is granted.
        let is_wanted = policy.wants(kind)
            && (kind != Kind::SystemAccessGranted || policy.wants(Kind::AccessGranted));
        if !is_wanted || self.is_told(kind, who, decided) {
            return;
        }
        let event = self.on_behalf(kind, who, decided);
        self.write(&policy, kind, self.by(event, who, true));
    }

    /// Tells whether somebody may act as another for a request.
    pub(crate) fn run_as(&self, by: &Authentication, who: &Authentication, decided: &Decided<'_>) {
        let policy = self.policy();
        let kind = match decided.is_granted {
            true => Kind::RunAsGranted,
            false => Kind::RunAsDenied,
        };
        if !policy.wants(kind) || self.is_told(kind, who, decided) {
            return;
        }
        let event = Event {
            user: Some(&by.user.username),
            user_realm: Some(self.realm_of(by)),
            roles: Some(self.roles_of(by)),
            run_as: Some(&who.user.username),
            // A user that is not there has no realm.
            run_as_realm: (who.realm.name != "none").then_some(who.realm.name.as_str()),
            ..self.on_behalf(kind, who, decided)
        };
        self.write(&policy, kind, event);
    }

    /// Tells what a request that has been authorized changes of the cluster's security.
    pub(crate) fn changes(&self, who: &Authentication, request: &dyn Any) {
        let policy = self.policy();
        let kind = Kind::SecurityConfigChange;
        if !policy.wants(kind) {
            return;
        }
        for change in change::of(request) {
            let event = Event {
                event_type: kind.as_str(),
                action_of_event: change.action,
                request_id: who.asked.as_ref().map(|asked| asked.request_id.as_str()),
                change: Some((change.member, change.content.to_string())),
                ..Event::default()
            };
            self.write(&policy, kind, self.by(event, who, false));
        }
    }

    /// Tells that another node does something for itself.
    pub fn system(&self, action: &str, peer: &str) {
        let policy = self.policy();
        let kind = Kind::SystemAccessGranted;
        if !policy.wants(kind) || !policy.wants(Kind::AccessGranted) {
            return;
        }
        let system = crate::system::identity();
        let event = Event {
            event_type: TRANSPORT,
            action_of_event: kind.as_str(),
            origin_type: Some(TRANSPORT),
            origin_address: Some(peer),
            action: Some(action),
            ..Event::default()
        };
        self.write(&policy, kind, self.by(event, &system, true));
    }

    fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read())
    }

    /// Returns whether the same has just been told of the same request.
    fn is_told(&self, kind: Kind, who: &Authentication, decided: &Decided<'_>) -> bool {
        use std::hash::BuildHasher as _;
        let Some(asked) = &who.asked else {
            return false;
        };
        // Never the empty place.
        let hash = 1 | self.hasher.hash_one((
            &asked.request_id,
            kind as u8,
            &who.user.username,
            decided.action,
            decided.request,
            decided.indices,
        ));
        let place = &self.told[(hash >> 1) as usize % TOLD];
        place.swap(hash, Ordering::Relaxed) == hash
    }

    fn asked_over_http<'a>(
        &self,
        kind: Kind,
        http: &HttpRequest<'a>,
        query: Option<&'a str>,
        asked: Option<&'a Asked>,
    ) -> Event<'a> {
        let event = Event {
            event_type: REST,
            action_of_event: kind.as_str(),
            path: Some(http.path),
            query: query.filter(|query| !query.is_empty()),
            method: Some(http.method),
            ..Event::default()
        };
        from(event, asked)
    }

    fn on_behalf<'a>(
        &self,
        kind: Kind,
        who: &'a Authentication,
        decided: &Decided<'a>,
    ) -> Event<'a> {
        let event = Event {
            event_type: TRANSPORT,
            action_of_event: kind.as_str(),
            action: Some(decided.action),
            request: decided.request,
            indices: decided.indices,
            ..Event::default()
        };
        from(event, who.asked.as_deref())
    }

    /// Adds who it is.
    fn by<'a>(&self, event: Event<'a>, who: &'a Authentication, with_roles: bool) -> Event<'a> {
        let by = who.run_by.as_deref();
        let key = who.api_key.as_ref();
        Event {
            authentication_type: Some(match who.authentication_type {
                AuthenticationType::Realm => "REALM",
                AuthenticationType::ApiKey => "API_KEY",
                AuthenticationType::Token => "TOKEN",
                AuthenticationType::Anonymous => "ANONYMOUS",
                AuthenticationType::Internal => "INTERNAL",
            }),
            user: Some(&who.user.username),
            user_realm: Some(self.realm_of(who)).filter(|realm| realm != "none"),
            run_by: by.map(|by| by.user.username.as_str()),
            run_by_realm: by.map(|by| by.realm.name.as_str()),
            roles: with_roles.then(|| self.roles_of(who)),
            api_key: key.map(|key| (key.id.as_str(), key.name.as_str())),
            token: who
                .token
                .as_ref()
                .map(|token| (token.name.as_str(), token.token_type.as_str())),
            ..event
        }
    }

    /// Returns the realm of a user; of an API key, that of its owner.
    fn realm_of(&self, who: &Authentication) -> String {
        let owner = who.api_key.as_ref().and_then(|key| {
            let stored = self.store.api_key(&key.id)?;
            Some(stored.info.owner.realm.name.clone())
        });
        owner.unwrap_or_else(|| who.realm.name.clone())
    }

    /// Returns the roles of a user; of an API key, those that its owner had.
    fn roles_of(&self, who: &Authentication) -> Vec<String> {
        if let Some(key) = &who.api_key {
            let stored = self.store.api_key(&key.id);
            return stored.map_or_else(Vec::new, |key| {
                key.info.limited_by.keys().cloned().collect()
            });
        }
        match who.realm.realm_type == crate::authc::SERVICE_ACCOUNT {
            true => vec![who.user.username.clone()],
            false => who.user.roles.clone(),
        }
    }

    fn write(&self, policy: &Policy, kind: Kind, mut event: Event<'_>) {
        if policy.ignores(kind, &event) {
            return;
        }
        let mut members = policy.facts.clone();
        event.write(&mut members);
        if members.len() > MAX_MEMBERS {
            // What is told by its length only is told.
            event.shorten();
            members.truncate(policy.facts.len());
            event.write(&mut members);
        }
        self.sink.take(members);
    }
}

impl FilterWatch for AuditTrail {
    fn decided(&self, profile: &str, peer: SocketAddr, is_let_in: bool, rule: &str) {
        let policy = self.policy();
        let kind = match is_let_in {
            true => Kind::ConnectionGranted,
            false => Kind::ConnectionDenied,
        };
        if !policy.wants(kind) {
            return;
        }
        let peer = peer.to_string();
        let event = Event {
            event_type: "ip_filter",
            action_of_event: kind.as_str(),
            origin_type: Some(match profile {
                HTTP_PROFILE => REST,
                _ => TRANSPORT,
            }),
            origin_address: Some(&peer),
            profile: Some(profile),
            rule: Some(rule),
            ..Event::default()
        };
        self.write(&policy, kind, event);
    }
}

impl std::fmt::Debug for AuditTrail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditTrail").finish_non_exhaustive()
    }
}

/// Adds where it came from.
fn from<'a>(event: Event<'a>, asked: Option<&'a Asked>) -> Event<'a> {
    match asked {
        None => Event {
            origin_type: Some(LOCAL),
            ..event
        },
        Some(asked) => Event {
            origin_type: Some(REST),
            origin_address: Some(&asked.address),
            request_id: Some(&asked.request_id),
            opaque_id: asked.opaque_id.as_deref(),
            trace_id: asked.trace_id.as_deref(),
            forwarded_for: asked.forwarded_for.as_deref(),
            ..event
        },
    }
}

const REST: &str = "rest";
const TRANSPORT: &str = "transport";
const LOCAL: &str = "local_node";
/// What the HTTP layer is called among the profiles of the transport.
pub const HTTP_PROFILE: &str = ".http";

#[cfg(test)]
mod tests;
