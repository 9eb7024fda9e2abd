//! Where connections come from: TCP of the operating system, or a network that a test simulates.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use futures::future::BoxFuture;
use ringwall_tls::{ByteStream, MaybeTlsStream};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

/// A network in place of the operating system's. TLS is not spoken on it.
pub trait Network: Send + Sync + 'static {
    /// Listens on an address.
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Acceptor>>>;

    /// Connects to an address.
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn ByteStream>>>;
}

/// Accepts connections of a [`Network`].
pub trait Acceptor: Send + 'static {
    /// Returns the next connection and where it comes from.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn ByteStream>, SocketAddr)>>;
}

/// A connection on which nothing has been said.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Simulated(Box<dyn ByteStream>),
}

impl Socket {
    /// Prepares a connection for small urgent messages, also where packets get lost.
    ///
    /// # Errors
    /// The connection is over.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        let Self::Tcp(tcp) = self else {
            return Ok(());
        };
        tcp.set_nodelay(true)?;
        if let Err(error) = tune(&SockRef::from(tcp)) {
            tracing::debug!(%error, "cannot tune a connection");
        }
        Ok(())
    }
}

impl From<Socket> for MaybeTlsStream {
    fn from(socket: Socket) -> Self {
        match socket {
            Socket::Tcp(tcp) => tcp.into(),
            Socket::Simulated(stream) => Self::Plain(stream),
        }
    }
}

pub(crate) enum Listener {
    Tcp(TcpListener),
    Simulated(Box<dyn Acceptor>),
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => listener.fmt(f),
            Self::Simulated(_) => f.write_str("Simulated"),
        }
    }
}

impl Listener {
    pub(crate) async fn accept(&mut self) -> io::Result<(Socket, SocketAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (tcp, peer) = listener.accept().await?;
                Ok((Socket::Tcp(tcp), peer))
            }
            Self::Simulated(acceptor) => {
                let (stream, peer) = acceptor.accept().await?;
                Ok((Socket::Simulated(stream), peer))
            }
        }
    }
}

/// A packet that is lost again and again is sent again at an even pace, not at twice the pause each time: a check
/// of a node's life takes tenths of a second with every third packet lost. And what the network does not take stays
/// with us, so that a ping need not wait behind megabytes.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn tune(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_thin_linear_timeouts(true)?;
    socket.set_tcp_notsent_lowat(NOT_SENT_BYTES)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn tune(_: &SockRef<'_>) -> io::Result<()> {
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const NOT_SENT_BYTES: u32 = 128 << 10;
