//! Dials an HTTP layer with the context of this node's own.

use std::net::SocketAddr;
use std::time::Duration;

use ringwall_node::preflight::{ConnectError, Seen};
use ringwall_tls::{HandshakeFailure, MaybeTlsStream, SslContext, explain_io_error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Returns what was seen, and the status line of the answer or why there is none. Each step takes at
/// most `within`.
pub(super) async fn dial(
    tls: Option<&SslContext>,
    host: &str,
    address: SocketAddr,
    within: Duration,
) -> (Seen, Result<String, ConnectError>) {
    let mut seen = Seen::default();
    let result = exchange(tls, host, address, within, &mut seen).await;
    (seen, result)
}

async fn exchange(
    tls: Option<&SslContext>,
    host: &str,
    address: SocketAddr,
    within: Duration,
    seen: &mut Seen,
) -> Result<String, ConnectError> {
    let late = |stage| ConnectError::Timeout {
        address: address.to_string(),
        stage,
        after: within,
    };
    let tcp = timeout(within, TcpStream::connect(address))
        .await
        .map_err(|_| late("connect"))?
        .map_err(|error| ConnectError::Tcp {
            address: address.to_string(),
            reason: error.to_string(),
        })?;
    let stream = match tls {
        None => MaybeTlsStream::from(tcp),
        Some(tls) => {
            let connected = tls.connect(tcp, host, address, within).await;
            MaybeTlsStream::from(connected.map_err(refused)?)
        }
    };
    *seen = Seen::of(&stream);
    // In TLS 1.3 a refusal by the other side comes with the first read.
    match timeout(within, ask(stream, host)).await {
        Err(_) => Err(late("HTTP answer")),
        Ok(Err(error)) => Err(match explain_io_error(&error) {
            Some(failure) => refused(failure.clone()),
            None => ConnectError::Handshake {
                address: address.to_string(),
                reason: format!("it does not answer HTTP: {error}"),
            },
        }),
        Ok(Ok(answer)) if answer.starts_with("HTTP/") => Ok(answer),
        Ok(Ok(_)) => Err(ConnectError::Handshake {
            address: address.to_string(),
            reason: "its answer is not HTTP".to_owned(),
        }),
    }
}

/// Sends a request without a user, and returns the first line of the answer.
async fn ask(mut stream: MaybeTlsStream, host: &str) -> std::io::Result<String> {
    let request = format!("HEAD / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let sent = match stream.write_all(request.as_bytes()).await {
        Ok(()) => stream.flush().await,
        failed => failed,
    };
    let mut answer = Vec::new();
    let mut part = [0; 512];
    while answer.len() < ANSWER_BYTES && !answer.contains(&b'\n') {
        // A refusal can be read although writing failed.
        match stream.read(&mut part).await? {
            0 => break,
            read => answer.extend_from_slice(&part[..read]),
        }
    }
    if answer.is_empty() {
        sent?;
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let text = String::from_utf8_lossy(&answer);
    let line: String = text
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(100)
        .collect();
    Ok(line.replace(char::is_control, " "))
}

fn refused(failure: HandshakeFailure) -> ConnectError {
    ConnectError::Tls(Box::new(failure))
}

const ANSWER_BYTES: usize = 4096;
