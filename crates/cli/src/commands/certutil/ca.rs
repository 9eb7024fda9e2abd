//! `certutil ca`: makes a certificate authority.

use std::path::PathBuf;

use ringwall_base::SecretString;
use ringwall_pki::{
    CaParams, CertificateAuthority, CertificateInfo, DEFAULT_CA_DN, DEFAULT_DAYS,
    DistinguishedName, KeyUsage, pem,
};

use super::failed;
use super::keys::KeyArgs;
use super::output::{self, Bundle};
use super::password::{self, NewPasswordArgs};
use crate::error::CommandError;
use crate::terminal::Terminal;

/// Arguments of `certutil ca`.
#[derive(Debug, clap::Args)]
pub(super) struct CaArgs {
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    password: NewPasswordArgs,
    #[command(flatten)]
    key: KeyArgs,
    /// Validity in days
    #[arg(long, value_name = "DAYS", default_value_t = DEFAULT_DAYS)]
    days: u32,
    /// Distinguished name of the CA
    #[arg(long, value_name = "DN", default_value = DEFAULT_CA_DN)]
    ca_dn: String,
    /// Key usages of the CA certificate
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "keyCertSign,cRLSign"
    )]
    keyusage: Vec<String>,
    /// Write PEM files in a zip file instead of PKCS#12
    #[arg(long)]
    pem: bool,
}

/// Makes the key and the certificate, then asks where to write them. Source: Elasticsearch reference,
/// "elasticsearch-certutil".
pub(super) fn run(args: CaArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let pass = args.password.read(terminal)?;
    terminal.out(if args.pem {
        INTRODUCTION_PEM
    } else {
        INTRODUCTION_P12
    });
    let authority = generate(&args, terminal)?;
    let password = match &pass {
        Some(None) => Some(password::ask(PRIVATE_KEY, terminal)?),
        Some(Some(given)) => Some(password::given(given, terminal)),
        None => None,
    };
    let default = if args.pem {
        "elastic-stack-ca.zip"
    } else {
        "elastic-stack-ca.p12"
    };
    let target = output::choose(args.out.as_deref(), default, terminal)?;
    if args.pem {
        let mut bundle = Bundle::new();
        let password = password.filter(|password| !password.is_empty());
        add_pem(&authority, password.as_ref(), &mut bundle)?;
        return output::write(&target, &bundle.finish()?);
    }
    let password = match password {
        Some(password) => password,
        None => password::ask(&output::file_name(&target), terminal)?,
    };
    let content = zeroize::Zeroizing::new(authority.to_p12(&password).map_err(failed)?);
    output::write(&target, &content)
}

/// Puts the certificate and the key of a CA into a zip file. Source: Elasticsearch reference,
/// "elasticsearch-certutil".
pub(super) fn add_pem(
    authority: &CertificateAuthority,
    password: Option<&SecretString>,
    bundle: &mut Bundle,
) -> Result<(), CommandError> {
    bundle.directory("ca")?;
    bundle.file("ca/ca.crt", authority.certificate_pem().as_bytes())?;
    let key = pem::encode_private_key(authority.private_key(), password).map_err(failed)?;
    bundle.file("ca/ca.key", key.expose().as_bytes())
}

fn generate(args: &CaArgs, terminal: &mut Terminal) -> Result<CertificateAuthority, CommandError> {
    let usages = args.keyusage.iter().filter(|name| !name.trim().is_empty());
    let key_usage = usages
        .map(|name| {
            let unknown = || CommandError::usage(format!("Unknown keyUsage: {name}"));
            KeyUsage::named(name).ok_or_else(unknown)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let defaults = CaParams::default();
    let params = CaParams {
        dn: DistinguishedName::parse(&args.ca_dn).map_err(failed)?,
        days: args.days,
        key: args.key.spec()?,
        key_usage: if key_usage.is_empty() {
            defaults.key_usage
        } else {
            key_usage
        },
        not_before: None,
    };
    let authority = CertificateAuthority::generate(&params).map_err(failed)?;
    let info = CertificateInfo::from_der(authority.certificate()).map_err(failed)?;
    terminal.detail(format!(
        "CA [{}] valid until {}, SHA-256 fingerprint {}",
        info.subject, info.not_after, info.fingerprint_sha256
    ));
    Ok(authority)
}

/// Source: Elasticsearch reference, "elasticsearch-certutil".
pub(super) const PRIVATE_KEY: &str = "CA Private key";

const INTRODUCTION_P12: &str = "\
Makes a new certificate authority: a certificate and the private key that signs node certificates.

The output is one PKCS#12 file with both. Whoever has it can make certificates that your cluster
trusts: keep it safe, and do not copy it to the nodes.
";

const INTRODUCTION_PEM: &str = "\
Makes a new certificate authority: a certificate and the private key that signs node certificates.

The output is a zip file with the certificate (ca/ca.crt) and the key (ca/ca.key) in PEM format.
Whoever has the key can make certificates that your cluster trusts: keep it safe, and do not copy
it to the nodes.
";
