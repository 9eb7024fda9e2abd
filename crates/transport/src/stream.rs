//! The byte stream under HTTP/2: gives back bytes read ahead, and remembers why it ended.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use ringwall_tls::{HandshakeFailure, MaybeTlsStream, explain_io_error};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Why a stream ended, as far as the stream itself saw.
#[derive(Debug, Clone)]
pub(crate) enum StreamEnd {
    /// The peer closed.
    Closed,
    /// The peer refused our certificate after the TLS handshake seemed done (TLS 1.3).
    Tls(HandshakeFailure),
    Io(String),
}

/// Tells why a [`LinkStream`] ended. Shared with the stream, outlives it.
#[derive(Debug, Clone, Default)]
pub(crate) struct EndCause(Arc<Mutex<Option<StreamEnd>>>);

impl EndCause {
    pub(crate) fn get(&self) -> Option<StreamEnd> {
        self.0.lock().clone()
    }

    /// Keeps the first cause, but a TLS refusal explains more than the broken pipe before it.
    fn record(&self, end: StreamEnd) {
        let mut slot = self.0.lock();
        if slot.is_none() || matches!(end, StreamEnd::Tls(_)) {
            *slot = Some(end);
        }
    }

    fn record_error(&self, error: &io::Error) {
        self.record(match explain_io_error(error) {
            Some(failure) => StreamEnd::Tls(failure.clone()),
            None => StreamEnd::Io(error.to_string()),
        });
    }
}

/// A connection that first yields the bytes already read from it.
#[derive(Debug)]
pub(crate) struct LinkStream {
    ahead: Bytes,
    inner: MaybeTlsStream,
    end: EndCause,
}

impl LinkStream {
    pub(crate) fn new(inner: MaybeTlsStream, ahead: Bytes) -> (Self, EndCause) {
        let end = EndCause::default();
        let stream = Self {
            ahead,
            inner,
            end: end.clone(),
        };
        (stream, end)
    }
}

impl AsyncRead for LinkStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..length]);
            self.ahead.advance(length);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        match &polled {
            Poll::Ready(Ok(())) if buffer.filled().len() == before && buffer.remaining() > 0 => {
                self.end.record(StreamEnd::Closed);
            }
            Poll::Ready(Err(error)) => self.end.record_error(error),
            _ => {}
        }
        polled
    }
}

impl AsyncWrite for LinkStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.observe_write(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.observe_write(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.observe_write(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl LinkStream {
    fn observe_write<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &polled {
            self.end.record_error(error);
        }
        polled
    }
}
