//! How the operating system is to treat the connections between nodes.

use std::io;

use socket2::SockRef;
use tokio::net::TcpStream;

/// Prepares a connection for small urgent messages, also where packets get lost.
///
/// # Errors
/// The connection is over.
pub(crate) fn prepare(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    if let Err(error) = tune(&SockRef::from(tcp)) {
        tracing::debug!(%error, "cannot tune a connection");
    }
    Ok(())
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
