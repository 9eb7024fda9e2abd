//! One request, from its head to its answer.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue, ORIGIN, STRICT_TRANSPORT_SECURITY, WARNING};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use ringwall_api::{ApiError, ApiResult, Authentication, Client, ErrorCode, RequestContext};
use ringwall_base::ByteSizeValue;
use ringwall_base::breaker::{Account, Breakers, Purpose};
use ringwall_security::authc::tampered_request;
use ringwall_security::{AuditTrail, Authenticator, ClientCertificates};
use serde_json::json;

use crate::audit::{self, Audited, Success};
use crate::cors::Cors;
use crate::formats::{self, Format};
use crate::http::body::{BodyLimits, read_body};
use crate::http::discard::Discard;
use crate::http::{Answered, HttpService};
use crate::json::did_you_mean;
use crate::memory::Parsed;
use crate::params::Params;
use crate::render::{BodyType, Rendering, check_media_types};
use crate::request::{
    IndexNames, NameMath, RestRequest, RestResponse, refuse_unread, takes_no_body, unrecognized,
};
use crate::router::{Route, Routed, TakesBody};
use crate::routes::ROUTER;
use crate::unsupported;

/// What every request needs.
pub struct Service {
    pub client: Arc<dyn Client>,
    pub authenticator: Arc<Authenticator>,
    pub audit: Option<Arc<AuditTrail>>,
    pub limits: BodyLimits,
    pub head: HeadLimits,
    /// Values in one JSON body.
    pub max_content_values: u64,
    pub breakers: Breakers,
    pub discard: Discard,
    pub name_math: NameMath,
    pub compression: bool,
    pub cors: Option<Cors>,
    /// The value of `Strict-Transport-Security`.
    pub hsts: Option<HeaderValue>,
    /// The value of `Warning`, on every answer.
    pub warning: Option<HeaderValue>,
}

/// Bounds of what comes before a body, bytes.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Of the request line.
    pub line: usize,
    /// Of all headers together.
    pub headers: usize,
}

impl HeadLimits {
    /// Refuses a head that is too long, as Elasticsearch does.
    fn check(self, parts: &Parts) -> ApiResult<()> {
        // Method, target and version with two spaces between them.
        let line = parts.method.as_str().len() + uri_length(parts) + "  HTTP/1.1".len();
        if line > self.line {
            return Err(ApiError::new(
                ErrorCode::TooLongHttpLine,
                format!("An HTTP line is larger than {} bytes.", self.line),
            ));
        }
        let headers: usize = parts
            .headers
            .iter()
            // A colon, a space and the end of the line.
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        if headers > self.headers {
            return Err(ApiError::new(
                ErrorCode::TooLongHttpHeader,
                format!("HTTP header is larger than {} bytes.", self.headers),
            ));
        }
        Ok(())
    }

    /// Refuses what must be there once and is not, and an id that no task could carry.
    /// Source: RFC 9112 section 3.2, RFC 9113 section 8.3.1; Elasticsearch for the id.
    fn check_once(self, parts: &Parts) -> ApiResult<()> {
        check_host(parts)?;
        let Some(id) = single(&parts.headers, "X-Opaque-Id")? else {
            return Ok(());
        };
        // As Elasticsearch counts, in bytes of UTF-16.
        if 2 * ("X-Opaque-Id".len() + id.len()) > self.headers {
            return Err(ApiError::illegal_argument(format!(
                "Request exceeded the maximum size of task headers {}",
                ByteSizeValue::from_bytes(self.headers as u64)
            )));
        }
        Ok(())
    }
}

/// A request is for one host: what stands before this server may else have looked at another than this server does.
fn check_host(parts: &Parts) -> ApiResult<()> {
    let host = single(&parts.headers, "Host")?;
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let Some(host) = host else {
        return match authority {
            None if parts.version > Version::HTTP_10 => Err(ApiError::illegal_argument(
                "the request has no header [Host]",
            )),
            _ => Ok(()),
        };
    };
    let is_host =
        |text: &str| text.is_empty() || (text.parse::<Authority>().is_ok() && !text.contains('@'));
    let host = host.to_str().ok().filter(|text| is_host(text));
    match (host, authority) {
        (None, _) => Err(ApiError::illegal_argument(
            "the header [Host] is not the name or address of a host",
        )),
        (Some(host), Some(other))
            if parts.version == Version::HTTP_2 && !host.eq_ignore_ascii_case(other) =>
        {
            Err(ApiError::illegal_argument(
                "the header [Host] and the pseudo-header [:authority] differ",
            ))
        }
        _ => Ok(()),
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> ApiResult<Option<&'a HeaderValue>> {
    let mut given = headers.get_all(name).iter();
    let first = given.next();
    match given.next() {
        None => Ok(first),
        Some(_) => Err(ApiError::illegal_argument(format!(
            "multiple values for single-valued header [{name}]."
        ))),
    }
}

impl HttpService for Service {
    async fn handle(
        &self,
        request: Request<Incoming>,
        certificates: Option<&ClientCertificates>,
        peer: SocketAddr,
    ) -> Answered {
        let (parts, mut body) = request.into_parts();
        let refused = self.cors.as_ref().and_then(|cors| cors.answer(&parts));
        let mut response = match refused {
            Some(answer) => answer,
            None => {
                let mut response = self.answer(&parts, &mut body, certificates, peer).await;
                if let Some(cors) = &self.cors {
                    cors.decorate(parts.headers.get(ORIGIN), response.headers_mut());
                }
                response
            }
        };
        if let Some(value) = &self.hsts {
            let headers = response.headers_mut();
            headers.insert(STRICT_TRANSPORT_SECURITY, value.clone());
        }
        if let Some(value) = &self.warning {
            response.headers_mut().append(WARNING, value.clone());
        }
        if parts.method == Method::HEAD {
            leave_out_body(&mut response);
        }
        // Who has stopped to send is not waited for again.
        let unread = match response.status() {
            StatusCode::REQUEST_TIMEOUT => Some(body),
            _ => self.discard.drain(body).await,
        };
        Answered { response, unread }
    }

    fn no_longer_trusted(&self) -> Response<Full<Bytes>> {
        let reason = "the client certificate of this connection is no longer trusted";
        Rendering::default().error(&ApiError::new(ErrorCode::Security, reason))
    }

    fn plaintext(&self) -> String {
        let reason = "this port speaks HTTPS: use an https:// URL, and the CA certificate of the cluster (for curl: \
                      --cacert http_ca.crt)";
        let cause = json!({"type": "plaintext_on_https_port", "reason": reason});
        let body = json!({
            "error": {"root_cause": [cause], "type": "plaintext_on_https_port", "reason": reason},
            "status": 400,
        })
        .to_string();
        format!(
            "HTTP/1.1 400 Bad Request\r\nx-elastic-product: Elasticsearch\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    }
}

impl Service {
    async fn answer(
        &self,
        parts: &Parts,
        body: &mut Incoming,
        certificates: Option<&ClientCertificates>,
        peer: SocketAddr,
    ) -> Response<Full<Bytes>> {
        let mut rendering = Rendering::from_headers(&parts.headers, self.compression);
        if let Err(error) = self.head.check(parts) {
            return rendering.error(&error);
        }
        if let Err(error) = self.head.check_once(parts) {
            return rendering.error(&error);
        }
        if parts.method == Method::OPTIONS {
            return options(&rendering, parts);
        }
        if self.audit.as_ref().is_some_and(|audit| audit.refuses()) {
            return rendering.error(&audit::full());
        }
        // Read first: what changes while the credentials are looked at counts as unknown to them.
        let as_of = self.authenticator.users_generation();
        let authentication = match self.authenticate(parts, certificates, peer).await {
            Ok(authentication) => authentication,
            Err(error) => return rendering.error(&error),
        };
        let context = RequestContext {
            authentication,
            authenticated_as_of: as_of,
            opaque_id: header_text(&parts.headers, "x-opaque-id"),
            deadline: None,
            account: Account::open(&self.breakers, Purpose::Request),
        };
        match self.routed(parts, body, context, &mut rendering).await {
            Ok(Answer::Rest(answer)) => self.render(rendering, answer).await,
            Ok(Answer::Http(response)) => response,
            Err(error) => rendering.error(&error),
        }
    }

    /// Authenticates by headers and connection alone; comes before anything else is looked at, so that a
    /// stranger learns nothing, not even which paths exist. Source: RFC 9110 section 11.
    async fn authenticate(
        &self,
        parts: &Parts,
        certificates: Option<&ClientCertificates>,
        peer: SocketAddr,
    ) -> ApiResult<Authentication> {
        let uri = uri_text(parts);
        let audited = self
            .audit
            .as_deref()
            .map(|trail| Audited::new(trail, parts, peer));
        if INTERNAL_HEADERS
            .iter()
            .any(|name| parts.headers.contains_key(*name))
        {
            if let Some(audited) = &audited {
                audited.tampered();
            }
            return Err(tampered_request(uri));
        }
        let given = single(&parts.headers, "Authorization")?;
        // Bytes no scheme allows are a credential that fails, not a missing one.
        let authorization = given.map(|value| value.to_str().unwrap_or("Basic ?"));
        let mut refusals = Vec::new();
        let found = self
            .authenticator
            .authenticate_by(authorization, certificates, uri, &mut refusals)
            .await;
        if let Some(audited) = &audited {
            audited.looked_at(authorization, &refusals, found.as_ref().err());
        }
        let mut authentication = found?;
        authentication.asked = audited.as_ref().map(|audited| Arc::clone(&audited.asked));
        refuse_unsupported_identity_headers(&parts.headers)?;
        let Some(name) = single(&parts.headers, RUN_AS)? else {
            return Ok(authentication);
        };
        // Bytes that are no text are the name of nobody.
        let name = std::str::from_utf8(name.as_bytes()).unwrap_or_default();
        let acting = self.authenticator.run_as(authentication.clone(), name, uri);
        if let (Some(audited), Err(_)) = (&audited, &acting) {
            audited.run_as_refused(&authentication, name);
        }
        acting
    }

    /// Writes an answer. What it takes is charged until its last byte is sent.
    async fn render(&self, rendering: Rendering, answer: RestResponse) -> Response<Full<Bytes>> {
        let breakers = self.breakers.clone();
        if !rendering.is_heavy(&answer) {
            return rendering.charged(answer, &breakers);
        }
        match tokio::task::spawn_blocking(move || rendering.charged(answer, &breakers)).await {
            Ok(response) => response,
            Err(_) => Rendering::default().error(&ApiError::internal("rendering was interrupted")),
        }
    }

    async fn routed(
        &self,
        parts: &Parts,
        body: &mut Incoming,
        context: RequestContext,
        rendering: &mut Rendering,
    ) -> ApiResult<Answer> {
        let content_type = check_media_types(&parts.headers, rendering)?;
        let params = Params::parse(parts.uri.query().unwrap_or_default())?;
        rendering.add_params(&params)?;
        let (route, path_params) = match ROUTER.route(&parts.method, parts.uri.path()) {
            Routed::To {
                route, path_params, ..
            } => (route, path_params),
            Routed::Undecodable(error) => return Err(error),
            Routed::Nowhere => match unsupported::why(parts.uri.path()) {
                Some(reason) => return Err(ApiError::illegal_argument(reason)),
                None => return Ok(Answer::Http(no_handler(rendering, parts))),
            },
            Routed::WrongMethod { allowed } => {
                return Ok(Answer::Http(wrong_method(rendering, parts, &allowed)));
            }
        };
        let mut success = self
            .audit
            .as_deref()
            .map(|trail| Success::new(trail, parts, &context));
        check_params(route, parts, &params)?;
        check_format(route, &params)?;
        if let Some(action) = route.needed_for_body() {
            self.client.admit(&context.authentication, action)?;
        }
        // One of unknown length may be empty.
        if route.takes_body == TakesBody::Never
            && body.size_hint().exact().is_some_and(|length| length > 0)
        {
            return Err(takes_no_body(&parts.method, parts.uri.path()));
        }
        let body = read_body(body, &parts.headers, self.limits, &self.breakers).await?;
        if let Some(success) = &mut success {
            success.tell(Some(&body));
        }
        if let Some(refusal) = check_content_type(route, content_type, &body, parts, rendering) {
            return Ok(Answer::Http(refusal));
        }
        let body = in_json(content_type, body, &context.account).await?;
        let names = IndexNames {
            math: self.name_math,
            now_ms: jiff::Timestamp::now().as_millisecond(),
        };
        let path_params = with_names(path_params, &names)?;
        let request = RestRequest {
            names,
            method: parts.method.clone(),
            uri_path: parts.uri.path().to_owned(),
            path_params,
            params: Arc::new(params),
            body: body.into(),
            parsed: Parsed::new(context.account.clone(), self.max_content_values),
            context,
            client: Arc::clone(&self.client),
            prefers_json: rendering.prefers_json,
        };
        let params = Arc::clone(&request.params);
        let answer = (route.handler)(request).await?;
        refuse_unread(&params, parts.uri.path())?;
        Ok(Answer::Rest(answer))
    }
}

/// Returns a body in JSON, which is all that handlers read.
async fn in_json(
    content_type: Option<BodyType>,
    body: Bytes,
    account: &Account,
) -> ApiResult<Bytes> {
    let Some(BodyType::Other(format)) = content_type else {
        return Ok(body);
    };
    if body.is_empty() {
        return Ok(body);
    }
    let account = account.clone();
    let written = move || formats::to_json(format, &body, &account);
    let written = tokio::task::spawn_blocking(written).await;
    let written = written.map_err(|_| ApiError::internal("reading the body was interrupted"))?;
    Ok(written?.into())
}

/// Resolves the names of indices among the variables of a path.
fn with_names(
    mut variables: Vec<(&'static str, String)>,
    names: &IndexNames,
) -> ApiResult<Vec<(&'static str, String)>> {
    for (variable, value) in &mut variables {
        if *variable == "index" {
            *value = names.resolve_list(std::mem::take(value))?;
        }
    }
    Ok(variables)
}

/// The answer to a `HEAD` is that to a `GET`, with its length and without its body. HTTP/2 leaves that to us.
fn leave_out_body(response: &mut Response<Full<Bytes>>) {
    let length = response.body().size_hint().exact().unwrap_or_default();
    if length > 0 {
        *response.body_mut() = Full::default();
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

enum Answer {
    Rest(RestResponse),
    Http(Response<Full<Bytes>>),
}

/// A second identity that would be ignored silently is refused: the request would otherwise run with
/// other rights than its sender meant.
fn refuse_unsupported_identity_headers(headers: &HeaderMap) -> ApiResult<()> {
    match UNSUPPORTED_IDENTITY_HEADERS
        .iter()
        .find(|name| headers.contains_key(**name))
    {
        None => Ok(()),
        Some(name) => Err(ApiError::illegal_argument(format!(
            "the header [{name}] is not supported; send the credentials of the user meant in [Authorization]"
        ))),
    }
}

fn check_params(route: &'static Route, parts: &Parts, params: &Params) -> ApiResult<()> {
    let unknown: Vec<String> = params
        .names()
        .filter(|name| !route.takes(name))
        .map(|name| {
            let hint = did_you_mean(name, route.all_params());
            let arrow = if hint.is_empty() { "" } else { " ->" };
            format!("[{name}]{arrow}{hint}")
        })
        .collect();
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(unrecognized(parts.uri.path(), &unknown)),
    }
}

/// Tables are text too; everything else is structured.
pub(crate) fn check_format(route: &Route, params: &Params) -> ApiResult<()> {
    if route.family == "cat" {
        return Ok(());
    }
    match params.text("format") {
        None => Ok(()),
        Some(name) if Format::of_name(name).is_some() => Ok(()),
        Some(other) => Err(ApiError::illegal_argument(format!(
            "[format] is [{other}], but this endpoint answers in [json], [yaml], [cbor] or [smile]"
        ))),
    }
}

/// A body must say what it is. `_bulk` and `_msearch` may leave it out, as many shippers do.
/// Source: Elasticsearch reference, "API conventions" (content type requirements).
fn check_content_type(
    route: &Route,
    content_type: Option<BodyType>,
    body: &Bytes,
    parts: &Parts,
    rendering: &Rendering,
) -> Option<Response<Full<Bytes>>> {
    let last = route.paths[0].rsplit('/').next();
    let lenient = matches!(last, Some("_bulk" | "_msearch"));
    if let (Some(BodyType::Other(format)), true, false) = (content_type, lenient, body.is_empty()) {
        let name = format.name().to_ascii_uppercase();
        let reason =
            format!("Content-Type [{name}] does not support stream parsing. Use JSON instead");
        let status = StatusCode::NOT_ACCEPTABLE;
        return Some(rendering.plain_error(status, &json!({"error": reason, "status": 406})));
    }
    let accepted = match content_type {
        Some(BodyType::Json | BodyType::NdJson | BodyType::Other(_)) => true,
        Some(BodyType::Unknown) => false,
        None => lenient,
    };
    if body.is_empty() || accepted {
        return None;
    }
    let given = header_text(&parts.headers, "content-type").unwrap_or_default();
    Some(rendering.plain_error(
        StatusCode::NOT_ACCEPTABLE,
        &json!({"error": format!("Content-Type header [{given}] is not supported"), "status": 406}),
    ))
}

fn no_handler(rendering: &Rendering, parts: &Parts) -> Response<Full<Bytes>> {
    let text = format!(
        "no handler found for uri [{}] and method [{}]",
        uri_text(parts),
        parts.method
    );
    rendering.plain_error(StatusCode::BAD_REQUEST, &json!({"error": text}))
}

fn wrong_method(rendering: &Rendering, parts: &Parts, allowed: &[Method]) -> Response<Full<Bytes>> {
    let text = format!(
        "Incorrect HTTP method for uri [{}] and method [{}], allowed: [{}]",
        uri_text(parts),
        parts.method,
        join(allowed, ", ")
    );
    let mut response = rendering.plain_error(
        StatusCode::METHOD_NOT_ALLOWED,
        &json!({"error": text, "status": 405}),
    );
    add_allow(&mut response, allowed);
    response
}

/// Answers `OPTIONS`, without credentials as browsers ask. It says which methods the path takes.
fn options(rendering: &Rendering, parts: &Parts) -> Response<Full<Bytes>> {
    let mut response = rendering.response(RestResponse::exists(true));
    if let Routed::WrongMethod { allowed } = ROUTER.route(&parts.method, parts.uri.path()) {
        add_allow(&mut response, &allowed);
    }
    response
}

fn add_allow(response: &mut Response<Full<Bytes>>, allowed: &[Method]) {
    if let Ok(value) = join(allowed, ",").parse() {
        response.headers_mut().insert(http::header::ALLOW, value);
    }
}

fn join(methods: &[Method], separator: &str) -> String {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    names.join(separator)
}

fn uri_text(parts: &Parts) -> &str {
    parts
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str)
}

/// The length of the target as it was sent.
fn uri_length(parts: &Parts) -> usize {
    parts
        .uri
        .path_and_query()
        .map_or(1, |target| target.as_str().len())
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

const INTERNAL_HEADERS: &[&str] = &[
    "_xpack_security_authentication",
    "_xpack_audit_request_id",
    "_cross_cluster_access_credentials",
    "_cross_cluster_access_subject_info",
];

const RUN_AS: &str = "es-security-runas-user";

const UNSUPPORTED_IDENTITY_HEADERS: &[&str] = &["es-secondary-authorization"];
