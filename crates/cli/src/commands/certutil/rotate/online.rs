//! What a running cluster says of its certificates: whether a step has reached every node.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use http::Method;
use ringwall_base::SecretString;
use ringwall_pki::{CertificateAuthority, CertificateInfo};
use ringwall_rest::http_client::HttpClient;
use ringwall_settings::Settings;
use serde_json::Value;

use super::plan::Step;
use crate::commands::online;
use crate::commands::users::first_line;
use crate::error::{CommandError, ExitCode};
use crate::terminal::Terminal;

/// The options about the cluster.
#[derive(Debug, clap::Args)]
pub(super) struct ClusterArgs {
    /// Address of a node of the running cluster, which is asked whether a step has reached every node
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// User with the cluster privilege monitor
    #[arg(long, value_name = "NAME", default_value = "elastic", requires = "url")]
    user: String,
    /// Read the user's password from the first line of a file; else it is asked for
    #[arg(long, value_name = "FILE", requires = "url")]
    user_pass_file: Option<PathBuf>,
}

/// A cluster to ask.
pub(super) struct Cluster {
    url: String,
    user: String,
    password: SecretString,
    /// Whose trust changes with the files.
    settings: Settings,
    runtime: tokio::runtime::Runtime,
}

impl ClusterArgs {
    /// Returns the cluster, trusted as the node with these settings would trust it; `None` without `--url`.
    pub(super) fn open(
        &self,
        settings: &Settings,
        terminal: &mut Terminal,
    ) -> Result<Option<Cluster>, CommandError> {
        let Some(url) = &self.url else {
            return Ok(None);
        };
        let password = match &self.user_pass_file {
            Some(file) => first_line(file)?,
            None => terminal.secret(&format!("Enter password for [{}] : ", self.user))?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                CommandError::new(ExitCode::Failure, format!("cannot start: {error}"))
            })?;
        Ok(Some(Cluster {
            url: url.clone(),
            user: self.user.clone(),
            password,
            settings: settings.clone(),
            runtime,
        }))
    }
}

impl Cluster {
    /// Waits until every node has a step in use. Errors: the time is up, and what is missing where.
    pub(super) fn wait_for(
        &self,
        step: Step,
        context: &str,
        authority: &CertificateAuthority,
        dropped: &[String],
        within: Duration,
    ) -> Result<(), CommandError> {
        let info = CertificateInfo::from_der(authority.certificate())
            .map_err(|error| CommandError::data(error.to_string()))?;
        let begun = Instant::now();
        loop {
            let missing = match self.view() {
                Ok(view) => missing(&view, step, context, &info, dropped),
                Err(reason) => vec![reason],
            };
            if missing.is_empty() {
                return Ok(());
            }
            if begun.elapsed() >= within {
                let message = format!(
                    "after {}s the step [{}] has not reached every node: {}",
                    within.as_secs(),
                    step.name(),
                    missing.join("; ")
                );
                return Err(CommandError::new(ExitCode::Unavailable, message).with_hint(
                    "look at the logs of these nodes, then run the same command again",
                ));
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn view(&self) -> Result<Value, String> {
        let tls = online::tls(&self.settings).map_err(|error| error.to_string())?;
        let login = Some((self.user.as_str(), &self.password));
        let client = HttpClient::new(&self.url, tls, login).map_err(|error| error.to_string())?;
        let asked = client.request(Method::GET, "/_ssl/nodes", None, String::new());
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(DEADLINE, asked).await })
            .map_err(|_| format!("[{}] does not answer", self.url))?
            .map_err(|error| error.to_string())?;
        match answer.status.is_success() {
            true => Ok(answer.json()),
            false => Err(format!("[{}]: {}", self.url, online::refusal(&answer))),
        }
    }
}

/// Returns what is missing for a step to be in use on every node, in words.
fn missing(
    view: &Value,
    step: Step,
    context: &str,
    authority: &CertificateInfo,
    dropped: &[String],
) -> Vec<String> {
    let mut missing = Vec::new();
    if view["_nodes"]["failed"] != 0 {
        missing.push("not every node answers".to_owned());
    }
    let nodes = view["nodes"].as_object();
    for node in nodes.into_iter().flat_map(serde_json::Map::values) {
        let name = node["name"].as_str().unwrap_or("?");
        let contexts = node["contexts"].as_array().map(Vec::as_slice);
        let Some(used) = contexts
            .unwrap_or_default()
            .iter()
            .find(|used| used["name"] == context)
        else {
            missing.push(format!("[{name}] does not use [{context}]"));
            continue;
        };
        if let Some(error) = used["reload_error"].as_str() {
            missing.push(format!("[{name}] cannot load its files: {error}"));
        }
        let certificates = used["certificates"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let has = |fingerprint: &str| {
            let found = |row: &&Value| {
                row["fingerprint_sha256"] == fingerprint && row["has_private_key"] == false
            };
            certificates.iter().any(|row| found(&row))
        };
        let issuer = authority.subject.to_string();
        match step {
            Step::Trust if !has(&authority.fingerprint_sha256) => {
                missing.push(format!("[{name}] does not trust [{issuer}] yet"));
            }
            Step::Reissue => {
                let own = certificates
                    .iter()
                    .find(|row| row["has_private_key"] == true);
                if own.is_none_or(|row| row["issuer"] != issuer) {
                    missing.push(format!(
                        "[{name}] does not show a certificate of [{issuer}] yet"
                    ));
                }
            }
            Step::Drop if dropped.iter().any(|fingerprint| has(fingerprint)) => {
                missing.push(format!("[{name}] still trusts the old CA"));
            }
            Step::Trust | Step::Drop => {}
        }
    }
    missing
}

const PAUSE: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use ringwall_pki::{CaParams, KeySpec};
    use serde_json::json;

    use super::*;

    #[test]
    fn each_step_is_seen_when_it_has_reached_a_node() {
        let params = CaParams {
            key: KeySpec::EcP256,
            ..CaParams::default()
        };
        let authority = CertificateAuthority::generate(&params).unwrap();
        let info = CertificateInfo::from_der(authority.certificate()).unwrap();
        let node = |trusts: &[&str], issuer: &str| {
            let mut rows = vec![
                json!({"has_private_key": true, "issuer": issuer, "fingerprint_sha256": "leaf"}),
            ];
            rows.extend(
                trusts
                    .iter()
                    .map(|sha| json!({"has_private_key": false, "fingerprint_sha256": sha})),
            );
            json!({
                "_nodes": {"failed": 0},
                "nodes": {"id": {"name": "n", "contexts": [{"name": "c", "reload_error": null, "certificates": rows}]}},
            })
        };
        let new = info.fingerprint_sha256.as_str();
        let issuer = info.subject.to_string();
        let dropped = ["old".to_owned()];
        let lacks = |view: &Value, step| missing(view, step, "c", &info, &dropped).len();
        assert_eq!(lacks(&node(&["old"], "CN=old"), Step::Trust), 1);
        assert_eq!(lacks(&node(&["old", new], "CN=old"), Step::Trust), 0);
        assert_eq!(lacks(&node(&["old", new], "CN=old"), Step::Reissue), 1);
        assert_eq!(lacks(&node(&["old", new], &issuer), Step::Reissue), 0);
        assert_eq!(lacks(&node(&["old", new], &issuer), Step::Drop), 1);
        assert_eq!(lacks(&node(&[new], &issuer), Step::Drop), 0);
        let mut broken = node(&[new], &issuer);
        broken["nodes"]["id"]["contexts"][0]["reload_error"] = json!("bad file");
        assert_eq!(lacks(&broken, Step::Drop), 1);
        assert_eq!(missing(&broken, Step::Trust, "other", &info, &[]).len(), 1);
    }
}
