//! Established connections: TLS in either direction, or plain where TLS is off.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use ringwall_pki::CertificateInfo;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::dialled::Dialled;
use crate::failure::{FailureReason, Subject, alert_name, rustls_error};
use crate::noting::Noting;
use crate::provider::{cipher_suite_name, protocol_name};

/// The certificate chain a peer proved to hold the key of.
#[derive(Debug, Clone)]
pub struct PeerIdentity {
    /// Leaf first, as sent.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf decoded; absent for oddities that only `verification_mode: none` lets through.
    pub info: Option<CertificateInfo>,
}

impl PeerIdentity {
    pub(crate) fn new(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let leaf = chain.first()?;
        Some(Self {
            info: CertificateInfo::from_der(leaf).ok(),
            chain: chain.iter().map(|c| c.clone().into_owned()).collect(),
        })
    }
}

impl PeerIdentity {
    /// Returns whether the certificate names the host, as `verification_mode: full` asks.
    pub fn names(&self, host: &str) -> bool {
        let leaf = self.chain.first();
        leaf.is_some_and(|leaf| Dialled::new(host).check(leaf).is_ok())
    }
}

/// A TCP connection after a successful TLS handshake, in either direction.
///
/// A refusal by the acceptor that arrives with the first read (TLS 1.3) comes out as an I/O error that
/// holds a [`HandshakeFailure`](crate::HandshakeFailure); see [`explain_io_error`](crate::explain_io_error).
#[derive(Debug)]
pub struct TlsStream {
    inner: tokio_rustls::TlsStream<Noting>,
    identity: Option<PeerIdentity>,
    subject: Subject,
    /// Whether application data has arrived: then the acceptor has accepted us.
    confirmed: bool,
}

/// A stream this side accepted.
pub type ServerStream = TlsStream;

/// A stream this side dialled.
pub type ClientStream = TlsStream;

impl TlsStream {
    pub(crate) fn new(mut inner: tokio_rustls::TlsStream<Noting>, subject: Subject) -> Self {
        inner.get_mut().0.forget();
        let (_, session) = inner.get_ref();
        let identity = session.peer_certificates().and_then(PeerIdentity::new);
        Self {
            inner,
            identity,
            subject,
            confirmed: false,
        }
    }

    /// Returns the peer's certificates, or `None` when it was not asked for any or sent none.
    pub fn peer_identity(&self) -> Option<&PeerIdentity> {
        self.identity.as_ref()
    }

    /// Returns the application protocol agreed on, such as `h2`.
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.inner.get_ref().1.alpn_protocol()
    }

    /// Returns what both ends of this session know, and nobody else: the exporter value of RFC 9266. What is signed
    /// over it is worth nothing on another connection. `None` when the session has none, which a finished handshake
    /// does not bring about.
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        let label = b"EXPORTER-Channel-Binding";
        let exported = match &self.inner {
            tokio_rustls::TlsStream::Client(stream) => {
                let session = stream.get_ref().1;
                session.export_keying_material([0; 32], label, Some(b""))
            }
            tokio_rustls::TlsStream::Server(stream) => {
                let session = stream.get_ref().1;
                session.export_keying_material([0; 32], label, Some(b""))
            }
        };
        exported.ok()
    }

    /// Returns the key exchange agreed on, such as `X25519MLKEM768`.
    pub fn key_exchange(&self) -> Option<String> {
        let group = self.inner.get_ref().1.negotiated_key_exchange_group()?;
        Some(format!("{:?}", group.name()))
    }

    /// Returns the protocol version agreed on, in Elasticsearch's spelling.
    pub fn protocol_version(&self) -> Option<&'static str> {
        protocol_name(self.inner.get_ref().1.protocol_version()?)
    }

    /// Returns the cipher suite agreed on, by its IANA name.
    pub fn cipher_suite(&self) -> Option<String> {
        cipher_suite_name(self.inner.get_ref().1.negotiated_cipher_suite()?.suite())
    }

    /// Returns the connection underneath, for its addresses and options.
    pub fn tcp(&self) -> &TcpStream {
        self.inner.get_ref().0.tcp()
    }

    /// Puts the one-line explanation into an error that is a TLS alert received before any data.
    fn explained(&self, error: io::Error) -> io::Error {
        match rustls_error(&error) {
            Some(rustls::Error::AlertReceived(alert)) if !self.confirmed => {
                let reason = FailureReason::PeerRejectedUs {
                    alert: alert_name(*alert),
                };
                io::Error::new(error.kind(), self.subject.failure(reason))
            }
            _ => error,
        }
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.confirmed = true;
        }
        polled.map_err(|error| self.explained(error))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        polled.map_err(|error| self.explained(error))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        polled.map_err(|error| self.explained(error))
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

/// A connection with TLS or, where the settings allow it, without.
#[derive(Debug)]
pub enum MaybeTlsStream {
    /// TLS is off: a TCP connection, or what a test has in its place.
    Plain(Box<dyn ByteStream>),
    /// TLS, accepted or dialled.
    Tls(Box<TlsStream>),
}

impl MaybeTlsStream {
    /// Returns the peer's certificates; `None` without TLS or without a certificate.
    pub fn peer_identity(&self) -> Option<&PeerIdentity> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.peer_identity(),
        }
    }

    /// Returns whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

/// Bytes in both directions.
pub trait ByteStream: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static> ByteStream for T {}

impl From<TcpStream> for MaybeTlsStream {
    fn from(tcp: TcpStream) -> Self {
        Self::Plain(Box::new(tcp))
    }
}

impl From<TlsStream> for MaybeTlsStream {
    fn from(stream: TlsStream) -> Self {
        Self::Tls(Box::new(stream))
    }
}

impl AsyncRead for MaybeTlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for MaybeTlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
