//! What a person is told, once, when a node has secured itself. Source: Elasticsearch reference, "Start the Elastic
//! Stack with security enabled automatically".

use std::net::SocketAddr;

use http::Method;
use ringwall_base::SecretString;
use ringwall_rest::http_client::HttpClient;
use ringwall_settings::VerificationMode;
use ringwall_tls::{SslContext, ToolTrust};

use crate::commands::enrollment::{self, Scope};

/// What there is to tell when the node runs.
pub(in crate::commands) struct Announcement {
    /// Of `elastic`; `None` when nobody watches, or the cluster has one already.
    pub(super) password: Option<SecretString>,
    /// Of the HTTP CA.
    pub(super) fingerprint: String,
    pub(super) is_enrolling: bool,
}

/// Returns the text. It asks the node itself for enrolment tokens, as `elastic`.
pub(in crate::commands) async fn compose(
    announcement: &Announcement,
    http: &[SocketAddr],
) -> String {
    let mut text = String::from(FRAME);
    if announcement.is_enrolling {
        text += "This node has enrolled: it joins the cluster of its token over mutual TLS.\n";
        return text + FRAME;
    }
    text += "Security was configured: TLS between nodes and for clients, users with passwords.\n\n";
    match &announcement.password {
        Some(password) => {
            text += &format!(
                "Password for the elastic user (shown only now; `elasticsearch-reset-password -u elastic` makes \
                 another):\n  {}\n\n",
                password.expose()
            );
        }
        None => {
            text +=
                "Password of elastic: make one with `elasticsearch-reset-password -u elastic`\n\n"
        }
    }
    text += &format!(
        "SHA-256 fingerprint of the HTTP CA certificate:\n  {}\n\n",
        announcement.fingerprint
    );
    for (scope, purpose) in [
        (
            Scope::Kibana,
            "Connect a console with this token, valid for 30 minutes",
        ),
        (
            Scope::Node,
            "Enrol other nodes with this token, valid for 30 minutes, by: `bin/elasticsearch --enrollment-token TOKEN`\n(nodes on other hosts can join once [transport.host] is set in elasticsearch.yml, and this node restarted)",
        ),
    ] {
        match token(announcement, http, scope).await {
            Ok(token) => text += &format!("{purpose}\n  {}\n\n", token.expose()),
            Err(reason) => {
                text += &format!(
                    "No enrolment token could be made ({reason}); `elasticsearch-create-enrollment-token -s {}` makes one\n\n",
                    scope.name()
                );
            }
        }
    }
    text + FRAME
}

async fn token(
    announcement: &Announcement,
    http: &[SocketAddr],
    scope: Scope,
) -> Result<SecretString, String> {
    let (Some(password), Some(address)) = (&announcement.password, http.first()) else {
        return Err("there is no password to ask with".to_owned());
    };
    let host = match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let url = format!("https://{host}:{}", address.port());
    let trust = ToolTrust::Fingerprint(announcement.fingerprint.clone());
    let tls = SslContext::for_tools("first start", trust, VerificationMode::Certificate)
        .map_err(|error| error.to_string())?;
    let client = HttpClient::new(
        &url,
        Some(tls),
        Some((crate::commands::online::ELASTIC, password)),
    )
    .map_err(|error| error.to_string())?;
    let (name, body) = enrollment::key_request(scope);
    let made = client
        .request(
            Method::POST,
            "/_security/api_key",
            Some("application/json"),
            body.to_string(),
        )
        .await;
    let made = made.map_err(|error| error.to_string())?;
    let nodes = client
        .request(Method::GET, "/_nodes/_local/http", None, "")
        .await;
    let nodes = nodes.map_err(|error| error.to_string())?;
    enrollment::assemble(&name, &made, &nodes, &announcement.fingerprint)
        .map(|token| token.encode())
}

const FRAME: &str =
    "----------------------------------------------------------------------------\n";
