//! The questions about the CA: one that exists, or a new one. Source: Elasticsearch reference,
//! "elasticsearch-certutil" (`http`).

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use ringwall_base::SecretString;
use ringwall_pki::{
    CaParams, CertificateAuthority, CertificateInfo, DistinguishedName, FileFormat, KeySpec,
    KeyUsage, PkiError, certificates_in, detect_format, p12, pem,
};
use ringwall_tls::since;
use zeroize::Zeroizing;

use super::failed;
use super::period::{self, Period};
use super::questions;
use crate::commands::certutil::{output, pem_text};
use crate::error::CommandError;
use crate::paths::Paths;
use crate::terminal::Terminal;

/// The CA that signs.
pub(super) enum Authority {
    Existing(Box<CertificateAuthority>),
    New(NewAuthority),
}

/// The content of a file that may hold a private key.
type FileContent = Zeroizing<Vec<u8>>;

/// A CA to be made.
pub(super) struct NewAuthority {
    dn: DistinguishedName,
    validity: Period,
    key: KeySpec,
    key_usage: Vec<KeyUsage>,
    /// Empty for none.
    password: SecretString,
}

impl Authority {
    pub(super) fn ask(terminal: &mut Terminal) -> Result<Self, CommandError> {
        questions::header(
            "Do you have an existing Certificate Authority (CA) key-pair?",
            terminal,
        );
        terminal.out(EXISTING);
        if terminal.confirm("Use an existing CA?", false)? {
            return existing(terminal).map(Box::new).map(Self::Existing);
        }
        NewAuthority::ask(terminal).map(Self::New)
    }

    /// Says so if the certificates would outlive the CA: then they end with it.
    pub(super) fn warn_if_it_ends_before(&self, validity: Period, terminal: &mut Terminal) {
        let days_left = match self {
            Self::New(new) => new.validity.days().ok().map(i64::from),
            Self::Existing(authority) => CertificateInfo::from_der(authority.certificate())
                .ok()
                .map(|info| info.not_after.duration_since(Timestamp::now()))
                .map(|left: SignedDuration| left.as_hours() / 24),
        };
        let days = validity.days().ok().map(i64::from);
        if let (Some(days_left), Some(days)) = (days_left, days)
            && days_left < days
        {
            let ended = match self {
                Self::Existing(authority) => CertificateInfo::from_der(authority.certificate())
                    .ok()
                    .filter(|info| info.not_after < Timestamp::now()),
                Self::New(_) => None,
            };
            terminal.err(match ended {
                Some(info) => format!(
                    "Warning: the CA expired on [{}], {}. Nobody accepts certificates that it signs.",
                    info.not_after,
                    since(info.not_after, Timestamp::now())
                ),
                None => format!(
                    "Warning: the CA is valid for {days_left} days only. Certificates that it signs are of no use after that."
                ),
            });
        }
    }

    /// Returns the CA, and the content of its file if it is new.
    pub(super) fn make(self) -> Result<(CertificateAuthority, Option<FileContent>), CommandError> {
        match self {
            Self::Existing(authority) => Ok((*authority, None)),
            Self::New(new) => {
                let authority = CertificateAuthority::generate(&CaParams {
                    dn: new.dn,
                    days: new.validity.days()?,
                    key: new.key,
                    key_usage: new.key_usage,
                    not_before: None,
                })
                .map_err(failed)?;
                let file = authority.to_p12(&new.password).map_err(failed)?;
                Ok((authority, Some(Zeroizing::new(file))))
            }
        }
    }
}

impl NewAuthority {
    fn ask(terminal: &mut Terminal) -> Result<Self, CommandError> {
        questions::header(
            "A new Certificate Authority will be generated for you",
            terminal,
        );
        terminal.out(NEW);
        let mut new = Self {
            dn: DistinguishedName::common_name(DEFAULT_NAME),
            validity: Period::FIVE_YEARS,
            key: KeySpec::default(),
            key_usage: CaParams::default().key_usage,
            password: SecretString::default(),
        };
        while questions::wants_change(&new.options(), terminal)? {
            new.change(terminal)?;
        }
        questions::header("CA password", terminal);
        terminal.out(CA_PASSWORD);
        new.password = questions::new_password("CA password:  [<ENTER> for none]", terminal)?;
        Ok(new)
    }

    fn options(&self) -> [(&'static str, String); 4] {
        [
            ("Subject DN", self.dn.to_string()),
            ("Validity", self.validity.to_string()),
            ("Key Size", questions::show_key_size(&self.key)),
            ("Key Usage", questions::show_key_usage(&self.key_usage)),
        ]
    }

    fn change(&mut self, terminal: &mut Terminal) -> Result<(), CommandError> {
        self.dn =
            questions::change(
                "CA Name",
                &self.dn,
                ToString::to_string,
                terminal,
                |text| match text.contains('=') {
                    true => questions::dn(text),
                    false => Ok(DistinguishedName::common_name(text)),
                },
            )?;
        let prompt = format!("CA Validity [{}] ", self.validity);
        self.validity = period::ask(&prompt, self.validity, period::AUTHORITY_DAYS_FEW, terminal)?;
        self.key = questions::change(
            "Key Size",
            &self.key,
            questions::show_key_size,
            terminal,
            questions::key_size,
        )?;
        self.key_usage = questions::change(
            "Key Usage",
            &self.key_usage,
            |usages| questions::show_key_usage(usages),
            terminal,
            authority_key_usage,
        )?;
        Ok(())
    }
}

/// A CA that may not sign certificates is none.
fn authority_key_usage(answer: &str) -> Result<Vec<KeyUsage>, String> {
    let usages = questions::key_usage(answer)?;
    match usages.contains(&KeyUsage::KeyCertSign) {
        true => Ok(usages),
        false => {
            Err("A CA needs the key usage keyCertSign, or clients refuse what it signs".to_owned())
        }
    }
}

/// Asks for the files of a CA and loads it.
fn existing(terminal: &mut Terminal) -> Result<CertificateAuthority, CommandError> {
    questions::header("What is the path to your CA?", terminal);
    terminal.out(EXISTING_PATH);
    let (path, content) = ask_file("CA Path: ", terminal)?;
    match detect_format(&content) {
        FileFormat::Pkcs12 => from_p12(&path, &content, terminal),
        FileFormat::Pem | FileFormat::Der => from_pem(path, &content, terminal),
        FileFormat::Base64Pkcs12 => Err(data(PkiError::Base64Copy { path })),
        FileFormat::Jks | FileFormat::Jceks => {
            let format = "JKS";
            Err(data(PkiError::JavaKeystore { path, format }))
        }
        FileFormat::Unknown => Err(unsupported(&path, "Unrecognized file type")),
    }
}

fn from_p12(
    path: &Path,
    content: &[u8],
    terminal: &mut Terminal,
) -> Result<CertificateAuthority, CommandError> {
    let password = ask_password(path, terminal, |password| {
        p12::read(content, password, path).map(|_| ())
    })?;
    match CertificateAuthority::load_p12(path, &password) {
        Err(PkiError::NotASingleKey { count, .. }) => Err(CommandError::data(format!(
            "The CA keystore {} contains {count} keys",
            path.display()
        ))
        .with_hint("name a file with the key of the CA and no other, as `certutil ca` makes it")),
        loaded => loaded.map_err(data),
    }
}

/// One file has the certificate, the key or both; what is missing is asked for.
fn from_pem(
    path: PathBuf,
    content: &[u8],
    terminal: &mut Terminal,
) -> Result<CertificateAuthority, CommandError> {
    let (certificates, keys) = count(content, &path)?;
    let (certificate, key) = match (certificates, keys) {
        (1, 1) => (path.clone(), path),
        (1, 0) => (path, ask_file("CA Key: ", terminal)?.0),
        (0, 1) => {
            let (certificate, content) = ask_file("CA Certificate: ", terminal)?;
            match count(&content, &certificate)?.0 {
                0 => return Err(unsupported(&certificate, "No certificates found")),
                1 => (certificate, path),
                _ => return Err(unsupported(&certificate, "Multiple certificates found")),
            }
        }
        (2.., _) => {
            let reason = "Unsupported file type (certificate chain)";
            return Err(unsupported(&path, reason)
                .with_hint("name a file with the certificate of the CA that signs, and no other"));
        }
        _ => return Err(unsupported(&path, "Unrecognized file type")),
    };
    match CertificateAuthority::load_pem(&certificate, &key, None) {
        Err(PkiError::PassphraseRequired { .. }) => {
            let password = ask_password(&key, terminal, |password| {
                ringwall_pki::load_pem_key(&key, Some(password)).map(|_| ())
            })?;
            CertificateAuthority::load_pem(&certificate, &key, Some(&password)).map_err(data)
        }
        loaded => loaded.map_err(data),
    }
}

/// Returns how many certificates and private keys a PEM file holds.
fn count(content: &[u8], path: &Path) -> Result<(usize, usize), CommandError> {
    match detect_format(content) {
        FileFormat::Pem => {}
        FileFormat::Der => return Ok((certificates_in(content, path).map_err(data)?.len(), 0)),
        _ => return Ok((0, 0)),
    }
    let content = pem_text::as_pem(Zeroizing::new(content.to_vec()), path)?;
    let blocks = pem::labelled(&content, path).map_err(data)?;
    let (mut certificates, mut keys) = (0, 0);
    for (label, content) in blocks {
        // It may be a key.
        drop(Zeroizing::new(content));
        certificates += usize::from(matches!(label.as_str(), "CERTIFICATE" | "X509 CERTIFICATE"));
        keys += usize::from(label.ends_with("PRIVATE KEY"));
    }
    Ok((certificates, keys))
}

/// Asks until the answer names a file that can be read, and returns its content.
fn ask_file(prompt: &str, terminal: &mut Terminal) -> Result<(PathBuf, FileContent), CommandError> {
    questions::valid(prompt, terminal, |answer| {
        if answer.is_empty() {
            return Err("The path of a file is needed; <CTRL>-C ends".to_owned());
        }
        let path = located(Path::new(answer)).map_err(|error| error.message)?;
        if path.is_dir() {
            return Err(format!("{} is not a valid file", path.display()));
        }
        match std::fs::read(&path) {
            Ok(content) => Ok((path, Zeroizing::new(content))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(format!("The file {} does not exist", path.display()))
            }
            Err(error) => Err(format!(
                "The file {} cannot be read ({error})",
                path.display()
            )),
        }
    })
}

/// Returns the file in the configuration directory, else where other commands would find it.
fn located(answer: &Path) -> Result<PathBuf, CommandError> {
    let Ok(paths) = Paths::resolve() else {
        return output::input(answer);
    };
    let in_config = paths.config_path(answer);
    let elsewhere = paths.input_path(answer);
    match !in_config.exists() && elsewhere.exists() {
        true => Ok(elsewhere),
        false => Ok(in_config),
    }
}

/// Asks for the password of a file. A person may try again; from a script a second line would be the
/// answer to another question.
fn ask_password(
    path: &Path,
    terminal: &mut Terminal,
    check: impl Fn(&SecretString) -> Result<(), PkiError>,
) -> Result<SecretString, CommandError> {
    let prompt = format!("Password for {}:", output::file_name(path));
    loop {
        let password = terminal.secret(&prompt)?;
        match check(&password) {
            Ok(()) => return Ok(password),
            Err(error @ PkiError::WrongPassword { .. }) if terminal.is_interactive() => {
                terminal.err(error.to_string());
            }
            Err(error) => return Err(data(error)),
        }
    }
}

/// A bad CA file ends with 65 here. Source: `EX_DATAERR` of sysexits(3).
fn data(error: PkiError) -> CommandError {
    CommandError::data(error.to_string())
}

fn unsupported(path: &Path, reason: &str) -> CommandError {
    CommandError::data(format!("{}: {reason}", path.display()))
        .with_hint("a CA is a PKCS#12 file, or a PEM certificate and a PEM private key")
}

/// Source: Elasticsearch reference, "elasticsearch-certutil" (`http`).
const DEFAULT_NAME: &str = "Elasticsearch HTTP CA";

const EXISTING: &str = "\
A certificate authority (CA) signs the certificates of the nodes, and clients that trust it trust
the nodes. If you have the certificate and the private key of one, such as a file made by the
command ca, it can sign here. Else a new CA is made, which all your clients must be told to trust.
";

const EXISTING_PATH: &str = "\
A PKCS#12 file, or the PEM file of the certificate or of the key; the other one is then asked for.
Relative paths start in the configuration directory of the node, or else where you are.
";

const NEW: &str = "\
These options are right for most clusters.";

const CA_PASSWORD: &str = "\
Whoever has the private key of the CA can impersonate your cluster towards your clients. Protect
it by a password, and keep the file away from the nodes: they do not need it.
";
