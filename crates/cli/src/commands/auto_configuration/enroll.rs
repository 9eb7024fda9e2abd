//! Asking a cluster for what a new node needs. Source: Elasticsearch reference, "Enroll node API" and
//! "elasticsearch-reconfigure-node".

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use ringwall_base::SecretString;
use ringwall_rest::http_client::HttpClient;
use ringwall_security::enrollment::EnrollmentToken;
use ringwall_settings::VerificationMode;
use ringwall_tls::{SslContext, ToolTrust};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::commands::online::refusal;
use crate::error::{CommandError, ExitCode};

/// Certificates and keys as base64 of DER.
pub(super) struct EnrollAnswer {
    pub(super) http_ca_key: SecretString,
    pub(super) http_ca_cert: String,
    pub(super) transport_ca_cert: String,
    pub(super) transport_key: SecretString,
    pub(super) transport_cert: String,
    pub(super) nodes_addresses: Vec<String>,
}

/// Tries the addresses of the token one after another, trusting the CA with its fingerprint alone.
///
/// Errors: 69 when no node could be reached, 65 when one refused or its answer is incomplete.
pub(super) fn ask(token: &EnrollmentToken) -> Result<EnrollAnswer, CommandError> {
    let trust = ToolTrust::Fingerprint(token.fingerprint.clone());
    let tls = SslContext::for_tools("enrollment", trust, VerificationMode::Certificate)
        .map_err(|error| CommandError::data(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::new(ExitCode::Failure, format!("cannot start: {error}")))?;
    let encoded = Zeroizing::new(STANDARD.encode(token.api_key.expose()));
    let authorization = SecretString::new(format!("ApiKey {}", &*encoded));
    let mut problems = Vec::new();
    for address in &token.addresses {
        let url = format!("https://{address}");
        let client = HttpClient::new(&url, Some(tls.clone()), None);
        let client = client.map_err(|error| CommandError::data(error.to_string()))?;
        let client = client
            .with_authorization(&authorization)
            .with_timeout(TIMEOUT);
        let asked = client.request(Method::GET, "/_security/enroll/node", None, "");
        match runtime.block_on(asked) {
            Ok(answer) if answer.status == StatusCode::OK => return read(&answer.json()),
            Ok(answer) => {
                let message = format!("Aborting enrolling to cluster. {url} refused");
                let hint = "tokens are good for half an hour: make a new one with \
                            `elasticsearch-create-enrollment-token -s node` on a node of the cluster";
                let message = format!("{message}: {}", refusal(&answer));
                return Err(CommandError::data(message).with_hint(hint));
            }
            Err(error) => problems.push(format!("{url}: {error}")),
        }
    }
    Err(CommandError::unavailable(format!(
        "Aborting enrolling to cluster. Could not communicate with the node on any of the addresses from the \
         enrollment token. All of [{}] were attempted.",
        token.addresses.join(", ")
    ))
    .with_hint(problems.join("\n")))
}

fn read(answer: &Value) -> Result<EnrollAnswer, CommandError> {
    let mut missing = Vec::new();
    let mut text = |name: &'static str| {
        let text = answer.get(name).and_then(Value::as_str);
        text.unwrap_or_else(|| {
            missing.push(name);
            ""
        })
        .to_owned()
    };
    let read = EnrollAnswer {
        http_ca_key: text("http_ca_key").into(),
        http_ca_cert: text("http_ca_cert"),
        transport_ca_cert: text("transport_ca_cert"),
        transport_key: text("transport_key").into(),
        transport_cert: text("transport_cert"),
        nodes_addresses: Vec::new(),
    };
    let addresses = answer.get("nodes_addresses").and_then(Value::as_array);
    let addresses: Vec<String> = addresses
        .into_iter()
        .flatten()
        .filter_map(|address| address.as_str().map(str::to_owned))
        .collect();
    if addresses.is_empty() {
        missing.push("nodes_addresses");
    }
    if !missing.is_empty() {
        return Err(CommandError::data(format!(
            "Aborting enrolling to cluster. The answer of the cluster lacks [{}]",
            missing.join(", ")
        )));
    }
    Ok(EnrollAnswer {
        nodes_addresses: addresses,
        ..read
    })
}

const TIMEOUT: Duration = Duration::from_secs(30);
