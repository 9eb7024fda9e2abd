//! The CA that signs, out of its files.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ringwall_base::SecretString;
use ringwall_pki::{CertificateAuthority, CertificateInfo, PkiError};
use ringwall_tls::since;

use super::password::NewPassword;
use super::{failed, output};
use crate::commands::users::first_line;
use crate::error::CommandError;
use crate::terminal::Terminal;

/// The options about the CA.
#[derive(Debug, Default, clap::Args)]
pub(super) struct IssuerArgs {
    /// PKCS#12 file of the CA, with exactly one private key
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ca_cert", "ca_key"])]
    ca: Option<PathBuf>,
    /// PEM file of the CA certificate
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    ca_cert: Option<PathBuf>,
    /// PEM file of the CA's private key
    #[arg(long, value_name = "FILE", requires = "ca_cert")]
    ca_key: Option<PathBuf>,
    /// Password of the CA's private key; without a value it is asked for
    #[arg(long, value_name = "PASSWORD", num_args = 0..=1)]
    ca_pass: Option<Option<SecretString>>,
    /// Read that password from the first line of a file
    #[arg(long, value_name = "FILE", conflicts_with = "ca_pass")]
    ca_pass_file: Option<PathBuf>,
    /// Sign with a CA that has ended, or is not valid yet
    #[arg(long)]
    allow_expired: bool,
}

impl IssuerArgs {
    /// Returns whether the options name a CA.
    pub(super) fn is_given(&self) -> bool {
        self.ca.is_some() || self.ca_cert.is_some()
    }

    /// Returns the password for the key of a CA that is made, as the options say.
    pub(super) fn new_password(&self) -> Result<NewPassword, CommandError> {
        match &self.ca_pass_file {
            Some(file) => Ok(Some(Some(first_line(file)?))),
            None => Ok(self.ca_pass.clone()),
        }
    }

    /// Loads the CA that the options name.
    pub(super) fn load(
        &self,
        terminal: &mut Terminal,
    ) -> Result<Option<CertificateAuthority>, CommandError> {
        let from_file = self.ca_pass_file.as_deref().map(first_line).transpose()?;
        let given = self.ca_pass.as_ref().and_then(Option::as_ref);
        let given = given.or(from_file.as_ref());
        let authority = match (&self.ca, &self.ca_cert, &self.ca_key) {
            (Some(file), _, _) => {
                // Before anybody types a password for it.
                let path = output::input(file)?;
                if !path.exists() {
                    return Err(failed(PkiError::FileNotFound { path }));
                }
                let password = match given {
                    Some(given) => given.clone(),
                    // The path as it was given: that is how the user knows the file.
                    None => terminal
                        .secret(&format!("Enter password for CA ({}) : ", file.display()))?,
                };
                CertificateAuthority::load_p12(&path, &password)
            }
            (None, Some(certificate), Some(key)) => load_pem(
                &output::input(certificate)?,
                &output::input(key)?,
                given,
                terminal,
            )?,
            _ => return Ok(None),
        };
        let authority = authority.map_err(failed)?;
        self.check_dates(&authority)?;
        Ok(Some(authority))
    }

    /// Nobody accepts what a CA has signed that is past its end.
    fn check_dates(&self, authority: &CertificateAuthority) -> Result<(), CommandError> {
        let info = CertificateInfo::from_der(authority.certificate()).map_err(failed)?;
        let now = Timestamp::now();
        if self.allow_expired || info.is_valid_at(now) {
            return Ok(());
        }
        let (subject, start, end) = (&info.subject, info.not_before, info.not_after);
        let message = match end < now {
            true => format!("the CA [{subject}] expired on [{end}], {}", since(end, now)),
            false => format!("the CA [{subject}] is not valid before [{start}]"),
        };
        Err(CommandError::data(message).with_hint(
            "make a new CA with `elasticsearch-certutil ca`; with --allow-expired this one signs all the same, and what \
             it signs is refused everywhere",
        ))
    }
}

/// Returns for how many days a certificate can be valid: no longer than the CA. Says so where that is less than was
/// asked for.
pub(super) fn within_ca(
    authority: &CertificateAuthority,
    days: u32,
    terminal: &mut Terminal,
) -> Result<u32, CommandError> {
    let info = CertificateInfo::from_der(authority.certificate()).map_err(failed)?;
    let left = whole_days(&info, Timestamp::now());
    // One that has ended is used only by who insists.
    let Ok(left) = u32::try_from(left.max(1)) else {
        return Ok(days);
    };
    // A CA made today for as long as this is one day short of it by some seconds only.
    if left.saturating_add(1) >= days || info.not_after < Timestamp::now() {
        return Ok(days);
    }
    terminal.err(format!(
        "Warning: the CA ends on [{}], so the certificates are valid for {left} days instead of {days}.",
        info.not_after
    ));
    Ok(left)
}

/// Returns the whole days until the end, with a minus those since.
pub(super) fn whole_days(info: &CertificateInfo, now: Timestamp) -> i64 {
    (info.not_after.as_second() - now.as_second()) / (24 * 60 * 60)
}

/// Loads a PEM CA; asks for the passphrase only when the key is encrypted.
fn load_pem(
    certificate: &Path,
    key: &Path,
    given: Option<&SecretString>,
    terminal: &mut Terminal,
) -> Result<Result<CertificateAuthority, PkiError>, CommandError> {
    match CertificateAuthority::load_pem(certificate, key, given) {
        Err(PkiError::PassphraseRequired { .. }) => {
            let prompt = format!(
                "Enter password for CA private key ({}) : ",
                output::file_name(key)
            );
            let answer = terminal.secret(&prompt)?;
            Ok(CertificateAuthority::load_pem(
                certificate,
                key,
                Some(&answer),
            ))
        }
        other => Ok(other),
    }
}
