//! What an address speaks where a handshake failed: TLS, or plain text. For tools.

use std::net::SocketAddr;
use std::time::Duration;

use ringwall_settings::VerificationMode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::context::SslContext;
use crate::failure::FailureReason;
use crate::tools::ToolTrust;

/// What somebody speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Tls,
    /// It answers plain text: a node or an HTTP server without TLS.
    Plaintext,
    /// Neither was answered in time, or nobody is there.
    Unknown,
}

/// Finds out what the address speaks, each attempt within `within`. Says nothing about this node.
pub async fn speaks(address: SocketAddr, within: Duration) -> Speaks {
    let (tls, plain) = tokio::join!(
        timeout(within, answers_tls(address, within)),
        timeout(within, answers_plaintext(address)),
    );
    if tls.unwrap_or(false) {
        return Speaks::Tls;
    }
    match plain.unwrap_or(false) {
        true => Speaks::Plaintext,
        false => Speaks::Unknown,
    }
}

async fn answers_tls(address: SocketAddr, within: Duration) -> bool {
    let nobody = ToolTrust::CaFiles(Vec::new());
    let context = SslContext::for_tools("probe", nobody, VerificationMode::None);
    let (Ok(context), Ok(tcp)) = (context, TcpStream::connect(address).await) else {
        return false;
    };
    let host = address.ip().to_string();
    match context.connect(tcp, &host, address, within).await {
        Ok(_) => true,
        // Whatever it refuses, it refuses in TLS.
        Err(failure) => !matches!(
            failure.reason(),
            FailureReason::Plaintext(_)
                | FailureReason::Timeout { .. }
                | FailureReason::Closed
                | FailureReason::Io(_)
        ),
    }
}

/// A transport without TLS answers HTTP/1 too: that it is no HTTP port.
async fn answers_plaintext(address: SocketAddr) -> bool {
    let Ok(mut tcp) = TcpStream::connect(address).await else {
        return false;
    };
    let asked = tcp.write_all(b"GET / HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n");
    if asked.await.is_err() {
        return false;
    }
    let mut answer = [0; 5];
    // A TLS alert is five bytes too, and of another kind.
    tcp.read_exact(&mut answer).await.is_ok() && answer[0].is_ascii_graphic()
}
