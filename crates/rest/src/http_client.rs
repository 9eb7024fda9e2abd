//! A small HTTP client for the tools, the tests and the quick start.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use ringwall_base::SecretString;
use ringwall_tls::{MaybeTlsStream, SslContext, explain_io_error};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// The base URL is not `http://host:port` or `https://host:port`.
    /// It is not shown: it may have a password in it, or be one.
    #[error("the URL of the node is not a base URL: {reason}")]
    InvalidUrl { reason: &'static str },
    /// The TCP connection failed.
    #[error("cannot connect to [{url}]: {source}")]
    Connect { url: String, source: std::io::Error },
    /// The TLS handshake failed; the text says who, why and what to do.
    #[error("{0}")]
    Tls(String),
    /// No answer in time.
    #[error("no answer from [{url}] within [{seconds}s]")]
    Timeout { url: String, seconds: u64 },
    /// The exchange broke off or was not HTTP.
    #[error("the request to [{url}] failed: {reason}")]
    Exchange { url: String, reason: String },
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct HttpResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl HttpResponse {
    /// Returns the body as JSON, null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Speaks HTTP/1.1 to one node, one request at a time, over one connection kept open.
pub struct HttpClient {
    base: Base,
    tls: Option<Arc<SslContext>>,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    max_answer: usize,
    connection: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

struct Base {
    url: String,
    host: String,
    port: u16,
    authority: String,
    /// What every path begins with, such as behind a proxy; no slash at its end.
    prefix: String,
}

impl HttpClient {
    /// Returns a client of a base URL. `tls` is required for `https`; see
    /// [`SslContext::for_tools`].
    pub fn new(
        base_url: &str,
        tls: Option<Arc<SslContext>>,
        credentials: Option<(&str, &SecretString)>,
    ) -> Result<Self, HttpClientError> {
        let base = Base::parse(base_url, tls.is_some())?;
        let authorization = credentials.and_then(|(user, password)| basic(user, password));
        let tls = tls.filter(|_| base_url.starts_with("https://"));
        Ok(Self {
            base,
            tls,
            authorization,
            timeout: DEFAULT_TIMEOUT,
            max_answer: MAX_ANSWER_BYTES,
            connection: Mutex::new(None),
        })
    }

    /// Sends another `Authorization` header than that of a user, such as `ApiKey …`; none when the text cannot
    /// be a header's value.
    pub fn with_authorization(mut self, authorization: &SecretString) -> Self {
        let value = HeaderValue::from_str(authorization.expose()).ok();
        self.authorization = value.map(|mut value| {
            value.set_sensitive(true);
            value
        });
        self
    }

    /// Sets the time that connecting and each request may take; 60 seconds by default.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the bytes that the body of an answer may have; 256 MiB by default. A longer one is a failed exchange.
    pub fn with_max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Sends a request and reads the whole answer. `path` begins with a slash.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: impl Into<Bytes>,
    ) -> Result<HttpResponse, HttpClientError> {
        let mut headers = HeaderMap::new();
        if let Some(value) = content_type.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(CONTENT_TYPE, value);
        }
        self.send(method, path, headers, body.into()).await
    }

    /// As [`HttpClient::request`], with any headers.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<HttpResponse, HttpClientError> {
        let exchange = self.exchange(method, path, headers, body);
        timeout(self.timeout, exchange)
            .await
            .map_err(|_| HttpClientError::Timeout {
                url: self.base.url.clone(),
                seconds: self.timeout.as_secs(),
            })?
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<HttpResponse, HttpClientError> {
        let mut slot = self.connection.lock().await;
        // Taken out: an exchange that is abandoned half-way must not leave its connection behind.
        let mut sender = match slot.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.connect().await?,
        };
        if sender.ready().await.is_err() {
            // Closed by the server while idle.
            sender = self.connect().await?;
        }
        let request = self.build(method, path, headers, body)?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| self.failed(&error))?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, self.max_answer)
            .collect()
            .await
            .map_err(|error| HttpClientError::Exchange {
                url: self.base.url.clone(),
                reason: error.to_string(),
            })?
            .to_bytes();
        *slot = Some(sender);
        Ok(HttpResponse {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    fn build(
        &self,
        method: Method,
        path: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, HttpClientError> {
        let exchange = |reason: String| HttpClientError::Exchange {
            url: self.base.url.clone(),
            reason,
        };
        let uri: Uri = format!("{}{path}", self.base.prefix)
            .parse()
            .map_err(|error| exchange(format!("[{path}] is not a path: {error}")))?;
        let host = HeaderValue::try_from(self.base.authority.as_str())
            .map_err(|error| exchange(error.to_string()))?;
        headers.insert(HOST, host);
        if let (Some(value), false) = (&self.authorization, headers.contains_key(AUTHORIZATION)) {
            headers.insert(AUTHORIZATION, value.clone());
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, HttpClientError> {
        let tcp = TcpStream::connect((self.base.host.as_str(), self.base.port))
            .await
            .map_err(|source| HttpClientError::Connect {
                url: self.base.url.clone(),
                source,
            })?;
        let stream = self.secure(tcp).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.failed(&error))?;
        tokio::spawn(async move {
            // Its failure reaches the request that waits for the answer.
            let _ = connection.await;
        });
        Ok(sender)
    }

    async fn secure(&self, tcp: TcpStream) -> Result<MaybeTlsStream, HttpClientError> {
        let connect = |source| HttpClientError::Connect {
            url: self.base.url.clone(),
            source,
        };
        tcp.set_nodelay(true).map_err(connect)?;
        let Some(tls) = &self.tls else {
            return Ok(tcp.into());
        };
        let peer = tcp.peer_addr().map_err(connect)?;
        tls.connect(tcp, &self.base.host, peer, self.timeout)
            .await
            .map(MaybeTlsStream::from)
            .map_err(|failure| HttpClientError::Tls(failure.to_string()))
    }

    /// Words a failed exchange; a TLS refusal that came late keeps its explanation.
    fn failed(&self, error: &hyper::Error) -> HttpClientError {
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            if let Some(failure) = cause
                .downcast_ref::<std::io::Error>()
                .and_then(explain_io_error)
            {
                return HttpClientError::Tls(failure.to_string());
            }
            source = cause.source();
        }
        HttpClientError::Exchange {
            url: self.base.url.clone(),
            reason: match error.is_canceled() {
                true => "the connection ended".to_owned(),
                false => error.to_string(),
            },
        }
    }
}

impl Base {
    fn parse(url: &str, has_tls: bool) -> Result<Self, HttpClientError> {
        let invalid = |reason| HttpClientError::InvalidUrl { reason };
        let uri: Uri = url
            .parse()
            .map_err(|_| invalid("expected https://host:port"))?;
        let default_port = match uri.scheme_str() {
            Some("https") if has_tls => 443,
            Some("https") => return Err(invalid("https needs certificates to trust")),
            Some("http") => 80,
            _ => return Err(invalid("expected https://host:port")),
        };
        if uri.query().is_some() {
            return Err(invalid("it must not have a query"));
        }
        let authority = uri.authority().ok_or_else(|| invalid("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("credentials do not belong into the URL"));
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        Ok(Self {
            url: url.to_owned(),
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(default_port),
            authority: authority.to_string(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

/// Returns a URL as messages may show it: without a user and password; what does not read as a URL not at all.
pub fn shown_url(url: &str) -> String {
    let uri = url.parse::<Uri>().ok();
    let parts = uri.as_ref().and_then(|uri| {
        let scheme = uri.scheme_str()?;
        let authority = uri.authority()?.as_str();
        let host = authority.rsplit('@').next()?;
        Some(format!(
            "{scheme}://{host}{}",
            uri.path().trim_end_matches('/')
        ))
    });
    parts.unwrap_or_else(|| "the given URL".to_owned())
}

/// Returns the header of a user and password, marked so that it is never printed.
fn basic(user: &str, password: &SecretString) -> Option<HeaderValue> {
    let pair = SecretString::new(format!("{user}:{}", password.expose()));
    let text = SecretString::new(format!("Basic {}", STANDARD.encode(pair.expose())));
    let mut value = HeaderValue::try_from(text.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_ANSWER_BYTES: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_checked() {
        let base = Base::parse("https://[::1]:9200", true).unwrap();
        assert_eq!((base.host.as_str(), base.port), ("::1", 9200));
        assert_eq!(base.authority, "[::1]:9200");
        assert_eq!(Base::parse("http://es01/", false).unwrap().port, 80);
        let behind_a_proxy = Base::parse("http://es01/a/b/", false).unwrap();
        assert_eq!(behind_a_proxy.prefix, "/a/b");
        for url in [
            "es01:9200",
            "ftp://es01",
            "https://u:p@es01",
            "http://es01/x?y",
            "https://",
            "",
        ] {
            assert!(Base::parse(url, true).is_err(), "{url}");
        }
        assert!(Base::parse("https://es01", false).is_err());
    }
}
