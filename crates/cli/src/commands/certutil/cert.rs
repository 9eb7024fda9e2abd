//! `certutil cert`: makes node certificates.

use std::path::PathBuf;

use ringwall_base::SecretString;
use ringwall_pki::instances::Instance;
use ringwall_pki::{
    CaParams, CertificateAuthority, CertificateInfo, DEFAULT_CA_DN, DEFAULT_DAYS,
    DistinguishedName, KeySpec, NodeCertParams, PkiError, pem, self_signed,
};
use zeroize::Zeroizing;

use super::ca;
use super::failed;
use super::instances::InstanceArgs;
use super::issuer::{IssuerArgs, within_ca};
use super::keys::KeyArgs;
use super::output::{self, Bundle};
use super::parallel::make_all;
use super::password::{self, NewPassword, NewPasswordArgs};
use crate::error::CommandError;
use crate::terminal::Terminal;

/// Arguments of `certutil cert`.
#[derive(Debug, clap::Args)]
pub(super) struct CertArgs {
    #[command(flatten)]
    authority: IssuerArgs,
    /// Make certificates that sign themselves
    #[arg(long, conflicts_with_all = ["ca", "ca_cert", "ca_key", "ca_pass", "ca_pass_file", "keep_ca_key"])]
    self_signed: bool,
    #[command(flatten)]
    instances: InstanceArgs,
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
    /// Write PEM files in a zip file instead of PKCS#12
    #[arg(long)]
    pem: bool,
    /// Make a CA for these certificates, and keep it beside them in the zip file, under ca/
    #[arg(long, conflicts_with_all = ["ca", "ca_cert", "ca_key", "self_signed"])]
    keep_ca_key: bool,
    /// Distinguished name of the CA that --keep-ca-key makes
    #[arg(long, value_name = "DN", default_value = DEFAULT_CA_DN, conflicts_with_all = ["ca", "ca_cert"])]
    ca_dn: String,
}

/// Loads the CA, finds the nodes, asks where to write, then makes and writes. Source: Elasticsearch reference,
/// "elasticsearch-certutil".
pub(super) fn run(mut args: CertArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    if !args.authority.is_given() && !args.self_signed && !args.keep_ca_key {
        return Err(CommandError::usage(NO_CA));
    }
    let key = args.key.spec()?;
    let pass = args.password.read(terminal)?;
    terminal.out(INTRODUCTION);
    let nodes = args.instances.nodes(terminal)?;
    let issuer = match args.authority.load(terminal)? {
        Some(authority) => {
            args.days = within_ca(&authority, args.days, terminal)?;
            Issuer::Authority(Box::new(authority))
        }
        None if args.keep_ca_key => Issuer::Kept(Box::new(generate_ca(&args, key)?)),
        None => Issuer::Itself,
    };
    let is_zip = args.instances.are_many() || args.pem || args.keep_ca_key;
    let default = match args.instances.name() {
        _ if is_zip => "certificate-bundle.zip".to_owned(),
        Some(name) => format!("{name}.p12"),
        None => "elastic-certificates.p12".to_owned(),
    };
    let target = output::choose(args.out.as_deref(), &default, terminal)?;
    let maker = Maker {
        args: &args,
        key,
        pass,
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
    /// A CA that is made with the certificates, and written beside them.
    Kept(Box<CertificateAuthority>),
    Itself,
}

/// Source: Elasticsearch reference, "elasticsearch-certutil" (7.17).
fn generate_ca(args: &CertArgs, key: KeySpec) -> Result<CertificateAuthority, CommandError> {
    let params = CaParams {
        dn: DistinguishedName::parse(&args.ca_dn).map_err(failed)?,
        days: args.days,
        key,
        ..CaParams::default()
    };
    CertificateAuthority::generate(&params).map_err(failed)
}

/// Makes what is written.
struct Maker<'a> {
    args: &'a CertArgs,
    key: KeySpec,
    pass: NewPassword,
    issuer: Issuer,
}

/// The files of one node, by their extension, and the certificate for those who want details.
struct Made {
    files: Vec<(&'static str, Zeroizing<Vec<u8>>)>,
    info: CertificateInfo,
}

impl Maker<'_> {
    /// Returns the PKCS#12 file of one node; `described` names it in the prompt.
    fn keystore(
        &self,
        node: &Instance,
        described: &str,
        terminal: &mut Terminal,
    ) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        let password = self.keystore_password(described, terminal)?;
        let mut made = self.make(node, Some(&password))?;
        detail(&made.info, terminal);
        // A node has one file here.
        Ok(made.files.remove(0).1)
    }

    /// Returns the zip file of all nodes.
    fn bundle(
        &self,
        nodes: &[Instance],
        terminal: &mut Terminal,
    ) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        let mut bundle = Bundle::new();
        if let Issuer::Kept(authority) = &self.issuer {
            self.add_authority(authority, &mut bundle, terminal)?;
        }
        let mut jobs = Vec::with_capacity(nodes.len());
        for node in nodes {
            let name = &node.filename;
            let password = match self.args.pem {
                true => password::of_pem_key(&self.pass, &format!("{name}.key"), terminal)?,
                false => Some(self.keystore_password(&format!("{name}/{name}.p12"), terminal)?),
            };
            jobs.push((node, password));
        }
        let made = make_all(
            &jobs,
            |(node, password)| self.make(node, password.as_ref()),
            terminal,
        )?;
        for (Instance { filename: name, .. }, made) in nodes.iter().zip(&made) {
            detail(&made.info, terminal);
            bundle.directory(name)?;
            for (extension, content) in &made.files {
                bundle.file(&format!("{name}/{name}.{extension}"), content)?;
            }
        }
        bundle.finish()
    }

    /// Puts the CA into the zip file. Source: Elasticsearch reference, "elasticsearch-certutil".
    fn add_authority(
        &self,
        authority: &CertificateAuthority,
        bundle: &mut Bundle,
        terminal: &mut Terminal,
    ) -> Result<(), CommandError> {
        let option = self.args.authority.new_password()?;
        if self.args.pem {
            let password = password::of_pem_key(&option, ca::PRIVATE_KEY, terminal)?;
            return ca::add_pem(authority, password.as_ref(), bundle);
        }
        let password = match &option {
            Some(Some(given)) => password::given(given, terminal),
            _ => password::ask("ca/ca.p12", terminal)?,
        };
        let content = Zeroizing::new(authority.to_p12(&password).map_err(failed)?);
        bundle.directory("ca")?;
        bundle.file("ca/ca.p12", &content)
    }

    fn keystore_password(
        &self,
        described: &str,
        terminal: &mut Terminal,
    ) -> Result<SecretString, CommandError> {
        let password = match &self.pass {
            Some(Some(given)) => password::given(given, terminal),
            _ => password::ask(described, terminal)?,
        };
        match password.expose().is_ascii() {
            true => Ok(password),
            false => Err(failed(PkiError::NonAsciiPassword)),
        }
    }

    fn make(&self, node: &Instance, password: Option<&SecretString>) -> Result<Made, CommandError> {
        let params = NodeCertParams {
            days: self.args.days,
            key: self.key,
            ..node.params()
        };
        let issued = match &self.issuer {
            Issuer::Authority(authority) | Issuer::Kept(authority) => authority.issue(&params),
            Issuer::Itself => self_signed(&params),
        };
        let issued = issued.map_err(failed)?;
        let info = issued.info().map_err(failed)?;
        let files = if self.args.pem {
            let key = pem::encode_private_key(&issued.key, password).map_err(failed)?;
            vec![
                ("crt", Zeroizing::new(issued.chain_pem().into_bytes())),
                ("key", Zeroizing::new(key.expose().as_bytes().to_vec())),
            ]
        } else {
            let password = password.cloned().unwrap_or_default();
            let content = issued.to_p12(&node.name, &password).map_err(failed)?;
            vec![("p12", Zeroizing::new(content))]
        };
        Ok(Made { files, info })
    }
}

fn detail(info: &CertificateInfo, terminal: &mut Terminal) {
    terminal.detail(format!(
        "certificate [{}] of [{}] valid until {}, SHA-256 fingerprint {}",
        info.subject, info.issuer, info.not_after, info.fingerprint_sha256
    ));
}

/// Source: Elasticsearch reference, "elasticsearch-certutil".
const NO_CA: &str = "Must specify either --ca or --ca-cert/--ca-key or --self-signed";

const INTRODUCTION: &str = "\
Makes X.509 certificates and private keys for the nodes of a cluster.

A PKCS#12 file holds the node's key, its certificate and the CA certificate, and serves as
keystore and as truststore. Several nodes, and PEM files, come in a zip file.
";

const ADVICE: &str = "\
This file should be properly secured as it contains the private key for your instance.
Copy it to the configuration directory of the node, and name it in the settings
xpack.security.transport.ssl.keystore.path and xpack.security.transport.ssl.truststore.path.";
