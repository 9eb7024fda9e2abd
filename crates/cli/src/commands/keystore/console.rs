//! `kibana-keystore`: the secrets of the console. Source: Kibana reference, "Secure settings".

use clap::Subcommand;
use ringwall_base::suggest;
use ringwall_settings::console::{KEYSTORE, registry};

use super::{Owner, Tool};
use crate::error::CommandError;
use crate::paths::console_config;
use crate::terminal::Terminal;

/// Arguments of `kibana-keystore`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Manages the secrets of the console, in config/kibana.keystore",
    after_help = "Examples:\n  \
        kibana-keystore create\n  \
        kibana-keystore add elasticsearch.password\n  \
        printf '%s\\n' \"$SECRET\" | kibana-keystore add -x elasticsearch.serviceAccountToken"
)]
pub struct ConsoleKeystoreArgs {
    #[command(subcommand)]
    command: ConsoleKeystoreCommand,
}

#[derive(Debug, Subcommand)]
enum ConsoleKeystoreCommand {
    /// Create a new keystore
    #[command(after_help = "Examples:\n  \
        kibana-keystore create")]
    Create,
    /// List the names of the settings
    #[command(after_help = "Examples:\n  \
        kibana-keystore list")]
    List,
    /// Add settings, which win over kibana.yml
    #[command(after_help = "Examples:\n  \
        kibana-keystore add elasticsearch.password\n  \
        printf '%s\\n' \"$SECRET\" | kibana-keystore add -x -f server.ssl.keyPassphrase")]
    Add {
        /// Overwrite existing settings without asking, and create the keystore if missing
        #[arg(short, long)]
        force: bool,
        /// Read the values from standard input, one line for each setting
        #[arg(short = 'x', long)]
        stdin: bool,
        #[arg(value_name = "SETTING")]
        settings: Vec<String>,
    },
    /// Remove settings
    #[command(after_help = "Examples:\n  \
        kibana-keystore remove elasticsearch.password")]
    Remove {
        #[arg(value_name = "SETTING")]
        settings: Vec<String>,
    },
}

/// Runs a command on the keystore of the console.
pub fn run(args: ConsoleKeystoreArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let mut tool = Tool {
        path: console_config()?.join(KEYSTORE),
        owner: Owner::Console,
        password_file: None,
        format: None,
        terminal,
    };
    match args.command {
        ConsoleKeystoreCommand::Create => tool.create(false),
        ConsoleKeystoreCommand::List => tool.list(false),
        ConsoleKeystoreCommand::Add {
            force,
            stdin,
            settings,
        } => tool.add(&settings, force, stdin),
        ConsoleKeystoreCommand::Remove { settings } => tool.remove(&settings),
    }
}

/// Warns of a name that the console refuses to start with.
pub(super) fn name_warning(name: &str) -> Option<String> {
    if registry::find(name).is_some() {
        return None;
    }
    let known: Vec<&str> = registry::all().map(|spec| spec.info().key).collect();
    let near = suggest::similar(name, known.iter().copied());
    let advice = near.first().map(|near| format!(" Did you mean [{near}]?"));
    Some(format!(
        "WARNING: [{name}] is not a setting that the console knows.{}",
        advice.unwrap_or_default()
    ))
}
