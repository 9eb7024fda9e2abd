//! Enrolment tokens, made and read: `elasticsearch-create-enrollment-token` and what the first start
//! shares with it. Source: Elasticsearch reference, "elasticsearch-create-enrollment-token" and "Enroll node API".

use http::{Method, StatusCode};
use ringwall_base::ids::random_uuid;
use ringwall_base::{COMPATIBLE_VERSION, SecretString};
use ringwall_pki::CertificateInfo;
use ringwall_rest::http_client::HttpResponse;
use ringwall_security::enrollment::{EnrollmentToken, reachable_addresses};
use ringwall_settings::registry::{security, ssl};
use ringwall_tls::{SslConfig, SslError};
use serde_json::{Value, json};

use super::ephemeral::EphemeralSuperuser;
use super::online::{OnlineNode, refusal};
use super::reset_password::{check_health, wait_for};
use crate::arguments::CommonArgs;
use crate::error::{CommandError, ExitCode};
use crate::terminal::Terminal;

/// Arguments of `create-enrollment-token`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Makes a token that enrols a node or a console",
    long_about = "Makes a token that enrols a new node or a console, valid for 30 minutes.\n\n\
        Run it on the host of a node that secured itself at its first start, as a user that may write its \
        configuration. The token holds the node's addresses, the fingerprint of its HTTP CA, and an API key \
        that may do nothing but enrol.",
    after_help = "Examples:\n  \
        elasticsearch-create-enrollment-token -s node      for: elasticsearch --enrollment-token TOKEN\n  \
        elasticsearch-create-enrollment-token -s kibana    for a console"
)]
pub struct EnrollmentTokenArgs {
    /// What the token enrols: node or kibana
    #[arg(short, long, value_name = "node|kibana")]
    scope: String,
    /// Make a token even if the cluster is red
    #[arg(short, long)]
    force: bool,
    /// Address of the node, if another than its settings tell
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// What a token enrols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Node,
    Kibana,
}

impl Scope {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Kibana => "kibana",
        }
    }
}

/// Checks the node's material, makes an API key as a superuser of the moment, and prints the token.
pub fn run(
    args: &EnrollmentTokenArgs,
    common: &CommonArgs,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let scope = match args.scope.as_str() {
        "node" => Scope::Node,
        "kibana" => Scope::Kibana,
        _ => {
            terminal.err("The scope of this enrollment token, can only be one of [node, kibana]");
            return Err(CommandError::usage("Invalid scope"));
        }
    };
    let node = OnlineNode::open(common, args.url.as_deref(), terminal)?;
    if !node.settings().get(&security::ENROLLMENT_ENABLED) {
        return Err(CommandError::config(
            "[xpack.security.enrollment.enabled] must be set to `true` to create an enrollment token",
        ));
    }
    let fingerprint = authority_fingerprint(&node).inspect_err(|_| {
        let scope = scope.name();
        terminal.err(format!(
            "Unable to create enrollment token for scope [{scope}]"
        ));
    })?;
    let superuser = EphemeralSuperuser::create(node.settings(), terminal)?;
    let made = wait_for(&node, &superuser.login, terminal)
        .and_then(|()| check_health(&node, &superuser.login, args.force, terminal))
        .and_then(|()| make(&node, &superuser, scope, &fingerprint));
    superuser.remove(terminal)?;
    terminal.out(made?.encode().expose());
    Ok(())
}

fn make(
    node: &OnlineNode,
    superuser: &EphemeralSuperuser,
    scope: Scope,
    fingerprint: &str,
) -> Result<EnrollmentToken, CommandError> {
    let cannot = |reason: String| {
        let scope = scope.name();
        CommandError::cant_create(format!(
            "Unable to create enrollment token for scope [{scope}]"
        ))
        .with_hint(reason)
    };
    let (name, body) = key_request(scope);
    let login = &superuser.login;
    let made = node
        .request(login, Method::POST, "/_security/api_key", Some(&body))
        .map_err(|error| cannot(error.to_string()))?;
    let nodes = node
        .request(login, Method::GET, "/_nodes/_local/http", None)
        .map_err(|error| cannot(error.to_string()))?;
    assemble(&name, &made, &nodes, fingerprint).map_err(cannot)
}

/// Returns the name and the description of an API key that may do nothing but enrol.
pub(super) fn key_request(scope: Scope) -> (String, Value) {
    let name = format!("enrollment_token_API_key_{}", random_uuid());
    let action = format!("cluster:admin/xpack/security/enroll/{}", scope.name());
    let body = json!({
        "name": name,
        "expiration": "30m",
        "role_descriptors": {"create_enrollment_token": {"cluster": [action]}},
    });
    (name, body)
}

/// Puts a token together out of the answers of `POST /_security/api_key` and `GET /_nodes/_local/http`.
/// Errors: what is wrong with them.
pub(super) fn assemble(
    name: &str,
    made: &HttpResponse,
    nodes: &HttpResponse,
    fingerprint: &str,
) -> Result<EnrollmentToken, String> {
    for answer in [made, nodes] {
        if answer.status != StatusCode::OK {
            return Err(refusal(answer));
        }
    }
    let key = made.json();
    let (Some(id), Some(secret)) = (key["id"].as_str(), key["api_key"].as_str()) else {
        return Err(format!(
            "the answer for the API key [{name}] has no id or no key"
        ));
    };
    let nodes = nodes.json();
    let local = nodes["nodes"]
        .as_object()
        .and_then(|nodes| nodes.values().next());
    let http = local.map(|node| &node["http"]).unwrap_or(&Value::Null);
    let mut told: Vec<String> = Vec::new();
    let bound = http["bound_address"].as_array();
    let all = bound
        .into_iter()
        .flatten()
        .chain([&http["publish_address"]]);
    told.extend(all.filter_map(|address| address.as_str().map(str::to_owned)));
    let addresses = reachable_addresses(&told);
    if addresses.is_empty() {
        return Err(format!(
            "the node tells no HTTP address that others can use, only {told:?}"
        ));
    }
    Ok(EnrollmentToken {
        version: COMPATIBLE_VERSION.to_owned(),
        addresses,
        fingerprint: fingerprint.to_owned(),
        api_key: SecretString::new(format!("{id}:{secret}")),
    })
}

/// Returns the fingerprint of the CA in the keystore of the node's HTTP layer. Errors: 73, in the words of
/// Elasticsearch.
fn authority_fingerprint(node: &OnlineNode) -> Result<String, CommandError> {
    let cannot = |why: &str| {
        CommandError::cant_create(format!("Unable to create an enrollment token. {why}"))
    };
    let no_keystore = || {
        cannot("Elasticsearch node HTTP layer SSL configuration is not configured with a keystore")
    };
    let settings = node.settings();
    let enabled = &ssl::HTTP_SSL.enabled;
    if settings.is_set(enabled.key()) && !settings.get(enabled) {
        return Err(cannot(
            "TLS of the HTTP layer is off: set [xpack.security.http.ssl.enabled] to [true]",
        ));
    }
    let config = SslConfig::from_settings(settings, "xpack.security.http.ssl")
        .map_err(|error| CommandError::config(error.to_string()))?
        .ok_or_else(no_keystore)?;
    let keystore = config.read_keystore().map_err(|error| match error {
        SslError::NoKeystore { .. } => no_keystore(),
        other => CommandError::config(other.to_string()),
    })?;
    let authority = keystore.authority().map_err(cannot)?;
    CertificateInfo::from_der(&authority.chain[0])
        .map(|info| info.fingerprint_sha256)
        .map_err(|error| cannot(&error.to_string()))
}

/// Reads a token that was handed over. Errors: 65.
pub(super) fn parse(text: &SecretString) -> Result<EnrollmentToken, CommandError> {
    EnrollmentToken::parse(text.expose()).map_err(|why| {
        CommandError::new(
            ExitCode::DataError,
            "Aborting auto configuration. Invalid enrollment token",
        )
        .with_hint(why)
    })
}
