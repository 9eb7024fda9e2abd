//! `certutil http`: certificates for HTTPS between clients and nodes, by questions. Source: Elasticsearch reference,
//! "elasticsearch-certutil" (`http`).
//!
//! Everything is asked first, then made, then written: who gives up half-way leaves nothing behind.

mod authority;
mod layout;
mod nodes;
mod period;
mod questions;

use std::path::PathBuf;

use ringwall_base::{SecretBytes, SecretString};
use ringwall_pki::{
    CertificateAuthority, CertificateInfo, CertificateRequest, ExtendedKeyUsage, NodeCertParams,
    pem,
};
use zeroize::Zeroizing;

use self::authority::Authority;
use self::layout::{Contents, NodeFiles};
use self::nodes::Node;
use self::period::Period;
use super::output;
use super::parallel::make_all;
use super::{failed, password};
use crate::error::CommandError;
use crate::terminal::Terminal;

/// Arguments of `certutil http`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Everything is asked. Without a terminal each line of standard input is one answer.\n\n\
        Examples:\n  \
        elasticsearch-certutil http\n  \
        elasticsearch-certutil http --answers http-answers.txt\n\n\
        A file of answers, one line for each question: no CSR, no existing CA, no other options of the CA, no password of \
        the CA, five years, one certificate, the host name localhost and no more, that is correct, no IP address, that \
        is correct, no other options, no password, the zip file:\n  \
        printf '%s\\n' n n n '' 5y n localhost '' y '' y n '' http.zip > http-answers.txt"
)]
pub(super) struct HttpArgs {
    /// Take the answers from the lines of a file, in the order of the questions
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
}

/// Asks, makes, writes.
pub(super) fn run(args: HttpArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    if let Some(file) = &args.answers {
        let path = output::input(file)?;
        let content = std::fs::read(&path).map_err(|error| CommandError::io(&path, &error))?;
        terminal.answer_from(file, SecretBytes::new(content));
    }
    let plan = Plan::ask(terminal)?;
    terminal.check_answers_used()?;
    let target = plan.target.clone();
    let contents = plan.make(terminal)?;
    output::write(&target, &layout::zip(&contents)?)?;
    terminal.out(format!(
        "\nZip file written to {}\n\n{ADVICE}",
        target.display()
    ));
    Ok(())
}

/// All that the questions are about.
struct Plan {
    signing: Signing,
    nodes: Vec<Node>,
    /// Of the new keys; empty for none.
    password: SecretString,
    target: PathBuf,
}

/// Who signs the certificates.
enum Signing {
    /// Another authority, later.
    Request,
    Now {
        authority: Authority,
        validity: Period,
    },
}

impl Plan {
    fn ask(terminal: &mut Terminal) -> Result<Self, CommandError> {
        terminal.out(INTRODUCTION);
        questions::header(
            "Do you wish to generate a Certificate Signing Request (CSR)?",
            terminal,
        );
        terminal.out(CSR);
        let signing = match terminal.confirm("Generate a CSR?", false)? {
            true => Signing::Request,
            false => {
                let authority = Authority::ask(terminal)?;
                let validity = period::ask_for_certificate(terminal)?;
                authority.warn_if_it_ends_before(validity, terminal);
                Signing::Now {
                    authority,
                    validity,
                }
            }
        };
        let nodes = nodes::ask(terminal)?;
        let (what, title) = match &signing {
            Signing::Request => (
                "the private key",
                "What password do you want for your private key(s)?",
            ),
            Signing::Now { .. } => (
                "the \"http.p12\" file",
                "What password do you want for your keystore(s)?",
            ),
        };
        questions::header(title, terminal);
        terminal.out(PASSWORD);
        let password = questions::new_password(
            &format!("Provide a password for {what}:  [<ENTER> for none]"),
            terminal,
        )?;
        questions::header("Where should we save the generated files?", terminal);
        Ok(Self {
            signing,
            nodes,
            password,
            target: questions::output_file("elasticsearch-ssl-http.zip", terminal)?,
        })
    }

    fn make(self, terminal: &mut Terminal) -> Result<Contents, CommandError> {
        match self.signing {
            Signing::Request => requests(&self.nodes, &self.password, terminal),
            Signing::Now {
                authority,
                validity,
            } => {
                let (signer, new_authority) = authority.make()?;
                let days = validity.days()?;
                let made = certificates(&self.nodes, &signer, days, &self.password, terminal)?;
                Ok(Contents {
                    new_authority,
                    ..made
                })
            }
        }
    }
}

fn requests(
    nodes: &[Node],
    password: &SecretString,
    terminal: &mut Terminal,
) -> Result<Contents, CommandError> {
    let password = Some(password).filter(|password| !password.is_empty());
    let make = |node: &Node| {
        let made = CertificateRequest::generate(&params(node)).map_err(failed)?;
        let key = pem::encode_private_key(&made.key, password).map_err(failed)?;
        Ok(NodeFiles::Request {
            name: node.key_name.clone(),
            request: made.to_pem(),
            key,
        })
    };
    let made = make_all(nodes, make, terminal)?;
    Ok(Contents {
        nodes: with_names(nodes, made),
        has_password: password.is_some(),
        new_authority: None,
        trusted: None,
    })
}

fn certificates(
    nodes: &[Node],
    signer: &CertificateAuthority,
    days: u32,
    password: &SecretString,
    terminal: &mut Terminal,
) -> Result<Contents, CommandError> {
    let make = |node: &Node| {
        let params = NodeCertParams {
            days,
            ..params(node)
        };
        let issued = signer.issue(&params).map_err(failed)?;
        let info = issued.info().map_err(failed)?;
        let file = issued.to_p12(KEY_ENTRY, password).map_err(failed)?;
        Ok((NodeFiles::Keystore(Zeroizing::new(file)), info))
    };
    let made = make_all(nodes, make, terminal)?;
    let mut files = Vec::with_capacity(made.len());
    for (file, info) in made {
        detail(&info, terminal);
        files.push(file);
    }
    Ok(Contents {
        nodes: with_names(nodes, files),
        has_password: !password.is_empty(),
        new_authority: None,
        trusted: Some(signer.chain_pem()),
    })
}

fn with_names(nodes: &[Node], files: Vec<NodeFiles>) -> Vec<(Option<String>, NodeFiles)> {
    nodes
        .iter()
        .map(|node| node.name.clone())
        .zip(files)
        .collect()
}

/// Says what the certificate of a node is to be; the validity is open.
fn params(node: &Node) -> NodeCertParams {
    NodeCertParams {
        name: node.dn.clone(),
        dns: node.hosts.clone(),
        ips: node.ips.clone(),
        key: node.key,
        key_usage: node.key_usage.clone(),
        extended_key_usage: vec![ExtendedKeyUsage::ServerAuth],
        ..NodeCertParams::default()
    }
}

fn detail(info: &CertificateInfo, terminal: &mut Terminal) {
    terminal.detail(format!(
        "certificate [{}] of [{}] valid until {}, SHA-256 fingerprint {}",
        info.subject, info.issuer, info.not_after, info.fingerprint_sha256
    ));
}

/// Alias of the key in `http.p12`. Source: Elasticsearch reference, "elasticsearch-certutil" (`http`).
const KEY_ENTRY: &str = "http";

const INTRODUCTION: &str = "\
Makes what nodes need to speak HTTPS with their clients: for each node a private key with a
certificate or with a signing request, samples of the settings, and for Kibana the certificate of
the CA. It comes in one zip file. The files of transport (TLS between nodes) are made by the command
cert.

An empty answer takes what is shown in brackets.";

const CSR: &str = "\
A CSR is a request that another certificate authority signs, such as that of your company. Answer
yes if your certificates must come from there. Answer no if you have the key of a CA at hand, or
want a new CA made now.
";

const PASSWORD: &str = "\
The password protects the private keys, and is the same for all nodes. A node reads it from its
elasticsearch.keystore. Without one, only the mode of the file protects the key.
";

const ADVICE: &str = "\
The zip file holds private keys: keep it safe, and delete it when its files are where they belong.
The README.txt in each directory of it says what to do with the files beside it.";
