//! What a page is given: the request, who asks, and a way to ask the cluster as that user.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use maud::Markup;
use parking_lot::Mutex;
use ringwall_base::login_throttle::LoginThrottle;
use ringwall_tls::SslContext;
use serde_json::{Value, json};

use crate::cluster::{Answer, Call, Cluster, Unreachable};
use crate::config::Config;
use crate::failure::Failure;
use crate::request::Request;
use crate::rights::{self, Needs};
use crate::sessions::{Session, Sessions};

pub type PageResponse = Response<Full<Bytes>>;
pub type PageResult = Result<PageResponse, Failure>;

/// What all requests share.
pub struct App {
    pub config: Config,
    pub cluster: Cluster,
    pub sessions: Sessions,
    pub throttle: LoginThrottle,
    /// TLS towards browsers.
    pub server_tls: Option<Arc<SslContext>>,
}

/// One request on its way.
pub struct Context<'a> {
    pub app: &'a App,
    pub request: &'a Request,
    pub session: Option<Arc<Session>>,
    /// The parts of the path that the route leaves open, decoded.
    pub captures: Vec<String>,
    /// What was asked of the cluster for this page.
    calls: Mutex<Vec<Call>>,
}

impl<'a> Context<'a> {
    pub fn new(
        app: &'a App,
        request: &'a Request,
        session: Option<Arc<Session>>,
        captures: Vec<String>,
    ) -> Self {
        Self {
            app,
            request,
            session,
            captures,
            calls: Mutex::default(),
        }
    }

    /// Returns the session; the routes let nobody to a page that needs one without.
    pub fn session(&self) -> Result<&Session, Failure> {
        self.session.as_deref().ok_or(Failure::LoggedOut)
    }

    /// Returns a part of the path that the route leaves open.
    pub fn capture(&self, number: usize) -> Result<&str, Failure> {
        let found = self.captures.get(number).map(String::as_str);
        found.ok_or(Failure::NotFound)
    }

    /// Asks the cluster as the user; any answer but a success is a failure of the page.
    pub async fn ask(&self, call: Call) -> Result<Value, Failure> {
        success(&self.send(call).await?)
    }

    /// As [`Context::ask`], for a request or an answer with a secret, or one of the console's own: it is not among those that
    /// the page shows.
    pub async fn ask_unshown(&self, call: Call) -> Result<Value, Failure> {
        success(&self.send_unshown(&call).await?)
    }

    /// Refuses to go on unless the cluster says that there is no such thing: what was meant for a new one must not replace
    /// another, also when the cluster cannot tell.
    pub async fn is_new(&self, path: String, what: &str) -> Result<(), Failure> {
        match self.ask(Call::get(path)).await {
            Ok(_) => {
                let reason = format!("There is a {what} already.");
                Err(Failure::Refused(StatusCode::CONFLICT, reason))
            }
            Err(Failure::Refused(StatusCode::NOT_FOUND, _)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Asks the cluster as the user and returns any answer but the one that the user is not known.
    pub async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let answer = self.send_unshown(&call).await;
        if !matches!(answer, Err(Failure::Unreachable(_))) {
            self.calls.lock().push(call);
        }
        answer
    }

    async fn send_unshown(&self, call: &Call) -> Result<Answer, Failure> {
        let session = self.session()?;
        let sent = self.app.cluster.send(Some(&session.authorization), call);
        match sent.await {
            Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => Err(Failure::LoggedOut),
            Ok(answer) => Ok(answer),
            Err(Unreachable(reason)) => Err(Failure::Unreachable(reason)),
        }
    }

    /// Returns what was asked of the cluster for the page so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    /// Returns what the user may do of what pages need, as found a moment ago; what was known before where the cluster does
    /// not answer.
    pub async fn privileges(&self) -> Arc<BTreeSet<String>> {
        match self.current_privileges().await {
            Ok(found) => found,
            // Said by the page itself, which asks for more.
            Err(_) => {
                let known = self
                    .session
                    .as_ref()
                    .and_then(|session| session.privileges());
                known.map(|(_, known)| known).unwrap_or_default()
            }
        }
    }

    /// Refuses who lacks what a page needs, before anything else is asked.
    pub async fn require(&self, needs: Needs) -> Result<(), Failure> {
        match rights::suffice(&*self.current_privileges().await?, needs) {
            true => Ok(()),
            false => Err(Failure::Forbidden(rights::told(needs))),
        }
    }

    async fn current_privileges(&self) -> Result<Arc<BTreeSet<String>>, Failure> {
        let Some(session) = &self.session else {
            return Ok(Arc::default());
        };
        let now = Instant::now();
        if let Some((at, known)) = session.privileges()
            && now.saturating_duration_since(at) < PRIVILEGES_FOR
        {
            return Ok(known);
        }
        let body = json!({"cluster": rights::CLUSTER});
        let has = Call::json(Method::POST, "/_security/user/_has_privileges", &body);
        let own = Call::get("/_security/user/_privileges");
        let (has, own) = futures::try_join!(self.ask_unshown(has), self.ask_unshown(own))?;
        let found = Arc::new(rights::found(&has, &own));
        session.set_privileges(now, Arc::clone(&found));
        Ok(found)
    }

    /// Returns a path of the console as links have it.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.app.config.server.base_path)
    }

    /// Sends the browser on to a page of the console.
    pub fn redirect(&self, path: &str) -> PageResponse {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SEE_OTHER;
        // Paths are made of encoded segments.
        if let Ok(location) = HeaderValue::try_from(self.link(path)) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }

    /// As [`Context::redirect`], with a line about what was done.
    pub fn done(&self, path: &str, notice: String) -> PageResult {
        self.session()?.set_notice(notice);
        Ok(self.redirect(path))
    }
}

/// Returns what a success says, else the failure that it is.
fn success(answer: &Answer) -> Result<Value, Failure> {
    match answer.status {
        status if status.is_success() => Ok(answer.json()),
        StatusCode::FORBIDDEN => Err(Failure::Forbidden(answer.reason())),
        status if status.is_client_error() => Err(Failure::Refused(status, answer.reason())),
        _ => Err(Failure::Refused(StatusCode::BAD_GATEWAY, answer.reason())),
    }
}

/// Returns a page.
pub fn html(status: StatusCode, markup: Markup) -> PageResponse {
    let mut response = Response::new(Full::new(Bytes::from(markup.into_string())));
    *response.status_mut() = status;
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    response
}

const PRIVILEGES_FOR: Duration = Duration::from_secs(30);
