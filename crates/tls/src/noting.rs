//! A connection that remembers the first bytes it received: rustls does not tell what was not TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::sniff::PEEK_BYTES;

#[derive(Debug)]
pub(crate) struct Noting {
    tcp: TcpStream,
    first: Vec<u8>,
    /// So many of the first bytes are noted.
    wanted: usize,
}

impl Noting {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self {
            tcp,
            first: Vec::new(),
            wanted: PEEK_BYTES,
        }
    }

    /// Returns a connection that notes a whole ClientHello.
    pub(crate) fn of_client(tcp: TcpStream) -> Self {
        Self {
            wanted: HELLO_BYTES,
            ..Self::new(tcp)
        }
    }

    /// Forgets what was noted: the handshake is over.
    pub(crate) fn forget(&mut self) {
        self.first = Vec::new();
        self.wanted = 0;
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Returns the connection and the first bytes that came from it.
    pub(crate) fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.tcp, self.first)
    }
}

impl AsyncRead for Noting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.tcp).poll_read(cx, buffer);
        let missing = self.wanted.saturating_sub(self.first.len());
        if missing > 0 {
            let received = &buffer.filled()[before..];
            let noted = &received[..received.len().min(missing)];
            self.first.extend_from_slice(noted);
        }
        polled
    }
}

impl AsyncWrite for Noting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Longer than the hello of any client with a hybrid key share.
const HELLO_BYTES: usize = 4096;
