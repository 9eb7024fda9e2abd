//! `elasticsearch`: runs a node until it is told to stop.

use std::path::Path;

use ringwall_base::SecretString;
use ringwall_node::node::{Node, StartError};
use ringwall_settings::{Keystore, KeystoreFile, Settings};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::arguments::CommonArgs;
use crate::error::{CommandError, ExitCode};
use crate::paths::Paths;
use crate::terminal::Terminal;

/// Arguments of `start`, beside the common ones.
#[derive(Debug, clap::Args)]
#[command(about = "Runs a node with the settings of its home, until SIGTERM or Ctrl-C")]
pub struct StartArgs {}

/// Starts the node and returns when it has stopped in order.
pub fn run(common: &CommonArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
    let paths = Paths::resolve()?;
    let keystore = open_keystore(&paths.keystore(), terminal)?;
    let overrides = common.overrides()?;
    let settings = Settings::load(paths.config(), &overrides, keystore.as_ref())
        .map_err(|error| CommandError::new(ExitCode::Failure, error.to_string()))?;
    start_logging();
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let home = paths.home()?.to_owned();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::io(&home, &error))?
        .block_on(serve(settings, &home))
}

async fn serve(settings: Settings, home: &Path) -> Result<(), CommandError> {
    let stop = |kind| signal(kind).map_err(|error| CommandError::io(home, &error));
    let (mut terminate, mut interrupt) = (
        stop(SignalKind::terminate())?,
        stop(SignalKind::interrupt())?,
    );
    let node = Node::start(settings, home).await.map_err(start_error)?;
    wait(&mut terminate, &mut interrupt).await;
    node.stop().await;
    Ok(())
}

async fn wait(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Source for the statuses: node.md section 1.6.
fn start_error(error: StartError) -> CommandError {
    let exit = match error {
        StartError::BootstrapChecks(_) => ExitCode::Config,
        _ => ExitCode::Failure,
    };
    CommandError::new(exit, error.to_string())
}

fn open_keystore(path: &Path, terminal: &mut Terminal) -> Result<Option<Keystore>, CommandError> {
    if !path.exists() {
        return Ok(None);
    }
    let file = KeystoreFile::read(path).map_err(|error| CommandError::data(error.to_string()))?;
    let password = match file.has_password() {
        true => terminal.secret("Enter password for the elasticsearch keystore : ")?,
        false => SecretString::default(),
    };
    file.decrypt(&password)
        .map(Some)
        .map_err(|error| CommandError::data(error.to_string()))
}

/// Logs to standard error. Consensus logs every heartbeat at INFO; its own crate tells what
/// operators need.
fn start_logging() {
    let filter = EnvFilter::new("info,openraft=off");
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}
