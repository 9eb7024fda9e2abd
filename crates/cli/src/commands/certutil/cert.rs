//! `certutil cert`: makes node certificates.

use std::path::{Path, PathBuf};

use ringwall_base::SecretString;
use ringwall_pki::{
    CertificateAuthority, DEFAULT_DAYS, DEFAULT_INSTANCE_NAME, DEFAULT_KEY_SIZE, IssuedCertificate,
    KeySpec, NodeCertParams, PkiError, pem, self_signed,
};

use super::failed;
use super::instances::{self, Details, Instance};
use super::output::{self, Bundle};
use super::password;
use crate::error::CommandError;
use crate::terminal::Terminal;

/// Arguments of `certutil cert`.
#[derive(Debug, clap::Args)]
pub(super) struct CertArgs {
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
    /// Make certificates that sign themselves
    #[arg(long, conflicts_with_all = ["ca", "ca_cert", "ca_key", "ca_pass"])]
    self_signed: bool,
    /// Name of the node, or a whole distinguished name
    #[arg(long, value_name = "NAME", conflicts_with = "multiple")]
    name: Option<String>,
    /// DNS names of the node, separated by commas; repeatable
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        conflicts_with = "multiple"
    )]
    dns: Vec<String>,
    /// IP addresses of the node, separated by commas; repeatable
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        conflicts_with = "multiple"
    )]
    ip: Vec<String>,
    /// Ask for several nodes
    #[arg(long)]
    multiple: bool,
    /// YAML file that lists the nodes; wins over the options above
    #[arg(long = "in", value_name = "FILE")]
    input: Option<PathBuf>,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Password of the private keys; without a value it is asked for
    #[arg(long, value_name = "PASSWORD", num_args = 0..=1)]
    pass: Option<Option<SecretString>>,
    /// Size of the RSA keys in bits: 2048, 3072 or 4096
    #[arg(long, value_name = "BITS", default_value_t = DEFAULT_KEY_SIZE)]
    keysize: u32,
    /// Validity in days
    #[arg(long, value_name = "DAYS", default_value_t = DEFAULT_DAYS)]
    days: u32,
    /// Write PEM files in a zip file instead of PKCS#12
    #[arg(long)]
    pem: bool,
    #[arg(long, hide = true)]
    keep_ca_key: bool,
}

/// Loads the CA, finds the nodes, asks where to write, then makes and writes. Source: tools.md section 1.4.
pub(super) fn run(args: CertArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    if args.keep_ca_key {
        return Err(CommandError::usage(NO_GENERATED_CA));
    }
    if args.ca.is_none() && args.ca_cert.is_none() && !args.self_signed {
        return Err(CommandError::usage(NO_CA));
    }
    terminal.out(INTRODUCTION);
    let issuer = issuer(&args, terminal)?;
    let nodes = nodes(&args, terminal)?;
    let is_zip = args.multiple || args.input.is_some() || args.pem;
    let default = match &args.name {
        _ if is_zip => "certificate-bundle.zip".to_owned(),
        Some(name) => format!("{name}.p12"),
        None => "elastic-certificates.p12".to_owned(),
    };
    let target = output::choose(args.out.as_deref(), &default, terminal)?;
    let maker = Maker {
        args: &args,
        issuer,
    };
    let content = match nodes.as_slice() {
        [node] if !is_zip => maker.keystore(node, &output::file_name(&target), terminal)?,
        nodes => maker.bundle(nodes, terminal)?,
    };
    output::write(&target, &content)?;
    terminal.out(format!(
        "\nCertificates written to {}\n\n{ADVICE}",
        target.display()
    ));
    Ok(())
}

/// Who signs.
enum Issuer {
    Authority(Box<CertificateAuthority>),
    Itself,
}

/// Returns the CA named by the options.
fn issuer(args: &CertArgs, terminal: &mut Terminal) -> Result<Issuer, CommandError> {
    let given = args.ca_pass.as_ref().and_then(Option::as_ref);
    let authority = match (&args.ca, &args.ca_cert, &args.ca_key) {
        (Some(file), _, _) => {
            let password = match given {
                Some(given) => given.clone(),
                // The path as it was given: that is how the user knows the file.
                None => {
                    terminal.secret(&format!("Enter password for CA ({}) : ", file.display()))?
                }
            };
            CertificateAuthority::load_p12(&output::absolute(file)?, &password)
        }
        (None, Some(certificate), Some(key)) => load_pem(
            &output::absolute(certificate)?,
            &output::absolute(key)?,
            given,
            terminal,
        )?,
        // Nothing else is left: `run` refuses a command without any issuer.
        _ => return Ok(Issuer::Itself),
    };
    authority
        .map(Box::new)
        .map(Issuer::Authority)
        .map_err(failed)
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

fn nodes(args: &CertArgs, terminal: &mut Terminal) -> Result<Vec<Instance>, CommandError> {
    if let Some(file) = &args.input {
        return instances::from_file(&output::absolute(file)?, terminal);
    }
    if args.multiple {
        let nodes = instances::multiple(terminal)?;
        let nothing = CommandError::config("No instance was specified");
        return if nodes.is_empty() {
            Err(nothing)
        } else {
            Ok(nodes)
        };
    }
    let items = |list: &[String]| {
        list.iter()
            .filter(|item| !item.is_empty())
            .cloned()
            .collect()
    };
    let details = Details {
        name: args
            .name
            .clone()
            .unwrap_or_else(|| DEFAULT_INSTANCE_NAME.to_owned()),
        dns: items(&args.dns),
        ips: items(&args.ip),
        ..Details::default()
    };
    Ok(vec![instances::single(details, terminal)?])
}

/// Makes what is written.
struct Maker<'a> {
    args: &'a CertArgs,
    issuer: Issuer,
}

impl Maker<'_> {
    /// Returns the PKCS#12 file of one node; `described` names it in the prompt.
    fn keystore(
        &self,
        node: &Instance,
        described: &str,
        terminal: &mut Terminal,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, CommandError> {
        let password = match &self.args.pass {
            Some(Some(given)) => password::given(given, terminal),
            _ => password::ask(described, terminal)?,
        };
        if !password.expose().is_ascii() {
            return Err(failed(PkiError::NonAsciiPassword));
        }
        let issued = self.issue(node, terminal)?;
        issued
            .to_p12(&node.name, &password)
            .map(zeroize::Zeroizing::new)
            .map_err(failed)
    }

    /// Returns the zip file of all nodes.
    fn bundle(
        &self,
        nodes: &[Instance],
        terminal: &mut Terminal,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, CommandError> {
        let mut bundle = Bundle::new();
        for node in nodes {
            let name = &node.filename;
            bundle.directory(name)?;
            if self.args.pem {
                let password = self.pem_password(&format!("{name}.key"), terminal)?;
                let issued = self.issue(node, terminal)?;
                let key =
                    pem::encode_private_key(&issued.key, password.as_ref()).map_err(failed)?;
                bundle.file(&format!("{name}/{name}.crt"), issued.chain_pem().as_bytes())?;
                bundle.file(&format!("{name}/{name}.key"), key.expose().as_bytes())?;
            } else {
                let entry = format!("{name}/{name}.p12");
                let content = self.keystore(node, &entry, terminal)?;
                bundle.file(&entry, &content)?;
            }
        }
        bundle.finish()
    }

    /// Returns the password of a PEM key: none unless `--pass` is there.
    fn pem_password(
        &self,
        described: &str,
        terminal: &mut Terminal,
    ) -> Result<Option<SecretString>, CommandError> {
        let password = match &self.args.pass {
            None => return Ok(None),
            Some(Some(given)) => password::given(given, terminal),
            Some(None) => password::ask(described, terminal)?,
        };
        if password.is_empty() {
            return Err(CommandError::config(
                "A PEM private key cannot be encrypted with an empty password",
            )
            .with_hint("leave out --pass to write the key unencrypted"));
        }
        Ok(Some(password))
    }

    fn issue(
        &self,
        node: &Instance,
        terminal: &mut Terminal,
    ) -> Result<IssuedCertificate, CommandError> {
        let params = NodeCertParams {
            name: node.dn.clone(),
            dns: node.dns.clone(),
            ips: node.ips.clone(),
            common_names: node.common_names.clone(),
            days: self.args.days,
            key: KeySpec::Rsa(self.args.keysize),
            ..NodeCertParams::default()
        };
        let issued = match &self.issuer {
            Issuer::Authority(authority) => authority.issue(&params),
            Issuer::Itself => self_signed(&params),
        };
        let issued = issued.map_err(failed)?;
        let info = issued.info().map_err(failed)?;
        terminal.detail(format!(
            "certificate [{}] of [{}] valid until {}, SHA-256 fingerprint {}",
            info.subject, info.issuer, info.not_after, info.fingerprint_sha256
        ));
        Ok(issued)
    }
}

/// Source: tools.md section 1.1.
const NO_CA: &str = "Must specify either --ca or --ca-cert/--ca-key or --self-signed";

/// Source: tools.md section 1.1.
const NO_GENERATED_CA: &str = "\
Generating certificates without providing a CA is no longer supported.
Please first generate a CA with the 'ca' sub-command and provide the ca file
with either --ca or --ca-cert/--ca-key to generate certificates.";

const INTRODUCTION: &str = "\
Makes X.509 certificates and private keys for the nodes of a cluster.

A PKCS#12 file holds the node's key, its certificate and the CA certificate, and serves as
keystore and as truststore. Several nodes, and PEM files, come in a zip file.
";

const ADVICE: &str = "\
This file should be properly secured as it contains the private key for your instance.
Copy it to the configuration directory of the node, and name it in the settings
xpack.security.transport.ssl.keystore.path and xpack.security.transport.ssl.truststore.path.";
