//! What the tools share that talk to a running node: where it listens, what it is trusted by, how
//! its keystore opens. All of it comes from the node's own home. Source: Elasticsearch reference,
//! "elasticsearch-setup-passwords" and "elasticsearch-reset-password".

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use ringwall_base::SecretString;
use ringwall_rest::http_client::{HttpClient, HttpClientError, HttpResponse, shown_url};
use ringwall_settings::registry::{network, security, ssl};
use ringwall_settings::{Keystore, KeystoreFile, Settings, keystore};
use ringwall_tls::{CertificateDer, SslConfig, SslContext};
use serde_json::{Value, json};

use crate::arguments::CommonArgs;
use crate::error::{CommandError, ExitCode};
use crate::paths::Paths;
use crate::terminal::Terminal;

/// The user that the tools act as while its first password holds.
pub(super) const ELASTIC: &str = "elastic";

/// Who a request is sent as.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: SecretString,
}

impl Login {
    /// Returns a login as `elastic`.
    pub(super) fn elastic(password: SecretString) -> Self {
        Self {
            user: ELASTIC.to_owned(),
            password,
        }
    }
}

/// A running node, as its home describes it.
pub(super) struct OnlineNode {
    url: String,
    shown_url: String,
    settings: Settings,
    tls: Option<Arc<SslContext>>,
    keystore: Option<Keystore>,
    keystore_path: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl OnlineNode {
    /// Reads the home's settings and keystore, asking for its password if it has one.
    ///
    /// Errors: no home, settings that no node would start with, security off (78), TLS files that
    /// cannot be used, and no way to tell the address when `url` is `None` (64).
    pub(super) fn open(
        common: &CommonArgs,
        url: Option<&str>,
        terminal: &mut Terminal,
    ) -> Result<Self, CommandError> {
        let paths = Paths::resolve()?;
        let keystore_path = paths.keystore();
        let keystore = open_keystore(&keystore_path, terminal)?;
        let settings = Settings::load(paths.config(), &common.overrides()?, keystore.as_ref())
            .map_err(|error| CommandError::config(error.to_string()))?;
        if !settings.get(&security::SECURITY_ENABLED) {
            let message = "X-Pack Security is disabled by configuration.";
            return Err(CommandError::config(message).with_hint(
                "without security there are no passwords: remove [xpack.security.enabled]",
            ));
        }
        let url = match url {
            Some(url) => url.to_owned(),
            None => default_url(&settings)?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                CommandError::new(ExitCode::Failure, format!("cannot start: {error}"))
            })?;
        Ok(Self {
            shown_url: shown_url(&url),
            url,
            tls: tls(&settings)?,
            settings,
            keystore,
            keystore_path,
            runtime,
        })
    }

    /// Returns the base URL as messages may show it.
    pub(super) fn shown_url(&self) -> &str {
        &self.shown_url
    }

    /// Returns the settings of the home.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the path of the keystore, there or not.
    pub(super) fn keystore_path(&self) -> &Path {
        &self.keystore_path
    }

    /// Returns the first password of `elastic`: `bootstrap.password`, else `keystore.seed`; `None`
    /// without a keystore. Source: Elasticsearch reference, "Built-in users" (the bootstrap password).
    pub(super) fn bootstrap_password(&self) -> Result<Option<SecretString>, CommandError> {
        let Some(keystore) = &self.keystore else {
            return Ok(None);
        };
        for name in [security::BOOTSTRAP_PASSWORD.key(), keystore::SEED] {
            let value = keystore
                .get(name)
                .map_err(|error| CommandError::data(error.to_string()))?;
            if value.is_some() {
                return Ok(value);
            }
        }
        Ok(None)
    }

    /// Sends a request. Each has a connection of its own: a person may think for
    /// longer between two than the node keeps one open.
    pub(super) fn request(
        &self,
        acting: &Login,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<HttpResponse, HttpClientError> {
        let client = HttpClient::new(
            &self.url,
            self.tls.clone(),
            Some((&acting.user, &acting.password)),
        )?
        .with_timeout(TIMEOUT);
        let content_type = body.map(|_| "application/json");
        let body = body.map(Value::to_string).unwrap_or_default();
        self.runtime
            .block_on(client.request(method, path, content_type, body))
    }

    /// Sets the password of a user.
    pub(super) fn set_password(
        &self,
        acting: &Login,
        method: Method,
        user: &str,
        password: &SecretString,
    ) -> Result<(), String> {
        let path = format!("/_security/user/{}/_password?pretty", path_part(user));
        let body = json!({ "password": password.expose() });
        match self.request(acting, method, &path, Some(&body)) {
            Ok(answer) if answer.status == StatusCode::OK => Ok(()),
            Ok(answer) => Err(refusal(&answer)),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Makes the keystore that every home has from its first start on, with nothing but its seed: the password of
/// `elastic` until it has another. Where it cannot be written the node does without it, and says so.
/// Source: Elasticsearch reference, "Secure settings".
pub(super) fn create_keystore(path: &Path, terminal: &mut Terminal) -> Option<Keystore> {
    let keystore = Keystore::create(SecretString::default());
    match keystore.save(path) {
        Ok(()) => Some(keystore),
        Err(error) => {
            terminal.err(format!("WARNING: going on without a keystore: {error}"));
            None
        }
    }
}

/// Returns the password that the environment gives for the keystore, as service managers and containers do.
/// Of a file the first line counts. Source: Elasticsearch reference, "Secure settings".
fn password_in(
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<SecretString>, CommandError> {
    let given: Vec<(&str, OsString)> = PASSWORD_VARIABLES
        .iter()
        .filter_map(|name| Some((*name, environment(name).filter(|value| !value.is_empty())?)))
        .collect();
    let (name, value) = match given.as_slice() {
        [] => return Ok(None),
        [only] => only,
        many => {
            let names: Vec<_> = many.iter().map(|(name, _)| *name).collect();
            return Err(CommandError::usage(format!(
                "the environment variables {} all give the password of the keystore; set only one",
                names.join(" and ")
            )));
        }
    };
    if *name == PASSWORD {
        let text = value.to_str().map(SecretString::from);
        let unreadable = || CommandError::data(format!("the value of {PASSWORD} is not UTF-8"));
        return text.map(Some).ok_or_else(unreadable);
    }
    let path = Path::new(value);
    let content = std::fs::read_to_string(path).map(zeroize::Zeroizing::new);
    let content = content.map_err(|error| {
        CommandError::io(path, &error)
            .with_hint(format!("the environment variable {name} names it"))
    })?;
    Ok(Some(SecretString::from(
        content.lines().next().unwrap_or_default(),
    )))
}

/// Reads a keystore. Its password, if it has one, comes from the environment, else it is asked for. `None` if
/// there is no such file.
pub(super) fn open_keystore(
    path: &Path,
    terminal: &mut Terminal,
) -> Result<Option<Keystore>, CommandError> {
    if !path.exists() {
        return Ok(None);
    }
    let file = KeystoreFile::read(path).map_err(|error| CommandError::data(error.to_string()))?;
    let password = match file.has_password() {
        true => match password_in(|name| std::env::var_os(name))? {
            Some(password) => password,
            None => terminal.secret("Enter password for the elasticsearch keystore : ")?,
        },
        false => SecretString::default(),
    };
    file.decrypt(&password)
        .map(Some)
        .map_err(|error| CommandError::data(error.to_string()))
}

/// Words an answer that is not the one hoped for: its status, and the reason that the body gives.
pub(super) fn refusal(answer: &HttpResponse) -> String {
    let status = answer.status;
    match reason(&answer.json()) {
        Some(reason) => format!("HTTP status {status}: {reason}"),
        None => format!("HTTP status {status}"),
    }
}

/// Source: Elasticsearch reference, "elasticsearch-setup-passwords" and "elasticsearch-reset-password".
fn reason(body: &Value) -> Option<String> {
    let error = body.get("error")?;
    let found = [
        error.get("reason"),
        error.pointer("/root_cause/0/reason"),
        error.pointer("/root_cause/0/type"),
        error.get("type"),
        Some(error),
    ];
    found
        .into_iter()
        .flatten()
        .find_map(Value::as_str)
        .map(str::to_owned)
}

/// Escapes a user's name for a path.
fn path_part(name: &str) -> String {
    let mut escaped = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

/// Returns what trusts a node as the node with these settings trusts, and as it is itself; `None` where it serves plain
/// HTTP.
pub(super) fn tls(settings: &Settings) -> Result<Option<Arc<SslContext>>, CommandError> {
    tls_trusting(settings, &[])
}

/// As [`tls`], and trusts these certificates as well.
pub(super) fn tls_trusting(
    settings: &Settings,
    also: &[CertificateDer<'static>],
) -> Result<Option<Arc<SslContext>>, CommandError> {
    let config = SslConfig::from_settings(settings, ssl::HTTP_SSL.prefix)
        .map_err(|error| CommandError::config(error.to_string()))?;
    // Dialling with the node's own material also satisfies a node that asks for certificates.
    config
        .map(|config| SslContext::for_own_tools(config, &["http/1.1"], also))
        .transpose()
        .map_err(|error| CommandError::config(error.to_string()))
}

/// Returns the address that the node publishes; the loopback one for a node that listens everywhere.
fn default_url(settings: &Settings) -> Result<String, CommandError> {
    let unknown = || {
        CommandError::usage("unable to determine default URL from settings")
            .with_hint("tell the address of the node with --url https://host:port")
    };
    let scheme = match settings.get(&ssl::HTTP_SSL.enabled) {
        true => "https",
        false => "http",
    };
    let hosts = settings.get(&network::HTTP_PUBLISH_HOST);
    let host = hosts.first().ok_or_else(unknown)?.trim_matches(['[', ']']);
    let host = match host.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        Ok(address) => address.to_string(),
        Err(_) if host == "_local_" => "127.0.0.1".to_owned(),
        Err(_) if host.starts_with('_') => return Err(unknown()),
        Err(_) => host.to_owned(),
    };
    let port = match settings.get(&network::HTTP_PUBLISH_PORT).0 {
        Some(port) => port,
        None => settings.get(&network::HTTP_PORT).first,
    };
    if port == 0 {
        return Err(unknown());
    }
    Ok(format!("{scheme}://{host}:{port}"))
}

const PASSWORD: &str = "KEYSTORE_PASSWORD";
/// The one with the password itself, and those with the path of a file.
const PASSWORD_VARIABLES: &[&str] = &[
    PASSWORD,
    "KEYSTORE_PASSWORD_FILE",
    "ES_KEYSTORE_PASSPHRASE_FILE",
];

/// Source: Elasticsearch reference, "elasticsearch-setup-passwords" and "elasticsearch-reset-password".
const TIMEOUT: Duration = Duration::from_secs(35);

#[cfg(test)]
mod tests {
    use super::*;

    fn url(settings: &[(&str, &str)]) -> Result<String, CommandError> {
        default_url(&Settings::from_overrides(Path::new("/etc/es"), settings, None).unwrap())
    }

    #[test]
    fn the_address_comes_from_the_settings() {
        assert_eq!(url(&[]).unwrap(), "http://127.0.0.1:9200");
        let on = ("xpack.security.http.ssl.enabled", "true");
        assert_eq!(
            url(&[on, ("network.host", "0.0.0.0"), ("http.port", "9250-9300")]).unwrap(),
            "https://127.0.0.1:9250"
        );
        assert_eq!(
            url(&[("http.host", "es01"), ("http.publish_port", "80")]).unwrap(),
            "http://es01:80"
        );
        assert_eq!(
            url(&[("http.publish_host", "::1")]).unwrap(),
            "http://[::1]:9200"
        );
        for wrong in [("network.host", "_site_"), ("http.port", "0")] {
            let error = url(&[wrong]).unwrap_err();
            assert_eq!(error.exit, ExitCode::Usage);
            assert!(error.hint.unwrap().contains("--url"));
        }
    }

    #[test]
    fn the_environment_gives_the_password_of_the_keystore_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "first line\nsecond\n").unwrap();
        let of = |given: &[(&str, &str)]| {
            password_in(|name| {
                let found = given.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            })
        };
        let file = path.to_str().unwrap();
        let expected = Some(SecretString::from("first line"));
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(
            of(&[("KEYSTORE_PASSWORD", "first line")]).unwrap(),
            expected
        );
        for name in ["KEYSTORE_PASSWORD_FILE", "ES_KEYSTORE_PASSPHRASE_FILE"] {
            assert_eq!(
                of(&[(name, file), ("KEYSTORE_PASSWORD", "")]).unwrap(),
                expected
            );
            let error = of(&[(name, "/nowhere/at/all")]).unwrap_err();
            assert_eq!(error.exit, ExitCode::IoError);
            assert!(error.hint.unwrap().contains(name));
            let error = of(&[(name, file), ("KEYSTORE_PASSWORD", "s3cr3t")]).unwrap_err();
            assert_eq!(error.exit, ExitCode::Usage);
            assert!(!error.message.contains("s3cr3t"));
        }
    }

    #[test]
    fn the_reason_of_a_refusal_is_found_where_it_is() {
        let of = |body: Value| reason(&body).unwrap();
        assert_eq!(of(json!({"error": {"reason": "a", "type": "b"}})), "a");
        assert_eq!(
            of(json!({"error": {"root_cause": [{"reason": "c"}], "type": "b"}})),
            "c"
        );
        assert_eq!(of(json!({"error": {"type": "b"}})), "b");
        assert_eq!(of(json!({"error": "text"})), "text");
        assert!(reason(&json!({"status": 1})).is_none());
    }

    #[test]
    fn names_are_escaped_in_paths() {
        assert_eq!(path_part("kibana_system"), "kibana_system");
        assert_eq!(path_part("a/b ü"), "a%2Fb%20%C3%BC");
    }
}
