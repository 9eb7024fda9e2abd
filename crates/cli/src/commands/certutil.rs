//! `elasticsearch-certutil`: makes certificate authorities and node certificates. Needs no running
//! node. Source: Elasticsearch reference, "elasticsearch-certutil".

mod ca;
mod cert;
mod check;
mod csr;
mod http;
mod inspect;
mod instances;
mod issuer;
mod keys;
mod output;
mod parallel;
mod password;
mod pem_text;
mod renew;
mod replacement;
mod rotate;

pub(super) use self::inspect::days_left;

use clap::Subcommand;
use ringwall_pki::PkiError;

use crate::error::{CommandError, ExitCode};
use crate::terminal::Terminal;

/// Arguments of `certutil`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Makes certificates for TLS between nodes and towards clients",
    after_help = "Examples:\n  \
        elasticsearch-certutil ca                                 elastic-stack-ca.p12\n  \
        elasticsearch-certutil cert --ca elastic-stack-ca.p12     elastic-certificates.p12, for every node\n  \
        elasticsearch-certutil http                               asks for what HTTPS needs\n  \
        elasticsearch-certutil check config                       when do certificates end?"
)]
pub struct CertutilArgs {
    #[command(subcommand)]
    command: CertutilCommand,
}

#[derive(Debug, Subcommand)]
enum CertutilCommand {
    /// Make keys and signing requests for nodes, for another CA to sign
    Csr(csr::CsrArgs),
    /// Make X.509 certificates and keys for nodes
    #[command(after_help = "Examples:\n  \
        elasticsearch-certutil cert --ca elastic-stack-ca.p12\n  \
        elasticsearch-certutil cert --ca elastic-stack-ca.p12 --in instances.yml --out certs.zip\n  \
        elasticsearch-certutil cert --ca-cert ca.crt --ca-key ca.key --pem --name n1 --dns n1.example")]
    Cert(cert::CertArgs),
    /// Make a new local certificate authority
    #[command(after_help = "Examples:\n  \
        elasticsearch-certutil ca\n  \
        elasticsearch-certutil ca --pem --days 1825 --out ca.zip\n  \
        elasticsearch-certutil ca --key-type ec-p256 --pass-file ca-password.txt --out ca.p12")]
    Ca(ca::CaArgs),
    /// Make certificates or signing requests for HTTPS between clients and nodes, by questions
    Http(http::HttpArgs),
    /// Replace certificates that end by new ones with the same names
    Renew(renew::RenewArgs),
    /// Replace the CA of a cluster, step by step, while it runs
    Rotate(rotate::RotateArgs),
    /// Say what is in a file of keys or certificates, and what a node can use it for
    Inspect(inspect::InspectArgs),
    /// List when certificates end, with an exit status for monitoring
    Check(check::CheckArgs),
}

/// Runs a certutil command.
pub fn run(args: CertutilArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    match args.command {
        CertutilCommand::Csr(args) => csr::run(args, terminal),
        CertutilCommand::Cert(args) => cert::run(args, terminal),
        CertutilCommand::Ca(args) => ca::run(args, terminal),
        CertutilCommand::Http(args) => http::run(args, terminal),
        CertutilCommand::Renew(args) => renew::run(args, terminal),
        CertutilCommand::Rotate(args) => rotate::run(args, terminal),
        CertutilCommand::Check(args) => check::run(args, terminal),
        CertutilCommand::Inspect(args) => inspect::run(args, terminal),
    }
}

/// Gives a failure the exit status that Elasticsearch's tool ends with. Source: sysexits(3), as Elasticsearch's tools
/// use it.
fn failed(error: PkiError) -> CommandError {
    let exit = match &error {
        PkiError::KeySize(_) => ExitCode::Usage,
        PkiError::KeyMismatch { .. }
        | PkiError::NonAsciiPassword
        | PkiError::InvalidName { .. }
        | PkiError::InvalidDnsName(_)
        | PkiError::DuplicateAlias(_) => ExitCode::Config,
        _ => ExitCode::Failure,
    };
    CommandError::new(exit, error.to_string())
}

#[cfg(test)]
mod tests;
