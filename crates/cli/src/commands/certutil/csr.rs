//! `certutil csr`: makes keys and requests for certificates of another CA.

use std::path::PathBuf;

use ringwall_pki::instances::Instance;
use ringwall_pki::{CertificateRequest, NodeCertParams, pem};

use super::failed;
use super::instances::InstanceArgs;
use super::keys::KeyArgs;
use super::output::{self, Bundle};
use super::parallel::make_all;
use super::password::{self, NewPasswordArgs};
use crate::error::CommandError;
use crate::terminal::Terminal;

/// Arguments of `certutil csr`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        elasticsearch-certutil csr --name es01 --dns es01.example --out es01.zip\n  \
        elasticsearch-certutil csr --in instances.yml --out requests.zip --pass\n\n\
        Have the .csr files signed by your CA; the keys in the zip file stay with the nodes.")]
pub(super) struct CsrArgs {
    #[command(flatten)]
    instances: InstanceArgs,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    password: NewPasswordArgs,
    #[command(flatten)]
    key: KeyArgs,
}

/// Asks for what is missing, then makes and writes. Source: Elasticsearch reference, "elasticsearch-certutil".
pub(super) fn run(args: CsrArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let key = args.key.spec()?;
    let pass = args.password.read(terminal)?;
    terminal.out(INTRODUCTION);
    let nodes = args.instances.nodes(terminal)?;
    let target = output::choose(args.out.as_deref(), "csr-bundle.zip", terminal)?;
    let mut jobs = Vec::with_capacity(nodes.len());
    for node in &nodes {
        let described = format!("{0}/{0}.key", node.filename);
        jobs.push((node, password::of_pem_key(&pass, &described, terminal)?));
    }
    let made = make_all(
        &jobs,
        |(node, password)| {
            let params = NodeCertParams {
                key,
                ..node.params()
            };
            let made = CertificateRequest::generate(&params).map_err(failed)?;
            let key = pem::encode_private_key(&made.key, password.as_ref()).map_err(failed)?;
            Ok((made.to_pem(), key))
        },
        terminal,
    )?;
    let mut bundle = Bundle::new();
    for (Instance { filename: name, .. }, (request, key)) in nodes.iter().zip(&made) {
        bundle.directory(name)?;
        bundle.file(&format!("{name}/{name}.csr"), request.as_bytes())?;
        bundle.file(&format!("{name}/{name}.key"), key.expose().as_bytes())?;
    }
    output::write(&target, &bundle.finish()?)?;
    terminal.out(format!(
        "\nCertificate signing requests have been written to {}\n\n{ADVICE}",
        target.display()
    ));
    Ok(())
}

const INTRODUCTION: &str = "\
Makes private keys and certificate signing requests (PKCS#10) for the nodes of a cluster, for a
certificate authority of your own to sign. They come in a zip file in PEM format.
";

const ADVICE: &str = "\
This file should be properly secured as it contains the private keys for all instances.
Send the .csr files, and only them, to your certificate authority.";
