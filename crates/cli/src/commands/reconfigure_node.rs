//! `elasticsearch-reconfigure-node`: enrols a node that secured itself but has never been used.
//! Source: Elasticsearch reference, "elasticsearch-reconfigure-node".

use std::fs;

use ringwall_base::SecretString;
use ringwall_settings::registry::security;
use ringwall_settings::{Keystore, Settings};

use super::auto_configuration::{
    self, BLOCK_BEGIN, CERTS, data_is_empty, data_path, settings_block,
};
use super::enrollment;
use super::online::open_keystore;
use crate::arguments::CommonArgs;
use crate::error::{CommandError, ExitCode};
use crate::paths::Paths;
use crate::terminal::Terminal;

/// Arguments of `reconfigure-node`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Enrols a node that secured itself to an existing cluster",
    long_about = "Enrols a node that secured itself at its first start to an existing cluster, in place of its \
        own. Its certificates, TLS passwords and first password of elastic are replaced. The node must be \
        stopped and hold no data.",
    after_help = "Examples:\n  \
        elasticsearch-reconfigure-node --enrollment-token TOKEN\n  \
        elasticsearch-reconfigure-node --enrollment-token TOKEN --yes    asks nothing"
)]
pub struct ReconfigureArgs {
    /// Token that elasticsearch-create-enrollment-token -s node printed on a node of the cluster
    #[arg(long, value_name = "TOKEN")]
    enrollment_token: Option<String>,
    /// Do not ask before changing the configuration
    #[arg(short, long)]
    yes: bool,
}

/// Checks that nothing of value is lost, asks, then replaces the configuration.
pub fn run(
    args: &ReconfigureArgs,
    common: &CommonArgs,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let Some(token) = args.enrollment_token.as_deref().map(SecretString::from) else {
        return Err(CommandError::usage(
            "enrollment-token is a mandatory parameter when reconfiguring the node",
        ));
    };
    let token = enrollment::parse(&token)?;
    let paths = Paths::resolve()?;
    let yml =
        fs::read_to_string(paths.yml()).map_err(|error| CommandError::io(&paths.yml(), &error))?;
    let block = settings_block(&yml).filter(|_| paths.config().join(CERTS).is_dir());
    let Some(block) = block else {
        return Err(CommandError::usage(
            "Aborting enrolling to cluster. This node doesn't appear to be auto-configured for security. Expected \
             configuration is missing from elasticsearch.yml.",
        )
        .with_hint(format!("the block of settings begins with {BLOCK_BEGIN}")));
    };
    let mut keystore = open_keystore(&paths.keystore(), terminal)?;
    let settings = Settings::load(paths.config(), &common.overrides()?, keystore.as_ref())
        .map_err(|error| CommandError::config(error.to_string()))?;
    let data = data_path(&settings, paths.home()?);
    if !data_is_empty(&data) {
        return Err(CommandError::usage(format!(
            "Aborting enrolling to cluster. It appears that this is not the first time this node starts: there is \
             data in [{}]",
            data.display()
        ))
        .with_hint("a node with data belongs to its cluster; enrol a new home instead"));
    }
    if !args.yes {
        ask(terminal)?;
    }
    let keystore = keystore.get_or_insert_with(|| Keystore::create(SecretString::default()));
    keystore.remove(security::AUTOCONFIGURATION_PASSWORD_HASH.key());
    auto_configuration::reconfigure(&paths, &token, &settings, &block, keystore)?;
    terminal.out("The node is enrolled: it joins the cluster when it starts.");
    Ok(())
}

fn ask(terminal: &mut Terminal) -> Result<(), CommandError> {
    terminal.out(
        "This node will be reconfigured to join an existing cluster, using the enrollment token that you provided.\n\
         This operation will overwrite the existing configuration. Specifically:\n  \
         - Security auto configuration will be removed from elasticsearch.yml\n  \
         - The [certs] config directory will be removed\n  \
         - Security auto configuration related secure settings will be removed from the elasticsearch.keystore",
    );
    match terminal.confirm(
        "Do you want to continue with the reconfiguration process",
        false,
    )? {
        true => Ok(()),
        false => Err(CommandError::new(ExitCode::Ok, "User cancelled operation")),
    }
}
