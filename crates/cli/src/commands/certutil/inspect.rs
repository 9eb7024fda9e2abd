//! `certutil inspect`: says what is in a file of keys or certificates, and what a node can use it for.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ringwall_base::SecretString;
use ringwall_pki::{
    CertificateDer, CertificateInfo, FileFormat, PkiError, RequestInfo, detect_format, jks, p12,
    pem,
};
use ringwall_tls::since;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::output;
use super::password::PasswordSource;
use super::pem_text;
use crate::error::{CommandError, ExitCode};
use crate::terminal::Terminal;

/// Arguments of `certutil inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        elasticsearch-certutil inspect elastic-certificates.p12      asks for the password\n  \
        elasticsearch-certutil inspect bundle.zip --pass-file pw --json\n  \
        elasticsearch-certutil inspect es01.csr")]
pub(super) struct InspectArgs {
    /// PKCS#12, JKS, PEM, signing request, or a zip file of these
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    password: PasswordSource,
    /// Print a JSON array with one object for each file
    #[arg(long)]
    json: bool,
}

/// Reads the file and reports. Errors: no such file (74), nothing in it that is understood (65).
pub(super) fn run(args: InspectArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let path = output::input(&args.file)?;
    let content = std::fs::read(&path).map_err(|error| CommandError::io(&path, &error))?;
    let mut passwords = args.password;
    let reports = match content.starts_with(ZIP) {
        true => inspect_zip(&path, content, &mut passwords, terminal)?,
        false => vec![Report::of(&path, &content, &mut passwords, terminal)?],
    };
    if args.json {
        let all: Vec<Value> = reports.iter().map(Report::to_json).collect();
        terminal.result(json!(all).to_string());
        return Ok(());
    }
    for report in reports {
        terminal.result(report.to_text());
    }
    Ok(())
}

/// What one file holds.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) path: PathBuf,
    format: &'static str,
    pub(super) entries: Vec<Entry>,
    /// Whether a node can take its key from here, or why not.
    keystore: Result<(), String>,
    /// Whether a node can take whom it trusts from here, or why not.
    truststore: Result<(), String>,
}

#[derive(Debug)]
pub(super) struct Entry {
    kind: &'static str,
    alias: Option<String>,
    pub(super) certificate: Option<CertificateInfo>,
    request: Option<RequestInfo>,
    /// Of a key without certificate.
    note: Option<String>,
}

impl Entry {
    fn new(kind: &'static str) -> Self {
        Self {
            kind,
            alias: None,
            certificate: None,
            request: None,
            note: None,
        }
    }
}

impl Report {
    /// Reads the content of a file that is no zip file.
    pub(super) fn of(
        path: &Path,
        content: &[u8],
        passwords: &mut PasswordSource,
        terminal: &mut Terminal,
    ) -> Result<Self, CommandError> {
        match detect_format(content) {
            FileFormat::Pkcs12 => {
                let empty = p12::read(content, &SecretString::default(), path);
                let store = match empty {
                    Err(PkiError::WrongPassword { .. }) => {
                        let password = passwords.get(&output::file_name(path), terminal)?;
                        p12::read(content, &password, path)
                    }
                    other => other,
                };
                Self::of_p12(path, store.map_err(unreadable)?)
            }
            FileFormat::Pem | FileFormat::Der => {
                let content = Zeroizing::new(content.to_vec());
                Self::of_pem(path, &pem_text::as_pem(content, path)?)
            }
            FileFormat::Base64Pkcs12 => Err(unreadable(PkiError::Base64Copy {
                path: path.to_owned(),
            })),
            FileFormat::Jks => {
                // Its certificates are open: a password that is given is compared, none is asked for.
                let password = match passwords.is_given() {
                    true => passwords.get(&output::file_name(path), terminal)?,
                    false => SecretString::default(),
                };
                Self::of_jks(
                    path,
                    jks::open_entries(content, &password, path).map_err(unreadable)?,
                )
            }
            FileFormat::Jceks => Err(CommandError::data(format!(
                "[{}] is a Java keystore (JCEKS), which is not read here",
                path.display()
            ))
            .with_hint(format!(
                "convert it: `keytool -importkeystore -srckeystore {} -destkeystore {} -deststoretype pkcs12`",
                path.display(),
                path.with_extension("p12").display()
            ))),
            FileFormat::Unknown => Err(CommandError::data(format!(
                "[{}] is neither PKCS#12 nor JKS nor PEM nor DER nor PKCS#7 nor a zip file",
                path.display()
            ))),
        }
    }

    pub(super) fn of_p12(path: &Path, store: p12::Pkcs12) -> Result<Self, CommandError> {
        let mut entries = Vec::new();
        let mut node_keys = 0;
        for key in &store.keys {
            let mut entry = Entry::new("private key");
            entry.alias.clone_from(&key.alias);
            match key.chain.split_first() {
                None => entry.note = Some("without a certificate".to_owned()),
                Some((leaf, issuers)) => {
                    let info = describe(leaf, path)?;
                    node_keys += usize::from(!info.is_ca);
                    entry.certificate = Some(info);
                    entries.push(entry);
                    for issuer in issuers {
                        entries.push(Entry {
                            certificate: Some(describe(issuer, path)?),
                            ..Entry::new("issuer in the chain")
                        });
                    }
                    continue;
                }
            }
            entries.push(entry);
        }
        for (kind, list) in [
            ("trusted certificate", &store.trusted),
            ("certificate", &store.others),
        ] {
            for known in list {
                entries.push(Entry {
                    alias: known.alias.clone(),
                    certificate: Some(describe(&known.certificate, path)?),
                    ..Entry::new(kind)
                });
            }
        }
        let keystore = match (store.keys.len(), node_keys) {
            (0, _) => Err("it holds no private key".to_owned()),
            (1, _) if store.keys[0].chain.is_empty() => {
                Err("the certificate of its private key is missing".to_owned())
            }
            (1, 0) => Err("its only key is that of a CA, which must not sit on a node".to_owned()),
            (_, 1) => Ok(()),
            (keys, _) => Err(format!(
                "it holds {keys} private keys, and a node takes the only one"
            )),
        };
        let truststore = match (
            store.trusted.is_empty(),
            store.keys.is_empty(),
            store.others.is_empty(),
        ) {
            (false, ..) | (true, true, false) => Ok(()),
            _ => Err("none of its certificates is marked as trusted".to_owned()),
        };
        Ok(Self {
            path: path.to_owned(),
            format: "PKCS#12",
            entries,
            keystore,
            truststore,
        })
    }

    fn of_jks(path: &Path, store: Vec<jks::JksEntry>) -> Result<Self, CommandError> {
        let mut entries = Vec::new();
        let (mut keys, mut node_keys, mut trusted) = (0, 0, 0);
        for stored in store {
            let mut certificates = stored.certificates.iter();
            let first = certificates.next();
            let info = first.map(|leaf| describe(leaf, path)).transpose()?;
            if stored.has_key {
                keys += 1;
                node_keys += usize::from(info.as_ref().is_some_and(|info| !info.is_ca));
            } else {
                trusted += 1;
            }
            entries.push(Entry {
                alias: Some(stored.alias),
                note: info.is_none().then(|| "without a certificate".to_owned()),
                certificate: info,
                ..Entry::new(match stored.has_key {
                    true => "private key",
                    false => "trusted certificate",
                })
            });
            for issuer in certificates {
                entries.push(Entry {
                    certificate: Some(describe(issuer, path)?),
                    ..Entry::new("issuer in the chain")
                });
            }
        }
        Ok(Self {
            path: path.to_owned(),
            format: "JKS",
            entries,
            keystore: match (keys, node_keys) {
                (0, _) => Err("it holds no private key".to_owned()),
                (_, 1) => Ok(()),
                (_, 0) => Err("no key in it has a certificate of a node".to_owned()),
                _ => Err(format!(
                    "it holds {keys} private keys, and a node takes the only one"
                )),
            },
            truststore: match trusted {
                0 => Err("none of its certificates is marked as trusted".to_owned()),
                _ => Ok(()),
            },
        })
    }

    fn of_pem(path: &Path, content: &[u8]) -> Result<Self, CommandError> {
        let mut entries = Vec::new();
        let (mut certificates, mut keys) = (0, 0);
        for (label, der) in pem::labelled(content, path).map_err(unreadable)? {
            match label.as_str() {
                "CERTIFICATE" | "X509 CERTIFICATE" => {
                    certificates += 1;
                    entries.push(Entry {
                        certificate: Some(describe(&CertificateDer::from(der), path)?),
                        ..Entry::new("certificate")
                    });
                }
                "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => entries.push(Entry {
                    request: Some(RequestInfo::from_der(&der).map_err(unreadable)?),
                    ..Entry::new("signing request")
                }),
                label if label.ends_with("PRIVATE KEY") => {
                    keys += 1;
                    let encrypted = label.starts_with("ENCRYPTED")
                        || content
                            .windows(ENCRYPTED.len())
                            .any(|part| part == ENCRYPTED);
                    entries.push(Entry {
                        note: encrypted.then(|| "encrypted".to_owned()),
                        ..Entry::new("private key")
                    });
                }
                other => entries.push(Entry {
                    note: Some(other.to_owned()),
                    ..Entry::new("other block")
                }),
            }
        }
        Ok(Self {
            path: path.to_owned(),
            format: "PEM",
            entries,
            keystore: match (keys, certificates) {
                (0, 0) => Err("it holds neither key nor certificate".to_owned()),
                (0, _) => Err(
                    "a certificate without its key: name it in [ssl.certificate], and the key in \
                               [ssl.key]"
                        .to_owned(),
                ),
                (_, 0) => Err(
                    "a key without its certificate: name it in [ssl.key], and the certificate in \
                               [ssl.certificate]"
                        .to_owned(),
                ),
                _ => Ok(()),
            },
            truststore: match certificates {
                0 => Err("it holds no certificate".to_owned()),
                _ => Ok(()),
            },
        })
    }

    fn to_json(&self) -> Value {
        let entries: Vec<Value> = self.entries.iter().map(Entry::to_json).collect();
        let usable = |verdict: &Result<(), String>| match verdict {
            Ok(()) => json!({"usable": true}),
            Err(reason) => json!({"usable": false, "reason": reason}),
        };
        json!({
            "path": self.path,
            "format": self.format,
            "entries": entries,
            "keystore": usable(&self.keystore),
            "truststore": usable(&self.truststore),
        })
    }

    fn to_text(&self) -> String {
        let mut text = format!("{}: {}\n", self.path.display(), self.format);
        for entry in &self.entries {
            text.push_str(&entry.to_text());
        }
        for (what, verdict) in [
            ("keystore", &self.keystore),
            ("truststore", &self.truststore),
        ] {
            text.push_str(&match verdict {
                Ok(()) => format!("  usable as {what}: yes\n"),
                Err(reason) => format!("  usable as {what}: no, {reason}\n"),
            });
        }
        text
    }
}

impl Entry {
    fn to_json(&self) -> Value {
        let mut object = json!({"kind": self.kind});
        if let Some(alias) = &self.alias {
            object["alias"] = json!(alias);
        }
        if let Some(note) = &self.note {
            object["note"] = json!(note);
        }
        if let Some(request) = &self.request {
            object["subject"] = json!(request.subject.to_string());
            object["key_algorithm"] = json!(request.key_algorithm);
            object["signature_valid"] = json!(request.signature_valid);
            object["subject_alternative_names"] = names(&request.subject_alternative_names);
        }
        if let Some(info) = &self.certificate {
            object["subject"] = json!(info.subject.to_string());
            object["issuer"] = json!(info.issuer.to_string());
            object["serial_number"] = json!(info.serial);
            object["not_before"] = json!(info.not_before.to_string());
            object["not_after"] = json!(info.not_after.to_string());
            object["days_left"] = json!(days_left(info, Timestamp::now()));
            object["is_ca"] = json!(info.is_ca);
            object["self_signed"] = json!(info.self_signed);
            object["key_algorithm"] = json!(info.key_algorithm);
            object["fingerprint_sha256"] = json!(info.fingerprint_sha256);
            object["subject_alternative_names"] = names(&info.subject_alternative_names);
        }
        object
    }

    fn to_text(&self) -> String {
        let mut text = format!("  {}", self.kind);
        if let Some(alias) = &self.alias {
            text.push_str(&format!(" [{alias}]"));
        }
        if let Some(note) = &self.note {
            text.push_str(&format!(" ({note})"));
        }
        text.push('\n');
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                text.push_str(&format!("    {name}: {value}\n"));
            }
        };
        if let Some(request) = &self.request {
            line("subject", &request.subject.to_string());
            line("names", &listed(&request.subject_alternative_names));
            line("key", &request.key_algorithm);
            line(
                "signature",
                if request.signature_valid {
                    "valid"
                } else {
                    "NOT VALID"
                },
            );
        }
        if let Some(info) = &self.certificate {
            line("subject", &info.subject.to_string());
            line("issuer", &info.issuer.to_string());
            line("names", &listed(&info.subject_alternative_names));
            line("serial number", &info.serial);
            let days = days_left(info, Timestamp::now());
            let remark = match days {
                ..0 => format!("EXPIRED {}", since(info.not_after, Timestamp::now())),
                days => format!("{days} days left"),
            };
            line(
                "valid",
                &format!("{} to {} ({remark})", info.not_before, info.not_after),
            );
            let kind = if info.is_ca { "CA, " } else { "" };
            line("key", &format!("{kind}{}", info.key_algorithm));
            line("SHA-256 fingerprint", &info.fingerprint_sha256);
        }
        text
    }
}

/// Returns the whole days until a certificate ends; negative when it has.
pub(in crate::commands) fn days_left(info: &CertificateInfo, now: Timestamp) -> i64 {
    (info.not_after.as_second() - now.as_second()).div_euclid(24 * 60 * 60)
}

fn inspect_zip(
    path: &Path,
    content: Vec<u8>,
    passwords: &mut PasswordSource,
    terminal: &mut Terminal,
) -> Result<Vec<Report>, CommandError> {
    let broken = |error: &dyn std::fmt::Display| {
        CommandError::data(format!(
            "[{}] is a broken zip file: {error}",
            path.display()
        ))
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(content)).map_err(|error| broken(&error))?;
    let mut reports = Vec::new();
    for number in 0..archive.len() {
        let file = archive.by_index(number).map_err(|error| broken(&error))?;
        let name = PathBuf::from(file.name().map_err(|error| broken(&error))?.as_ref());
        if file.is_dir() {
            continue;
        }
        let mut content = Vec::new();
        // A small zip file can claim to hold terabytes.
        file.take(MAX_ENTRY)
            .read_to_end(&mut content)
            .map_err(|error| broken(&error))?;
        if detect_format(&content) != FileFormat::Unknown {
            reports.push(Report::of(&name, &content, passwords, terminal)?);
        }
    }
    if reports.is_empty() {
        let message = format!("[{}] holds no keys and no certificates", path.display());
        return Err(CommandError::data(message));
    }
    Ok(reports)
}

fn describe(
    certificate: &CertificateDer<'_>,
    path: &Path,
) -> Result<CertificateInfo, CommandError> {
    CertificateInfo::from_der(certificate).map_err(|error| {
        CommandError::data(format!(
            "[{}] has a certificate that cannot be read: {error}",
            path.display()
        ))
    })
}

/// Gives a failure to read its exit status.
fn unreadable(error: PkiError) -> CommandError {
    CommandError::new(ExitCode::DataError, error.to_string())
}

fn names(all: &[ringwall_pki::SubjectAlternativeName]) -> Value {
    json!(all.iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn listed(all: &[ringwall_pki::SubjectAlternativeName]) -> String {
    let names: Vec<String> = all.iter().map(ToString::to_string).collect();
    names.join(", ")
}

const ZIP: &[u8] = b"PK\x03\x04";
const ENCRYPTED: &[u8] = b"Proc-Type: 4,ENCRYPTED";
const MAX_ENTRY: u64 = 16 << 20;
