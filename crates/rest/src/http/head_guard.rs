//! A client that sends the head of a request too slowly is cut off.
//!
//! hyper's own limit also counts the time in which a connection kept open waits for its next request, so it cannot
//! be short. This one begins with the first byte of a head.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A stream on which the head of each request must arrive within a time.
pub(super) struct HeadGuard<S> {
    inner: S,
    within: Duration,
    requests: Requests,
    /// Runs while a head is arriving, with the number of heads that had arrived before it.
    deadline: Option<(u64, Pin<Box<Sleep>>)>,
}

/// Tells the guard which requests have begun, and when one is being answered.
#[derive(Clone, Default)]
pub(super) struct Requests(Arc<Counts>);

#[derive(Default)]
struct Counts {
    heads: AtomicU64,
    answering: AtomicBool,
}

impl Requests {
    /// Takes note that a whole head has arrived; ends with what is returned.
    pub(super) fn begin(&self) -> Answering {
        self.0.heads.fetch_add(1, Ordering::Relaxed);
        self.0.answering.store(true, Ordering::Relaxed);
        Answering(self.clone())
    }

    fn heads(&self) -> u64 {
        self.0.heads.load(Ordering::Relaxed)
    }

    fn is_answering(&self) -> bool {
        self.0.answering.load(Ordering::Relaxed)
    }
}

/// A request that is being answered.
pub(super) struct Answering(Requests);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.answering.store(false, Ordering::Relaxed);
    }
}

impl<S> HeadGuard<S> {
    /// Guards a stream.
    pub(super) fn new(inner: S, within: Duration) -> (Self, Requests) {
        let requests = Requests::default();
        let guard = Self {
            inner,
            within,
            requests: requests.clone(),
            deadline: None,
        };
        (guard, requests)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadGuard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let heads = self.requests.heads();
        // The head that it was for has arrived.
        self.deadline = self.deadline.take().filter(|(before, _)| *before == heads);
        if let Some((_, deadline)) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        let arrived = buffer.filled().len() > before;
        if arrived && !self.requests.is_answering() && self.deadline.is_none() {
            let at = Instant::now() + self.within;
            self.deadline = Some((heads, Box::pin(tokio::time::sleep_until(at))));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadGuard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_and_waiting_costs_none() {
        let (mut client, server) = tokio::io::duplex(64);
        let (mut guarded, requests) = HeadGuard::new(server, Duration::from_secs(30));
        let mut buffer = [0; 4];
        // Nothing has begun: waiting is free.
        let idle = tokio::time::timeout(Duration::from_secs(100), guarded.read_exact(&mut buffer));
        assert!(idle.await.is_err());
        client.write_all(b"GET ").await.unwrap();
        guarded.read_exact(&mut buffer).await.unwrap();
        let begun = Instant::now();
        let error = guarded.read_exact(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 30);

        // A request that is being answered may take its time to send the rest.
        let (mut client, server) = tokio::io::duplex(64);
        let (mut guarded, requests_of) = HeadGuard::new(server, Duration::from_secs(30));
        drop(requests);
        client.write_all(b"POST").await.unwrap();
        guarded.read_exact(&mut buffer).await.unwrap();
        let answering = requests_of.begin();
        let body = tokio::time::timeout(Duration::from_secs(100), guarded.read_exact(&mut buffer));
        assert!(body.await.is_err());
        drop(answering);
        client.write_all(b"GET ").await.unwrap();
        guarded.read_exact(&mut buffer).await.unwrap();
        // It arrives and is answered without another look; then the connection waits for its next request.
        drop(requests_of.begin());
        let idle = tokio::time::timeout(Duration::from_secs(100), guarded.read_exact(&mut buffer));
        assert!(idle.await.is_err(), "waiting costs no time");
        client.write_all(b"GET ").await.unwrap();
        guarded.read_exact(&mut buffer).await.unwrap();
        assert!(guarded.read_exact(&mut buffer).await.is_err());
    }
}
