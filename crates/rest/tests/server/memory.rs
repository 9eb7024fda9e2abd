//! What requests hold in memory: refused beyond the limits, given back on every way out.

use ringwall_base::breaker::{Breakers, Limit, Limits, Purpose};
use ringwall_rest::RestConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Server, WITHIN, ask, exchange};

fn limits(request: u64, in_flight: u64) -> Breakers {
    let limit = |bytes| Limit {
        bytes,
        overhead: 1.0,
    };
    Breakers::new(Limits {
        request: limit(request),
        in_flight: limit(in_flight),
        ..Limits::none()
    })
}

async fn serve(breakers: &Breakers) -> Server {
    let config = RestConfig {
        breakers: breakers.clone(),
        max_content_values: 100,
        ..RestConfig::default()
    };
    Server::plain(config).await
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: es\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Waits until so many bytes are charged.
async fn charged(breakers: &Breakers, purpose: Purpose, is_met: impl Fn(u64) -> bool) {
    let met = async {
        while !is_met(breakers.used(purpose)) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(WITHIN, met)
        .await
        .unwrap_or_else(|_| panic!("charged {}", breakers.used(purpose)));
}

async fn settled(breakers: &Breakers) {
    for purpose in Purpose::ALL {
        charged(breakers, purpose, |bytes| bytes == 0).await;
    }
}

#[tokio::test]
async fn bodies_beyond_the_limits_are_refused_and_nothing_stays_charged() {
    let breakers = limits(5_000, 2_000);
    let server = serve(&breakers).await;
    let list = |n: usize| format!("{{\"query\":[{}0]}}", "0,".repeat(n - 1));
    let long = format!("{{\"query\":\"{}\"}}", "x".repeat(3_000));
    for (body, status, words) in [
        (list(5), 500, "there is no node here"),
        (list(200), 413, "http.max_content_values"),
        (
            list(60),
            429,
            "[request] Data too large, data for [<parsed_request>] would be [",
        ),
        (
            long,
            429,
            "[inflight_requests] Data too large, data for [<http_request>] would be [",
        ),
    ] {
        let told = exchange(server.tcp().await, &closing(&post("/_search", &body))).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{told}");
        assert!(told.contains(words), "{told}");
        let (_, json) = told.split_once("\r\n\r\n").unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        if status == 429 {
            assert_eq!(json["error"]["type"], "circuit_breaking_exception");
            assert_eq!(json["error"]["durability"], "TRANSIENT");
            let wanted = json["error"]["bytes_wanted"].as_u64().unwrap();
            assert!(wanted > json["error"]["bytes_limit"].as_u64().unwrap());
        }
        settled(&breakers).await;
    }
    let tripped: Vec<u64> = breakers.stats().iter().map(|b| b.tripped).collect();
    assert_eq!(tripped, [1, 1, 0]);
}

#[tokio::test]
async fn who_hangs_up_gives_back_what_was_charged() {
    let breakers = limits(5_000, 2_000);
    let server = serve(&breakers).await;
    let mut half = server.tcp().await;
    let request = post("/_search", &" ".repeat(1_000));
    let (sent, _) = request.split_at(request.len() - 100);
    half.write_all(sent.as_bytes()).await.unwrap();
    charged(&breakers, Purpose::InFlight, |bytes| bytes >= 800).await;
    drop(half);
    settled(&breakers).await;
}

#[tokio::test]
async fn an_answer_is_charged_until_it_is_read() {
    let breakers = limits(200, 2_000);
    let server = serve(&breakers).await;
    // The table of columns is longer than what may be held.
    let mut connection = server.tcp().await;
    let help = "GET /_cat/indices?help HTTP/1.1\r\nhost: es\r\n\r\n";
    let told = ask(&mut connection, help).await;
    assert!(told.starts_with("HTTP/1.1 429"), "{told}");
    assert!(told.contains("data for [<http_response>]"), "{told}");
    breakers.set_limits(Limits::none());
    let told = ask(&mut connection, help).await;
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    drop(connection);
    settled(&breakers).await;
}

#[tokio::test]
async fn who_may_not_is_refused_before_the_body_is_read() {
    let breakers = limits(5_000, 2_000);
    let server = serve(&breakers).await;
    server.admits_nobody();
    let mut connection = server.tcp().await;
    // The body is announced and never comes.
    let head = "POST /_search HTTP/1.1\r\nhost: es\r\ncontent-type: application/json\r\ncontent-length: 90000000\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut piece = [0; 12];
    let read = tokio::time::timeout(WITHIN, connection.read_exact(&mut piece));
    read.await
        .expect("an answer comes without the body")
        .unwrap();
    assert_eq!(&piece, b"HTTP/1.1 403");
    settled(&breakers).await;
}

fn closing(request: &str) -> String {
    request.replacen("host: es\r\n", "host: es\r\nconnection: close\r\n", 1)
}
