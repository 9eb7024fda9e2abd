//! What the audit trail is told at the HTTP edge: who came, and who was not let in.

use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;
use ringwall_api::auth::Asked;
use ringwall_api::{ApiError, Authentication, ErrorCode, RequestContext};
use ringwall_base::random_uuid;
use ringwall_security::audit::{HttpRequest, Kind};
use ringwall_security::{AuditTrail, Refusal};

/// A request that is looked at, with the trail that is told of it.
pub(crate) struct Audited<'a> {
    trail: &'a AuditTrail,
    http: HttpRequest<'a>,
    pub asked: Arc<Asked>,
}

impl<'a> Audited<'a> {
    pub fn new(trail: &'a AuditTrail, parts: &'a Parts, peer: SocketAddr) -> Self {
        let header = |name: &str| {
            let text = String::from_utf8_lossy(parts.headers.get(name)?.as_bytes()).into_owned();
            Some(text)
        };
        let asked = Asked {
            request_id: random_uuid(),
            address: peer.to_string(),
            opaque_id: header("x-opaque-id"),
            trace_id: header("traceparent").as_deref().and_then(trace_id),
            forwarded_for: header("x-forwarded-for"),
        };
        Self {
            trail,
            http: http(parts),
            asked: Arc::new(asked),
        }
    }

    /// Tells that headers came which only nodes send.
    pub fn tampered(&self) {
        self.tell(Kind::TamperedRequest, None, None);
    }

    /// Tells which realms have refused whom, and whether nobody was let in.
    pub fn looked_at(
        &self,
        authorization: Option<&str>,
        refusals: &[Refusal],
        error: Option<&ApiError>,
    ) {
        for refusal in refusals {
            let user = Some(refusal.username.as_str());
            let realm = Some(refusal.realm.as_str());
            self.tell(Kind::RealmAuthenticationFailed, user, realm);
        }
        // Anything else says nothing about credentials: too many wait, for one.
        if error.is_none_or(|error| error.status != 401) {
            return;
        }
        let user = refusals.first().map(|refusal| refusal.username.as_str());
        let basic = |header: &str| header.to_ascii_lowercase().starts_with("basic ");
        // As with Elasticsearch: a key or a token that holds nothing is none.
        let kind = match user.is_some() || authorization.is_some_and(basic) {
            true => Kind::AuthenticationFailed,
            false => Kind::AnonymousAccessDenied,
        };
        self.tell(kind, user, None);
    }

    /// Tells that who came may not act as another.
    pub fn run_as_refused(&self, who: &Authentication, wanted: &str) {
        self.trail.run_as_refused(who, wanted, &self.http);
    }

    fn tell(&self, kind: Kind, user: Option<&str>, realm: Option<&str>) {
        let asked = &self.asked;
        self.trail
            .not_authenticated(kind, user, realm, &self.http, asked);
    }
}

/// A success that is told once: with the body where bodies are wanted, or without when no body comes to be read.
pub(crate) struct Success<'a> {
    trail: &'a AuditTrail,
    http: HttpRequest<'a>,
    who: Authentication,
    is_told: bool,
}

impl<'a> Success<'a> {
    pub fn new(trail: &'a AuditTrail, parts: &'a Parts, context: &RequestContext) -> Self {
        let mut success = Self {
            trail,
            http: http(parts),
            who: context.authentication.clone(),
            is_told: false,
        };
        if !trail.wants_bodies() {
            success.tell(None);
        }
        success
    }

    pub fn tell(&mut self, body: Option<&[u8]>) {
        if !self.is_told {
            self.is_told = true;
            self.trail.authenticated(&self.who, &self.http, body);
        }
    }
}

impl Drop for Success<'_> {
    fn drop(&mut self) {
        self.tell(None);
    }
}

fn http(parts: &Parts) -> HttpRequest<'_> {
    HttpRequest {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query(),
    }
}

/// Returns the id of a trace. Source: W3C Trace Context, section 3.2.
fn trace_id(traceparent: &str) -> Option<String> {
    let id = traceparent.split('-').nth(1)?;
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_owned())
}

/// Returns the 503 of a node that may lose no event and cannot write any.
pub(crate) fn full() -> ApiError {
    ApiError::new(
        ErrorCode::AuditLogFull,
        "the audit log of this node cannot be written, and [xpack.security.audit.logfile.queue.when_full] is [refuse]: no \
         request is answered until its disk takes events again",
    )
}
