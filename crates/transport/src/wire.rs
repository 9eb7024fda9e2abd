//! How a request and its response look in HTTP/2.
//!
//! Request: `POST /` with headers `action`, `timeout-ms`, `authentication-length`, and `parent-task` and
//! `opaque-id` where the request is part of a task; the body is the
//! encoded identity of that length (0 = none), then the message. Response: 200 and the message, or
//! 500 and an encoded [`ApiError`]. Bodies always announce their length.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use ringwall_api::{ApiError, Authentication, ErrorCode};
use ringwall_base::encoding;

use crate::origin::Origin;

/// Messages, requests and responses alike, since the start.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    received: AtomicU64,
    received_bytes: AtomicU64,
    sent: AtomicU64,
    sent_bytes: AtomicU64,
}

impl Traffic {
    pub(crate) fn note_received(&self, body: &Bytes) {
        self.received.fetch_add(1, Ordering::Relaxed);
        self.received_bytes
            .fetch_add(body.len() as u64, Ordering::Relaxed);
    }

    pub(crate) fn note_sent(&self, body: &Chunks) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.sent_bytes.fetch_add(body.left, Ordering::Relaxed);
    }

    /// Returns received messages and bytes, then those sent.
    pub(crate) fn read(&self) -> [u64; 4] {
        let counts = [
            &self.received,
            &self.received_bytes,
            &self.sent,
            &self.sent_bytes,
        ];
        counts.map(|count| count.load(Ordering::Relaxed))
    }
}

/// A body of ready chunks and known length.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    chunks: VecDeque<Bytes>,
    left: u64,
}

/// The part of a request that is known before its body arrives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestHead {
    pub(crate) action: String,
    pub(crate) timeout: Duration,
    pub(crate) authentication_length: usize,
    pub(crate) content_length: usize,
    pub(crate) origin: Option<Origin>,
}

/// A body did not arrive.
#[derive(Debug)]
pub(crate) enum BodyError {
    TooLarge { bytes: u64, limit: usize },
    Broken(String),
}

/// Returns the HTTP form of a request. Errors: the action is no header value.
pub(crate) fn request(
    action: &str,
    timeout: Duration,
    authentication: Option<&Authentication>,
    body: Vec<Bytes>,
) -> Result<http::Request<Chunks>, String> {
    let identity = authentication.map_or_else(Bytes::new, |who| encoding::encode(who).into());
    let action = HeaderValue::from_str(action).map_err(|_| {
        format!(
            "action name [{}] has characters it may not have",
            action.escape_default()
        )
    })?;
    let mut request = http::Request::new(Chunks::default());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static("https://node/");
    let headers = request.headers_mut();
    headers.insert(ACTION, action);
    headers.insert(TIMEOUT_MS, HeaderValue::from(millis(timeout)));
    headers.insert(AUTHENTICATION_LENGTH, HeaderValue::from(identity.len()));
    if let Some(origin) = Origin::current() {
        let texts = [(PARENT_TASK, origin.task), (OPAQUE_ID, origin.opaque_id)];
        for (name, text) in texts {
            let text = text.filter(|text| text.len() <= MAX_ORIGIN_BYTES);
            // What is no header value was none when it came; without it the request is the same.
            if let Some(Ok(value)) = text.as_deref().map(HeaderValue::from_str) {
                headers.insert(name, value);
            }
        }
    }
    *request.body_mut() = Chunks::new(std::iter::once(identity).chain(body));
    Ok(request)
}

impl RequestHead {
    /// Reads the headers of a request. Errors: what is missing or malformed.
    pub(crate) fn parse(headers: &HeaderMap) -> Result<Self, String> {
        let action = headers.get(ACTION).and_then(|value| value.to_str().ok());
        let head = Self {
            action: action.ok_or_else(|| missing(&ACTION))?.to_owned(),
            timeout: Duration::from_millis(number(headers, &TIMEOUT_MS)?).min(MAX_TIMEOUT),
            authentication_length: size(headers, &AUTHENTICATION_LENGTH)?,
            content_length: size(headers, &CONTENT_LENGTH)?,
            origin: origin(headers),
        };
        if head.authentication_length > head.content_length {
            return Err("the identity is longer than the body".to_owned());
        }
        Ok(head)
    }

    /// Takes the identity off the front of the body.
    pub(crate) fn split(&self, mut body: Bytes) -> Result<(Option<Authentication>, Bytes), String> {
        if self.authentication_length == 0 {
            return Ok((None, body));
        }
        if self.authentication_length > body.len() {
            return Err("the identity is longer than the body".to_owned());
        }
        let message = body.split_off(self.authentication_length);
        let identity = encoding::decode(&body).map_err(|error| error.to_string())?;
        Ok((Some(identity), message))
    }
}

/// Returns the HTTP form of a response.
pub(crate) fn response(result: Result<Bytes, ApiError>) -> http::Response<Chunks> {
    let (status, body) = match result {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            encoding::encode(&error).into(),
        ),
    };
    let mut response = http::Response::new(Chunks::new([body]));
    *response.status_mut() = status;
    response
}

/// Reads the error in a body of status 500. One that a newer node wrote, with a code unknown here,
/// still comes out as an error of the remote node.
pub(crate) fn decode_error(body: &[u8]) -> ApiError {
    encoding::decode(body).unwrap_or_else(|error| {
        tracing::warn!(%error, "received an error that this version cannot decode");
        ApiError::new(
            ErrorCode::IllegalState,
            "the remote node failed with an error that this node's version does not know",
        )
    })
}

/// Reads a whole body of at most `limit` bytes. The caller sets the deadline.
pub(crate) async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(BodyError::TooLarge {
            bytes: announced,
            limit,
        });
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let total = first.len() + rest.len() + data.len();
        if total > limit {
            return Err(BodyError::TooLarge {
                bytes: total as u64,
                limit,
            });
        }
        if first.is_empty() && rest.is_empty() {
            // A body of one frame is passed on without a copy.
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(usize::try_from(announced).unwrap_or(0).max(total));
            rest.extend_from_slice(&first);
            first = Bytes::new();
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

impl Chunks {
    pub(crate) fn new(chunks: impl IntoIterator<Item = Bytes>) -> Self {
        let chunks: VecDeque<Bytes> = chunks.into_iter().filter(|c| !c.is_empty()).collect();
        let left = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self { chunks, left }
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.chunks.pop_front();
        if let Some(chunk) = &next {
            self.left -= chunk.len() as u64;
        }
        Poll::Ready(next.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, String> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| missing(name))
}

fn origin(headers: &HeaderMap) -> Option<Origin> {
    let text = |name: &HeaderName| Some(headers.get(name)?.to_str().ok()?.to_owned());
    let origin = Origin {
        task: text(&PARENT_TASK),
        opaque_id: text(&OPAQUE_ID),
    };
    (origin != Origin::default()).then_some(origin)
}

fn size(headers: &HeaderMap, name: &HeaderName) -> Result<usize, String> {
    usize::try_from(number(headers, name)?).map_err(|_| missing(name))
}

fn missing(name: &HeaderName) -> String {
    format!("header [{name}] is missing or malformed")
}

/// At least 1: a request whose time is nearly up still deserves its answer.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// The longest a request may take; a longer wish is shortened to it.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

const ACTION: HeaderName = HeaderName::from_static("action");
const TIMEOUT_MS: HeaderName = HeaderName::from_static("timeout-ms");
const PARENT_TASK: HeaderName = HeaderName::from_static("parent-task");
const OPAQUE_ID: HeaderName = HeaderName::from_static("opaque-id");
/// Longer ones are left out: the headers of a request have to fit.
const MAX_ORIGIN_BYTES: usize = 1 << 10;
const AUTHENTICATION_LENGTH: HeaderName = HeaderName::from_static("authentication-length");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head_of(request: &http::Request<Chunks>) -> Result<RequestHead, String> {
        let mut headers = request.headers().clone();
        let length = request.body().size_hint().exact().unwrap();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        RequestHead::parse(&headers)
    }

    fn body_of(request: &http::Request<Chunks>) -> Bytes {
        request.body().chunks.iter().flatten().copied().collect()
    }

    #[test]
    fn a_request_round_trips() {
        #[expect(clippy::disallowed_methods, reason = "this crate is below the door")]
        let who = Authentication::system();
        let action = "indices:data/write/bulk[s][r]";
        let sent = request(
            action,
            Duration::from_secs(2),
            Some(&who),
            vec![Bytes::from("a"), Bytes::from("bc")],
        )
        .unwrap();
        let head = head_of(&sent).unwrap();
        assert_eq!(head.action, action);
        assert_eq!(head.timeout, Duration::from_secs(2));
        assert_eq!(
            head.split(body_of(&sent)),
            Ok((Some(who), Bytes::from("abc")))
        );
    }

    #[tokio::test]
    async fn the_task_it_is_a_part_of_travels_with_a_request() {
        let origin = Origin {
            task: Some("node:7".to_owned()),
            opaque_id: Some("mine".to_owned()),
        };
        let sent = async { request("a", Duration::ZERO, None, Vec::new()).unwrap() };
        let sent = origin.clone().scope(sent).await;
        assert_eq!(head_of(&sent).unwrap().origin, Some(origin));
        // Too long, or no header at all: left out.
        let odd = Origin {
            task: Some("a\nb".to_owned()),
            opaque_id: Some("x".repeat(2_000)),
        };
        let sent = async { request("a", Duration::ZERO, None, Vec::new()).unwrap() };
        assert_eq!(head_of(&odd.scope(sent).await).unwrap().origin, None);
    }

    #[test]
    fn a_malformed_head_is_told() {
        let sent = request("a", Duration::ZERO, None, Vec::new()).unwrap();
        assert_eq!(head_of(&sent).unwrap().timeout, Duration::from_millis(1));
        assert!(request("a\nb", Duration::ZERO, None, Vec::new()).is_err());
        let mut headers = sent.headers().clone();
        assert!(
            RequestHead::parse(&headers)
                .unwrap_err()
                .contains("content-length")
        );
        headers.insert(CONTENT_LENGTH, HeaderValue::from(1));
        headers.insert(AUTHENTICATION_LENGTH, HeaderValue::from(2));
        assert!(RequestHead::parse(&headers).is_err());
    }

    #[test]
    fn an_unknown_error_code_is_still_an_error() {
        let known = ApiError::index_not_found("logs");
        assert_eq!(decode_error(&encoding::encode(&known)), known);
        let unknown = encoding::encode(&serde_json::json!({
            "code": "FromTheFuture", "status": 418, "reason": "r"
        }));
        assert_eq!(decode_error(&unknown).code, ErrorCode::IllegalState);
    }

    proptest! {
        #[test]
        fn arbitrary_heads_and_bodies_do_not_panic(
            action in proptest::collection::vec(any::<u8>(), 0..20),
            numbers in proptest::array::uniform3("-?[0-9]{1,22}|x"),
            body in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut headers = HeaderMap::new();
            let names = [TIMEOUT_MS, AUTHENTICATION_LENGTH, CONTENT_LENGTH];
            if let Ok(value) = HeaderValue::from_bytes(&action) {
                headers.insert(ACTION, value);
            }
            for (name, text) in names.into_iter().zip(&numbers) {
                headers.insert(name, HeaderValue::from_str(text).unwrap());
            }
            if let Ok(head) = RequestHead::parse(&headers) {
                let _ = head.split(Bytes::from(body.clone()));
            }
            decode_error(&body);
        }

        #[test]
        fn the_identity_length_splits_the_body(length in 0usize..80, body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let head = RequestHead {
                action: "a".to_owned(),
                timeout: Duration::from_secs(1),
                authentication_length: length,
                content_length: body.len(),
                origin: None,
            };
            let split = head.split(Bytes::from(body.clone()));
            if length == 0 {
                prop_assert_eq!(split, Ok((None, Bytes::from(body))));
            } else if length > body.len() {
                prop_assert!(split.is_err());
            }
        }
    }
}
