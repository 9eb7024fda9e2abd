//! `kibana`: runs the console until it is told to stop.

use std::io::{self, IsTerminal};
use std::time::Duration;

use ringwall_console::{Config, Console};
use ringwall_settings::console::{ConsoleSettings, KEYSTORE};
use tracing_subscriber::EnvFilter;

use super::online::open_keystore;
use super::start::{self, UNTIL_STDIN_ENDS, supervisor};
use crate::arguments::CommonArgs;
use crate::error::{CommandError, ExitCode};
use crate::paths::console_config;
use crate::terminal::Terminal;

/// Arguments of `console`, beside the common ones.
#[derive(Debug, clap::Args)]
#[command(
    about = "Runs the console with the settings of config/kibana.yml, until SIGTERM or Ctrl-C",
    after_help = "Examples:\n  \
        bin/kibana                                  logs to standard error where browsers find it\n  \
        bin/kibana -E server.host=0.0.0.0           with a setting for this run\n  \
        KBN_PATH_CONF=/etc/kibana ringwall console  with another configuration directory"
)]
pub struct ConsoleArgs {
    /// Print the version and exit
    #[arg(short = 'V', long)]
    version: bool,
    /// Stop when standard input ends, too: a console started by a program then never outlives it
    #[arg(long = UNTIL_STDIN_ENDS)]
    until_stdin_ends: bool,
}

/// Starts the console and returns when it has stopped in order.
pub fn run(
    args: &ConsoleArgs,
    common: &CommonArgs,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    if args.version {
        terminal.result(crate::version());
        return Ok(());
    }
    let config = console_config()?;
    let keystore = open_keystore(&config.join(KEYSTORE), terminal)?;
    let overrides = common.overrides()?;
    let settings = ConsoleSettings::load(&config, &overrides, keystore.as_ref())
        .map_err(|error| CommandError::config(error.to_string()))?;
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("info"))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let input_end = args.until_stdin_ends.then(start::input_end).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::io(&config, &error))?;
    let result = runtime.block_on(async {
        let signals =
            start::Signals::listen().map_err(|error| CommandError::io(&config, &error))?;
        let console = Console::bind(Config::from_settings(&settings))
            .await
            .map_err(|error| CommandError::new(ExitCode::Failure, error.to_string()))?;
        tracing::info!("the console is at [{}]", console.url());
        let handle = console.serve();
        supervisor::tell(supervisor::READY);
        start::wait(signals, input_end).await;
        supervisor::tell(supervisor::STOPPING);
        handle.shutdown(DRAIN).await;
        Ok(())
    });
    runtime.shutdown_timeout(DRAIN);
    result
}

/// How long requests under way may take at the end.
const DRAIN: Duration = Duration::from_secs(5);
