//! What is left of the body of a request that is answered without it: refused, most of the time.
//!
//! In HTTP/1.1 the next request begins where the body ends, so the rest must be read or the connection must end; and a
//! connection that ends over bytes nobody has read is reset, which can destroy the answer on its way. In HTTP/2 there
//! are clients that read an answer only when they have sent all of their request (Java's `HttpClient`), and wait for
//! ever when the server takes no more of it. Source: RFC 9112 section 9.6, RFC 9113 section 8.1.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

/// How much of such a body is read and thrown away.
#[derive(Debug, Clone, Copy)]
pub struct Discard {
    /// Bytes that are read before the answer, so that the connection lives on.
    pub max_bytes: u64,
    /// How long the client may take to send them; afterwards, how long it may pause.
    pub patience: Duration,
}

/// How much is read once the answer is on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Afterwards {
    pub(super) max_bytes: u64,
    /// Between two pieces.
    pub(super) pause: Duration,
    /// Altogether.
    pub(super) time: Duration,
}

impl Discard {
    /// Reads the rest of a body if it is short. Returns the body if it is not, or does not come in time.
    pub async fn drain(self, mut body: Incoming) -> Option<Incoming> {
        if body.is_end_stream() {
            return None;
        }
        if body.size_hint().lower() > self.max_bytes {
            return Some(body);
        }
        let read = timeout(self.patience, read_up_to(&mut body, self.max_bytes, None)).await;
        match read {
            Ok(true) => None,
            _ => Some(body),
        }
    }
}

impl Afterwards {
    /// Reads on for a client that listens only when it has sent everything. Returns whether it came to an end.
    pub(super) async fn read(self, mut body: Incoming) -> bool {
        let read = read_up_to(&mut body, self.max_bytes, Some(self.pause));
        timeout(self.time, read).await.unwrap_or(false)
    }
}

/// Returns whether the body has ended within so many bytes.
async fn read_up_to(body: &mut Incoming, max_bytes: u64, pause: Option<Duration>) -> bool {
    let mut left = max_bytes;
    loop {
        let frame = match pause {
            None => body.frame().await,
            Some(pause) => match timeout(pause, body.frame()).await {
                Ok(frame) => frame,
                Err(_elapsed) => return false,
            },
        };
        let length = match frame {
            None => return true,
            Some(Err(_broken)) => return false,
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len) as u64,
        };
        if length > left {
            return false;
        }
        left -= length;
    }
}
