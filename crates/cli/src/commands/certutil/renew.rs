//! `certutil renew`: the next certificates of nodes, in the files of the old ones.
//!
//! Every file is read and every certificate made before the first one is written.

pub(super) mod pair;
pub(super) mod store;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ringwall_base::SecretString;
use ringwall_pki::{
    CertificateAuthority, CertificateDer, CertificateInfo, FileFormat, IssuedCertificate, PkiError,
    PrivateKey, Renewal, detect_format,
};
use zeroize::Zeroizing;

use super::issuer::IssuerArgs;
use super::output;
use super::password::PasswordSource;
use super::pem_text;
use super::replacement::{NewFile, replace};
use crate::error::CommandError;
use crate::terminal::Terminal;

/// Arguments of `certutil renew`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The new certificate has the names, the usages and the kind of key of the old one. The file keeps its \
        password, its mode and its other entries. The old file stays beside it, with the time and .bak added to its name.\n\n\
        Examples:\n  \
        elasticsearch-certutil renew --ca elastic-stack-ca.p12 config/elastic-certificates.p12\n  \
        elasticsearch-certutil renew --ca-cert ca.crt --ca-key ca.key --keep-key config/node1.crt\n  \
        elasticsearch-certutil renew --ca ca.p12 --ca-pass-file ca.pass --pass-file node.pass --out renewed node*.p12\n\n\
        A running node takes the new file within seconds."
)]
pub(super) struct RenewArgs {
    /// PKCS#12 files with a key and its certificate, or PEM files of certificates
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    authority: IssuerArgs,
    #[command(flatten)]
    password: PasswordSource,
    /// PEM file of the private key, for one PEM certificate; else the file of its name that ends in .key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Validity in days; else as long as the old certificate was valid, but not longer than the CA
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
    /// Go on with the old private key instead of a new one
    #[arg(long)]
    keep_key: bool,
    /// Write the new files into a directory, and leave the old ones as they are
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Every node trusts both CAs already.
    #[arg(skip)]
    trusts_both: bool,
}

impl RenewArgs {
    /// Returns the arguments of a renewal by a CA that every node trusts beside the old one.
    pub(super) fn by_trusted(days: Option<u32>) -> Self {
        Self {
            files: Vec::new(),
            authority: IssuerArgs::default(),
            password: PasswordSource::default(),
            key: None,
            days,
            keep_key: false,
            out: None,
            trusts_both: true,
        }
    }
}

/// Reads, makes, writes.
pub(super) fn run(mut args: RenewArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    if args.key.is_some() && args.files.len() > 1 {
        return Err(CommandError::usage("--key is for one certificate")
            .with_hint("without it the key of node1.crt is looked for in node1.key"));
    }
    let Some(authority) = args.authority.load(terminal)? else {
        return Err(CommandError::usage(NO_CA));
    };
    let mut new_files: Vec<NewFile> = Vec::new();
    for file in std::mem::take(&mut args.files) {
        let path = resolved(&file)?;
        if new_files.iter().any(|known| known.path == path) {
            return Err(CommandError::usage(format!(
                "[{}] is named twice",
                file.display()
            )));
        }
        new_files.extend(renew(&path, &authority, &mut args, terminal)?);
    }
    match &args.out {
        Some(directory) => write_elsewhere(&new_files, directory, terminal),
        None => replace(&new_files, "Renewed", terminal),
    }
}

/// A certificate of a node with its key, out of any kind of file.
pub(super) struct Credential {
    certificate: CertificateDer<'static>,
    key: PrivateKey,
}

fn renew(
    path: &Path,
    authority: &CertificateAuthority,
    args: &mut RenewArgs,
    terminal: &mut Terminal,
) -> Result<Vec<NewFile>, CommandError> {
    let content = std::fs::read(path).map_err(|error| CommandError::io(path, &error))?;
    let content = Zeroizing::new(content);
    match detect_format(&content) {
        FileFormat::Pkcs12 => {
            if args.key.is_some() {
                return Err(
                    CommandError::usage("--key is for PEM certificates").with_hint(format!(
                        "[{}] is PKCS#12 and has its key inside",
                        path.display()
                    )),
                );
            }
            let store = store::Store::open(path, &content, &mut args.password, terminal)?;
            store.renew(|old| issue(path, old, authority, args, terminal))
        }
        FileFormat::Base64Pkcs12 => Err(unusable(PkiError::Base64Copy {
            path: path.to_owned(),
        })),
        FileFormat::Pem | FileFormat::Der => {
            // The new file is PEM: a node reads either.
            let content = pem_text::as_pem(content, path)?;
            let pair = pair::Pair::open(
                path,
                &content,
                args.key.as_deref(),
                &mut args.password,
                terminal,
            )?;
            let keep_key = args.keep_key;
            pair.renew(keep_key, &[], |old| {
                issue(path, old, authority, args, terminal)
            })
        }
        FileFormat::Jks | FileFormat::Jceks => Err(unusable(PkiError::JavaKeystore {
            path: path.to_owned(),
            format: "JKS",
        })),
        FileFormat::Unknown => Err(CommandError::data(format!(
            "[{}] is neither PKCS#12 nor PEM",
            path.display()
        ))),
    }
}

/// Makes the next certificate, and says what the user might not expect of it.
pub(super) fn issue(
    path: &Path,
    old: Credential,
    authority: &CertificateAuthority,
    args: &RenewArgs,
    terminal: &mut Terminal,
) -> Result<Made, CommandError> {
    let before = CertificateInfo::from_der(&old.certificate).map_err(unusable)?;
    if before.is_ca {
        return Err(CommandError::data(format!(
            "[{}] in [{}] is a CA, whose successor is another CA",
            before.subject,
            path.display()
        ))
        .with_hint("make one with `certutil ca`, and have the nodes trust both for a while"));
    }
    let renewal = Renewal::of(&old.certificate).map_err(unusable)?;
    let key = match (args.keep_key, renewal.key) {
        (true, _) => old.key,
        (false, Some(key)) => PrivateKey::generate(key).map_err(unusable)?,
        (false, None) => {
            return Err(CommandError::data(format!(
                "[{}] has a key ({}) of a kind that is not made here",
                path.display(),
                before.key_algorithm
            ))
            .with_hint("use --keep-key to go on with that key"));
        }
    };
    let days = days(
        args.days,
        &renewal,
        authority,
        &output::file_name(path),
        terminal,
    )?;
    let issued = authority.renew(&renewal, days, key).map_err(unusable)?;
    let after = issued.info().map_err(unusable)?;
    let file = output::file_name(path);
    if before.key_algorithm != after.key_algorithm {
        terminal.err(format!(
            "Note: {file} had a key of {}, its new key is {}",
            before.key_algorithm, after.key_algorithm
        ));
    }
    if !renewal.left_out.is_empty() {
        let oids = renewal.left_out.join(", ");
        terminal.err(format!(
            "Note: {file} had words of its issuer that are not in the new certificate: {oids}"
        ));
    }
    if !args.trusts_both && !authority.has_issued(&old.certificate) {
        terminal.err(format!(
            "Warning: {file} was signed by [{}], not by the CA given here [{}]. Have all nodes and clients \
             trust this CA before you use the new file.",
            before.issuer, after.issuer
        ));
    }
    let summary = format!(
        "{}, valid until {} (was {})",
        after.subject, after.not_after, before.not_after
    );
    Ok(Made { issued, summary })
}

/// Returns for how many days the next certificate is valid: as wanted, else as the old one was, but not
/// longer than the CA.
fn days(
    wanted: Option<u32>,
    renewal: &Renewal,
    authority: &CertificateAuthority,
    file: &str,
    terminal: &mut Terminal,
) -> Result<u32, CommandError> {
    let info = CertificateInfo::from_der(authority.certificate()).map_err(unusable)?;
    let left = info.not_after.duration_since(Timestamp::now()).as_hours() / 24;
    let left = u32::try_from(left).unwrap_or_default();
    if left == 0 {
        return Err(CommandError::data(format!(
            "the CA [{}] ends on {}: nobody would accept what it signs",
            info.subject, info.not_after
        ))
        .with_hint("make another with `certutil ca`, and have all nodes and clients trust it"));
    }
    let days = wanted.unwrap_or_else(|| renewal.days.min(left));
    if days > left {
        terminal.err(format!(
            "Warning: the CA ends on {}, before the new certificate in {file}, which is of no use after that.",
            info.not_after
        ));
    } else if wanted.is_none() && left.saturating_add(SHORTER_DAYS) < renewal.days {
        terminal.err(format!(
            "Note: the new certificate in {file} is valid for {days} days instead of {}, since the CA ends then.",
            renewal.days
        ));
    }
    Ok(days)
}

/// A certificate that was made, in words as well.
pub(super) struct Made {
    issued: IssuedCertificate,
    summary: String,
}

fn write_elsewhere(
    files: &[NewFile],
    directory: &Path,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let directory = output::absolute(directory)?;
    let mut targets: Vec<(PathBuf, &NewFile)> = Vec::new();
    for file in files {
        let target = directory.join(output::file_name(&file.path));
        output::check_absent(&target)?;
        if targets.iter().any(|(known, _)| *known == target) {
            let name = output::file_name(&file.path);
            return Err(CommandError::usage(format!("two files are named [{name}]"))
                .with_hint("renew them one after the other, each into a directory of its own"));
        }
        targets.push((target, file));
    }
    std::fs::create_dir_all(&directory).map_err(|error| {
        CommandError::cant_create(format!("Cannot create directory {}", directory.display()))
            .with_hint(error.to_string())
    })?;
    for (target, file) in targets {
        output::write(&target, &file.content)?;
        terminal.out(format!("Written {}: {}", target.display(), file.summary));
    }
    Ok(())
}

/// Returns the file itself where a link leads to it: the link stays.
fn resolved(file: &Path) -> Result<PathBuf, CommandError> {
    let path = output::input(file)?;
    std::fs::canonicalize(&path).map_err(|error| CommandError::io(&path, &error))
}

/// Returns the password of a file, asking for it if no option tells it.
fn password_of(
    path: &Path,
    source: &mut PasswordSource,
    terminal: &mut Terminal,
) -> Result<SecretString, CommandError> {
    source.get(&output::file_name(path), terminal)
}

/// A file that cannot be renewed ends with 65.
pub(super) fn unusable(error: PkiError) -> CommandError {
    CommandError::data(error.to_string())
}

/// By how many days a certificate may become shorter without a word.
const SHORTER_DAYS: u32 = 7;

const NO_CA: &str = "Must specify either --ca or --ca-cert/--ca-key";
