//! The running cluster, asked over HTTPS like any client would.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use ringwall_base::SecretString;
use ringwall_rest::http_client::{HttpClient, HttpClientError, HttpResponse};
use ringwall_settings::VerificationMode;
use ringwall_tls::{SslContext, ToolTrust};
use tokio::time::Instant;

use super::site::Site;
use crate::commands::online::{ELASTIC, refusal};
use crate::error::{CommandError, ExitCode};
use crate::terminal::Terminal;

/// A client of every node.
pub(super) struct Cluster {
    nodes: Vec<Member>,
    state_file: String,
}

struct Member {
    name: String,
    /// Asks how things are, and gives up early.
    prober: HttpClient,
    /// Waits for long work.
    worker: HttpClient,
}

impl Cluster {
    /// Makes the clients; nothing is sent.
    pub(super) fn connect(site: &Site) -> Result<Self, CommandError> {
        let tls = SslContext::for_tools(
            "quickstart",
            ToolTrust::CaFiles(vec![site.ca_file()]),
            VerificationMode::Full,
        )
        .map_err(|error| CommandError::config(error.to_string()))?;
        let nodes = site
            .nodes()
            .iter()
            .map(|node| {
                let client = || client(&node.url(), &tls, &site.state().password);
                Ok(Member {
                    name: node.name.clone(),
                    prober: client()?.with_timeout(PROBE_TIMEOUT),
                    worker: client()?,
                })
            })
            .collect::<Result<_, CommandError>>()?;
        Ok(Self {
            nodes,
            state_file: site.dir().join("state.json").display().to_string(),
        })
    }

    /// Waits until every node answers, all are in one cluster, every primary serves, and no replica that these nodes
    /// could hold is missing. Returns the status that is reached: a user may ask for more replicas than there are
    /// nodes, and then it stays yellow.
    pub(super) async fn wait_until_ready(
        &self,
        within: Duration,
        terminal: &mut Terminal,
    ) -> Result<&'static str, CommandError> {
        let begun = Instant::now();
        let mut refused_since: Option<Instant> = None;
        loop {
            let health = self.health().await;
            refused_since = match health {
                Health::Refused => refused_since.or_else(|| Some(Instant::now())),
                _ => None,
            };
            let waiting = match health {
                Health::Ready(status) => return Ok(status),
                Health::Refused => "not letting us in yet".to_owned(),
                Health::Not(reason) => reason,
            };
            // A node that has just started may not know the users yet.
            if refused_since.is_some_and(|since| since.elapsed() >= REFUSED_FOR) {
                return Err(self.wrong_password());
            }
            if begun.elapsed() >= within {
                let seconds = within.as_secs();
                return Err(CommandError::unavailable(format!(
                    "the cluster is not ready after {seconds} s: {waiting}"
                ))
                .with_hint("the logs of the nodes are in node-*/logs"));
            }
            let seconds = begun.elapsed().as_secs_f64();
            terminal.status(format!(
                "  waiting for the cluster: {waiting} ({seconds:.1} s)"
            ));
            tokio::time::sleep(POLL).await;
        }
    }

    /// Sends a request to a node; `turn` spreads requests over them.
    pub(super) async fn request(
        &self,
        turn: usize,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: impl Into<Vec<u8>>,
    ) -> Result<HttpResponse, CommandError> {
        let node = &self.nodes[turn % self.nodes.len()];
        node.worker
            .request(method, path, content_type, body.into())
            .await
            .map_err(|error| {
                CommandError::unavailable(format!("{} did not answer: {error}", node.name))
            })
    }

    /// As [`Cluster::request`]; an answer other than 200 is an error that says what was tried.
    pub(super) async fn expect(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<serde_json::Value, CommandError> {
        let content_type = body.as_ref().map(|_| "application/json");
        let answer = self
            .request(0, method, path, content_type, body.unwrap_or_default())
            .await?;
        match answer.status {
            StatusCode::OK => Ok(answer.json()),
            _ => {
                let message = format!("cannot {what}: {}", refusal(&answer));
                Err(CommandError::new(ExitCode::Failure, message))
            }
        }
    }

    /// Asks every node for a search over all shards, then for the health: until restarted nodes have
    /// taken up their shards again, health tells how things were before.
    async fn health(&self) -> Health {
        let nodes = self.nodes.len();
        let mut reached = GREEN;
        for (path, judge) in [
            (
                "/_count",
                judge_search as fn(&HttpResponse, usize) -> Health,
            ),
            ("/_cluster/health", judge_health),
        ] {
            for node in &self.nodes {
                let verdict = match node.prober.request(Method::GET, path, None, "").await {
                    Ok(answer) => judge(&answer, nodes),
                    Err(error) => Health::Not(format!("{} {}", node.name, unanswered(&error))),
                };
                match verdict {
                    Health::Ready(GREEN) => {}
                    Health::Ready(status) => reached = status,
                    other => return other,
                }
            }
        }
        Health::Ready(reached)
    }

    fn wrong_password(&self) -> CommandError {
        CommandError::config(format!(
            "the cluster does not accept the password of [{ELASTIC}] in [{}]",
            self.state_file
        ))
        .with_hint("if it was changed in the cluster, write the new one into that file")
    }
}

fn client(
    url: &str,
    tls: &Arc<SslContext>,
    password: &SecretString,
) -> Result<HttpClient, CommandError> {
    HttpClient::new(url, Some(Arc::clone(tls)), Some((ELASTIC, password)))
        .map_err(|error| CommandError::config(error.to_string()))
}

#[derive(Debug, PartialEq, Eq)]
enum Health {
    /// All nodes are there and all copies active that can be; with the status.
    Ready(&'static str),
    /// The password is not accepted.
    Refused,
    /// Why not yet.
    Not(String),
}

fn judge_search(answer: &HttpResponse, _: usize) -> Health {
    match answer.status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Health::Refused,
        _ => return Health::Not(refusal(answer)),
    }
    match answer.json()["_shards"]["failed"].as_u64() {
        Some(0) => Health::Ready(GREEN),
        _ => Health::Not("not all shards are open".to_owned()),
    }
}

fn judge_health(answer: &HttpResponse, nodes: usize) -> Health {
    match answer.status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Health::Refused,
        // 408 and 503 are what a cluster without a master answers.
        _ => return Health::Not(refusal(answer)),
    }
    let health = answer.json();
    let joined = health["number_of_nodes"].as_u64().unwrap_or(0);
    if joined != nodes as u64 {
        return Health::Not(format!("{joined} of {nodes} nodes joined"));
    }
    let none = |count: &str| health[count].as_u64() == Some(0);
    // What is on its way, or waits for a node that may come back, is waited for.
    let is_settled = none("initializing_shards") && none("delayed_unassigned_shards");
    match health["status"].as_str() {
        Some("green") => Health::Ready(GREEN),
        Some("yellow") if is_settled => Health::Ready("yellow"),
        status => Health::Not(format!("health is {}", status.unwrap_or("unknown"))),
    }
}

fn unanswered(error: &HttpClientError) -> String {
    match error {
        HttpClientError::Connect { .. } => "does not listen yet".to_owned(),
        other => format!("does not answer yet: {other}"),
    }
}

/// Quotes a path for a shell line.
pub(super) fn shell_quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

const GREEN: &str = "green";
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
const REFUSED_FOR: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> HttpResponse {
        HttpResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers: http::HeaderMap::new(),
            body: body.into(),
        }
    }

    #[test]
    fn ready_needs_all_nodes_and_all_that_they_can_hold() {
        let green = r#"{"status":"green","number_of_nodes":3}"#;
        assert_eq!(judge_health(&answer(200, green), 3), Health::Ready(GREEN));
        for (initializing, delayed, expected) in [
            (0, 0, Health::Ready("yellow")),
            (1, 0, Health::Not("health is yellow".into())),
            (0, 1, Health::Not("health is yellow".into())),
        ] {
            let body = format!(
                r#"{{"status":"yellow","number_of_nodes":3,"initializing_shards":{initializing},
                    "delayed_unassigned_shards":{delayed}}}"#
            );
            let body: &'static str = body.leak();
            assert_eq!(judge_health(&answer(200, body), 3), expected);
        }
        assert_eq!(
            judge_health(&answer(200, green), 4),
            Health::Not("3 of 4 nodes joined".into())
        );
        let yellow = r#"{"status":"yellow","number_of_nodes":3}"#;
        assert_eq!(
            judge_health(&answer(200, yellow), 3),
            Health::Not("health is yellow".into())
        );
        assert_eq!(judge_health(&answer(401, "{}"), 3), Health::Refused);
        let none = answer(503, r#"{"error":{"reason":"no master"}}"#);
        assert!(
            matches!(judge_health(&none, 3), Health::Not(reason) if reason.contains("no master"))
        );
    }

    #[test]
    fn a_search_must_reach_all_shards() {
        let count = r#"{"count":1,"_shards":{"total":1,"failed":0}}"#;
        assert_eq!(judge_search(&answer(200, count), 3), Health::Ready(GREEN));
        let failed = r#"{"count":1,"_shards":{"total":2,"failed":1}}"#;
        assert!(matches!(
            judge_search(&answer(200, failed), 3),
            Health::Not(_)
        ));
        assert!(matches!(
            judge_search(&answer(503, "{}"), 3),
            Health::Not(_)
        ));
    }

    #[test]
    fn paths_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(shell_quoted(Path::new("/a/b-1.crt")), "/a/b-1.crt");
        assert_eq!(shell_quoted(Path::new("/it's here")), r"'/it'\''s here'");
    }
}
