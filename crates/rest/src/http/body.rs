//! Reading request bodies within bounds.

use std::io::Read;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::breaker::{Breakers, Charge, Purpose};
use tokio::time::timeout;

/// Bounds of one body.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes, before and after decompression.
    pub max_bytes: u64,
    /// How long the client may pause between two pieces.
    pub idle: Duration,
}

/// Reads and decompresses a body, which is charged for as long as anybody holds a part of it.
///
/// Errors: 413 beyond the limit, 429 when all bodies together take too much, 400 for a broken body
/// or an encoding other than gzip, 408 for a client that stalls.
pub async fn read_body(
    body: &mut Incoming,
    headers: &HeaderMap,
    limits: BodyLimits,
    breakers: &Breakers,
) -> ApiResult<Bytes> {
    let mut charge = breakers.open(Purpose::InFlight);
    if body.size_hint().lower() > limits.max_bytes {
        return Err(too_long(limits.max_bytes));
    }
    let raw = collect(body, limits, &mut charge).await?;
    let encoding = headers
        .get(http::header::CONTENT_ENCODING)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    match encoding.as_deref().map(str::trim) {
        None | Some("" | "identity") => Ok(charge.hold(raw)),
        Some("gzip" | "x-gzip") => {
            let inflate = move || gunzip(&raw, limits.max_bytes, charge);
            tokio::task::spawn_blocking(inflate)
                .await
                .map_err(|_| ApiError::internal("decompression was interrupted"))?
        }
        Some(other) => Err(ApiError::illegal_argument(format!(
            "Content-Encoding [{other}] is not supported; send [gzip] or none"
        ))),
    }
}

async fn collect(body: &mut Incoming, limits: BodyLimits, charge: &mut Charge) -> ApiResult<Bytes> {
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    let mut total = 0u64;
    while let Some(frame) = timeout(limits.idle, body.frame())
        .await
        .map_err(|_| stalled())?
    {
        let frame = frame.map_err(|error| {
            ApiError::illegal_argument(format!("the request body could not be read: {error}"))
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        total += data.len() as u64;
        if total > limits.max_bytes {
            return Err(too_long(limits.max_bytes));
        }
        charge.grow(data.len() as u64, HTTP_REQUEST)?;
        if first.is_empty() && joined.is_empty() {
            first = data;
            continue;
        }
        if joined.is_empty() {
            joined.extend_from_slice(&first);
        }
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() {
        first
    } else {
        joined.freeze()
    })
}

fn gunzip(raw: &[u8], max_bytes: u64, mut charge: Charge) -> ApiResult<Bytes> {
    let mut decoder = MultiGzDecoder::new(raw);
    let mut inflated = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = decoder.read(&mut piece).map_err(|error| {
            ApiError::illegal_argument(format!("the request body is not valid gzip: {error}"))
        })?;
        if read == 0 {
            break;
        }
        if (inflated.len() + read) as u64 > max_bytes {
            return Err(too_long(max_bytes));
        }
        charge.grow(read as u64, HTTP_REQUEST)?;
        inflated.extend_from_slice(&piece[..read]);
    }
    // What was compressed is gone.
    charge.shrink(raw.len() as u64);
    Ok(charge.hold(inflated))
}

/// What refusals say that a body is, as in Elasticsearch.
const HTTP_REQUEST: &str = "<http_request>";

fn too_long(limit: u64) -> ApiError {
    ApiError::new(
        ErrorCode::ContentTooLong,
        format!(
            "the request body is longer than the maximum of [{limit}] bytes; send less at once or raise \
             [http.max_content_length]"
        ),
    )
}

fn stalled() -> ApiError {
    ApiError::new(
        ErrorCode::Timeout,
        "the client sent no more of the request body in time",
    )
    .with_status(408)
}
