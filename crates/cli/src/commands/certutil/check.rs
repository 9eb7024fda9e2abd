//! `certutil check`: when the certificates of configuration directories and of running listeners end.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ringwall_base::SecretString;
use ringwall_pki::{CertificateInfo, FileFormat, PkiError, detect_format, p12};
use ringwall_settings::{KeystoreFile, VerificationMode};
use ringwall_tls::{KeySource, SslConfig, SslContext, TrustSource};
use serde_json::{Value, json};

use super::inspect::{Report, days_left};
use super::issuer::whole_days;
use super::output;
use super::password::PasswordSource;
use crate::error::{CommandError, ExitCode};
use crate::terminal::Terminal;

/// Arguments of `certutil check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status, as monitoring systems want it: 0 all is well, 1 a certificate ends soon, 2 a certificate \
        ends very soon or has ended, 3 something could not be read.\n\n\
        Examples:\n  \
        elasticsearch-certutil check /etc/elasticsearch\n  \
        elasticsearch-certutil check --url es01:9200 --url es01:9300 --warn-days 60\n  \
        elasticsearch-certutil check config --json\n\n\
        Passwords of PKCS#12 files are taken from the elasticsearch.keystore beside them, if that has no password."
)]
pub(super) struct CheckArgs {
    /// Directories or files; with neither these nor --url, the configuration directory
    #[arg(value_name = "DIR")]
    places: Vec<PathBuf>,
    /// Listeners that speak TLS, HTTP or transport; repeatable
    #[arg(long = "url", value_name = "HOST:PORT")]
    listeners: Vec<String>,
    /// Days before the end of a certificate from which on it is warned of
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    warn_days: i64,
    /// Days before the end of a certificate from which on it is critical
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    critical_days: i64,
    #[command(flatten)]
    password: PasswordSource,
    /// Print a JSON array with one object for each certificate
    #[arg(long)]
    json: bool,
}

/// Reads everything, prints one table, ends with the worst status found.
pub(super) fn run(args: CheckArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let mut places = args.places.clone();
    if places.is_empty() && args.listeners.is_empty() {
        places.push(crate::paths::Paths::resolve()?.config().to_owned());
    }
    let mut check = Check {
        password: args.password.clone(),
        rows: Vec::new(),
    };
    for place in &places {
        check.place(&output::input(place)?, terminal);
    }
    for listener in &args.listeners {
        check.listener(listener);
    }
    let mut rows = check.rows;
    rows.sort_by_key(|row| row.days().unwrap_or(i64::MIN));
    let status = |row: &Row| row.status(args.warn_days, args.critical_days);
    let worst = rows.iter().map(status).max().unwrap_or(Status::Unknown);
    if args.json {
        let all: Vec<Value> = rows.iter().map(|row| row.to_json(status(row))).collect();
        terminal.result(json!(all).to_string());
    } else if rows.is_empty() {
        terminal.err("No certificates found");
    } else {
        terminal.result(table(&rows, status));
    }
    match worst {
        Status::Ok => Ok(()),
        // The table has said it.
        worst => Err(CommandError::new(worst.exit(), "")),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    Ok,
    Warning,
    Unknown,
    Critical,
}

impl Status {
    fn exit(self) -> ExitCode {
        match self {
            Self::Ok => ExitCode::Ok,
            Self::Warning => ExitCode::Failure,
            Self::Critical => ExitCode::Critical,
            Self::Unknown => ExitCode::Unknown,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

/// One certificate, or what could not be read.
struct Row {
    place: String,
    found: Result<CertificateInfo, String>,
}

impl Row {
    fn days(&self) -> Option<i64> {
        let info = self.found.as_ref().ok()?;
        Some(days_left(info, Timestamp::now()))
    }

    fn status(&self, warn: i64, critical: i64) -> Status {
        match self.days() {
            None => Status::Unknown,
            Some(days) if days < critical => Status::Critical,
            Some(days) if days < warn => Status::Warning,
            Some(_) => Status::Ok,
        }
    }

    fn to_json(&self, status: Status) -> Value {
        match &self.found {
            Err(reason) => json!({"place": self.place, "status": status.word(), "reason": reason}),
            Ok(info) => json!({
                "place": self.place,
                "status": status.word(),
                "days_left": days_left(info, Timestamp::now()),
                "not_after": info.not_after.to_string(),
                "subject": info.subject.to_string(),
                "serial_number": info.serial,
                "is_ca": info.is_ca,
                "fingerprint_sha256": info.fingerprint_sha256,
            }),
        }
    }
}

struct Check {
    password: PasswordSource,
    rows: Vec<Row>,
}

impl Check {
    fn place(&mut self, path: &Path, terminal: &mut Terminal) {
        if !path.is_dir() {
            return self.file(path, &[], terminal);
        }
        let known = passwords_beside(path);
        let mut directories = vec![path.to_owned()];
        let mut files = Vec::new();
        while let Some(directory) = directories.pop() {
            let listed =
                std::fs::read_dir(&directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            match listed {
                Ok(entries) => {
                    for entry in entries.into_iter().map(|entry| entry.path()) {
                        // Links to directories could lead round in circles.
                        if entry.is_dir() && !entry.is_symlink() {
                            directories.push(entry);
                        } else if is_certificate_file(&entry) {
                            files.push(entry);
                        }
                    }
                }
                Err(error) => self.unreadable(&directory.display().to_string(), error.to_string()),
            }
        }
        files.sort();
        for file in files {
            self.file(&file, &known, terminal);
        }
    }

    fn file(&mut self, path: &Path, known: &[SecretString], terminal: &mut Terminal) {
        let place = path.display().to_string();
        let content = match std::fs::read(path) {
            Ok(content) => content,
            Err(error) => return self.unreadable(&place, error.to_string()),
        };
        match detect_format(&content) {
            FileFormat::Unknown => return,
            // A password that is given may be of another file, and none is needed.
            FileFormat::Jks => {
                let report = Report::of(path, &content, &mut PasswordSource::default(), terminal);
                return self.report(&place, report);
            }
            FileFormat::Pkcs12 if !self.password.is_given() => {
                let opened = known
                    .iter()
                    .chain([&SecretString::default()])
                    .map(|password| p12::read(&content, password, path))
                    .find(|read| !matches!(read, Err(PkiError::WrongPassword { .. })));
                return match opened {
                    None => {
                        self.unreadable(&place, "locked: its password is not known here".to_owned())
                    }
                    Some(Err(error)) => self.unreadable(&place, error.to_string()),
                    Some(Ok(store)) => self.report(&place, Report::of_p12(path, store)),
                };
            }
            _ => {}
        }
        let report = Report::of(path, &content, &mut self.password, terminal);
        self.report(&place, report);
    }

    fn report(&mut self, place: &str, report: Result<Report, CommandError>) {
        match report {
            Err(error) => self.unreadable(place, error.message),
            Ok(report) => {
                let mut seen = Vec::new();
                for info in report
                    .entries
                    .into_iter()
                    .filter_map(|entry| entry.certificate)
                {
                    if seen.contains(&info.fingerprint_sha256) {
                        continue;
                    }
                    seen.push(info.fingerprint_sha256.clone());
                    self.rows.push(Row {
                        place: place.to_owned(),
                        found: Ok(info),
                    });
                }
            }
        }
    }

    fn listener(&mut self, listener: &str) {
        let address = listener
            .rsplit_once("://")
            .map_or(listener, |(_, address)| address);
        let address = address.trim_end_matches('/');
        match shown_by(address) {
            Err(reason) => self.unreadable(listener, reason),
            Ok(infos) => self.rows.extend(infos.into_iter().map(|info| Row {
                place: listener.to_owned(),
                found: Ok(info),
            })),
        }
    }

    fn unreadable(&mut self, place: &str, reason: String) {
        self.rows.push(Row {
            place: place.to_owned(),
            found: Err(reason),
        });
    }
}

/// Returns the certificates that a listener shows, whoever has signed them.
fn shown_by(address: &str) -> Result<Vec<CertificateInfo>, String> {
    let (host, _) = address
        .rsplit_once(':')
        .ok_or_else(|| "expected HOST:PORT".to_owned())?;
    let resolved: Vec<SocketAddr> = address
        .to_socket_addrs()
        .map_err(|error| format!("cannot resolve: {error}"))?
        .collect();
    let first = *resolved.first().ok_or("the name has no address")?;
    let config = SslConfig {
        verification_mode: VerificationMode::None,
        ..SslConfig::new(
            "certutil check",
            KeySource::None,
            TrustSource::Pem(Vec::new()),
        )
    };
    // One for what listens to nodes, one for what listens to clients: a listener refuses who offers only others.
    let context = SslContext::load(config, &["h2", "http/1.1"]);
    let context: Arc<SslContext> = context.map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let identity = runtime.block_on(async {
        let connecting = tokio::net::TcpStream::connect(first);
        let tcp = tokio::time::timeout(DEADLINE, connecting)
            .await
            .map_err(|_| format!("no connection within {DEADLINE:?}"))?
            .map_err(|error| format!("cannot connect: {error}"))?;
        let stream = context
            .connect(tcp, host.trim_matches(['[', ']']), first, DEADLINE)
            .await
            .map_err(|failure| failure.to_string())?;
        let identity = stream.peer_identity().cloned();
        identity.ok_or_else(|| "it shows no certificate".to_owned())
    })?;
    let infos = identity
        .chain
        .iter()
        .map(|certificate| CertificateInfo::from_der(certificate));
    infos
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

/// Returns the passwords of stores in an unprotected keystore of the directory.
fn passwords_beside(directory: &Path) -> Vec<SecretString> {
    let Ok(file) = KeystoreFile::read(&directory.join("elasticsearch.keystore")) else {
        return Vec::new();
    };
    if file.has_password() {
        return Vec::new();
    }
    let Ok(keystore) = file.decrypt(&SecretString::default()) else {
        return Vec::new();
    };
    let names: Vec<String> = keystore
        .list()
        .filter(|name| name.ends_with("secure_password"))
        .map(str::to_owned)
        .collect();
    let values = names
        .iter()
        .filter_map(|name| keystore.get(name).ok().flatten());
    values.collect()
}

fn is_certificate_file(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()))
}

fn table(rows: &[Row], status: impl Fn(&Row) -> Status) -> String {
    let mut text = format!(
        "{:<9} {:>9}  {:<20}  CERTIFICATE\n",
        "STATUS", "DAYS LEFT", "ENDS"
    );
    for row in rows {
        let word = status(row).word();
        text.push_str(&match &row.found {
            Ok(info) => format!(
                "{word:<9} {:>9}  {:<20}  {} in {}\n",
                whole_days(info, Timestamp::now()),
                info.not_after.to_string(),
                info.subject,
                row.place
            ),
            Err(reason) => format!(
                "{word:<9} {:>9}  {:<20}  {}: {reason}\n",
                "-", "-", row.place
            ),
        });
    }
    text.truncate(text.trim_end().len());
    text
}

const EXTENSIONS: [&str; 11] = [
    "p12", "pfx", "pkcs12", "jks", "pem", "crt", "cer", "cert", "der", "p7b", "p7c",
];
const DEADLINE: Duration = Duration::from_secs(10);
