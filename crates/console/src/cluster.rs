//! The cluster, as every client sees it: HTTP with several nodes, of which one that answers is enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use parking_lot::Mutex;
use ringwall_base::SecretString;
use ringwall_rest::http_client::{HttpClient, HttpClientError, shown_url};
use ringwall_tls::SslContext;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::ClusterConfig;
use crate::words;

/// One request.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    /// With its query; begins with a slash.
    pub path: String,
    /// JSON, or lines of it.
    pub body: String,
}

impl Call {
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, String::new())
    }

    pub fn json(method: Method, path: impl Into<String>, body: &Value) -> Self {
        Self::new(method, path, body.to_string())
    }

    pub fn new(method: Method, path: impl Into<String>, body: String) -> Self {
        Self {
            method,
            path: path.into(),
            body,
        }
    }
}

/// What came back, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Answer {
    /// Returns the body as JSON, null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the reason that an error gives, else its status. That all shards failed is none: the first one tells it.
    pub fn reason(&self) -> String {
        let json = self.json();
        let of_shard = json.pointer("/error/root_cause/0/reason");
        if json["error"]["type"] == "search_phase_execution_exception"
            && let Some(reason) = of_shard.and_then(Value::as_str)
        {
            return reason.to_owned();
        }
        let error = json.get("error");
        let found = error.and_then(|error| error.get("reason").or(Some(error)));
        match found.and_then(Value::as_str) {
            Some(reason) => reason.to_owned(),
            None => format!("HTTP status {}", self.status),
        }
    }
}

/// No node answered. The text says why and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// What the console finds when it asks for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    Usable,
    /// The cluster answers, and does not take the console's own account.
    AccountRefused(String),
    Unreachable(String),
}

/// The nodes of `elasticsearch.hosts`.
pub struct Cluster {
    config: ClusterConfig,
    tls: Option<Arc<SslContext>>,
    hosts: Vec<Host>,
    /// The host that answered last.
    preferred: AtomicUsize,
    places: Semaphore,
    /// What the log was told last.
    told: Mutex<Option<Health>>,
    probed: tokio::sync::Mutex<Option<(Instant, Health)>>,
}

struct Host {
    url: String,
    /// Connections that wait for a request.
    idle: Mutex<Vec<HttpClient>>,
}

impl Cluster {
    pub fn new(config: ClusterConfig, tls: Option<Arc<SslContext>>) -> Self {
        let hosts = config.hosts.iter().map(|url| Host {
            url: url.clone(),
            idle: Mutex::default(),
        });
        Self {
            hosts: hosts.collect(),
            tls,
            preferred: AtomicUsize::new(0),
            places: Semaphore::new(config.max_connections),
            told: Mutex::default(),
            probed: tokio::sync::Mutex::default(),
            config,
        }
    }

    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// Returns the URL of the node that is asked first, as messages may show it.
    pub fn shown_url(&self) -> String {
        shown_url(&self.hosts[self.preferred.load(Ordering::Relaxed)].url)
    }

    pub fn tls(&self) -> Option<&Arc<SslContext>> {
        self.tls.as_ref()
    }

    /// Sends a request with an `Authorization` header. A node that cannot be reached is passed over; what was sent to one
    /// is not sent to another.
    pub async fn send(
        &self,
        authorization: Option<&SecretString>,
        call: &Call,
    ) -> Result<Answer, Unreachable> {
        let sent = timeout(
            self.config.timeout * 2,
            self.send_to_any(authorization, call),
        )
        .await;
        let sent = sent.unwrap_or_else(|_| {
            Err(Unreachable(format!(
                "the cluster did not answer within twice [elasticsearch.requestTimeout: {}ms]",
                self.config.timeout.as_millis()
            )))
        });
        if let Err(Unreachable(reason)) = &sent {
            self.tell(&Health::Unreachable(reason.clone()));
        }
        sent
    }

    async fn send_to_any(
        &self,
        authorization: Option<&SecretString>,
        call: &Call,
    ) -> Result<Answer, Unreachable> {
        let _place = self.places.acquire().await;
        let mut reasons = Vec::new();
        let first = self.preferred.load(Ordering::Relaxed);
        for number in (first..self.hosts.len()).chain(0..first) {
            match self.send_to(number, authorization, call).await {
                Ok(answer) => {
                    self.preferred.store(number, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => {
                    reasons.push(words::of_console(&error.to_string()));
                    // Others may have carried it out.
                    let is_unsent = matches!(
                        error,
                        HttpClientError::Connect { .. } | HttpClientError::Tls(_)
                    );
                    if !is_unsent && call.method != Method::GET {
                        break;
                    }
                }
            }
        }
        Err(Unreachable(reasons.join("; ")))
    }

    async fn send_to(
        &self,
        number: usize,
        authorization: Option<&SecretString>,
        call: &Call,
    ) -> Result<Answer, HttpClientError> {
        let host = &self.hosts[number];
        let headers = headers(authorization, !call.body.is_empty());
        let send = async |client: HttpClient| {
            let body = Bytes::from(call.body.clone());
            let sent = client.send(call.method.clone(), &call.path, headers.clone(), body);
            sent.await.map(|answer| (client, answer))
        };
        let idle = host.idle.lock().pop();
        let sent = match idle {
            Some(client) => match send(client).await {
                // The node may have closed it at that very moment.
                Err(HttpClientError::Exchange { .. }) if call.method == Method::GET => {
                    send(self.new_client(host)?).await
                }
                sent => sent,
            },
            None => send(self.new_client(host)?).await,
        };
        let (client, answer) = sent?;
        host.idle.lock().push(client);
        Ok(Answer {
            status: answer.status,
            body: answer.body,
        })
    }

    fn new_client(&self, host: &Host) -> Result<HttpClient, HttpClientError> {
        let client = HttpClient::new(&host.url, self.tls.clone(), None)?;
        Ok(client
            .with_timeout(self.config.timeout)
            .with_max_answer(self.config.max_answer))
    }

    /// Asks whether the cluster can be used, with the console's own account if it has one. An answer of a moment ago is
    /// given again: everybody can open the login page.
    pub async fn probe(&self) -> Health {
        let mut probed = self.probed.lock().await;
        if let Some((at, health)) = &*probed
            && at.elapsed() < PROBE_EVERY
        {
            return health.clone();
        }
        let health = self.ask_for_itself().await;
        *probed = Some((Instant::now(), health.clone()));
        self.tell(&health);
        health
    }

    async fn ask_for_itself(&self) -> Health {
        let account = self.config.account.as_ref();
        let call = Call::get("/_security/_authenticate");
        let sent = self.send(account.map(|(_, header)| header), &call).await;
        match (sent, account) {
            (Err(Unreachable(reason)), _) => Health::Unreachable(reason),
            (Ok(answer), Some((name, _))) if answer.status == StatusCode::UNAUTHORIZED => {
                Health::AccountRefused(format!("the cluster refuses {name}: {}", answer.reason()))
            }
            // Without an account, being asked who one is tells enough.
            (Ok(answer), _) if !answer.status.is_server_error() => Health::Usable,
            (Ok(answer), _) => Health::Unreachable(format!(
                "the cluster at [{}] answers: {}",
                self.shown_url(),
                answer.reason()
            )),
        }
    }

    /// Logs what changed.
    fn tell(&self, health: &Health) {
        let mut told = self.told.lock();
        if told.as_ref() == Some(health) {
            return;
        }
        match health {
            Health::Usable => tracing::info!("the cluster at [{}] can be used", self.shown_url()),
            Health::AccountRefused(reason) => tracing::warn!("{reason}"),
            Health::Unreachable(reason) => {
                tracing::warn!("the cluster cannot be reached: {reason}")
            }
        }
        *told = Some(health.clone());
    }
}

fn headers(authorization: Option<&SecretString>, has_body: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if has_body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let value = authorization.and_then(|text| HeaderValue::from_str(text.expose()).ok());
    if let Some(mut value) = value {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    headers
}

/// Returns the `Authorization` header of a user and password.
pub fn basic(user: &str, password: &SecretString) -> SecretString {
    let pair = SecretString::new(format!("{user}:{}", password.expose()));
    SecretString::new(format!("Basic {}", STANDARD.encode(pair.expose())))
}

/// How long an answer to the console's own question is good.
const PROBE_EVERY: Duration = Duration::from_secs(2);
